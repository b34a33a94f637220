"""wav2vec 2.0 and its family: convolutions over the waveform, then a transformer. For training and for fast inference.

The results equal those of fairseq, up to rounding; those of data2vec and SEW equal transformers'. Nothing is masked.

**Source:** wav2vec 2.0, arXiv 2006.11477; HuBERT, arXiv 2106.07447; WavLM, arXiv 2110.13900; UniSpeech, arXiv 2101.07597;
UniSpeech-SAT, arXiv 2110.05752; data2vec, arXiv 2202.03555; SEW, arXiv 2109.06870.
"""

import math
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from speech2unit.encoders.models.block import Block
from speech2unit.encoders.models.fast_layers import Conv, Linear, PositionalConv, fold_group_norm
from speech2unit.encoders.models.frame_transformer import FrameTransformer, frames_together
from storage.errors import data_error
from training.dropout import Dropout


@dataclass(frozen=True)
class Wav2Vec2Config:
    """Sizes of a model. config/presets/encoders.yaml has those of the published models, with their sources."""

    conv_layers: tuple  # (channels, kernel, stride) of each convolution
    conv_bias: bool
    conv_norm: str  # "group": over time, after the first convolution; "layer": over channels, after each convolution
    normalize_waveform: bool  # True: each waveform gets mean 0 and variance 1
    pre_norm: bool  # layer norms before (True) or after (False) attention and feed-forward part
    num_layers: int
    dim: int
    ffn_dim: int
    num_heads: int
    pos_conv_kernel: int  # frames
    pos_conv_groups: int
    num_buckets: int  # number of buckets of relative positions (WavLM); 0: the model has none
    max_distance: int  # frames beyond which all relative positions share a bucket
    pos_conv_layers: int = 0  # positional convolutions with layer norms, one after another (data2vec); 0: one without norm
    squeeze: int = 1  # frames that are averaged to one before the first block (SEW)

    def __post_init__(self):
        if self.dim % self.num_heads or self.dim % self.pos_conv_groups:
            raise data_error(
                "wav2vec2 sizes",
                "each head and each group must have a whole number of channels",
                expected=f"divisors of dim {self.dim}",
                got=f"num_heads {self.num_heads}, pos_conv_groups {self.pos_conv_groups}",
                remedy="take the sizes of the checkpoint",
            )

    @property
    def frames_have_positions(self):
        """Whether the front end adds positions to the frames, see `PositionedFrontEnd`."""
        return self.pos_conv_layers > 0 or self.squeeze > 1

    @property
    def conv_hop(self):
        """Samples from one output of the convolutions to the next."""
        return math.prod(stride for _, _, stride in self.conv_layers)

    @property
    def hop_length(self):
        """Samples from one frame to the next."""
        return self.conv_hop * self.squeeze

    @property
    def min_samples(self):
        """Samples from which one frame is computed."""
        return self.conv_samples(self.squeeze)

    def num_frames(self, num_samples):
        """Return the number of frames of a waveform of `num_samples` samples."""
        num_outputs = (num_samples - self.conv_samples(1)) // self.conv_hop + 1
        return num_outputs // self.squeeze

    def conv_samples(self, num_outputs):
        """Return the number of samples from which the convolutions compute `num_outputs` outputs."""
        samples = num_outputs
        for _, kernel, stride in reversed(self.conv_layers):
            samples = (samples - 1) * stride + kernel
        return samples


class FrontEnd(nn.Module):
    """Compute the frames of a waveform: convolutions, a layer norm and a projection."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        dims = [1] + [dim for dim, _, _ in config.conv_layers]
        self.convs = nn.ModuleList(Conv(dim, *sizes, config.conv_bias) for dim, sizes in zip(dims, config.conv_layers))
        if config.conv_norm == "group":
            self.norms = nn.ModuleList([nn.GroupNorm(dims[1], dims[1])])
        else:
            self.norms = nn.ModuleList(nn.LayerNorm(dim) for dim in dims[1:])
        self.frame_norm = nn.LayerNorm(dims[-1])
        self.projection = Linear(dims[-1], config.dim)

    def forward(self, waveform):
        """Return the frames `[T, D]` of a waveform `[N]`.

        Convolutions are computed for some seconds at a time, so that their memory does not grow with the waveform.
        """
        if self.config.normalize_waveform:
            waveform = F.layer_norm(waveform, waveform.shape)
        samples = waveform[:, None].contiguous()
        first_conv = self.convs[0]
        weight, bias = first_conv.weight, first_conv.bias
        if self.config.conv_norm == "group":
            weight, bias = fold_group_norm(weight, self.norms[0], first_conv.windows(samples))
        num_frames = frames_together(samples.device)
        step = num_frames * self.config.conv_hop
        frames = []
        for start in range(0, len(samples) - self.config.conv_samples(1) + 1, step):
            chunk = samples[start:][: self.config.conv_samples(num_frames)]
            frames.append(self.convolve(F.linear(first_conv.windows(chunk), weight, bias)))
        return torch.cat(frames)

    def convolve(self, x):
        """Return the frames `[T, D]` for the outputs `[T', C]` of the first convolution."""
        layer_norms = self.norms if self.config.conv_norm == "layer" else None
        x = F.gelu(layer_norms[0](x) if layer_norms else x)
        for i, conv in enumerate(self.convs[1:], 1):
            x = F.gelu(layer_norms[i](conv(x))) if layer_norms else conv(x, gelu=True)
        return self.projection(self.frame_norm(x))


class PositionedFrontEnd(FrontEnd):
    """Front end of data2vec and SEW, which also adds positions to the frames.

    data2vec has several positional convolutions with layer norms, and SEW averages the frames of one step. Computed in a padded
    batch, as in transformers, both would let padding change the frames before it; here each waveform is computed alone.
    """

    def __init__(self, config):
        super().__init__(config)
        if config.squeeze > 1 and config.conv_layers[-1][0] == config.dim:
            self.projection = nn.Identity()
        self.pos_convs = nn.ModuleList(
            PositionalConv(config.dim, config.pos_conv_kernel, config.pos_conv_groups) for _ in range(config.pos_conv_layers or 1)
        )

    def forward(self, waveform):
        """Return the frames `[T, D]` of a waveform `[N]`."""
        frames = super().forward(waveform)
        step = self.config.squeeze
        num_frames = len(frames) // step
        averages = frames[: num_frames * step].unflatten(0, (num_frames, step)).mean(1)
        return averages + self.positions(frames)[::step][:num_frames]

    def positions(self, frames):
        """Return what is added to the frames `[T, D]` for their positions."""
        x = frames[None]
        for pos_conv in self.pos_convs:
            x = pos_conv(x)
            x = F.gelu(F.layer_norm(x, x.shape[-1:]) if self.config.pos_conv_layers else x)
        return x[0]


class RelativePositions(nn.Module):
    """Attention bias that depends on the distance of two frames, in buckets that widen with the distance (T5, WavLM)."""

    def __init__(self, config):
        super().__init__()
        self.max_distance = config.max_distance
        self.weight = nn.Parameter(torch.empty(config.num_buckets, config.num_heads))

    def forward(self, num_frames):
        """Return the bias `[H, T, T]`: head, query frame, key frame."""
        distances = torch.arange(1 - num_frames, num_frames, device=self.weight.device)
        by_distance = self.weight[self.buckets(distances)].T
        return by_distance.unfold(1, num_frames, 1).flip(1)

    def buckets(self, distances):
        """Return the bucket of each distance, key minus query frame. The first half is for distances ≤ 0, the second for > 0."""
        half = len(self.weight) // 2
        num_exact = half // 2  # distances below this have a bucket each
        lengths = distances.abs()
        wide = torch.log(lengths.clamp(min=1) / num_exact) / math.log(self.max_distance / num_exact) * (half - num_exact)
        bucket = torch.where(lengths < num_exact, lengths, (num_exact + wide.long()).clamp(max=half - 1))
        return bucket + half * (distances > 0)


class Wav2Vec2Model(FrameTransformer):
    """Compute the hidden states of frames, which `front_end` computes from waveforms.

    As in fairseq, no layer norm follows the last block, even in models with norms before each part (`pre_norm`).
    """

    never_packed = ("front_end.convs.0",)

    def __init__(self, config, dropout=0.0, front_end=None):
        """Create a model without trained weights.

        Args:
            config: a `Wav2Vec2Config`.
            dropout: probability of dropout.
            front_end: module that returns the frames `[T, D]` of a waveform `[N]`; None: the convolutions of `config`.
        """
        super().__init__()
        self.config = config
        self.dropout = Dropout(dropout)
        if config.frames_have_positions:
            self.front_end = PositionedFrontEnd(config)
            self.pos_conv = None
        else:
            self.front_end = front_end or FrontEnd(config)
            self.pos_conv = PositionalConv(config.dim, config.pos_conv_kernel, config.pos_conv_groups)
        self.has_positional_conv = self.pos_conv is not None
        self.input_norm = None if config.pre_norm else nn.LayerNorm(config.dim)
        self.positions = RelativePositions(config) if config.num_buckets else None
        self.blocks = nn.ModuleList(Block(config, dropout) for _ in range(config.num_layers))

    def prepare(self):
        """See `FrameTransformer.prepare`."""
        self._prepare_positional_convs()
        return super().prepare()

    def freeze_inputs(self):
        """See `FrameTransformer.freeze_inputs`."""
        super().freeze_inputs()
        self._prepare_positional_convs()
        if self.pos_conv is not None:
            self.pos_conv.eval().requires_grad_(False)

    def _prepare_positional_convs(self):
        for module in self.modules():
            if isinstance(module, PositionalConv):
                module.prepare()

    def embed(self, x):
        """See `FrameTransformer.embed`."""
        if self.pos_conv is not None:
            x = x + F.gelu(self.pos_conv(x))
        return self.dropout(x if self.config.pre_norm else self.input_norm(x))

    def layer_functions(self, num_frames, valid_mask=None, last_layer=None):
        """See `FrameTransformer.layer_functions`."""
        positions = self.positions(num_frames) if self.positions is not None and last_layer != 0 else None
        attention_mask = None if valid_mask is None else valid_mask[:, None, None]
        return [partial(block, attention_mask=attention_mask, positions=positions) for block in self.blocks[:last_layer]]
