"""Fixtures that tests of several packages use, and the order of the test files."""

import os
import signal
from collections import defaultdict
from itertools import count

# One compute thread per process, before torch is imported: tiny models gain nothing from a second one, and the tests run in
# as many processes as there are cores. This file does not import it, because the process that starts them does not need it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


def pytest_addoption(parser):
    parser.addoption("--cases", type=int, metavar="N", help="run at most N cases of each parametrized test")


@pytest.hookimpl(tryfirst=True)  # before pytest filters by marks
def pytest_collection_modifyitems(config, items):
    """Mark tests that run Snakemake as slow, and begin with their folder: its files take longest, and short ones fill the end."""
    for item in items:
        if "new_project" in item.fixturenames:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: "workflow" not in item.path.parts)
    if config.option.cases:
        kept = _sampled(items, config.option.cases)
        config.hook.pytest_deselected(items=list(set(items) - set(kept)))
        items[:] = kept


def _sampled(items, num_cases):
    """Return the tests with at most `num_cases` cases of each, at equal distances, the first among them."""
    cases = defaultdict(list)
    for item in items:
        cases[item.nodeid.partition("[")[0]].append(item)
    return [case for group in cases.values() for case in group[:: -(-len(group) // num_cases)]]


@pytest.fixture
def interrupted(capfd):
    """Return `run(call, output, updates)`: run `call` as a job, kill it once at each of the updates, then let it finish."""
    from training.checkpointing import keep_checkpoints

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
    import torch

    from training import fit as fit_module
    from training.checkpointing import CheckpointSlot

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
