"""Check every result against its checksum, its schema and the files that it was made from."""

import contextlib
import importlib
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from storage import provenance, tables
from storage.errors import data_error, notice
from storage.files import CHECKSUM_LIST, damaged_files


class Maker(NamedTuple):
    """An output of a rule."""

    pattern: str  # regular expression of its path, with a named group for each wildcard
    path: str  # its path with the wildcards in braces
    rule: str
    is_temporary: bool


@cache
def all_schemas():
    """Return a dict from the name of each table to its schema, from the `schemas.py` of all packages.

    Raises:
        ValueError: if two schemas have the same name.
    """
    root = Path(__file__).parents[1]
    files = sorted(file for package in root.glob("*/__init__.py") for file in package.parent.rglob("schemas.py"))
    modules = [importlib.import_module(".".join(file.relative_to(root).with_suffix("").parts)) for file in files]
    schemas = {}
    for schema in [value for module in modules for value in vars(module).values() if isinstance(value, pa.Schema)]:
        name = schema.metadata[b"table"].decode()
        if schemas.setdefault(name, schema) is not schema:
            raise data_error(
                f"table '{name}'",
                "a schema must have a name of its own",
                expected="one schema of this name",
                got="two",
                remedy="rename one of them in its schemas.py",
            )
    return schemas


def schema_of(path):
    """Return the schema of the table in a file, or None if no package has a schema of that name."""
    name = (pq.read_schema(path).metadata or {}).get(b"table", b"")
    return all_schemas().get(name.decode())


def verify(*, folder, makers):
    """Stage: check every file below `folder` and print a line for each. Nothing is written.

    Args:
        folder: the results.
        makers: the outputs of all rules, each a tuple of the fields of `Maker`.

    Raises:
        ValueError: if at least one file is wrong or missing; the message lists each with the command that makes it again.
    """
    digests = {}
    wrong = []
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    for path in paths:
        problem = _file_problem(path, digests)
        has_checksum = path.suffix in provenance.KINDS or path.name == CHECKSUM_LIST
        verdict = "wrong" if problem else "right" if has_checksum else "no checksum of its own"
        print(f"{verdict}  {path}  {problem}")
        if problem:
            wrong.append(_wrong_line(path, problem, makers))
    for path in missing_outputs(folder, makers):
        print(f"wrong  {path}  missing")
        wrong.append(_wrong_line(path, "missing, but other results were made from it, or by the same job", makers))
    if wrong:
        raise data_error(
            folder,
            "results must be what their stages wrote",
            expected=f"{len(paths)} correct files",
            got=f"{len(wrong)} wrong ones:{''.join(wrong)}\n",
            remedy="run the commands above; Snakemake also reruns the stages that use these files",
        )
    notice(f"{folder}: {len(paths)} files, 0 wrong")


def missing_outputs(folder, makers):
    """Return the outputs below `folder` that are gone, sorted: results were made from them, or other outputs of their job are there.

    Snakemake deletes the outputs of a job before the job starts. A killed job leaves none of them, and a target that exists does
    not make Snakemake look for them. Temporary outputs, and those that no rule makes with the config of this run, do not count.
    Arguments are those of `verify`.
    """
    makers = [Maker(*maker) for maker in makers]
    paths = list(Path(folder).rglob("*"))
    sources = {Path(source) for path in paths for source in _sources(path)}
    gone = {output for path in paths for output in _outputs_made_with(path, makers) if not Path(output).exists()}
    for source in sources:
        output, maker = _maker(source, makers)
        if maker and not maker.is_temporary and source.is_relative_to(folder) and not source.exists():
            gone.add(output)
    return sorted(gone)


def _outputs_made_with(path, makers):
    """Return the outputs of the job that makes a path, without temporary ones; none if no rule makes it."""
    for maker in makers:
        if match := re.fullmatch(maker.pattern, path.as_posix()):
            wildcards = match.groupdict()
            return [other.path.format(**wildcards) for other in makers if other.rule == maker.rule and not other.is_temporary]
    return []


def _sources(path):
    """Return the files that a result was made from; none if it has no record or cannot be read."""
    if path.suffix not in provenance.KINDS or not path.is_file() or provenance.in_checked_folder(path):
        return []
    with contextlib.suppress(Exception):  # of any reader: `verify` reports the damage
        return list(provenance.read(path).get("inputs", {}))
    return []


def rule_of(path, makers):
    """Return the rule that makes a file or one of its parent folders; `?` if none does. See `verify` for `makers`."""
    _, maker = _maker(Path(path), [Maker(*maker) for maker in makers])
    return maker.rule if maker else "?"


def _maker(path, makers):
    """Return the output that is `path` or one of its parent folders, and its `Maker`; an empty text and None if no rule makes it."""
    for candidate in (path.as_posix(), *(parent.as_posix() for parent in path.parents)):
        for maker in makers:
            if re.fullmatch(maker.pattern, candidate):
                return candidate, maker
    return "", None


def _wrong_line(path, problem, makers):
    """Return a line that says what is wrong with a result and how to make it again."""
    return f"\n  {path}: {problem}; snakemake --cores all --forcerun {rule_of(path, makers)} {path}"


def _file_problem(path, digests):
    """Return what is wrong with one result, as text; empty if nothing is. `digests`: see `_source_problem`."""
    if path.name.endswith(".tmp"):
        return "left by a killed job: delete it"
    if path.name == CHECKSUM_LIST:
        damaged = damaged_files(path.parent)
        return f"{len(damaged)} changed or missing files, such as {damaged[0]}" if damaged else ""
    if problem := provenance.find_problem(path):
        return problem
    if path.suffix not in provenance.KINDS or provenance.in_checked_folder(path):
        return ""
    problem = _table_problem(path) if path.suffix == ".parquet" else ""
    return problem or _source_problem(provenance.read(path), digests)


def _table_problem(path):
    """Return what is wrong with the schema or the key of a table, as text; empty if nothing is."""
    schema = schema_of(path)
    if schema is None:
        return "a table without a schema"
    try:
        tables.read(path, schema)
    except ValueError as error:
        return f"{error}"
    return ""


def _source_problem(record, digests):
    """Return which file has changed since a result was made from it, as text; empty if none has.

    Args:
        record: the result's provenance.
        digests: dict from the path of each file checked so far to its digest, or to None if it is damaged (which is reported
            as a problem of that file). This function adds the files that it checks.
    """
    for source, digest in record.get("inputs", {}).items():
        if Path(source).is_file():
            if source not in digests:
                digests[source] = None if provenance.find_problem(source) else provenance.digest(source)
            if digests[source] not in (None, digest):
                return f"made from another {source}"
    return ""
