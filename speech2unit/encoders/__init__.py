"""Encoders: one file an architecture, with `load(folder, device)`; the file's name is the registry.

An encoder lies in a folder as `model.safetensors` (tensors only) and `config.json` (`architecture` names the file here).
"""

import importlib
import pkgutil
from pathlib import Path
from typing import Protocol

from speech2unit.errors import data_error, nearest, one_of
from speech2unit.files import read_json


class Encoder(Protocol):
    """What every stage may ask of an encoder. Layer 0 is the front end (or CNN), layer i the output of the i-th block."""

    sample_rate: int  # Hz that `features` wants
    hop_length: int  # samples from one frame to the next
    dim: int  # values a frame, at the layers above 0
    num_layers: int  # highest layer that `features` knows

    def features(self, waveforms, layer):
        """List of mono float32 waveforms `[N_i]` → list of float32 arrays `[T_i, dim]`; padding never changes them."""


def load(folder, device="cpu"):
    """The encoder that lies in `folder`, ready to use. Raises `ValueError` for an unknown architecture."""
    config = read_json(Path(folder) / "config.json")
    name, known = config["architecture"], architectures()
    if name not in known:
        raise data_error(
            Path(folder) / "config.json", "'architecture' names a file of speech2unit/encoders", expected=one_of(name, known), got=f"'{name}'",
            remedy=f"{nearest(name, known)}prepare the encoder again",
        )  # fmt: skip
    return importlib.import_module(f"{__name__}.{name}").load(Path(folder), device)


def architectures():
    """Names of the architectures: the files of this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def check_layer(encoder, layer, place):
    """Raises `ValueError` where `encoder` has no such layer."""
    if not 0 <= layer <= encoder.num_layers:
        raise data_error(
            place, "the encoder must have the layer", expected=f"0 to {encoder.num_layers}", got=f"{layer}",
            remedy="change 'layer' in config/codebooks.tsv",
        )  # fmt: skip
