"""Splits: their names, how they are assigned if none are published, and the properties that they must have."""

import hashlib
from collections import Counter, defaultdict

from storage.errors import data_error, listed, nearest, notice, one_of
from storage.schemas import SPLITS
from storage.text import first_three, normalize, shown

# What published corpora call their splits → our names.
SPLIT_NAMES = dict(
    train="train", training="train", dev="dev", valid="dev", validation="dev", val="dev", test="test", testing="test"
)
AMBIGUOUS_SPLITS = ("eval", "evaluation", "heldout", "holdout")  # dev in some corpora, test in others
TRAIN_BELOW = 0.8  # hashes from 0 up to this fraction: train; from there up to DEV_BELOW: dev; above: test
DEV_BELOW = 0.9
SEQUENCE = "[]"  # ending of the name of a label column whose cells hold sequences, such as `characters[]`


SHARED = dict(speaker="a speaker", audio_hash="the same recording")  # what a value of a column of the manifest stands for
REMEDIES = dict(  # what to do about a value that is in two splits
    speaker="correct the splits, or the speakers (the adapter folders finds them with `speaker_pattern` of config/corpora.tsv)",
    audio_hash="one file is probably a wrong copy: restore it, or remove its row; if you cannot tell which, remove all of these rows",
)


def standard_split(name, place):
    """Return our name of a split: `valid` → `dev`. Raises `ValueError` if the name is not a key of `SPLIT_NAMES`."""
    normalized = normalize(str(name)).lower()
    known = SPLIT_NAMES.get(normalized)
    if known is None:
        meant = nearest(name, SPLIT_NAMES)
        if normalized in AMBIGUOUS_SPLITS:
            meant = "write test if these rows measure the result, or dev if they choose between models; else "
        raise data_error(
            place,
            "a split has a known name",
            expected=one_of(name, SPLIT_NAMES),
            got=f"'{shown(name)}'",
            remedy=f"{meant}if the cells of this row are in the wrong columns, insert the missing one; else rename the split, or remove "
            "these rows from the file",
        )
    return known


def split_by_hash(name):
    """Return the split of a speaker, from a hash of the name alone: 80 % train, 10 % dev, 10 % test."""
    fraction = hash_fraction(name)
    if fraction < TRAIN_BELOW:
        return "train"
    return "dev" if fraction < DEV_BELOW else "test"


def split_speakers_by_label(speakers_of_label):
    """Assign splits to speakers, so that every label is in as many splits as its number of speakers allows.

    The speakers of a label are sorted by a hash. A tenth of them, but at least one, go to test, the same number to dev, and the
    others to train. A label with two speakers has no dev split. A label with a single speaker is in train only, because a test of
    a label without training data would be worse than no test.

    Args:
        speakers_of_label: dict from each label to the names of its speakers. A speaker has one label.

    Returns:
        A dict from each speaker to a split.
    """
    splits = {}
    for speakers in speakers_of_label.values():
        ordered = sorted(speakers, key=lambda name: (hash_fraction(name), name))
        num_held_out = max(1, round((1 - DEV_BELOW) * len(ordered)))
        held_out = []
        if len(ordered) > 1:
            held_out += ["test"] * num_held_out
        if len(ordered) > 2:
            held_out += ["dev"] * num_held_out
        splits |= dict(zip(ordered, held_out + ["train"] * len(ordered)))
    return splits


def hash_fraction(name):
    """Return a hash of a name as a number from 0 to 1."""
    digest = hashlib.blake2b(normalize(name).encode(errors="surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def check_splits(rows, place, label_columns=""):
    """Check that no split is empty, and that train has every label of dev and test.

    A corpus without labels is for pre-training only and needs no dev and test split.

    Args:
        rows: manifest rows.
        place: the corpus, for the error message.
        label_columns: the cell of config/corpora.tsv. If it names a sequence such as `characters[]`, a label of dev and test may
            occur at any position in train; otherwise, it must occur in the same column.

    Raises:
        ValueError: if a split is empty, or a label of dev or test does not occur in train.
    """
    _check_no_split_is_empty(rows, place)
    is_sequence = label_columns.endswith(SEQUENCE)
    train_items = {item for row in rows if row["split"] == "train" for item in items_of(row["labels"], label_columns)}
    untrained = defaultdict(list)  # item → utterances that have it
    for row in rows:
        for item in items_of(row["labels"], label_columns):
            if item not in train_items:
                untrained[item].append(row["utterance_id"])
    if untrained:
        columns = dict(enumerate(f"'{name}'" for name in label_columns.split(",") if name))
        shown = []
        for item, utterances in list(untrained.items())[:5]:
            label = f"'{item}'" if is_sequence else f"'{item[1]}' of label column {columns.get(item[0], item[0] + 1)}"
            shown.append(f"{label} (in {listed(utterances)})")
        raise data_error(
            place,
            "train must have every label of dev and test",
            expected="each label of each label column in train",
            got=f"{len(untrained)} not in train: {', '.join(shown)}",
            remedy="put a speaker with this label into train, or record it with one; else correct the labels, or remove all these rows",
        )


def items_of(labels, label_columns):
    """Return the labels of a row as pairs (column, label), or each label once if they are a sequence, in which positions do not count.

    Args:
        labels: the labels.
        label_columns: the cell of config/corpora.tsv.
    """
    return sorted(set(labels)) if label_columns.endswith(SEQUENCE) else list(enumerate(labels))


def _check_no_split_is_empty(rows, place):
    sizes = Counter(row["split"] for row in rows)
    needed = SPLITS if any(row["labels"] for row in rows) else SPLITS[:1]
    empty = [split for split in needed if not sizes[split]]
    if not empty:
        return
    speakers = sorted({row.get("speaker") for row in rows} - {None})
    whose = f"{len(speakers)} speakers: {listed(speakers)}" if speakers else "unknown speakers"
    raise data_error(
        place,
        f"no split may be empty, and {' and '.join(empty)} {'is' if len(empty) == 1 else 'are'}",
        expected="usable rows in train and test; dev is drawn from train" if needed == SPLITS else "usable rows in train",
        got=f"{', '.join(f'{split} {sizes[split]}' for split in SPLITS)}, of {whose}",
        remedy="if the splits were drawn, there are too few speakers: write 5 into the column `folds` of its row in "
        "config/corpora.tsv, or give the splits yourself (a column of splits, or folders train/, dev/ and test/); if speakers are "
        "missing, correct `speaker_column` or `speaker_pattern`; else correct `split_column` or `where`",
    )


def check_overlap(rows, column, place, *, allowed):
    """Check that no speaker, or no audio, is in two splits.

    Args:
        rows: manifest rows.
        column: `speaker` or `audio_hash`.
        place: the corpus, for the error message.
        allowed: whether overlaps are allowed. If there are some, their number is printed.

    Raises:
        ValueError: if overlaps are not allowed, and a value of the column is in two splits.
    """
    utterance_of_split = defaultdict(dict)  # value → split → one of its utterances there
    for row in rows:
        utterance_of_split[row[column]].setdefault(row["split"], row["utterance_id"])
    shared = {
        value: [f"{name} in {split}" for split, name in names.items()]
        for value, names in utterance_of_split.items()
        if value is not None and len(names) > 1
    }
    if shared and not allowed:
        raise data_error(
            place,
            f"{SHARED[column]} must not be in two splits",
            expected="each in one split",
            got=f"{len(shared)} in several: {first_three(shared)}",
            remedy=f"{REMEDIES[column]}; or write {column.removesuffix('_hash')} into the column `allow_overlap` of the corpus in "
            "config/corpora.tsv to accept a flattering test",
        )
    if shared:
        notice(f"{place}: {len(shared)} values of {column} are in several splits, which `allow_overlap` permits; scores flatter")
