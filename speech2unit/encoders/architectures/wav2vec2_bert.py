"""Wav2Vec2-BERT (w2v-BERT 2.0) in the format of transformers: a conformer over log-Mel frames.

Layer 0 is the input of the first block, layer i the output of block i, as in the `hidden_states` of transformers. The adapter
that some models have after the last block is left out.

**Source:** Seamless Communication 2023, arXiv 2312.05187.
"""

import re

import torch

from speech2unit.encoders.models.compressed_layers import resize
from speech2unit.encoders.models.frame_encoder import FrameEncoder, FrameTrunk, load_model
from speech2unit.encoders.models.loading import keep_blocks, sizes_from
from speech2unit.encoders.models.published_parts import convert_parts, rename
from speech2unit.encoders.models.transformers_config import checked_model_type, checked_value, is_count
from speech2unit.encoders.models.wav2vec2_bert import NUM_MELS, STEP, Wav2Vec2BertConfig, Wav2Vec2BertModel

OBJECTIVE = "parent_states"
RENAMES = (  # see `published_parts`
    (r"^wav2vec2_bert\.", ""),
    (r"^feature_projection\.layer_norm\.", "front_end.frame_norm."),
    (r"^feature_projection\.", "front_end."),
    (r"^encoder\.layers\.", "blocks."),
    (r"\.self_attn\.linear_(q|k|v)\.(weight|bias)$", r".qkv.\2:\1"),
    (r"\.self_attn\.linear_out\.", ".out."),
    (r"\.self_attn\.distance_embedding\.weight$", ".distances"),
    (r"\.self_attn_layer_norm\.", ".attention_norm."),
    (r"\.ffn1_layer_norm\.", ".first_norm."),
    (r"\.ffn1\.intermediate_dense\.", ".first_fc1."),
    (r"\.ffn1\.output_dense\.", ".first_fc2."),
    (r"\.ffn2_layer_norm\.", ".ffn_norm."),
    (r"\.ffn2\.intermediate_dense\.", ".fc1."),
    (r"\.ffn2\.output_dense\.", ".fc2."),
    (r"\.final_layer_norm\.", ".final_norm."),
    (r"\.conv_module\.layer_norm\.", ".conv.norm."),
    (r"\.conv_module\.pointwise_conv1\.", ".conv.gate."),
    (r"\.conv_module\.depthwise_conv\.", ".conv.depthwise."),
    (r"\.conv_module\.depthwise_layer_norm\.", ".conv.depthwise_norm."),
    (r"\.conv_module\.pointwise_conv2\.", ".conv.out."),
)
# Names of tensors for pre-training, after the last block, or for another task.
IGNORED = r"masked_spec_embed|layer_weights|(adapter|intermediate_ffn|lm_head|projector|classifier|tdnn|feature_extractor)\..*"
FIXED = dict(  # keys of transformers' config.json that must have these values; a missing key has this value
    hidden_act="swish",
    position_embeddings_type="relative_key",
    layer_norm_eps=1e-5,
    feature_projection_input_dim=STEP * NUM_MELS,
)
COUNTS = dict(  # field of `Wav2Vec2BertConfig` → key
    num_layers="num_hidden_layers",
    dim="hidden_size",
    ffn_dim="intermediate_size",
    num_heads="num_attention_heads",
    conv_kernel="conv_depthwise_kernel_size",
    max_left="left_max_position_embeddings",
    max_right="right_max_position_embeddings",
)


def sizes_from_transformers(config):
    """Read the sizes of a Wav2Vec2-BERT from transformers.

    Args:
        config: content of config.json.

    Returns:
        The fields of `Wav2Vec2BertConfig` as a dictionary.

    Raises:
        ValueError: if the model is of another kind, or a value is not a valid size.
    """
    config = config if isinstance(config, dict) else {}
    checked_model_type(config, "wav2vec2_bert")
    for key, required in FIXED.items():
        checked_value({key: required} | config, key, lambda value, required=required: value == required, f"{required}")
    return {name: checked_value(config, key, is_count, "a positive number") for name, key in COUNTS.items()}


def convert(tensors, sizes):
    """Convert a published checkpoint.

    Args:
        tensors: dict from published name to tensor.
        sizes: dict of the fields of `Wav2Vec2BertConfig`.

    Returns:
        A dict from our name to tensor, and the rows of a load report. Three published tensors become one of ours (queries, keys
        and values). The name in a row is empty if no hidden state depends on the tensor.

    Raises:
        ValueError: if tensors are missing, unexpected or of another shape; the message lists them.
    """
    with torch.device("meta"):
        model = build_model(sizes)
    parts = {name: _parts(name, tuple(tensor.shape)) for name, tensor in model.state_dict().items()}
    names = {published: _our_name(published) for published in tensors}
    return convert_parts("wav2vec2_bert", names, tensors, parts, _join, sizes)


def _our_name(published):
    """Return our name: `encoder.layers.3.ffn2.output_dense.bias` → `blocks.3.fc2.bias`; empty if the tensor is left out."""
    name = rename(published, RENAMES)
    return "" if re.fullmatch(IGNORED, name) else name


def _parts(name, shape):
    """Return the published tensors that make up one of ours, as a dict from the name of the part to its published shape."""
    if ".qkv." in name:
        return {f"{name}:{part}": (shape[0] // 3, *shape[1:]) for part in "qkv"}
    is_pointwise_conv = ".conv.gate." in name or ".conv.out." in name
    return {name: (*shape, 1) if is_pointwise_conv else shape}


def _join(name, parts):
    """Return one of our tensors, computed from its parts; see `_parts`."""
    tensor = torch.cat(parts)
    return tensor.squeeze(2) if ".conv.gate." in name or ".conv.out." in name else tensor


def build_model(settings, dropout=0.0):
    """Return a model without trained weights, with the sizes in an encoder's config.json."""
    model = Wav2Vec2BertModel(sizes_from(settings, Wav2Vec2BertConfig), dropout)
    return resize(model, settings.get("layers", []))


build_student = build_model  # a model that can learn from a teacher of this architecture


def load(folder, device):
    """Return the encoder saved in `folder`."""
    return load_trainable(folder, device).prepare()


def load_trainable(folder, device):
    """Return the encoder saved in `folder`, which can be trained."""
    return FrameEncoder(load_model(folder, build_model), device)


def load_trunk(folder):
    """Return the encoder saved in `folder` as a `Trunk`."""
    return FrameTrunk(load_model(folder, build_model))


def keep_layers(settings, tensors, layer):
    """Return the settings and the tensors that the layers up to `layer` need."""
    return keep_blocks(settings, tensors, layer, "blocks.")


def encoder_with(model, folder, device):
    """Return the encoder of `model`; the folder is not read, as all tensors are the model's."""
    return FrameEncoder(model, device)


def trunk_with(model, folder):
    """Return the trunk of `model`; the folder is not read, as all tensors are the model's."""
    return FrameTrunk(model)
