"""Tensors of published wav2vec 2.0, HuBERT and WavLM files under our names, and sizes from transformers' config.json.

Known are the names of fairseq (s3prl and WavLM's own files keep them), torchaudio and transformers.
"""

import re
from collections import Counter

import torch

from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from storage.errors import data_error

PREFIX = r"^((w2v_encoder\.)?w2v_model|wav2vec2|hubert|wavlm)\."  # of models for another task, around this one
RENAMES = (  # one after another, fairseq's name first; what stands behind a colon is a part of one of our tensors
    (r"^(post_extract_proj|(encoder\.)?feature_projection\.projection)\.", "front_end.projection."),
    (r"^((encoder\.)?feature_projection\.)?layer_norm\.", "front_end.frame_norm."),
    (r"^feature_extractor\.conv_layers\.(\d+)\.(0|conv)\.", r"front_end.convs.\1."),
    (r"^feature_extractor\.conv_layers\.(\d+)\.(2\.1|2|layer_norm)\.", r"front_end.norms.\1."),
    (r"^encoder\.(transformer\.)?layer_norm\.", "input_norm."),
    (r"^encoder\.(transformer\.)?(pos_conv\.0|pos_conv_embed\.conv)\.", "pos_conv."),
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
IGNORED = (  # of pre-training, or of another task
    r"mask_emb|masked_spec_embed|label_embs_concat"
    r"|(final_proj|project_q|project_hid|project_inp|target_glu|quantizer|input_quantizer|mask_generator|logit_generator)\..*"
    r"|(w2v_encoder\.proj|lm_head|aux)\..*"
)
MAX_LISTED = 8  # names of a kind in a message


def convert(tensors, sizes):
    """Tensors by the names in a published file → by ours, and rows (source, name, shape, dtype) of a load report.

    sizes: the fields of `Wav2Vec2Config`. Several sources may end in one tensor (queries, keys and values); the name of what
    no state needs is empty. Raises `ValueError` that lists missing, unexpected and wrongly shaped tensors.
    """
    with torch.device("meta"):
        return renamed(tensors, Wav2Vec2Model(Wav2Vec2Config(**sizes)), sizes)


def renamed(tensors, model, sizes, ignored=IGNORED):
    """`convert` for a `Wav2Vec2Model` on the meta device; `sizes` are for its errors, `ignored`: names that no state needs."""
    config = model.config
    names = {source: _our_name(source, config, ignored) for source in tensors}
    found = {name: tensors[source] for source, name in names.items() if name}
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    parts = {name: _parts(name, shape, config, found) for name, shape in shapes.items()}
    _check(names, found, {part: shape for wanted in parts.values() for part, shape in wanted.items()}, sizes)
    rows = [
        dict(source=source, name=name.partition(":")[0], shape=list(t.shape), dtype=str(t.dtype).removeprefix("torch."))
        for (source, name), t in zip(names.items(), tensors.values())
    ]
    return {name: _whole(name, [found[part].float() for part in wanted]) for name, wanted in parts.items()}, rows


def _our_name(source, config, ignored=IGNORED):
    """`encoder.layers.3.self_attn.k_proj.bias` → `blocks.3.qkv.bias:k`; not needed: empty; unknown: in no way ours."""
    source = re.sub(PREFIX, "", source)
    if re.fullmatch(ignored, source):
        return ""
    for pattern, ours in RENAMES:
        source = re.sub(pattern, ours, source)
    return "" if config.pre_norm and source.startswith("input_norm.") else source


def _parts(name, shape, config, found):
    """What one of our tensors is made of: names and shapes, as they are in the published files."""
    if ".qkv." in name and name not in found:
        return {f"{name}:{part}": (config.dim, *shape[1:]) for part in "qkv"}
    if name == "pos_conv.weight":
        return {f"{name}:length": (1, 1, shape[2]), f"{name}:direction": shape}
    if match := re.fullmatch(r"front_end\.convs\.(\d+)\.weight", name):
        kernel = config.conv_layers[int(match[1])][1]
        return {name: (shape[0], shape[1] // kernel, kernel)}
    if ".gate.linear." in name:
        return {name: (8, *shape[1:])}
    return {name: (1, *shape, 1, 1) if name.endswith(".gate.scale") else shape}


def _whole(name, parts):
    """One of our tensors from its parts, see `_parts`."""
    if ".qkv." in name:
        return torch.cat(parts)
    if name == "pos_conv.weight":
        length, direction = parts
        return direction * (length / direction.norm(dim=(0, 1), keepdim=True))
    (tensor,) = parts
    if ".convs." in name and name.endswith(".weight"):
        return tensor.transpose(1, 2).flatten(1)
    if ".gate.linear." in name:
        return tensor.unflatten(0, (2, 4)).sum(1)
    return tensor.flatten() if name.endswith(".gate.scale") else tensor


def _check(names, found, wanted, sizes):
    counts = Counter(names.values())
    problems = dict(
        missing=[name for name in wanted if name not in found],
        unexpected=[source for source, name in names.items() if name and (name not in wanted or counts[name] > 1)],
        misshapen=[
            f"{n} {tuple(found[n].shape)}, not {shape}" for n, shape in wanted.items() if n in found and found[n].shape != shape
        ],
    )
    if any(problems.values()):
        raise data_error(
            "wav2vec2 checkpoint",
            "its tensors must be those of the architecture",
            expected=f"{len(wanted)} tensors of {sizes}",
            got="; ".join(f"{kind} {_listed(found)}" for kind, found in problems.items() if found),
            remedy="check the sizes in config/config.yaml, or take another file",
        )


def _listed(names):
    rest = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")


# transformers' config.json: what must be so (and is where nothing is said) …
FIXED = dict(
    hidden_act="gelu",
    feat_extract_activation="gelu",
    layer_norm_eps=1e-5,
    feat_proj_layer_norm=True,
    conv_pos_batch_norm=False,
    adapter_attn_dim=None,
)
# … and the sizes in it
COUNTS = dict(
    num_layers="num_hidden_layers",
    dim="hidden_size",
    ffn_dim="intermediate_size",
    num_heads="num_attention_heads",
    pos_conv_kernel="num_conv_pos_embeddings",
    pos_conv_groups="num_conv_pos_embedding_groups",
)
RELATIVE = dict(num_buckets="num_buckets", max_distance="max_bucket_distance")
MODEL_TYPES = ("hubert", "wav2vec2", "wavlm")
MAX_COUNT = 1 << 16


def sizes_from_transformers(config):
    """`config.json` of a transformers HuBERT, wav2vec 2.0 or WavLM folder (a dict) → fields of `Wav2Vec2Config`, read one by one.

    Whether waveforms are normalised is not in it: they are where fairseq did so, with layer norms between the convolutions.
    Raises `ValueError` for another kind of model and for values that are no sizes.
    """
    config = config if isinstance(config, dict) else {}
    model_type = _value(config, "model_type", lambda value: value in MODEL_TYPES, f"one of {', '.join(MODEL_TYPES)}")
    for key, value in FIXED.items():
        _value({key: value} | config, key, lambda found, value=value: found == value, f"{value}")
    counts = COUNTS | (RELATIVE if model_type == "wavlm" else {})
    norm = _value(config, "feat_extract_norm", lambda value: value in ("group", "layer"), "group or layer")
    convs = [_value(config, key, _are_counts, "a list of positive numbers") for key in ("conv_dim", "conv_kernel", "conv_stride")]
    if len({len(values) for values in convs}) > 1:
        raise _refusal("conv_dim, conv_kernel, conv_stride", "one value a convolution", f"{convs}")
    flags = {
        key: _value(config, key, lambda value: type(value) is bool, "true or false")
        for key in ("conv_bias", "do_stable_layer_norm")
    }
    return dict(
        conv_layers=[list(sizes) for sizes in zip(*convs)],
        conv_bias=flags["conv_bias"],
        conv_norm=norm,
        normalize_waveform=norm == "layer",
        pre_norm=flags["do_stable_layer_norm"],
        num_buckets=0,
        max_distance=0,
    ) | {name: _value(config, key, _is_count, "a positive number") for name, key in counts.items()}


def _value(config, key, valid, expected):
    if not valid(value := config.get(key)):
        raise _refusal(f"'{key}'", expected, f"{value!r:.80}")
    return value


def _refusal(key, expected, got):
    return data_error(
        "config.json",
        f"{key} must be what this project computes",
        expected=expected,
        got=got,
        remedy="take another checkpoint",
    )


def _is_count(value):
    return type(value) is int and 0 < value <= MAX_COUNT


def _are_counts(values):
    return type(values) is list and 0 < len(values) <= 32 and all(map(_is_count, values))
