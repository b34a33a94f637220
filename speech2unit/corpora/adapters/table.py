"""Any CSV or Parquet file that names audio files, one row per clip."""

from pathlib import Path, PurePosixPath

import pandas

from speech2unit.corpora.layouts import utterance_id
from speech2unit.corpora.splits import SEQUENCE, SPLIT_NAMES, split_by_hash, standard_split
from storage.errors import data_error, nearest, one_of


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
    _check_column(path_column, table, place)
    for name in source_columns:
        _check_column(name, table, place, "; files without labels cannot be trained on, only labelled by a trained task")
    for name in [*_split_list(split_column), *_split_list(speaker_column)]:
        _check_column(name, table, place, "; where it is empty, the split is drawn, and the speaker is unknown")
    rows = []
    for number, cells in zip(table.index, table.to_dict("records")):
        row_place = f"{place}, row {number}"
        path = _checked_path(cells[path_column], row_place)
        speaker = cells[speaker_column] if speaker_column else ""
        rows.append(
            dict(
                utterance_id=utterance_id(path),
                path=path,
                split=standard_split(cells[split_column].strip(), row_place) if split_column else split_by_hash(speaker or path),
                speaker=speaker or None,
                labels=_labels({name: cells[column] for name, column in zip(label_names, source_columns)}, row_place),
            )
        )
    return rows


def list_rows(*, root, metadata, path_column, split_column, label_columns, where):
    """Yield rows for labelling, without speakers. Only the column of paths is needed.

    `split` is None where there is no such column or its cell names no split; `labels` where a label column is missing or its cell
    is empty. Arguments and errors are those of `read_rows`.
    """
    place, table = _rows_of_corpus(root, metadata, path_column, where)
    label_names = _split_list(label_columns)
    source_columns = _source_columns(label_names)
    _check_column(path_column, table, place)
    has_labels = set(source_columns) <= set(table.columns)
    nothing = [""] * len(table)
    splits = table[split_column] if split_column in table.columns else nothing
    label_cells = zip(*(table[column] for column in source_columns)) if label_names and has_labels else zip(nothing)
    for number, path, split, cells in zip(table.index, table[path_column], splits, label_cells):
        path = _checked_path(path, f"{place}, row {number}")
        is_labelled = all(cell.strip() for cell in cells)
        yield dict(
            utterance_id=utterance_id(path),
            path=path,
            split=SPLIT_NAMES.get(split.strip().lower()),
            labels=_labels(dict(zip(label_names, cells)), place) if is_labelled else None,
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
    return place, _select(_read(place), where, place)


def _source_columns(label_names):
    """Return the columns of the metadata that label columns are read from: `digits[]` from `digits`."""
    return [name.removesuffix(SEQUENCE) for name in label_names]


def _read(place):
    """Return a table with all cells as text (empty for null) and rows numbered as in a CSV file, whose header is row 1."""
    try:
        if place.suffix == ".parquet":
            table = pandas.read_parquet(place).reset_index(drop=True)
        else:
            table = pandas.read_csv(place, dtype=str, keep_default_na=False)
            if not isinstance(table.index, pandas.RangeIndex):  # pandas used the first cells as an index and shifted the others
                raise ValueError("rows with more cells than the header has names")
    except (OSError, ValueError) as error:  # pandas' and pyarrow's errors are ValueErrors
        raise data_error(
            place,
            "the metadata must be readable",
            expected="CSV with a header (UTF-8), or Parquet",
            got=f"{error}",
            remedy="correct `root` and `metadata` in config/corpora.tsv, or the file",
        ) from error
    table = table.astype(object).where(table.notna(), "").astype(str)
    table.index = table.index + 2
    return table


def _select(table, where, place):
    """Return the rows of a table for which all conditions hold. Raises `ValueError` if none is left."""
    for condition in _split_list(where):
        name, equals, value = (part.strip() for part in condition.partition("="))
        if not equals:
            raise data_error(
                place,
                "`where` holds conditions",
                expected="column=value, comma separated",
                got=f"'{condition}'",
                remedy="correct `where` in config/corpora.tsv",
            )
        _check_column(name, table, place)
        values = table[name].unique()
        table = table[table[name] == value]
        if table.empty:
            raise data_error(
                place,
                "`where` must select rows",
                expected=f"{name} = {one_of(value, values)}",
                got=f"'{value}'",
                remedy=f"{nearest(value, values)}correct `where` in config/corpora.tsv",
            )
    return table


def _split_list(text):
    """Return the parts of a comma-separated cell."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _check_column(name, table, place, hint=""):
    """Check a name of a column. Raises `ValueError`, with `hint` at the end, if the table has no such column."""
    if name not in table.columns:
        raise data_error(
            place,
            "a column that config/corpora.tsv names must exist",
            expected=one_of(name, table.columns),
            got=f"'{name}'",
            remedy=f"{nearest(name, table.columns)}correct the header (a CSV file has commas between cells), or the row "
            f"of config/corpora.tsv{hint}",
        )


def _labels(cells, place):
    """Return the labels in the cells of the label columns; a sequence becomes several. Raises `ValueError` if a cell is empty."""
    labels = []
    for name, value in cells.items():
        if not value.strip():
            raise data_error(
                place,
                "every row needs its labels",
                expected=f"a value of '{name}'",
                got="an empty cell",
                remedy="fill it, or select other rows with `where`",
            )
        labels += value.split() if name.endswith(SEQUENCE) else [value]
    return labels


def _checked_path(path, place):
    """Return the path. Raises `ValueError` if it is absolute or leads out of the corpus root."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.name:
        raise data_error(
            place,
            "paths are relative to the corpus root, and audio files are below it",
            expected="a relative path without '..'",
            got=f"'{path}'",
            remedy="leave the root out of the path, move the file, or choose a `root` that holds all files",
        )
    return path
