"""What the adapters of published corpora share: files found, or missed in one sentence; rows; segments of long recordings.

`source` is everywhere the page where the corpus is published: every error names it.
"""

import csv
import re
from pathlib import PurePosixPath

import soundfile

from storage.errors import data_error, nearest, one_of

OR_CORRECT = "or correct `root` in config/corpora.tsv, or the folder that it begins with: `paths` in config/config.yaml"
SEGMENT_SECONDS = 1.0  # of recordings without words; a clip of Google Speech Commands is as long


def existing_path(path, source):
    """`path`, which must exist. Raises `ValueError` that says what lies there instead and where the corpus is published."""
    if not path.exists():
        raise data_error(
            path,
            "the corpus must lie in its published layout",
            expected=f"'{path.name}'",
            got=_around(path.parent),
            remedy=f"get it from {source}, {OR_CORRECT}",
        )
    return path


def matching_paths(folder, pattern, source):
    """Paths below `folder` that match the glob, sorted, hidden ones left out; at least one. Raises `ValueError`."""
    paths = sorted(path for path in existing_path(folder, source).glob(pattern) if not path.name.startswith("."))
    if not paths:
        raise data_error(
            folder,
            "the corpus must lie in its published layout",
            expected=f"'{pattern}'",
            got=_around(folder),
            remedy=f"get it from {source}, {OR_CORRECT}",
        )
    return paths


def only_matching_path(folder, pattern, source):
    """The one path below `folder` that matches the glob. Raises `ValueError` for none and for several."""
    paths = matching_paths(folder, pattern, source)
    if len(paths) > 1:
        raise data_error(
            folder,
            "one release of the corpus lies here",
            expected=f"one '{pattern}'",
            got=f"{[path.name for path in paths]}",
            remedy="give each release a folder, and a row of config/corpora.tsv, of its own",
        )
    return paths[0]


def _around(folder):
    if not folder.is_dir():
        return f"a file named '{folder.name}'" if folder.exists() else f"no folder '{folder}' either"
    names = sorted(path.name for path in folder.iterdir())
    return f"{names[:5]}{' …' if len(names) > 5 else ''}" if names else "an empty folder"


def match_file_name(pattern, path, source):
    """The match of the whole file name without its extension. Raises `ValueError` for a name of another form."""
    match = re.fullmatch(pattern, path.stem)
    if not match:
        raise data_error(
            path,
            "file names must have the published form",
            expected=f"'{pattern}'",
            got=f"'{path.stem}'",
            remedy=f"remove or rename the file, or get the corpus anew from {source}",
        )
    return match


def look_up(value, names, place, source):
    """`names[value]` of a dict. Raises `ValueError` for a value that the publication does not know."""
    if value not in names:
        raise data_error(
            place,
            "only names that the publication knows may occur",
            expected=one_of(value, names),
            got=f"'{value}'",
            remedy=f"{nearest(value, names)}remove it, or get the corpus anew from {source}",
        )
    return names[value]


def read_lines(path, source):
    """The lines of a text file, without blank ones."""
    return [line for line in existing_path(path, source).read_text("utf-8-sig").splitlines() if line.strip()]


def read_fields(path, num_fields, source, separator=None):
    """The fields of each line. Raises `ValueError` for a line with another number of them."""
    rows = [line.split(separator) for line in read_lines(path, source)]
    wrong = next((number for number, fields in enumerate(rows, 1) if len(fields) != num_fields), None)
    if wrong:
        raise data_error(
            f"{path}, line {wrong}",
            "a line has the published fields",
            expected=f"{num_fields}",
            got=f"{rows[wrong - 1]}",
            remedy=f"get the file anew from {source}",
        )
    return rows


def read_table(path, columns, source, delimiter=","):
    """Rows (column → text) of a CSV file with a header. Raises `ValueError` where a column lacks."""
    with open(existing_path(path, source), newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file, delimiter=delimiter))
    lacking = [name for name in columns if not rows or rows[0].get(name) is None]
    if lacking:
        raise data_error(
            path,
            "the table has the published columns",
            expected=f"{columns} and at least one row",
            got=f"{list(rows[0]) if rows else 'no row'}",
            remedy=f"get the file anew from {source}",
        )
    return rows


def utterance_row(path, split, labels, speaker=None, segment=None):
    """A manifest row; `labels`: every label column that the corpus has → label (sequences `name[]` → labels).

    `segment`: (start, end) in seconds where the utterance is a part of the file.
    """
    name = utterance_id(path)
    if segment:
        name = f"{name}-{round(1000 * segment[0]):07d}ms"
    start, end = segment or (0.0, None)
    return dict(utterance_id=name, path=path, split=split, speaker=speaker, labels=labels, start_seconds=start, end_seconds=end)


def with_labels(rows, label_columns):
    """The rows with those labels that `label_columns` of config/corpora.tsv names, in its order. Raises `ValueError`."""
    names = [name.strip() for name in label_columns.split(",") if name.strip()]
    for one_row in rows:
        offered = one_row["labels"]
        for name in names:
            if name not in offered:
                raise data_error(
                    "config/corpora.tsv",
                    "`label_columns` names labels that the adapter reads",
                    expected=f"some of {list(offered)}",
                    got=f"'{name}'",
                    remedy=f"{nearest(name, offered)}correct the cell",
                )
        one_row["labels"] = [label for name in names for label in _listed(offered[name])]
    return rows


def _listed(label):
    return label if isinstance(label, list) else [label]


def one_second_segments(path):
    """The whole seconds of a recording one after the other: (0.0, 1.0), (1.0, 2.0), … Raises `ValueError`."""
    try:
        seconds = soundfile.info(path).duration
    except soundfile.LibsndfileError as error:
        raise data_error(
            path,
            "a recording that is cut must be readable",
            expected="audio",
            got=error.error_string,
            remedy="replace or remove it",
        ) from error
    return [(i * SEGMENT_SECONDS, (i + 1) * SEGMENT_SECONDS) for i in range(int(seconds / SEGMENT_SECONDS))]


def utterance_id(path):
    """`audio/yes/01.flac` → `audio-yes-01`: stable, readable, usable as a file name."""
    return str(PurePosixPath(path).with_suffix("")).replace("/", "-")
