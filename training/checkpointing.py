"""Training checkpoints, and finished parts of other jobs: save and resume.

`workflow/scripts/stage.py` opens `keep_checkpoints(...)` around each job. Every call of `training.fit.fit` inside asks
`next_slot()` where to save; a job that writes its output in parts asks `parts_folder()`. Checkpoints and parts are kept next to the
job's first output, in a hidden folder whose name contains a digest of the job's code, settings and inputs, so that a job never
resumes from those of another one. Snakemake deletes the outputs of a failed job, but not this folder.
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
    """A job that trains once or several times, one run after the other, or that writes its output in parts."""

    output: Path
    identity: object
    inputs: list
    curves: Path
    interval_seconds: float
    num_runs: int = 0
    has_parts: bool = False

    @cached_property
    def folder(self):
        """Folder of this job's checkpoints; folders with another digest are deleted."""
        digests = {str(path): provenance.digest(path) for path in map(Path, self.inputs) if path.is_file()}
        text = json.dumps([self.identity, digests, provenance.versions()], sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        folder = self.output.with_name(f".{self.output.name}.{digest}.state")
        for existing in self.existing_folders():
            if existing != folder:
                shutil.rmtree(existing, ignore_errors=True)
        return folder

    def existing_folders(self):
        """Return the checkpoint folders of this output, with any digest."""
        return [path for path in self.output.parent.glob(".*.state") if path.name.startswith(f".{self.output.name}.")]


@contextlib.contextmanager
def keep_checkpoints(*, output, identity, inputs, curves, interval_seconds):
    """Let the training runs inside save checkpoints, and other jobs parts, and resume from them; delete them after success.

    Args:
        output: a file that the job writes. The checkpoints are saved next to it.
        identity: JSON-like value on which the job's results depend in addition to its inputs, such as code and settings.
        inputs: paths of the files that the job reads.
        curves: folder for the learning curves that TensorBoard shows.
        interval_seconds: seconds between two checkpoints; 0 saves none.
    """
    global _job
    _job = Job(Path(output), identity, list(inputs), Path(curves), interval_seconds)
    try:
        yield
        if (_job.num_runs or _job.has_parts) and not launched_rank():
            for folder in _job.existing_folders():
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        _job = None


@dataclass
class CheckpointSlot:
    """Where one training run saves its checkpoint and its learning curves. Both paths are None outside of a job."""

    path: Path | None = None
    curves: Path | None = None
    interval_seconds: float = 0.0
    saved_at: float = field(default_factory=time.monotonic)

    def load(self):
        """Return the last checkpoint with its tensors on the CPU, or None if there is none.

        Raises:
            ValueError: if the file cannot be read.
        """
        import torch

        if self.path is None or not self.path.exists():
            return None
        try:
            return torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file can raise almost any error
            raise data_error(
                self.path,
                "a checkpoint must be readable",
                expected="a file that torch.load can read",
                got=f"{error!s:.200}",
                remedy=f"delete the folder {self.path.parent} and run again: training starts from the beginning",
            ) from error

    def is_due(self):
        """Return whether it is time to save a checkpoint."""
        return self.path is not None and time.monotonic() - self.saved_at >= self.interval_seconds

    def save(self, state):
        """Save a dict of tensors and plain values atomically, in place of the last checkpoint."""
        import torch

        if self.path is not None:
            with atomic(self.path) as temporary:
                torch.save(state, temporary)
            self.saved_at = time.monotonic()


def next_slot(seed):
    """Return the `CheckpointSlot` of the job's next training run, which uses this seed."""
    if _job is None:
        return CheckpointSlot()
    _job.num_runs += 1
    name = f"run{_job.num_runs}_seed{seed}"
    path = _job.folder / f"{name}.pt" if _job.interval_seconds else None
    return CheckpointSlot(path, _job.curves / name, _job.interval_seconds)


def parts_folder():
    """Return the folder for the finished parts of the running job's output, or None outside of a job.

    A job that was killed finds its parts here. After success they are deleted.
    """
    if _job is None:
        return None
    _job.has_parts = True
    _job.folder.mkdir(parents=True, exist_ok=True)
    return _job.folder
