"""What the command line labels: files, folders, lists of files, and standard input, as one stream of items."""

import contextvars
import os
import stat
import sys
from typing import Any, NamedTuple

from inference.outputs import printable
from speech2unit.corpora.audio import BadAudio
from speech2unit.corpora.file_trees import recordings_below, said
from storage.errors import data_error

STANDARD_INPUT = "-"
LIST_MARK = "@"


class Item(NamedTuple):
    """One recording, or one utterance of units."""

    name: str  # as the output calls it
    content: Any  # path or binary file object, tuple of units, or the `BadAudio` error of what cannot be read


def check_arguments(arguments):
    """Check what can be checked before anything is labelled. Raises `ValueError` for a list that cannot be read, or a second `-`."""
    if arguments.count(STANDARD_INPUT) > 1:
        raise data_error(
            "inputs",
            "standard input can be read once",
            expected=f"one {STANDARD_INPUT}",
            got=f"{arguments.count(STANDARD_INPUT)}",
            remedy="give the other inputs as files",
        )
    for argument in arguments:
        if argument.startswith(LIST_MARK):
            try:
                open(argument[1:]).close()
            except OSError as error:
                raise data_error(
                    argument,
                    "a list of files must be readable",
                    expected="a text file with one path per line",
                    got=error.strerror,
                    remedy="correct the path; an audio file whose name begins with @ is written ./@…",
                ) from error


def audio_items(arguments):
    """Yield an `Item` for each recording that the arguments stand for.

    Args:
        arguments: paths of files, or of folders (all recordings below, sorted, without hidden names and transcripts); `-` for the audio file on standard
            input; `@list.txt` for a text file with one path per line.
    """
    for path in _paths(arguments):
        yield Item(path, sys.stdin.buffer if path == STANDARD_INPUT else path)


def unit_items(arguments):
    """Yield an `Item` for each line of the text files that the arguments stand for, as `audio_items`.

    A line has units with blanks between them (`5 9 31`), and perhaps a name and a tab before them. Other lines are named after the
    file and their number (`units.txt:3`). Empty lines are skipped.
    """
    for path in _paths(arguments):
        try:
            with _open_text(path) as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield _unit_item(line, f"{path}:{number}")
        except OSError as error:
            reason = "missing" if isinstance(error, FileNotFoundError) else "unreadable"
            yield Item(path, BadAudio(path, reason, error.strerror))


def _paths(arguments):
    """Yield the paths of all files that the arguments stand for; `-` stays."""
    for argument in arguments:
        if argument.startswith(LIST_MARK):
            with open(argument[1:], encoding="utf-8-sig", errors="surrogateescape") as lines:
                for line in lines:
                    if path := line.rstrip("\r\n"):
                        yield from _files(path)
        elif argument == STANDARD_INPUT:
            yield argument
        else:
            yield from _files(argument)


def _files(path):
    """Yield a file, or all recordings below a folder."""
    if not os.path.isdir(path):
        yield path
        return
    # Several threads take items in turns, and what `said` collects belongs to a context, of which each thread has its own.
    context = contextvars.copy_context()
    recordings = _recordings(path)
    while recording := context.run(next, recordings, None):
        yield recording


def _recordings(folder):
    """Yield the paths of all recordings below a folder, and say on standard error what is left out."""
    with said(folder, lambda line: print(printable(line), file=sys.stderr)):
        yield from map(str, recordings_below(folder, keep_unreadable=True))


def _open_text(path):
    """Return the lines of a text file or of standard input, to use in a `with` statement. Raises `OSError`."""
    if path == STANDARD_INPUT:
        return open(sys.stdin.fileno(), encoding="utf-8", errors="replace", closefd=False)
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(None, "not a regular file")
    return open(path, encoding="utf-8-sig", errors="replace")


def _unit_item(line, name):
    """Return the `Item` of a line of units; `name` is used if the line has none."""
    before, tab, after = line.rpartition("\t")
    name = before.strip() if tab and before.strip() else name
    try:
        return Item(name, tuple(int(unit) for unit in after.split()))
    except ValueError:
        return Item(name, BadAudio(name, "not_units", f"{after.strip()[:40]!a}, not numbers with blanks between them"))
