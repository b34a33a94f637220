"""Runs that are killed, and what they leave: copies of a finished project, and digests of what results say."""

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
from safetensors.numpy import load_file

from storage import provenance
from storage.files import read_json

ROOT = Path(__file__).parents[3]
ALL = os.environ.get("FAULTS") == "all"  # make faults; else the small part that belongs to make test
INJECTOR = str(Path(__file__).parent / "injector")
TINY = ("--configfile", "tests/config/tiny.yaml")
VARYING = {"usage", "provenance"}  # of JSON: seconds and memory
MEASURED = {"seconds", "real_time_factor", "speedup", "memory_mb"}  # columns
MADE = ("results", "resources", "imported")


def content(path):
    """Digest of what a result says, without the seconds and the memory that it took."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        said = table.select([name for name in table.column_names if name not in MEASURED]).to_pylist()
    elif path.suffix == ".safetensors":
        said = sorted((name, tensor.shape, tensor.tobytes()) for name, tensor in load_file(path).items())
    elif path.suffix == ".json":
        said = {name: value for name, value in read_json(path).items() if name not in VARYING}
    else:
        said = path.read_bytes()
    return hashlib.sha256(pickle.dumps(said)).hexdigest()


def contents(folder, outputs=("results",)):
    """Path → digest of all that lies below some of a folder's paths; Snakemake's own time stamps are left out."""
    found = [file for name in outputs for file in ([folder / name] if (folder / name).is_file() else (folder / name).rglob("*"))]
    files = [file for file in found if file.is_file() and file.name != ".snakemake_timestamp"]
    return {str(file.relative_to(folder)): content(file) for file in sorted(files)}


def restore(project, source, copy=os.link):
    """Give `project` the results of `source`, what they are made of and what Snakemake knows about them; links will do where
    nobody changes files.
    """
    for name in (*MADE, ".snakemake"):
        shutil.rmtree(project / name, ignore_errors=True)
    for name in MADE:
        if (source / name).exists():
            shutil.copytree(source / name, project / name, copy_function=copy, dirs_exist_ok=True)
    shutil.copytree(source / ".snakemake", project / ".snakemake", ignore=shutil.ignore_patterns("locks", "incomplete", "log"))


def remove(project, outputs):
    for name in outputs:
        shutil.rmtree(project / name) if (project / name).is_dir() else (project / name).unlink()


def start(project, *targets, cores=2, **fault):
    """A run in a session of its own, which a fault may kill: `module`, `file`, `moment`, `scope`, see the injector."""
    names = {f"FAULT_{name.upper()}": str(value) for name, value in fault.items()}
    environment = os.environ | dict(PYTHONPATH=INJECTOR, PYTHONDONTWRITEBYTECODE="1", OMP_NUM_THREADS="1") | names
    call = [sys.executable, "-m", "snakemake", *TINY, "--cores", str(cores), "--", *targets]
    output = open(project / "killed.txt", "w")
    return subprocess.Popen(call, cwd=project.folder, env=environment, stdout=output, stderr=output, start_new_session=True)


def resume(project, *targets):
    """Output of the documented command, which must succeed."""
    call = ["make", "-f", ROOT / "Makefile", "resume", f"BIN={Path(sys.executable).parent}", f"TARGET={' '.join(targets)}"]
    call.append(f"ARGS={' '.join(TINY)}")
    environment = os.environ | dict(PYTHONDONTWRITEBYTECODE="1", OMP_NUM_THREADS="1")
    done = subprocess.run(call, cwd=project.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout + project.logs()
    return done.stdout


def wait_for_orphans(session):
    """Until no process of a session is left."""
    while any(_session(pid) == session for pid in psutil.pids()):
        time.sleep(0.1)


def _session(pid):
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def is_clean(project):
    """Whether no temporary file is left and every result is as its stage wrote it."""
    os_paths = [path for path in (project / "results").rglob("*") if path.is_file()]
    return not [path for path in os_paths if path.name.endswith(".tmp") or provenance.find_problem(path)]
