"""The config: what stands in config/ and tests/config/ is valid, whatever else is refused with the key's path."""

import copy
import functools
import importlib
import inspect
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from workflow.scripts import row_checks
from workflow.scripts import rows as config_rows
from workflow.scripts.config_files import check_config, default_config, load_config, read_config_file
from workflow.scripts.rule_bodies import rule_bodies
from workflow.scripts.schema_checks import YAML_LOADER

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "workflow/schemas"
FILES = [
    ROOT / "config/config.yaml",
    *sorted((ROOT / "config/experiments").glob("*/config.yaml")),
    ROOT / "tests/config/tiny.yaml",
]
RULE_FILES = sorted((ROOT / "workflow/rules").glob("*.smk"))
RULES = rule_bodies(*RULE_FILES)
PRESETS = {section for *_, section in row_checks.PRESETS}
NO_STAGE = {
    "tasks",
    "superb_tasks",
    "encoders",
    "superb_heads",
    "cache_hidden_states",
    "tables",
    "paths",
    "settings_of_corpora",
    "comparisons",
    "num_shards",
    "features",
    "codebooks_together",
    "gpus_per_job",
    "checkpoint_seconds",
}


def load(file):
    """The config as Snakemake sees it: config/config.yaml with `file` merged over it."""
    config = default_config()
    update_config(config, yaml.safe_load(Path(file).read_text()))
    return config


CONFIG = load(ROOT / "config/config.yaml")


WHOLE_SCHEMA = SCHEMAS / "config.schema.yaml"
SECTION_SCHEMAS = tempfile.TemporaryDirectory()


@functools.cache
def schema_of(section):
    """A file with the schema of a config that has one section alone: to check them all takes thirty times as long."""
    schema = yaml.load(WHOLE_SCHEMA.read_text(), YAML_LOADER)
    assert not set(schema) - {"$schema", "$defs", "type", "additionalProperties", "required", "properties"}
    schema |= dict(required=[section], properties={section: schema["properties"][section]})
    path = Path(SECTION_SCHEMAS.name, f"{section}.yaml")
    path.write_text(json.dumps(schema))
    return path


def check(config, files=()):
    check_config(config, WHOLE_SCHEMA, files)


def refusal(config, path=()):
    """The error about a config; below the first level of keys, only the section of `path` is checked."""
    section_only = ({path[0]: config[path[0]]}, schema_of(path[0])) if len(path) > 1 else (config, WHOLE_SCHEMA)
    with pytest.raises(ValueError) as caught:
        check_config(*section_only, [])
    return str(caught.value)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_every_yaml_is_valid(file):
    check(load(file), [file])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_every_row_of_its_tables_is_valid(file, monkeypatch):
    monkeypatch.chdir(ROOT)
    found = config_rows.read_rows(load(file), SCHEMAS)
    assert all(found[table] for table in config_rows.TABLES)


# sections and stages


def stage_of(section):
    """The stage function of a section of the config: its rule names the module."""
    text = "".join(path.read_text() for path in RULE_FILES)
    module = re.search(rf'stage\("([\w.]+\.{section})"', text)
    assert module, f"no rule calls a stage of the name {section}"
    return getattr(importlib.import_module(module[1]), section)


def named_by_the_rule(section):
    """Names that the rule itself gives: inputs, outputs, params; and what look-ups of `wildcard_settings` can give."""
    assert section in RULES, f"no rule {section}"
    lookups = "".join(path.read_text() for path in (ROOT / "workflow/scripts/lookups").glob("*.py"))
    heads = set().union(*CONFIG["superb_heads"].values())  # training_settings merges them with those of tune_encoder
    return set(re.findall(r"^ +(\w+)=", RULES[section], re.MULTILINE)), set(re.findall(r"\b(\w+)=", lookups)) | heads


@pytest.mark.parametrize("section", sorted(set(CONFIG) - NO_STAGE))
def test_a_sections_keys_are_the_settings_of_its_stage(section):
    parameters = inspect.signature(stage_of(section)).parameters
    assert all(p.kind == p.KEYWORD_ONLY for p in parameters.values())
    assert not [name for name, p in parameters.items() if p.default is not p.empty and name in CONFIG[section]]
    from_rule, from_rows = named_by_the_rule(section)
    for keys in [set(preset) for preset in CONFIG[section].values()] if section in PRESETS else [set(CONFIG[section])]:
        assert keys <= set(parameters)
        assert not keys & from_rule
        assert set(parameters) - keys - from_rule <= from_rows


# mutations


def one_preset(config):
    """The config with one preset a section, and without YAML's shared values."""
    sections = {name: dict([next(iter(config[name].items()))]) for name in PRESETS}
    return json.loads(json.dumps(config | sections))


PLAIN = one_preset(CONFIG)


def places(value, path=()):
    """(path of keys, value) of everything in a config, outermost first;"""
    yield path, value
    for key, part in value.items() if isinstance(value, dict) else ():
        yield from places(part, (*path, key))


def copied(path):
    """A copy of the config in which what `path` leads through may be changed, and the mapping at `path`."""
    config = PLAIN | {key: copy.deepcopy(PLAIN[key]) for key in path[:1]}
    return config, functools.reduce(lambda parent, key: parent[key], path, config)


def changed(path, change):
    """The config with the value at `path` replaced by `change(value)`."""
    config, parent = copied(path[:-1])
    parent[path[-1]] = change(parent[path[-1]])
    return config


FREE_KEYS = {
    (),
    *((section,) for section in PRESETS),
    ("paths",),
    ("concatenate_slots", "slots"),
    ("settings_of_corpora",),
    ("comparisons",),
}  # () is known; a new preset, path or slot is no mistake
FREE_VALUES = [("tables",), ("paths",)]  # any text
LEAVES = [(path, value) for path, value in places(PLAIN) if path and not isinstance(value, dict)]
NUMBERS = [(path, value) for path, value in LEAVES if isinstance(value, int | float) and not isinstance(value, bool)]
LISTS = [(path, value) for path, value in LEAVES if isinstance(value, list) and value and isinstance(value[0], int | float)]
LADDERS = ("num_updates", "sparsities", "kept_layers")  # lists of any length
MAPPINGS = [path for path, value in places(PLAIN) if isinstance(value, dict)]
CLOSED = [path for path in MAPPINGS if path == () or path not in FREE_KEYS]
KEYS = [(*path, key) for path in CLOSED for key in dict(places(PLAIN))[path]]
# Settings of an optimizer that only presets of published systems have.
OPTIONAL_SETTINGS = ("decay", "epsilon", "weight_decay_on_biases")
OPTIONAL = [path for path in KEYS if path[-1] in OPTIONAL_SETTINGS and path[0] != "pretrain_melhubert"]


def names(path):
    return ".".join(["config", *map(str, path)])


def sampled(paths):
    """The paths as parameters of a test: `make test` checks all of them, `make test-fast` every fiftieth."""
    return [path if number % 50 == 0 else pytest.param(path, marks=pytest.mark.slow) for number, path in enumerate(paths)]


@pytest.mark.parametrize("path", sampled(CLOSED), ids=names)
def test_an_unknown_key_is_refused(path):
    config, mapping = copied(path)
    mapping["zzz_unknown"] = 1
    assert refusal(config, (*path, "zzz_unknown")).startswith(
        f"{names((*path, 'zzz_unknown'))}: the key must be known; expected one of ["
    )


@pytest.mark.parametrize("path", sampled(KEYS), ids=names)
def test_a_typo_is_refused_and_names_the_nearest_key(path):
    key = path[-1]
    typo = key[:-2] + key[-1] + key[-2] if key[-1] != key[-2] else key + key[-1]
    config, mapping = copied(path[:-1])
    mapping[typo] = mapping.pop(key)
    text = refusal(config, path)
    assert text.startswith(f"{names((*path[:-1], typo))}: ") and f'did you mean "{key}"?' in text


@pytest.mark.parametrize(
    ("place", "old", "new"),
    [
        (("fit_log_mel", "published"), "level_removed", "subtract_loudness"),
        (("fit_log_mel", "published"), "deviation_per_bin", "std_per_bin"),
        (("convert_encoder", "melhubert", "sizes"), "level_removed", "subtract_loudness"),
        (("pretrain_melhubert", "published"), "mask_probability", "data.mask.probability"),
        (("pretrain_melhubert", "published"), "adam_betas", "optimization.betas"),
        (("distil_layers", "small"), "num_repeats", "sizes.num_repeats"),
        (("prune_weights", "published"), "gate", "convergence"),
    ],
)
def test_an_old_key_names_the_new_one(place, old, new):
    config = copy.deepcopy(CONFIG)
    parent = config
    for key in place:
        parent = parent[key]
    parent[old] = parent.pop(new.split(".")[0])
    remedies = {
        "data.mask.probability": "in its place, write `data: {mask: {probability: …}}`; if there is a block 'data' already, add ",
        "optimization.betas": "in its place, write `optimization: {betas: …}`; if there is a block 'optimization' already, add ",
        "sizes.num_repeats": "in its place, write `sizes: {num_repeats: …}`; ",
    }
    remedy = remedies.get(new, f"write '{new}' instead")
    text = refusal(config)
    assert text.startswith(f"{names((*place, old))}: the key has been renamed; expected '{new}', got '{old}'; {remedy}")


@pytest.mark.parametrize("path", sampled([path for path in KEYS if path not in OPTIONAL]), ids=names)
def test_a_missing_key_is_refused(path):
    config, mapping = copied(path[:-1])
    del mapping[path[-1]]
    text = refusal(config, path)
    assert text.startswith(f"{names(path[:-1])}: all keys must be there; expected also {path[-1]}, got {{")


def test_settings_of_an_optimizer_that_only_published_systems_have_may_be_missing():
    config = copy.deepcopy(PLAIN)
    assert len(OPTIONAL) >= 7
    for section, preset, group, key in OPTIONAL:
        del config[section][preset][group][key]
    check(config)


@pytest.mark.parametrize("path", sampled(path for path, _ in LEAVES), ids=names)
@pytest.mark.parametrize("wrong", [{}, "1e-3 s", None, [[]]], ids=repr)
def test_a_value_of_another_type_is_refused(path, wrong):
    if wrong == "1e-3 s" and path[:1] in FREE_VALUES:
        wrong = 3
    if wrong is None and path[-1] == "channel_prior_frames":
        wrong = True
    assert refusal(changed(path, lambda _: wrong), path).startswith(names(path))


@pytest.mark.parametrize("value", [-1, -0.5, float("nan"), float("inf"), -float("inf"), True], ids=repr)
@pytest.mark.parametrize("path", sampled(path for path, _ in NUMBERS), ids=names)
def test_a_number_out_of_bounds_is_refused(path, value):
    assert refusal(changed(path, lambda _: value), path).startswith(f"{names(path)}: ")


@pytest.mark.parametrize("path", sampled(path for path, _ in LISTS), ids=names)
@pytest.mark.parametrize("change", [lambda v: [], lambda v: [float("nan"), *v[1:]]])
def test_a_list_of_nothing_or_of_no_numbers_is_refused(path, change):
    assert refusal(changed(path, change), path).startswith(names(path))


@pytest.mark.parametrize("path", sampled(path for path, _ in LISTS if path[-1] not in LADDERS), ids=names)
@pytest.mark.parametrize("change", [lambda v: v[:-1], lambda v: [*v, v[0]]])
def test_a_list_of_another_length_is_refused(path, change):
    assert refusal(changed(path, change), path).startswith(names(path))


@pytest.mark.parametrize("path", sampled(KEYS), ids=names)
def test_a_key_that_stands_twice_is_refused(path, tmp_path):
    config = PLAIN if len(path) == 1 else {path[0]: PLAIN[path[0]]}
    lines = yaml.safe_dump(config, sort_keys=False).splitlines()
    depth = len(path) - 1
    at = next(i for i, line in enumerate(lines) if re.match(rf"{'  ' * depth}{path[-1]}:", line))
    (tmp_path / "config.yaml").write_text("\n".join([*lines[:at], f"{'  ' * depth}{path[-1]}: 1", *lines[at:]]))
    with pytest.raises(
        ValueError,
        match=rf"config\.yaml, line \d+: a key may appear only once; .* got '{path[-1]}' twice; merge it with the one in line \d+",
    ):
        check(CONFIG, [tmp_path / "config.yaml"])


def test_a_duplicate_behind_a_merge_key_is_found_and_an_override_is_none(tmp_path):
    (tmp_path / "good.yaml").write_text("a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\n")
    check(CONFIG, [tmp_path / "good.yaml"])
    (tmp_path / "bad.yaml").write_text("a: &x {b: 1}\nd:\n  <<: *x\n  c: 3\n  c: 4\n")
    with pytest.raises(ValueError, match="got 'c' twice"):
        check(CONFIG, [tmp_path / "bad.yaml"])


@pytest.mark.parametrize("text", ["a: !!python/object/apply:os.system ['touch ran']\n", "a: !!python/name:os.system\n"])
def test_a_yaml_tag_runs_nothing(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match="line 1: a config file must be valid YAML; .* could not determine a constructor"):
        check(CONFIG, [tmp_path / "config.yaml"])
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("encoding, command", [("utf-16", "UTF-16"), ("utf-16-le", "UTF-16LE"), ("cp1252", "CP1252")])
def test_a_config_in_another_encoding_says_what_to_type(encoding, command, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_bytes("tasks: [SCR]\n# caf\u00e9\n".encode(encoding))
    with pytest.raises(
        ValueError, match=f"config.yaml: a text file must be in UTF-8; expected UTF-8, got .* iconv -f {command} "
    ):
        read_config_file(file)
    file.write_bytes("\ufefftasks: [SCR]  # caf\u00e9\n".encode())
    assert read_config_file(file) == dict(tasks=["SCR"])


def test_a_mistake_in_the_yaml_names_file_and_line(tmp_path):
    (tmp_path / "config.yaml").write_text("tasks: [SCR]\npaths:\n\tdata: x\n")
    with pytest.raises(ValueError, match=r"config\.yaml, line 3: a config file must be valid YAML; .* correct the line"):
        load_config([tmp_path / "config.yaml"])


@pytest.mark.slow
def test_snakemake_refuses_an_encoding_before_it_reads_the_config(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_bytes("# caf\u00e9".encode("cp1252"))
    command = [sys.executable, "-m", "snakemake", "-n", "-s", ROOT / "Snakefile", "-d", tmp_path]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode and "config/config.yaml: a text file must be in UTF-8" in run.stdout
    assert "UnicodeDecodeError" not in run.stdout + run.stderr and "iconv -f CP1252" in run.stdout


@pytest.mark.slow
def test_settings_of_another_way_of_tuning_are_refused():
    config = default_config()
    for preset, section, key in [
        ("deep_prompt10", "tuning", "rank"),
        ("full", "tuning", "length"),
        ("phonemes", "head", "dropout"),
    ]:
        changed = copy.deepcopy(config)
        changed["tune_encoder" if section == "tuning" else "superb_heads"][preset][section][key] = 1
        with pytest.raises(ValueError, match=f"{preset}.{section}: .* has too many properties"):
            check_config(changed, SCHEMAS / "config.schema.yaml", [])


@pytest.mark.parametrize("path, value, kind, new", [
    (("tune_encoder", "prefix10"), dict(encoder_learning_rate=0.1), "preset", "deep_prompt10"),
    (("tune_encoder", "full", "tuning", "method"), "houlsby", "value", "adapter"),
])  # fmt: skip
def test_an_old_preset_or_value_names_the_new_one(path, value, kind, new):
    config = default_config()
    parent = config
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    assert refusal(config).startswith(f"{names(path)}: the {kind} has been renamed; expected '{new}', got ")
