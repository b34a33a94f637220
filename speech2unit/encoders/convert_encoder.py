"""Convert a published encoder: its tensors under our names, its sizes, and a report of what became of each tensor."""

from pathlib import Path

from speech2unit.encoders import import_architecture
from storage import tables
from storage.errors import data_error
from storage.files import read_json
from storage.schemas import LOAD_REPORT
from storage.untrusted.checkpoints import check_hashes, read_array, read_weights
from storage.weights import save_config, save_tensors


def convert_encoder(*, checkpoint, model, config, load_report, architecture, sha256, sizes):
    """Stage: convert the files of a published encoder.

    Args:
        checkpoint: list of files: the weights, and perhaps mean and standard deviation (.npy) or transformers' config.json;
            empty if nothing is learned.
        model: path of the tensors to write.
        config: path of the settings to write.
        load_report: path of the report to write, see `LOAD_REPORT`.
        architecture: name of the architecture.
        sha256: expected SHA-256 of each file, `-` where it is unknown.
        sizes: settings of the architecture; empty: they are read from transformers' config.json.

    Raises:
        ValueError: if a file has another SHA-256, there are no sizes, or the tensors are not those of the architecture.
    """
    check_hashes(checkpoint, sha256)
    module = import_architecture(architecture)
    other_files = {Path(path).suffix: path for path in checkpoint[1:]}
    if ".json" in other_files:
        sizes = module.sizes_from_transformers(read_json(other_files[".json"]))
    if checkpoint and not sizes:
        raise data_error(
            checkpoint[0],
            "an encoder has the sizes of a preset",
            expected="a preset of convert_encoder",
            got="none",
            remedy="name one in column 'preset' of config/encoders.tsv",
        )
    weights = read_weights(checkpoint[0]) if checkpoint else {}
    if ".npy" in other_files:
        weights["mean_std"] = read_array(other_files[".npy"])
    tensors, rows = module.convert(weights, sizes)
    save_tensors(model, tensors)
    save_config(config, dict(architecture=architecture, **sizes))
    tables.write(load_report, rows or LOAD_REPORT.empty_table(), LOAD_REPORT)
