"""Splits: their names, how they are drawn where none is published, and what must hold between them."""

import hashlib
from collections import Counter

from storage.errors import data_error, nearest, one_of
from storage.schemas import SPLITS

SPLIT_NAMES = dict(
    train="train", training="train", dev="dev", valid="dev", validation="dev", val="dev", test="test", testing="test"
)
TRAIN_BELOW, DEV_BELOW = 0.8, 0.9
SEQUENCE = "[]"  # ends the name of a label column whose labels are a sequence, as in `characters[]`


def standard_split(name, place):
    """`valid` → `dev` and so on; raises `ValueError` for a name that is none of `SPLIT_NAMES`."""
    if str(name).lower() not in SPLIT_NAMES:
        raise data_error(
            place,
            "a split has a known name",
            expected=one_of(name, SPLIT_NAMES),
            got=f"'{name}'",
            remedy=f"{nearest(name, SPLIT_NAMES)}rename the split, or leave the rows out with `where`",
        )
    return SPLIT_NAMES[str(name).lower()]


def split_by_hash(name):
    """The split of a speaker (80 % train, 10 % dev, 10 % test), from a hash of the name alone."""
    fraction = _fraction(name)
    return "train" if fraction < TRAIN_BELOW else "dev" if fraction < DEV_BELOW else "test"


def split_speakers_by_label(speakers_of):
    """Label → its speakers, of which none has two labels, becomes speaker → split: every label has what its speakers allow.

    In the order of the hash, a tenth of a label's speakers and at least one go to test, as many to dev. Two speakers are
    train and test, one is train: then the label is not tested, which is better than testing what was never heard.
    """
    splits = {}
    for speakers in speakers_of.values():
        ordered = sorted(speakers, key=lambda name: (_fraction(name), name))
        share = max(1, round((1 - DEV_BELOW) * len(ordered)))
        held_out = ["test"] * share * (len(ordered) > 1) + ["dev"] * share * (len(ordered) > 2)
        splits |= dict(zip(ordered, held_out + ["train"] * len(ordered)))
    return splits


def _fraction(name):
    digest = hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def check_splits(rows, place, label_columns=""):
    """Raises `ValueError` where a split is empty, or where train lacks a label of dev or test.

    A corpus without labels serves pre-training alone and needs no dev and test split. In a sequence (`label_columns` such
    as `characters[]`) a label may stand anywhere.
    """
    sizes = Counter(row["split"] for row in rows)
    needed = SPLITS if any(row["labels"] for row in rows) else SPLITS[:1]
    if not set(needed) <= set(sizes):
        speakers = sorted({row.get("speaker") for row in rows} - {None})
        raise data_error(
            place,
            "no split may be empty",
            expected=f"usable rows in {', '.join(needed)}",
            got=f"{dict(sizes)} from {len(speakers)} speakers: {', '.join(speakers[:3])}",
            remedy="where the split is drawn by speaker (adapter folders), see that `speaker_pattern` finds the speaker in file names, add "
            "speakers, or put them into folders train/, dev/ and test/ yourself; else correct the corpus, its split_column or `where`",
        )
    sequence = label_columns.endswith(SEQUENCE)
    items = set if sequence else enumerate
    known = {item for row in rows if row["split"] == "train" for item in items(row["labels"])}
    unknown = {label: row["utterance_id"] for row in rows for label in items(row["labels"]) if label not in known}
    if unknown:
        labels = [f"'{item}'" if sequence else f"'{item[1]}' of label column {item[0] + 1}" for item in unknown]
        shown = [f"{label} (in {utterance_id})" for label, utterance_id in zip(labels, unknown.values())]
        raise data_error(
            place,
            "train must hold every label of dev and test",
            expected="each label of each label column in train",
            got=f"{len(unknown)} that it lacks: {', '.join(shown[:5])}",
            remedy="correct the labels, or leave these rows out with `where`",
        )
