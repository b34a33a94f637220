"""MelHuBERT: a transformer over log-Mel frames."""

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from speech2unit.encoders.models.log_mel import NUM_MELS
from speech2unit.encoders.models.transformer import TransformerBlock
from training.device import attention
from training.dropout import Dropout


@dataclass(frozen=True)
class MelHuBERTConfig:
    """Sizes. `num_targets`: pseudo-labels in each set; `conv_kernel`: frames that the positional convolution sees."""

    num_layers: int
    dim: int
    ffn_dim: int
    num_heads: int
    conv_kernel: int
    conv_groups: int
    num_targets: tuple
    frame_ms: int = 20  # 10: frames of 40 log-Mel bins; 20: two of them, 80


class MelHuBERTModel(nn.Module):
    """Frames → hidden states → logits over each set of pseudo-labels."""

    def __init__(self, config, dropout=0.0):
        super().__init__()
        self.config = config
        self.post_extract_proj = nn.Linear(NUM_MELS * config.frame_ms // 10, config.dim)
        conv = nn.Conv1d(config.dim, config.dim, config.conv_kernel, padding=config.conv_kernel // 2, groups=config.conv_groups)
        nn.init.normal_(conv.weight, std=(4 * (1 - dropout) / (config.conv_kernel * config.dim)) ** 0.5)
        nn.init.zeros_(conv.bias)
        self.pos_conv = nn.utils.parametrizations.weight_norm(conv, dim=2)
        self.layer_norm = nn.LayerNorm(config.dim)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(Block(config, dropout) for _ in range(config.num_layers))
        self.final_proj = nn.ModuleList(nn.Linear(config.dim, size) for size in config.num_targets)

    @property
    def blocks(self):
        """The transformer blocks, in order."""
        return self.layers

    def hidden_states(self, frames, lengths=None, last_layer=None):
        """Frames `[B, T, 80]` (of 10 ms: 40) → list of `[B, T, D]`: input of the first block, then the output of each up to `last_layer`.

        `lengths` `[B]`: real frames of each row; nothing that a row yields depends on what pads it.
        """
        valid_mask = None if lengths is None else torch.arange(frames.shape[1], device=frames.device)[None] < lengths[:, None]
        states = [self.embed(self.post_extract_proj(frames), valid_mask)]
        for step in self.layer_functions(valid_mask, last_layer):
            states.append(step(states[-1]))
        return states

    def embed(self, x, valid_mask=None):
        """Projected frames `[B, T, D]` → the first block's input; boolean `real` `[B, T]` or None: frames that are not padding."""
        if valid_mask is not None:
            x = x * valid_mask[..., None]
        positions = self.pos_conv(x.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2)
        return self.dropout(self.layer_norm(x + F.gelu(positions)))

    def layer_functions(self, valid_mask=None, last_layer=None):
        """The blocks up to `last_layer` as functions `[B, T, D]` → `[B, T, D]`."""
        attention_mask = None if valid_mask is None else valid_mask[:, None, None]
        return [partial(layer, attention_mask=attention_mask) for layer in self.blocks[:last_layer]]

    def forward(self, frames, lengths=None):
        """Frames `[B, T, 80]` → logits `[B, T, K]` over each set of targets."""
        last = self.hidden_states(frames, lengths)[-1]
        return [head(last) for head in self.final_proj]


class Block(TransformerBlock):
    """Transformer block with a layer norm after each part."""

    QKV = ("q_proj", "k_proj", "v_proj")
    OUTPUT = "out_proj"

    def __init__(self, config, dropout):
        super().__init__()
        self.num_heads = config.num_heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(config.dim, config.dim) for _ in range(4))
        self.self_attn_layer_norm = nn.LayerNorm(config.dim)
        self.fc1, self.fc2 = nn.Linear(config.dim, config.ffn_dim), nn.Linear(config.ffn_dim, config.dim)
        self.final_layer_norm = nn.LayerNorm(config.dim)
        self.dropout = Dropout(dropout)

    def forward(self, x, attention_mask):
        """`x` `[B, T, D]`; boolean `visible` `[B, 1, 1, T]` or None: the frames that attention may look at."""
        q, k, v = (p(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        attended = attention(q, k, v, attn_mask=attention_mask).transpose(1, 2).flatten(2)
        x = self.self_attn_layer_norm(x + self.dropout(self.out_proj(attended)))
        return self.final_layer_norm(x + self.dropout(self.fc2(self.dropout(F.gelu(self.fc1(x))))))
