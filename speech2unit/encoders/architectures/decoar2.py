"""DeCoAR 2.0: the transformer of wav2vec 2.0 over log-Mel frames, pre-trained to reconstruct slices of them.

Layer 0 is the input of the first block, layer i the output of block i. The front end is that of s3prl's upstream `decoar2`:
80 log-Mel bins every 10 ms, each bin with mean 0 and standard deviation 1 over the utterance; every second frame is kept.

**Source:** DeCoAR 2.0, arXiv 2012.06659.
"""

from dataclasses import dataclass

import torch
from torch import nn

from speech2unit.encoders.architectures import wav2vec2
from speech2unit.encoders.models import wav2vec2_names
from speech2unit.encoders.models.fast_layers import Linear
from speech2unit.encoders.models.frame_encoder import FrameEncoder, FrameTrunk, load_model
from speech2unit.encoders.models.frame_transformer import SAMPLE_RATE_HZ
from speech2unit.encoders.models.log_mel import num_log_mel_frames
from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model

NUM_MELS = 80
PRETRAINING_TENSORS = r"(?!post_extract_proj\.|encoder\.).*"  # names of the tensors that s3prl does not load either
SIZES = ("num_layers", "dim", "ffn_dim", "num_heads", "pos_conv_kernel", "pos_conv_groups")  # settings in config.json


@dataclass(frozen=True)
class DeCoAR2Config(Wav2Vec2Config):
    """A `Wav2Vec2Config` without convolutions."""

    hop_length = 320  # two log-Mel frames
    min_samples = 560  # two windows of 25 ms, 10 ms apart: a single one has no standard deviation

    def num_frames(self, num_samples):
        """Return the number of frames of a waveform: every second log-Mel frame."""
        return -(-num_log_mel_frames(num_samples) // 2)


class FrontEnd(nn.Module):
    """Waveform → frames."""

    def __init__(self, dim):
        super().__init__()
        self.projection = Linear(NUM_MELS, dim)

    def forward(self, waveform):
        """Return the frames `[T, D]` of a waveform `[N]`. The filter bank runs on the CPU."""
        from torchaudio.compliance import kaldi

        settings = dict(num_mel_bins=NUM_MELS, window_type="hamming", sample_frequency=SAMPLE_RATE_HZ)
        mel = kaldi.fbank(waveform.cpu()[None], **settings)
        std, mean = torch.std_mean(mel, 0)
        normalized = (mel - mean) / (std + 1e-10)
        return self.projection(normalized[::2].to(waveform.device))


def build_model(settings):
    """Return a model without weights, with the sizes in an encoder's config.json."""
    config = DeCoAR2Config(
        conv_layers=(),
        conv_bias=False,
        conv_norm="group",
        normalize_waveform=False,
        pre_norm=False,
        num_buckets=0,
        max_distance=0,
        **{name: settings[name] for name in SIZES},
    )
    return Wav2Vec2Model(config, front_end=FrontEnd(config.dim))


def convert(tensors, sizes):
    """Convert the tensors in s3prl's file; arguments, result and errors as `wav2vec2_names.convert`."""
    with torch.device("meta"):
        return wav2vec2_names.convert_to(build_model(sizes), tensors, sizes, PRETRAINING_TENSORS)


keep_layers = wav2vec2.keep_layers


def load(folder, device):
    """Return the encoder saved in `folder`."""
    return FrameEncoder(load_model(folder, build_model), device).prepare()


def load_trunk(folder):
    """Return the encoder saved in `folder` as a `Trunk`."""
    return FrameTrunk(load_model(folder, build_model))
