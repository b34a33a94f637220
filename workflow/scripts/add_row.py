"""Add a row to a table of config/, after the checks that Snakemake makes.

    python -m workflow.scripts.add_row                                   # the tables
    python -m workflow.scripts.add_row tasks                             # the columns of a table
    python -m workflow.scripts.add_row tasks task=MINE corpus=mine …     # add a row; start in the top folder of the project
    python -m workflow.scripts.add_row tasks --replace task=MINE …       # put another row in the place of the one with this name

Cells that are not given have the defaults of their columns. A wrong row is refused with an error, and the table stays as it is.
"""

import argparse
import sys
from pathlib import Path

from storage.errors import data_error, nearest, one_of
from storage.files import atomic
from workflow.scripts.aligned import aligned, without_empty_columns, wrapped
from workflow.scripts.columns import columns_of, fill_in_defaults
from workflow.scripts.config_files import check_config, load_config
from workflow.scripts.row_tables import split_lines
from workflow.scripts.rows import TABLES, read_rows, table_files
from workflow.scripts.schema_checks import ROOT, load_schema

COMMAND = "python -m workflow.scripts.add_row"
SCHEMAS = ROOT / "workflow/schemas"
FORBIDDEN = {"\t": "a tab", "\n": "a line break", "\r": "a line break", '"': "a quotation mark"}
INDENT = "    "
PAGE_STEP = "snakemake --cores 2 results/corpora/{name}/page.html{configfile}"
NEXT_STEPS = dict(  # table → commands that use a new row
    checkpoints=[f"{COMMAND} encoders encoder=NAME architecture=… checkpoint={{name}}"],
    corpora=[
        PAGE_STEP,
        f"{COMMAND} tasks task=NAME corpus={{name}} labels=… ulm=…",
    ],
    encoders=[f"{COMMAND} codebooks codebook=NAME encoder={{name}} layer=… num_clusters=… corpora=…"],
    codebooks=[f"{COMMAND} ulms ulm=NAME codebook={{name}} corpora=…"],
    ulms=[f"{COMMAND} tasks task=NAME corpus=… labels=… ulm={{name}}"],
    tasks=["snakemake --cores 2 results/{name}/acc.json{configfile}"],
    superb_tasks=["snakemake --cores 2 results/superb/{name}_{tuning}/score.json{configfile}"],
)
# A corpus without labels is labelled by a trained task, or a unit LM is trained on it.
STEPS_WITHOUT_LABELS = [
    "snakemake --cores 2 results/TASK/predictions/{name}.parquet{configfile}",
    f"{COMMAND} codebooks codebook=NAME encoder=… layer=… num_clusters=… corpora={{name}}",
]


def main(arguments=None):
    """Run the command line. Exits with status 1 and a message if the row is refused."""
    options = _parse(arguments)
    if not options.table_name:
        print(describe_tables())
    elif not options.cells:
        print(describe_columns(options.table_name))
    else:
        try:
            cells, files = options.cells, (options.table, options.configfile)
            print(add_row(options.table_name, cells, *files, is_dry_run=options.dry_run, is_replacement=options.replace))
        except ValueError as error:
            sys.exit(str(error))


def add_row(table, assignments, file=None, configfiles=(), *, is_dry_run=False, is_replacement=False):
    """Check a row and append it to a table, or put it in the place of the row with the same name.

    Args:
        table: name of the table.
        assignments: texts `column=cell`.
        file: the file that gets the row; by default the first one that the config names. It is created if it does not exist.
        configfiles: a user's own config files.
        is_dry_run: check the row, but leave the file as it is.
        is_replacement: replace the row with this name, which must be in the file.

    Returns:
        The message to the user.

    Raises:
        ValueError: if the row is wrong; the message is about the first mistake.
    """
    config = load_config(configfiles)
    files = table_files(config, table)
    file = file or files[0]
    is_in_config = file in files
    if not is_in_config:
        config["tables"][table] = [*files, file]
    given_cells = parse_cells(table, assignments, file)
    row = fill_in_defaults(table, given_cells)
    _check_complete(table, row, file)

    is_new_file = not Path(file).exists()
    old_text = "\t".join(load_schema_columns(table)) + "\n" if is_new_file else Path(file).read_bytes().decode()
    new_text = replace_row(old_text, row, file) if is_replacement else append_row(old_text, row, file)
    check_config(config, SCHEMAS / "config.schema.yaml", configfiles)
    read_rows(config, SCHEMAS, {file: new_text})
    if not is_dry_run:
        with atomic(file) as temporary:
            temporary.write_bytes(new_text.encode())
    return _report(table, row, given_cells, file, is_in_config, configfiles, is_dry_run)


def parse_cells(table, assignments, file):
    """Return a dict from column to cell, from texts `column=cell`."""
    columns = load_schema_columns(table)
    cells = {}
    for assignment in assignments:
        column, equals, cell = assignment.partition("=")
        if not equals:
            raise data_error(
                f"{file}, '{assignment}'",
                "cells are given as column=cell",
                expected=f"such as {columns[0]}=NAME",
                got=f"'{assignment}'",
                remedy="put the whole in quotes if the cell has blanks or brackets, such as 'labels=digits[]'",
            )
        if column not in columns:
            raise data_error(
                file,
                "the column must be known",
                expected=one_of(column, columns),
                got=f"'{column}'",
                remedy=f"{nearest(column, columns)}see {COMMAND} {table}",
            )
        if column in cells:
            raise data_error(
                f"{file}, column '{column}'",
                "a column may be given only once",
                expected="one cell",
                got=f"'{cells[column]}' and '{cell}'",
                remedy="remove one of them; the values of a list are comma-separated",
            )
        for character, name in FORBIDDEN.items():
            if character in cell:
                raise data_error(
                    f"{file}, column '{column}'",
                    "a cell is text without tabs, line breaks and quotation marks",
                    expected="plain text",
                    got=f"{name} in {cell!r:.80}",
                    remedy="remove it",
                )
        cells[column] = cell
    return cells


def append_row(text, row, file):
    """Return the text of a table with one more row. The line ends are those of the text."""
    (_, header), *_ = split_lines(file, text)
    newline = _line_end(text)
    separator = "" if text.endswith("\n") else newline
    return f"{text}{separator}{_line(row, header)}{newline}"


def replace_row(text, row, file):
    """Return the text of a table with another row in the place of the one of the same name. All other lines stay as they are.

    Raises:
        ValueError: if no row has this name.
    """
    (_, header), *rows = split_lines(file, text)
    name_column = header[0]
    names = {cells[0]: number for number, cells in rows}
    if row[name_column] not in names:
        raise data_error(
            f"{file}, row '{row[name_column]}'",
            "a row that is replaced must be there",
            expected=one_of(row[name_column], names),
            got=f"'{row[name_column]}'",
            remedy=f"{nearest(row[name_column], names)}correct the name, or leave --replace out to add the row",
        )
    lines = text.split(_line_end(text))
    lines[names[row[name_column]] - 1] = _line(row, header)
    return _line_end(text).join(lines)


def _line(row, header):
    return "\t".join(row.get(column, "") for column in header)


def _line_end(text):
    return "\r\n" if "\r\n" in text else "\n"


def load_schema_columns(table):
    """Return the names of a table's columns, in order."""
    return load_schema(SCHEMAS / f"{table}.schema.yaml")["required"]


def describe_tables():
    """Return a list of the tables as text."""
    parts = [f"{COMMAND} TABLE column=cell …", ""]
    for table in TABLES:
        parts += [table, wrapped(load_schema(SCHEMAS / f"{table}.schema.yaml")["description"], INDENT)]
    return "\n".join([*parts, "", f"{COMMAND} TABLE lists the columns of a table."])


def describe_columns(table):
    """Return the columns of a table with their meanings, allowed cells and defaults as text."""
    parts = [load_schema(SCHEMAS / f"{table}.schema.yaml")["description"], ""]
    for column in columns_of(table):
        default = column.default_in_words()
        parts.append(f"{column.name}   [default: {default}]" if default else f"{column.name}   [required]")
        parts += [wrapped(column.meaning, INDENT), wrapped(f"Cell: {column.cells}", INDENT)]
    columns = load_schema_columns(table)
    return "\n".join([*parts, "", f"{COMMAND} {table} {columns[0]}=NAME {columns[1]}=… adds a row."])


def _check_complete(table, row, file):
    """Raise an error about the columns that have no cell."""
    missing = [column for column in columns_of(table) if column.name not in row]
    if not missing:
        return
    name_column = load_schema_columns(table)[0]
    raise data_error(
        f"{file}, row '{row.get(name_column, '')}'",
        "columns without a default need a cell",
        expected="; ".join(f"{column.name}: {column.cells}" for column in missing),
        got="no cell",
        remedy="add " + " ".join(f"{column.name}=…" for column in missing),
    )


def _report(table, row, given_cells, file, is_in_config, configfiles, is_dry_run):
    """Return a text that shows the row, the meaning of its cells, and the next commands."""
    header, cells = without_empty_columns(list(row), [list(row.values())])
    done = f"{file} would get this row (dry run):" if is_dry_run else f"{file} has this row now:"
    parts = [done, "", aligned(header, cells, INDENT), "", "What the cells mean:", ""]
    for column in columns_of(table):
        cell = row[column.name]
        if cell:
            is_default = "" if column.name in given_cells else "   (default)"
            parts += [f"{INDENT}{column.name} = {cell}{is_default}", wrapped(column.meaning, 2 * INDENT)]
    parts += ["", "Next:", ""]
    if not is_in_config:
        parts.append(f"{INDENT}name {file} in a config file, as tables: {{{table}: [config/{table}.tsv, {file}]}}")
    configfile = f" --configfile {' '.join(configfiles)}" if configfiles else ""
    tuning = row.get("tuning", "").split(",")[0]
    steps = STEPS_WITHOUT_LABELS if table == "corpora" and not row["label_columns"] else NEXT_STEPS[table]
    for step in steps:
        parts.append(INDENT + step.format(name=next(iter(row.values())), configfile=configfile, tuning=tuning))
    return "\n".join(parts)


def _parse(arguments):
    title, _, examples = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description=title,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table_name", nargs="?", choices=TABLES, metavar="TABLE", help=f"one of {', '.join(TABLES)}")
    parser.add_argument("cells", nargs="*", metavar="column=cell", help="cells of the row; none: list the columns")
    parser.add_argument("--table", metavar="FILE", help="file that gets the row, if it is not the first one in the config")
    parser.add_argument(
        "--configfile",
        metavar="FILE",
        action="append",
        default=[],
        help="a config file of your own, as for Snakemake; may be repeated",
    )
    parser.add_argument("--replace", action="store_true", help="put the row in the place of the one with its name")
    parser.add_argument("--dry-run", action="store_true", help="check and show the row, but do not write it")
    return parser.parse_intermixed_args(arguments)


if __name__ == "__main__":
    main()
