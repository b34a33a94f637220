"""Log-Mel frames as in GSLM's baseline: 80 Kaldi bins every 10 ms, without normalization and without learned weights.

Layer 0 is the only one. Unlike in `log_mel`, samples are in [-1, 1], and the window is Kaldi's default (Povey).

**Source:** Lakhotia et al. 2021 (GSLM), arXiv 2102.01192, section 3.1; fairseq's `LogMelFeatureReader`.
"""

import torch

from speech2unit.encoders.models.log_mel import SAMPLE_RATE_HZ, SHIFT_SAMPLES, kaldi_frames, num_log_mel_frames

NUM_MELS = 80
NUM_LAYERS = 0  # of every encoder of this architecture: a row with a higher layer is refused


class GSLMLogMel:
    """Log-Mel frames; see `speech2unit.encoders.Encoder`. They are computed on the CPU."""

    sample_rate = SAMPLE_RATE_HZ
    hop_length = SHIFT_SAMPLES
    dim = NUM_MELS
    num_layers = NUM_LAYERS

    def features(self, waveforms, layer):
        """See `Encoder.features`."""
        return [kaldi_frames(torch.as_tensor(waveform), num_mel_bins=NUM_MELS).numpy() for waveform in waveforms]

    def num_frames(self, num_samples):
        """See `Encoder.num_frames`."""
        return num_log_mel_frames(num_samples)


def load(folder, device):
    """Return the encoder; there is nothing to read from the folder."""
    return GSLMLogMel()


def convert(tensors, sizes):
    """Return no tensors and no rows of a load report, as nothing is learned."""
    return {}, []
