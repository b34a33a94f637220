"""Where a result comes from: stage, settings, digests of the inputs, versions, time and memory.

The shim (`workflow/scripts/stage.py`) opens one `running(...)` a job, which checks the inputs; every writer asks `record()`
for what belongs into its file's metadata. `inputs` and `history` carry along what every earlier stage read and cost, so `acc.json` can name them all
even where a table on the way was temporary.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import platform
import re
import resource
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq

from storage.errors import data_error
from storage.files import CHECKSUM_PLACEHOLDER, find_damage, read_json, sha256

KEY = "provenance"
FORMAT = 1  # of records and of what they lie in; files of another one are made again
RESULTS, KINDS = "results", (".parquet", ".safetensors", ".json")
BYTES_A_UNIT = 1 if sys.platform == "darwin" else 1024  # of `ru_maxrss`
LIBRARIES = ("torch", "torchaudio", "numpy", "pyarrow", "scikit-learn", "faiss-cpu", "fairseq-fixed", "snakemake")
_job = None


@contextlib.contextmanager
def running(*, job, stage, settings, inputs):
    """Everything written inside belongs to `job`, a name of its own. `inputs` are paths of files (folders are left out).

    Raises `ValueError` where one of them is not what its stage wrote; see `problem`.
    """
    global _job
    for path in inputs:
        check(path)
    _job = dict(name=job, stage=stage, settings=settings, inputs=[Path(p) for p in inputs], started=time.monotonic())
    try:
        yield
    finally:
        _job = None


def check(path):
    """Raises `ValueError` where a result is damaged or another one's."""
    if found := problem(path):
        raise data_error(
            path,
            "a result must be what its stage wrote",
            expected="that file, with its checksum",
            got=found,
            remedy="delete it and give the same command again; `snakemake --cores 1 verify` looks through all results",
        )


def problem(path):
    """What is wrong with a file, as text; empty where nothing is, and where it is none of our kinds of results."""
    if not result_name(path) or Path(path).suffix not in KINDS or not Path(path).is_file():
        return ""
    if found := find_damage(path):
        return found
    about = read(path)
    if about.get("format") != FORMAT:
        return f"format {about.get('format')} of another version of this project, not {FORMAT}"
    return "" if about["file"] in (result_name(path), "") else f"a copy of {about['file']}"


def result_name(path):
    """A path from the folder `results` on, wherever that lies; empty for other files."""
    parts = Path(path).parts
    return "/".join(parts[len(parts) - 1 - parts[::-1].index(RESULTS) :]) if RESULTS in parts else ""


def record(path=""):
    """The record of the running job for its file `path`, a dict that JSON can hold; without a job just the versions."""
    own = dict(file=result_name(path), format=FORMAT, seal=CHECKSUM_PLACEHOLDER)
    if _job is None:
        return own | dict(stage=None, versions=versions(), history={})
    earlier = [read(path) for path in _job["inputs"] if path.is_file()]
    cost = dict(stage=_job["stage"], seconds=round(time.monotonic() - _job["started"], 3), peak_memory_mb=peak_memory_mb())
    inputs, history = ({k: v for one in earlier for k, v in one.get(part, {}).items()} for part in ("inputs", "history"))
    return own | dict(
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
    """Digest of what a result holds, whenever and by whom it was made: rows of a table, tensors, JSON; of another file's bytes."""
    if Path(path).suffix == ".parquet":
        stored = (pq.read_metadata(path).metadata or {}).get(b"digest")
        if stored:
            return stored.decode()
    if result_name(path) and Path(path).suffix == ".safetensors":
        with open(path, "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            names = json.dumps({name: about for name, about in header.items() if name != "__metadata__"}, sort_keys=True)
            return hashlib.file_digest(file, lambda: hashlib.sha256(names.encode())).hexdigest()
    if result_name(path) and Path(path).suffix == ".json":
        content = {name: value for name, value in read_json(path).items() if name != KEY}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
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
    return round(most_memory_mb() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * BYTES_A_UNIT / 1e6)


def most_memory_mb():
    """Largest resident memory so far of this process alone, in 10⁶ bytes.

    Linux counts into `ru_maxrss` what the process that started this one had, but not into what /proc says.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_A_UNIT / 1e6
