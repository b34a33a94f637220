"""Transformer blocks that have lost something: heads, rows of the feed-forward part, the rank of their matrices.

What is lost is gone from the matrices. `layer_sizes` says what each block has left, which is `layers` in an encoder's
config.json; `resize` cuts a whole model down to it, and its tensors fit. Blocks of MelHuBERT and of wav2vec 2.0 alike.
"""

import torch
from torch import nn

from speech2unit.encoders.models.fast_layers import Linear

OF_HEADS = ("q_proj", "k_proj", "v_proj", "qkv")  # matrices that yield what the heads work on, where a block has them
TO_OUTPUT = ("out_proj", "out")  # the one that reads the heads
MATRICES = (*OF_HEADS, *TO_OUTPUT, "fc1", "fc2")


class LowRank(nn.Module):
    """A matrix of low rank as the product of two, `[..., D_in]` → `[..., rank]` → `[..., D_out]`."""

    def __init__(self, in_features, rank, out_features, device=None):
        super().__init__()
        self.down = Linear(in_features, rank, bias=False, device=device)
        self.up = Linear(rank, out_features, device=device)

    def forward(self, x, gelu=False):
        """As `speech2unit.encoders.models.fast_layers.Linear`."""
        return self.up(self.down(x), gelu)


def blocks_of(model):
    """The transformer blocks of a MelHuBERT or wav2vec 2.0 model."""
    return model.layers if hasattr(model, "layers") else model.blocks


def matrices_of(block):
    """Name → linear layer (or `LowRank`) of a block, in the order of `MATRICES`."""
    return {name: getattr(block, name) for name in MATRICES if hasattr(block, name)}


def reader_of_heads(block):
    """The linear layer (or first half of a `LowRank`) that reads the outputs of all heads, one behind the other."""
    matrices = matrices_of(block)
    return _first(next(matrices[name] for name in TO_OUTPUT if name in matrices))


def heads_of(block):
    """Numbers, among the heads that the block once had, of those that it has."""
    return list(range(block.num_heads)) if block.heads is None else block.heads


def rows_of_heads(block, linear):
    """Positions in the output of `linear`, one of `OF_HEADS`, `[parts, heads, values]`; parts: q, k and v where it yields all."""
    per_head = reader_of_heads(block).in_features // block.num_heads
    return torch.arange(_last(linear).out_features).view(-1, block.num_heads, per_head)


def keep_heads(block, kept):
    """Cut all heads but those at the positions `kept` (among those that there are) out of the block's matrices."""
    matrices = matrices_of(block)
    for linear in [matrices[name] for name in OF_HEADS if name in matrices]:
        rows = rows_of_heads(block, linear)[:, kept]
        _keep_outputs(linear, rows.flatten())
    _keep_inputs(reader_of_heads(block), rows[0].flatten())
    if getattr(block, "gate", None) is not None:
        block.gate.scale = nn.Parameter(block.gate.scale.detach()[kept])
    block.heads, block.num_heads = [heads_of(block)[i] for i in kept], len(kept)


def keep_rows(block, kept):
    """Cut all rows of the feed-forward part but those at the positions `kept` out of its two matrices."""
    _keep_outputs(block.fc1, kept)
    _keep_inputs(_first(block.fc2), kept)


def make_low_rank(block, name, rank):
    """Put the best approximation of rank `rank` (truncated singular value decomposition) in the place of a matrix."""
    linear = getattr(block, name)
    found = LowRank(linear.in_features, rank, linear.out_features, linear.weight.device)
    if linear.weight.device.type != "meta":
        left, values, right = torch.linalg.svd(linear.weight.detach(), full_matrices=False)
        root = values[:rank].sqrt()
        found.up.weight = nn.Parameter(left[:, :rank] * root)
        found.down.weight = nn.Parameter(root[:, None] * right[:rank])
        found.up.bias = nn.Parameter(linear.bias.detach().clone())
    setattr(block, name, found)


def layer_sizes(model):
    """What each block has: `heads` (their numbers), `ffn_dim`, and `ranks` of its low-rank matrices by name."""
    return [
        dict(
            heads=heads_of(block),
            ffn_dim=_first(block.fc2).in_features,
            ranks={name: part.down.out_features for name, part in matrices_of(block).items() if isinstance(part, LowRank)},
        )
        for block in blocks_of(model)
    ]


def resize(model, layers):
    """The whole `model` cut down to `layers` (none: as it is), its tensors still to be read; on the meta device at no cost."""
    for block, sizes in zip(blocks_of(model), layers):
        if len(sizes["heads"]) < block.num_heads:
            keep_heads(block, sizes["heads"])
        keep_rows(block, torch.arange(sizes["ffn_dim"]))
        for name, rank in sizes["ranks"].items():
            make_low_rank(block, name, rank)
    return model


def _first(layer):
    return layer.down if isinstance(layer, LowRank) else layer


def _last(layer):
    return layer.up if isinstance(layer, LowRank) else layer


def _keep_outputs(layer, kept):
    layer = _last(layer)
    layer.weight, layer.bias = nn.Parameter(layer.weight.detach()[kept]), nn.Parameter(layer.bias.detach()[kept])
    layer.out_features = len(kept)


def _keep_inputs(layer, kept):
    layer.weight = nn.Parameter(layer.weight.detach()[:, kept].contiguous())
    layer.in_features = len(kept)
