"""Connect a stage to a rule: the function that the rule calls, and a digest of the code that it runs."""

import ast
import functools
import hashlib
import os
from pathlib import Path

from snakemake import jobs

ROOT = Path(__file__).parents[2]
STAGE_SCRIPT = Path(__file__).with_name("stage.py")  # what every rule runs
PACKAGES = ("storage", "training", "evaluation", "speech2unit", "verbalizer", "ulm", "superb", "inference")
# Packages whose modules are chosen by name at run time: an import of one counts as an import of all of its modules, or of
# those that the rule names.
REGISTRIES = ("speech2unit.corpora.adapters", "speech2unit.encoders.architectures")
# Names of modules that do not count for the digest. A change of a schema is noticed when a table is read.
UNCHECKED = ("schemas", "tables", "errors", "progress", "provenance")


def ignore_time_of_stage_script():
    """Make Snakemake ignore when `scripts/stage.py` was last written. The digest of its code decides instead.

    Snakemake compares the time of a script with that of the outputs, so a fresh clone would rerun every job. There is no option for
    this that a workflow can set.
    """

    def time_of(path):
        status = os.lstat(path)
        return 0 if os.path.samestat(status, os.lstat(STAGE_SCRIPT)) else status.st_mtime

    jobs.get_script_mtime = time_of


def stage(target, num_threads=1, registry_modules=None, root=ROOT):
    """Return the reserved params for `scripts/stage.py`.

    Args:
        target: dotted module of the stage; its function has the name of the module.
        num_threads: compute threads of the job. They are part of the result, since thread counts change floats.
        registry_modules: function that maps the wildcards to the dotted modules of a registry that the job uses. With it, a new file in
            the registry does not rerun the job. Without it, every module of a registry counts.
        root: folder of the packages.

    Returns:
        dict with `stage`, `num_threads` and `code`, a function from the wildcards to a digest of `scripts/stage.py`, of the module
        and of all first-party modules that it imports. It is a function because each process plans the jobs of a few rules only.
    """
    digest_with = functools.cache(lambda modules: digest(target, modules, root))  # jobs of one rule share their digests
    modules_for = registry_modules or (lambda wildcards: ())
    return dict(stage=target, code=lambda wildcards: digest_with(tuple(modules_for(wildcards))), num_threads=num_threads)


def digest(target, registry_modules=(), root=ROOT):
    """Return the digest of stage.py, of a module's code and of all first-party code that it imports; arguments as of `stage`."""
    trees = {}
    pending = modules_of(target, root)
    while pending:
        path = pending.pop()
        if path not in trees:
            trees[path], imports = code_and_imports(path.read_text())
            for name in imports:
                pending += modules_of(name, root, registry_modules)
    script, _ = code_and_imports(STAGE_SCRIPT.read_text())
    text = script + "".join(trees[path] for path in sorted(trees))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@functools.cache  # by the text: a plan has some sixty stages, which share most of their modules
def code_and_imports(source):
    """Return a module's syntax tree as text, without docstrings, and the first-party modules that it imports."""
    tree = without_docstrings(ast.parse(source))
    return ast.dump(tree), list(first_party_imports(tree))


def modules_of(dotted, root=ROOT, registry_modules=()):
    """Return the files of a first-party module: of a registry the given modules or else all, of a package its `__init__.py`."""
    path = Path(root).joinpath(*dotted.split("."))
    if dotted in REGISTRIES:
        names = [name.rpartition(".")[2] for name in registry_modules if name.rpartition(".")[0] == dotted]
        return [path / f"{name}.py" for name in ("__init__", *names)] if names else sorted(path.glob("*.py"))
    return [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()]


def first_party_imports(tree):
    """Yield the dotted first-party modules that a syntax tree imports and that belong in the digest."""
    for node in statements(tree):
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
    for node in statements(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return tree


def statements(node):
    """Yield a node and all statements below it, without expressions, which are most of a tree and contain no statements."""
    yield node
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, block, ()):
            yield from statements(child)
