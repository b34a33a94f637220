"""Convert published tensors to ours if several of them become one of ours, such as queries, keys and values.

A new name is found with patterns and their replacements, which are applied one after another. In it, a colon precedes the name of
a part of our tensor: the published `k_proj.bias` becomes `qkv.bias:k`, the part k of our `qkv.bias`.
"""

import re

from storage.untrusted.renaming import rename_tensors


def rename(published, renames):
    """Return our name of a published tensor; `renames`: pairs of a pattern and its replacement."""
    for pattern, replacement in renames:
        published = re.sub(pattern, replacement, published)
    return published


def convert_parts(architecture, names, tensors, parts, join, sizes):
    """Convert the tensors of a published checkpoint, and check that they are exactly those of the model.

    Args:
        architecture: its name, for the error message.
        names: dict from the published name to the name of our part, which is empty for a tensor that is left out.
        tensors: dict from the published name to the tensor.
        parts: dict from the name of each of our tensors to a dict from the name of each of its parts to the published shape.
        join: function that maps our name and the list of float32 parts to our tensor.
        sizes: the sizes, for the error message.

    Returns:
        A dict from our name to tensor, and the rows of a load report. The name in a row is empty if the tensor is left out.

    Raises:
        ValueError: if tensors are missing, unexpected or of another shape; the message lists them.
    """
    shapes = {part: shape for shapes_of_parts in parts.values() for part, shape in shapes_of_parts.items()}
    by_part, rows = rename_tensors(architecture, names, tensors, shapes, sizes)
    converted = {name: join(name, [by_part[part].float() for part in shapes_of_parts]) for name, shapes_of_parts in parts.items()}
    return converted, [row | dict(name=row["name"].partition(":")[0]) for row in rows]


def is_conv_weight(name):
    """Return whether our tensor is the weight of a convolution of a front end, see `fast_layers.Conv`."""
    return ".convs." in name and name.endswith(".weight")


def published_conv_shape(shape, kernel):
    """Return the published shape `(C_out, C_in, kernel)` of our weight of a convolution, `(C_out, kernel * C_in)`."""
    return (shape[0], shape[1] // kernel, kernel)


def our_conv_weight(weight):
    """Return our weight `[C_out, kernel * C_in]` of a published convolution `[C_out, C_in, kernel]`."""
    return weight.transpose(1, 2).flatten(1)
