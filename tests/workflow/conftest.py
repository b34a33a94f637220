"""Copies of the project in which Snakemake runs: never the project itself."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas
import pytest
from filelock import FileLock

from storage import tables
from storage.verify import all_schemas
from tests.workflow.fork_server import ForkServer
from workflow.scripts.make_docs import table_of
from workflow.scripts.stage_code import PACKAGES

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "environment.yaml", "config", "workflow", *PACKAGES, "tests/config")
TARGETS = ("results/SCR/acc.json", "results/comparisons/SCR/summary.parquet")


class Project:
    """A copy of the project (or of another copy) in a folder of its own, without results. `source` None: it exists."""

    def __init__(self, folder, server, source=ROOT):
        self.folder = Path(folder)
        self.server = server
        for part in PARTS if source else ():
            original, copy = source / part, self.folder / part
            copy.parent.mkdir(parents=True, exist_ok=True)
            skip = shutil.ignore_patterns("__pycache__", ".snakemake")
            shutil.copytree(original, copy, ignore=skip) if original.is_dir() else shutil.copy(original, copy)

    def snakemake(self, *arguments, configs=("tests/config/tiny.yaml",), check=True, **environment):
        """Output of `snakemake --configfile … arguments` (both streams) and its exit status; `check`: which must be 0.

        With variables for the environment, Snakemake and its jobs are processes of their own, not forks.
        """
        files = ["--configfile", *map(str, configs)] if configs else []
        words = [*files, *map(str, arguments)]
        settings = dict(OMP_NUM_THREADS="1", PYTHONDONTWRITEBYTECODE="")  # compiled once for all processes that a run starts
        variables = os.environ | settings | environment
        if environment:
            call = [sys.executable, "-m", "snakemake", *words]
            done = subprocess.run(call, cwd=self.folder, env=variables, capture_output=True, text=True)
            status, output = done.returncode, done.stdout + done.stderr
        else:
            status, output = self.server.snakemake(words, self.folder, variables)
        assert status == 0 or not check, output + self.logs()
        return output, status

    def planned(self, *arguments, **how):
        """Rule → number of jobs that a dry run plans."""
        output, _ = self.snakemake("--dry-run", *arguments, **how)
        found = re.search(r"^Job stats:\njob +count\n[- ]+\n(.*?)^total +(\d+)$", output, re.MULTILINE | re.DOTALL)
        if not found:
            assert "Nothing to be done" in output, output
            return {}
        return {name: int(count) for name, count in (line.split() for line in found[1].splitlines())}

    def logs(self):
        return "".join(f"\n== {path}\n{path.read_text()[-2000:]}" for path in sorted(self.folder.glob("logs/**/*.log"))[-40:])

    def copy_results_to(self, other):
        """Give another project the results of this one and what Snakemake knows about them."""
        for part in ("results", "logs", ".snakemake"):
            shutil.copytree(self / part, other / part, ignore=shutil.ignore_patterns("locks", "incomplete"))

    def edit(self, file, old, new):
        text = (self.folder / file).read_text()
        assert old in text, f"{file} has no {old!r}"
        (self.folder / file).write_text(text.replace(old, new))

    def __truediv__(self, path):
        return self.folder / path


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory):
    """The process whose forks run Snakemake and its jobs."""
    server = ForkServer(tmp_path_factory.mktemp("server") / "socket")
    yield server
    server.close()


@pytest.fixture(scope="session")
def new_project(tmp_path_factory, fork_server):
    """A function name → `Project`, fresh, without results; all of one session are the same, whoever edits meanwhile."""
    first = Project(tmp_path_factory.mktemp("first"), fork_server)
    # A parent folder for each: some tests put data at ../shared.
    return lambda name="project": Project(tmp_path_factory.mktemp(name) / name, fork_server, first.folder)


@pytest.fixture(scope="session")
def pristine(tmp_path_factory, fork_server):
    """A project in which everything up to the summary has run, on two cores, with two shards. Nobody changes it.

    It runs once for all processes of the tests.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all processes
    with FileLock(folder / "pristine.lock"):
        if (folder / "pristine.done").exists():
            return Project(folder / "pristine", fork_server, source=None)
        made = Project(folder / "pristine", fork_server)
        made.snakemake("--cores", 2, "--", *TARGETS)
        (folder / "pristine.done").touch()
        return made


@pytest.fixture(scope="session")
def project(pristine, new_project):
    """A copy of the project that has run, which tests change."""
    made = new_project()
    pristine.copy_results_to(made)
    return made


@pytest.fixture(scope="session")
def schemas():
    """Table name → schema, of all packages."""
    return all_schemas()


@pytest.fixture(scope="session")
def table_name(schemas):
    """The function path → name of its table."""
    return lambda path: table_of(path, schemas)


@pytest.fixture(scope="session")
def open_every_table(schemas):
    """A function folder → {path: table} of every Parquet file under it, each read by pandas and against its schema."""

    def opened(folder):
        found = {}
        for path in sorted(Path(folder).rglob("*.parquet")):
            name = table_of(path.relative_to(folder), schemas)
            assert name, f"{path} is named after no table"
            found[path] = tables.read(path, schemas[name])
            frame = pandas.read_parquet(path)
            assert list(frame.columns) == schemas[name].names and len(frame) == found[path].num_rows, path
        return found

    return opened
