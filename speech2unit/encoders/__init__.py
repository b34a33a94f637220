"""Speech encoders: load one from its folder, then turn waveforms into features.

    encoder = load("results/encoders/hubert_base")
    features = encode(encoder, [waveform], layer=6)  # list of float32 arrays [T_i, dim]

The folder of an encoder has two files: `model.safetensors` has its tensors, and `config.json` has its settings. The setting
`architecture` names the file in `speech2unit/encoders/architectures/` that loads the encoder.
"""

import importlib
import pkgutil
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from speech2unit.corpora.audio import MIN_SAMPLES
from speech2unit.encoders import architectures
from storage.errors import data_error, nearest, one_of
from storage.files import read_json
from storage.weights import load_tensors


class Encoder(Protocol):
    """The members that every encoder has. `load` returns one.

    Layers are numbered from 0 to `num_layers`. For i ≥ 1, layer i is the output of block i. Layer 0 is what enters the first
    block: in a transformer, the frames after the projection and the positional encoding; in CPC, the output of the convolutions.
    An encoder without blocks, such as log-Mel frames, has only layer 0.
    """

    sample_rate: int  # sample rate of the waveforms in Hz
    hop_length: int  # samples from one frame to the next
    dim: int  # values per frame. If there are blocks, this is for layers 1 and up; in CPC, layer 0 may have another width
    num_layers: int  # number of blocks, which is also the number of the highest layer

    def features(self, waveforms, layer):
        """Return the features of one layer. Those of a waveform do not depend on the other waveforms of the list.

        Args:
            waveforms: list of mono float32 arrays `[N_i]` in [-1, 1] at `sample_rate`.
            layer: 0 to `num_layers`.

        Returns:
            List of float32 NumPy arrays `[T_i, dim]`, on the CPU even if the encoder computes on a GPU.
        """

    def num_frames(self, num_samples):
        """Return the number of frames of the features of a waveform with `num_samples` samples, without computing them."""


class TrainableEncoder(Encoder, Protocol):
    """An encoder whose weights can be trained further. `load_trainable` returns one."""

    model: Any  # the PyTorch module that is trained
    front_end_tensors: dict  # name → tensor: the tensors of `model.safetensors` that do not belong to `model`

    def hidden_states(self, waveforms):
        """Return the hidden states of all layers, with gradients.

        Args:
            waveforms: list of float32 arrays `[N_i]`.

        Returns:
            List of tensors `[B, T, dim]`, layer 0 first, and the number of frames of each waveform `[B]`; later frames of a
            row are padding.
        """

    def with_model(self, model):
        """Return the same encoder with another model, such as a student."""


class Trunk(Protocol):
    """The parts of a transformer encoder, for tuning that puts vectors before its frames or into its layers.

    `load_trunk` returns one. It is a PyTorch module without `forward`. The windows of a batch are padded with zeros. Then they
    pass `embed` and each of `layer_functions`:

        windows = [window for waveform in waveforms for window in trunk.windows(waveform)]
        x = trunk.embed(pad_sequence(windows, batch_first=True), valid_mask)
        for layer in trunk.layer_functions(x, valid_mask):
            x = layer(x)
    """

    sample_rate: int  # as in `Encoder`
    hop_length: int
    dim: int
    num_layers: int
    max_frames: int | None  # frames that are computed together at most; None: any number
    has_positional_conv: bool  # whether frames see their neighbours in `embed`
    blocks: list  # the `TransformerBlock`s, each once, even if several layers share one

    def windows(self, waveform):
        """Return the frames of a waveform: one window with all of them, or overlapping windows if `max_frames` is less.

        Args:
            waveform: float32 tensor `[N]` in [-1, 1] at `sample_rate`.

        Returns:
            List of tensors `[T_i, dim]`. `speech2unit.encoders.models.chunks.join` joins what is computed for them.

        Raises:
            ValueError: if the waveform is too short for one frame of this encoder.
        """

    def embed(self, x, valid_mask):
        """Return the input of the first block.

        Args:
            x: windows `[B, T, dim]`, with or without the vectors of a prompt before them.
            valid_mask: boolean `[B, T]`, True for frames that are not padding; None: there is no padding.
        """

    def layer_functions(self, x, valid_mask):
        """Return a list with one function per layer, which maps its input `[B, T, dim]` to its output `[B, T, dim]`.

        Attention ignores padding.

        Args:
            x: the result of `embed`.
            valid_mask: as in `embed`.
        """


def load(folder, device="cpu"):
    """Return the `Encoder` saved in `folder`, ready for inference.

    Args:
        folder: folder of the encoder, such as `results/encoders/hubert_base`.
        device: device on which it computes, such as `cpu` or `cuda`.

    Raises:
        ValueError: if the folder holds no encoder, or one of an unknown architecture.
    """
    return _architecture_of(folder).load(Path(folder), device)


def load_trainable(folder, device="cpu"):
    """Return the `TrainableEncoder` saved in `folder`.

    Args:
        folder, device: as for `load`.

    Raises:
        ValueError: if the folder holds no encoder, or one whose architecture does not support further training.
    """
    return _optional_function(folder, "load_trainable", "further training needs an encoder that supports it")(
        Path(folder), device
    )


def load_trunk(folder):
    """Return the encoder saved in `folder` as a `Trunk`, on the CPU.

    Args:
        folder: folder of the encoder, such as `results/encoders/hubert_base`.

    Raises:
        ValueError: if the folder holds no encoder, or one whose architecture has no transformer blocks.
    """
    return _optional_function(folder, "load_trunk", "prompts and other tuning need an encoder with transformer blocks")(
        Path(folder)
    )


def layers_up_to(folder, layer):
    """Return the settings and the tensors, name → tensor, that the layers of a saved encoder up to `layer` need.

    Saved as config.json and model.safetensors, they are an encoder with `layer` layers. Architectures without `keep_layers` keep
    all of them.
    """
    architecture = _architecture_of(folder)
    settings, tensors = all_layers(folder)
    if hasattr(architecture, "keep_layers"):
        return architecture.keep_layers(settings, tensors, layer)
    return settings, tensors


def all_layers(folder):
    """Return the settings and the tensors, name → tensor, of a saved encoder."""
    settings = read_json(Path(folder) / "config.json")
    settings.pop("provenance", None)
    return settings, load_tensors(Path(folder) / "model.safetensors")


def encode(encoder, waveforms, layer):
    """Check the arguments, then return the features of `layer`.

    Args:
        encoder: an `Encoder`.
        waveforms: list of mono arrays `[N_i]` of any float type, in [-1, 1] at `encoder.sample_rate`. The list may be empty.
        layer: 0 to `encoder.num_layers`.

    Returns:
        List of float32 NumPy arrays `[T_i, dim]`.

    Raises:
        ValueError: if there is no such layer, if a waveform has several channels, or if it has fewer than 400 samples. This lower
            limit (25 ms at 16 kHz, the first frame of HuBERT) is the same for all encoders; some need more for their first frame.
    """
    check_layer(encoder, layer, "layer")
    waveforms = [np.asarray(waveform, dtype=np.float32) for waveform in waveforms]
    for number, waveform in enumerate(waveforms):
        if waveform.ndim != 1 or len(waveform) < MIN_SAMPLES:
            raise data_error(
                f"waveform {number}",
                "a waveform is mono and at least one frame long",
                expected=f"[N], at least {MIN_SAMPLES} samples",
                got=f"{list(waveform.shape)}",
                remedy="average the channels, or drop the waveform; pass a single waveform as a list of one",
            )
    return encoder.features(waveforms, layer) if waveforms else []


def check_layer(encoder, layer, place):
    """Check that an encoder has a layer.

    Args:
        encoder: an `Encoder`.
        layer: number of the layer.
        place: where the number comes from, for the error message.

    Raises:
        ValueError: if `layer` is not from 0 to `encoder.num_layers`.
    """
    if not 0 <= layer <= encoder.num_layers:
        raise data_error(
            place,
            "the encoder must have the layer",
            expected=f"0 to {encoder.num_layers}",
            got=f"{layer}",
            remedy="change 'layer' in config/codebooks.tsv",
        )


def architecture_names():
    """Return the names of all architectures: the files of `speech2unit/encoders/architectures/`."""
    return sorted(module.name for module in pkgutil.iter_modules(architectures.__path__))


def import_architecture(name):
    """Return the module of an architecture."""
    return importlib.import_module(f"{architectures.__name__}.{name}")


def _architecture_of(folder):
    """Return the module that loads the encoder in `folder`."""
    config = Path(folder) / "config.json"
    if not config.is_file():
        saved = sorted(path.parent.name for path in Path(folder).parent.glob("*/config.json"))
        raise data_error(
            folder,
            "an encoder is a folder with config.json and model.safetensors",
            expected=one_of(Path(folder).name, saved),
            got="no such files",
            remedy=f"{nearest(Path(folder).name, saved)}or make it: snakemake --cores all {folder}/config.json",
        )
    name = read_json(config)["architecture"]
    names = architecture_names()
    if name not in names:
        raise data_error(
            config,
            "'architecture' names a file of speech2unit/encoders/architectures",
            expected=one_of(name, names),
            got=f"'{name}'",
            remedy=f"{nearest(name, names)}prepare the encoder again",
        )
    return import_architecture(name)


def _optional_function(folder, function, rule):
    """Return a function of the architecture of an encoder. Raises `ValueError` (with `rule`) if the architecture lacks it."""
    module = _architecture_of(folder)
    if not hasattr(module, function):
        name = module.__name__.rpartition(".")[2]
        raise data_error(
            Path(folder) / "config.json",
            rule,
            expected=f"an architecture whose file has '{function}'",
            got=f"'{name}'",
            remedy="choose another encoder",
        )
    return getattr(module, function)
