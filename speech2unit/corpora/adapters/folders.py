"""Any tree with one folder per class: `root/{train,dev,test}/label/*`, or `root/label/*`, split by speaker.

Names that start with `.` or `_` are left out at any depth (such as `_background_noise_` of Google Speech Commands), and so are
files with the name of a recording next to them, such as its transcript `a_1.txt`. Every other file in the folder of a class counts
as audio, so that a file that is not audio shows up in rejected.parquet. What is left out is counted and printed.
"""

import re
from pathlib import Path

from speech2unit.corpora.file_trees import leave_out, list_folder, recordings_below, said
from speech2unit.corpora.layouts import utterance_id
from speech2unit.corpora.splits import SPLIT_NAMES, split_by_hash, standard_split
from storage.errors import data_error, notice
from storage.text import normalize, normalize_name, shown

SPEAKER_PATTERN = "^[^_]+"  # the name up to the first _
HIDDEN = (".", "_")  # beginnings of names that are left out


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
    with said(root):
        classes = _classes(root)
        clips = [(split, label, list(recordings_below(label, HIDDEN))) for split, label in classes]
    empty = [label.relative_to(root).as_posix() for _, label, paths in clips if not paths]
    if len(empty) == len(clips):
        raise data_error(
            root,
            "a corpus must have recordings",
            expected="audio files in the folders of classes",
            got=f"empty folders: {shown(', '.join(empty), 200)}",
            remedy="put the recordings into these folders, or correct `root` in config/corpora.tsv",
        )
    if empty:
        notice(f"{root}: {len(empty)} folders of classes have no recordings: {', '.join(map(ascii, empty[:5]))}")
    speaker_of = {path: _speaker(path, pattern) for _, _, paths in clips for path in paths}
    unnamed = [path for path, speaker in speaker_of.items() if not speaker]
    if unnamed:
        raise _no_speaker(unnamed, pattern)
    return [_row(root, path, split, label.name, speaker_of[path]) for split, label, paths in clips for path in paths]


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
    if label_columns and any(entry.is_folder for entry in list_folder(root, HIDDEN)):
        files = ((split, label.name, path) for split, label in _classes(root) for path in recordings_below(label, HIDDEN))
    else:
        files = ((None, None, path) for path in recordings_below(root, HIDDEN))
    for split, label, path in files:
        relative = path.relative_to(root).as_posix()
        yield dict(
            utterance_id=utterance_id(relative),
            path=relative,
            split=split and standard_split(split, path),
            labels=label and [normalize_name(label)],
        )


def _classes(root):
    """Return pairs (name of the split folder or None, folder of a class). Raises `ValueError` if the tree is not as expected."""
    folders = _folders(root)
    _check_mixed(root, folders)
    if all(_names_a_split(folder) for folder in folders):
        return [(folder.name, label) for folder in folders for label in _folders(folder)]
    return [(None, label) for label in folders]


def _row(root, path, split, label, speaker):
    """Return the row of a file; `split` is the name of its split folder, or None if there are none."""
    relative = path.relative_to(root).as_posix()
    return dict(
        utterance_id=utterance_id(relative),
        path=relative,
        split=standard_split(split, path) if split else split_by_hash(speaker),
        speaker=speaker,
        labels=[normalize_name(label)],
    )


def _folders(place):
    """Return the folders in a folder. Raises `ValueError` if there are none."""
    entries = list_folder(place, HIDDEN) if place.is_dir() else []
    folders = [entry.path for entry in entries if entry.is_folder]
    for entry in entries:
        if not entry.is_folder:
            leave_out("files outside of the folders of classes", entry.path)
    if not folders:
        raise _no_folders(place)
    return folders


def _no_folders(place):
    """Return the error about a folder without folders of classes, or none at all."""
    remedy = "correct `root` in config/corpora.tsv"
    got = "no such folder"
    if place.is_dir():
        got = "no folders" if any(place.iterdir()) else "an empty folder"
        remedy += ", or put the files into folders; files without classes cannot be trained on, only labelled by a trained task"
    return data_error(
        place,
        "a tree of classes must have folders",
        expected="{train,dev,test}/label/ or label/",
        got=got,
        remedy=remedy,
    )


def _names_a_split(folder):
    return normalize(folder.name).lower() in SPLIT_NAMES


def _check_mixed(root, folders):
    """Check the folders in the root. Raises `ValueError` if some are split folders and others are class folders.

    A split folder contains class folders. Its name alone does not decide, because a class may be called `train`, as in ESC-50.
    """
    splits = []
    others = []
    for folder in folders:
        if not _names_a_split(folder):
            others.append(folder.name)
        elif any(entry.is_folder for entry in list_folder(folder, HIDDEN)):
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


def _speaker(path, pattern):
    """Return the speaker in a file name; empty if the pattern does not match."""
    match = pattern.search(normalize(path.stem))
    return normalize_name((match[1] if pattern.groups else match[0]) or "") if match else ""


def _no_speaker(paths, pattern):
    """Return the error about files in whose names the pattern finds no speaker."""
    name = normalize(paths[0].stem)
    got = f"'{name}'"
    if pattern.search(name):
        got += ", which matches, but the first group of the pattern is empty" if pattern.groups else ", where the match is empty"
    if len(paths) > 1:
        got += f", and {len(paths) - 1} more, such as '{normalize(paths[1].stem)}'"
    return data_error(
        ascii(str(paths[0]))[1:-1],
        "every file name must contain its speaker",
        expected=f"a match of '{pattern.pattern}'",
        got=got,
        remedy="rename these files, or correct `speaker_pattern` in config/corpora.tsv; with alternatives, put all of them into the "
        "first group",
    )
