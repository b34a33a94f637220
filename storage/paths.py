"""Find what a written path means where the file has another name: another Unicode form, other capitals, a Windows path."""

import functools
import os
import re
from pathlib import Path

from storage.text import normalize


def existing_form(path, folder=""):
    """Return a path as its folders and file are named on disk, or None if there is nothing of this name.

    Names are the same if only their Unicode form (composed or decomposed letters) or blanks at their ends differ.

    Args:
        path: absolute, or relative to `folder`; the result is so too.
        folder: folder whose name is as it is on disk.
    """
    if os.path.lexists(os.path.join(folder, path)):
        return Path(path)
    anchor = Path(path).anchor
    found = _find(anchor or folder or ".", Path(path).parts[bool(anchor) :], normalize)
    return found if found is None or anchor else found.relative_to(folder or ".")


def similar_file(folder, path):
    """Return the path below `folder` of a file that a wrong path probably means, or None.

    It differs in capitals, in its extension or in its separators (a Windows path), or begins with folders that are not below `folder`.

    Args:
        folder: folder that paths are relative to.
        path: text of a path that does not exist below `folder`.
    """
    parts = [part for part in re.split(r"[/\\]+", re.sub(r"^(file://|[A-Za-z]:)", "", path)) if part not in ("", ".", "..")]
    for start in range(len(parts)):
        for key in (_without_case, _without_extension):
            found = _find(folder, parts[start:], key)
            if found and not found.is_dir():
                return found.relative_to(folder).as_posix()
    return None


def _find(folder, parts, key):
    """Return the path below `folder` whose names have the same `key` as the names `parts`, or None."""
    found = Path(folder)
    for part in parts:
        exact = found / part
        if not os.path.lexists(exact):
            name = _names(str(found), _time_of(found), key).get(key(part))
            if name is None:
                return None
            exact = found / name
        found = exact
    return found


@functools.lru_cache(maxsize=256)  # where many files of a folder are missing, each asks for its names
def _names(folder, time, key):
    """Return key of a name → name, for the names in a folder that was last changed at `time`; empty for a folder that is closed."""
    try:
        return {key(name): name for name in sorted(os.listdir(folder), reverse=True)}
    except (OSError, ValueError):
        return {}


def _time_of(folder):
    """Return when the names in a folder last changed."""
    try:
        return os.stat(folder).st_mtime_ns
    except (OSError, ValueError):
        return None


def _without_case(name):
    return normalize(name).casefold()


def _without_extension(name):
    return os.path.splitext(_without_case(name))[0]
