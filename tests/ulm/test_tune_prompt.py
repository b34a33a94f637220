"""Prompt tuning: only the prompt changes, and the same seed gives the same prompt."""

from itertools import repeat

import pytest
import torch
from safetensors.torch import load_file

from storage import tables
from storage.schemas import TRAINING
from training.fit import fit
from ulm.prompt import DeepPrompt
from ulm.tune_prompt import initial_prompt, tune_prompt
from ulm.tuned import TunedLM
from ulm.vocabulary import EOS, SEPARATOR

PAIRS = [([5, 9, 12], [SEPARATOR, 7, EOS]), ([6, 7], [SEPARATOR, 20, EOS]), ([8, 9, 8, 9, 8], [SEPARATOR, 7, EOS])]
BATCH = tuple(zip(*PAIRS))
SETTINGS = dict(
    learning_rate=0.05,
    warmup_updates=0,
    clip_norm=1.0,
    betas=(0.9, 0.98),
    weight_decay=0.0,
    rate_factors={},
    seed=1,
    batches_per_update=1,
)


@pytest.fixture
def folders(pretrained, tmp_path):
    """Two folders with the same unit LM."""
    both = [tmp_path / "one", tmp_path / "two"]
    for folder in both:
        folder.mkdir()
        for name in ("model.safetensors", "config.json", "task_prompts.safetensors"):
            (folder / name).symlink_to(pretrained / name)
    return both


@pytest.fixture
def tuned_twice(task, folders, run_stage, tuning_settings):
    """Two folders in which the stage has run with the same settings and the seeds 1 and 2."""
    for folder in folders:
        run_stage(tune_prompt, folder, task, seeds=[1, 2], **tuning_settings())
    return folders


@pytest.mark.parametrize("scope", ["all", "target"])
def test_only_the_prompt_changes(lm, scope):
    tuned = TunedLM(lm, DeepPrompt(lm.config, 2), scope, 0.1)
    before = {name: tensor.clone() for name, tensor in tuned.state_dict().items()}
    steps = dict(num_updates=5, evaluate_every=5)
    fit(tuned, loss=tuned.loss, batches=lambda _: repeat(BATCH), evaluate=lambda: tuned.measures([BATCH]), **steps, **SETTINGS)
    changed = {name for name, tensor in tuned.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"prompt.keys", "prompt.values", "prompt.separator"}


@pytest.mark.slow
def test_tuning_learns(lm):
    tuned = TunedLM(lm, DeepPrompt(lm.config, 4), "target", 0.0)
    start = tuned.measures([BATCH])
    steps = dict(num_updates=80, evaluate_every=20)
    fit(tuned, loss=tuned.loss, batches=lambda _: repeat(BATCH), evaluate=lambda: tuned.measures([BATCH]), **steps, **SETTINGS)
    end = tuned.measures([BATCH])
    assert end["loss"] < 0.8 * start["loss"] and end["accuracy"] > start["accuracy"]


@pytest.mark.slow
def test_the_same_seeds_give_the_same_tensors_and_other_seeds_do_not(tuned_twice):
    first, second = (load_file(folder / "prompt.safetensors") for folder in tuned_twice)
    assert set(first) == {f"seed{s}.prompt.{name}" for s in (1, 2) for name in ("keys", "values", "separator")}
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert not torch.equal(first["seed1.prompt.keys"], first["seed2.prompt.keys"])
    curves = [tables.read(folder / "tune_prompt.parquet", TRAINING).drop_columns("seconds") for folder in tuned_twice]
    assert curves[0].equals(curves[1]) and set(curves[0]["seed"].to_pylist()) == {1, 2}


@pytest.mark.slow
@pytest.mark.parametrize("scope, updates", [("all", [5]), ("target", [4, 6])])
def test_a_run_that_was_killed_goes_on_to_the_same_tensors_and_curves(
    task, folders, run_stage, tuning_settings, interrupted, scope, updates
):
    """In the second case it is killed while it trains with the second seed."""
    call = lambda folder: run_stage(tune_prompt, folder, task, seeds=[1, 2], **tuning_settings(prompt=dict(scope=scope)))  # noqa: E731
    call(folders[0])
    interrupted(lambda: call(folders[1]), folders[1] / "prompt.safetensors", updates)
    first, second = (load_file(folder / "prompt.safetensors") for folder in folders)
    assert set(first) == set(second) and all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    curves = [tables.read(folder / "tune_prompt.parquet", TRAINING).drop_columns("seconds") for folder in folders]
    assert curves[0].equals(curves[1])


def test_a_prompt_may_start_from_the_pseudo_tasks(lm):
    torch.manual_seed(0)
    task_prompts = dict(keys=torch.randn(3, 2, 4, 16), values=torch.randn(3, 2, 4, 16), separators=torch.randn(3, 16))
    prompt = initial_prompt(lm, task_prompts, kind="deep", length=5, dropout=0.0, initialization="pseudo_task")
    for i in range(5):  # each position has the keys and values, in all layers, of one position of one task
        same = [
            (t, r) for t in range(3) for r in range(4)
            if torch.equal(prompt.keys[:, i], task_prompts["keys"][t, :, r])
            and torch.equal(prompt.values[:, i], task_prompts["values"][t, :, r])
        ]  # fmt: skip
        assert len(same) == 1
    torch.testing.assert_close(prompt.separator.data, task_prompts["separators"].mean(0))
    prompt.keys.data.zero_()
    assert task_prompts["keys"].abs().min() > 0  # a copy


def test_a_prompt_may_start_at_random(lm):
    task_prompts = dict(keys=torch.zeros(0, 2, 4, 16), values=torch.zeros(0, 2, 4, 16), separators=torch.zeros(0, 16))
    torch.manual_seed(0)
    prompt = initial_prompt(lm, task_prompts, kind="deep", length=200, dropout=0.0, initialization="normal")
    assert prompt.keys.shape == (2, 200, 16) and prompt.values.std().item() == pytest.approx(1, abs=0.05)
    torch.manual_seed(0)
    as_published = initial_prompt(lm, task_prompts, kind="deep", length=200, dropout=0.0, initialization="standard_normal")
    assert torch.equal(as_published.keys, prompt.keys)
    assert torch.equal(as_published.separator, 4 * prompt.separator)  # the square root of the width
    with pytest.raises(
        ValueError,
        match="expected a unit LM that was pre-trained on pseudo-tasks, got one without; write speechprompt into the column",
    ):
        initial_prompt(lm, task_prompts, kind="deep", length=2, dropout=0.0, initialization="pseudo_task")
