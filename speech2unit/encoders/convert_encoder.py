"""Convert a published encoder: rename its tensors, save its sizes, and report what became of each tensor."""

from pathlib import Path

from speech2unit.encoders import import_architecture
from speech2unit.encoders.checkpoint_files import CheckpointFiles
from storage import tables
from storage.errors import data_error, listed, notice
from storage.files import read_json
from storage.schemas import LOAD_REPORT
from storage.untrusted.checkpoints import check_hashes, read_array
from storage.weights import save_config, save_tensors


def convert_encoder(*, checkpoint, model, config, load_report, architecture, sha256, sizes):
    """Stage: convert the files of a published encoder.

    Args:
        checkpoint: list of paths: the file of weights or its shards, and possibly mean and standard deviation (.npy) or the
            config.json and preprocessor_config.json of transformers. The list is empty if nothing is learned.
        model: model.safetensors to write.
        config: config.json to write.
        load_report: table of `LOAD_REPORT` to write.
        architecture: name of the architecture.
        sha256: list with the expected SHA-256 of each file; `-` accepts any.
        sizes: settings of the architecture, the `sizes` of a preset of `convert_encoder`. With a config.json of transformers,
            which has the sizes, they may be empty; otherwise they replace those of config.json.

    Raises:
        ValueError: if a file has another SHA-256, there are no sizes, the tensors are not those of the architecture, or the files
            are not those of a whole model, see `CheckpointFiles`.
    """
    check_hashes(checkpoint, sha256)
    module = import_architecture(architecture)
    files = CheckpointFiles(checkpoint)
    if files.config:
        try:
            published_sizes = module.sizes_from_transformers(read_json(files.config))
        except ValueError as error:  # about config.json
            raise ValueError(f"{Path(files.config).parent}/{error}") from error
        if files.preprocessor and hasattr(module, "sizes_from_preprocessor"):
            published_sizes |= module.sizes_from_preprocessor(read_json(files.preprocessor))
        sizes = published_sizes | sizes
    if files.weights and not sizes:
        raise data_error(
            checkpoint[0],
            "an encoder has the sizes of a preset",
            expected="a preset of convert_encoder",
            got="none",
            remedy="name one in column 'preset' of config/encoders.tsv",
        )
    weights = files.read_weights()
    if files.weights and hasattr(module, "sizes_from_checkpoint"):
        sizes = module.sizes_from_checkpoint(sizes, weights, files.weights[0])
    if files.moments:
        weights["mean_std"] = read_array(files.moments)
    tensors, rows = module.convert(weights, sizes)
    left_out = [row["source"] for row in rows if not row["name"]]
    if left_out:
        notice(f"{files.weights[0]}: left out, because hidden states do not depend on them: {listed(left_out)}")
    save_tensors(model, tensors)
    save_config(config, dict(architecture=architecture, **sizes))
    tables.write(load_report, rows or LOAD_REPORT.empty_table(), LOAD_REPORT)
