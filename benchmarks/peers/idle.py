"""A stage that does nothing but import what it would import, and make its outputs: what a job costs without its work."""

import ast
import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("storage", "training", "evaluation", "speech2unit", "verbalizer", "ulm", "superb")
# what the demo takes from the folders whose files are chosen by name
CHOSEN = {
    "speech2unit.encoders.architectures": (
        "speech2unit.encoders.architectures.log_mel",
        "speech2unit.encoders.architectures.melhubert",
    ),
    "speech2unit.corpora.adapters": ("speech2unit.corpora.adapters.table",),
}


def idle(stage, outputs):
    """Import all modules that the stage `package.module` and its first-party modules import, and touch the outputs."""
    for name in sorted(imports(stage)):
        importlib.import_module(name)
    for path in map(Path, outputs):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch() if path.suffix else path.mkdir(exist_ok=True)


def imports(stage):
    """Names of all modules that a stage's module imports, at once or later, itself or through first-party modules."""
    seen, todo = set(), [stage]
    while todo:
        name = todo.pop()
        if name in seen or name.split(".")[0] in sys.stdlib_module_names:
            continue
        seen.add(name)
        todo += CHOSEN.get(name, ())
        if name.split(".")[0] in PACKAGES:
            todo += _named_in(_source(name))
    return seen


def _source(name):
    path = ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _named_in(path):
    """Modules that a file imports; `from a import b` names `a.b` where that is a first-party module, else `a`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found = [name for name in inner if node.module.split(".")[0] in PACKAGES and _source(name).exists()]
            yield from [node.module, *found]
