"""Fixtures that tests of several packages use, and how tests are spread over processes."""

import os
import signal
from itertools import count
from pathlib import Path

# One compute thread per process, before torch is imported: tiny models gain nothing from a second one, and the tests run in
# as many processes as there are cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

from training import fit as fit_module
from training.checkpointing import CheckpointSlot, keep_checkpoints

# Modules in tests/workflow that use the finished run of the whole pipeline (the fixture `project`), with those in faults/.
USERS_OF_PROJECT = (
    "test_contracts", "test_docs", "test_encoders", "test_end_to_end", "test_inference", "test_predictions", "test_superb",
)  # fmt: skip


def shares_run(file):
    """Return whether tests of a file may use the fixture `project`."""
    return "workflow" in file.parts and (file.parent.name == "faults" or file.stem in USERS_OF_PROJECT)


class SharedRunScheduling(LoadScopeScheduling):
    """Give each process whole files, and all files that use the finished run of the pipeline to the same process."""

    def _split_scope(self, nodeid):
        file = Path(nodeid.split("::")[0])
        return "project" if shares_run(file) else str(file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return SharedRunScheduling(config, log)


@pytest.hookimpl(tryfirst=True)  # before pytest filters by marks
def pytest_collection_modifyitems(items):
    """Mark tests that run Snakemake as slow, and begin with those that use the finished run, since they take longest."""
    for item in items:
        if "new_project" in item.fixturenames:
            item.add_marker(pytest.mark.slow)
        if "project" in item.fixturenames and not shares_run(item.path):
            raise pytest.UsageError(f"{item.path}: uses `project`; add the module to USERS_OF_PROJECT in tests/conftest.py")
    items.sort(key=lambda item: not shares_run(item.path))


@pytest.fixture
def interrupted(capfd):
    """Return `run(call, output, updates)`: run `call` as a job, kill it once at each of the updates, then let it finish."""

    def job(call, output):
        curves = output.parent / "curves"
        with keep_checkpoints(output=output, identity="test", inputs=[], curves=curves, interval_seconds=1e-9):
            call()

    def run(call, output, updates):
        for update in updates:
            child = os.fork()
            if child == 0:
                _die_at(update, lambda: job(call, output))
            assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        assert "resuming" not in capfd.readouterr().out or len(updates) > 1
        job(call, output)
        assert "resuming after update" in capfd.readouterr().out
        assert not list(output.parent.glob(".*"))

    return run


def _die_at(update, call):
    """In a forked process: save a checkpoint after every second update, and send SIGKILL before the given update."""
    compute_gradients = fit_module._compute_gradients
    num_updates = count(1)
    num_due_checks = count(1)

    def compute_or_die(*arguments):
        if next(num_updates) == update:
            os.kill(os.getpid(), signal.SIGKILL)
        return compute_gradients(*arguments)

    try:
        torch.set_num_threads(1)
        fit_module._compute_gradients = compute_or_die
        CheckpointSlot.is_due = lambda self: next(num_due_checks) % 2 == 0
        call()
    finally:
        os._exit(1)
