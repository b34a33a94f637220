"""Convert a published encoder: rename its tensors, save its sizes, and report what became of each tensor."""

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
        checkpoint: list of paths: the file of weights, and possibly mean and standard deviation (.npy) or the config.json of
            transformers. The list is empty if nothing is learned.
        model: model.safetensors to write.
        config: config.json to write.
        load_report: table of `LOAD_REPORT` to write.
        architecture: name of the architecture.
        sha256: list with the expected SHA-256 of each file; `-` accepts any.
        sizes: settings of the architecture, the `sizes` of a preset of `convert_encoder`. With a config.json of transformers,
            which has the sizes, they may be empty; otherwise they replace those of config.json.

    Raises:
        ValueError: if a file has another SHA-256, there are no sizes, or the tensors are not those of the architecture.
    """
    check_hashes(checkpoint, sha256)
    module = import_architecture(architecture)
    other_files = {Path(path).suffix: path for path in checkpoint[1:]}
    if ".json" in other_files:
        sizes = module.sizes_from_transformers(read_json(other_files[".json"])) | sizes
    if checkpoint and not sizes:
        raise data_error(
            checkpoint[0],
            "an encoder has the sizes of a preset",
            expected="a preset of convert_encoder",
            got="none",
            remedy="name one in column 'preset' of config/encoders.tsv",
        )
    weights = read_weights(checkpoint[0]) if checkpoint else {}
    if checkpoint and hasattr(module, "sizes_from_checkpoint"):
        sizes = module.sizes_from_checkpoint(sizes, weights, checkpoint[0])
    if ".npy" in other_files:
        weights["mean_std"] = read_array(other_files[".npy"])
    tensors, rows = module.convert(weights, sizes)
    save_tensors(model, tensors)
    save_config(config, dict(architecture=architecture, **sizes))
    tables.write(load_report, rows or LOAD_REPORT.empty_table(), LOAD_REPORT)
