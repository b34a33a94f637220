"""MelHuBERT as a PyTorch module: from log-Mel frames to hidden states, and from these to logits over pseudo-labels.

**Source:** MelHuBERT, arXiv 2211.09944.
"""

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
    """Sizes of a model."""

    num_layers: int
    dim: int
    ffn_dim: int
    num_heads: int
    conv_kernel: int  # frames, of the positional convolution
    conv_groups: int
    num_targets: tuple  # number of pseudo-labels in each set
    frame_ms: int = 20  # 10: frames of 40 log-Mel bins; 20: two of them, 80 values


class Block(TransformerBlock):
    """Transformer block with a layer norm after each part."""

    QKV = ("q_proj", "k_proj", "v_proj")
    OUTPUT = "out_proj"

    def __init__(self, config, dropout):
        super().__init__()
        self.num_heads = config.num_heads
        self.q_proj = nn.Linear(config.dim, config.dim)
        self.k_proj = nn.Linear(config.dim, config.dim)
        self.v_proj = nn.Linear(config.dim, config.dim)
        self.out_proj = nn.Linear(config.dim, config.dim)
        self.self_attn_layer_norm = nn.LayerNorm(config.dim)
        self.fc1 = nn.Linear(config.dim, config.ffn_dim)
        self.fc2 = nn.Linear(config.ffn_dim, config.dim)
        self.final_layer_norm = nn.LayerNorm(config.dim)
        self.dropout = Dropout(dropout)

    def forward(self, x, attention_mask):
        """Return the output `[B, T, D]` of the block.

        Args:
            x: `[B, T, D]`.
            attention_mask: boolean `[B, 1, 1, T]`, True for frames to attend to; None: all.
        """
        q, k, v = (projection(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for projection in self.qkv_projections)
        attended = attention(q, k, v, attn_mask=attention_mask).transpose(1, 2).flatten(2)
        x = self.self_attn_layer_norm(x + self.dropout(self.out_proj(attended)))
        return self.final_layer_norm(x + self.dropout(self.fc2(self.dropout(F.gelu(self.fc1(x))))))


class MelHuBERTModel(nn.Module):
    """Transformer that maps log-Mel frames to hidden states, and these to logits over each set of pseudo-labels."""

    def __init__(self, config, dropout=0.0):
        """Create a model with random weights; `config`: a `MelHuBERTConfig`, `dropout`: probability of dropout."""
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

    def initialize_blocks(self, initialization):
        """Draw the matrices of all blocks again.

        Args:
            initialization: `pytorch`: keep what PyTorch's linear layers start from, uniform matrices and biases. `bert`: draw all
                matrices of the blocks from N(0, 0.02²) and set their biases to 0.

        **Source:** `bert`: arXiv 1810.04805, and fairseq's `init_bert_params`, which MelHuBERT's authors use.
        """
        if initialization == "bert":
            for block in self.blocks:
                for matrix in block.matrices.values():
                    nn.init.normal_(matrix.weight, std=0.02)
                    nn.init.zeros_(matrix.bias)

    @property
    def blocks(self):
        """The transformer blocks; `layers` is the name of their tensors."""
        return self.layers

    def prepare(self):
        """Set the model to inference."""
        return self.eval().requires_grad_(False)

    def hidden_states(self, frames, lengths=None, last_layer=None):
        """Return the hidden states of all layers. Padding does not change them.

        Args:
            frames: normalized log-Mel frames `[B, T, 80]`, or `[B, T, 40]` if they are 10 ms apart.
            lengths: number of frames of each row that are not padding, `[B]`; None: there is no padding.
            last_layer: the last layer to compute; None: all layers.

        Returns:
            List of `[B, T, D]`: the input of the first block, then the output of each block up to `last_layer`.
        """
        valid_mask = None
        if lengths is not None:
            valid_mask = torch.arange(frames.shape[1], device=frames.device)[None] < lengths[:, None]
        states = [self.embed(self.post_extract_proj(frames), valid_mask)]
        for layer in self.layer_functions(valid_mask, last_layer):
            states.append(layer(states[-1]))
        return states

    def embed(self, x, valid_mask=None):
        """Return the input of the first block.

        Args:
            x: projected frames `[B, T, D]`.
            valid_mask: boolean `[B, T]`, True for frames that are not padding; None: there is no padding.
        """
        if valid_mask is not None:
            x = x * valid_mask[..., None]
        positions = self.pos_conv(x.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2)
        return self.dropout(self.layer_norm(x + F.gelu(positions)))

    def layer_functions(self, valid_mask=None, last_layer=None):
        """Return a list with one function per layer, which maps its input `[B, T, D]` to its output `[B, T, D]`.

        Args:
            valid_mask: as in `embed`.
            last_layer: the last layer to return; None: all layers.
        """
        attention_mask = None if valid_mask is None else valid_mask[:, None, None]
        return [partial(block, attention_mask=attention_mask) for block in self.blocks[:last_layer]]

    def forward(self, frames, lengths=None):
        """Return a list of logits `[B, T, K]`, one for each set of pseudo-labels; arguments as `hidden_states`."""
        last_state = self.hidden_states(frames, lengths)[-1]
        return [head(last_state) for head in self.final_proj]
