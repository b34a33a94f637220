"""Rows for the unit LM: reduced units with the labels of the task, joined by utterance_id."""

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


def label_positions(labels, corpus_labels, place):
    """Return the positions of the task's label columns among those of its corpus.

    Args:
        labels: label columns of the task.
        corpus_labels: label columns of the corpus, in the order of the manifest's labels.
        place: path of the manifest, for the error message.

    Returns:
        A list of positions; for a column that holds a sequence (`name[]`), a slice of all labels.

    Raises:
        ValueError: if the corpus has no such column.
    """
    for name in labels:
        if name not in corpus_labels:
            raise data_error(
                place,
                "a task's labels are label columns of its corpus",
                expected=f"among {corpus_labels}",
                got=f"'{name}'",
                remedy=f"{nearest(name, corpus_labels)}correct 'labels' in config/tasks.tsv",
            )
    if labels[0].endswith(SEQUENCE):
        return slice(None)
    return [corpus_labels.index(name) for name in labels]


def join(units, manifest, positions, place):
    """Return a table of `LM_DATASET` from reduced units and the labels of a manifest.

    Args:
        units: table of `REDUCED_UNITS`.
        manifest: table of `MANIFEST`.
        positions: the result of `label_positions`.
        place: path of the table of units, for the error message.

    Raises:
        ValueError: if an utterance is in only one of the two tables.
    """
    labels_of = dict(zip(manifest["utterance_id"].to_pylist(), manifest["labels"].to_pylist()))
    names = units["utterance_id"].to_pylist()
    unmatched = sorted(set(names) ^ set(labels_of))
    if unmatched:
        raise data_error(
            place,
            "units and manifest must have the same utterances",
            expected="no differences",
            got=f"{len(unmatched)}, such as {unmatched[:3]}",
            remedy="rerun from make_manifest on",
        )
    if isinstance(positions, slice):
        labels = [labels_of[name] for name in names]
    else:
        labels = [[labels_of[name][position] for position in positions] for name in names]
    return units.select(["utterance_id", "split", "codebook", "units"]).append_column(LM_DATASET.field("labels"), [labels])


def few_examples(rows, examples_per_class, seed):
    """Return a mask `[N]` of the rows to keep: some random training rows of each class, and all rows of the other splits.

    Args:
        rows: table of `LM_DATASET`.
        examples_per_class: maximum number of training rows per class.
        seed: seed of the random choice.
    """
    classes = [(split, tuple(labels)) for split, labels in zip(rows["split"].to_pylist(), rows["labels"].to_pylist())]
    mask = np.array([split != SPLITS[0] for split, _ in classes])
    num_kept = Counter()
    for i in np.random.default_rng(seed).permutation(rows.num_rows):
        if not mask[i] and num_kept[classes[i]] < examples_per_class:
            num_kept[classes[i]] += 1
            mask[i] = True
    return mask


def report_scarce(rows, examples_per_class, place):
    """Notify the user of classes with few training rows.

    Args:
        rows: table of `LM_DATASET`.
        examples_per_class: classes with fewer training rows are reported.
        place: path of the table, for the message.
    """
    train = rows.filter(pc.field("split") == SPLITS[0])
    class_counts = Counter(" ".join(labels) for labels in train["labels"].to_pylist())
    scarce = {name: count for name, count in class_counts.items() if count < examples_per_class}
    if scarce:
        rarest = min(scarce, key=scarce.get)
        notice(
            f"{place}: {len(scarce)} classes have fewer than {examples_per_class} training rows; '{rarest}' has {scarce[rarest]}"
        )


def create_lm_dataset(*, reduced_units, manifest, lm_dataset, labels, corpus_labels, needs_two_classes, examples_per_class, seed):
    """Stage: write the units and labels of every utterance. See `LM_DATASET`.

    Args:
        reduced_units: table of `REDUCED_UNITS`.
        manifest: table of `MANIFEST`.
        lm_dataset: table of `LM_DATASET` to write.
        labels: label columns of the task.
        corpus_labels: label columns of the corpus, in the order of the manifest's labels.
        needs_two_classes: whether each split must have exactly two classes, for an equal error rate.
        examples_per_class: maximum number of training rows per class; 0: no limit.
        seed: seed of the random choice of these rows.

    Raises:
        ValueError: if units and manifest do not have the same utterances, the corpus does not have the label columns, or a
            split does not have two classes although `needs_two_classes` is set.
    """
    units = tables.read(reduced_units, REDUCED_UNITS)
    rows = join(units, tables.read(manifest, MANIFEST), label_positions(labels, corpus_labels, manifest), reduced_units)
    for split in SPLITS if needs_two_classes else ():
        split_labels = rows.filter(pc.field("split") == split)["labels"].to_pylist()
        require_two_classes(map(" ".join, split_labels), f"metric eer, {split}")
    if examples_per_class:
        rows = rows.filter(few_examples(rows, examples_per_class, seed))
        report_scarce(rows, examples_per_class, lm_dataset)
    tables.write(lm_dataset, rows, LM_DATASET)
