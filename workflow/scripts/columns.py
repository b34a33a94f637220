"""The meaning, allowed cells and default of each column of a table in config/, from the schema of the table."""

from dataclasses import dataclass

import jsonschema

from workflow.scripts.row_checks import PRESETS, REFERENCES
from workflow.scripts.schema_checks import ROOT, load_schema


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: name in the header.
        meaning: meaning of its cells, one or two sentences.
        cells: allowed cells, in words.
        default: cell that a row gets if the user gives none; None if the user must give one, or if it depends on other cells.
        conditional_defaults: defaults that depend on other cells.
    """

    name: str
    meaning: str
    cells: str
    default: str | None
    conditional_defaults: tuple[str, ...]

    def default_in_words(self):
        """Return the default as text: `freq`, `(empty)`, `metadata.csv or (empty)`; an empty text if there is none."""
        defaults = [*self.conditional_defaults, *([] if self.default is None else [self.default])]
        return " or ".join(cell or "(empty)" for cell in dict.fromkeys(defaults))


def schema_path(table):
    """Return the file of a table's schema."""
    return ROOT / f"workflow/schemas/{table}.schema.yaml"


def columns_of(table):
    """Return the `Column`s of a table in the order of its header."""
    schema = load_schema(schema_path(table))
    conditional = {}
    for branch in _branches(schema):
        for name, cell in branch.get("properties", {}).items():
            if "default" in cell:
                conditional.setdefault(name, []).append(cell["default"])
    return [
        Column(
            name=name,
            meaning=schema["properties"][name]["description"],
            cells=_cells_in_words(table, name, schema["properties"][name]),
            default=schema["properties"][name].get("default"),
            conditional_defaults=tuple(dict.fromkeys(conditional.get(name, []))),
        )
        for name in schema["required"]
    ]


def fill_in_defaults(table, cells):
    """Return a row in which missing cells have their defaults, if they have any.

    A default may depend on other cells. In the schema, it is then in the `then` or `else` of a condition, as `default`, or as
    `const` if only one cell is allowed. It takes precedence over the default of the column.

    Args:
        table: name of the table.
        cells: dict from column to cell.
    """
    schema = load_schema(schema_path(table))
    defaults = {name: cell["default"] for name, cell in schema["properties"].items() if "default" in cell}
    row = defaults | cells
    for branch in _active_branches(schema, row):
        for name, cell in branch.get("properties", {}).items():
            if name not in cells and ("default" in cell or "const" in cell):
                row[name] = cell.get("default", cell.get("const"))
    return {name: row[name] for name in schema["required"] if name in row}


def _cells_in_words(table, column, cell):
    """Return the allowed cells of a column in words."""
    is_list = "comma-separated" in cell.get("form", "")
    targets = [target for source, name, target in REFERENCES if (source, name) == (table, column)]
    sections = [section for source, name, _, section in PRESETS if (source, name) == (table, column)]
    if targets:
        rows = f"of {targets[0]}.tsv"
        return f"names of rows {rows}, comma-separated" if is_list else f"the name of a row {rows}"
    if sections:
        presets = f"of {', '.join(sections)}"
        return f"names of presets {presets}, comma-separated" if is_list else f"the name of a preset {presets}"
    if "enum" in cell:
        return ", ".join(value or "(empty)" for value in cell["enum"])
    return cell.get("form", "text")


def _branches(schema):
    """Yield the parts of a schema that depend on conditions."""
    for part in [schema, *schema.get("allOf", [])]:
        for name in ("then", "else"):
            if name in part:
                yield part[name]
                yield from _branches(part[name])


def _active_branches(schema, row):
    """Yield the parts of a schema whose conditions a row meets."""
    for part in [schema, *schema.get("allOf", [])]:
        if "if" in part:
            is_met = jsonschema.Draft202012Validator(part["if"]).is_valid(row)
            branch = part.get("then" if is_met else "else", {})
            yield branch
            yield from _active_branches(branch, row)
