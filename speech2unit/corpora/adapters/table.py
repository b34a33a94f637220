"""Any CSV or Parquet file that names audio files, one row per clip."""

import re
from pathlib import Path, PurePosixPath

from speech2unit.corpora.layouts import utterance_id
from speech2unit.corpora.read_metadata import name_cell, read_metadata, sequence_cell, text_cell
from speech2unit.corpora.splits import SEQUENCE, SPLIT_NAMES, split_by_hash, standard_split
from storage.errors import data_error, nearest, notice, one_of
from storage.paths import existing_form, similar_file
from storage.text import look_alikes, normalize, normalize_name, shown

WINDOWS_PATH = re.compile(r"[A-Za-z]:|.*\\")


def read_rows(*, root, metadata, path_column, split_column, speaker_column, label_columns, where):
    """Return the rows of a table of audio files.

    A row is, for example,
    `{utterance_id: "audio-yes-01", path: "audio/yes/01.flac", split: "train", speaker: "7", labels: ["yes"]}`.

    Args:
        root: root folder of the corpus; the paths in the file are relative to it.
        metadata: path of the file, relative to `root`.
        path_column: name of the column of audio files.
        split_column: name of the column of splits. If it is empty, the split of a row follows from a hash of its speaker, or of
            its path if the speaker is unknown. Without a `speaker_column`, every speaker can therefore be in every split, which
            speaker identification needs.
        speaker_column: name of the column of speakers. If it or a cell is empty, the speaker is unknown.
        label_columns: comma-separated names of the label columns; empty: no labels. `digits[]` is the column `digits`, whose
            cells hold sequences: `3 7 1` becomes the labels [3, 7, 1].
        where: comma-separated conditions, such as `dataset=asc,language=ar`. Only rows that meet all of them are kept; empty: all
            rows.

    Raises:
        ValueError: if the file cannot be read, lacks a column or has no row that meets the conditions, if a label is empty, or if
            a path is not relative to the root. The message names the file and the row.
    """
    place, table = _rows_of_corpus(root, metadata, path_column, where)
    label_names = _split_list(label_columns)
    source_columns = _source_columns(label_names)
    optional_columns = [*_split_list(split_column), *_split_list(speaker_column)]
    _check_column(path_column, table, place)
    for name in source_columns:
        _check_column(name, table, place, "; files without labels cannot be trained on, only labelled by a trained task")
    for name in optional_columns:
        _check_column(
            name,
            table,
            place,
            "; if the file has no such column, empty the cell `split_column` (splits are drawn by speaker) or `speaker_column` "
            "(speakers are unknown)",
        )
    used_columns = list(dict.fromkeys([path_column, *source_columns, *optional_columns]))
    rows = []
    number_of_path = {}
    for number, cells in zip(table.index, table[used_columns].to_dict("records")):
        row_place = f"{place}, {number}"
        path = _checked_path(text_cell(cells[path_column], path_column, row_place), row_place, root)
        _check_new(path, number, number_of_path, place)
        speaker = name_cell(cells[speaker_column], speaker_column, row_place) if speaker_column else ""
        rows.append(
            dict(
                utterance_id=utterance_id(path),
                path=path,
                split=_split(cells[split_column], split_column, row_place) if split_column else split_by_hash(speaker or path),
                speaker=speaker or None,
                labels=_labels({name: cells[column] for name, column in zip(label_names, source_columns)}, row_place),
            )
        )
    num_unknown = sum(row["speaker"] is None for row in rows) if speaker_column else 0
    if num_unknown:
        notice(f"{place}: {num_unknown} of {len(rows)} rows have no speaker; nobody can tell if theirs are in two splits")
    return rows


def list_rows(*, root, metadata, path_column, split_column, label_columns, where):
    """Yield rows for labelling, without speakers. Only the column of paths is needed.

    `split` is None where there is no such column or its cell names no split; `labels` where a label column is missing or its cell
    is empty. Arguments and errors are those of `read_rows`.
    """
    place, table = _rows_of_corpus(root, metadata, path_column, where)
    label_names = _split_list(label_columns)
    source_columns = _source_columns(label_names)
    has_labels = bool(label_names) and set(source_columns) <= set(table.columns)
    has_splits = split_column in table.columns
    used_columns = [path_column, *(source_columns if has_labels else []), *([split_column] if has_splits else [])]
    for name in used_columns:
        _check_column(name, table, place)
    number_of_path = {}
    for number, cells in zip(table.index, table[list(dict.fromkeys(used_columns))].to_dict("records")):
        row_place = f"{place}, {number}"
        path = _checked_path(text_cell(cells[path_column], path_column, row_place), row_place, root)
        _check_new(path, number, number_of_path, place)
        is_labelled = has_labels and all(cells[column] not in ("", []) for column in source_columns)
        split = text_cell(cells[split_column], split_column, row_place) if has_splits else ""
        yield dict(
            utterance_id=utterance_id(path),
            path=path,
            split=SPLIT_NAMES.get(split.lower()),
            labels=_labels({name: cells[column] for name, column in zip(label_names, source_columns)}, row_place)
            if is_labelled
            else None,
        )


def _rows_of_corpus(root, metadata, path_column, where):
    """Return the path of the metadata file, and the table of its rows for which `where` holds. Raises `ValueError`."""
    for cell, value in dict(metadata=metadata, path_column=path_column).items():
        if not value:
            raise data_error(
                f"config/corpora.tsv, root {root}",
                f"adapter table needs the cell '{cell}'",
                expected="a CSV or Parquet file below the root, and its column of paths",
                got="an empty cell",
                remedy="fill it, or use the adapter folders",
            )
    place = Path(root) / metadata
    place = existing_form(place) or place
    return place, _select(read_metadata(place), where, place)


def _check_new(path, number, number_of_path, place):
    """Add a path to the dict from each path to its row, such as `line 7`. Raises `ValueError` if it is there already."""
    if path in number_of_path:
        raise data_error(
            f"{place}, {number}",
            "each row is about another file",
            expected=f"'{shown(path)}' in {number_of_path[path]} alone",
            got="the same file again",
            remedy="remove one of the two rows; several labels of a clip are several columns, which `label_columns` names",
        )
    number_of_path[path] = number


def _source_columns(label_names):
    """Return the columns of the metadata that label columns are read from: `digits[]` from `digits`."""
    return [name.removesuffix(SEQUENCE) for name in label_names]


def _select(table, where, place):
    """Return the rows of a table for which all conditions hold. Raises `ValueError` if none is left."""
    num_rows = len(table)
    for condition in _split_list(where):
        name, equals, value = (normalize(part) for part in condition.partition("="))
        if not equals:
            raise data_error(
                place,
                "`where` holds conditions",
                expected="column=value, comma separated",
                got=f"'{condition}'",
                remedy="correct `where` in config/corpora.tsv",
            )
        _check_column(name, table, place)
        cells = [name_cell(cell, name, f"{place}, {number}") for number, cell in table[name].items()]
        for group in look_alikes(cells):
            notice(f"{place}: the column '{name}' has {group}, which `where` takes for different values")
        table = table[[cell == normalize_name(value) for cell in cells]]
        if table.empty:
            raise data_error(
                place,
                "`where` must select rows",
                expected=f"{name} = {one_of(value, set(cells))}",
                got=f"'{value}'",
                remedy=f"{nearest(value, set(cells))}correct `where` in config/corpora.tsv",
            )
    if len(table) < num_rows:
        print(f"{place}: `where` selects {len(table)} of {num_rows} rows")
    return table


def _split_list(text):
    """Return the parts of a comma-separated cell."""
    return [normalize(part) for part in text.split(",") if normalize(part)]


def _check_column(name, table, place, hint=""):
    """Check a name of a column. Raises `ValueError`, with `hint` at the end, if the table has no such column or several."""
    if list(table.columns).count(name) > 1:
        raise data_error(
            place,
            "a column that config/corpora.tsv names must be one",
            expected=f"one column '{name}'",
            got=f"{list(table.columns)}",
            remedy="rename the others in the header",
        )
    if name not in table.columns:
        raise data_error(
            place,
            f"config/corpora.tsv names the column '{name}', which the table must have",
            expected=one_of(name, table.columns),
            got=f"no '{name}'",
            remedy=f"{nearest(name, table.columns)}correct the header, or the row of config/corpora.tsv{hint}",
        )


def _split(cell, name, place):
    """Return the split in a cell. Raises `ValueError`."""
    return standard_split(text_cell(cell, name, place), place)


def _labels(cells, place):
    """Return the labels in the cells of the label columns; a sequence becomes several. Raises `ValueError` if a cell is empty."""
    labels = []
    for name, cell in cells.items():
        is_sequence = name.endswith(SEQUENCE)
        column = name.removesuffix(SEQUENCE)
        values = sequence_cell(cell, column, place) if is_sequence else [name_cell(cell, column, place)]
        if not values or values == [""]:
            raise data_error(
                place,
                "every row needs its labels",
                expected=f"a value of '{name}'",
                got="an empty cell",
                remedy="fill it, or remove the row",
            )
        labels += values
    return labels


def _checked_path(path, place, root):
    """Return the path, without blanks around slashes. Raises `ValueError` if it is absolute or leads out of the corpus root."""
    pure = PurePosixPath("/".join(map(normalize, path.split("/"))))
    is_of_windows = WINDOWS_PATH.match(path) and existing_form(path, root) is None
    if is_of_windows or pure.is_absolute() or ".." in pure.parts or not pure.name:
        found = similar_file(root, path)
        remedy = "leave the root out of the path, move the file, or choose a `root` that holds all files"
        if is_of_windows:
            remedy = _convert_windows_paths(path, found, place)
        raise data_error(
            place,
            "paths are relative to the corpus root, and audio files are below it",
            expected=f"'{found}', which is there" if found else "a relative path without '..'",
            got=f"'{shown(path)}'",
            remedy=remedy,
        )
    return str(pure)


def _convert_windows_paths(path, found, place):
    """Return what to type where paths have backslashes or drives; `found` is the file that `path` means, or None."""
    advice = "write / between folders, and leave the drive and the folders of the root out"
    file = str(place).rpartition(", ")[0]
    if file.endswith(".parquet"):
        return advice
    forward = re.sub(r"\\+", "/", path)
    prefix = forward[: -len(found)] if found and forward.lower().endswith(found.lower()) else ""
    commands = r"s|\\\\*|/|g" + (f"; s|{prefix}||" if prefix else "")
    return f"{advice}: sed -i '{commands}' '{file}'"
