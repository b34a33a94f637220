"""Where a result comes from: stage, settings, digests of the inputs, versions, time and memory.

The shim (`workflow/scripts/stage.py`) opens one `running(...)` a job; every writer asks `record()` for what belongs into
its file's metadata. `inputs` and `history` carry along what every earlier stage read and cost, so `acc.json` can name them all
even where a table on the way was temporary.
"""

import contextlib
import importlib.metadata
import json
import platform
import resource
import time
from pathlib import Path

import pyarrow.parquet as pq

from speech2unit.files import read_json, sha256

KEY = "provenance"
LIBRARIES = ("torch", "torchaudio", "numpy", "pyarrow", "scikit-learn", "faiss-cpu", "fairseq-fixed", "snakemake")
_job = None


@contextlib.contextmanager
def running(*, job, stage, settings, inputs):
    """Everything written inside belongs to `job`, a name of its own. `inputs` are paths of files (folders are left out)."""
    global _job
    _job = dict(name=job, stage=stage, settings=settings, inputs=[Path(p) for p in inputs], started=time.monotonic())
    try:
        yield
    finally:
        _job = None


def record():
    """The record of the running job, a dict that JSON can hold; without one just the versions."""
    if _job is None:
        return dict(stage=None, versions=versions(), history={})
    earlier = [read(path) for path in _job["inputs"] if path.is_file()]
    cost = dict(stage=_job["stage"], seconds=round(time.monotonic() - _job["started"], 3), peak_memory_mb=peak_memory_mb())
    inputs, history = ({k: v for one in earlier for k, v in one.get(part, {}).items()} for part in ("inputs", "history"))
    return dict(
        stage=_job["stage"],
        settings=_job["settings"],
        inputs=inputs | {str(path): digest(path) for path in _job["inputs"] if path.is_file()},
        versions=versions(),
        history=history | {_job["name"]: cost},
    )


def read(path):
    """The record that a Parquet, safetensors or JSON file carries; an empty dict where it has none."""
    path = Path(path)
    if path.suffix == ".parquet":
        return json.loads((pq.read_metadata(path).metadata or {}).get(KEY.encode(), b"{}"))
    if path.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(path, "np") as file:
            return json.loads((file.metadata() or {}).get(KEY, "{}"))
    if path.suffix == ".json":
        return read_json(path).get(KEY, {})
    return {}


def digest(path):
    """Digest of the content of a file: a table's own (of its rows, whatever the metadata), else SHA-256 of the bytes."""
    if Path(path).suffix == ".parquet":
        stored = (pq.read_metadata(path).metadata or {}).get(b"digest")
        if stored:
            return stored.decode()
    return sha256(path)


def versions():
    """Versions of Python and of the libraries that results depend on."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def usage(history):
    """Stage → jobs, seconds in all and the largest memory, over every job that the result depends on."""
    found = {}
    for job in history.values():
        stage = found.setdefault(job["stage"], dict(jobs=0, seconds=0.0, peak_memory_mb=0))
        stage["jobs"] += 1
        stage["seconds"] = round(stage["seconds"] + job["seconds"], 3)
        stage["peak_memory_mb"] = max(stage["peak_memory_mb"], job["peak_memory_mb"])
    return found


def peak_memory_mb():
    """Largest resident memory so far of this process and, beside it, of the largest one that it started, in 10⁶ bytes."""
    kilobytes = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(kilobytes * 1024 / 1e6)
