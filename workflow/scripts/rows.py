"""The tables and the YAML of config/: read, checked against their schemas and against each other, before anything runs."""

import difflib
from pathlib import Path

import jsonschema
import pandas as pd
import yaml

from speech2unit.errors import data_error, nearest

TABLES = ("corpora", "encoders", "codebooks", "ulms", "tasks")
REFERENCES = (  # table, column, the table that it names
    ("encoders", "corpora", "corpora"),
    ("encoders", "targets", "codebooks"),
    ("codebooks", "encoder", "encoders"),
    ("codebooks", "corpora", "corpora"),
    ("ulms", "codebook", "codebooks"),
    ("ulms", "corpora", "corpora"),
    ("tasks", "corpus", "corpora"),
    ("tasks", "ulm", "ulms"),
)
LISTS = ("corpora", "targets", "labels", "seeds", "source")  # comma-separated cells


class _UniqueKeys(yaml.SafeLoader):
    """YAML without duplicate keys, which plain YAML loaders silently drop."""


def _mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
    double = next((key for key in keys if keys.count(key) > 1), None)
    if double is not None:
        raise data_error(
            f"{node.start_mark.name}, line {node.start_mark.line + 1}", "a key stands once", expected="unique keys", got=f"'{double}' twice",
            remedy="remove one of them",
        )  # fmt: skip
    return loader.construct_mapping(node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def check_config(config, schema, files):
    """Raises `ValueError` for the first thing in the config that the schema forbids, with the nearest valid key."""
    for file in files:
        with open(file) as stream:
            yaml.load(stream, _UniqueKeys)
    _check(config, yaml.safe_load(Path(schema).read_text()), "config")


def read_rows(config, schemas):
    """Table → name → row (column → text, or list of texts), checked. Raises `ValueError` that names the cell."""
    rows = {table: _read(Path(config["tables"][table]), Path(schemas) / f"{table}.schema.yaml") for table in TABLES}
    for row in rows["corpora"].values():
        row["root"] = row["root"].format(**config["paths"])
    for table, column, target in REFERENCES:
        for name, row in rows[table].items():
            for value in row[column] if isinstance(row[column], list) else [row[column]]:
                if value and value not in rows[target]:
                    raise _unknown(config["tables"][table], name, column, value, rows[target])
    for table, section in (("encoders", "pretrain_melhubert"), ("ulms", "pretrain_ulm"), ("tasks", "tune_prompt")):
        for name, row in rows[table].items():
            preset = row.get("preset", row.get("tuning"))
            if preset and preset not in config[section] and row.get("architecture", "melhubert") == "melhubert":
                raise _unknown(config["tables"][table], name, f"preset of {section}", preset, config[section])
    return rows


def _read(path, schema):
    frame = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, comment="#")
    key, schema = frame.columns[0], yaml.safe_load(schema.read_text())
    rows = {}
    for record in frame.to_dict("records"):
        if record[key] in rows:
            raise data_error(
                path, f"a {key} stands once", expected="unique names", got=f"'{record[key]}' twice", remedy="rename one"
            )
        _check(record, schema, f"{path}, {key} '{record[key]}'")
        rows[record[key]] = {
            c: [v.strip() for v in cell.split(",") if v.strip()] if c in LISTS else cell for c, cell in record.items()
        }
    return rows


def _unknown(path, name, column, value, valid):
    return data_error(
        f"{path}, row '{name}'", f"'{column}' names a row that exists", expected=f"one of {sorted(valid)}", got=f"'{value}'",
        remedy=f"{nearest(value, valid)}correct it or add the row",
    )  # fmt: skip


def _check(value, schema, place):
    errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(value), key=lambda e: [str(p) for p in e.path])
    if not errors:
        return
    error = errors[0]
    where = ".".join([place, *map(str, error.path)])
    if error.validator == "additionalProperties":
        valid = error.schema.get("properties", {})
        unknown = sorted(map(str, set(error.instance) - set(valid)))[0]
        close = difflib.get_close_matches(unknown, valid, 1, 0.3)
        raise data_error(
            f"{where}.{unknown}", "the key must be known", expected=f"one of {sorted(valid)}", got=f"'{unknown}'",
            remedy=f'did you mean "{close[0]}"?' if close else "remove it",
        )  # fmt: skip
    raise data_error(
        where,
        error.message[:200],
        expected=f"{error.validator} {error.validator_value}",
        got=f"{error.instance!r:.80}",
        remedy="correct it",
    )
