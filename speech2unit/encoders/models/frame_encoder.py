"""Encoders and trunks whose model is a `FrameTransformer`: wav2vec 2.0 and its family, Whisper, DeCoAR 2.0."""

import torch
from torch import nn

from speech2unit.encoders.models import chunks
from speech2unit.encoders.models.frame_transformer import SAMPLE_RATE_HZ
from speech2unit.encoders.models.loading import load_weights, read_settings
from storage.errors import data_error


class FrameEncoder:
    """An encoder that pads frames to batches; see `speech2unit.encoders.TrainableEncoder`."""

    sample_rate = SAMPLE_RATE_HZ

    def __init__(self, model, device):
        self.model = model.to(device)
        self.device = device
        self.front_end_tensors = {}  # all tensors are the model's
        self.hop_length = model.config.hop_length
        self.dim = model.config.dim
        self.num_layers = len(model.blocks)

    def prepare(self):
        """Optimize the model for inference, and return the encoder. After this the model can no longer be trained or saved."""
        self.model.prepare()
        return self

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

    def num_frames(self, num_samples):
        """See `Encoder.num_frames`."""
        return self.model.config.num_frames(num_samples)

    def _frames(self, waveform):
        return front_end_frames(self.model, torch.as_tensor(waveform, device=self.device))


class FrameTrunk(nn.Module):
    """See `speech2unit.encoders.Trunk`."""

    sample_rate = SAMPLE_RATE_HZ

    def __init__(self, model):
        super().__init__()
        self.model = model.eval()
        self.blocks = list(dict.fromkeys(model.blocks))
        self.hop_length = model.config.hop_length
        self.dim = model.config.dim
        self.num_layers = len(model.blocks)
        self.max_frames = model.max_frames
        self.has_positional_conv = model.has_positional_conv

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


def load_model(folder, build):
    """Return the model saved in a folder.

    Args:
        folder: folder of the encoder.
        build: function that maps the settings in its config.json to a model without weights.
    """
    settings = read_settings(folder)
    with torch.device("meta"):  # no memory and no time is spent on weights that would be replaced
        model = build(settings)
    return load_weights(model, folder, assign=True)
