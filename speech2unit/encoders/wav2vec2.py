"""Published transformer encoders: wav2vec 2.0, HuBERT and WavLM, Base and Large, also at 25 Hz.

Layer 0 is the input of the first block, layer i the output of the i-th, never normalised once more: fairseq's `output_layer`,
torchaudio's `extract_features`.
"""

import torch

from speech2unit.compressed_layers import resize
from speech2unit.errors import data_error
from speech2unit.files import read_json
from speech2unit.wav2vec2_model import Wav2Vec2Config, Wav2Vec2Model
from speech2unit.wav2vec2_names import convert, sizes_from_transformers
from speech2unit.weights import load_tensors

__all__ = ["Wav2Vec2", "convert", "load", "sizes_from_transformers"]

SAMPLE_RATE_HZ = 16_000
MAX_FRAMES = 5000  # 100 s at 50 Hz, as GSLM: longer ones pass the transformer in pieces
OVERLAP_FRAMES = 250  # 5 s that a piece sees on either side of what it yields


class Wav2Vec2:
    """The encoder; see `speech2unit.encoders.Encoder`."""

    sample_rate = SAMPLE_RATE_HZ

    def __init__(self, model, device):
        self.model, self.device = model.to(device), device
        self.hop_length, self.dim, self.num_layers = model.config.hop_length, model.config.dim, model.config.num_layers

    def hidden_states(self, waveforms):
        """Waveforms → hidden states `[B, T, D]` of all layers from 0 on, and how many frames of each row are real `[B]`."""
        frames = [self._frames(waveform) for waveform in waveforms]
        return list(self.model.states(frames)), torch.tensor([len(f) for f in frames])

    @torch.no_grad()
    def features(self, waveforms, layer):
        """See `Encoder.features`. On a CPU each utterance passes by itself: to the bit the same in any batch, and as fast.
        Raises `ValueError` for a waveform that is shorter than a frame.
        """
        frames = [self._frames(waveform) for waveform in waveforms]
        if torch.device(self.device).type != "cpu" and max(map(len, frames)) <= MAX_FRAMES:
            states = self.model.state(frames, layer)
        else:
            states = [_in_pieces(f, lambda piece: self.model.state([piece], layer)[0]) for f in frames]
        return [state[: len(f)].float().cpu().numpy() for state, f in zip(states, frames)]

    def _frames(self, waveform):
        if len(waveform) < self.model.config.min_samples:
            raise data_error(
                "encoder", "a waveform must hold a frame", expected=f"at least {self.model.config.min_samples} samples", got=f"{len(waveform)}",
                remedy="drop the utterance",
            )  # fmt: skip
        return self.model.front_end(torch.as_tensor(waveform, device=self.device))


def _in_pieces(frames, state):
    """`state` of frames `[T, D]`; of more than `MAX_FRAMES` in pieces, from which what overlaps is cut off."""
    if len(frames) <= MAX_FRAMES:
        return state(frames)
    step, parts = MAX_FRAMES - 2 * OVERLAP_FRAMES, []
    for start in range(0, len(frames), step):
        first = max(start - OVERLAP_FRAMES, 0)
        parts.append(state(frames[first : start + step + OVERLAP_FRAMES])[start - first :][:step])
    return torch.cat(parts)


def read_model(folder):
    """The `Wav2Vec2Model` in `folder`, to be used (after `prepare`) or trained on."""
    settings = read_json(folder / "config.json")
    with torch.device("meta"):
        sizes = Wav2Vec2Config(**{name: settings[name] for name in Wav2Vec2Config.__dataclass_fields__})
        model = resize(Wav2Vec2Model(sizes), settings.get("layers", []))
    model.load_state_dict(load_tensors(folder / "model.safetensors"), assign=True)
    return model


def load(folder, device):
    """The encoder in `folder`."""
    return Wav2Vec2(read_model(folder).to(device).prepare(), device)
