"""Splits: their names, and what must hold between them."""

from collections import Counter

from speech2unit.errors import data_error, nearest
from speech2unit.schemas import SPLITS

NAMES = dict(train="train", training="train", dev="dev", valid="dev", validation="dev", val="dev", test="test", testing="test")


def standard_split(name, place):
    """`valid` → `dev` and so on; raises `ValueError` for a name that is none of `NAMES`."""
    if str(name).lower() not in NAMES:
        raise data_error(
            place, "a split has a known name", expected=f"one of {', '.join(NAMES)}", got=f"'{name}'",
            remedy=f"{nearest(name, NAMES)}rename the split, or leave the rows out with `where`",
        )  # fmt: skip
    return NAMES[str(name).lower()]


def check_splits(rows, place):
    """Raises `ValueError` where a split is empty, or where train lacks a label of dev or test.

    A corpus without labels serves pre-training alone and needs no dev and test split.
    """
    sizes = Counter(row["split"] for row in rows)
    needed = SPLITS if any(row["labels"] for row in rows) else SPLITS[:1]
    if not set(needed) <= set(sizes):
        raise data_error(
            place, "no split may be empty", expected=f"usable rows in {', '.join(needed)}", got=f"{dict(sizes)}",
            remedy="correct the corpus, its split_column or `where`, or add speakers where the split is drawn by speaker",
        )  # fmt: skip
    known = {item for row in rows if row["split"] == "train" for item in enumerate(row["labels"])}
    unknown = {label: row["utterance_id"] for row in rows for label in enumerate(row["labels"]) if label not in known}
    if unknown:
        raise data_error(
            place, "train must hold every label of dev and test", expected="each (label column, label) in train",
            got=f"{len(unknown)} that it lacks: {dict(list(unknown.items())[:5])}",
            remedy="correct the labels, or leave these rows out with `where`",
        )  # fmt: skip
