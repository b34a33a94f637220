"""Tensors of published Whisper files under our names; sizes from transformers' config.json.

The names of OpenAI's files and of transformers are known. Only the encoder is read.
"""

import re

import torch

from speech2unit.encoders.models.transformers_config import checked_value, is_count
from speech2unit.encoders.models.whisper import WhisperConfig, WhisperModel
from storage.untrusted.renaming import rename_tensors

# Patterns and replacements, applied one after another. In a new name, a colon precedes the name of a part of our tensor: the
# published `key.weight` becomes `qkv.weight:k`, the part k of our `qkv.weight`.
RENAMES = (
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
    shapes = {part: shape for part_shapes in parts.values() for part, shape in part_shapes.items()}
    names = {published: _our_name(published, config.final_norm) for published in tensors}
    by_part, rows = rename_tensors("whisper", names, tensors, shapes, sizes)
    converted = {name: _join(name, [by_part[part].float() for part in part_shapes]) for name, part_shapes in parts.items()}
    return converted, [row | dict(name=row["name"].partition(":")[0]) for row in rows]


def _our_name(published, has_final_norm):
    """Return our name: `encoder.blocks.3.attn.key.weight` → `blocks.3.qkv.weight:k`; empty if the tensor is left out."""
    if re.fullmatch(IGNORED, published):
        return ""
    name = published
    for pattern, replacement in RENAMES:
        name = re.sub(pattern, replacement, name)
    return "" if name.startswith("final_norm.") and not has_final_norm else name


def _parts(name, shape, dim):
    """Return the published tensors that make up one of ours, as a dict from the name of the part to its published shape."""
    if ".qkv." in name:
        letters = "qkv" if name.endswith("weight") else "qv"  # keys have no bias
        return {f"{name}:{letter}": (dim, *shape[1:]) for letter in letters}
    if ".convs." in name and name.endswith("weight"):
        return {name: (shape[0], shape[1] // 3, 3)}
    return {name: shape}


def _join(name, parts):
    """Return one of our tensors, computed from its parts; see `_parts`."""
    if name.endswith(".qkv.bias"):
        queries, values = parts
        return torch.cat([queries, torch.zeros_like(queries), values])
    if ".qkv." in name:
        return torch.cat(parts)
    (tensor,) = parts
    if ".convs." in name and name.endswith("weight"):
        return tensor.transpose(1, 2).flatten(1)
    return tensor


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
    checked_value(config, "model_type", lambda value: value == "whisper", "whisper")
    checked_value(dict(activation_function="gelu") | config, "activation_function", lambda value: value == "gelu", "gelu")
    counts = {name: checked_value(config, key, is_count, "a positive number") for name, key in COUNTS.items()}
    return counts | dict(padded=False, final_norm=False)
