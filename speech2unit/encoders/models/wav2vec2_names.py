"""Tensors of published files of the wav2vec 2.0 family under our names; sizes from transformers' config.json.

The names of fairseq, torchaudio and transformers are known. The files of s3prl and of WavLM's authors have those of fairseq.
UniSpeech, UniSpeech-SAT, data2vec and SEW are known in the format of transformers.
"""

import re

import torch

from speech2unit.encoders.models.frame_transformer import SAMPLE_RATE_HZ
from speech2unit.encoders.models.published_parts import (
    convert_parts,
    is_conv_weight,
    our_conv_weight,
    published_conv_shape,
    rename,
)
from speech2unit.encoders.models.transformers_config import (
    are_counts,
    checked_model_type,
    checked_value,
    is_count,
    is_flag,
    unsupported,
)
from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model

# In models for another task that contain this one.
PREFIX = r"^((w2v_encoder\.)?w2v_model|wav2vec2|hubert|wavlm|unispeech(_sat)?|data2vec_audio|sew)\."
RENAMES = (  # see `published_parts`
    (r"^(post_extract_proj|(encoder\.)?feature_projection\.projection)\.", "front_end.projection."),
    (r"^feature_projection\.(weight|bias)$", r"front_end.projection.\1"),  # SEW
    (r"^((encoder\.)?feature_projection\.)?layer_norm\.", "front_end.frame_norm."),
    (r"^feature_extractor\.conv_layers\.(\d+)\.(0|conv)\.", r"front_end.convs.\1."),
    (r"^feature_extractor\.conv_layers\.(\d+)\.(2\.1|2|layer_norm)\.", r"front_end.norms.\1."),
    (r"^encoder\.(transformer\.)?layer_norm\.", "input_norm."),
    (r"^encoder\.(transformer\.)?(pos_conv\.0|pos_conv_embed\.conv)\.", "pos_conv."),
    (r"^encoder\.pos_conv_embed\.layers\.(\d+)\.conv\.", r"front_end.pos_convs.\1."),  # data2vec
    (r"^pos_conv\.(weight_g|parametrizations\.weight\.original0)$", "pos_conv.weight:length"),
    (r"^pos_conv\.(weight_v|parametrizations\.weight\.original1)$", "pos_conv.weight:direction"),
    (r"^encoder\.(transformer\.)?layers\.0\.(self_attn\.relative_attention_bias|attention\.rel_attn_embed)\.", "positions."),
    (r"^encoder\.(transformer\.)?layers\.", "blocks."),
    (r"\.(self_attn|attention)\.(q|k|v)_proj\.(weight|bias)$", r".qkv.\3:\2"),
    (r"\.attention\.attention\.in_proj_", ".qkv."),  # torchaudio's WavLM
    (r"\.(self_attn|attention|attention\.attention)\.out_proj\.", ".out."),
    (r"\.(self_attn\.grep_linear|attention\.gru_rel_pos_linear)\.", ".gate.linear."),
    (r"\.(self_attn\.grep_a|attention\.gru_rel_pos_const)$", ".gate.scale"),
    (r"\.(self_attn_layer_norm|layer_norm)\.", ".attention_norm."),
    (r"\.(fc1|feed_forward\.intermediate_dense)\.", ".fc1."),
    (r"\.(fc2|feed_forward\.output_dense)\.", ".fc2."),
    (r"\.final_layer_norm\.", ".ffn_norm."),
)
IGNORED = (  # names of tensors for pre-training or for another task
    r"mask_emb|masked_spec_embed|label_embs_concat|label_embeddings_concat"
    r"|(final_proj|project_q|project_hid|project_inp|target_glu|quantizer|input_quantizer|mask_generator|logit_generator)\..*"
    r"|(w2v_encoder\.proj|lm_head|aux|adapter|projector|classifier|tdnn|objective)\..*"
    r"|(ctc_proj|speaker_proj|layer_norm_for_extract|encoder\.upsample)\..*"
    r"|layer_weights|feature_extractor\.(weight|bias)"
)


def convert(tensors, sizes):
    """Convert a published checkpoint.

    Args:
        tensors: dict from published name to tensor.
        sizes: dict of the fields of `Wav2Vec2Config`.

    Returns:
        A dict from our name to tensor, and the rows of a load report. Several published tensors may become one of ours (queries,
        keys and values). The name in a row is empty if hidden states do not depend on the tensor.

    Raises:
        ValueError: if tensors are missing, unexpected or of another shape; the message lists them.
    """
    with torch.device("meta"):
        model = Wav2Vec2Model(Wav2Vec2Config(**sizes))
    return convert_to(model, tensors, sizes)


def convert_to(model, tensors, sizes, ignored=IGNORED):
    """Convert a published checkpoint to the tensors of a given model.

    Args:
        model: a `Wav2Vec2Model` on the meta device.
        tensors: dict from published name to tensor.
        sizes: the sizes, for the error message.
        ignored: regular expression of the names that are left out.

    Returns:
        The same as `convert`.

    Raises:
        ValueError: if tensors are missing, unexpected or of another shape; the message lists them.
    """
    config = model.config
    names = {published: _our_name(published, config, ignored) for published in tensors}
    parts = {name: _parts(name, tuple(tensor.shape), config, names.values()) for name, tensor in model.state_dict().items()}
    return convert_parts("wav2vec2", names, tensors, parts, _join, sizes)


def _our_name(published, config, ignored=IGNORED):
    """Return our name: `encoder.layers.3.self_attn.k_proj.bias` → `blocks.3.qkv.bias:k`; empty if the tensor is ignored."""
    name = re.sub(PREFIX, "", published)
    if re.fullmatch(ignored, name):
        return ""
    name = rename(name, RENAMES)
    if config.squeeze > 1:
        name = re.sub(r"^pos_conv\.", "front_end.pos_convs.0.", name)
    return "" if config.pre_norm and name.startswith("input_norm.") else name


def _parts(name, shape, config, published_parts):
    """Return the published tensors that make up one of ours, as a dict from the name of the part to its published shape.

    Args:
        name: our name.
        shape: our shape.
        config: the `Wav2Vec2Config`.
        published_parts: names of the published parts. (torchaudio's WavLM already has queries, keys and values in one tensor.)
    """
    if ".qkv." in name and name not in published_parts:
        return {f"{name}:{part}": (config.dim, *shape[1:]) for part in "qkv"}
    if _has_weight_norm(name, config):
        return {f"{name}:length": (1, 1, shape[2]), f"{name}:direction": shape}
    if match := re.fullmatch(r"front_end\.convs\.(\d+)\.weight", name):
        return {name: published_conv_shape(shape, config.conv_layers[int(match[1])][1])}
    if ".gate.linear." in name:
        return {name: (8, *shape[1:])}
    return {name: (1, *shape, 1, 1) if name.endswith(".gate.scale") else shape}


def _has_weight_norm(name, config):
    """Return whether our tensor is published as a length and a direction."""
    return name == "pos_conv.weight" or (config.squeeze > 1 and name == "front_end.pos_convs.0.weight")


def _join(name, parts):
    """Return one of our tensors, computed from its parts; see `_parts`."""
    if ".qkv." in name:
        return torch.cat(parts)
    if "pos_conv" in name and len(parts) == 2:
        length, direction = parts
        return direction * (length / direction.norm(dim=(0, 1), keepdim=True))
    (tensor,) = parts
    if is_conv_weight(name):
        return our_conv_weight(tensor)
    if ".gate.linear." in name:
        return tensor.unflatten(0, (2, 4)).sum(1)
    return tensor.flatten() if name.endswith(".gate.scale") else tensor


# Keys of transformers' config.json that must have these values; a missing key has this value.
FIXED = dict(
    hidden_act="gelu",
    feat_extract_activation="gelu",
    layer_norm_eps=1e-5,
    feat_proj_layer_norm=True,
    conv_pos_batch_norm=False,
    adapter_attn_dim=None,
)
COUNTS = dict(  # field of `Wav2Vec2Config` → key
    num_layers="num_hidden_layers",
    dim="hidden_size",
    ffn_dim="intermediate_size",
    num_heads="num_attention_heads",
    pos_conv_kernel="num_conv_pos_embeddings",
    pos_conv_groups="num_conv_pos_embedding_groups",
)
FURTHER_COUNTS = {  # model_type → further fields and their keys
    "wavlm": dict(num_buckets="num_buckets", max_distance="max_bucket_distance"),
    "data2vec-audio": dict(pos_conv_kernel="conv_pos_kernel_size", pos_conv_layers="num_conv_pos_embeddings"),
    "sew": dict(squeeze="squeeze_factor"),
}
IMPLIED = {  # model_type → values that transformers' code has, whatever the file says
    "data2vec-audio": dict(feat_extract_norm="layer", do_stable_layer_norm=False),
    "sew": dict(do_stable_layer_norm=False),
}


def sizes_from_transformers(config):
    """Read the sizes of a model of the wav2vec 2.0 family from transformers.

    The file does not say whether waveforms are normalized. As in fairseq, they are if there are layer norms between the
    convolutions, unless `sizes_from_preprocessor` says otherwise.

    Args:
        config: content of config.json.

    Returns:
        The fields of `Wav2Vec2Config` as a dictionary.

    Raises:
        ValueError: if the model is of another kind, or a value is not a valid size.
    """
    config = config if isinstance(config, dict) else {}
    model_type = checked_model_type(config, "wav2vec2")
    config = config | IMPLIED.get(model_type, {})
    for key, required in FIXED.items():
        checked_value({key: required} | config, key, lambda value, required=required: value == required, f"{required}")
    conv_norm = checked_value(config, "feat_extract_norm", lambda value: value in ("group", "layer"), "group or layer")
    convs = [
        checked_value(config, key, are_counts, "a list of positive numbers") for key in ("conv_dim", "conv_kernel", "conv_stride")
    ]
    if len({len(values) for values in convs}) > 1:
        raise unsupported("conv_dim, conv_kernel, conv_stride", "lists of the same length", f"{convs}")
    sizes = dict(
        conv_layers=[list(layer) for layer in zip(*convs)],
        conv_bias=checked_value(config, "conv_bias", is_flag, "true or false"),
        conv_norm=conv_norm,
        normalize_waveform=conv_norm == "layer",
        pre_norm=checked_value(config, "do_stable_layer_norm", is_flag, "true or false"),
        num_buckets=0,
        max_distance=0,
    )
    counts = COUNTS | FURTHER_COUNTS.get(model_type, {})
    return sizes | {name: checked_value(config, key, is_count, "a positive number") for name, key in counts.items()}


def sizes_from_preprocessor(preprocessor):
    """Read whether waveforms are normalized.

    Args:
        preprocessor: content of transformers' preprocessor_config.json.

    Returns:
        `normalize_waveform` in a dictionary.

    Raises:
        ValueError: if a value is not valid.
    """
    preprocessor = preprocessor if isinstance(preprocessor, dict) else {}
    checked_value(preprocessor, "sampling_rate", lambda value: value == SAMPLE_RATE_HZ, f"{SAMPLE_RATE_HZ}")
    return dict(normalize_waveform=checked_value(preprocessor, "do_normalize", is_flag, "true or false"))
