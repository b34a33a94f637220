"""Any tree with one folder per class: `root/{train,dev,test}/label/*`, or `root/label/*`, split by speaker.

Names that start with `.` or `_` are ignored (such as `_background_noise_` of Google Speech Commands). Every other file in the
folder of a class counts as audio, so that a file that is not audio shows up in rejected.parquet.
"""

import re
from pathlib import Path

from speech2unit.corpora.layouts import files_below, utterance_id
from speech2unit.corpora.splits import SPLIT_NAMES, split_by_hash, standard_split
from storage.errors import data_error

SPEAKER_PATTERN = "^[^_]+"  # the name up to the first _
HIDDEN = (".", "_")  # beginnings of names that are ignored


def read_rows(*, root, speaker_pattern):
    """Return rows: `train/yes/7_01.wav` → split train, speaker 7, labels [yes].

    Without split folders, 80 % of the speakers go to train, 10 % to dev and 10 % to test, by a hash of the speaker. This is the
    same in every run, and no speaker is in two splits.

    Args:
        root: root folder of the corpus.
        speaker_pattern: regular expression that finds the speaker in a file name without its extension. If it has a group, the
            first group is the speaker. Empty: the speaker is the name up to the first `_`.

    Raises:
        ValueError: if the tree has other folders than expected, or the pattern is wrong or does not match a file name.
    """
    root = Path(root)
    pattern = _compile(speaker_pattern or SPEAKER_PATTERN)
    return [_row(root, path, split, label.name, pattern) for split, label in _classes(root) for path in _clips(label)]


def list_rows(*, root, label_columns):
    """Yield rows for labelling, without speakers. Without labels they are every file anywhere below the root.

    Args:
        root: root folder of the corpus.
        label_columns: name of the label, which is the folder of a class; empty, or no folder in the root: there are no labels.

    Raises:
        ValueError: if there is no such folder, or folders of splits and of classes are mixed.
    """
    root = Path(root)
    if not root.is_dir():
        raise _no_folders(root)
    if label_columns and any(path.is_dir() for path in _visible(root, "*")):
        files = ((split, label.name, path) for split, label in _classes(root) for path in _clips(label))
    else:
        files = ((None, None, Path(path)) for path in files_below(root, HIDDEN))
    for split, label, path in files:
        relative = path.relative_to(root).as_posix()
        yield dict(
            utterance_id=utterance_id(relative),
            path=relative,
            split=split and standard_split(split, path),
            labels=label and [label],
        )


def _classes(root):
    """Return pairs (name of the split folder or None, folder of a class). Raises `ValueError` where the tree is not as expected."""
    folders = _folders(root)
    _check_mixed(root, folders)
    if all(_names_a_split(folder) for folder in folders):
        return [(folder.name, label) for folder in folders for label in _folders(folder)]
    return [(None, label) for label in folders]


def _row(root, path, split, label, pattern):
    """Return the row of a file; `split` is the name of its split folder, or None if there are none."""
    speaker = _speaker(path, pattern)
    relative = path.relative_to(root).as_posix()
    return dict(
        utterance_id=utterance_id(relative),
        path=relative,
        split=standard_split(split, path) if split else split_by_hash(speaker),
        speaker=speaker,
        labels=[label],
    )


def _folders(place):
    """Return the folders in a folder. Raises `ValueError` if there are none."""
    folders = [path for path in _visible(place, "*") if path.is_dir()]
    if not folders:
        raise _no_folders(place)
    return folders


def _no_folders(place):
    """Return the error about a folder without folders of classes, or none at all."""
    remedy = "correct `root` in config/corpora.tsv"
    if place.is_dir():
        remedy += ", or put the files into folders; files without classes cannot be trained on, only labelled by a trained task"
    return data_error(
        place,
        "a tree of classes must have folders",
        expected="{train,dev,test}/label/ or label/",
        got="no folders" if place.is_dir() else "no such folder",
        remedy=remedy,
    )


def _names_a_split(folder):
    return folder.name.lower() in SPLIT_NAMES


def _check_mixed(root, folders):
    """Check the folders in the root. Raises `ValueError` if some are split folders and others are class folders.

    A split folder contains class folders. Its name alone does not decide, because a class may be called `train`, as in ESC-50.
    """
    splits = []
    others = []
    for folder in folders:
        if not _names_a_split(folder):
            others.append(folder.name)
        elif any(path.is_dir() for path in _visible(folder, "*")):
            splits.append(folder.name)
    if splits and others:
        raise data_error(
            root,
            "split folders and class folders must not be mixed",
            expected=f"only split folders, such as {splits[0]}",
            got=f"also {others[:5]}",
            remedy="move these elsewhere or into the splits, or let their names start with _",
        )


def _compile(pattern):
    """Compile a regular expression. Raises `ValueError` if its syntax is wrong."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise data_error(
            "config/corpora.tsv",
            "`speaker_pattern` is a regular expression",
            expected="Python syntax",
            got=f"'{pattern}': {error}",
            remedy="correct the cell",
        ) from error


def _clips(folder):
    """Return the files anywhere below the folder of a class."""
    return [path for path in _visible(folder, "**/*") if not path.is_dir()]


def _visible(folder, pattern):
    """Return the sorted paths below a folder that match a glob pattern, except names that start with `.` or `_`."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith(HIDDEN))


def _speaker(path, pattern):
    """Return the speaker in a file name. Raises `ValueError` if the pattern does not match."""
    match = pattern.search(path.stem)
    if not match:
        raise data_error(
            path,
            "every file name must contain its speaker",
            expected=f"a match of '{pattern.pattern}'",
            got=f"'{path.stem}'",
            remedy="rename the file, or correct `speaker_pattern` in config/corpora.tsv",
        )
    return match[1] if pattern.groups else match[0]
