"""Provenance of a result: stage, settings, digests of the inputs, versions, time and memory.

`workflow/scripts/stage.py` opens one `running(...)` per job, which checks the inputs. Every writer asks `record()` for the record
that goes into its file's metadata. The parts `inputs` and `history` of a record include those of all earlier stages, so that
`acc.json` names them all, even if a table in between was temporary.
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

from storage.errors import data_error
from storage.files import CHECKSUM_LIST, CHECKSUM_PLACEHOLDER, find_damage, read_json, sha256

KEY = "provenance"  # key of the record in a file's metadata or JSON
COSTS = "usage"  # key of the result of `usage` in a JSON report: time and memory differ from run to run
FORMAT = 1  # version of the records and of the files that hold them; files of another version must be made again
RESULTS = "results"  # folder of all results
KINDS = (".parquet", ".safetensors", ".json")  # results that carry a record and a checksum
BYTES_PER_RU_MAXRSS = 1 if sys.platform == "darwin" else 1024
LIBRARIES = (
    "torch",
    "torchaudio",
    "numpy",
    "pyarrow",
    "scikit-learn",
    "faiss-cpu",
    "fairseq-fixed",
    "transformers",
    "peft",
    "snakemake",
)
_job = None


@contextlib.contextmanager
def running(*, job, stage, settings, inputs, external_inputs=()):
    """Attribute every file that the body writes to `job`.

    Args:
        job: unique name, such as the path of the log.
        stage: module of the stage.
        settings: the stage's settings, as JSON-like values.
        inputs: paths that the job reads; folders are ignored.
        external_inputs: paths outside of results/ that it reads. They are recorded, but no stage wrote them, so they are not checked.

    Raises:
        ValueError: if an input is not what its stage wrote; see `find_problem`.
    """
    global _job
    for path in inputs:
        check(path)
    paths = [Path(path) for path in (*inputs, *external_inputs)]
    _job = dict(name=job, stage=stage, settings=settings, inputs=paths, started=time.monotonic())
    try:
        yield
    finally:
        _job = None


def check(path):
    """Check that a result is what its stage wrote; see `find_problem`.

    Raises:
        ValueError: if `find_problem` finds a problem.
    """
    if problem := find_problem(path):
        raise data_error(
            path,
            "a result must be what its stage wrote",
            expected="the file that the stage wrote, with its checksum",
            got=problem,
            remedy="delete it and run the same command again; `snakemake --cores 1 verify` checks all results",
        )


def find_problem(path):
    """Return a text that says what is wrong with a result; empty if nothing is, or if its suffix is not one of `KINDS`."""
    if not result_name(path) or Path(path).suffix not in KINDS or not Path(path).is_file():
        return ""
    if in_checked_folder(path):
        return ""
    if damage := find_damage(path):
        return damage
    stored = read(path)
    if stored.get("format") != FORMAT:
        return f"format {stored.get('format')} of another version of this project, not {FORMAT}"
    return "" if stored["file"] in (result_name(path), "") else f"a copy of {stored['file']}"


def in_checked_folder(path):
    """Return whether a file belongs to a folder with a list of checksums, which is checked as a whole (see `atomic_folder`)."""
    return any((parent / CHECKSUM_LIST).is_file() for parent in list(Path(path).parents)[:2])


def result_name(path):
    """Return the part of a path that begins with its last folder `results`; empty for a file that is not in such a folder."""
    parts = Path(path).parts
    if RESULTS not in parts:
        return ""
    last = len(parts) - 1 - parts[::-1].index(RESULTS)
    return "/".join(parts[last:])


def record(path=""):
    """Return the record of the running job for its file `path`.

    Args:
        path: the file that the record is for.

    Returns:
        A JSON-like dict: `file` (its name below `results`), `format`, `checksum` (a placeholder, see `storage.files`), `stage`,
        `settings`, `inputs` (path → digest), `versions` and `history` (job → stage, seconds, peak memory). Outside of a job
        there are no inputs, settings and costs.
    """
    about_file = dict(file=result_name(path), format=FORMAT, checksum=CHECKSUM_PLACEHOLDER)
    if _job is None:
        return about_file | dict(stage=None, versions=versions(), history={})
    inputs = {}
    history = {}
    files = [file for file in _job["inputs"] if file.is_file()]
    for file in files:
        earlier = read(file)
        inputs |= earlier.get("inputs", {})
        history |= earlier.get("history", {})
    inputs |= {str(file): digest(file) for file in files}
    seconds = round(time.monotonic() - _job["started"], 3)
    history[_job["name"]] = dict(stage=_job["stage"], seconds=seconds, peak_memory_mb=peak_memory_mb())
    job = dict(stage=_job["stage"], settings=_job["settings"])
    return about_file | job | dict(inputs=inputs, versions=versions(), history=history)


def read(path):
    """Return the record in a Parquet, safetensors or JSON file; empty if there is none."""
    path = Path(path)
    if path.suffix == ".parquet":
        return json.loads(_parquet_metadata(path).get(KEY.encode(), b"{}"))
    if path.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(path, "np") as file:
            return json.loads((file.metadata() or {}).get(KEY, "{}"))
    if path.suffix == ".json":
        return read_json(path).get(KEY, {})
    return {}


def digest(path):
    """Return a SHA-256 of a file's content.

    For a result, this is the digest of its rows, tensors or JSON values without the record and the costs. It does not depend on
    the time at which the file was made, on the job that made it or on how long that took. For any other file, it is the digest of its bytes.
    """
    if Path(path).suffix == ".parquet":
        stored = _parquet_metadata(path).get(b"digest")
        if stored:
            return stored.decode()
    if result_name(path) and Path(path).suffix == ".safetensors":
        with open(path, "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            tensors = {name: layout for name, layout in header.items() if name != "__metadata__"}
            layouts = json.dumps(tensors, sort_keys=True)
            return hashlib.file_digest(file, lambda: hashlib.sha256(layouts.encode())).hexdigest()
    if result_name(path) and Path(path).suffix == ".json":
        content = {name: value for name, value in read_json(path).items() if name not in (KEY, COSTS)}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return sha256(path)


def _parquet_metadata(path):
    """Return the metadata in the footer of a Parquet file."""
    import pyarrow.parquet as pq  # not at the top: `inference` works without pyarrow

    return pq.read_metadata(path).metadata or {}


def versions():
    """Return name → version of Python and of the installed libraries that results depend on."""
    numbers = {"python": platform.python_version()}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            numbers[name] = importlib.metadata.version(name)
    return numbers


def usage(history):
    """Return stage → `jobs`, total `seconds` and largest `peak_memory_mb`, from the `history` of a record.

    A job trains all its seeds, so the seconds cover all of them. Interrupted attempts of a job do not count.
    """
    stages = {}
    for job in history.values():
        stage = stages.setdefault(job["stage"], dict(jobs=0, seconds=0.0, peak_memory_mb=0))
        stage["jobs"] += 1
        stage["seconds"] = round(stage["seconds"] + job["seconds"], 3)
        stage["peak_memory_mb"] = max(stage["peak_memory_mb"], job["peak_memory_mb"])
    return stages


def peak_memory_mb():
    """Return the peak resident memory of this process plus that of its largest child process, in 10⁶ bytes."""
    children_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * BYTES_PER_RU_MAXRSS / 1e6
    return round(process_peak_memory_mb() + children_mb)


def process_peak_memory_mb():
    """Return the peak resident memory of this process alone, in 10⁶ bytes.

    On Linux, `ru_maxrss` includes the memory of the parent process before the fork, but /proc does not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_RU_MAXRSS / 1e6
