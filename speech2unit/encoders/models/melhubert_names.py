"""Names of tensors in checkpoints of MelHuBERT's authors, and our names of them.

**Source:** MelHuBERT, https://github.com/nervjack2/MelHuBERT.
"""

import re

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
