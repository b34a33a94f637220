"""Functions that the adapters of published corpora share: find files, read their lists, make rows, cut long recordings.

`source` is the page where the corpus is published; error messages name it.
"""

import io
import re
from pathlib import PurePosixPath

import soundfile

from speech2unit.corpora.csv_rows import read_csv
from speech2unit.corpora.file_trees import matching
from storage.errors import data_error, nearest, one_of
from storage.paths import existing_form
from storage.text import decode_text, normalize, normalize_name

OR_CORRECT = "or correct `root` in config/corpora.tsv, or the folder it begins with in `paths` of config/config.yaml"
SEGMENT_SECONDS = 1.0  # of recordings without words: the length of a clip of Google Speech Commands


def existing_path(path, source):
    """Return `path`. Raises `ValueError` if it does not exist; the message says what its folder has instead."""
    found = existing_form(path)
    if found is None or not found.exists():
        raise data_error(
            path,
            "the corpus must have its published layout",
            expected=f"'{path.name}'",
            got=_describe_folder(path.parent),
            remedy=f"get it from {source}, {OR_CORRECT}",
        )
    return found


def matching_paths(folder, pattern, source):
    """Return the sorted paths below `folder` that match a glob pattern, without hidden files.

    Args:
        folder: folder to search.
        pattern: glob pattern, such as `*/*.wav`.
        source: page where the corpus is published, for the error message.

    Raises:
        ValueError: if no path matches.
    """
    paths = matching(existing_path(folder, source), pattern)
    if not paths:
        raise data_error(
            folder,
            "the corpus must have its published layout",
            expected=f"'{pattern}'",
            got=_describe_folder(folder),
            remedy=f"get it from {source}, {OR_CORRECT}",
        )
    return paths


def only_matching_path(folder, pattern, source):
    """Return the only path below `folder` that matches a glob pattern.

    Args:
        folder, pattern, source: as for `matching_paths`.

    Raises:
        ValueError: if no path matches, or several match.
    """
    paths = matching_paths(folder, pattern, source)
    if len(paths) > 1:
        raise data_error(
            folder,
            "the folder holds one release of the corpus",
            expected=f"one '{pattern}'",
            got=f"{[path.name for path in paths]}",
            remedy="give each release a folder, and a row of config/corpora.tsv, of its own",
        )
    return paths[0]


def _describe_folder(folder):
    """Return a text for an error message that says what is in a folder, or that the folder does not exist."""
    if not folder.is_dir():
        return f"a file named '{folder.name}'" if folder.exists() else f"no folder '{folder}' either"
    names = sorted(path.name for path in folder.iterdir())
    return f"{names[:5]}{' …' if len(names) > 5 else ''}" if names else "an empty folder"


def match_file_name(pattern, path, source):
    """Return the match of a regular expression with a whole file name without its extension.

    Args:
        pattern: regular expression.
        path: path of the file.
        source: page where the corpus is published, for the error message.

    Raises:
        ValueError: if the pattern does not match.
    """
    match = re.fullmatch(pattern, normalize(path.stem))
    if not match:
        raise data_error(
            path,
            "file names must have the published form",
            expected=f"'{pattern}'",
            got=f"'{path.stem}'",
            remedy=f"remove or rename the file, or get the corpus again from {source}",
        )
    return match


def look_up(value, table, place, source):
    """Return `table[value]`.

    Args:
        value: a value in a file or a file name of the corpus.
        table: dict whose keys are all published values.
        place: where the value occurs, for the error message.
        source: page where the corpus is published, for the error message.

    Raises:
        ValueError: if `value` is not a key of `table`.
    """
    value = normalize_name(value) or value
    if value not in table:
        raise data_error(
            place,
            "the name must occur in the published corpus",
            expected=one_of(value, table),
            got=f"'{value}'",
            remedy=f"{nearest(value, table)}remove it, or get the corpus again from {source}",
        )
    return table[value]


def read_lines(path, source):
    """Return the normalized lines of a text file, without blank ones."""
    return [line for _, line in numbered_lines(path, source)]


def numbered_lines(path, source):
    """Return pairs (line number, normalized line) of a text file, without blank lines."""
    path = existing_path(path, source)
    lines = io.StringIO(decode_text(path.read_bytes(), path), newline=None)
    return [(number, normalize(line)) for number, line in enumerate(lines, 1) if normalize(line)]


def read_fields(path, num_fields, source, separator=None):
    """Return the fields of each line of a text file.

    Args:
        path: path of the file.
        num_fields: number of fields in every line.
        source: page where the corpus is published, for the error message.
        separator: text between fields; None: white space.

    Raises:
        ValueError: if the file does not exist, or a line has another number of fields.
    """
    rows = []
    for number, line in numbered_lines(path, source):
        fields = [normalize(field) for field in line.split(separator)]
        if len(fields) != num_fields:
            raise data_error(
                f"{path}, line {number}",
                "a line has the published fields",
                expected=f"{num_fields} fields",
                got=f"{fields}",
                remedy=f"get the file again from {source}",
            )
        rows.append(fields)
    return rows


def read_table(path, columns, source, delimiter=","):
    """Return the rows of a CSV file with a header, as dicts.

    Args:
        path: path of the file.
        columns: names of the columns that the file must have.
        source: page where the corpus is published, for the error message.
        delimiter: character between cells.

    Raises:
        ValueError: if the file does not exist, has no row, or lacks one of the columns.
    """
    path = existing_path(path, source)
    header, rows = read_csv(decode_text(path.read_bytes(), path), path, delimiter, strict=False)
    missing = [name for name in columns if name not in header]
    if missing or not rows:
        raise data_error(
            path,
            "the table has the published columns",
            expected=f"{columns} and at least one row",
            got=f"{header if rows else 'no row'}",
            remedy=f"get the file again from {source}",
        )
    return [dict(zip(header, cells)) for _, cells in rows]


def utterance_row(path, split, labels, speaker=None, segment=None):
    """Return a row for `read_rows` of an adapter. Its `labels` are a dict, which `with_labels` turns into a list.

    Args:
        path: audio file, relative to the corpus root.
        split: train, dev or test.
        labels: dict from each label column of the corpus to the label; for a column of sequences (`name[]`), to a list of labels.
        speaker: name of the speaker; None if unknown.
        segment: (start, end) in seconds, if the utterance is a part of the file; None: the whole file.
    """
    name = utterance_id(path)
    if segment:
        name = f"{name}-{round(1000 * segment[0]):07d}ms"
    start, end = segment or (0.0, None)
    return dict(utterance_id=name, path=path, split=split, speaker=speaker, labels=labels, start_seconds=start, end_seconds=end)


def with_labels(rows, label_columns):
    """Return the rows with lists of labels: those of the columns that the user chose, in this order.

    Args:
        rows: results of `utterance_row`, which are changed in place.
        label_columns: comma-separated names of label columns, the cell of config/corpora.tsv.

    Raises:
        ValueError: if the corpus has no such label column.
    """
    names = [normalize_name(name) for name in label_columns.split(",") if name.strip()]
    for row in rows:
        offered = row["labels"]
        for name in names:
            if name not in offered:
                raise data_error(
                    "config/corpora.tsv",
                    "`label_columns` names label columns that the adapter reads",
                    expected=f"some of {list(offered)}",
                    got=f"'{name}'",
                    remedy=f"{nearest(name, offered)}correct the cell",
                )
        row["labels"] = []
        for name in names:
            label = offered[name]
            row["labels"] += label if isinstance(label, list) else [label]
    return rows


def one_second_segments(path):
    """Return the whole seconds of a recording: (0.0, 1.0), (1.0, 2.0), … Raises `ValueError` if it cannot be read."""
    try:
        seconds = soundfile.info(path).duration
    except soundfile.LibsndfileError as error:
        raise data_error(
            path,
            "a recording that is cut into segments must be readable",
            expected="audio",
            got=error.error_string,
            remedy="replace or remove the file",
        ) from error
    return [(i * SEGMENT_SECONDS, (i + 1) * SEGMENT_SECONDS) for i in range(int(seconds / SEGMENT_SECONDS))]


def utterance_id(path):
    """Return the utterance_id of a path: `audio/yes/01.flac` → `audio-yes-01`. It can also serve as a file name."""
    return "-".join(map(normalize, PurePosixPath(normalize(path)).with_suffix("").parts))
