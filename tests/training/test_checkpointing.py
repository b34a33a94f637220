"""Checkpoints: only the same job resumes from them, they are never half-written, and they are deleted after success."""

import os
import subprocess
import sys
from contextlib import nullcontext
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from training import fit as fit_module
from training.checkpointing import keep_checkpoints, next_slot, parts_folder
from training.fit import SeededBatches, fit
from training.parallel import Team

SETTINGS = dict(
    num_updates=12,
    batches_per_update=2,
    learning_rate=0.05,
    rate_factors={},
    warmup_updates=3,
    clip_norm=1.0,
    betas=(0.9, 0.98),
    weight_decay=0.01,
    evaluate_every=4,
    seed=3,
)


class Net(nn.Module):
    """A network with dropout and with buffers that training changes.

    The first layer has no bias: batch normalisation cancels it, so that its gradient would be rounding errors, which AdamW
    scales up to full steps.
    """

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))

    def error(self, x):
        return (self.layers(x)[:, 0] - x.sum(1)).square().float()


def seeded(number):
    return SeededBatches(count(), lambda _, rng: torch.from_numpy(rng.standard_normal((8, 4)).astype(np.float32)), [3, number])


def replayed(number):
    """The same batches from an iterator without `skip`."""
    return (batch for batch in seeded(number))


def train(batches=seeded, **changed):
    """Return tensors and curve of a run."""
    torch.manual_seed(0)
    net = Net()
    dev_inputs = torch.randn(16, 4)
    num_evaluations = count()
    evaluate = lambda: dict(loss=float(net.error(dev_inputs).mean()), turn=next(num_evaluations))  # noqa: E731
    loss = lambda x: (net.error(x).sum(), len(x))  # noqa: E731
    curve = fit(net, loss=loss, batches=batches, evaluate=evaluate, **SETTINGS | changed)
    return net.state_dict(), [(row["update"], row["split"], row["value"]) for row in curve if row["measure"] == "loss"]


def job(folder, identity="x", inputs=(), interval_seconds=1e-9):
    return keep_checkpoints(
        output=folder / "model.safetensors",
        identity=identity,
        inputs=inputs,
        curves=folder / "curves",
        interval_seconds=interval_seconds,
    )


def stop_at(update, monkeypatch, folder, **changed):
    """Run a job that fails before the given update; return its checkpoints."""
    compute_gradients = fit_module._compute_gradients
    num_updates = count(1)

    def failing(*arguments):
        if next(num_updates) == update:
            raise KeyboardInterrupt
        return compute_gradients(*arguments)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt), job(folder, **changed):
        patched.setattr(fit_module, "_compute_gradients", failing)
        train(batches_per_update=1)
    return list(folder.glob(".model.safetensors.*.state/*"))


def equal_runs(first, second):
    """Return whether two results of `train` are bit-identical."""
    return first[1] == second[1] and all(torch.equal(tensor, second[0][name]) for name, tensor in first[0].items())


@pytest.mark.slow
@pytest.mark.parametrize("batches, kills_seed", [(seeded, 5), (replayed, 8)])
def test_a_killed_run_resumes_with_the_same_tensors_and_curve(tmp_path, interrupted, batches, kills_seed):
    runs = []
    updates = np.random.default_rng(kills_seed).integers(4, 8, 2).tolist()
    interrupted(lambda: runs.append(train(batches)), tmp_path / "model.safetensors", updates)
    assert equal_runs(runs[0], train(batches)) and len(runs[0][1]) == 6


@pytest.mark.slow
def test_random_numbers_after_training_do_not_depend_on_an_interruption(tmp_path, monkeypatch):
    train(batches_per_update=1)
    expected = torch.rand(3)
    stop_at(6, monkeypatch, tmp_path)
    with job(tmp_path):
        train(batches_per_update=1)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.slow
def test_results_do_not_depend_on_the_number_of_processes(monkeypatch):
    two_processes, _ = train()
    monkeypatch.setattr(fit_module, "team", lambda size: nullcontext(Team(0, 1)))
    one_process, _ = train()
    for name, tensor in one_process.items():
        if "running" not in name and "tracked" not in name:  # each process has its own batch statistics
            torch.testing.assert_close(two_processes[name], tensor, rtol=0, atol=1e-3)  # products may be in bfloat16


@pytest.mark.slow
@pytest.mark.parametrize("change", ["identity", "inputs"])
def test_the_checkpoint_of_another_job_is_not_used_but_removed(tmp_path, monkeypatch, capfd, change):
    (checkpoint,) = stop_at(6, monkeypatch, tmp_path)
    (tmp_path / "input.txt").write_text("1")
    changes = dict(identity="y", inputs=[tmp_path / "input.txt"])
    with job(tmp_path, **{change: changes[change]}):
        run = train(batches_per_update=1)
        assert not checkpoint.exists()
    assert "resuming" not in capfd.readouterr().out and equal_runs(run, train(batches_per_update=1))
    assert not list(tmp_path.glob(".*"))


def test_the_error_names_a_damaged_checkpoint(tmp_path, monkeypatch):
    (file,) = stop_at(6, monkeypatch, tmp_path)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with (
        pytest.raises(ValueError, match=rf"{file.name}: a checkpoint must be readable; .* delete the folder {file.parent} "),
        job(tmp_path),
    ):
        train(batches_per_update=1)


def test_a_failed_save_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    (file,) = stop_at(6, monkeypatch, tmp_path)
    before = file.read_bytes()

    def write_half(state, path):
        Path(path).write_bytes(b"half")
        raise OSError("no space")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="no space"), job(tmp_path):
        patched.setattr(torch, "save", write_half)
        train(batches_per_update=1)
    assert file.read_bytes() == before and list(file.parent.iterdir()) == [file]


def test_nothing_is_saved_without_a_job_or_with_interval_0(tmp_path, monkeypatch):
    assert stop_at(6, monkeypatch, tmp_path, interval_seconds=0) == []
    assert next_slot(1).path is None


def test_parts_are_kept_until_the_job_has_succeeded_and_are_not_those_of_another(tmp_path):
    with pytest.raises(KeyboardInterrupt), job(tmp_path, interval_seconds=0):
        (parts_folder() / "part").touch()
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), job(tmp_path, interval_seconds=0):
        assert (parts_folder() / "part").exists()
        raise KeyboardInterrupt
    with job(tmp_path, identity="y"):
        assert not list(parts_folder().iterdir())
    assert not list(tmp_path.glob(".*")) and parts_folder() is None


@pytest.mark.slow
def test_tensorboard_reads_the_curve(tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    stop_at(10, monkeypatch, tmp_path)
    with job(tmp_path):
        expected = train(batches_per_update=1)[1]
    events = EventAccumulator(str(tmp_path / "curves/run1_seed3")).Reload()
    assert set(events.Tags()["scalars"]) == {"loss/train", "loss/dev", "turn/dev"}
    for split in ("train", "dev"):
        shown = [(event.step, event.value) for event in events.Scalars(f"loss/{split}")]
        assert shown == [(row[0], pytest.approx(row[2], rel=1e-6)) for row in expected if row[1] == split]


LAUNCHED = """
import importlib.util, sys
import torch
from safetensors.torch import save_file
sys.path.insert(0, {root!r})
spec = importlib.util.spec_from_file_location("here", {file!r})
here = importlib.util.module_from_spec(spec)
spec.loader.exec_module(here)
from training.parallel import launched_rank
tensors, curve = here.train()
save_file(tensors | dict(curve=torch.tensor([value for *_, value in curve])), {folder!r} + "/" + str(launched_rank()))
"""


@pytest.mark.slow
def test_torchrun_and_forked_processes_give_the_same_results(tmp_path):
    """Under torchrun both processes return the results."""
    from safetensors.torch import load_file

    script = tmp_path / "train.py"
    script.write_text(LAUNCHED.format(root=str(Path(__file__).parents[2]), file=__file__, folder=str(tmp_path)))
    for launcher in (["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"], []):
        environment = os.environ | dict(OMP_NUM_THREADS="1", GLOO_SOCKET_IFNAME="lo")
        subprocess.run([sys.executable, *launcher, str(script)], check=True, env=environment, timeout=300)
    first, second, forked = (load_file(tmp_path / name) for name in ("0", "1", "None"))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    for name, tensor in first.items():
        torch.testing.assert_close(forked[name], tensor, rtol=0, atol=1e-4)
