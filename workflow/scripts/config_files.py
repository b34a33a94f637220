"""Read and check the YAML files of the config."""

import copy
import io
import re
from pathlib import Path

import yaml

from storage.errors import data_error
from storage.text import decode_text
from workflow.scripts.renamed_keys import new_name, renamed_error
from workflow.scripts.schema_checks import ROOT, YAML_LOADER, check, check_finite

MERGE_TAG = "tag:yaml.org,2002:merge"  # tag of the key `<<`


def default_files(root=ROOT):
    """Return the paths of config.yaml and the presets below `root`, as the Snakefile lists them."""
    return re.findall(r'^configfile: "(.+)"', (Path(root) / "Snakefile").read_text(), re.MULTILINE)


def default_config(root=ROOT):
    """Return the config without a user's own files."""
    config = {}
    for name in default_files(root):
        config |= read_config_file(Path(root) / name)
    return config


def add_defaults(config, root=ROOT):
    """Add what a user's config leaves out, in place: from the files in config/ of the current folder, then from those below `root`."""
    own_files = [name for name in default_files(root) if Path(name).exists()]
    config.update(merged(load_config(own_files, root), config))


def load_config(files=(), root=ROOT):
    """Return the config with a user's own files merged over it, as Snakemake merges `--configfile`."""
    config = default_config(root)
    for file in files:
        _merge(config, read_config_file(file))
    return config


def read_config_file(file):
    """Return the content of a YAML file as a dict.

    Raises:
        ValueError: if the file is not UTF-8 (Snakemake reads nothing else), not valid YAML, or has a key twice. The message names
            the file and the line.
    """
    stream = io.StringIO(decode_text(Path(file).read_bytes(), file, only_utf8=True))
    stream.name = str(file)  # for the marks of errors
    try:
        return yaml.load(stream, _UniqueKeyLoader) or {}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise data_error(
            f"{file}, line {mark.line + 1}",
            "a config file must be valid YAML",
            expected="`key: value` below its section, indented with blanks",
            got=error.problem or "something else",
            remedy="correct the line or the one above it",
        ) from error


def merged(settings, changes):
    """Return nested settings with changes merged over them, as `load_config` merges files."""
    settings = copy.deepcopy(settings)
    _merge(settings, changes)
    return settings


def _merge(settings, changes):
    """Change nested settings in place. Mappings are merged, other values replaced."""
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(settings.get(name), dict):
            _merge(settings[name], value)
        else:
            settings[name] = value


def check_config(config, schema_path, files):
    """Check each YAML file by itself, and the merged config against its schema.

    Args:
        config: the merged config.
        schema_path: file of its JSON Schema.
        files: paths of a user's own config files.

    Raises:
        ValueError: if a file cannot be read, a key is duplicate, unknown or renamed, or a value is not allowed. The message names the
            nearest valid key.
    """
    for file in files:
        read_config_file(file)
    _check_renamed_presets(config)
    check(config, schema_path, "config")
    check_finite(config, "config")
    for corpus, changes in config["settings_of_corpora"].items():
        check(merged(config, changes), schema_path, f"config.settings_of_corpora.{corpus}")


def _check_renamed_presets(config):
    """Refuse a preset under its former name, which would otherwise count as a new preset."""
    for section, presets in config.items():
        if not isinstance(presets, dict):
            continue
        for preset, settings in presets.items():
            renamed = new_name(f"{section}.{preset}")
            if renamed and isinstance(settings, dict):
                raise renamed_error(f"config.{section}.{preset}", "preset", preset, renamed)


class _UniqueKeyLoader(YAML_LOADER):
    """YAML loader that refuses duplicate keys; other loaders silently keep the last one."""


def _construct_mapping(loader, node):
    lines = {}
    for key_node, _ in node.value:
        if key_node.tag == MERGE_TAG:
            continue
        key = loader.construct_object(key_node)
        line = key_node.start_mark.line + 1
        if key in lines:
            raise data_error(
                f"{node.start_mark.name}, line {line}",
                "a key may appear only once",
                expected="unique keys",
                got=f"'{key}' twice",
                remedy=f"merge it with the one in line {lines[key]}",
            )
        lines[key] = line
    return loader.construct_mapping(node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)
