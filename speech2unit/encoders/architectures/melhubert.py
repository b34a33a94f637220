"""MelHuBERT: a transformer over log-Mel frames, pre-trained by masked prediction of pseudo-labels.

With frames of 20 ms, 12 layers, 768 dimensions, 12 heads and 512 targets it has the published 90,231,424 parameters. Two
deviations from the paper are optional settings: several sets of targets, and a front end that subtracts the loudness.
`speech2unit/encoders/models/melhubert_checkpoints.py` reads and writes the checkpoints of its authors.

**Source:** MelHuBERT, arXiv 2211.09944.
"""

from pathlib import Path

import torch
from torch import nn

from speech2unit.encoders.models import chunks, melhubert_checkpoints
from speech2unit.encoders.models.compressed_layers import resize
from speech2unit.encoders.models.loading import keep_blocks, load_weights, read_settings, sizes_from
from speech2unit.encoders.models.log_mel import SAMPLE_RATE_HZ, load_front_end
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel

RECIPE = "pretrain_melhubert"
OBJECTIVE = "masked_prediction"
convert = melhubert_checkpoints.convert
sizes_from_checkpoint = melhubert_checkpoints.sizes_from_checkpoint


class MelHuBERT:
    """A MelHuBERT with its front end; see `speech2unit.encoders.TrainableEncoder`."""

    sample_rate = SAMPLE_RATE_HZ

    def __init__(self, model, front_end, device):
        self.model = model.to(device).eval()
        self.front_end = front_end
        self.device = device
        self.dim = model.config.dim
        self.num_layers = len(model.blocks)
        self.hop_length = front_end.hop_length

    @property
    def front_end_tensors(self):
        """See `TrainableEncoder.front_end_tensors`."""
        return dict(mean=self.front_end.mean, std=self.front_end.std)

    def with_model(self, model):
        """See `TrainableEncoder.with_model`."""
        return MelHuBERT(model, self.front_end, self.device)

    def hidden_states(self, waveforms):
        """See `TrainableEncoder.hidden_states`."""
        return self._hidden_states([self.front_end(waveform) for waveform in waveforms])

    @torch.no_grad()
    def features(self, waveforms, layer):
        """See `Encoder.features`."""
        frames = [self.front_end(waveform) for waveform in waveforms]
        if max(map(len, frames)) > chunks.MAX_FRAMES:
            return [chunks.in_chunks(f, lambda chunk: self._hidden_state(chunk, layer)).numpy() for f in frames]
        states, lengths = self._hidden_states(frames, layer)
        return [state[:length] for state, length in zip(states[layer].cpu().numpy(), lengths)]

    def num_frames(self, num_samples):
        """See `Encoder.num_frames`."""
        return self.front_end.num_frames(num_samples)

    def _hidden_states(self, frames, last_layer=None):
        """Return the same as `hidden_states`, up to a layer, for a list of normalized frames `[T_i, 80]`."""
        lengths = torch.tensor([len(f) for f in frames])
        batch = nn.utils.rnn.pad_sequence(frames, batch_first=True).to(self.device)
        batch_lengths = lengths.to(self.device) if len(frames) > 1 else None
        return self.model.hidden_states(batch, batch_lengths, last_layer), lengths

    def _hidden_state(self, frames, layer):
        """Return the hidden state `[T, D]` of one layer, on the CPU, for the frames `[T, 80]` of one utterance."""
        states, _ = self._hidden_states([frames], layer)
        return states[layer][0].cpu()


class MelHuBERTTrunk(nn.Module):
    """See `speech2unit.encoders.Trunk`."""

    sample_rate = SAMPLE_RATE_HZ
    max_frames = None
    has_positional_conv = True

    def __init__(self, model, front_end):
        super().__init__()
        model.final_proj = nn.ModuleList()  # the heads of pre-training are not needed
        self.model = model.eval()
        self.front_end = front_end
        self.blocks = list(dict.fromkeys(model.blocks))
        self.dim = model.config.dim
        self.num_layers = len(model.blocks)
        self.hop_length = model.config.frame_ms * SAMPLE_RATE_HZ // 1000

    def windows(self, waveform):
        """See `Trunk.windows`."""
        projection = self.model.post_extract_proj
        return [projection(self.front_end(waveform.cpu()).to(projection.weight.device))]

    def embed(self, x, valid_mask):
        """See `Trunk.embed`."""
        return self.model.embed(x, valid_mask)

    def layer_functions(self, x, valid_mask):
        """See `Trunk.layer_functions`."""
        return self.model.layer_functions(valid_mask)


def load(folder, device):
    """Return the encoder saved in `folder`."""
    return load_trainable(folder, device)


def load_trainable(folder, device):
    """Return the encoder saved in `folder`, which can be trained."""
    model = load_weights(build_model(read_settings(folder)), folder, assign=False)
    return encoder_with(model, folder, device)


def load_trunk(folder):
    """Return the encoder saved in `folder` as a `Trunk`."""
    model = load_weights(build_model(read_settings(folder)), folder, assign=False)
    return trunk_with(model, folder)


def build_model(settings, dropout=0.0):
    """Return a model with random weights and the sizes in an encoder's config.json."""
    model = MelHuBERTModel(sizes_from(settings, MelHuBERTConfig), dropout)
    return resize(model, settings.get("layers", []))


def build_student(settings, dropout):
    """Return a model that can learn from a teacher of this architecture; arguments as `build_model`."""
    return build_model(settings, dropout)


def keep_layers(settings, tensors, layer):
    """Return the settings and the tensors that the layers up to `layer` need: without the heads of pre-training."""
    settings, tensors = keep_blocks(settings | dict(num_targets=[]), tensors, layer, "layers.")
    return settings, {name: tensor for name, tensor in tensors.items() if not name.startswith("final_proj.")}


def encoder_with(model, folder, device):
    """Return the encoder of `model` with the front end saved in `folder`."""
    return MelHuBERT(model, _load_front_end(folder), device)


def trunk_with(model, folder):
    """Return the trunk of `model` with the front end saved in `folder`."""
    return MelHuBERTTrunk(model, _load_front_end(folder))


def _load_front_end(folder):
    return load_front_end(Path(folder) / "model.safetensors", Path(folder) / "config.json")
