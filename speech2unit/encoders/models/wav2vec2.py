"""wav2vec 2.0, HuBERT and WavLM: convolutions over the waveform, then a transformer. For training, and fast at inference.

**Source:** wav2vec 2.0, arXiv 2006.11477; HuBERT, arXiv 2106.07447; WavLM, arXiv 2110.13900. The numbers are fairseq's, to
rounding; nothing is masked.
"""

import math
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from speech2unit.encoders.models.fast_layers import Conv, Linear, PositionalConv, fold_group_norm
from speech2unit.encoders.models.transformer import TransformerBlock
from storage.errors import data_error
from training.device import attention
from training.dropout import Dropout

CPU_FRAMES, GPU_FRAMES = 100, 3000  # that pass the convolutions together: on a CPU few enough for its cache


@dataclass(frozen=True)
class Wav2Vec2Config:
    """Sizes; where each published model's come from is in config/config.yaml."""

    conv_layers: tuple  # (channels, kernel, stride) of each convolution
    conv_bias: bool
    conv_norm: str  # "group": over time, after the first convolution; "layer": over channels, after each one
    normalize_waveform: bool  # mean 0 and variance 1, each waveform by itself
    pre_norm: bool  # layer norms before (True) or after (False) attention and feed-forward part
    num_layers: int
    dim: int
    ffn_dim: int
    num_heads: int
    pos_conv_kernel: int  # frames
    pos_conv_groups: int
    num_buckets: int  # of relative positions (WavLM), 0: none
    max_distance: int  # frames beyond which relative positions share a bucket

    def __post_init__(self):
        if self.dim % self.num_heads or self.dim % self.pos_conv_groups:
            raise data_error(
                "wav2vec2 sizes",
                "heads and groups must have whole numbers of channels",
                expected=f"divisors of dim {self.dim}",
                got=f"num_heads {self.num_heads}, pos_conv_groups {self.pos_conv_groups}",
                remedy="take the sizes of the checkpoint",
            )

    @property
    def hop_length(self):
        """Samples from one frame to the next."""
        return math.prod(stride for _, _, stride in self.conv_layers)

    @property
    def min_samples(self):
        """Samples that one frame sees."""
        samples = 1
        for _, kernel, stride in reversed(self.conv_layers):
            samples = (samples - 1) * stride + kernel
        return samples


class FrontEnd(nn.Module):
    """Waveform → frames."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        dims = [1] + [dim for dim, _, _ in config.conv_layers]
        self.convs = nn.ModuleList(Conv(i, *sizes, config.conv_bias) for i, sizes in zip(dims, config.conv_layers))
        if config.conv_norm == "group":
            self.norms = nn.ModuleList([nn.GroupNorm(dims[1], dims[1])])
        else:
            self.norms = nn.ModuleList(nn.LayerNorm(dim) for dim in dims[1:])
        self.frame_norm, self.projection = nn.LayerNorm(dims[-1]), Linear(dims[-1], config.dim)

    def forward(self, waveform):
        """Waveform `[N]` → frames `[T, D]`. Only so much is in memory at once as some seconds need, and the frames."""
        if self.config.normalize_waveform:
            waveform = F.layer_norm(waveform, waveform.shape)
        samples, first = waveform[:, None].contiguous(), self.convs[0]
        weight, bias = first.weight, first.bias
        if self.config.conv_norm == "group":
            weight, bias = fold_group_norm(weight, self.norms[0], first.windows(samples))
        hop, step = self.config.hop_length, CPU_FRAMES if samples.device.type == "cpu" else GPU_FRAMES
        starts = range(0, len(samples) - self.config.min_samples + 1, step * hop)
        pieces = [samples[start:][: (step - 1) * hop + self.config.min_samples] for start in starts]
        return torch.cat([self.convolve(F.linear(first.windows(piece), weight, bias)) for piece in pieces])

    def convolve(self, x):
        """Outputs `[T, C]` of the first convolution → frames `[T, D]`."""
        layer_norms = self.norms if self.config.conv_norm == "layer" else None
        x = F.gelu(layer_norms[0](x) if layer_norms else x)
        for i, conv in enumerate(self.convs[1:], 1):
            x = F.gelu(layer_norms[i](conv(x))) if layer_norms else conv(x, gelu=True)
        return self.projection(self.frame_norm(x))


class RelativePositions(nn.Module):
    """Bias of attention that depends on how far apart two frames are, in buckets that widen with the distance (T5, WavLM)."""

    def __init__(self, config):
        super().__init__()
        self.max_distance = config.max_distance
        self.weight = nn.Parameter(torch.empty(config.num_buckets, config.num_heads))

    def forward(self, num_frames):
        """→ `[H, T, T]`: head, frame that looks, frame looked at."""
        distances = torch.arange(1 - num_frames, num_frames, device=self.weight.device)
        by_distance = self.weight[self.buckets(distances)].T
        return by_distance.unfold(1, num_frames, 1).flip(1)

    def buckets(self, distances):
        """Distances in frames (positive: looked at is later) → buckets: half of them earlier, half later."""
        half = len(self.weight) // 2
        exact, far = half // 2, distances.abs()
        wide = torch.log(far.clamp(min=1) / exact) / math.log(self.max_distance / exact) * (half - exact)
        near = torch.where(far < exact, far, (exact + wide.long()).clamp(max=half - 1))
        return near + half * (distances > 0)


class Gate(nn.Module):
    """Scale of the relative positions by what a frame holds. **Source:** WavLM, section III-B; its sums of four rows are summed."""

    def __init__(self, config):
        super().__init__()
        self.linear = nn.Linear(config.dim // config.num_heads, 2)
        self.scale = nn.Parameter(torch.empty(config.num_heads))

    def forward(self, x):
        """Heads `[B, H, T, D / H]` of a block's input → gates `[B, H, T, 1]`."""
        update, reset = self.linear(x).sigmoid().chunk(2, -1)
        return update * (reset * self.scale[:, None, None] - 1) + 2


class Block(TransformerBlock):
    """Transformer block with layer norms before or after each part."""

    QKV = ("qkv",)
    OUTPUT = "out"

    def __init__(self, config, dropout):
        super().__init__()
        self.num_heads, self.pre_norm, self.dropout = config.num_heads, config.pre_norm, Dropout(dropout)
        self.qkv, self.out = Linear(config.dim, 3 * config.dim), Linear(config.dim, config.dim)
        self.fc1, self.fc2 = Linear(config.dim, config.ffn_dim), Linear(config.ffn_dim, config.dim)
        self.attention_norm, self.ffn_norm = nn.LayerNorm(config.dim), nn.LayerNorm(config.dim)
        self.gate = Gate(config) if config.num_buckets else None

    def attend(self, x, attention_mask, positions):
        """`x` `[B, T, D]`; boolean `visible` `[B, 1, 1, T]` or None; `positions` `[H, T, T]` or None."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        if positions is not None:
            left = slice(None) if self.heads is None else self.heads
            bias = self.gate(x.unflatten(-1, (len(positions), -1)).transpose(1, 2)[:, left]) * positions[left]
            attention_mask = bias if attention_mask is None else bias.masked_fill(~attention_mask, -math.inf)
        return self.dropout(self.out(attention(q, k, v, attn_mask=attention_mask).transpose(1, 2).flatten(2)))

    def feed_forward(self, x):
        """Each frame by itself."""
        return self.dropout(self.fc2(self.fc1(x, gelu=True)))

    def forward(self, x, attention_mask, positions):
        """Arguments as `attend`."""
        if self.pre_norm:
            x = x + self.attend(self.attention_norm(x), attention_mask, positions)
            return x + self.feed_forward(self.ffn_norm(x))
        x = self.attention_norm(x + self.attend(x, attention_mask, positions))
        return self.ffn_norm(x + self.feed_forward(x))


class Wav2Vec2Model(nn.Module):
    """Waveforms → frames → hidden states."""

    def __init__(self, config, dropout=0.0, front_end=None):
        """`front_end`: a module that turns a waveform into frames `[T, D]` in place of convolutions."""
        super().__init__()
        self.config, self.dropout = config, Dropout(dropout)
        self.front_end = front_end or FrontEnd(config)
        self.pos_conv = PositionalConv(config.dim, config.pos_conv_kernel, config.pos_conv_groups)
        self.input_norm = None if config.pre_norm else nn.LayerNorm(config.dim)
        self.positions = RelativePositions(config) if config.num_buckets else None
        self.blocks = nn.ModuleList(Block(config, dropout) for _ in range(config.num_layers))

    def prepare(self):
        """Lay the weights out for the device they are on. The model is for inference from then on."""
        self.pos_conv.prepare()
        if self.pos_conv.weight.device.type == "cpu":
            for name, module in self.named_modules():
                if isinstance(module, Linear) and name != "front_end.convs.0":
                    module.pack()
        return self.eval().requires_grad_(False)

    def state(self, frames, layer):
        """List of frames `[T_i, D]` → hidden state `[B, T, D]`: the first block's input (layer 0) or the output of a block."""
        for x in self.states(frames, layer):
            state = x
        return state

    def states(self, frames, last_layer=None):
        """Yields the hidden state `[B, T, D]` of layer 0, 1, … `last_layer` (None: of all).

        Above layer 0 no norm follows the last block, also not in models with norms before (`pre_norm`), as in fairseq.
        """
        x, valid_mask = nn.utils.rnn.pad_sequence(frames, batch_first=True), None
        if len({len(f) for f in frames}) > 1:
            lengths = torch.tensor([len(f) for f in frames], device=x.device)
            valid_mask = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        x = self.embed(x)
        yield x
        for step in self.layer_functions(x.shape[1], valid_mask, last_layer):
            x = step(x)
            yield x

    def embed(self, x):
        """Frames `[B, T, D]`, zeros where there are none, → the first block's input."""
        x = x + F.gelu(self.pos_conv(x))
        return self.dropout(x if self.config.pre_norm else self.input_norm(x))

    def layer_functions(self, num_frames, valid_mask=None, last_layer=None):
        """The blocks up to `last_layer` as functions `[B, T, D]` → `[B, T, D]`; boolean `real` `[B, T]`: frames to look at."""
        positions = self.positions(num_frames) if self.positions is not None and last_layer != 0 else None
        attention_mask = None if valid_mask is None else valid_mask[:, None, None]
        return [partial(block, attention_mask=attention_mask, positions=positions) for block in self.blocks[:last_layer]]
