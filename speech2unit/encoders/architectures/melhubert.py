"""MelHuBERT: a transformer over log-Mel frames, pre-trained by masked prediction of pseudo-labels.

**Source:** MelHuBERT, arXiv 2211.09944; at 20 ms, 12 layers, 768 dims, 12 heads and 512 targets it has the published
90,231,424 parameters. Deviations that the settings choose: several sets of targets, another front end. Checkpoints of its
authors: `speech2unit/encoders/models/melhubert_names.py`.
"""

from pathlib import Path

import torch
from torch import nn

from speech2unit.encoders.models import chunks
from speech2unit.encoders.models.compressed_layers import resize
from speech2unit.encoders.models.log_mel import SAMPLE_RATE_HZ, load_front_end
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.encoders.models.melhubert_names import convert
from storage.files import read_json
from storage.weights import load_tensors

__all__ = ["MelHuBERT", "MelHuBERTConfig", "MelHuBERTModel", "convert", "load"]


class MelHuBERT:
    """The encoder; see `speech2unit.encoders.Encoder`."""

    sample_rate = SAMPLE_RATE_HZ

    def __init__(self, model, front_end, device):
        self.model, self.front_end, self.device = model.to(device).eval(), front_end, device
        self.dim, self.num_layers, self.hop_length = model.config.dim, model.config.num_layers, front_end.hop_length

    def hidden_states(self, waveforms, last_layer=None):
        """Waveforms → hidden states `[B, T, D]` of layers 0 to `last_layer`, and how many frames of each row are real `[B]`."""
        return self._states([self.front_end(waveform) for waveform in waveforms], last_layer)

    @torch.no_grad()
    def features(self, waveforms, layer):
        """See `Encoder.features`; layer 0 is the input of the first block."""
        frames = [self.front_end(waveform) for waveform in waveforms]
        if max(map(len, frames)) > chunks.MAX_FRAMES:
            return [chunks.in_chunks(f, lambda chunk: self._states([chunk], layer)[0][layer][0].cpu()).numpy() for f in frames]
        states, lengths = self._states(frames, layer)
        return [state[:length] for state, length in zip(states[layer].cpu().numpy(), lengths)]

    def _states(self, frames, last_layer):
        """As `hidden_states`, of the front end's frames."""
        lengths = torch.tensor([len(f) for f in frames])
        batch = nn.utils.rnn.pad_sequence(frames, batch_first=True).to(self.device)
        batch_lengths = lengths.to(self.device) if len(frames) > 1 else None
        return self.model.hidden_states(batch, batch_lengths, last_layer), lengths


class MelHuBERTTrunk(nn.Module):
    """See `speech2unit.encoders.Trunk`."""

    sample_rate = SAMPLE_RATE_HZ

    def __init__(self, model, front_end):
        super().__init__()
        model.final_proj = nn.ModuleList()  # logits of pre-training
        self.model, self.front_end, self.blocks = model.eval(), front_end, list(dict.fromkeys(model.blocks))
        self.dim, self.num_layers, self.hop_length = (
            model.config.dim,
            len(model.blocks),
            model.config.frame_ms * SAMPLE_RATE_HZ // 1000,
        )

    def frames(self, waveform):
        """See `Trunk.frames`."""
        projection = self.model.post_extract_proj
        return projection(self.front_end(waveform.cpu()).to(projection.weight.device))

    def embed(self, x, valid_mask):
        """See `Trunk.embed`."""
        return self.model.embed(x, valid_mask)

    def layer_functions(self, x, valid_mask):
        """See `Trunk.layer_functions`."""
        return self.model.layer_functions(valid_mask)


def load(folder, device):
    """The encoder in `folder`."""
    return MelHuBERT(read_model(folder), read_front_end(folder), device)


def load_trunk(folder):
    """The encoder in `folder` as a `Trunk`."""
    return MelHuBERTTrunk(read_model(folder), read_front_end(folder))


def read_model(folder):
    """The `MelHuBERTModel` in `folder`, to be used or trained on."""
    settings, tensors = read_json(Path(folder) / "config.json"), load_tensors(Path(folder) / "model.safetensors")
    sizes = {name: settings[name] for name in MelHuBERTConfig.__dataclass_fields__ if name in settings}
    model = resize(MelHuBERTModel(MelHuBERTConfig(**sizes)), settings.get("layers", []))
    model.load_state_dict({name: tensor for name, tensor in tensors.items() if name not in ("mean", "std")})
    return model


def read_front_end(folder):
    """The front end in `folder`."""
    return load_front_end(Path(folder) / "model.safetensors", Path(folder) / "config.json")
