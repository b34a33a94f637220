"""Teams of forked processes."""

import os

import psutil
import pytest
import torch

from training.parallel import team


def test_a_team_of_one():
    value = torch.ones(3)
    with team(1) as workers:
        workers.all_reduce([value])
    assert (workers.worker, workers.size, value.tolist()) == (0, 1, [1, 1, 1])


@pytest.mark.slow
def test_tensors_become_their_sums_and_one_process_continues(tmp_path):
    process = os.getpid()
    with team(3) as workers:
        first, second = torch.full((2, 2), float(workers.worker)), torch.tensor([10.0**workers.worker])
        workers.all_reduce([first, second])
        (tmp_path / str(workers.worker)).write_text(f"{first.tolist()} {second.item():.0f}")
    assert os.getpid() == process and workers.worker == 0
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == dict.fromkeys("012", "[[3.0, 3.0], [3.0, 3.0]] 111")


def test_random_numbers_differ_between_workers():
    torch.manual_seed(5)
    with team(2) as workers:
        numbers = torch.zeros(2)
        numbers[workers.worker] = torch.rand(1).item()
        workers.all_reduce([numbers])
    torch.manual_seed(5)
    assert numbers[0] == torch.rand(1).item() and numbers[0] != numbers[1]


def children():
    """Processes that this one has started, also those that have ended and were not waited for."""
    return {child.pid for child in psutil.Process().children()}


def test_a_failed_worker_ends_the_team_and_reports_its_error(capfd):
    before = children()
    with pytest.raises(RuntimeError), team(2) as workers:
        if workers.worker == 1:
            raise ValueError("no such file")
        workers.all_reduce([torch.ones(1)])
    assert "ValueError: no such file" in capfd.readouterr().err
    assert children() == before


def test_a_failure_of_the_first_worker_ends_the_others():
    before = children()
    threads = torch.get_num_threads()
    with pytest.raises(ValueError, match="mine"), team(2) as workers:
        if workers.worker == 0:
            raise ValueError("mine")
        workers.all_reduce([torch.ones(1)])
    assert children() == before
    assert torch.get_num_threads() == threads
