"""Tensors of published Whisper files under our names; sizes from transformers' config.json.

The names of OpenAI's files and of transformers are known. Only the encoder is read.
"""

import re

import torch

from speech2unit.encoders.models.published_parts import (
    convert_parts,
    is_conv_weight,
    our_conv_weight,
    published_conv_shape,
    rename,
)
from speech2unit.encoders.models.transformers_config import checked_model_type, checked_value, is_count
from speech2unit.encoders.models.whisper import WhisperConfig, WhisperModel

KERNEL = 3  # of both convolutions
RENAMES = (  # see `published_parts`
    (r"^(model\.)?encoder\.", ""),
    (r"^conv([12])\.", lambda match: f"front_end.convs.{int(match[1]) - 1}."),
    (r"^(positional_embedding|embed_positions\.weight)$", "positions"),
    (r"^(ln_post|layer_norm)\.", "final_norm."),
    (r"^layers\.", "blocks."),
    (r"\.(attn\.(q)uery|attn\.(k)ey|attn\.(v)alue|self_attn\.(q|k|v)_proj)\.(weight|bias)$", r".qkv.\6:\2\3\4\5"),
    (r"\.(attn\.out|self_attn\.out_proj)\.", ".out."),
    (r"\.(attn_ln|self_attn_layer_norm)\.", ".attention_norm."),
    (r"\.mlp\.0\.", ".fc1."),
    (r"\.mlp\.2\.", ".fc2."),
    (r"\.(mlp_ln|final_layer_norm)\.", ".ffn_norm."),
)
# Names of tensors of the decoder, and of heads for another task.
IGNORED = r"(model\.)?decoder\..*|(proj_out|projector|classifier)\..*|layer_weights"
COUNTS = dict(  # field of `WhisperConfig` → key of transformers' config.json
    num_mels="num_mel_bins",
    num_positions="max_source_positions",
    num_layers="encoder_layers",
    dim="d_model",
    ffn_dim="encoder_ffn_dim",
    num_heads="encoder_attention_heads",
)


def convert(tensors, sizes):
    """Convert a published checkpoint.

    Args:
        tensors: dict from published name to tensor.
        sizes: dict of the fields of `WhisperConfig`.

    Returns:
        A dict from our name to tensor, and the rows of a load report. Three published tensors become one of ours (queries, keys
        and values). The name in a row is empty if no hidden state depends on the tensor.

    Raises:
        ValueError: if tensors are missing, unexpected or of another shape; the message lists them.
    """
    config = WhisperConfig(**sizes)
    with torch.device("meta"):
        model = WhisperModel(config)
    parts = {name: _parts(name, tuple(tensor.shape), config.dim) for name, tensor in model.state_dict().items()}
    names = {published: _our_name(published, config.final_norm) for published in tensors}
    return convert_parts("whisper", names, tensors, parts, _join, sizes)


def _our_name(published, has_final_norm):
    """Return our name: `encoder.blocks.3.attn.key.weight` → `blocks.3.qkv.weight:k`; empty if the tensor is left out."""
    if re.fullmatch(IGNORED, published):
        return ""
    name = rename(published, RENAMES)
    return "" if name.startswith("final_norm.") and not has_final_norm else name


def _parts(name, shape, dim):
    """Return the published tensors that make up one of ours, as a dict from the name of the part to its published shape."""
    if ".qkv." in name:
        letters = "qkv" if name.endswith("weight") else "qv"  # keys have no bias
        return {f"{name}:{letter}": (dim, *shape[1:]) for letter in letters}
    return {name: published_conv_shape(shape, KERNEL) if is_conv_weight(name) else shape}


def _join(name, parts):
    """Return one of our tensors, computed from its parts; see `_parts`."""
    if name.endswith(".qkv.bias"):
        queries, values = parts
        return torch.cat([queries, torch.zeros_like(queries), values])
    if ".qkv." in name:
        return torch.cat(parts)
    (tensor,) = parts
    return our_conv_weight(tensor) if is_conv_weight(name) else tensor


def sizes_from_transformers(config):
    """Read the sizes of a Whisper from transformers.

    Args:
        config: content of config.json.

    Returns:
        The fields of `WhisperConfig` as a dictionary, without padding and final norm.

    Raises:
        ValueError: if the model is of another kind, or a value is not a valid size.
    """
    config = config if isinstance(config, dict) else {}
    checked_model_type(config, "whisper")
    checked_value(dict(activation_function="gelu") | config, "activation_function", lambda value: value == "gelu", "gelu")
    counts = {name: checked_value(config, key, is_count, "a positive number") for name, key in COUNTS.items()}
    return counts | dict(padded=False, final_norm=False)
