"""Read tables of other people, CSV or Parquet, into cells of normalized text. Every row and cell of the file is accounted for."""

import ast
import lzma
import unicodedata
import zipfile
import zlib
from pathlib import Path

import pandas
import pyarrow as pa
import pyarrow.parquet as pq

from speech2unit.corpora.csv_rows import read_csv
from storage.errors import data_error
from storage.text import decode_text, normalize, normalize_name, shown

UNREADABLE = (OSError, ValueError, EOFError, pa.ArrowException, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


class Nested:
    """A cell that is no text: the type of its column. Its content is not read, because it may be the bytes of recordings."""

    def __init__(self, type):
        self.type = type

    def __str__(self):
        return f"{self.type}"


def read_metadata(place):
    """Return a data frame of a CSV or Parquet file, whose index says where a row is: `line 2`, or `row 1` of Parquet.

    Cells are normalized text, empty for null; lists of texts or numbers in Parquet stay lists, and other nested values are `Nested`.

    Args:
        place: path of the file. CSV may be compressed, may have `;`, tabs or `|` between cells, and may begin with a byte order mark.

    Raises:
        ValueError: with the line, where a row has not one cell for each column, or a quotation mark is not closed.
    """
    place = Path(place)
    try:
        if place.suffix.lower() in (".parquet", ".pq") or place.is_dir():
            return _read_parquet(place)
        with pandas.io.common.get_handle(place, "rb", compression="infer", is_text=False) as handles:
            data = handles.handle.read()
    except UNREADABLE as error:
        raise data_error(
            place,
            "the metadata must be readable",
            expected="CSV with a header (UTF-8), or Parquet",
            got=shown(str(error), 300),
            remedy="correct `root` and `metadata` in config/corpora.tsv, or the file",
        ) from error
    text = decode_text(data, place)
    if text[:1] in "{[" and text:
        raise _json_lines(place)
    header, rows = read_csv(text, place)
    if not rows:
        raise _no_rows(place)
    return pandas.DataFrame([cells for _, cells in rows], [f"line {line}" for line, _ in rows], header, dtype=object)


def _json_lines(place):
    columns = "import pandas; pandas.read_json('{0}', lines=True, dtype=False).to_parquet('{0}.parquet')"
    return data_error(
        place,
        "a table must be CSV or Parquet",
        expected="a header with the names of columns",
        got="JSON",
        remedy=f'convert it with: python -c "{columns.format(place)}", and name that file',
    )


def _read_parquet(place):
    """Return the data frame of a Parquet file or folder."""
    file = pq.ParquetDataset(place)
    names = [normalize(field.name) for field in file.schema]
    if len(set(names)) < len(names):
        raise data_error(place, "a table has unique names of columns", expected="each once", got=f"{names}", remedy="rename one")
    columns = {}
    readable = [field.name for field in file.schema if _nesting(field.type) != "nested"]
    table = file.read(columns=readable, use_pandas_metadata=False)
    if not table.num_rows:
        raise _no_rows(place)
    for name, field in zip(names, file.schema):
        if field.name in readable:
            columns[name] = _cells(table[field.name])
        else:
            columns[name] = [Nested(field.type)] * table.num_rows
    index = [f"row {number}" for number in range(1, table.num_rows + 1)]
    return pandas.DataFrame(columns, index, dtype=object)


def _no_rows(place):
    return data_error(place, "a table must have rows", expected="one row per clip", got="a header only", remedy="add rows")


def _nesting(type):
    """Return whether cells of an Arrow type are `flat`, a `list` of flat values, or `nested` (structs, bytes, lists of lists)."""
    if pa.types.is_dictionary(type):
        type = type.value_type
    if pa.types.is_list(type) or pa.types.is_large_list(type) or pa.types.is_fixed_size_list(type):
        return "list" if _nesting(type.value_type) == "flat" else "nested"
    is_bytes = pa.types.is_binary(type) or pa.types.is_large_binary(type) or pa.types.is_fixed_size_binary(type)
    return "nested" if is_bytes or pa.types.is_nested(type) else "flat"


def _cells(column):
    """Return the cells of a flat column as normalized text, of a column of lists as lists of its values."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    type = column.type
    if _nesting(type) == "list":
        return ["" if cell is None else cell for cell in column.to_pylist()]
    if pa.types.is_string(type) or pa.types.is_large_string(type) or pa.types.is_integer(type) or pa.types.is_null(type):
        return ["" if cell is None else normalize(cell) if isinstance(cell, str) else str(cell) for cell in column.to_pylist()]
    values = column.to_pandas()
    return [normalize(cell) for cell in values.astype(object).where(values.notna(), "").astype(str)]


def text_cell(cell, name, place):
    """Return a cell that must be text.

    Args:
        cell: a cell of `read_metadata`.
        name: its column.
        place: its row, for the error message.

    Raises:
        ValueError: for a list or another nested value, also one that is written as text.
    """
    if not isinstance(cell, str):
        raise _nested(cell, name, place)
    if cell[:1] in ("[", "{", "(") and isinstance(_literal(cell), (list, dict, tuple, set)):
        raise _nested(_literal(cell), name, place)
    return cell


def name_cell(cell, name, place):
    """Return a cell that names a label or a speaker, with one plain blank for each run of blanks; arguments as of `text_cell`.

    Raises:
        ValueError: for a nested value, and for control characters.
    """
    text = normalize_name(text_cell(cell, name, place))
    if not text.isprintable() and any(unicodedata.category(letter) == "Cc" for letter in text):
        raise data_error(
            place,
            f"a cell of '{name}' is text",
            expected="a text without control characters",
            got=f"'{shown(text)}'",
            remedy="remove them from the cell",
        )
    return text


def sequence_cell(cell, name, place):
    """Return the symbols of a cell that holds a sequence: text with blanks between them, or a list in Parquet.

    Raises:
        ValueError: for other nested values, and for symbols that are empty or contain blanks.
    """
    if not isinstance(cell, list):
        return text_cell(cell, name, place).split()
    symbols = [normalize(symbol if isinstance(symbol, str) else "" if symbol is None else str(symbol)) for symbol in cell]
    for symbol in symbols:
        if len(symbol.split()) != 1:
            raise data_error(
                place,
                f"the symbols of the sequence '{name}' are words",
                expected="symbols without blanks, none empty",
                got=f"'{shown(symbol)}' in {shown(symbols)}",
                remedy="write _ for the blank, or split the symbol",
            )
    return symbols


def _literal(text):
    """Return the Python value that a text stands for, or None."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _nested(cell, name, place):
    """Return the error about a nested value where text is asked for."""
    got = f"cells of type {cell}" if isinstance(cell, Nested) else shown(cell)
    remedy = f"for a sequence write '{name}[]' in `label_columns` and, in CSV, blanks between the symbols; else give the column one text per row"
    if isinstance(cell, Nested) and "binary" in str(cell):
        table = str(place).rpartition(", row ")[0]
        read = f"import pandas, pathlib; t = pandas.read_parquet('{table}'); d = pathlib.Path('{Path(table).parent}'); "
        if "bytes" in str(cell):
            read += (
                f"a = t.pop('{name}'); (d / 'clips').mkdir(); "
                "t['path'] = [f'clips/{i}_' + pathlib.Path(x['path'] or 'clip.wav').name for i, x in enumerate(a)]; "
                "[(d / p).write_bytes(x['bytes']) for p, x in zip(t['path'], a)]; t.to_csv(d / 'clips.csv', index=False)"
            )
            remedy = f'write the recordings into files with: python -c "{read}" and name clips.csv as `metadata`, path as `path_column`'
        else:
            read += f"t['{name}'] = t['{name}'].str.decode('utf-8'); t.to_csv(d / 'text.csv', index=False)"
            remedy = f'if it is text, convert it with: python -c "{read}" and name text.csv as `metadata`'
    return data_error(place, f"a cell of '{name}' is one text", expected="text or a number", got=got, remedy=remedy)
