"""Smaller transformer blocks: fewer heads, fewer feed-forward rows, matrices of low rank.

Removed heads and rows are cut out of the matrices, so that a smaller block is also a faster one. `layer_sizes` describes the
blocks of a model; its result is saved as `layers` in an encoder's config.json. `resize` shrinks a new model to such a
description, so that the saved tensors fit.
"""

import torch
from torch import nn

from speech2unit.encoders.models.fast_layers import Linear


class FactorizedLinear(nn.Module):
    """Linear layer of low rank: the product of two smaller ones, `[..., D_in]` → `[..., rank]` → `[..., D_out]`.

    It can replace an `nn.Linear`, because it has the same attributes `weight`, `bias`, `in_features` and `out_features`.
    """

    def __init__(self, in_features, rank, out_features, device=None):
        super().__init__()
        self.down = Linear(in_features, rank, bias=False, device=device)
        self.up = Linear(rank, out_features, device=device)

    @property
    def weight(self):
        """The product of both matrices, `[D_out, D_in]`."""
        return self.up.weight @ self.down.weight

    @property
    def bias(self):
        """The bias, `[D_out]`."""
        return self.up.bias

    @property
    def in_features(self):
        """D_in."""
        return self.down.in_features

    @property
    def rank(self):
        """Dimensions between the two layers."""
        return self.down.out_features

    @property
    def out_features(self):
        """D_out."""
        return self.up.out_features

    def forward(self, x, gelu=False):
        """See `speech2unit.encoders.models.fast_layers.Linear`."""
        return self.up(self.down(x), gelu)


def keep_heads(block, kept):
    """Remove attention heads from the matrices of a block.

    Args:
        block: a `TransformerBlock`.
        kept: positions of the heads to keep, among those that the block still has.
    """
    for projection in block.qkv_projections:
        outputs = block.head_outputs(projection)[:, kept]
        _keep_outputs(projection, outputs.flatten())
    _keep_inputs(block.output_projection, outputs[0].flatten())
    if getattr(block, "gate", None) is not None:
        block.gate.scale = nn.Parameter(block.gate.scale.detach()[kept])
    block.heads = [block.head_numbers[position] for position in kept]
    block.num_heads = len(kept)


def keep_rows(block, kept):
    """Remove feed-forward rows (hidden units) from the two matrices of a block.

    Args:
        block: a `TransformerBlock`.
        kept: positions of the rows to keep, among those that the block still has.
    """
    _keep_outputs(block.fc1, kept)
    _keep_inputs(block.fc2, kept)


def factorize(block, name, rank):
    """Replace a matrix of a block by its best approximation of rank `rank`, a truncated singular value decomposition.

    Args:
        block: a `TransformerBlock`.
        name: a key of `block.matrices`.
        rank: rank of the approximation, at most that of the matrix.
    """
    linear = getattr(block, name)
    factorized = FactorizedLinear(linear.in_features, rank, linear.out_features, linear.weight.device)
    if linear.weight.device.type != "meta":
        left, values, right = torch.linalg.svd(linear.weight.detach(), full_matrices=False)
        root = values[:rank].sqrt()
        factorized.up.weight = nn.Parameter(left[:, :rank] * root)
        factorized.down.weight = nn.Parameter(root[:, None] * right[:rank])
        factorized.up.bias = nn.Parameter(linear.bias.detach().clone())
    setattr(block, name, factorized)


def layer_sizes(model):
    """Return the sizes of each block of a model, a list of dicts.

    `heads` has the numbers of the heads that are left, `ffn_dim` the number of feed-forward rows that are left, and `ranks` a
    dict from the name of each factorized matrix to its rank.
    """
    return [
        dict(
            heads=block.head_numbers,
            ffn_dim=block.fc2.in_features,
            ranks={name: layer.rank for name, layer in block.matrices.items() if isinstance(layer, FactorizedLinear)},
        )
        for block in model.blocks
    ]


def resize(model, layers):
    """Shrink the blocks of a new model to saved sizes.

    Args:
        model: a model with `blocks`, whose tensors are still to be loaded; on the meta device resizing costs nothing.
        layers: the result of `layer_sizes`; empty if nothing was ever removed.

    Returns:
        The same model.
    """
    for block, sizes in zip(model.blocks, layers):
        if len(sizes["heads"]) < block.num_heads:
            keep_heads(block, sizes["heads"])
        keep_rows(block, torch.arange(sizes["ffn_dim"]))
        for name, rank in sizes["ranks"].items():
            factorize(block, name, rank)
    return model


def _keep_outputs(layer, kept):
    """Remove all outputs of a linear layer but those at the positions `kept`."""
    layer = layer.up if isinstance(layer, FactorizedLinear) else layer
    layer.weight = nn.Parameter(layer.weight.detach()[kept])
    layer.bias = nn.Parameter(layer.bias.detach()[kept])
    layer.out_features = len(kept)


def _keep_inputs(layer, kept):
    """Remove all inputs of a linear layer but those at the positions `kept`."""
    layer = layer.down if isinstance(layer, FactorizedLinear) else layer
    layer.weight = nn.Parameter(layer.weight.detach()[:, kept].contiguous())
    layer.in_features = len(kept)
