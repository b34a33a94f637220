"""Weights on disk: safetensors with the provenance record in the header, and a model's settings as JSON.

A sparse tensor is stored as three: `{name}.values`, its values other than 0; `{name}.bitmask`, one bit per element that says
whether it is other than 0; and `{name}.shape`. At a density of 0.3 this takes a third of the bytes.
"""

import json

import numpy as np

from storage import provenance
from storage.files import atomic, write_json


def save_tensors(path, tensors, sparse=()):
    """Write tensors to a safetensors file, atomically.

    Args:
        path: the file.
        tensors: name → tensor.
        sparse: names of the tensors that are stored without their zeros.
    """
    from safetensors.torch import save_file

    metadata = {provenance.KEY: json.dumps(provenance.record(path))}
    for name in sparse:
        tensors = tensors | _pack(name, tensors[name].detach().cpu())
        del tensors[name]
    with atomic(path) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary, metadata)


def load_tensors(path):
    """Return name → dense tensor of a safetensors file that `save_tensors` wrote."""
    from safetensors.torch import load_file

    tensors = load_file(path)
    packed_names = [key.removesuffix(".bitmask") for key in tensors if key.endswith(".bitmask")]
    for name in packed_names:
        values = tensors.pop(f"{name}.values")
        bitmask = tensors.pop(f"{name}.bitmask")
        shape = tensors.pop(f"{name}.shape")
        tensors[name] = _unpack(values, bitmask, shape)
    return tensors


def save_config(path, settings):
    """Write a model's settings as JSON, with the provenance record under the key `provenance`."""
    write_json(path, settings | {provenance.KEY: provenance.record(path)})


def _pack(name, tensor):
    """Return the three tensors of a sparse tensor, by name."""
    import torch

    is_nonzero = tensor.flatten() != 0
    return {
        f"{name}.values": tensor.flatten()[is_nonzero],
        f"{name}.bitmask": torch.from_numpy(np.packbits(is_nonzero.numpy())),
        f"{name}.shape": torch.tensor(tensor.shape),
    }


def _unpack(values, bitmask, shape):
    """Return the dense tensor."""
    tensor = values.new_zeros(shape.tolist())
    is_nonzero = np.unpackbits(bitmask.numpy(), count=tensor.numel()).astype(bool)
    tensor.view(-1)[is_nonzero.nonzero()[0]] = values
    return tensor
