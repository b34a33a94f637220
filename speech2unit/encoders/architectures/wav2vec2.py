"""Published transformer encoders over the waveform: wav2vec 2.0, HuBERT and WavLM, Base and Large, also at 25 Hz.

Layer 0 is the input of the first block, layer i the output of block i. The layer norm that some models have after the last
block is never applied. These are the layers of fairseq's `output_layer` and of torchaudio's `extract_features`.
"""

import torch
from torch import nn

from speech2unit.encoders.models import chunks, wav2vec2_names
from speech2unit.encoders.models.compressed_layers import resize
from speech2unit.encoders.models.loading import keep_blocks, load_weights, read_settings, sizes_from
from speech2unit.encoders.models.wav2vec2 import SAMPLE_RATE_HZ, Wav2Vec2Config, Wav2Vec2Model
from storage.errors import data_error

OBJECTIVE = "parent_states"
convert = wav2vec2_names.convert
sizes_from_transformers = wav2vec2_names.sizes_from_transformers


class Wav2Vec2:
    """A model of the wav2vec 2.0 family; see `speech2unit.encoders.TrainableEncoder`."""

    sample_rate = SAMPLE_RATE_HZ

    def __init__(self, model, device):
        self.model = model.to(device)
        self.device = device
        self.front_end_tensors = {}  # all tensors are the model's
        self.hop_length = model.config.hop_length
        self.dim = model.config.dim
        self.num_layers = len(model.blocks)

    def with_model(self, model):
        """See `TrainableEncoder.with_model`."""
        return type(self)(model, self.device)

    def hidden_states(self, waveforms):
        """See `TrainableEncoder.hidden_states`."""
        frames = [self._frames(waveform) for waveform in waveforms]
        return list(self.model.hidden_states(frames)), torch.tensor([len(f) for f in frames])

    @torch.no_grad()
    def features(self, waveforms, layer):
        """See `Encoder.features`.

        On a CPU, utterances are computed one by one. This is as fast as a batch, and the result is the same to the last bit
        whichever utterances are passed together. On a GPU, they are padded to a batch unless one is too long for that.

        Raises:
            ValueError: if a waveform is shorter than one frame.
        """
        frames = [self._frames(waveform) for waveform in waveforms]
        max_frames = self.model.max_frames
        if torch.device(self.device).type != "cpu" and max(map(len, frames)) <= (max_frames or chunks.MAX_FRAMES):
            states = self.model.hidden_state(frames, layer)
        else:
            states = [chunks.in_chunks(f, lambda chunk: self.model.hidden_state([chunk], layer)[0], max_frames) for f in frames]
        return [state[: len(f)].float().cpu().numpy() for state, f in zip(states, frames)]

    def _frames(self, waveform):
        return front_end_frames(self.model, torch.as_tensor(waveform, device=self.device))


class Wav2Vec2Trunk(nn.Module):
    """See `speech2unit.encoders.Trunk`."""

    sample_rate = SAMPLE_RATE_HZ
    has_positional_conv = True

    def __init__(self, model):
        super().__init__()
        self.model = model.eval()
        self.blocks = list(dict.fromkeys(model.blocks))
        self.hop_length = model.config.hop_length
        self.dim = model.config.dim
        self.num_layers = len(model.blocks)
        self.max_frames = model.max_frames

    def windows(self, waveform):
        """See `Trunk.windows`."""
        frames = front_end_frames(self.model, waveform)
        return chunks.split(frames, self.max_frames) if self.max_frames else [frames]

    def embed(self, x, valid_mask):
        """See `Trunk.embed`."""
        return self.model.embed(x)

    def layer_functions(self, x, valid_mask):
        """See `Trunk.layer_functions`."""
        return self.model.layer_functions(x.shape[1], valid_mask)


def front_end_frames(model, waveform):
    """Return the frames `[T, D]` of a waveform `[N]`. Raises `ValueError` if it is shorter than one frame."""
    if len(waveform) < model.config.min_samples:
        raise data_error(
            "encoder",
            "a waveform must be at least one frame long",
            expected=f"at least {model.config.min_samples} samples",
            got=f"{len(waveform)}",
            remedy="drop the utterance",
        )
    return model.front_end(waveform)


def build_model(settings, dropout=0.0):
    """Return a model without weights, with the sizes in an encoder's config.json."""
    model = Wav2Vec2Model(sizes_from(settings, Wav2Vec2Config), dropout)
    return resize(model, settings.get("layers", []))


def build_student(settings, dropout):
    """Return a model that can learn from a teacher of this architecture; arguments as `build_model`.

    As in fairseq's training code, the positional convolution has weight norm, and there is a mask embedding. Nothing is ever
    masked, but published checkpoints contain the embedding.
    """
    model = build_model(settings, dropout)
    nn.utils.parametrizations.weight_norm(model.pos_conv, dim=2)
    model.mask_emb = nn.Parameter(torch.zeros(model.config.dim))
    return model


def load(folder, device, build=build_model):
    """Return the encoder saved in `folder`.

    Args:
        folder: folder of the encoder.
        device: device on which it computes.
        build: function that maps the settings in config.json to a model without weights.
    """
    encoder = load_trainable(folder, device, build)
    encoder.model.prepare()
    return encoder


def load_trainable(folder, device, build=build_model):
    """Return the encoder saved in `folder`, which can be trained; `build` as in `load`."""
    return encoder_with(load_model(folder, build), folder, device)


def load_trunk(folder, build=build_model):
    """Return the encoder saved in `folder` as a `Trunk`; `build` as in `load`."""
    return trunk_with(load_model(folder, build), folder)


def keep_layers(settings, tensors, layer):
    """Return the settings and the tensors that the layers up to `layer` need."""
    return keep_blocks(settings, tensors, layer, "blocks.")


def encoder_with(model, folder, device):
    """Return the encoder of `model`; the folder is not read, as all tensors are the model's."""
    return Wav2Vec2(model, device)


def trunk_with(model, folder):
    """Return the trunk of `model`; the folder is not read, as all tensors are the model's."""
    return Wav2Vec2Trunk(model)


def load_model(folder, build):
    """Return the model saved in `folder`; `build` as in `load`."""
    settings = read_settings(folder)
    with torch.device("meta"):  # no memory and no time is spent on weights that would be replaced
        model = build(settings)
    return load_weights(model, folder, assign=True)
