"""Write the labels of every row as units, as the label map says."""

from storage import tables
from storage.errors import data_error, one_of
from verbalizer.schemas import LM_DATASET, VERBALIZED, VERBALIZER


def verbalize(labels, units_of, place):
    """Return the concatenated units of a row's labels.

    Args:
        labels: labels of a row.
        units_of: dict from each label to its units.
        place: table of the row, for the error.

    Raises:
        ValueError: if a label does not occur in the training split.
    """
    for label in labels:
        if label not in units_of:
            raise data_error(
                place,
                "every label must occur in the training split",
                expected=one_of(label, units_of),
                got=f"'{label}'",
                remedy="add training rows with the label, or exclude it with 'where' in config/corpora.tsv",
            )
    return [unit for label in labels for unit in units_of[label]]


def apply_verbalizer(*, lm_dataset, verbalizer, verbalized):
    """Stage: write rows of units and target units. See `VERBALIZED`.

    Args:
        lm_dataset: table of `LM_DATASET`.
        verbalizer: table of `VERBALIZER`.
        verbalized: table of `VERBALIZED` to write.
    """
    units_of = {row["label"]: row["units"] for row in tables.read(verbalizer, VERBALIZER).to_pylist()}
    with tables.writer(verbalized, VERBALIZED) as out:
        for batch in tables.stream(lm_dataset, LM_DATASET):
            rows = batch.to_pylist()
            out.write([row | dict(target_units=verbalize(row["labels"], units_of, lm_dataset)) for row in rows])
