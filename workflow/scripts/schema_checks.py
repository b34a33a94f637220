"""Check values against JSON Schemas, with errors that name the place, the rule and the nearest valid name."""

import difflib
import functools
import importlib
import math
from pathlib import Path

import jsonschema
import yaml

from storage.errors import data_error, nearest, one_of
from workflow.scripts.architectures import architectures_with
from workflow.scripts.renamed_keys import new_name, renamed_error

ROOT = Path(__file__).resolve().parents[2]
YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C, where PyYAML has it, is ten times as fast


@functools.cache
def load_schema(path):
    """Return the JSON Schema in a YAML file.

    References to `$defs` are replaced by what they name, which makes checks four times as fast. Three keywords of our own fill an
    `enum`: `modules_of: folder` with the names of the modules in that folder, `keys_of: module.NAME` with the keys of a dict in a
    module, and `architectures_with: NAME` with the architectures whose files define that name.
    """
    schema = yaml.load(Path(path).read_text(), YAML_LOADER)
    schema = _without_references(schema, schema.pop("$defs", {}))
    for cell in schema["properties"].values():
        if "modules_of" in cell:
            files = (ROOT / cell["modules_of"]).glob("*.py")
            cell["enum"] = [*cell["enum"], *sorted(file.stem for file in files if file.stem != "__init__")]
        if "keys_of" in cell:
            module, _, name = cell["keys_of"].rpartition(".")
            cell["enum"] = [*cell["enum"], *getattr(importlib.import_module(module), name)]
    return schema


def check(value, schema_path, place, renamed_place=""):
    """Check a value against a schema.

    Args:
        value: content of a YAML file, or a row of a table.
        schema_path: file of the JSON Schema. Its additional keyword `form` explains a pattern in words.
        place: where the value is, for the error message.
        renamed_place: prefix of the value's keys in `RENAMED`, such as `ulms.`.

    Raises:
        ValueError: if the schema forbids the value. The message is about the first forbidden part.
    """
    errors = sorted(_validator(schema_path).iter_errors(value), key=lambda error: [str(part) for part in error.path])
    if not errors:
        return
    error = errors[0]
    parts = list(map(str, error.path))
    path = ".".join([place, *parts])
    if error.validator == "additionalProperties":
        valid = error.schema.get("properties", {})
        unknown = sorted(map(str, set(error.instance) - set(valid)))[0]
        raise _unknown_key(f"{path}.{unknown}", renamed_place + ".".join([*parts, unknown]), unknown, valid)
    if error.validator == "enum":
        raise _unknown_value(path, renamed_place + ".".join([*parts, str(error.instance)]), error)
    rule, expected, remedy = error.message[:200], f"{error.validator} {error.validator_value}", "correct it"
    if "form" in error.schema:
        rule, expected = "the text must have the right form", error.schema["form"]
    elif error.validator == "required":
        missing = [str(name) for name in error.validator_value if name not in error.instance]
        rule, expected, remedy = "all keys must be there", f"also {', '.join(missing)}", "add them, or copy a complete section"
    elif error.validator == "type" and isinstance(error.instance, str) and _is_number(error.instance):
        remedy = f"write {float(error.instance)!r} (YAML reads 1e-2 as text and 1.0e-2 as a number)"
    raise data_error(path, rule, expected=expected, got=f"{error.instance!r:.80}", remedy=remedy)


def check_finite(value, place):
    """Check a nested value. Raises `ValueError` if a number is infinite or NaN; in JSON Schema, NaN satisfies every bound."""
    if isinstance(value, float) and not math.isfinite(value):
        raise data_error(place, "a number must be finite", expected="a finite number", got=f"{value}", remedy="correct it")
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        check_finite(part, f"{place}.{name}")


def _unknown_key(place, renamed_place, unknown, valid):
    """Return the error about a key that a schema does not have."""
    renamed = new_name(renamed_place)
    if renamed:
        return renamed_error(place, "key", unknown, renamed)
    close = difflib.get_close_matches(unknown, valid, 1, 0.3)
    return data_error(
        place,
        "the key must be known",
        expected=one_of(unknown, valid),
        got=f"'{unknown}'",
        remedy=f'did you mean "{close[0]}"?' if close else "remove it",
    )


def _unknown_value(place, renamed_place, error):
    """Return the error about a value that is not among those of an `enum`."""
    renamed = new_name(renamed_place)
    if renamed:
        return renamed_error(place, "value", error.instance, renamed)
    valid = [name for name in error.validator_value if name != ""]
    return data_error(
        place,
        "the value must be known",
        expected=one_of(error.instance, valid),
        got=f"{error.instance!r:.80}",
        remedy=f"{nearest(error.instance, valid)}correct it",
    )


@functools.cache
def _validator(schema_path):
    return jsonschema.Draft202012Validator(load_schema(schema_path))


def _without_references(part, definitions):
    """Return a part of a schema with `$ref: "#/$defs/name"` and `architectures_with` replaced by what they name."""
    if isinstance(part, list):
        return [_without_references(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _without_references(definitions[part["$ref"].removeprefix("#/$defs/")], definitions)
    if "architectures_with" in part:
        return dict(enum=architectures_with(part["architectures_with"]))
    return {name: _without_references(value, definitions) for name, value in part.items()}


def _is_number(text):
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
