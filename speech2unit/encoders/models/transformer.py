"""The interface that all transformer blocks share.

The layers of a block have different names in different models: MelHuBERT has `q_proj`, `k_proj`, `v_proj` and `out_proj`, while
wav2vec 2.0 (in this project) has `qkv` and `out`. Pruning, factorization and tuning access them through `TransformerBlock`.
"""

import torch
from torch import nn


class TransformerBlock(nn.Module):
    """Base class of transformer blocks.

    A subclass sets `QKV` and `OUTPUT`, creates the linear layers of these names, `fc1` and `fc2`, and sets `num_heads`.
    Any of these layers may be replaced by a `FactorizedLinear`.
    """

    QKV: tuple  # names of the layers that compute queries, keys and values: three layers, or one that computes all three
    OUTPUT: str  # name of the layer that reads the concatenated outputs of all heads
    FEED_FORWARD = ("fc1", "fc2")  # the first two are those of the feed-forward part whose rows can be pruned

    num_heads: int
    heads = None  # after pruning: which of the original heads are left, such as [0, 3]; None: all

    @property
    def qkv_projections(self):
        """The layers that compute queries, keys and values."""
        return [getattr(self, name) for name in self.QKV]

    @property
    def output_projection(self):
        """The layer that reads the concatenated outputs of all heads."""
        return getattr(self, self.OUTPUT)

    @property
    def matrices(self):
        """Dictionary of the linear layers by name, without those of gates and convolutions."""
        return {name: getattr(self, name) for name in (*self.QKV, self.OUTPUT, *self.FEED_FORWARD)}

    @property
    def head_numbers(self):
        """List of the heads that are left, numbered as before any pruning."""
        return list(range(self.num_heads)) if self.heads is None else self.heads

    def head_outputs(self, projection):
        """Return the positions of the outputs of each head in one of `qkv_projections`.

        Returns:
            Integer tensor `[parts, num_heads, head_dim]`. `parts` is 3 if the layer computes queries, keys and values, else 1.
        """
        head_dim = self.output_projection.in_features // self.num_heads
        return torch.arange(projection.out_features).view(-1, self.num_heads, head_dim)

    def qkv_outputs(self):
        """Return three pairs, for queries, keys and values: the layer that computes them and the slice of its outputs."""
        parts = 3 // len(self.QKV)
        size = self.output_projection.in_features
        return [
            (projection, slice(part * size, (part + 1) * size)) for projection in self.qkv_projections for part in range(parts)
        ]
