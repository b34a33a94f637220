"""Whisper's encoder: log-Mel frames, two convolutions, absolute positions, then a transformer.

**Source:** Radford et al. 2022, arXiv 2212.04356, section 2.2; https://github.com/openai/whisper.
"""

import math
from dataclasses import dataclass
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import nn

from speech2unit.encoders.models import chunks
from speech2unit.encoders.models.block import Block
from speech2unit.encoders.models.fast_layers import Conv
from speech2unit.encoders.models.frame_transformer import SAMPLE_RATE_HZ, FrameTransformer, frames_together
from storage.errors import data_error
from training.dropout import Dropout

WINDOW_SAMPLES = 400  # 25 ms
SHIFT_SAMPLES = 160  # 10 ms from one log-Mel frame to the next
HOP_SAMPLES = 2 * SHIFT_SAMPLES  # the second convolution has stride 2
BLOCK_FRAMES = 1000  # log-Mel frames that are computed together
MIN_POWER = 1e-10
RANGE = 8.0  # powers of ten below the loudest value of a waveform at which values are cut off


@dataclass(frozen=True)
class WhisperConfig:
    """Sizes of a model and how it is used. config/presets/encoders.yaml has those of the published models."""

    num_mels: int
    num_positions: int  # frames of 20 ms; longer audio is computed in overlapping windows of this length
    num_layers: int
    dim: int
    ffn_dim: int
    num_heads: int
    padded: bool  # True: silence follows the audio until all positions are used, as published
    final_norm: bool  # True: the last layer is the output of the layer norm after the last block, as published

    pre_norm = True
    num_buckets = 0
    hop_length = HOP_SAMPLES
    min_samples = WINDOW_SAMPLES

    def __post_init__(self):
        if self.dim % self.num_heads or self.dim % 2 or self.num_positions <= 2 * chunks.OVERLAP_FRAMES:
            raise data_error(
                "whisper sizes",
                "each head must have a whole number of channels, and a window must be longer than its overlaps",
                expected=f"an even dim with divisor num_heads, num_positions above {2 * chunks.OVERLAP_FRAMES}",
                got=f"dim {self.dim}, num_heads {self.num_heads}, num_positions {self.num_positions}",
                remedy="take the sizes of the checkpoint",
            )


def num_frames(num_samples):
    """Return the number of frames of a waveform without padding: one for every two log-Mel frames."""
    return -(-(num_samples // SHIFT_SAMPLES) // 2)


def sinusoids(num_positions, dim):
    """Return the position vectors `[num_positions, dim]`: sines, then cosines, of wavelengths from 2π to 20,000π frames."""
    wavelengths = 10_000 ** torch.linspace(0, 1, dim // 2, dtype=torch.float64)
    angles = torch.arange(num_positions)[:, None] / wavelengths
    return torch.cat([angles.sin(), angles.cos()], 1).float()


@cache
def mel_filters(num_mels):
    """Return the Mel filters `[201, num_mels]`: triangles of equal area, computed in float64.

    Slaney's Mel scale is linear below 1,000 Hz (15 Mel) and logarithmic above.
    """
    highest = 15 + 27 * math.log(SAMPLE_RATE_HZ / 2 / 1000) / math.log(6.4)
    mels = torch.linspace(0, highest, num_mels + 2, dtype=torch.float64)
    hertz = torch.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    low, middle, high = hertz[:-2], hertz[1:-1], hertz[2:]
    frequencies = torch.arange(1 + WINDOW_SAMPLES // 2)[:, None] * (SAMPLE_RATE_HZ / WINDOW_SAMPLES)
    rising = (frequencies - low) / (middle - low)
    falling = (high - frequencies) / (high - middle)
    return (rising.minimum(falling).clamp(min=0) * 2 / (high - low)).float()


def log_mel(waveform, num_mels):
    """Return Whisper's log-Mel frames, which equal those of transformers' `WhisperFeatureExtractor`.

    Args:
        waveform: float32 `[N]` in [-1, 1] at 16 kHz, N ≥ 400.
        num_mels: number of Mel bins.

    Returns:
        float32 `[N // 160, num_mels]`, every 10 ms.
    """
    margin = WINDOW_SAMPLES // 2
    windows = F.pad(waveform[None], (margin, margin), mode="reflect")[0].unfold(0, WINDOW_SAMPLES, SHIFT_SAMPLES)[:-1]
    hann = torch.hann_window(WINDOW_SAMPLES, device=waveform.device)
    filters = mel_filters(num_mels).to(waveform.device)
    powers = []
    for block in windows.split(BLOCK_FRAMES):
        spectra = torch.view_as_real(torch.fft.rfft(block * hann))
        powers.append(spectra.square().sum(-1) @ filters)
    mel = torch.cat(powers).clamp(min=MIN_POWER).log10()
    return (mel.maximum(mel.max() - RANGE) + 4) / 4


class FrontEnd(nn.Module):
    """Compute the frames of a waveform: log-Mel frames and two convolutions."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.convs = nn.ModuleList([Conv(config.num_mels, config.dim, 3, 1, True), Conv(config.dim, config.dim, 3, 2, True)])

    def forward(self, waveform):
        """Return the frames `[T, D]` of a waveform `[N]`.

        They include frames of silence if the model is `padded`. Log-Mel frames are always computed in float32.
        """
        if self.config.padded:
            waveform = F.pad(waveform, (0, max(self._padded_samples(len(waveform)) - len(waveform), 0)))
        with torch.autocast(waveform.device.type, enabled=False):
            mel = log_mel(waveform, self.config.num_mels)
        step = frames_together(waveform.device)
        return torch.cat([self.convolve(mel, start, start + step) for start in range(0, num_frames(len(waveform)), step)])

    def convolve(self, mel, start, stop):
        """Return the frames from `start` up to `stop` (or the last one) for the log-Mel frames `[M, num_mels]`.

        Both convolutions see a frame on each side, which is zero before the first and after the last frame.
        """
        stop = min(stop, -(-len(mel) // 2))
        first = 2 * start - 1  # of the outputs of the first convolution that these frames see
        last = 2 * stop - 1
        inside = slice(max(first, 0), min(last, len(mel) - 1) + 1)
        x = F.pad(mel, (0, 0, 1, 1))[inside.start : inside.stop + 2]
        x = F.pad(self.convs[0](x, gelu=True), (0, 0, inside.start - first, last + 1 - inside.stop))
        return self.convs[1](x, gelu=True)

    def _padded_samples(self, num_samples):
        """Return the number of samples with which the last window is full."""
        max_frames = self.config.num_positions
        frames = num_frames(num_samples)
        if frames > max_frames:
            step = max_frames - 2 * chunks.OVERLAP_FRAMES
            max_frames = -(-frames // step) * step + chunks.OVERLAP_FRAMES
        return max_frames * HOP_SAMPLES


class WhisperModel(FrameTransformer):
    """Compute the hidden states of frames, which `front_end` computes from waveforms.

    The bias of the keys, which the published model does not have, is 0 and has no effect.
    """

    def __init__(self, config, dropout=0.0):
        """Create a model without trained weights; `config`: a `WhisperConfig`, `dropout`: probability of dropout."""
        super().__init__()
        self.config = config
        self.max_frames = config.num_positions
        self.dropout = Dropout(dropout)
        self.front_end = FrontEnd(config)
        self.register_buffer("positions", sinusoids(config.num_positions, config.dim))
        self.blocks = nn.ModuleList(Block(config, dropout) for _ in range(config.num_layers))
        self.final_norm = nn.LayerNorm(config.dim) if config.final_norm else None

    def embed(self, x):
        """See `FrameTransformer.embed`. Raises `ValueError` if there are more frames than positions."""
        return self.dropout(self.with_positions(x))

    def with_positions(self, x):
        """Return frames `[…, T, D]` with their positions. Raises `ValueError` if there are more frames than positions."""
        length = x.shape[-2]
        if length > self.max_frames:
            raise data_error(
                "whisper",
                "frames that are computed together must have positions",
                expected=f"at most {self.max_frames} frames",
                got=f"{length}",
                remedy="lower 'max_crop_frames' in the preset of the training",
            )
        return x + self.positions[:length]

    def layer_functions(self, num_frames, valid_mask=None, last_layer=None):
        """See `FrameTransformer.layer_functions`."""
        attention_mask = None if valid_mask is None else valid_mask[:, None, None]
        functions = [partial(block, attention_mask=attention_mask, positions=None) for block in self.blocks[:last_layer]]
        if self.final_norm is not None and len(functions) == len(self.blocks):
            last_block = functions.pop()
            functions.append(lambda x: self.final_norm(last_block(x)))
        return functions
