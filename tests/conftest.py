"""What tests of several packages need."""

import os
import signal
from itertools import count

import pytest
import torch

from training import checkpointing as training_state
from training import fit as training


@pytest.fixture
def interrupted(capfd):
    """Function (call, beside, updates): `call` within a job, killed once at each of the updates, then run to its end."""

    def job(call, beside):
        curves = beside.parent / "curves"
        with training_state.keeping(beside=beside, about="test", inputs=[], curves=curves, every_seconds=1e-9):
            call()

    def run(call, beside, updates):
        for update in updates:
            child = os.fork()
            if child == 0:
                _die_at(update, lambda: job(call, beside))
            assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        assert "going on" not in capfd.readouterr().out or len(updates) > 1
        job(call, beside)
        assert "going on after update" in capfd.readouterr().out
        assert not list(beside.parent.glob(".*"))

    return run


def _die_at(update, call):
    """In a fork: SIGKILL before its n-th update, having saved the state after every second one."""
    compute, num_updates, num_asked = training._compute_gradients, count(1), count(1)

    def compute_or_die(*arguments):
        if next(num_updates) == update:
            os.kill(os.getpid(), signal.SIGKILL)
        return compute(*arguments)

    try:
        torch.set_num_threads(1)
        training._compute_gradients = compute_or_die
        training_state.Place.is_due = lambda self: next(num_asked) % 2 == 0
        call()
    finally:
        os._exit(1)
