"""Convert a published unit LM: fairseq's checkpoint_best.pt and dict.txt in a .tgz, as GSLM published them.

The vocabulary has the order of dict.txt, which need not be that of the units: it is numeric for GSLM's HuBERT unit LM with 100
units, and by frequency for its CPC unit LM with 100 units.
"""

import tempfile
from collections import Counter
from pathlib import Path

import torch

from storage import tables
from storage.errors import data_error
from storage.schemas import LOAD_REPORT
from storage.untrusted.archives import extract_members
from storage.untrusted.checkpoints import check_hashes, read_weights
from storage.weights import save_config, save_tensors
from ulm.model import UnitLM, UnitLMConfig
from ulm.pseudo_tasks import TaskPrompts
from ulm.schemas import VOCABULARY
from ulm.vocabulary import SPECIALS

PREFIX = "decoder."
LEFT_OUT = ("version", "embed_positions._float_tensor", "output_projection.weight")  # two buffers and the tied embedding
FILLER = "madeupword"  # fairseq adds these to make the vocabulary size a multiple of 8
MAX_SHOWN = 9  # wrong tensors that an error message lists


def dictionary_rows(text, num_units, place):
    """Return rows of `VOCABULARY` from the text of a dict.txt, whose lines are `symbol count`.

    Args:
        text: content of the file.
        num_units: size of the codebook; the units 0 … num_units-1 must each occur once.
        place: path of the file, for error messages.

    Raises:
        ValueError: if the file does not list exactly these units.
    """
    rows = [dict(index=i, symbol=symbol, unit=None, count=0) for i, symbol in enumerate(SPECIALS)]
    for line in text.splitlines():
        symbol, _, count = line.rpartition(" ")
        unit = int(symbol) if symbol.isdecimal() else None
        if not count.isdecimal() or (unit is None and not symbol.startswith(FILLER)):
            raise _mismatch(
                place,
                "each line of a dictionary is a unit and its count",
                expected="a line such as '71 4923'",
                got=f"{line!r:.40}",
            )
        rows.append(dict(index=len(rows), symbol=symbol, unit=unit, count=int(count)))
    counts = Counter(row["unit"] for row in rows if row["unit"] is not None)
    if counts != dict.fromkeys(range(num_units), 1):
        wrong = [unit for unit in sorted({*counts, *range(num_units)}) if counts[unit] != 1 or unit >= num_units]
        raise _mismatch(
            place,
            "a dictionary has each unit once",
            expected=f"0 to {num_units - 1}",
            got=f"{counts.total()} units (missing, repeated or unknown: {wrong[:MAX_SHOWN]})",
        )
    return rows


def convert(tensors, config, place):
    """Convert the tensors of fairseq's checkpoint.

    Args:
        tensors: dict from fairseq's name to the tensor.
        config: `UnitLMConfig` of the sizes that the tensors must have.
        place: path of the checkpoint, for error messages.

    Returns:
        A dict from our name to the tensor in float32, and rows of `LOAD_REPORT`.

    Raises:
        ValueError: if tensors are missing, unknown or have other shapes (the message names them), or the embeddings are not tied.
    """
    names = {source: source.removeprefix(PREFIX) for source in tensors}
    converted = {name: tensors[source] for source, name in names.items() if name not in LEFT_OUT}
    _check_shapes(converted, config, place)
    output = tensors.get(f"{PREFIX}output_projection.weight")
    if output is not None and not torch.equal(output, converted["embed_tokens.weight"]):
        raise _mismatch(place, "input and output embeddings are tied", expected="one matrix", got="two different ones")
    report = []
    for source, name in names.items():
        report.append(
            dict(
                source=source,
                name=name if name in converted else "",
                shape=list(tensors[source].shape),
                dtype=str(tensors[source].dtype).removeprefix("torch."),
            )
        )
    return {name: tensor.float() for name, tensor in converted.items()}, report


def _check_shapes(tensors, config, place):
    """Check that the tensors are those of a `UnitLM` with the sizes in `config`."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in UnitLM(config).state_dict().items()}
    misfits = []
    for name in sorted(shapes.keys() | tensors.keys()):
        if name not in tensors:
            misfits.append(f"{name} missing")
        elif shapes.get(name) != tensors[name].shape:
            misfits.append(f"{name} {list(tensors[name].shape)}")
    if misfits:
        num_more = len(misfits) - MAX_SHOWN
        more = f" and {num_more} more" if num_more > 0 else ""
        raise _mismatch(
            place,
            "tensors must be those of the sizes",
            expected=f"{len(shapes)} tensors of {config}",
            got=f"{', '.join(misfits[:MAX_SHOWN])}{more}",
        )


def convert_ulm(*, checkpoint, model, config, vocabulary, task_prompts, load_report, sha256, num_units, sizes):
    """Stage: convert a published unit LM. It has no pseudo-tasks. See `VOCABULARY` and `LOAD_REPORT`.

    Args:
        checkpoint: list with the path of the archive.
        model, config: safetensors and JSON file to write, which `ulm.model.load` reads.
        vocabulary: table of `VOCABULARY` to write.
        task_prompts: safetensors file to write, with the (empty) tensors of 0 pseudo-tasks.
        load_report: table of `LOAD_REPORT` to write.
        sha256: list with the expected SHA-256 of the archive; `-` accepts any.
        num_units: size of the codebook.
        sizes: sizes of the unit LM:
            num_layers: number of transformer blocks.
            dim: width of the hidden states.
            ffn_dim: width of the feed-forward layers.
            num_heads: attention heads per block; divides `dim`.

    Raises:
        ValueError: if the archive has another hash, or its files do not fit the codebook or the sizes.
    """
    check_hashes(checkpoint, sha256)
    (archive,) = checkpoint
    with tempfile.TemporaryDirectory(dir=Path(model).parent, prefix=f".{Path(model).name}.", suffix=".tmp") as folder:
        targets = {name: Path(folder) / name for name in ("checkpoint_best.pt", "dict.txt")}
        extract_members(archive, targets)
        rows = dictionary_rows(targets["dict.txt"].read_text(), num_units, archive)
        lm_config = UnitLMConfig(len(rows), **sizes)
        tensors, report = convert(read_weights(targets["checkpoint_best.pt"]), lm_config, archive)
        save_tensors(model, tensors)
    tables.write(vocabulary, rows, VOCABULARY)
    save_tensors(task_prompts, TaskPrompts(lm_config, 0, 1).state_dict())
    save_config(config, dict(num_parameters=sum(tensor.numel() for tensor in tensors.values()), **lm_config.to_dict()))
    tables.write(load_report, report, LOAD_REPORT)


def _mismatch(place, rule, *, expected, got):
    """Return the error about a file that does not fit its row in ulms.tsv."""
    return data_error(
        place,
        rule,
        expected=expected,
        got=got,
        remedy="correct preset or codebook in config/ulms.tsv, or take the published file",
    )
