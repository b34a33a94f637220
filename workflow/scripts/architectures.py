"""Find out what the files of speech2unit/encoders/architectures/ define, without importing them, which takes seconds."""

import ast
import functools
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "speech2unit/encoders/architectures"


def architectures_with(name):
    """Return the names of the architectures whose files define a function or constant `name`."""
    return [architecture for architecture, definitions in _definitions().items() if name in definitions]


def constants(name):
    """Return a dict from each architecture that has the constant `name` to its value."""
    return {architecture: ast.literal_eval(_definitions()[architecture][name].value) for architecture in architectures_with(name)}


@functools.cache
def _definitions():
    """Return architecture → {name: syntax tree of the function or of the assignment at the top level of its file}."""
    found = {}
    for file in sorted(FOLDER.glob("[!_]*.py")):
        found[file.stem] = {}
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                found[file.stem][node.name] = node
            elif isinstance(node, ast.Assign):
                found[file.stem] |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
    return found
