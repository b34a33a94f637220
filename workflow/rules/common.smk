import ast
import hashlib
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.0")
ROOT = Path(workflow.current_basedir).parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from comparisons import compared_encoders, encoder_codebook, encoder_tasks, unlike_parent
from config_files import check_config
from result_paths import unknown_name, unknown_paths
from rows import read_rows

try:
    check_config(config, ROOT / "workflow/schemas/config.schema.yaml", workflow.configfiles)
    ROWS = read_rows(config, ROOT / "workflow/schemas")
except ValueError as error:  # as a WorkflowError it is shown without the stack
    raise WorkflowError(str(error)) from None
FEATURES_FILE = "results/features/{encoder}/layer{layer}/{corpus}/{shard}.parquet"
CHECKPOINT_FILE = f"{config['paths']['checkpoints']}/{{checkpoint}}/{{file}}"
FEATURES_FILE = FEATURES_FILE if config["keep_features"] else temp(FEATURES_FILE)
PACKAGES = ("speech2unit", "verbalizer", "ulm", "superb")
UNCHECKED = ("schemas", "tables", "errors", "progress", "provenance")  # contracts are checked at every read instead
SHARDS = [f"{i}-of-{config['num_shards']}" for i in range(1, config["num_shards"] + 1)]


def names(table, **cells):
    """Wildcard constraint: the names of a table's rows, or of those whose cells have these values."""
    found = [n for n, row in ROWS[table].items() if all(row[c] == v for c, v in cells.items())]
    return "|".join(map(re.escape, found)) or "none"


AUDIO_CORPORA = names("corpora", codebook="")
UNIT_CORPORA = names("corpora", adapter="units")


wildcard_constraints:
    checkpoint=names("checkpoints"),
    corpus=names("corpora"),
    encoder=names("encoders"),
    codebook=names("codebooks"),
    ulm=names("ulms"),
    task=names("tasks"),
    superb_task=names("superb_tasks"),
    layer=r"\d+",
    shard=r"\d+-of-\d+",


def modules_of(dotted):
    """Files of a first-party module; a registry (a package below the first level) stands for all of its modules."""
    path = ROOT.joinpath(*dotted.split("."))
    if path.is_dir():
        return sorted(path.glob("*.py")) if "." in dotted else []
    return [path.with_suffix(".py")] if path.with_suffix(".py").exists() else []


def first_party_imports(tree):
    """Dotted first-party modules that a syntax tree imports."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] + [f"{node.module}.{a.name}" for a in node.names]
        yield from (n for n in names if n.split(".")[0] in PACKAGES and n.split(".")[-1] not in UNCHECKED)


def without_docstrings(tree):
    """The syntax tree of what runs."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return tree


def stage(target, num_threads=1):
    """Reserved params for scripts/stage.py: the function to call, a digest of its code, and its compute threads."""
    seen, todo = {}, modules_of(target)
    while todo:
        path = todo.pop()
        if path not in seen:
            tree = without_docstrings(ast.parse(path.read_text()))
            seen[path] = ast.dump(tree)
            todo += [file for name in first_party_imports(tree) for file in modules_of(name)]
    text = "".join(seen[path] for path in sorted(seen))
    return dict(stage=target, code=hashlib.sha256(text.encode()).hexdigest()[:12], num_threads=num_threads)
