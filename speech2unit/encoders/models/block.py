"""The transformer block of wav2vec 2.0 and its family and of Whisper."""

import math

import torch
from torch import nn

from speech2unit.encoders.models.fast_layers import Linear
from speech2unit.encoders.models.transformer import TransformerBlock
from training.device import attention
from training.dropout import Dropout


class Gate(nn.Module):
    """Factor of the relative position bias that depends on the content of the query frame.

    The published layer has 8 outputs, which are summed in two groups of four. Here the weights are summed instead, which is the
    same.

    **Source:** WavLM, arXiv 2110.13900, section III-B.
    """

    def __init__(self, config):
        super().__init__()
        self.linear = nn.Linear(config.dim // config.num_heads, 2)
        self.scale = nn.Parameter(torch.empty(config.num_heads))

    def forward(self, x):
        """Return gates `[B, H, T, 1]` for a block's input, split into heads: `[B, H, T, D / H]`."""
        update, reset = self.linear(x).sigmoid().chunk(2, -1)
        return update * (reset * self.scale[:, None, None] - 1) + 2


class Block(TransformerBlock):
    """Transformer block with layer norms before or after each part."""

    QKV = ("qkv",)
    OUTPUT = "out"

    def __init__(self, config, dropout):
        super().__init__()
        self.num_heads = config.num_heads
        self.pre_norm = config.pre_norm
        self.dropout = Dropout(dropout)
        self.qkv = Linear(config.dim, 3 * config.dim)
        self.out = Linear(config.dim, config.dim)
        self.fc1 = Linear(config.dim, config.ffn_dim)
        self.fc2 = Linear(config.ffn_dim, config.dim)
        self.attention_norm = nn.LayerNorm(config.dim)
        self.ffn_norm = nn.LayerNorm(config.dim)
        self.gate = Gate(config) if config.num_buckets else None

    def attend(self, x, attention_mask, positions):
        """Return the output of attention.

        Args:
            x: `[B, T, D]`.
            attention_mask: boolean `[B, 1, 1, T]`, True for frames to attend to; None: all.
            positions: bias `[H, T, T]` of all heads before pruning, or None.
        """
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        if positions is not None:
            heads = slice(None) if self.heads is None else self.heads
            gates = self.gate(x.unflatten(-1, (len(positions), -1)).transpose(1, 2)[:, heads])
            bias = gates * positions[heads]
            attention_mask = bias if attention_mask is None else bias.masked_fill(~attention_mask, -math.inf)
        attended = attention(q, k, v, attn_mask=attention_mask).transpose(1, 2).flatten(2)
        return self.dropout(self.out(attended))

    def feed_forward(self, x):
        """Return the output of the feed-forward part for `x` `[B, T, D]`."""
        return self.dropout(self.fc2(self.fc1(x, gelu=True)))

    def forward(self, x, attention_mask, positions):
        """Return the output `[B, T, D]` of the block; arguments as `attend`."""
        if self.pre_norm:
            x = x + self.attend(self.attention_norm(x), attention_mask, positions)
            return x + self.feed_forward(self.ffn_norm(x))
        x = self.attention_norm(x + self.attend(x, attention_mask, positions))
        return self.ffn_norm(x + self.feed_forward(x))
