"""Whisper's encoder, of every size: a transformer over log-Mel frames that was trained to recognize and translate speech.

Layer 0 is the input of the first block, layer i the output of block i. With the setting `final_norm`, the last layer is the
output of the layer norm after the last block, which Whisper's decoder reads.

Frames are those of the audio alone. With the setting `padded`, silence follows the audio up to 30 s as in the published code, so
that its frames are attended to; they are left out of the features. Longer audio is computed in overlapping windows of 30 s.

**Source:** Radford et al. 2022, arXiv 2212.04356.
"""

from speech2unit.encoders.models import whisper_names
from speech2unit.encoders.models.compressed_layers import resize
from speech2unit.encoders.models.frame_encoder import FrameEncoder, FrameTrunk, load_model
from speech2unit.encoders.models.loading import keep_blocks, read_settings, sizes_from
from speech2unit.encoders.models.whisper import WhisperConfig, WhisperModel, num_frames
from storage.errors import data_error

OBJECTIVE = "parent_states"
convert = whisper_names.convert
sizes_from_transformers = whisper_names.sizes_from_transformers


class Whisper(FrameEncoder):
    """A Whisper encoder; see `speech2unit.encoders.TrainableEncoder`."""

    def features(self, waveforms, layer):
        """See `Encoder.features`. Raises `ValueError` if a waveform is shorter than one frame."""
        states = super().features(waveforms, layer)
        return [state[: num_frames(len(waveform))] for state, waveform in zip(states, waveforms)]  # without those of silence

    def num_frames(self, num_samples):
        """See `Encoder.num_frames`."""
        return num_frames(num_samples)


class WhisperTrunk(FrameTrunk):
    """See `speech2unit.encoders.Trunk`. The vectors of a prompt have no positions, and frames keep theirs."""

    def __init__(self, model):
        super().__init__(model)
        model.register_buffer("positions", model.positions, persistent=False)  # no tuning changes them, so no task saves them

    def windows(self, waveform):
        """See `Trunk.windows`."""
        return [self.model.with_positions(window) for window in super().windows(waveform)]

    def embed(self, x, valid_mask):
        """See `Trunk.embed`."""
        return x


def build_model(settings, dropout=0.0):
    """Return a model without trained weights, with the sizes in an encoder's config.json."""
    model = WhisperModel(sizes_from(settings, WhisperConfig), dropout)
    return resize(model, settings.get("layers", []))


def build_student(settings, dropout):
    """Return a model that can learn from a teacher of this architecture; arguments as `build_model`.

    Its last layer is that of its last block: it may have fewer layers than the teacher, whose norm fits the last of them alone.
    """
    _check_unpadded(settings, "distil_layers")
    return build_model(settings | dict(final_norm=False), dropout)


def load(folder, device):
    """Return the encoder saved in `folder`."""
    return Whisper(load_model(folder, build_model), device).prepare()


def load_trainable(folder, device):
    """Return the encoder saved in `folder`, which can be trained. Raises `ValueError` if it is padded."""
    _check_unpadded(read_settings(folder), folder)
    return Whisper(load_model(folder, build_model), device)


def load_trunk(folder):
    """Return the encoder saved in `folder` as a `Trunk`. Raises `ValueError` if it is padded."""
    _check_unpadded(read_settings(folder), folder)
    return WhisperTrunk(load_model(folder, build_model))


def keep_layers(settings, tensors, layer):
    """Return the settings and the tensors that the layers up to `layer` need."""
    if layer < settings["num_layers"]:
        settings = settings | dict(final_norm=False)
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("final_norm.")}
    return keep_blocks(settings, tensors, layer, "blocks.")


def encoder_with(model, folder, device):
    """Return the encoder of `model`; the folder is not read, as all tensors are the model's."""
    return Whisper(model, device)


def trunk_with(model, folder):
    """Return the trunk of `model`; the folder is not read, as all tensors are the model's."""
    return WhisperTrunk(model)


def _check_unpadded(settings, place):
    """Raise `ValueError` if an encoder is padded: training would spend its time on silence, and heads would read it."""
    if settings["padded"]:
        raise data_error(
            place,
            "a Whisper that is trained further reads the frames of the audio alone",
            expected="'padded: false'",
            got="'padded: true'",
            remedy="name a preset without padding for it, or none, in config/encoders.tsv",
        )
