"""The tables and the YAML of config/: read, checked against their schemas and against each other, before anything runs."""

import difflib
import functools
import math
import re
from pathlib import Path

import jsonschema
import yaml

from speech2unit.errors import data_error, nearest, one_of

ROOT = Path(__file__).resolve().parents[2]
TABLES = ("checkpoints", "corpora", "encoders", "codebooks", "ulms", "tasks", "superb_tasks")
FITTED = dict(log_mel="fit_log_mel", melhubert="pretrain_melhubert")  # architecture → the stage that fits it from nothing
SHRUNK = ("melhubert", "wav2vec2")  # architectures that pruning, factorising and distilling keep
REFERENCES = (  # table, column, the table that it names
    ("encoders", "checkpoint", "checkpoints"),
    ("encoders", "parent", "encoders"),
    ("codebooks", "checkpoint", "checkpoints"),
    ("ulms", "checkpoint", "checkpoints"),
    ("encoders", "corpora", "corpora"),
    ("encoders", "targets", "codebooks"),
    ("codebooks", "encoder", "encoders"),
    ("codebooks", "corpora", "corpora"),
    ("ulms", "codebook", "codebooks"),
    ("ulms", "corpora", "corpora"),
    ("tasks", "corpus", "corpora"),
    ("tasks", "ulm", "ulms"),
    ("superb_tasks", "corpus", "corpora"),
    ("superb_tasks", "encoder", "encoders"),
    ("superb_tasks", "warm_start", "superb_tasks"),
)
PRESETS = (  # table, column, cells of the rows that are meant, the section of config.yaml whose presets it names
    ("encoders", "preset", dict(recipe="fit_log_mel"), "fit_log_mel"),
    ("encoders", "preset", dict(recipe="pretrain_melhubert"), "pretrain_melhubert"),
    ("encoders", "preset", dict(recipe="distil_layers"), "distil_layers"),
    ("encoders", "preset", dict(recipe="convert_encoder"), "convert_encoder"),
    ("encoders", "preset", dict(recipe="prune_weights"), "prune_weights"),
    ("encoders", "preset", dict(recipe="prune_heads"), "prune_heads"),
    ("encoders", "preset", dict(recipe="prune_rows"), "prune_rows"),
    ("encoders", "preset", dict(recipe="factorize_layers"), "factorize_layers"),
    ("encoders", "preset", dict(recipe="distil_posteriors"), "distil_posteriors"),
    ("ulms", "preset", dict(published=False), "pretrain_ulm"),
    ("ulms", "preset", dict(published=True), "convert_ulm"),
    ("tasks", "tuning", {}, "tune_prompt"),
    ("tasks", "sampling", {}, "sample"),
    ("superb_tasks", "tuning", {}, "tune_encoder"),
    ("superb_tasks", "head", {}, "superb_heads"),
)
PLACES = dict(  # folder of results/ → tables that the names of the folders below it are rows of; other folders are tasks
    corpora=("corpora",), encoders=("encoders",), features=("encoders",), units=("codebooks", "corpora"), ulm=("ulms",), superb=(),
)  # fmt: skip
LISTS = ("corpora", "targets", "labels", "metric", "seeds", "source", "files", "sha256")  # comma-separated cells


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
    _check(config, _schema(schema), "config")
    _check_finite(config, "config")


def read_rows(config, schemas):
    """Table → name → row (column → text, or list of texts), checked. Raises `ValueError` that names the cell.

    Rows of codebooks and unit LMs also say whether they are `published`: converted, not fitted here. The `recipe` of an
    encoder is the stage that makes it.
    """
    rows = {table: _read(Path(config["tables"][table]), Path(schemas) / f"{table}.schema.yaml") for table in TABLES}
    _complete(rows, config)
    for table, column, target in REFERENCES:
        for name, row in rows[table].items():
            for value in row[column] if isinstance(row[column], list) else [row[column]]:
                if value and value not in rows[target]:
                    raise _unknown(config["tables"][table], name, column, value, rows[target])
    for table, column, cells, section in PRESETS:
        for name, row in rows[table].items():
            if row[column] and row[column] not in config[section] and cells.items() <= row.items():
                raise _unknown(config["tables"][table], name, f"preset of {section}", row[column], config[section])
    _check_parents(rows["encoders"], config["tables"]["encoders"])
    _check_tasks(rows, config)
    _check_named(rows, config)
    return rows


def _complete(rows, config):
    """Fill in what cells stand for: roots, addresses (s3://…) of corpora that are fetched, recipes, whether a model is
    published, hashes that are not known (`-`).
    """
    for name, row in rows["corpora"].items():
        row["root"] = row["root"].format(**config["paths"])
        row["address"] = row["root"] if "://" in row["root"] and row["adapter"] != "units" else ""
        if row["address"]:
            row["root"] = f"results/corpora/{name}/fetched"
    for row in rows["superb_tasks"].values():
        row["lexicon"] = row["lexicon"].format(**config["paths"])
    for row in rows["encoders"].values():
        fitted = "convert_encoder" if row["checkpoint"] else FITTED.get(row["architecture"], "convert_encoder")
        row["recipe"] = row["recipe"] or fitted
    for row in [*rows["codebooks"].values(), *rows["ulms"].values()]:
        row["published"] = bool(row["checkpoint"])
    for row in rows["ulms"].values():
        row["in_pieces"] = bool(row["num_pieces"])
    for name, row in rows["checkpoints"].items():
        row["sha256"] = row["sha256"] or ["-"] * len(row["files"])
        if len(row["sha256"]) != len(row["files"]):
            raise data_error(
                f"{config['tables']['checkpoints']}, row '{name}'", "each file has its SHA-256", expected=f"{len(row['files'])}, - where unknown",
                got=f"{len(row['sha256'])}", remedy="complete the cell, or leave it empty",
            )  # fmt: skip


def _check_parents(encoders, path):
    """An encoder cannot be its own ancestor; what is made of a transformer keeps its architecture, or has one of its own."""
    for name, row in encoders.items():
        line = [name]
        while parent := encoders[line[-1]]["parent"]:
            line.append(parent)
            if parent in line[:-1]:
                raise data_error(
                    f"{path}, row '{name}'", "an encoder is not made of itself", expected="a line of parents that ends",
                    got=" ← ".join(line), remedy="name another 'parent' in one of them",
                )  # fmt: skip
        if row["parent"] and row["architecture"] in SHRUNK and row["architecture"] != encoders[row["parent"]]["architecture"]:
            raise data_error(
                f"{path}, row '{name}'", "an encoder has the architecture of its parent", expected=encoders[row["parent"]]["architecture"],
                got=row["architecture"], remedy="correct 'architecture' or 'parent'",
            )  # fmt: skip


def _check_tasks(rows, config):
    """Labels are columns of the corpus."""
    for table in ("tasks", "superb_tasks"):
        for name, row in rows[table].items():
            columns = [column.strip() for column in rows["corpora"][row["corpus"]]["label_columns"].split(",")]
            for label in row["labels"]:
                if label not in columns:
                    column = f"labels (label_columns of corpus {row['corpus']})"
                    raise _unknown(config["tables"][table], name, column, label, columns)


def _check_named(rows, config):
    """What config.yaml names is there: the tasks and encoders that are compared, the corpus of the probe and its label."""
    probe = config["probe_encoder"]
    named = [(f"config.{table}", name, rows[table]) for table in ("tasks", "superb_tasks", "encoders") for name in config[table]]
    named.append(("config.probe_encoder.corpus", probe["corpus"], rows["corpora"]))
    for place, name, valid in named:
        _check_name(place, name, valid)
    columns = rows["corpora"][probe["corpus"]]["label_columns"].split(",")
    _check_name("config.probe_encoder.label", probe["label"], columns)


def _check_name(place, name, valid):
    if name not in valid:
        raise data_error(
            place, "what is named must be there", expected=one_of(name, valid), got=f"'{name}'",
            remedy=f"{nearest(name, valid)}correct it or add a row to its table",
        )  # fmt: skip


def unknown_paths(rows):
    """A regular expression of the paths below results/ that hold a name which no row has."""
    known = {table: "|".join(map(re.escape, rows[table])) for table in TABLES}
    found = [f"(?!({'|'.join([*PLACES, known['tasks']])})/)[^/]+/.+"]
    for folder, tables in PLACES.items():
        parts = [folder]
        for table in tables:
            found.append("/".join([*parts, f"(?!({known[table]})/)[^/]+", ".+"]))
            parts.append(f"({known[table]})")
    return "|".join(found)


def unknown_name(path, rows, config):
    """The `ValueError` about a path below results/ that `unknown_paths` matches."""
    folder, *names = path.split("/")
    pairs = list(zip(PLACES[folder], names)) if folder in PLACES else [("tasks", folder)]
    table, name = next((table, name) for table, name in pairs if name not in rows[table])
    return data_error(
        f"results/{path}", f"results are named after rows of {config['tables'][table]}", expected=one_of(name, rows[table]),
        got=f"'{name}'", remedy=f"{nearest(name, rows[table])}correct it or add the row",
    )  # fmt: skip


def _read(path, schema):
    (_, header), *lines = _lines(path)
    key, schema, rows = header[0], _schema(schema), {}
    for number, cells in lines:
        if len(cells) != len(header):
            raise data_error(
                f"{path}, line {number}", "a row has as many cells as there are columns", expected=f"{len(header)} cells",
                got=f"{len(cells)} cells", remedy="put tabs between the cells, also between and behind empty ones",
            )  # fmt: skip
        record = dict(zip(header, cells))
        if record[key] in rows:
            raise data_error(
                path, f"a {key} stands once", expected="unique names", got=f"'{record[key]}' twice", remedy="rename one"
            )
        _check(record, schema, f"{path}, {key} '{record[key]}'")
        rows[record[key]] = {
            c: [v.strip() for v in cell.split(",") if v.strip()] if c in LISTS else cell for c, cell in record.items()
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


def _unknown(path, name, column, value, valid):
    return data_error(
        f"{path}, row '{name}'", f"'{column}' names a row that exists", expected=one_of(value, valid), got=f"'{value}'",
        remedy=f"{nearest(value, valid)}correct it or add the row",
    )  # fmt: skip


def _check_finite(value, place):
    """JSON Schema lets NaN pass every bound."""
    if isinstance(value, float) and not math.isfinite(value):
        raise data_error(place, "a number must be finite", expected="a number", got=f"{value}", remedy="correct it")
    for name, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        _check_finite(part, f"{place}.{name}")


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
            f"{where}.{unknown}", "the key must be known", expected=one_of(unknown, valid), got=f"'{unknown}'",
            remedy=f'did you mean "{close[0]}"?' if close else "remove it",
        )  # fmt: skip
    raise data_error(
        where,
        error.message[:200],
        expected=f"{error.validator} {error.validator_value}",
        got=f"{error.instance!r:.80}",
        remedy="correct it",
    )
