"""Any CSV or Parquet file that names audio files: one row a clip."""

from pathlib import Path, PurePosixPath

import pandas

from speech2unit.corpora.layouts import utterance_id
from speech2unit.corpora.splits import SEQUENCE, split_by_hash, standard_split
from storage.errors import data_error, nearest, one_of


def read_rows(*, root, metadata, path_column, split_column, speaker_column, label_columns, where):
    """Rows `{utterance_id: "audio-yes-01", path: "audio/yes/01.flac", split: "train", speaker: "7", labels: ["yes"]}`.

    `metadata` lies under `root`, and the paths in it are relative to `root`. `label_columns` and `where` are comma
    separated and may be empty (`where`: conditions such as `dataset=asc,language=ar` that all hold); `speaker_column` may
    be empty (speaker null, as in an empty cell). Without a `split_column` the split is drawn, by speaker where the row has
    one, else by path: then every speaker is in every split, which is what telling speakers apart asks for. A label column
    `digits[]` is the column `digits`, whose cells hold a sequence: `3 7 1` → labels [3, 7, 1]. Raises `ValueError` naming
    the file and the row.
    """
    for cell, value in dict(metadata=metadata, path_column=path_column).items():
        if not value:
            raise data_error(
                f"config/corpora.tsv, root {root}",
                f"adapter table needs the cell '{cell}'",
                expected="a CSV or Parquet file below the root, and the column of it that holds paths",
                got="an empty cell",
                remedy="fill it, or take the adapter folders",
            )
    place = Path(root) / metadata
    labels = _split_list(label_columns)
    table = _select(_read(place), where, place)
    columns = [name.removesuffix(SEQUENCE) for name in labels]
    for name in [path_column, *columns, *_split_list(split_column), *_split_list(speaker_column)]:
        _check_column(name, table, place)
    return [
        dict(
            utterance_id=utterance_id(path),
            path=path,
            split=standard_split(split.strip(), f"{place}, row {number}") if split_column else split_by_hash(speaker or path),
            speaker=speaker or None,
            labels=_labels({name: table[column][number] for name, column in zip(labels, columns)}, f"{place}, row {number}"),
        )
        for number, path, split, speaker in zip(
            table.index,
            [_inside(path, f"{place}, row {number}") for number, path in table[path_column].items()],
            table[split_column] if split_column else [""] * len(table),
            table[speaker_column] if speaker_column else [""] * len(table),
            strict=True,
        )
    ]


def _read(place):
    """All cells as text (empty where null), numbered as in a CSV whose header is row 1."""
    try:
        if place.suffix == ".parquet":
            table = pandas.read_parquet(place).reset_index(drop=True)
        else:
            table = pandas.read_csv(place, dtype=str, keep_default_na=False)
            if not isinstance(table.index, pandas.RangeIndex):  # pandas takes the first cells for an index, and shifts the rest
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
        values, table = table[name].unique(), table[table[name] == value]
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
    return [part.strip() for part in text.split(",") if part.strip()]


def _check_column(name, table, place):
    if name not in table.columns:
        raise data_error(
            place,
            "a column that config/corpora.tsv names must exist",
            expected=one_of(name, table.columns),
            got=f"'{name}'",
            remedy=f"{nearest(name, table.columns)}correct the header (a CSV is separated by commas), or the row of config/corpora.tsv",
        )


def _labels(cells, place):
    """Label column → cell becomes the labels, a sequence's apart. Raises `ValueError` for an empty cell."""
    for name, value in cells.items():
        if not value.strip():
            raise data_error(
                place,
                "every row needs its labels",
                expected=f"a value of '{name}'",
                got="an empty cell",
                remedy="fill it, or select other rows with `where`",
            )
    return [label for name, value in cells.items() for label in (value.split() if name.endswith(SEQUENCE) else [value])]


def _inside(path, place):
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.name:
        raise data_error(
            place,
            "paths are relative to the corpus root, and audio lies under it",
            expected="a relative path without '..'",
            got=f"'{path}'",
            remedy="leave the root out of the path, move the file, or choose a `root` that holds all",
        )
    return path
