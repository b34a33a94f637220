"""The label map of a task, fitted on its training split."""

from speech2unit import tables
from speech2unit.schemas import SPLITS
from verbalizer.methods import counts, label_map
from verbalizer.schemas import LM_DATASET, VERBALIZER


def fit_verbalizer(*, lm_dataset, verbalizer, method, num_units, seed):
    """Stage: label → units by `method`. See `VERBALIZER`."""
    rows = [row for row in tables.read(lm_dataset, LM_DATASET).to_pylist() if row["split"] == SPLITS[0]]
    labels, units = counts(rows)
    said = label_map(method, labels, units, num_units, seed)
    table = [
        dict(label=label, units=said[label], label_count=n, unit_count=units[said[label][0]]) for label, n in labels.most_common()
    ]
    tables.write(verbalizer, table, VERBALIZER)
