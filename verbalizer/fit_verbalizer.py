"""The label map of a task, fitted on its training split."""

from storage import tables
from storage.schemas import SPLITS
from verbalizer.methods import METHODS, counts, label_map
from verbalizer.schemas import LM_DATASET, VERBALIZER


def training_counts(lm_dataset):
    """`Counter`s of the labels and of the units of the training split of a table of LM rows."""
    batches = tables.stream(lm_dataset, LM_DATASET, ["split", "labels", "units"])
    return counts(row for batch in batches for row in batch.to_pylist() if row["split"] == SPLITS[0])


def write_label_map(verbalizer, label_counts, unit_counts, units):
    """Write the table in which the labels are said as `units`, in their order. See `VERBALIZER`."""
    said = label_map(label_counts, units)
    rows = [
        dict(label=label, units=said[label], label_count=n, unit_count=unit_counts[said[label][0]])
        for label, n in label_counts.most_common()
    ]
    tables.write(verbalizer, rows, VERBALIZER)


def fit_verbalizer(*, lm_dataset, verbalizer, method, num_units, seed):
    """Stage: label → units by `method`. See `VERBALIZER`."""
    labels, units = training_counts(lm_dataset)
    write_label_map(verbalizer, labels, units, METHODS[method](units, num_units, seed))
