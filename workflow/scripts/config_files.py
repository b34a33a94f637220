"""Files of config/, each held against its schema: YAML whose keys stand once, tables of text in columns."""

import difflib
import functools
import math
import re
from pathlib import Path

import jsonschema
import yaml

from storage.errors import data_error, nearest, one_of
from workflow.scripts.renamed_keys import new_name, renamed_error

ROOT = Path(__file__).resolve().parents[2]
MERGE = "tag:yaml.org,2002:merge"  # of the key `<<`


class _UniqueKeys(yaml.SafeLoader):
    """YAML without duplicate keys, which plain YAML loaders silently drop."""


def _mapping(loader, node):
    lines = {}
    for key, line in ((loader.construct_object(key), key.start_mark.line + 1) for key, _ in node.value if key.tag != MERGE):
        if key in lines:
            raise data_error(
                f"{node.start_mark.name}, line {line}",
                "a key stands once",
                expected="unique keys",
                got=f"'{key}' twice",
                remedy=f"merge it with the one in line {lines[key]}",
            )
        lines[key] = line
    return loader.construct_mapping(node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def default_config(root=ROOT):
    """Return the config without a user's own files: config.yaml and the presets, as the Snakefile lists them."""
    names = re.findall(r'^configfile: "(.+)"', (Path(root) / "Snakefile").read_text(), re.MULTILINE)
    config = {}
    for name in names:
        config |= yaml.safe_load((Path(root) / name).read_text())
    return config


def check_config(config, schema, files):
    """Raises `ValueError` for the first thing in the config that the schema forbids, with the nearest valid key."""
    for file in files:
        with open(file) as stream:
            yaml.load(stream, _UniqueKeys)
    _check_renamed_presets(config)
    _check(config, _schema(schema), "config")
    _check_finite(config, "config")


def read_table(path, schema, lists):
    """Name → row (column → text; of the columns `lists` a list) of a table. Raises `ValueError` that names line or cell."""
    (_, header), *lines = _lines(path)
    key, schema, rows = header[0], _schema(schema), {}
    for number, cells in lines:
        if len(cells) != len(header):
            raise data_error(
                f"{path}, line {number}",
                "a row has as many cells as there are columns",
                expected=f"{len(header)} cells",
                got=f"{len(cells)} cells",
                remedy="put tabs between the cells, also between and behind empty ones",
            )
        record = dict(zip(header, cells))
        if record[key] in rows:
            raise data_error(
                path,
                f"a {key} stands once",
                expected="unique names",
                got=f"'{record[key]}' twice",
                remedy="rename one",
            )
        _check(record, schema, f"{path}, {key} '{record[key]}'")
        rows[record[key]] = {
            c: [v.strip() for v in cell.split(",") if v.strip()] if c in lists else cell for c, cell in record.items()
        }
    return rows


@functools.cache
def _schema(path):
    """A schema; `modules_of: folder` in a property adds the names of that folder's modules to its `enum`."""
    schema = yaml.safe_load(Path(path).read_text())
    for cell in schema["properties"].values():
        if "modules_of" in cell:
            files = (ROOT / cell["modules_of"]).glob("*.py")
            cell["enum"] += sorted(file.stem for file in files if file.stem != "__init__")
    return schema


def _lines(path):
    """(line number, cells) of a table's lines, its header first; blank lines and comments (#) are left out."""
    text = path.read_text("utf-8-sig").replace("\r\n", "\n")
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip() and line[0] != "#"]
    header = lines[0][1].split("\t") if lines else []
    if len(set(header)) < len(header) or not header:
        raise data_error(
            path,
            "a table begins with the names of its columns",
            expected="unique names",
            got=f"{header}",
            remedy="correct the header",
        )
    return [(number, line.split("\t")) for number, line in lines]


def _check_renamed_presets(config):
    """A preset under its former name would be taken for a new one."""
    for section, presets in config.items():
        for preset, settings in presets.items() if isinstance(presets, dict) else ():
            renamed = new_name(f"{section}.{preset}")
            if renamed and isinstance(settings, dict):
                raise renamed_error(f"config.{section}.{preset}", "preset", preset, renamed)


def _check_finite(value, place):
    """JSON Schema lets NaN pass every bound."""
    if isinstance(value, float) and not math.isfinite(value):
        raise data_error(
            place,
            "a number must be finite",
            expected="a number",
            got=f"{value}",
            remedy="correct it",
        )
    for name, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        _check_finite(part, f"{place}.{name}")


def _is_number(text):
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _check(value, schema, place):
    errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(value), key=lambda e: [str(p) for p in e.path])
    if not errors:
        return
    error = errors[0]
    where = ".".join([place, *map(str, error.path)])
    if error.validator == "additionalProperties":
        valid = error.schema.get("properties", {})
        unknown = sorted(map(str, set(error.instance) - set(valid)))[0]
        place = f"{where}.{unknown}"
        if renamed := new_name(place.removeprefix("config.")):
            raise renamed_error(place, "key", unknown, renamed)
        close = difflib.get_close_matches(unknown, valid, 1, 0.3)
        raise data_error(
            place,
            "the key must be known",
            expected=one_of(unknown, valid),
            got=f"'{unknown}'",
            remedy=f'did you mean "{close[0]}"?' if close else "remove it",
        )
    rule, expected, hint = error.message[:200], f"{error.validator} {error.validator_value}", ""
    if error.validator == "enum":
        if renamed := new_name(f"{where.removeprefix('config.')}.{error.instance}"):
            raise renamed_error(where, "value", error.instance, renamed)
        valid = [value for value in error.validator_value if value != ""]
        rule, expected, hint = "the value must be known", one_of(error.instance, valid), nearest(error.instance, valid)
    elif "description" in error.schema:  # of a pattern: nobody should have to read a regular expression
        rule, expected = "the text must be of its form", error.schema["description"]
    elif error.validator == "type" and isinstance(error.instance, str) and _is_number(error.instance):
        hint = f"write {float(error.instance)!r} (YAML takes 1e-2 for text, 1.0e-2 for a number): "
    raise data_error(
        where,
        rule,
        expected=expected,
        got=f"{error.instance!r:.80}",
        remedy=f"{hint}correct it",
    )
