"""DeCoAR 2.0: the transformer of wav2vec 2.0 over log-Mel frames, pre-trained to reconstruct slices of them.

Layer 0 is the input of the first block, layer i the output of the i-th.
**Source:** DeCoAR 2.0, arXiv 2012.06659; the numbers are those of s3prl's `decoar2`: 80 log-Mel bins every 10 ms, each with
mean 0 and deviation 1 over the utterance, of which every second frame is kept.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from speech2unit.encoders.architectures.wav2vec2 import SAMPLE_RATE_HZ, Wav2Vec2, Wav2Vec2Trunk, filled
from speech2unit.encoders.models.fast_layers import Linear
from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from speech2unit.encoders.models.wav2vec2_names import renamed
from storage.files import read_json

NUM_MELS = 80
OF_PRETRAINING = r"(?!post_extract_proj\.|encoder\.).*"  # names, which s3prl leaves out as well
SIZES = (
    "num_layers",
    "dim",
    "ffn_dim",
    "num_heads",
    "pos_conv_kernel",
    "pos_conv_groups",
)  # in config.json; see `Wav2Vec2Config`


@dataclass(frozen=True)
class DeCoAR2Config(Wav2Vec2Config):
    """A `Wav2Vec2Config` without convolutions."""

    hop_length, min_samples = 320, 560  # of a frame of two, and of the two windows that have a deviation


class FrontEnd(nn.Module):
    """Waveform → frames."""

    def __init__(self, dim):
        super().__init__()
        self.projection = Linear(NUM_MELS, dim)

    def forward(self, waveform):
        """Waveform `[N]` → frames `[T, D]`; the filter bank runs on the CPU."""
        from torchaudio.compliance import kaldi

        settings = dict(num_mel_bins=NUM_MELS, window_type="hamming", sample_frequency=SAMPLE_RATE_HZ)
        deviation, mean = torch.std_mean(mel := kaldi.fbank(waveform.cpu()[None], **settings), 0)
        return self.projection(((mel - mean) / (deviation + 1e-10))[::2].to(waveform.device))


def build(sizes):
    """A model with sizes by the names of `SIZES`."""
    none = dict(conv_layers=(), conv_bias=False, conv_norm="group", normalize_waveform=False, num_buckets=0, max_distance=0)
    return Wav2Vec2Model(DeCoAR2Config(**none, pre_norm=False, **sizes), front_end=FrontEnd(sizes["dim"]))


def convert(tensors, sizes):
    """As `wav2vec2.convert`, of the model in s3prl's file."""
    with torch.device("meta"):
        return renamed(tensors, build(sizes), sizes, OF_PRETRAINING)


def load(folder, device):
    """The encoder in `folder`."""
    return Wav2Vec2(read_model(folder).to(device).prepare(), device)


def load_trunk(folder):
    """The encoder in `folder` as a `Trunk`."""
    return Wav2Vec2Trunk(read_model(folder))


def read_model(folder):
    """The model in `folder`, as it can be trained."""
    settings = read_json(Path(folder) / "config.json")
    return filled(lambda: build({name: settings[name] for name in SIZES}), folder)
