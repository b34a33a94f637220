"""Weights on disk: safetensors with the provenance record in the header; a model's sizes as JSON beside it.

A sparse tensor is three: `{name}.values`, those that are not 0; `{name}.bitmask`, where they stand, a bit an element;
`{name}.shape`. At a density of 0.3 that is a third of the bytes.
"""

import json

import numpy as np

from storage import provenance
from storage.files import atomic, write_json


def save_tensors(path, tensors, sparse=()):
    """Write name → tensor to a safetensors file, whole or not at all; those named in `sparse` without their zeros."""
    from safetensors.torch import save_file

    about = {provenance.KEY: json.dumps(provenance.record(path))}
    for name in sparse:
        tensors = tensors | _pack(name, tensors[name].detach().cpu())
        del tensors[name]
    with atomic(path) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary, about)


def load_tensors(path):
    """Name → dense tensor of a safetensors file."""
    from safetensors.torch import load_file

    tensors = load_file(path)
    for name in [key.removesuffix(".bitmask") for key in tensors if key.endswith(".bitmask")]:
        tensors[name] = _unpack(*(tensors.pop(f"{name}.{part}") for part in ("values", "bitmask", "shape")))
    return tensors


def _pack(name, tensor):
    import torch

    there = tensor.flatten() != 0
    bits = torch.from_numpy(np.packbits(there.numpy()))
    return {f"{name}.values": tensor.flatten()[there], f"{name}.bitmask": bits, f"{name}.shape": torch.tensor(tensor.shape)}


def _unpack(values, bitmask, shape):
    tensor = values.new_zeros(shape.tolist())
    there = np.unpackbits(bitmask.numpy(), count=tensor.numel()).astype(bool)
    tensor.view(-1)[there.nonzero()[0]] = values
    return tensor


def save_config(path, settings):
    """Write a model's settings as JSON with the provenance record under its own key."""
    write_json(path, settings | {provenance.KEY: provenance.record(path)})
