"""Verbalized rows: the labels of every row said in units."""

from storage import tables
from storage.errors import data_error, one_of
from verbalizer.schemas import LM_DATASET, VERBALIZED, VERBALIZER


def verbalize(labels, said, place):
    """Labels → the units that say them, one label after the other. Raises `ValueError` for an unknown label."""
    for label in labels:
        if label not in said:
            raise data_error(
                place,
                "every label is known from the training split",
                expected=one_of(label, said),
                got=f"'{label}'",
                remedy="add training rows with the label or leave it out with 'where' in config/corpora.tsv",
            )
    return [unit for label in labels for unit in said[label]]


def apply_verbalizer(*, lm_dataset, verbalizer, verbalized):
    """Stage: rows (units, target units). See `VERBALIZED`."""
    said = {row["label"]: row["units"] for row in tables.read(verbalizer, VERBALIZER).to_pylist()}
    with tables.writer(verbalized, VERBALIZED) as out:
        for batch in tables.stream(lm_dataset, LM_DATASET):
            out.write([row | dict(target_units=verbalize(row["labels"], said, lm_dataset)) for row in batch.to_pylist()])
