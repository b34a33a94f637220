"""Fit the label map of a task, from labels to units, on its training split."""

from storage import tables
from storage.schemas import SPLITS
from verbalizer.methods import METHODS, counts, label_map
from verbalizer.schemas import LM_DATASET, VERBALIZER


def training_counts(lm_dataset):
    """Return `Counter`s of the labels and of the units in the training split of a table of `LM_DATASET`."""
    batches = tables.stream(lm_dataset, LM_DATASET, ["split", "labels", "units"])
    return counts(row for batch in batches for row in batch.to_pylist() if row["split"] == SPLITS[0])


def write_label_map(verbalizer, label_counts, unit_counts, units):
    """Write the table of `VERBALIZER` that pairs labels with units.

    Args:
        verbalizer: table of `VERBALIZER` to write.
        label_counts, unit_counts: the result of `training_counts`.
        units: all units, the preferred ones first, as a method returns them; see `label_map`.
    """
    units_of = label_map(label_counts, units)
    rows = [
        dict(label=label, units=units_of[label], label_count=count, unit_count=unit_counts[units_of[label][0]])
        for label, count in label_counts.most_common()
    ]
    tables.write(verbalizer, rows, VERBALIZER)


def fit_verbalizer(*, lm_dataset, verbalizer, method, num_units, seed):
    """Stage: choose the units of each label. See `VERBALIZER`.

    Args:
        lm_dataset: table of `LM_DATASET`.
        verbalizer: table of `VERBALIZER` to write.
        method: name of one of `METHODS`.
        num_units: size of the codebook.
        seed: seed of the method, for methods that draw at random.
    """
    label_counts, unit_counts = training_counts(lm_dataset)
    write_label_map(verbalizer, label_counts, unit_counts, METHODS[method](unit_counts, num_units, seed))
