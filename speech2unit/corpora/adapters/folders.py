"""Any tree with one folder a class: `root/{train,dev,test}/label/*`, or `root/label/*` and the split is drawn by speaker.

Names that start with `.` or `_` are no clips (`_background_noise_` of Google Speech Commands). Everything else in a class's
folder is taken for audio, so that what is none shows up in rejected.parquet.
"""

import re
from pathlib import Path

from speech2unit.corpora.layouts import utterance_id
from speech2unit.corpora.splits import SPLIT_NAMES, split_by_hash, standard_split
from storage.errors import data_error

SPEAKER_PATTERN = "^[^_]+"  # the name up to the first _


def read_rows(*, root, speaker_pattern):
    """Rows as of `table.read_rows`: `train/yes/7_01.wav` → split train, speaker 7, labels [yes].

    `speaker_pattern`: a regular expression for the speaker in the file name without its extension (its first group if it
    has one); empty: the name up to the first `_`. Without folders of splits 80 % of the speakers go to train, 10 % to dev,
    10 % to test, by a hash of the speaker: the same in every run, and no speaker in two of them. Raises `ValueError`.
    """
    root = Path(root)
    folders = _folders(root)
    _check_mixed(root, folders)
    if all(_names_a_split(folder) for folder in folders):
        classes = [(folder.name, label) for folder in folders for label in _folders(folder)]
    else:
        classes = [(None, label) for label in folders]
    pattern = _compiled(speaker_pattern or SPEAKER_PATTERN)
    return [_row(root, path, split, label.name, pattern) for split, label in classes for path in _clips(label)]


def _row(root, path, split, label, pattern):
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
    folders = [path for path in _listed(place, "*") if path.is_dir()]
    if not folders:
        raise data_error(
            place,
            "a tree of classes must have folders",
            expected="{train,dev,test}/label/ or label/",
            got="no folder in it" if place.is_dir() else "no such folder",
            remedy="correct `root` in config/corpora.tsv",
        )
    return folders


def _names_a_split(folder):
    return folder.name.lower() in SPLIT_NAMES


def _check_mixed(root, folders):
    """A class may be called `train` (of ESC-50 one is), but what holds classes of its own is a split, and has only splits beside it."""
    splits = [each.name for each in folders if _names_a_split(each) and any(path.is_dir() for path in _listed(each, "*"))]
    others = [each.name for each in folders if not _names_a_split(each)]
    if splits and others:
        raise data_error(
            root,
            "folders of splits stand beside each other alone",
            expected=f"train, dev and test, as {splits[0]}",
            got=f"also {others[:5]}",
            remedy="move these elsewhere or into the splits, or give them names that start with _",
        )


def _compiled(pattern):
    try:
        return re.compile(pattern)
    except re.error as error:
        raise data_error(
            "config/corpora.tsv",
            "`speaker_pattern` is a regular expression",
            expected="one of Python's",
            got=f"'{pattern}': {error}",
            remedy="correct the cell",
        ) from error


def _clips(folder):
    return [path for path in _listed(folder, "**/*") if not path.is_dir()]


def _listed(folder, pattern):
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith((".", "_")))


def _speaker(path, pattern):
    match = pattern.search(path.stem)
    if not match:
        raise data_error(
            path,
            "every file name must tell its speaker",
            expected=f"a match of '{pattern.pattern}'",
            got=f"'{path.stem}'",
            remedy="rename the file, or correct `speaker_pattern` in config/corpora.tsv",
        )
    return match[1] if pattern.groups else match[0]
