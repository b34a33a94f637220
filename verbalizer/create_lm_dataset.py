"""Language-model rows: reduced units with the task's labels, joined by utterance_id."""

from speech2unit import tables
from speech2unit.errors import data_error, nearest
from speech2unit.schemas import MANIFEST, REDUCED_UNITS
from speech2unit.splits import SEQUENCE
from verbalizer.schemas import LM_DATASET


def label_positions(wanted, available, place):
    """The wanted label columns among the corpus's: their positions, or all that there is where it is a sequence (`name[]`).

    Raises `ValueError` for an unknown one.
    """
    for name in wanted:
        if name not in available:
            raise data_error(
                place, "a task's labels are label columns of its corpus", expected=f"among {available}", got=f"'{name}'",
                remedy=f"{nearest(name, available)}correct 'labels' in config/tasks.tsv",
            )  # fmt: skip
    if wanted[0].endswith(SEQUENCE):
        return slice(None)
    return [available.index(name) for name in wanted]


def join(units, manifest, positions, place):
    """Rows of `LM_DATASET` from both tables. Raises `ValueError` where an utterance is in one table only."""
    labels = dict(zip(manifest["utterance_id"].to_pylist(), manifest["labels"].to_pylist()))
    names = units["utterance_id"].to_pylist()
    alone = sorted(set(names) ^ set(labels))
    if alone:
        raise data_error(
            place, "units and manifest name the same utterances", expected="no differences", got=f"{len(alone)}, such as {alone[:3]}",
            remedy="rerun from make_manifest on",
        )  # fmt: skip
    whole = isinstance(positions, slice)
    chosen = [labels[name] if whole else [labels[name][i] for i in positions] for name in names]
    return units.select(["utterance_id", "split", "codebook", "units"]).append_column(LM_DATASET.field("labels"), [chosen])


def create_lm_dataset(*, reduced_units, manifest, lm_dataset, labels, corpus_labels):
    """Stage: rows (units, labels) of every utterance. `labels`: the task's, `corpus_labels`: those of the manifest."""
    units = tables.read(reduced_units, REDUCED_UNITS)
    rows = join(units, tables.read(manifest, MANIFEST), label_positions(labels, corpus_labels, manifest), reduced_units)
    tables.write(lm_dataset, rows, LM_DATASET)
