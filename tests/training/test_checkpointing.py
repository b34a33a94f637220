"""What a training job keeps: taken up by the same job only, never torn, gone when all went well."""

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

from training import checkpointing as training_state
from training import fit as training
from training.checkpointing import keeping
from training.fit import Drawn, fit
from training.parallel import Team

HOW = dict(
    num_updates=12, learning_rate=0.05, warmup_updates=3, clip_norm=1.0, betas=(0.9, 0.98), weight_decay=0.01, evaluate_every=4,
    seed=3, batches_per_update=2, rate_factors={},
)  # fmt: skip


class Net(nn.Module):
    """Dropout, and a buffer that training changes."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))

    def error(self, x):
        return (self.layers(x)[:, 0] - x.sum(1)).square().float()


def drawn(number):
    return Drawn(count(), lambda _, rng: torch.from_numpy(rng.standard_normal((8, 4)).astype(np.float32)), [3, number])


def replayed(number):
    """The same without `skip`."""
    return (batch for batch in drawn(number))


def train(batches=drawn, **changed):
    """Tensors and curve of a run; the dev loss rises in the end, so that the best is not the last."""
    torch.manual_seed(0)
    net, fixed = Net(), torch.randn(16, 4)
    dev = count()
    evaluate = lambda: dict(loss=float(net.error(fixed).mean()), turn=next(dev))  # noqa: E731
    loss = lambda x: (net.error(x).sum(), len(x))  # noqa: E731
    curve = fit(net, loss=loss, batches=batches, evaluate=evaluate, **HOW | changed)
    return net.state_dict(), [(r["update"], r["split"], r["value"]) for r in curve if r["measure"] == "loss"]


def job(folder, about="x", inputs=(), every_seconds=1e-9):
    return keeping(
        beside=folder / "model.safetensors", about=about, inputs=inputs, curves=folder / "curves", every_seconds=every_seconds
    )


def stop_at(update, monkeypatch, folder, **changed):
    """A job that fails before its n-th update."""
    compute, calls = training._compute_gradients, count(1)

    def failing(*arguments):
        if next(calls) == update:
            raise KeyboardInterrupt
        return compute(*arguments)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt), job(folder, **changed):
        patched.setattr(training, "_compute_gradients", failing)
        train(batches_per_update=1)
    return list(folder.glob(".model.safetensors.*.state/*"))


def same(one, two):
    return one[1] == two[1] and all(torch.equal(tensor, two[0][name]) for name, tensor in one[0].items())


@pytest.mark.parametrize("batches", [drawn, replayed])
def test_killed_at_random_updates_it_ends_with_the_same_tensors_and_curve(tmp_path, interrupted, batches):
    found = []
    updates = np.random.default_rng(len(batches.__name__)).integers(4, 8, 2).tolist()
    interrupted(lambda: found.append(train(batches)), tmp_path / "model.safetensors", updates)
    assert same(found[0], train(batches)) and len(found[0][1]) == 6


def test_what_comes_after_training_draws_the_same_numbers(tmp_path, monkeypatch):
    train(batches_per_update=1)
    expected = torch.rand(3)
    stop_at(6, monkeypatch, tmp_path)
    with job(tmp_path):
        train(batches_per_update=1)
    assert torch.equal(torch.rand(3), expected)


def test_numbers_do_not_depend_on_how_many_processes_draw_them(monkeypatch):
    two = train()
    monkeypatch.setattr(training, "team", lambda size: nullcontext(Team(0, 1)))
    one = train()
    for name, tensor in one[0].items():
        if "running" not in name and "tracked" not in name:  # each process has its own statistics
            torch.testing.assert_close(two[0][name], tensor, rtol=0, atol=1e-3)  # products may be in bfloat16


@pytest.mark.parametrize("change", ["about", "inputs"])
def test_the_state_of_another_job_is_not_taken_up_but_removed(tmp_path, monkeypatch, capfd, change):
    old = stop_at(6, monkeypatch, tmp_path)
    assert len(old) == 1
    (tmp_path / "input.txt").write_text("1")
    with job(tmp_path, **{change: dict(about="y", inputs=[tmp_path / "input.txt"])[change]}):
        found = train(batches_per_update=1)
        assert not old[0].exists()
    assert "going on" not in capfd.readouterr().out and same(found, train(batches_per_update=1))
    assert not list(tmp_path.glob(".*"))


def test_a_state_that_is_damaged_is_named(tmp_path, monkeypatch):
    (file,) = stop_at(6, monkeypatch, tmp_path)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with (
        pytest.raises(ValueError, match=rf"{file.name}: the state .* can be read; .* delete the folder {file.parent}"),
        job(tmp_path),
    ):
        train(batches_per_update=1)


def test_where_it_fails_while_saving_the_state_before_stays(tmp_path, monkeypatch):
    (file,) = stop_at(6, monkeypatch, tmp_path)
    before = file.read_bytes()

    def half(state, path):
        Path(path).write_bytes(b"half")
        raise OSError("no space")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="no space"), job(tmp_path):
        patched.setattr(torch, "save", half)
        train(batches_per_update=1)
    assert file.read_bytes() == before and list(file.parent.iterdir()) == [file]


def test_without_a_job_and_without_an_interval_nothing_is_saved(tmp_path, monkeypatch):
    assert stop_at(6, monkeypatch, tmp_path, every_seconds=0) == []
    assert training_state.next_run(1).state is None


def test_tensorboard_reads_the_curve(tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    stop_at(10, monkeypatch, tmp_path)
    with job(tmp_path):
        expected = train(batches_per_update=1)[1]
    events = EventAccumulator(str(tmp_path / "curves/run1_seed3")).Reload()
    assert set(events.Tags()["scalars"]) == {"loss/train", "loss/dev", "turn/dev"}
    for split in ("train", "dev"):
        found = [(event.step, event.value) for event in events.Scalars(f"loss/{split}")]
        assert found == [(update, pytest.approx(value, rel=1e-6)) for update, of, value in expected if of == split]


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


def test_processes_of_torchrun_find_what_forked_ones_find(tmp_path):
    """Both of them, as both go on."""
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
