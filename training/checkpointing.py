"""What a training job keeps on disk, so that after an interruption it goes on as if there had been none.

The shim opens one `keeping(...)` a job; every `training.fit.fit` inside asks `next_run()` for its place. The state
lies beside the job's first output, under a name that only the same code, settings and inputs have: a stale one is never
taken up. Snakemake deletes the outputs of a job that failed, and does not know this folder.
"""

import contextlib
import hashlib
import json
import shutil
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from storage import provenance
from storage.errors import data_error
from storage.files import atomic
from training.parallel import launched_rank

_job = None


@dataclass
class Job:
    """A job that may train several times, one run after the other."""

    beside: Path
    about: object
    inputs: list
    curves: Path
    every_seconds: float
    num_runs: int = 0

    @cached_property
    def folder(self):
        """Where its states lie: a name made of a digest of all that they follow from. Those of other digests go."""
        digests = {str(path): provenance.digest(path) for path in map(Path, self.inputs) if path.is_file()}
        text = json.dumps([self.about, digests, provenance.versions()], sort_keys=True, default=str)
        found = self.beside.with_name(f".{self.beside.name}.{hashlib.sha256(text.encode()).hexdigest()[:16]}.state")
        for folder in self.others():
            if folder != found:
                shutil.rmtree(folder, ignore_errors=True)
        return found

    def others(self):
        """Folders of states of this job, whatever their digest."""
        return [path for path in self.beside.parent.glob(".*.state") if path.name.startswith(f".{self.beside.name}.")]


@contextlib.contextmanager
def keeping(*, beside, about, inputs, curves, every_seconds):
    """Training inside keeps its state, every `every_seconds` (0: never); when all went well the state goes.

    beside: a file that the job writes; about: what else than the files `inputs` its results follow from, such as code and
    settings; curves: the folder where what TensorBoard reads is written.
    """
    global _job
    _job = Job(Path(beside), about, list(inputs), Path(curves), every_seconds)
    try:
        yield
        if _job.num_runs and not launched_rank():
            for folder in _job.others():
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        _job = None


@dataclass
class Place:
    """Where one run keeps its state and its curves; nowhere outside of a job."""

    state: Path | None = None
    curves: Path | None = None
    every_seconds: float = 0.0
    saved: float = field(default_factory=time.monotonic)

    def load(self):
        """The state that was saved last, its tensors on the CPU, or None. Raises `ValueError` where it cannot be read."""
        import torch

        if self.state is None or not self.state.exists():
            return None
        try:
            return torch.load(self.state, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever goes wrong in a damaged file
            raise data_error(
                self.state,
                "the state of an interrupted training can be read",
                expected="what was saved",
                got=f"{error!s:.200}",
                remedy=f"delete the folder {self.state.parent}, then run again: training begins anew",
            ) from error

    def is_due(self):
        """Whether it is time to save again."""
        return self.state is not None and time.monotonic() - self.saved >= self.every_seconds

    def save(self, state):
        """Save tensors and plain values; what was saved before is replaced when the new file is whole."""
        import torch

        if self.state is not None:
            with atomic(self.state) as temporary:
                torch.save(state, temporary)
            self.saved = time.monotonic()


def next_run(seed):
    """The `Place` of the job's next run."""
    if _job is None:
        return Place()
    _job.num_runs += 1
    name = f"run{_job.num_runs}_seed{seed}"
    state = _job.folder / f"{name}.pt" if _job.every_seconds else None
    return Place(state, _job.curves / name, _job.every_seconds)
