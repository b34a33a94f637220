"""Print the rows of a table of config/ with aligned columns.

    python -m workflow.scripts.show_rows tasks                # all rows
    python -m workflow.scripts.show_rows tasks SCR 'GID*'     # rows with these names; start in the top folder of the project

Columns that are empty in all of these rows are left out.
"""

import argparse
import sys
from fnmatch import fnmatchcase

from storage.errors import data_error, nearest, one_of
from workflow.scripts.aligned import aligned, without_empty_columns
from workflow.scripts.config_files import load_config
from workflow.scripts.row_tables import split_lines
from workflow.scripts.rows import TABLES, table_files

COMMAND = "python -m workflow.scripts.show_rows"


def main(arguments=None):
    """Run the command line. Exits with status 1 and a message if a pattern matches no row."""
    options = _parse(arguments)
    try:
        print(show_rows(options.table_name, options.names, options.configfile))
    except ValueError as error:
        sys.exit(str(error))


def show_rows(table, patterns=(), configfiles=()):
    """Return rows as aligned text, one block per file.

    Args:
        table: name of the table.
        patterns: names of rows, in which `*` stands for any text; empty: all rows.
        configfiles: a user's own config files.

    Raises:
        ValueError: if a pattern matches no row.
    """
    blocks = []
    names = []
    for file in table_files(load_config(configfiles), table):
        (_, header), *lines = split_lines(file)
        rows = [cells for _, cells in lines]
        names += [cells[0] for cells in rows]
        if patterns:
            rows = [cells for cells in rows if any(fnmatchcase(cells[0], pattern) for pattern in patterns)]
        if rows:
            blocks.append(f"# {file}\n" + aligned(*without_empty_columns(header, rows)))
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise data_error(
                f"table {table}",
                "a row must have the name",
                expected=one_of(pattern, names),
                got=f"'{pattern}'",
                remedy=f"{nearest(pattern, names)}correct it",
            )
    return "\n\n".join(blocks)


def _parse(arguments):
    title, _, examples = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description=title,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table_name", choices=TABLES, metavar="TABLE", help=f"one of {', '.join(TABLES)}")
    parser.add_argument("names", nargs="*", metavar="NAME", help="names of rows, in which * is any text; none: all rows")
    parser.add_argument(
        "--configfile",
        metavar="FILE",
        action="append",
        default=[],
        help="a config file of your own, as for Snakemake; may be repeated",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
