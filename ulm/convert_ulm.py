"""A published unit LM in our files: fairseq's checkpoint_best.pt and dict.txt, as GSLM packed them into one .tgz.

The vocabulary has dict.txt's order, which need not be that of the units: hubert100's is numeric, cpc100's goes by frequency.
"""

import tempfile
from pathlib import Path

import torch

from storage import tables
from storage.errors import data_error
from storage.schemas import LOAD_REPORT
from storage.untrusted.archives import extract_members
from storage.untrusted.checkpoints import check_hashes, read_weights
from storage.weights import save_config, save_tensors
from ulm.build_vocabulary import SPECIALS
from ulm.model import UnitLM, UnitLMConfig
from ulm.pseudo_tasks import TaskPrompts
from ulm.schemas import VOCABULARY

PREFIX = "decoder."
LEFT_OUT = ("version", "embed_positions._float_tensor", "output_projection.weight")  # a buffer, no values, the tied embedding
FILLER = "madeupword"  # fairseq fills a vocabulary up to a multiple of 8 with these


def dictionary_rows(text, num_units, place):
    """Rows of `VOCABULARY` from a dict.txt, whose lines are `symbol count`. Raises `ValueError`."""
    rows = [dict(index=i, symbol=symbol, unit=None, count=0) for i, symbol in enumerate(SPECIALS)]
    for line in text.splitlines():
        symbol, _, count = line.rpartition(" ")
        unit = int(symbol) if symbol.isdecimal() else None
        if not count.isdecimal() or (unit is None and not symbol.startswith(FILLER)):
            raise _mismatch(place, "a line is a unit and its count", "such as '71 4923'", f"{line!r:.40}")
        rows.append(dict(index=len(rows), symbol=symbol, unit=unit, count=int(count)))
    units = [row["unit"] for row in rows if row["unit"] is not None]
    if sorted(units) != list(range(num_units)):
        wrong = sorted(set(units) ^ set(range(num_units)))
        raise _mismatch(place, "a dictionary has each unit once", f"0 to {num_units - 1}", f"{len(units)}, wrong {wrong[:9]}")
    return rows


def convert(tensors, config, place):
    """fairseq's tensors → ours in float32, and rows of `LOAD_REPORT`. Raises `ValueError` that names what does not fit."""
    with torch.device("meta"):
        wanted = {name: tensor.shape for name, tensor in UnitLM(config).state_dict().items()}
    names = {source: source.removeprefix(PREFIX) for source in tensors}
    found = {name: tensors[source] for source, name in names.items() if name not in LEFT_OUT}
    misfits = sorted(n for n in wanted.keys() | found.keys() if n not in found or wanted.get(n) != found[n].shape)
    if misfits:
        got = ", ".join(f"{n} {[*found[n].shape] if n in found else 'missing'}" for n in misfits[:9])
        raise _mismatch(
            place, "tensors must be those of the sizes", f"{len(wanted)} of {config}", f"{len(misfits)} others: {got}"
        )
    output = tensors.get(f"{PREFIX}output_projection.weight")
    if output is not None and not torch.equal(output, found["embed_tokens.weight"]):
        raise _mismatch(place, "input and output embeddings are tied", "one matrix", "two")
    rows = [
        dict(
            source=s, name=n if n in found else "", shape=[*tensors[s].shape], dtype=str(tensors[s].dtype).removeprefix("torch.")
        )
        for s, n in names.items()
    ]
    return {name: tensor.float() for name, tensor in found.items()}, rows


def convert_ulm(*, checkpoint, model, config, vocabulary, task_prompts, load_report, sha256, num_units, sizes):
    """Stage: the archive `checkpoint` as a unit LM that knows no pseudo-tasks. See `VOCABULARY` and `LOAD_REPORT`."""
    check_hashes(checkpoint, sha256)
    with tempfile.TemporaryDirectory(dir=Path(model).parent, prefix=f".{Path(model).name}.", suffix=".tmp") as folder:
        targets = {name: Path(folder) / name for name in ("checkpoint_best.pt", "dict.txt")}
        extract_members(checkpoint[0], targets)
        rows = dictionary_rows(targets["dict.txt"].read_text(), num_units, checkpoint[0])
        lm_config = UnitLMConfig(len(rows), **sizes)
        tensors, report = convert(read_weights(targets["checkpoint_best.pt"]), lm_config, checkpoint[0])
        save_tensors(model, tensors)
    tables.write(vocabulary, rows, VOCABULARY)
    save_tensors(task_prompts, TaskPrompts(lm_config, 0, 1).state_dict())
    save_config(config, dict(num_parameters=sum(tensor.numel() for tensor in tensors.values()), **lm_config.to_dict()))
    tables.write(load_report, report, LOAD_REPORT)


def _mismatch(place, rule, expected, got):
    return data_error(
        place,
        rule,
        expected=expected,
        got=got,
        remedy="correct preset or codebook in config/ulms.tsv, or take the published file",
    )
