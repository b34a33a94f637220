"""Every result held against its checksum, its schema and where it says that it comes from."""

import importlib
import re
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from storage import provenance, tables
from storage.errors import data_error, notice
from storage.files import SUMS, damaged_files


@cache
def all_schemas():
    """Return table name → schema, of every `schemas.py` of every package."""
    root = Path(__file__).parents[1]
    files = sorted(file for package in root.glob("*/__init__.py") for file in package.parent.rglob("schemas.py"))
    modules = [importlib.import_module(".".join(file.relative_to(root).with_suffix("").parts)) for file in files]
    schemas = [value for module in modules for value in vars(module).values() if isinstance(value, pa.Schema)]
    return {schema.metadata[b"table"].decode(): schema for schema in schemas}


def schema_of(path):
    """Return the schema of a table; None where no package has one of its name."""
    name = (pq.read_schema(path).metadata or {}).get(b"table", b"")
    return all_schemas().get(name.decode())


def table_problem(path):
    """What is wrong with a table, as text."""
    if (expected := schema_of(path)) is None:
        return "a table without a schema"
    try:
        tables.read(path, expected)
    except ValueError as error:
        return f"{error}"
    return ""


def origin_problem(about, digests):
    """Whether the files that a result was made from are still the ones that it saw (damaged ones show by themselves); `digests` is filled on the way."""
    for source, digest in about.get("inputs", {}).items():
        if Path(source).is_file():
            if source not in digests:
                digests[source] = None if provenance.problem(source) else provenance.digest(source)
            if digests[source] not in (None, digest):
                return f"made from another {source}"
    return ""


def file_problem(path, digests):
    """What is wrong with one file below results/, as text; empty where nothing is, or where nothing can be known."""
    if path.name.endswith(".tmp"):
        return "left behind by a killed job: delete it"
    if path.name == SUMS:
        damaged = damaged_files(path.parent)
        return f"{len(damaged)} files that changed, such as {damaged[0]}" if damaged else ""
    if found := provenance.problem(path):
        return found
    if path.suffix not in provenance.KINDS:
        return ""
    about = provenance.read(path)
    return (table_problem(path) if path.suffix == ".parquet" else "") or origin_problem(about, digests)


def maker(path, makers):
    """The rule that makes a file, by the patterns of their outputs `[(pattern, rule)]`; `?` where none does."""
    places = [path.as_posix(), *(parent.as_posix() for parent in path.parents)]
    return next((rule for place in places for pattern, rule in makers if re.fullmatch(pattern, place)), "?")


def verify(*, folder, makers):
    """Stage: looks at every file below `folder`, prints a line for each, raises `ValueError` where any is not right.

    `makers`: see `maker`. Nothing is written, so it looks anew each time. Sources that are gone (temporary ones) are not missed.
    """
    digests, wrong, paths = {}, [], sorted(path for path in Path(folder).rglob("*") if path.is_file())
    for path in paths:
        found = file_problem(path, digests)
        known = path.suffix in provenance.KINDS or path.name == SUMS
        print(f"{'wrong' if found else 'right' if known else 'no checksum of its own'}  {path}  {found}")
        if found:
            stage = maker(path, makers)
            wrong.append(f"\n  {path}: {found}; snakemake --cores all --forcerun {stage} {path}")
    if wrong:
        raise data_error(
            folder,
            "results must be what their stages wrote",
            expected=f"{len(paths)} right files",
            got=f"{len(wrong)} wrong ones:{''.join(wrong)}\n",
            remedy="run the commands above; a stage also reruns what follows it",
        )
    notice(f"{folder}: {len(paths)} files, 0 wrong")
