"""Log-Mel as GSLM's baseline units use it: 80 Kaldi bins, 100 frames a second, nothing normalised, nothing learned.

Layer 0 is the only one.
**Source:** Lakhotia et al. 2021 (GSLM), arXiv 2102.01192, section 3.1; fairseq's `LogMelFeatureReader`: samples in [-1, 1]
and Kaldi's own window, unlike `log_mel`.
"""

import torch

from speech2unit.encoders.models.log_mel import kaldi_frames

SAMPLE_RATE_HZ = 16_000
HOP_SAMPLES = 160  # 10 ms
NUM_MELS = 80


class GSLMLogMel:
    """The encoder; see `speech2unit.encoders.Encoder`."""

    sample_rate, hop_length, dim, num_layers = SAMPLE_RATE_HZ, HOP_SAMPLES, NUM_MELS, 0

    def features(self, waveforms, layer):
        """See `Encoder.features`."""
        return [kaldi_frames(torch.as_tensor(waveform), num_mel_bins=NUM_MELS).numpy() for waveform in waveforms]


def load(folder, device):
    """The encoder; `folder` only names it, and it runs on the CPU whatever the device."""
    return GSLMLogMel()


def convert(tensors, sizes):
    """Nothing is learned: no tensors, no rows."""
    return {}, []
