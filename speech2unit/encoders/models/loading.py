"""Functions that all architectures use to load the two files of an encoder's folder."""

from dataclasses import fields
from pathlib import Path

from storage.files import read_json
from storage.weights import load_tensors

FRONT_END_TENSORS = ("mean", "std")  # tensors in `model.safetensors` that belong to a log-Mel front end, not to the model


def read_settings(folder):
    """Return the settings in an encoder's config.json."""
    return read_json(Path(folder) / "config.json")


def sizes_from(settings, config_class):
    """Return an instance of a dataclass of sizes, such as `MelHuBERTConfig`, with the values in an encoder's config.json."""
    names = [field.name for field in fields(config_class)]
    return config_class(**{name: settings[name] for name in names if name in settings})


def keep_blocks(settings, tensors, layer, prefix):
    """Return an encoder's settings and tensors without the blocks above a layer.

    Args:
        settings: content of its config.json; `layers` has the sizes of compressed blocks.
        tensors: name → tensor.
        layer: number of the highest layer to keep, which is the number of blocks below it.
        prefix: what the names of the blocks' tensors begin with, followed by the number of the block.
    """
    kept = {name: tensor for name, tensor in tensors.items() if _block_number(name, prefix) < layer}
    settings = settings | dict(num_layers=layer)
    if settings.get("layers"):
        settings["layers"] = settings["layers"][:layer]
    return settings, kept


def _block_number(name, prefix):
    """Return the number of the block that a tensor belongs to; -1 if it belongs to none."""
    return int(name.removeprefix(prefix).split(".")[0]) if name.startswith(prefix) else -1


def load_weights(model, folder, *, assign):
    """Load the tensors of an encoder's folder into a model.

    Args:
        model: a module of the right sizes.
        folder: the encoder's folder.
        assign: True: the loaded tensors become the parameters, which also works for a model on the meta device. False: their
            values are copied into the existing parameters.

    Returns:
        The same model.
    """
    tensors = load_tensors(Path(folder) / "model.safetensors")
    model.load_state_dict({name: tensor for name, tensor in tensors.items() if name not in FRONT_END_TENSORS}, assign=assign)
    return model
