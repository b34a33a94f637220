"""Draw splits by speaker: folds, and a dev or test split from the training rows. The same rows give the same splits on every machine."""

from collections import Counter, defaultdict

from speech2unit.corpora.remarks import counted
from speech2unit.corpora.splits import check_overlap, hash_fraction, items_of
from storage.errors import data_error

DRAWN_FRACTION = 0.1  # of the training clips, for a dev or test split that is drawn


def assign_folds(rows, num_folds, label_columns="", *, by_clip=False):
    """Return the fold of each row, from 0 to `num_folds` - 1.

    All clips of a speaker are in one fold. Where the speaker is unknown, clips with equal audio are. The speakers are placed one
    after another, those with most clips first, each in the fold that has the fewest clips of the speaker's labels. So every fold
    has as many of the labels as possible, and no fold is empty if there are enough speakers.

    Args:
        rows: manifest rows as recorded.
        num_folds: number of folds.
        label_columns: the cell of config/corpora.tsv.
        by_clip: whether speakers do not count, so that only clips with equal audio are together.
    """
    positions_of_group = defaultdict(list)
    for position, group in enumerate(groups(rows, by_clip)):
        positions_of_group[group].append(position)
    labels = [items_of(row["labels"], label_columns) for row in rows]
    totals = Counter(item for row_labels in labels for item in row_labels)
    labels_of_fold = [Counter() for _ in range(num_folds)]
    sizes = [0] * num_folds
    folds = [0] * len(rows)

    def load(fold):
        """Return the sort key of a fold for the group `counts`: how much of its labels the fold has already, then its size."""
        return sum(number * labels_of_fold[fold][item] / totals[item] for item, number in counts.items()), sizes[fold], fold

    for _, positions in sorted(positions_of_group.items(), key=_most_clips_first):
        counts = Counter(item for position in positions for item in labels[position])
        fold = min(range(num_folds), key=load)
        labels_of_fold[fold].update(counts)
        sizes[fold] += len(positions)
        for position in positions:
            folds[position] = fold
    return folds


def groups(rows, by_clip=False):
    """Return for each row the name of the group that must stay together: its speaker or, if that is unknown or does not count, equal audio.

    Args:
        rows, by_clip: as for `assign_folds`.
    """
    return [
        f"audio {row['audio_hash'] or row['utterance_id']}" if by_clip or row["speaker"] is None else f"speaker {row['speaker']}"
        for row in rows
    ]


def _most_clips_first(item):
    """Return the sort key of a group and its positions. Groups with equally many clips are in the order of a hash."""
    group, positions = item
    return -len(positions), hash_fraction(group), group


def divide(rows, num_folds, label_columns, place, allow_overlap):
    """Return the fold of each row, and by what they were divided: `speaker` or `clip`.

    They are divided by clip where all speakers are unknown, or where there are too few speakers and they may overlap.

    Args:
        rows, num_folds, label_columns: as for `assign_folds`.
        place: the corpus, for the error message.
        allow_overlap: list of what may be in two splits: `speaker`, `audio`.

    Raises:
        ValueError: if there are fewer speakers, or clips, than folds.
    """
    by_clip = "speaker" in allow_overlap and len(set(groups(rows))) < num_folds
    unit = _unit(rows, by_clip)
    num_groups = len(set(groups(rows, by_clip)))
    if num_groups < num_folds:
        one_out = " to leave one speaker out at a time" if unit == "speaker" else ""
        raise data_error(
            place,
            f"each fold must have a {unit} of its own",
            expected=f"at most {num_groups} folds",
            got=f"{num_folds}",
            remedy=f"write {num_groups} into the column `folds` of its row in config/corpora.tsv{one_out}",
        )
    return assign_folds(rows, num_folds, label_columns, by_clip=by_clip), unit


def check_folds(rows, num_folds, label_columns, place, allow_overlap):
    """Check that rows can be divided into folds that share no audio.

    Args:
        rows, num_folds, label_columns, place, allow_overlap: as for `divide`.

    Returns:
        A dict from `train` to a note on the sizes of the folds, for `size_lines`.

    Raises:
        ValueError: if there are fewer speakers than folds, or if folds share audio although they must not.
    """
    folds, unit = divide(rows, num_folds, label_columns, place, allow_overlap)
    divided = [row | dict(split=f"fold {fold + 1}") for row, fold in zip(rows, folds)]
    check_overlap(divided, "audio_hash", place, allowed="audio" in allow_overlap)
    sizes = ", ".join(str(size) for _, size in sorted(Counter(folds).items()))
    return dict(train=f"in {num_folds} folds by {unit} of {sizes} clips")


def draw_tenth(rows, split, label_columns, place, allow_overlap):
    """Return the utterance_ids of a tenth of the training rows, which become another split, and by what they were drawn.

    The tenth is a fold of `assign_folds`. With fewer than ten speakers it is one speaker. The fold that is chosen leaves train
    every label; among these, it has the most labels, and is nearest to a tenth.

    Args:
        rows: training rows of a manifest as recorded.
        split: name of the other split, `dev` or `test`, for the error message.
        label_columns: the cell of config/corpora.tsv.
        place: the corpus, for the error message.
        allow_overlap: list of what may be in two splits. With `speaker`, clips of a single speaker are drawn, who is then in both.

    Returns:
        A set of utterance_ids, and `speaker` or `clip`.

    Raises:
        ValueError: if train would lose a label whatever is drawn, as it does if it has a single speaker.
    """
    by_clip = "speaker" in allow_overlap and len(set(groups(rows))) == 1
    unit = _unit(rows, by_clip)
    num_groups = len(set(groups(rows, by_clip)))
    folds = assign_folds(rows, min(round(1 / DRAWN_FRACTION), num_groups), label_columns, by_clip=by_clip)
    labels_of_fold = defaultdict(set)
    for row, fold in zip(rows, folds):
        labels_of_fold[fold].update(items_of(row["labels"], label_columns))
    sizes = Counter(folds)
    all_labels = set().union(*labels_of_fold.values())
    possible = [
        (-len(labels_of_fold[fold]), abs(sizes[fold] - DRAWN_FRACTION * len(rows)), fold)
        for fold in sizes
        if set().union(*(labels for other, labels in labels_of_fold.items() if other != fold)) == all_labels
    ]
    if not possible:
        raise data_error(
            place,
            f"where a corpus has no {split} split, it is drawn from train by speaker",
            expected="a speaker without whom train keeps every label",
            got=f"{counted(num_groups, unit)} in train",
            remedy=f"write {split} into the split of some rows yourself, or add speakers to train; with speaker in the column "
            "`allow_overlap` of its row in config/corpora.tsv, clips of a single speaker are drawn",
        )
    _, _, chosen = min(possible)
    return {row["utterance_id"] for row, fold in zip(rows, folds) if fold == chosen}, unit


def _unit(rows, by_clip):
    """Return what is drawn: `speaker`, or `clip` where speakers do not count or are unknown."""
    return "clip" if by_clip or all(row["speaker"] is None for row in rows) else "speaker"


def complete_splits(rows, label_columns, place, allow_overlap, *, draw_test=False):
    """Draw a dev split from train if the rows have labels and no dev split. If wanted, draw a test split in the same way before.

    Args:
        rows: manifest rows, with copies at other speeds.
        label_columns, place, allow_overlap: as for `draw_tenth`.
        draw_test: whether a missing test split is drawn too. Otherwise rows without one stay as they are.

    Returns:
        The rows, and a dict from a split to a note for `size_lines`; empty if nothing was drawn.

    Raises:
        ValueError: if a split cannot be drawn.
    """
    notes = {}
    for split in ("test", "dev") if draw_test else ("dev",):
        splits = {row["split"] for row in rows}
        if split in splits or "train" not in splits or (split == "dev" and "test" not in splits):
            continue
        if not any(row["labels"] for row in rows):
            continue
        train = [row for row in rows if row["split"] == "train" and row["speed"] == 1]
        drawn, unit = draw_tenth(train, split, label_columns, place, allow_overlap)
        rows = with_splits(rows, dict.fromkeys(drawn, split))
        notes[split] = f"drawn from train by {unit}"
    return rows, notes


def with_splits(rows, split_of):
    """Return manifest rows with other splits. Copies at other speeds stay only where their original is in train.

    Args:
        rows: manifest rows, with copies at other speeds.
        split_of: dict from utterance_id, as recorded, to a split. Rows that it does not have stay as they are.
    """
    changed = [row | dict(split=split_of.get(_original_id(row), row["split"])) for row in rows]
    return [row for row in changed if row["speed"] == 1 or row["split"] == "train"]


def _original_id(row):
    """Return the utterance_id of a row as recorded: `sp0.9-a` at another speed → `a`."""
    return row["utterance_id"] if row["speed"] == 1 else row["utterance_id"].partition("-")[2]
