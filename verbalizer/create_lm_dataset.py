"""Language-model rows: reduced units with the task's labels, joined by utterance_id."""

from collections import Counter

import numpy as np
import pyarrow.compute as pc

from evaluation.metrics import require_two_classes
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.corpora.splits import SEQUENCE
from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from storage.errors import data_error, nearest, notice
from storage.schemas import SPLITS
from verbalizer.schemas import LM_DATASET


def label_positions(wanted, available, place):
    """The wanted label columns among the corpus's: their positions, or all that there is where it is a sequence (`name[]`).

    Raises `ValueError` for an unknown one.
    """
    for name in wanted:
        if name not in available:
            raise data_error(
                place,
                "a task's labels are label columns of its corpus",
                expected=f"among {available}",
                got=f"'{name}'",
                remedy=f"{nearest(name, available)}correct 'labels' in config/tasks.tsv",
            )
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
            place,
            "units and manifest name the same utterances",
            expected="no differences",
            got=f"{len(alone)}, such as {alone[:3]}",
            remedy="rerun from make_manifest on",
        )
    whole = isinstance(positions, slice)
    chosen = [labels[name] if whole else [labels[name][i] for i in positions] for name in names]
    return units.select(["utterance_id", "split", "codebook", "units"]).append_column(LM_DATASET.field("labels"), [chosen])


def few_examples(rows, examples_per_class, seed):
    """Mask `[N]` of a table of LM rows: so many training rows of every class, drawn, and all rows of the other splits."""
    kept, order = Counter(), np.random.default_rng(seed).permutation(rows.num_rows)
    classes = [(split, tuple(labels)) for split, labels in zip(rows["split"].to_pylist(), rows["labels"].to_pylist())]
    mask = np.array([split != SPLITS[0] for split, _ in classes])
    for i in order:
        if not mask[i] and kept[classes[i]] < examples_per_class:
            kept[classes[i]] += 1
            mask[i] = True
    return mask


def report_scarce(rows, examples_per_class, place):
    """Tell the user of classes that have fewer training rows than were asked for."""
    training = [labels for split, labels in zip(rows["split"].to_pylist(), rows["labels"].to_pylist()) if split == SPLITS[0]]
    scarce = {name: n for name, n in Counter(map(" ".join, training)).items() if n < examples_per_class}
    if scarce:
        fewest = min(scarce, key=scarce.get)
        notice(
            f"{place}: {len(scarce)} classes have fewer than {examples_per_class} training rows; '{fewest}' has {scarce[fewest]}"
        )


def create_lm_dataset(*, reduced_units, manifest, lm_dataset, labels, corpus_labels, of_two_classes, examples_per_class, seed):
    """Stage: rows (units, labels) of every utterance. `labels`: the task's, `corpus_labels`: those of the manifest.

    `of_two_classes`: whether other labels than two are an error (of the metric eer); `examples_per_class`: so many training
    rows of every class are left, 0: all.
    """
    units = tables.read(reduced_units, REDUCED_UNITS)
    rows = join(units, tables.read(manifest, MANIFEST), label_positions(labels, corpus_labels, manifest), reduced_units)
    for split in SPLITS if of_two_classes else ():
        told = rows.filter(pc.field("split") == split)["labels"].to_pylist()
        require_two_classes(map(" ".join, told), f"metric eer, {split}")
    if examples_per_class:
        rows = rows.filter(few_examples(rows, examples_per_class, seed))
        report_scarce(rows, examples_per_class, lm_dataset)
    tables.write(lm_dataset, rows, LM_DATASET)
