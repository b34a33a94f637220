"""Weights on disk: safetensors with the provenance record in the header; a model's sizes as JSON beside it."""

import json

from speech2unit import provenance
from speech2unit.files import atomic, write_json


def save_tensors(path, tensors):
    """Write name → tensor to a safetensors file, whole or not at all."""
    from safetensors.torch import save_file

    about = {provenance.KEY: json.dumps(provenance.record(path))}
    with atomic(path) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary, about)


def save_config(path, settings):
    """Write a model's settings as JSON with the provenance record under its own key."""
    write_json(path, settings | {provenance.KEY: provenance.record(path)})
