"""Walk the folders of a corpus: links are followed, hidden names are left out at any depth, and what is left out is counted.

The adapters that look for files use these functions. `said` prints the counts, once for a corpus.
"""

import contextlib
import contextvars
import fnmatch
import os
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from storage.errors import data_error, notice
from storage.text import normalize

# Folders and files that operating systems and storage devices put among the others.
SYSTEM_NAMES = frozenset(
    ["thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information", "lost+found"]
    + ["@eadir", "#recycle", "#snapshot", "__macosx", "icon\r"]
)
AUDIO_EXTENSIONS = frozenset(
    [
        ".wav",
        ".wave",
        ".w64",
        ".rf64",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".m4a",
        ".aac",
        ".webm",
        ".mp4",
        ".mkv",
        ".mov",
        ".wma",
    ]
    + [".aif", ".aiff", ".aifc", ".au", ".snd", ".sph", ".nist", ".amr", ".caf"]
)
HIDDEN_NAME = "hidden or system names"
OUTSIDE = "recordings outside of the layout of the corpus"
WITH_RECORDING = "files that go with a recording of the same name"
LOOP = "links back to a folder that they are in"
MAX_COUNTED = 10_000  # files in a hidden folder
MAX_SHOWN = 3

_left_out = contextvars.ContextVar("left_out", default=None)  # kind → path → number of files, while a corpus is read


class Entry(NamedTuple):
    """A name in a folder."""

    path: Path
    name: str  # normalized
    is_folder: bool  # or a link to one


@contextlib.contextmanager
def said(root, say=notice):
    """Collect what is left out below `root`, and call `say` with a line for each kind at the end."""
    outer = _left_out.get()
    if outer is not None:
        yield
        return
    collected = defaultdict(dict)
    token = _left_out.set(collected)
    try:
        yield
    finally:
        _left_out.reset(token)
    for kind, files in collected.items():
        say(_line(root, kind, files))


def leave_out(kind, path, num_files=1):
    """Count a path that is left out, and the files that are lost with it."""
    collected = _left_out.get()
    if collected is None:
        notice(_line(path.parent, kind, {path: num_files}))
    else:
        collected[kind][path] = num_files


def _line(root, kind, files):
    """Return how many paths of a kind are left out, with some of them."""
    names = [ascii(os.path.relpath(path, root))[1:-1] for path in files]
    more = ", …" if len(names) > MAX_SHOWN else ""
    total = sum(files.values())
    inside = f" with {total} files" if total != len(names) else ""
    return f"{root}: {len(names)} {kind}{inside} left out: {', '.join(names[:MAX_SHOWN])}{more}"


def list_folder(folder, hidden=(".",)):
    """Return the entries of a folder in order of their names, without hidden ones, which are counted.

    Args:
        folder: the folder.
        hidden: beginnings of hidden names; `SYSTEM_NAMES` are hidden too.

    Raises:
        ValueError: if the folder cannot be read.
    """
    try:
        with os.scandir(folder) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(folder, error) from error
    listed = []
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith(hidden) or entry.name.lower() in SYSTEM_NAMES:
            leave_out(HIDDEN_NAME, path, _num_files(path))
        else:
            listed.append(Entry(path, normalize(entry.name), _is_folder(entry)))
    return listed


def matching(folder, pattern):
    """Return the sorted paths below `folder` that match a glob pattern such as `**/*.wav`, without hidden names.

    Capitals in the last part of a pattern do not matter, as in `a.WAV`. Recordings that do not match are counted.

    Raises:
        ValueError: if a folder cannot be read.
    """
    parts = pattern.split("/")
    tests = [re.compile(fnmatch.translate(part), re.IGNORECASE if part is parts[-1] else 0) for part in parts]
    return sorted(_matching(Path(folder), _with_empty({0}, parts), parts, tests, ()))


def _matching(folder, positions, parts, tests, parents):
    """Yield the paths below `folder`; `positions` are the parts of the pattern that a name in it may match."""
    parents = _and_this(folder, parents)
    if parents is None:
        return
    for entry in list_folder(folder):
        matched = {i for i in positions if parts[i] != "**" and tests[i].match(entry.name)}
        is_last = len(parts) - 1 in matched
        if is_last:
            yield entry.path
        following = {i + 1 for i in matched if i + 1 < len(parts)} | {i for i in positions if parts[i] == "**"}
        if entry.is_folder and following:
            yield from _matching(entry.path, _with_empty(following, parts), parts, tests, parents)
        elif not is_last and "." in parts[-1] and not entry.is_folder and is_audio_name(entry.name):
            leave_out(OUTSIDE, entry.path)
        elif not is_last and parts[-1].startswith("*.") and entry.is_folder and len(parts) - 1 in positions:
            leave_out(OUTSIDE, entry.path, _num_files(entry.path))


def _with_empty(positions, parts):
    """Return positions in a pattern, with those after each `**`, which may match no folder."""
    return positions | {i + 1 for i in positions if parts[i] == "**"}


def recordings_below(folder, hidden=(".",), keep_unreadable=False):
    """Yield the paths of all files anywhere below a folder in order, without those that go with a recording, such as its transcript.

    Args:
        folder: the folder.
        hidden: beginnings of hidden names, which are counted and left out.
        keep_unreadable: yield a folder that cannot be read as itself, instead of an error.

    Raises:
        ValueError: if a folder cannot be read.
    """
    yield from _recordings_below(Path(folder), hidden, keep_unreadable, ())


def _recordings_below(folder, hidden, keep_unreadable, parents):
    """Yield what `recordings_below` does; `parents` identify the folders that this one is in."""
    try:
        parents = _and_this(folder, parents)
        entries = list_folder(folder, hidden) if parents else []
    except ValueError:
        if not keep_unreadable:
            raise
        yield folder
        return
    stems = {entry.path.stem for entry in entries if is_audio_name(entry.name) and not entry.is_folder}
    for entry in entries:
        if entry.is_folder:
            yield from _recordings_below(entry.path, hidden, keep_unreadable, parents)
        elif is_audio_name(entry.name) or not _goes_with_one(entry.path.name, stems):
            yield entry.path
        else:
            leave_out(WITH_RECORDING, entry.path)


def _goes_with_one(name, stems):
    """Return whether a file name is that of a recording with another extension: a.txt, a.original.txt or a.wav.txt for a.wav."""
    while "." in name.lstrip("."):
        name = name.rpartition(".")[0]
        if name in stems:
            return True
    return False


def is_audio_name(name):
    """Return whether a file is called like a recording."""
    return os.path.splitext(name)[1].lower() in AUDIO_EXTENSIONS


def _and_this(folder, parents):
    """Return what identifies `folder` and the folders that it is in; None for a link back to one of those."""
    try:
        status = os.stat(folder)
    except OSError as error:
        raise _unreadable(folder, error) from error
    identity = (status.st_dev, status.st_ino)
    if identity in parents:
        leave_out(LOOP, Path(folder), 0)
        return None
    return (*parents, identity)


def _is_folder(entry):
    """Return whether an entry of `os.scandir` is a folder or a link to one; a link in a circle is none. Raises `ValueError`."""
    try:
        return entry.is_dir()
    except PermissionError as error:
        raise _unreadable(entry.path, error) from error
    except OSError:
        return False


def _num_files(path):
    """Return the number of files below a folder, at most `MAX_COUNTED`; 1 for a file."""
    if not os.path.isdir(path) or path.is_symlink():
        return 1
    number = 0
    for _, _, names in os.walk(path):
        number += len(names)
        if number >= MAX_COUNTED:
            return MAX_COUNTED
    return number


def _unreadable(folder, error):
    return data_error(
        folder,
        "the folders of a corpus must be readable",
        expected="permission to list its files",
        got=error.strerror,
        remedy=f"type: chmod -R u+rX '{folder}' (or ask its owner), or let its name begin with . to leave it out",
    )
