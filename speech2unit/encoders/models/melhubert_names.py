"""MelHuBERT in the files of its authors: their names of the tensors, and the sizes that stand beside them.

**Source:** MelHuBERT, https://github.com/nervjack2/MelHuBERT; a checkpoint is a dict with the weights in `model` and the
sizes in `Upstream_Config`. Mean and deviation of its training data are an array `[2, 40]` in a .npy file of their own.
"""

import re

import torch

from speech2unit.encoders.models.log_mel import NUM_MELS
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from storage.errors import data_error
from storage.untrusted.renaming import rename_tensors

NAMES = (  # theirs, ours
    ("pre_extract_proj.", "post_extract_proj."),
    ("encoder.pos_conv.0.weight_g", "pos_conv.parametrizations.weight.original0"),
    ("encoder.pos_conv.0.weight_v", "pos_conv.parametrizations.weight.original1"),
    ("encoder.pos_conv.0.bias", "pos_conv.bias"),
    ("encoder.layer_norm.", "layer_norm."),
    ("final_proj.", "final_proj.0."),
)
LAYER, ATTENTION = r"encoder\.layers\.(\d+)\.(?:self_attn\.)?(.+)", ("q_proj", "k_proj", "v_proj", "out_proj")


def our_name(source):
    """`encoder.layers.3.self_attn.k_proj.bias` → `layers.3.k_proj.bias`; what is in no way ours stays as it is."""
    if match := re.fullmatch(LAYER, source):
        return f"layers.{match[1]}.{match[2]}"
    return next((ours + source.removeprefix(theirs) for theirs, ours in NAMES if source.startswith(theirs)), source)


def published_name(name):
    """The other way round."""
    if match := re.fullmatch(r"layers\.(\d+)\.(\w+)(.*)", name):
        return f"encoder.layers.{match[1]}.{'self_attn.' * (match[2] in ATTENTION)}{match[2]}{match[3]}"
    return next(theirs + name.removeprefix(ours) for theirs, ours in NAMES if name.startswith(ours))


def convert(tensors, sizes):
    """Tensors of a checkpoint's `model`, and `mean_std` `[2, 40]` → by our names, and rows of a load report.

    sizes: the fields of `MelHuBERTConfig`, and whether the front end removes the level. Raises `ValueError` that lists missing,
    unexpected and wrongly shaped tensors.
    """
    with torch.device("meta"):
        model = MelHuBERTModel(MelHuBERTConfig(**{name: size for name, size in sizes.items() if name != "subtract_loudness"}))
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()} | {"mean_std": (2, NUM_MELS)}
    found, rows = rename_tensors("melhubert", {source: our_name(source) for source in tensors}, tensors, wanted, sizes)
    mean, std = found.pop("mean_std").float()
    return found | dict(mean=mean, std=std), rows


def published_checkpoint(tensors, settings, place):
    """What their programs load, `model` and `Upstream_Config`, and mean and deviation `[2, 40]`, from an encoder's two files.

    Raises `ValueError` for what they do not know: several sets of targets, and a front end that removes the level.
    """
    if len(settings["num_targets"]) > 1 or settings["subtract_loudness"]:
        raise data_error(
            place,
            "the published format knows one set of targets and a front end that keeps the level",
            expected="a list of one, subtract_loudness: false",
            got=f"{settings['num_targets']}, subtract_loudness: {settings['subtract_loudness']}",
            remedy="pre-train with one codebook as targets, on a log-Mel encoder of preset published",
        )
    sizes = dict(
        feat_emb_dim=NUM_MELS * settings["frame_ms"] // 10,
        pos_emb_type="conv",
        pos_conv_depth=1,
        conv_pos=settings["conv_kernel"],
        conv_pos_groups=settings["conv_groups"],
        encoder_layers=settings["num_layers"],
        encoder_embed_dim=settings["dim"],
        encoder_ffn_embed_dim=settings["ffn_dim"],
        encoder_attention_heads=settings["num_heads"],
        activation_fn="gelu",
        layer_norm_first=False,
        attention_type="original",
        num_cluster=settings["num_targets"][0],
    )
    model = {published_name(name): tensor for name, tensor in tensors.items() if name not in ("mean", "std")}
    return dict(model=model, Upstream_Config=dict(melhubert=sizes)), torch.stack([tensors["mean"], tensors["std"]])
