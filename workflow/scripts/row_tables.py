"""Read the tables of config/: tab-separated text whose rows are chosen by name."""

import re
from pathlib import Path

from storage.errors import data_error
from storage.text import decode_text, normalize
from workflow.scripts.schema_checks import check, load_schema

LISTS = (
    "corpora",
    "targets",
    "labels",
    "metric",
    "seeds",
    "source",
    "files",
    "sha256",
    "allow_overlap",
)  # columns of comma-separated cells
COMMENT = re.compile(r'"?#')  # spreadsheets put a line with commas into quotation marks


class Table(dict):
    """The rows of one table, a dict from name to row.

    A row is a dict from each column to a text or, for the columns `LISTS`, to a list of texts.

    Attributes:
        name: name of the table, such as `tasks`.
        files: paths of the files with the rows, as the config names them.
    """

    def __init__(self, name, files):
        super().__init__()
        self.name = name
        self.files = files
        self._file_of = {}
        self._written_name_of = {}

    def add(self, name, row, file, written_name=None):
        """Add a row.

        Args:
            name: name that no other row has.
            row: dict of cells.
            file: file in which the row is written.
            written_name: name of the row in the file, if that row stands for several rows.

        Raises:
            ValueError: if another row has this name.
        """
        written_name = written_name or name
        if name in self:
            raise data_error(
                f"{file}, row '{written_name}'",
                "each row must have a name of its own",
                expected="unique names",
                got=f"'{name}' here and in {self.place(name)}",
                remedy=f"rename one of them; to change a row, edit it in {file}, or use add_row with --replace",
            )
        self[name] = row
        self._file_of[name] = file
        self._written_name_of[name] = written_name

    def place(self, name):
        """Return the place of a row for an error message: its file and its name there."""
        return f"{self._file_of[name]}, row '{self._written_name_of[name]}'"

    def where(self):
        """Return the files of the table, for an error message."""
        return " or ".join(self.files)

    def names_of(self, written_name):
        """Return the names of the rows that a row of the file stands for, without those of its folds.

        A name that no file has stands for itself.
        """
        names = [
            name for name, written in self._written_name_of.items() if written == written_name and not self[name].get("fold")
        ]
        return names or [written_name]

    def written_names(self):
        """Return the names of the rows in the files and of the rows that these stand for, each once."""
        return list(dict.fromkeys([*self._written_name_of.values(), *self]))

    def expand_names(self, names):
        """Return the names of the rows that a list of names stands for, see `names_of`; each name once."""
        return list(dict.fromkeys(name for written_name in names for name in self.names_of(written_name)))

    def expand(self, variants):
        """Return a table in which the pairs (name, row) that `variants(name, row)` yields replace each row."""
        expanded = Table(self.name, self.files)
        for former_name, row in self.items():
            for name, variant in variants(former_name, row):
                expanded.add(name, variant, self._file_of[former_name], self._written_name_of[former_name])
        return expanded


def read_table(name, files, schema_path, texts=None):
    """Return the checked `Table` of the rows in one or several files.

    Args:
        name: name of the table.
        files: paths of its files.
        schema_path: file of its schema.
        texts: dict from the path of a file to a text that is read in place of the file.

    Raises:
        ValueError: if a line or a cell is wrong, or two rows have the same name; the message is about the first mistake.
    """
    table = Table(name, files)
    for file in files:
        (_, header), *lines = split_lines(file, (texts or {}).get(file))
        name_column = header[0]
        schema = load_schema(schema_path)
        _check_columns(header, schema, file)
        late_columns = _late_columns(header, schema)
        for number, cells in lines:
            if len(cells) == len(header) - len(late_columns):
                cells += [schema["properties"][column]["default"] for column in late_columns]
            if len(cells) != len(header):
                raise data_error(
                    f"{file}, line {number}",
                    "a row must have one cell per column",
                    expected=f"{len(header)} cells",
                    got=f"{len(cells)} cells",
                    remedy="put one tab between two cells; empty cells need their tabs too",
                )
            row = dict(zip(header, cells))
            check(row, schema_path, f"{file}, {name_column} '{row[name_column]}'", f"{name}.")
            table.add(row[name_column], {column: parse_cell(column, cell) for column, cell in row.items()}, file)
    return table


def _check_columns(header, schema, file):
    """Check that a table has all columns. Raises `ValueError` with a command that adds those that a former version did not have."""
    missing = [name for name in schema["required"] if name not in header]
    if not missing or not set(header) <= set(schema["properties"]):  # `check` refuses unknown columns, which may be misspelt ones
        return
    cells = "".join(f"\\t{schema['properties'][name].get('default', '…')}" for name in missing)
    names = "".join(f"\\t{name}" for name in missing)
    raise data_error(
        file,
        "a table must have all columns",
        expected=", ".join(missing),
        got="no such columns",
        remedy=f"add them: sed -i '1s/$/{names}/; 2,$s/$/{cells}/' {file}",
    )


def _late_columns(header, schema):
    """Return the last columns of a table that its schema marks as `late`: rows of a former version end before the first one.

    A row must end before all of them or have all of them, so that a missing tab in the middle of a row is still noticed.
    """
    late_columns = [column for column in header if schema["properties"].get(column, {}).get("late")]
    return late_columns if late_columns and header[-len(late_columns) :] == late_columns else []


def parse_cell(column, cell):
    """Return the text of a cell, or its comma-separated values as a list."""
    if column not in LISTS:
        return cell
    return [value.strip() for value in cell.split(",") if value.strip()]


def split_lines(file, text=None):
    """Return (line number, cells) of the lines of a table, the header first.

    Blank lines, comments (#) and a byte order mark are left out.

    Cells are without blanks at their ends, and without the quotation marks that spreadsheets put around cells with commas.

    Args:
        file: path of the table.
        text: text that is read in place of the file; None: the file is read.

    Raises:
        ValueError: if the file cannot be read or is empty.
    """
    if text is None:
        text = _read_text(file)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    lines = enumerate(text.split("\n"), 1)
    rows = [
        (number, [_plain(cell) for cell in line.split("\t")])
        for number, line in lines
        if line.strip() and not COMMENT.match(line)
    ]
    header = rows[0][1] if rows else []
    if len(set(header)) < len(header) or not header:
        raise data_error(
            file,
            "a table must begin with the names of its columns",
            expected="unique names",
            got=f"{header}",
            remedy="correct the header",
        )
    return rows


def _plain(cell):
    """Return a cell normalized, and without quotation marks around it: `"a, b"` → `a, b`."""
    cell = normalize(cell)
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        cell = normalize(cell[1:-1].replace('""', '"'))
    return cell


def _read_text(file):
    """Return the text of a table as it is in the file."""
    path = Path(file)
    if not path.exists():
        raise data_error(
            file,
            "a table that the config names must exist",
            expected="a file of tab-separated rows",
            got="no file",
            remedy="correct 'tables' in the config, and start from the top folder of the project",
        )
    return decode_text(path.read_bytes(), file)
