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
