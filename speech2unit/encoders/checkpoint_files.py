"""The files of a published encoder: weights, in one file or in shards, and what comes with them.

    files = CheckpointFiles(["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "config.json"])
    files.read_weights()  # name → tensor of both shards
    files.config          # "config.json"

Shards must be complete. An adapter of the library peft is refused, because it is not a whole model.
"""

import re
from pathlib import Path

from storage.errors import data_error
from storage.files import read_json
from storage.untrusted.checkpoints import read_weights

SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.\w+)")  # model-00001-of-00002.safetensors
INDEX_END = ".index.json"  # file of transformers that says which shard has which tensor
PREPROCESSOR = "preprocessor_config.json"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")  # of the library peft
ADAPTER_PREFIX = "base_model.model."  # of tensors in a file of peft


class CheckpointFiles:
    """The files of a published encoder, by what they are.

    Attributes:
        weights: list of the file of weights, or of its shards; empty if nothing is learned.
        config: config.json of transformers, or None.
        preprocessor: preprocessor_config.json of transformers, which describes the input of the model, or None.
        moments: .npy file with mean and standard deviation, or None.
    """

    def __init__(self, paths):
        """Tell apart the files of one row of config/checkpoints.tsv, which `paths` lists.

        Raises:
            ValueError: if a shard is missing, if there are several files of weights, or if the weights are those of an adapter.
        """
        paths = [Path(path) for path in paths]
        _refuse_adapters(paths)
        index = next((path for path in paths if path.name.endswith(INDEX_END)), None)
        self.preprocessor = next((path for path in paths if path.name == PREPROCESSOR), None)
        configs = [path for path in paths if path.suffix == ".json" and path not in (index, self.preprocessor)]
        self.config = next((path for path in configs if path.name == "config.json"), configs[0] if configs else None)
        self.moments = next((path for path in paths if path.suffix == ".npy"), None)
        self.weights = [path for path in paths if path.suffix not in (".json", ".npy")]
        _check_shards(paths, self.weights, index)

    def read_weights(self):
        """Return name → tensor of the weights, of all shards together.

        Raises:
            ValueError: if a file is damaged or has anything other than tensors, or if it has the tensors of an adapter.
        """
        tensors = {}
        for path in self.weights:
            tensors |= read_weights(path)
        if any(name.startswith(ADAPTER_PREFIX) for name in tensors):
            raise _adapter_error(self.weights[0], base="the model that it was trained on")
        return tensors


def _refuse_adapters(paths):
    """Raise `ValueError` if files are those of an adapter, which has only the changes of a base model's weights."""
    for path in paths:
        if path.name in ADAPTER_FILES:
            settings = next((read_json(other) for other in paths if other.name == ADAPTER_FILES[0] and other.exists()), {})
            base = settings.get("base_model_name_or_path") if isinstance(settings, dict) else None
            raise _adapter_error(path, base=f"{base:.200}" if isinstance(base, str) and base else "its base model")


def _adapter_error(path, base):
    """Return the error for the files of an adapter; `base`: what it adapts."""
    command = f"PeftModel.from_pretrained(AutoModel.from_pretrained('{base}'), '{path.parent}').merge_and_unload()"
    return data_error(
        path,
        "an encoder is a whole model",
        expected="model.safetensors and config.json",
        got=f"a peft adapter, which has only changes of {base}",
        remedy=f"merge them in Python, {command}.save_pretrained('merged'), and name the files of the folder merged",
    )


def _check_shards(paths, weights, index):
    """Check that the weights are one file, or all shards of one model.

    Args:
        paths: all files.
        weights: those of them that have weights.
        index: path of the index of the shards, or None.
    """
    names = [path.name for path in weights]
    expected = _names_in(index) if index else []
    for match in filter(None, map(SHARD.fullmatch, names)):
        expected += [f"{match[1]}-{number:05d}-of-{match[3]}{match[4]}" for number in range(1, int(match[3]) + 1)]
    expected = sorted(set(expected)) or names[:1]
    if sorted(names) != expected:
        others = [path.name for path in paths if path not in weights]
        raise data_error(
            (index or weights[0]).parent,
            "an encoder has one file of weights, or all shards of one",
            expected=", ".join(expected),
            got=", ".join(names) or "none of them",
            remedy=f"write {','.join([*expected, *others])} into the cell 'files' of its row in config/checkpoints.tsv",
        )


def _names_in(index):
    """Return the names of the shards that an index lists."""
    content = read_json(index)
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise data_error(
            index,
            "an index of shards names the file of each tensor",
            expected="'weight_map', a dictionary from tensor to file",
            got=f"{type(weight_map).__name__}",
            remedy="take the file from its publisher again",
        )
    return list(weight_map.values())
