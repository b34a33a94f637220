"""Checkpoints in the format of MelHuBERT's authors: names of their tensors, and the sizes that they store with them.

A checkpoint is a dictionary with the weights under `model` and the sizes under `Upstream_Config`. The mean and standard
deviation of the training data are in a .npy file, an array `[2, 40]`.

**Source:** MelHuBERT, https://github.com/nervjack2/MelHuBERT.
"""

import re

import torch

from speech2unit.encoders.models.loading import FRONT_END_TENSORS, sizes_from
from speech2unit.encoders.models.log_mel import NUM_MELS
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from storage.errors import data_error
from storage.untrusted.renaming import rename_tensors

PREFIXES = (  # published, ours
    ("pre_extract_proj.", "post_extract_proj."),
    ("encoder.pos_conv.0.weight_g", "pos_conv.parametrizations.weight.original0"),
    ("encoder.pos_conv.0.weight_v", "pos_conv.parametrizations.weight.original1"),
    ("encoder.pos_conv.0.bias", "pos_conv.bias"),
    ("encoder.layer_norm.", "layer_norm."),
    ("final_proj.", "final_proj.0."),
)
PUBLISHED_BLOCK = r"encoder\.layers\.(\d+)\.(?:self_attn\.)?(.+)"
OUR_BLOCK = r"layers\.(\d+)\.(\w+)(.*)"
ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj")


def our_name(published):
    """Return our name of a published tensor: `encoder.layers.3.self_attn.k_proj.bias` → `layers.3.k_proj.bias`.

    A name that is not known is returned as it is.
    """
    if match := re.fullmatch(PUBLISHED_BLOCK, published):
        return f"layers.{match[1]}.{match[2]}"
    for prefix, our_prefix in PREFIXES:
        if published.startswith(prefix):
            return our_prefix + published.removeprefix(prefix)
    return published


def published_name(name):
    """Return the published name of one of our tensors, the inverse of `our_name`."""
    if match := re.fullmatch(OUR_BLOCK, name):
        parent = "self_attn." if match[2] in ATTENTION else ""
        return f"encoder.layers.{match[1]}.{parent}{match[2]}{match[3]}"
    return next(prefix + name.removeprefix(our_prefix) for prefix, our_prefix in PREFIXES if name.startswith(our_prefix))


def convert(tensors, sizes):
    """Convert a published checkpoint.

    Args:
        tensors: dict from published name to tensor. It also has `mean_std`, an array `[2, 40]`.
        sizes: dict of the fields of `MelHuBERTConfig`, and `subtract_loudness` of the front end.

    Returns:
        A dict from our name to tensor, and the rows of a load report.

    Raises:
        ValueError: if tensors are missing, unexpected or of another shape; the message lists them.
    """
    with torch.device("meta"):
        model = MelHuBERTModel(sizes_from(sizes, MelHuBERTConfig))
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()} | {"mean_std": (2, NUM_MELS)}
    names = {published: our_name(published) for published in tensors}
    renamed, rows = rename_tensors("melhubert", names, tensors, shapes, sizes)
    mean, std = renamed.pop("mean_std").float()
    return renamed | dict(mean=mean, std=std), rows


def published_checkpoint(tensors, settings, place):
    """Return an encoder in the format of its authors.

    Args:
        tensors: dict from our name to tensor, the content of model.safetensors.
        settings: content of config.json.
        place: path of config.json, for the error message.

    Returns:
        A dictionary with `model` and `Upstream_Config`, and mean and standard deviation `[2, 40]`.

    Raises:
        ValueError: if the format has no place for several sets of targets or for a front end that subtracts the loudness.
    """
    if len(settings["num_targets"]) > 1 or settings["subtract_loudness"]:
        raise data_error(
            place,
            "the published format has one set of targets and a front end that keeps the loudness",
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
    model = {published_name(name): tensor for name, tensor in tensors.items() if name not in FRONT_END_TENSORS}
    checkpoint = dict(model=model, Upstream_Config=dict(melhubert=sizes))
    return checkpoint, torch.stack([tensors["mean"], tensors["std"]])
