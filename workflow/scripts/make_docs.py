"""Write the generated parts of the documents: columns of results, columns of the config tables, settings and presets.

    python -m workflow.scripts.make_docs            # write them
    python -m workflow.scripts.make_docs --check    # only say whether they are up to date

A generated part is what a page has between `<!-- generated: NAME -->` and `<!-- end of NAME -->`. What it says comes from the
schemas of the packages (`storage.tables.describe`), from workflow/schemas/, and from the comments in config/.
"""

import argparse
import contextlib
import re
import sys
from pathlib import Path

import yaml

from storage import tables
from storage.files import atomic
from storage.verify import all_schemas
from workflow.scripts import yaml_comments
from workflow.scripts.columns import columns_of, schema_path
from workflow.scripts.config_files import ROOT, default_config
from workflow.scripts.rows import TABLES, read_rows
from workflow.scripts.rule_bodies import rule_bodies
from workflow.scripts.schema_checks import load_schema

COMMAND = "python -m workflow.scripts.make_docs"
LONGEST_VALUE = 48  # characters of a setting's value that a table shows
FOLDERS = (  # of results/, in the order in which the documents name them
    "results/corpora/",
    "results/encoders/{",
    "results/features/",
    "results/hidden_states/",
    "results/units/",
    "results/ulm/",
    "results/{task}/",
    "results/{trained_task}/",
    "results/encoders/",
    "results/superb/",
    "results/",
)
SUPERB_RUN = "results/superb/{superb_task}"  # what `RUN` in superb.smk is for a task itself


def table_of(path, names):
    """Return the name of the table that a file holds, or None.

    It is `{folder}_{file}` or the file's name; shards have the name of a folder above them, and files that are named after a corpus
    that of their folder with `_of_corpus`.

    Args:
        path: path of a Parquet file.
        names: names of all tables.
    """
    path = Path(path)
    folders = [folder.name for folder in path.parents]
    candidates = [f"{path.parent.name}_{path.stem}", path.stem, *(f"{folder}_of_corpus" for folder in folders), *folders]
    return next((name for name in candidates if name in names), None)


def rule_outputs(root=ROOT):
    """Return a dict from the path pattern of each output to the names of its rules, from the text of workflow/rules/."""
    outputs = {}
    for file in sorted((root / "workflow/rules").glob("*.smk")):
        constants = dict(re.findall(r'^([A-Z_]+) = f?"(results/[^"]+)"$', file.read_text(), re.MULTILINE)) | {"RUN": SUPERB_RUN}
        for name, body in rule_bodies(file).items():
            section = re.search(r"^    output:\n(.*?)(?=^    \w|\Z)", body, re.MULTILINE | re.DOTALL)
            for path in re.findall(r'"([^"]+)"', section[1] if section else ""):
                path = re.sub(r"\{([A-Z_]+)\}", lambda match, known=constants: known[match[1]], path)
                if path.startswith("results/"):
                    outputs.setdefault(path, []).append(name)
    return outputs


def result_tables():
    """Return Markdown about every table of results/: its files, its key and its columns."""
    schemas = all_schemas()
    paths = {name: [] for name in schemas}
    for path in [*rule_outputs(), *_feature_files()]:
        if path.endswith(".parquet") and (name := table_of(path, schemas)):
            paths[name].append(path)
    parts = []
    for name, schema in sorted(schemas.items(), key=lambda item: _place(paths[item[0]])):
        about = tables.describe(schema)
        columns = [(f"`{c.name}`", c.type + (", or null" if c.nullable else ""), c.unit, c.meaning) for c in about.columns]
        parts += [
            f"### {name}\n",
            f"{_codes(sorted(paths[name]))}  ",
            f"One row per {_codes(about.key)}.\n",
            _table(("column", "type", "unit", "meaning"), columns),
        ]
    return "\n".join(parts)


def _place(paths):
    """Return the sort key of a table: its folder of results/, in the order of the data flow."""
    return min((next(i for i, folder in enumerate(FOLDERS) if path.startswith(folder)), path) for path in paths)


def _feature_files(root=ROOT):
    """Return the paths that a rule takes from a constant of workflow/rules/common.smk."""
    return re.findall(r'^FEATURES_FILE = "([^"]+)"', (root / "workflow/rules/common.smk").read_text(), re.MULTILINE)


def config_columns():
    """Return Markdown about the columns of the tables in config/, from workflow/schemas/."""
    parts = []
    for table in TABLES:
        description = load_schema(schema_path(table))["description"]
        rows = [(f"`{column.name}`", column.meaning, column.cells, column.default_in_words()) for column in columns_of(table)]
        parts += [f"## {table}.tsv\n", f"{description}\n", _table(("column", "meaning", "cell", "default"), rows)]
    return "\n".join(parts)


def included_models():
    """Return Markdown about the encoders of config/encoders.tsv, with the codebooks and unit LMs on them."""
    with contextlib.chdir(ROOT):
        tables = read_rows(default_config(), ROOT / "workflow/schemas")
    codebooks, ulms = tables["codebooks"], tables["ulms"]
    rows = []
    for name, encoder in tables["encoders"].items():
        own_codebooks = [codebook for codebook, row in codebooks.items() if row["encoder"] == name]
        own_ulms = [ulm for ulm, row in ulms.items() if row["codebook"] in own_codebooks]
        places = [f"`{codebook}` (layer {codebooks[codebook]['layer']})" for codebook in own_codebooks]
        rows.append((f"`{name}`", f"`{encoder['architecture']}`", _origin(encoder), ", ".join(places), _codes(own_ulms)))
    return _table(("encoder", "architecture", "origin", "codebooks", "unit LMs"), rows)


def _origin(encoder):
    """Return a text that says where an encoder of config/encoders.tsv comes from."""
    if encoder["checkpoint"]:
        return f"published, `{encoder['checkpoint']}`"
    if encoder["parent"]:
        return f"`{encoder['recipe']}` of `{encoder['parent']}`"
    return f"trained on {', '.join(encoder['corpora'])}" if encoder["corpora"] else "nothing is learned"


def _codes(names):
    return ", ".join(f"`{name}`" for name in names)


def settings():
    """Return Markdown about every setting of config.yaml and of the presets, from their comments and config.schema.yaml."""
    schema = load_schema(ROOT / "workflow/schemas/config.schema.yaml")
    files = re.findall(r'^configfile: "(.+)"', (ROOT / "Snakefile").read_text(), re.MULTILINE)
    return "\n".join(part for file in files for part in _file_settings(file, schema))


def _file_settings(file, schema):
    commented = yaml_comments.Commented((ROOT / file).read_text())
    general, sections = [], []
    for key, value in yaml_comments.pairs(commented.root):
        name, about = key.value, commented.comment(key)
        rule = _property(schema, name)
        if not isinstance(value, yaml.MappingNode) or not value.value:
            general.append((f"`{name}`", _shown(commented.values[name]), _allowed(rule), about))
        elif all(isinstance(part, yaml.MappingNode) for _, part in yaml_comments.pairs(value)) and "properties" not in rule:
            sections += _preset_section(commented, name, value, about, rule["additionalProperties"])
        else:
            rows = _setting_rows(commented, [value], commented.values[name], rule)
            sections += [f"### {name}\n", *([about + "\n"] if about else []), _table(HEAD, rows)]
    head = [f"## {file}\n"]
    return head + ([_table(HEAD, general)] if general else []) + sections


HEAD = ("key", "value", "allowed", "meaning")


def _preset_section(commented, name, section, about, rule):
    """Return Markdown about a section of presets: each preset and its differences, then the keys that all of them have."""
    presets = list(yaml_comments.pairs(section))
    by_node = {id(value): key.value for key, value in presets}
    values = commented.values[name]
    rows = []
    for key, value in presets:
        base = by_node.get(id(yaml_comments.merged(value)), "")
        changed = _changes(values[key.value], values[base]) if base else {}
        differs = ", ".join(f"`{path}: {_plain(value)}`" for path, value in changed.items())
        rows.append((f"`{key.value}`", commented.comment(key), f"`{base}`" if base else "", differs))
    keys = _setting_rows(commented, [value for _, value in presets], values[presets[0][0].value], rule)
    presets_table = _table(("preset", "what it is", "based on", "and changes"), rows)
    keys_table = _table(("key", f"in `{presets[0][0].value}`", "allowed", "meaning"), keys)
    return [f"### {name}\n", *([about + "\n"] if about else []), presets_table, keys_table]


def _changes(preset, base):
    """Return the differences of a preset from the one that it is based on, as a dict from dotted key to value."""
    changes = {}
    for key, value in preset.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            changes |= {f"{key}.{below}": changed for below, changed in _changes(value, base[key]).items()}
        elif value != base.get(key):
            changes[key] = value
    return changes


def _setting_rows(commented, nodes, values, rule):
    """Return (dotted key, value, allowed values, meaning) of every setting below mapping nodes that have the same keys."""
    comments = {}
    for node in nodes:
        _collect(commented, node, "", comments)
    rows = []
    for path, about in comments.items():
        value = values
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, dict) and not about and any(other.startswith(f"{path}.") for other in comments):
            continue
        shown = "" if value is None or isinstance(value, dict) else _shown(value)
        rows.append((f"`{path}`", shown, _allowed(_property(rule, path)), about))
    return rows


def _collect(commented, node, prefix, comments):
    """Add the comments of a mapping node and of all nodes below it to a dict from dotted key; existing comments stay."""
    if (base := yaml_comments.merged(node)) is not None:
        _collect(commented, base, prefix, comments)
    for key, value in yaml_comments.pairs(node):
        path = f"{prefix}{key.value}"
        comments[path] = comments.get(path) or commented.comment(key)
        if isinstance(value, yaml.MappingNode):
            _collect(commented, value, f"{path}.", comments)


def _property(rule, path):
    """Return the schema of a dotted key below a schema; an empty dict if it has none."""
    for part in path.split("."):
        rule = rule.get("properties", {}).get(part, {})
    return rule


def _allowed(rule):
    """Return the values that a schema allows, in words."""
    if "enum" in rule:
        return ", ".join(f"`{_plain(value)}`" for value in rule["enum"])
    if "const" in rule:
        return f"`{_plain(rule['const'])}`"
    kind = rule.get("type")
    if kind in ("integer", "number"):
        return _number(rule, "whole number" if kind == "integer" else "number")
    if kind == "boolean":
        return "`true`, `false`"
    if kind == "array":
        item = _allowed(rule.get("items", {}))
        low, high = rule.get("minItems"), rule.get("maxItems")
        return (f"{low} values: " if low is not None and low == high else "list: ") + (item or "values")
    if kind == "string":
        return rule.get("form", "text")
    return ""


def _number(rule, name):
    if "minimum" in rule and "maximum" in rule:
        return f"{name}, {rule['minimum']} to {rule['maximum']}"
    if "minimum" in rule and "exclusiveMaximum" in rule:
        return f"{name}, {rule['minimum']} to below {rule['exclusiveMaximum']}"
    if "minimum" in rule:
        return f"{name} ≥ {rule['minimum']}"
    return f"{name} > {rule['exclusiveMinimum']}" if "exclusiveMinimum" in rule else name


def _plain(value):
    """Return a value as text in YAML, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _shown(value):
    text = _plain(value)
    if len(text) > LONGEST_VALUE and isinstance(value, list):
        return f"a list of {len(value)}"
    return f"`{text}`" if len(text) <= LONGEST_VALUE else f"`{text[:LONGEST_VALUE]}…`"


def _table(head, rows):
    """Return a Markdown table without the columns whose cells are all empty."""
    kept = [i for i in range(len(head)) if i == 0 or any(row[i] for row in rows)]
    lines = [[head[i] for i in kept], ["---"] * len(kept)]
    lines += [[_cell(str(row[i])) for i in kept] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _cell(text):
    """Escape characters that Markdown reads as the border of a cell or, outside of code, as HTML (such as `<s>`)."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(part if i % 2 else part.replace("<", "&lt;") for i, part in enumerate(parts))


PARTS = {  # page → name of a generated part → the function that returns its text
    "docs/results_layout.md": {"tables": result_tables},
    "docs/settings.md": {"settings": settings},
    "docs/encoders.md": {"encoders": included_models},
    "config/README.md": {"columns": config_columns},
}


def generated(page):
    """Return the text of a page with its generated parts made again. Raises `ValueError` if a mark is missing."""
    text = (ROOT / page).read_text()
    for name, make in PARTS[page].items():
        begin, end = f"<!-- generated: {name} -->\n", f"<!-- end of {name} -->"
        if begin not in text or end not in text:
            raise ValueError(f"{page} has no part between '{begin.strip()}' and '{end}'")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{make()}\n{end}{rest.partition(end)[2]}"
    return text


def stale_pages():
    """Return the pages whose generated parts are out of date."""
    return [page for page in PARTS if generated(page) != (ROOT / page).read_text()]


def main():
    """Write or check the pages. The exit status of a check is 1 if a page is out of date."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is out of date")
    stale = stale_pages()
    if parser.parse_args().check:
        if stale:
            sys.exit(f"out of date: {', '.join(stale)}; run: {COMMAND}")
        return
    for page in stale:
        text = generated(page)
        with atomic(ROOT / page) as temporary:
            Path(temporary).write_text(text)
        print(f"wrote {page}")


if __name__ == "__main__":
    main()
