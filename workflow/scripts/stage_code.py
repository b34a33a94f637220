"""Connect a stage to a rule: the function that the rule calls, and a digest of the code that it runs."""

import ast
import functools
import hashlib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("storage", "training", "evaluation", "speech2unit", "verbalizer", "ulm", "superb")
# Packages whose modules are chosen by name at run time: an import of one counts as an import of all of its modules.
REGISTRIES = ("speech2unit.corpora.adapters", "speech2unit.encoders.architectures")
# Names of modules that do not count for the digest. A change of a schema is noticed when a table is read.
UNCHECKED = ("schemas", "tables", "errors", "progress", "provenance")


def stage(target, num_threads=1, root=ROOT):
    """Return the reserved params for `scripts/stage.py`.

    Args:
        target: dotted module of the stage. Its function has the same name as the module.
        num_threads: number of compute threads of the job. It changes the last bits of floating-point results.
        root: folder of the packages.

    Returns:
        A dict with `stage`, `num_threads` and `code`, a digest of the module and of all first-party modules that it imports.
    """
    trees = {}
    pending = modules_of(target, root)
    while pending:
        path = pending.pop()
        if path not in trees:
            trees[path], imports = code_and_imports(path.read_text())
            for name in imports:
                pending += modules_of(name, root)
    text = "".join(trees[path] for path in sorted(trees))
    return dict(stage=target, code=hashlib.sha256(text.encode()).hexdigest()[:12], num_threads=num_threads)


@functools.cache  # by the text: a plan has some sixty stages, which share most of their modules
def code_and_imports(source):
    """Return a module's syntax tree as text, without docstrings, and the first-party modules that it imports."""
    tree = without_docstrings(ast.parse(source))
    return ast.dump(tree), list(first_party_imports(tree))


def modules_of(dotted, root=ROOT):
    """Return the files of a first-party module; for a registry, all of its modules; for another package, its `__init__.py`."""
    path = Path(root).joinpath(*dotted.split("."))
    if dotted in REGISTRIES:
        return sorted(path.glob("*.py"))
    return [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()]


def first_party_imports(tree):
    """Yield the dotted first-party modules that a syntax tree imports and that belong in the digest."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] in PACKAGES and parts[-1] not in UNCHECKED:
                yield name


def without_docstrings(tree):
    """Return the syntax tree without docstrings, that is the code that runs."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return tree
