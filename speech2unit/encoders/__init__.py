"""Encoders: one file an architecture, with `load(folder, device)`; the file's name is the registry.

An encoder lies in a folder as `model.safetensors` (tensors only) and `config.json` (`architecture` names the file here).
"""

import importlib
import pkgutil
from pathlib import Path
from typing import Protocol

import numpy as np

from speech2unit.corpora.audio import MIN_SAMPLES
from speech2unit.encoders import architectures as registry
from storage.errors import data_error, nearest, one_of
from storage.files import read_json


class Encoder(Protocol):
    """What every stage may ask of an encoder. Layer 0 is the front end (or CNN), layer i the output of the i-th block."""

    sample_rate: int  # Hz that `features` wants
    hop_length: int  # samples from one frame to the next
    dim: int  # values a frame, at the layers above 0
    num_layers: int  # highest layer that `features` knows

    def features(self, waveforms, layer):
        """List of mono float32 waveforms `[N_i]` → list of float32 arrays `[T_i, dim]`; padding never changes them."""


class Trunk(Protocol):
    """An encoder that can be looked into and trained: a module whose `forward` is not used.

    Frames that a front end makes (`frames`) are padded with zeros and go through `embed` and, one after another, `steps`;
    whoever calls these may put vectors before the frames, or change what enters a block.
    """

    sample_rate: int  # as of `Encoder`
    hop_length: int
    dim: int
    num_layers: int  # of steps
    blocks: list  # the modules of the steps, each once

    def frames(self, waveform):
        """Waveform `[N]`, a float32 tensor → frames `[T, dim]`. Raises `ValueError` where it is too short for one."""

    def embed(self, x, valid_mask):
        """Frames `[B, T, dim]` → the first block's input; boolean `real` `[B, T]`: those that pad nothing; None: all."""

    def layer_functions(self, x, valid_mask):
        """For `embed`'s output, the blocks in order as functions `[B, T, dim]` → `[B, T, dim]`; padding is not looked at."""


def load(folder, device="cpu"):
    """The encoder that lies in `folder`, ready to use. Raises `ValueError` where there is none, or of an unknown architecture."""
    return _module(folder).load(Path(folder), device)


def load_trunk(folder):
    """The encoder in `folder` as a `Trunk`, on the CPU. Raises `ValueError` for an architecture that has none."""
    module = _module(folder)
    if not hasattr(module, "load_trunk"):
        raise data_error(
            Path(folder) / "config.json",
            "prompts and the like need an encoder with transformer blocks",
            expected="one with 'load_trunk' in its file",
            got=f"'{module.__name__.rpartition('.')[2]}'",
            remedy="choose another encoder",
        )
    return module.load_trunk(Path(folder))


def _module(folder):
    if not (Path(folder) / "config.json").is_file():
        beside = sorted(path.parent.name for path in Path(folder).parent.glob("*/config.json"))
        raise data_error(
            folder,
            "an encoder is a folder with config.json and model.safetensors",
            expected=one_of(Path(folder).name, beside),
            got="no such files",
            remedy=f"{nearest(Path(folder).name, beside)}or make it: snakemake --cores all {folder}/config.json",
        )
    config = read_json(Path(folder) / "config.json")
    name, known = config["architecture"], architectures()
    if name not in known:
        raise data_error(
            Path(folder) / "config.json",
            "'architecture' names a file of speech2unit/encoders/architectures",
            expected=one_of(name, known),
            got=f"'{name}'",
            remedy=f"{nearest(name, known)}prepare the encoder again",
        )
    return importlib.import_module(f"{registry.__name__}.{name}")


def architectures():
    """Names of the architectures: the files of this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(registry.__path__))


def encode(encoder, waveforms, layer):
    """`encoder.features` of what was checked before: a list of mono waveforms `[N_i]`, of any type of floats, → arrays
    `[T_i, dim]`; of none, none.

    Raises `ValueError` where the encoder lacks the layer, or a waveform has channels or is shorter than a frame.
    """
    check_layer(encoder, layer, "layer")
    waveforms = [np.asarray(waveform, dtype=np.float32) for waveform in waveforms]
    for number, waveform in enumerate(waveforms):
        if len(waveform.shape) != 1 or len(waveform) < MIN_SAMPLES:
            raise data_error(
                f"waveform {number}",
                "a waveform is mono and fills a frame",
                expected=f"[N], at least {MIN_SAMPLES} samples",
                got=f"{list(waveform.shape)}",
                remedy="average the channels, or leave it out; one alone is a list of one",
            )
    return encoder.features(waveforms, layer) if len(waveforms) else []


def check_layer(encoder, layer, place):
    """Raises `ValueError` where `encoder` has no such layer."""
    if not 0 <= layer <= encoder.num_layers:
        raise data_error(
            place,
            "the encoder must have the layer",
            expected=f"0 to {encoder.num_layers}",
            got=f"{layer}",
            remedy="change 'layer' in config/codebooks.tsv",
        )
