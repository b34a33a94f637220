"""Log-Mel encoder, and the front end that MelHuBERT shares with it.

Layer 0, the only one, is the normalised front end: frames of 40 log-Mel bins every 10 ms, or two of them every 20 ms (80
values).
**Source:** MelHuBERT, arXiv 2211.09944, section 3. Removing the level is ours.
"""

from pathlib import Path

from speech2unit.encoders.models.log_mel import SAMPLE_RATE_HZ, load_front_end


class LogMel:
    """The encoder; see `speech2unit.encoders.Encoder`."""

    sample_rate, num_layers = SAMPLE_RATE_HZ, 0

    def __init__(self, front_end):
        self.front_end, self.hop_length, self.dim = front_end, front_end.hop_length, front_end.dim

    def features(self, waveforms, layer):
        """See `Encoder.features`."""
        return [self.front_end(waveform).numpy() for waveform in waveforms]


def load(folder, device):
    """The encoder in `folder`; it runs on the CPU whatever the device."""
    return LogMel(load_front_end(Path(folder) / "model.safetensors", Path(folder) / "config.json"))
