"""A published encoder in our files: its tensors under our names, our own sizes, and a report of which became which."""

import importlib
from pathlib import Path

from speech2unit import encoders
from storage import tables
from storage.errors import data_error
from storage.files import read_json
from storage.schemas import LOAD_REPORT
from storage.untrusted.checkpoints import check_hashes, read_array, read_weights
from storage.weights import save_config, save_tensors


def convert_encoder(*, checkpoint, model, config, load_report, architecture, sha256, sizes):
    """Stage: `checkpoint` is a file of weights, and perhaps a .npy of mean and deviation; a transformers folder's
    model.safetensors and config.json; or nothing where nothing is learned. Without `sizes` they are taken from that
    config.json, number by number. See `LOAD_REPORT`.
    """
    check_hashes(checkpoint, sha256)
    module = importlib.import_module(f"{encoders.__name__}.architectures.{architecture}")
    beside = {Path(path).suffix: path for path in checkpoint[1:]}
    if ".json" in beside:
        sizes = module.sizes_from_transformers(read_json(beside[".json"]))
    if checkpoint and not sizes:
        raise data_error(
            checkpoint[0],
            "an encoder has the sizes of a preset",
            expected="a preset of convert_encoder",
            got="none",
            remedy="name it in config/encoders.tsv",
        )
    weights = read_weights(checkpoint[0]) if checkpoint else {}
    if ".npy" in beside:
        weights["mean_std"] = read_array(beside[".npy"])
    tensors, rows = module.convert(weights, sizes)
    save_tensors(model, tensors)
    save_config(config, dict(architecture=architecture, **sizes))
    tables.write(load_report, rows or LOAD_REPORT.empty_table(), LOAD_REPORT)
