"""Log-Mel frames: 40 bins every 10 ms, or two such frames (80 values) every 20 ms, normalized over the training split.

Layer 0 is the only one. MelHuBERT has the same front end.

**Source:** MelHuBERT, arXiv 2211.09944, section 3. Subtracting the loudness of each utterance is our addition.
"""

from pathlib import Path

from speech2unit.encoders.models.log_mel import SAMPLE_RATE_HZ, load_front_end

RECIPE = "fit_log_mel"
NUM_LAYERS = 0  # of every encoder of this architecture: a row with a higher layer is refused


class LogMel:
    """Normalized log-Mel frames; see `speech2unit.encoders.Encoder`. They are computed on the CPU."""

    sample_rate = SAMPLE_RATE_HZ
    num_layers = NUM_LAYERS

    def __init__(self, front_end):
        self.front_end = front_end
        self.hop_length = front_end.hop_length
        self.dim = front_end.dim

    def features(self, waveforms, layer):
        """See `Encoder.features`."""
        return [self.front_end(waveform).numpy() for waveform in waveforms]

    def num_frames(self, num_samples):
        """See `Encoder.num_frames`."""
        return self.front_end.num_frames(num_samples)


def load(folder, device):
    """Return the encoder saved in `folder`."""
    return LogMel(load_front_end(Path(folder) / "model.safetensors", Path(folder) / "config.json"))
