"""Published transformer encoders: wav2vec 2.0, HuBERT and WavLM, Base and Large, also at 25 Hz.

Layer 0 is the input of the first block, layer i the output of the i-th, never normalised once more: fairseq's `output_layer`,
torchaudio's `extract_features`.
"""

from pathlib import Path

import torch
from torch import nn

from speech2unit.encoders.models import chunks
from speech2unit.encoders.models.compressed_layers import resize
from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from speech2unit.encoders.models.wav2vec2_names import convert, sizes_from_transformers
from storage.errors import data_error
from storage.files import read_json
from storage.weights import load_tensors

__all__ = ["Wav2Vec2", "convert", "load", "sizes_from_transformers"]

SAMPLE_RATE_HZ = 16_000


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
        if torch.device(self.device).type != "cpu" and max(map(len, frames)) <= chunks.MAX_FRAMES:
            states = self.model.state(frames, layer)
        else:
            states = [chunks.in_chunks(f, lambda chunk: self.model.state([chunk], layer)[0]) for f in frames]
        return [state[: len(f)].float().cpu().numpy() for state, f in zip(states, frames)]

    def _frames(self, waveform):
        return front_end_frames(self.model, torch.as_tensor(waveform, device=self.device))


class Wav2Vec2Trunk(nn.Module):
    """See `speech2unit.encoders.Trunk`."""

    sample_rate = SAMPLE_RATE_HZ

    def __init__(self, model):
        super().__init__()
        self.model, self.blocks = model.eval(), list(dict.fromkeys(model.blocks))
        self.hop_length, self.dim, self.num_layers = model.config.hop_length, model.config.dim, len(model.blocks)

    def frames(self, waveform):
        """See `Trunk.frames`."""
        return front_end_frames(self.model, waveform)

    def embed(self, x, valid_mask):
        """See `Trunk.embed`."""
        return self.model.embed(x)

    def layer_functions(self, x, valid_mask):
        """See `Trunk.layer_functions`."""
        return self.model.layer_functions(x.shape[1], valid_mask)


def front_end_frames(model, waveform):
    """Frames `[T, D]` of a waveform `[N]`. Raises `ValueError` where it is shorter than one."""
    if len(waveform) < model.config.min_samples:
        raise data_error(
            "encoder",
            "a waveform must hold a frame",
            expected=f"at least {model.config.min_samples} samples",
            got=f"{len(waveform)}",
            remedy="drop the utterance",
        )
    return model.front_end(waveform)


def load(folder, device):
    """The encoder in `folder`."""
    return Wav2Vec2(read_model(folder).to(device).prepare(), device)


def load_trunk(folder):
    """The encoder in `folder` as a `Trunk`."""
    return Wav2Vec2Trunk(read_model(folder))


def read_model(folder):
    """The `Wav2Vec2Model` in `folder`, to be used (after `prepare`) or trained on."""
    settings = read_json(Path(folder) / "config.json")
    sizes = {name: settings[name] for name in Wav2Vec2Config.__dataclass_fields__}
    return filled(lambda: resize(Wav2Vec2Model(Wav2Vec2Config(**sizes)), settings.get("layers", [])), folder)


def filled(build, folder):
    """The model that `build` makes, with the tensors in `folder`."""
    with torch.device("meta"):
        model = build()
    model.load_state_dict(load_tensors(Path(folder) / "model.safetensors"), assign=True)
    return model
