"""Imports go one way: packages import those below them alone, and one module imports fairseq."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORPORA = {"storage", "evaluation", "speech2unit.corpora", "speech2unit.corpora.adapters", "speech2unit.corpora.containers"}
MODELS = {"storage", "storage.untrusted", "training"}
ENCODERS = MODELS | {"speech2unit.corpora", "speech2unit.encoders.models", "speech2unit.encoders.architectures"}
UNITS = CORPORA | ENCODERS | {"speech2unit.encoders"}
ALLOWED = {  # package → the packages whose modules its own may import, besides those of the same package
    "storage": set(),
    "storage.untrusted": {"storage"},
    "training": {"storage"},
    "evaluation": {"storage"},
    "speech2unit.corpora": CORPORA,
    "speech2unit.corpora.adapters": {"storage", "speech2unit.corpora"},
    "speech2unit.corpora.containers": {"storage"},
    "speech2unit.encoders.models": MODELS,
    "speech2unit.encoders.architectures": MODELS | {"speech2unit.encoders.models"},
    "speech2unit.encoders": ENCODERS,
    "speech2unit": UNITS,
    "speech2unit.recipes": UNITS | {"speech2unit"},
    "verbalizer": {"storage", "evaluation", "speech2unit.corpora", "speech2unit"},
    "ulm": {"storage", "storage.untrusted", "training", "evaluation", "verbalizer", "speech2unit"},
    "superb": UNITS | {"speech2unit"},
    "inference": UNITS | {"speech2unit", "verbalizer", "ulm", "superb"},
}
FILES = sorted(file for package in {name.partition(".")[0] for name in ALLOWED} for file in (ROOT / package).rglob("*.py"))


def module_name(file):
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def package_of(module):
    """The package of a module; a package is its own."""
    return module if ROOT.joinpath(*module.split(".")).is_dir() else module.rpartition(".")[0]


def imported_names(file):
    """Dotted names that a file imports, at the top or inside functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_packages(file):
    """First-party packages that a file imports from."""
    for name in imported_names(file):
        if name.split(".")[0] in {"benchmarks", *(package.split(".")[0] for package in ALLOWED)}:
            while not (ROOT.joinpath(*name.split(".")).is_dir() or ROOT.joinpath(*name.split(".")).with_suffix(".py").exists()):
                name = name.rpartition(".")[0]
            yield package_of(name)


def test_every_package_has_a_line_of_allowed_imports():
    assert {package_of(module_name(file)) for file in FILES} == set(ALLOWED)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_a_module_imports_only_from_packages_below_it(file):
    package = package_of(module_name(file))
    assert set(imported_packages(file)) - {package} <= ALLOWED[package]


@pytest.mark.slow
def test_one_module_imports_fairseq():
    importers = [file for file in FILES if any(name.split(".")[0] == "fairseq" for name in imported_names(file))]
    assert [file.relative_to(ROOT).as_posix() for file in importers] == ["ulm/binarize.py"]


def test_no_two_modules_import_each_other():
    imports = {module_name(file): set() for file in FILES}
    for module, names in imports.items():
        file = ROOT.joinpath(*module.split("."))
        file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
        for name in imported_names(file):
            while name and name not in imports:
                name = name.rpartition(".")[0]
            names |= {name} - {"", module}
    while leaves := {module for module, names in imports.items() if not names & imports.keys()}:
        imports = {module: names for module, names in imports.items() if module not in leaves}
    assert not imports, f"circles among {sorted(imports)}"
