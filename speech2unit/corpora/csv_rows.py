"""Read CSV text. Each row and each cell is accounted for, and errors name the line."""

import csv
import io
import re
from pathlib import PurePosixPath

from storage.errors import data_error, notice
from storage.text import normalize, shown

DELIMITERS = ",;\t|"
SEPARATOR_LINE = re.compile(r'^"?sep=(.)"?$', re.IGNORECASE)  # Excel's first line, which names the delimiter
LINE_END = re.compile(r"\r\n|\r|\n")
csv.field_size_limit(1 << 30)


def read_csv(text, place, delimiter=None, strict=True):
    """Return the header and the (line number, cells) of the rows of CSV text. Cells are normalized; empty rows are left out, and said.

    Args:
        text: the text.
        place: the file, for messages.
        delimiter: character between cells; by default the one that the header has.
        strict: whether a cell that begins with a quotation mark must end with it.

    Raises:
        ValueError: naming the line.
    """
    lines = io.StringIO(text, newline="")
    num_before = 0  # lines that the reader does not read
    first = ""
    while not normalize(first) and (first := lines.readline()):
        num_before += 1
    separator = SEPARATOR_LINE.match(first.rstrip("\r\n"))
    delimiter = delimiter or (separator[1] if separator else _delimiter(first))
    if not separator:
        lines.seek(0)
        num_before = 0
    reader = csv.reader(lines, delimiter=delimiter, strict=strict, skipinitialspace=True)
    header = None
    rows = []
    spans = []  # index in rows, last line, of rows that go on over several lines
    num_empty = 0
    while True:
        line = num_before + reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            start = shown(LINE_END.split(text)[line - 1], 80)
            raise _wrong_quote(f"{place}, line {line}", f"'{start}' ({error})") from error
        if cells is None:
            break
        cells = [normalize(cell) for cell in cells]
        if not any(cells):
            num_empty += bool(cells) and header is not None
        elif header is None:
            header = _checked_header(cells, f"{place}, line {line}")
        else:
            last_line = num_before + reader.line_num
            if len(cells) != len(header) and last_line > line:
                got = f"a cell that goes on to line {last_line}, and {len(cells)} cells for {len(header)} columns"
                raise _wrong_quote(f"{place}, line {line}", got)
            if len(cells) != len(header):
                raise _wrong_length(cells, header, delimiter, f"{place}, line {line}")
            if last_line > line:
                spans.append((len(rows), last_line))
            rows.append((line, cells))
    if header is None:
        raise data_error(place, "a table must have a header", expected="names of columns", got="an empty file", remedy="fill it")
    if spans:
        _check_spans(rows, spans, header, delimiter, place)
    if num_empty:
        notice(f"{place}: {num_empty} rows with empty cells only are left out")
    return header, rows


def _delimiter(header):
    """Return the character between the cells of a header: the comma, or another one if there is no comma."""
    return next((mark for mark in DELIMITERS if mark in header), ",")


def _checked_header(cells, place):
    """Return the names of the columns, of which the used ones must differ; nameless ones are numbered."""
    names = [cell or f"(column {number})" for number, cell in enumerate(cells, 1)]
    for control in [name for name in names if not name.isprintable()]:
        raise data_error(
            place,
            "names of columns are text",
            expected="a header",
            got=f"'{shown(control)}'",
            remedy="save the table as CSV (UTF-8)",
        )
    return names


def _wrong_length(cells, header, delimiter, place):
    """Return the error about a row with more or fewer cells than the header."""
    between = {"\t": "tab", ",": "comma", ";": "semicolon"}.get(delimiter, f"'{delimiter}'")
    got = f"{len(cells)}: '{shown(delimiter.join(cells), 120)}'"
    if len(cells) < len(header):
        remedy = "compare the line with the header, and insert what is missing where it belongs; an empty cell needs its "
        remedy += f"{between} too"
    else:
        remedy = f"put a cell with a {between} in it into quotation marks, or remove the {between}s at its end"
    return data_error(
        place,
        "a row must have one cell for each column",
        expected=f"{len(header)} cells ({shown(', '.join(header), 120)})",
        got=got,
        remedy=remedy,
    )


def _wrong_quote(place, got):
    return data_error(
        place,
        "a quotation mark that begins a cell must end it",
        expected='"text" between two commas, or a text that does not begin with "',
        got=got,
        remedy='remove the mark, or close it; a mark within a cell is written twice, as in "a 12"" pipe"',
    )


def _check_spans(rows, spans, header, delimiter, place):
    """Refuse a quotation mark that swallows rows: a cell whose lines are rows themselves. A text of several lines may be a cell.

    Raises:
        ValueError: with the line where the cell begins.
    """
    values = [set() for _ in header]  # of each column, except texts of several lines
    for _, cells in rows:
        for column, cell in enumerate(cells):
            if cell and not LINE_END.search(cell):
                values[column].add(cell)
    for index, last_line in spans:
        first_line, cells = rows[index]
        num_swallowed = 0
        for column, cell in enumerate(cells):
            inner_lines = LINE_END.split(cell)[1:]
            for number, line in enumerate(inner_lines, 1):
                inner = [normalize(part) for part in line.split(delimiter)]
                # The quotation mark that ends the cell may be in the last row that it swallows, in the same column.
                num_expected = column + 1 if number == len(inner_lines) else len(header)
                num_swallowed += len(inner) == num_expected > 1 and any(
                    part and (part in values[i] or _has_extension_of(part, cells[i])) for i, part in enumerate(inner)
                )
        if num_swallowed:
            got = f"a cell that goes on to line {last_line} and takes in {num_swallowed} other rows"
            raise _wrong_quote(f"{place}, line {first_line}", got)


def _has_extension_of(cell, other):
    extension = PurePosixPath(cell).suffix
    return bool(extension) and " " not in cell and extension == PurePosixPath(other).suffix
