"""An idle stage: it imports the modules of a stage and creates empty outputs. This shows the cost of a job without its work."""

import ast
import importlib
import sys
from pathlib import Path

from workflow.scripts.stage_code import PACKAGES

ROOT = Path(__file__).parents[2]
# Registry → the modules of it that the demo uses.
CHOSEN_MODULES = {
    "speech2unit.encoders.architectures": (
        "speech2unit.encoders.architectures.log_mel",
        "speech2unit.encoders.architectures.melhubert",
    ),
    "speech2unit.corpora.adapters": ("speech2unit.corpora.adapters.table",),
}


def idle(stage, outputs):
    """Import everything that a stage and its first-party modules import, and create its outputs.

    Args:
        stage: dotted module of the stage.
        outputs: paths to create. A path without a suffix is a folder.
    """
    for name in sorted(imported_modules(stage)):
        importlib.import_module(name)
    for path in map(Path, outputs):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.touch()
        else:
            path.mkdir(exist_ok=True)


def imported_modules(stage):
    """Return the names of all modules that a stage imports, itself or through first-party modules, anywhere in their code."""
    modules = set()
    pending = [stage]
    while pending:
        name = pending.pop()
        if name in modules or name.split(".")[0] in sys.stdlib_module_names:
            continue
        modules.add(name)
        pending += CHOSEN_MODULES.get(name, ())
        if name.split(".")[0] in PACKAGES:
            pending += _imports_of_file(_file_of_module(name))
    return modules


def _file_of_module(name):
    path = ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imports_of_file(path):
    """Yield the modules that a file imports; `from a import b` imports `a`, and `a.b` if that is a first-party module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            if node.module.split(".")[0] in PACKAGES:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                yield from (name for name in names if _file_of_module(name).exists())
