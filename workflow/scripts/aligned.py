"""Tables as aligned text for a terminal."""

import shutil
import textwrap


def aligned(header, rows, indent=""):
    """Return rows of cells as text whose columns are aligned.

    Args:
        header: list with the names of the columns.
        rows: list of rows, each a list of cells.
        indent: text before every line.
    """
    lines = [header, *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(header))]
    return "\n".join(indent + "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def without_empty_columns(header, rows):
    """Return header and rows without the columns whose cells are all empty."""
    kept = [index for index in range(len(header)) if any(row[index] for row in rows)]
    return [header[index] for index in kept], [[row[index] for index in kept] for row in rows]


def wrapped(text, indent):
    """Return text that is wrapped to the width of the terminal, with `indent` before every line."""
    width = min(shutil.get_terminal_size().columns, 110)
    return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
