"""Pre-training of the unit LM: the loss, the files, and the same model for the same seed."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from storage.files import read_json
from storage.schemas import TRAINING
from ulm.model import load, num_parameters
from ulm.pretrain_ulm import Pretraining, PretrainingBatch, pretrain_ulm, read_rows
from ulm.pseudo_tasks import TaskPrompts
from ulm.vocabulary import EOS, SEPARATOR


def test_rows_are_read_once_each_and_without_the_test_split(tmp_path):
    rows = [("b", "train", [1, 2]), ("a", "train", [3]), ("c", "train", [1, 2]), ("d", "dev", [2]), ("e", "test", [0])]
    table = [dict(utterance_id=n, split=s, codebook="c", units=u, durations=[1] * len(u)) for n, s, u in rows]
    tables.write(tmp_path / "u.parquet", table, REDUCED_UNITS)
    by_split = read_rows([tmp_path / "u.parquet"], {0: 4, 1: 9, 2: 7, 3: 5})
    assert {split: [row.tolist() for row in rows] for split, rows in by_split.items()} == dict(train=[[5], [9, 7]], dev=[[7]])


def test_the_loss_covers_every_unit_and_the_separator_given_those_before(lm):
    pretraining = Pretraining(lm, TaskPrompts(lm.config, 0, 1))
    rows = [np.array([5, 9, 7]), np.array([8])]
    loss, num_targets = pretraining.unit_loss(rows)[:2]
    expected = 0.0
    for row in rows:
        log_probabilities = lm(torch.tensor([[EOS, *row]]))[0].log_softmax(-1)
        expected -= sum(float(log_probabilities[i, token]) for i, token in enumerate([*row, SEPARATOR]))
    assert num_targets == 6 and math.isclose(float(loss), expected, rel_tol=1e-4)


def test_a_source_can_be_read_under_the_prompt_of_its_task(lm):
    torch.manual_seed(0)
    pretraining = Pretraining(lm, TaskPrompts(lm.config, 3, 2))
    rows, tasks, answers = [np.array([5, 9, 7]), np.array([8, 4])], np.array([[2], [0]]), np.array([[6], [9]])
    loss, num_targets = pretraining.loss(PretrainingBatch(rows, tasks, answers, True), 2.0)
    units, answered = 0.0, 0.0
    for row, task, answer in zip(rows, tasks, answers):
        prompt_key_values = pretraining.prompts.key_values(lm, torch.from_numpy(task)[None])
        inputs = lm.embed(torch.tensor([[EOS, *row, SEPARATOR]]), 0, (SEPARATOR, pretraining.prompts.separators[task]))
        log_probabilities = lm.logits(lm.hidden(inputs, prompt_key_values)[0])[0].log_softmax(-1)
        units -= sum(float(log_probabilities[i, token]) for i, token in enumerate([*row, SEPARATOR]))
        answered -= float(log_probabilities[-1, answer]) / len(rows)
    assert num_targets == 7 and math.isclose(float(loss), units + 2.0 * num_targets * answered, rel_tol=1e-4)


@pytest.mark.slow
def test_the_files_of_the_stage_can_be_loaded(pretrained):
    lm = load(pretrained / "model.safetensors", pretrained / "config.json")
    assert read_json(pretrained / "config.json")["num_parameters"] == num_parameters(lm)
    prompts = load_file(pretrained / "task_prompts.safetensors")
    assert {name: tensor.shape[0] for name, tensor in prompts.items()} == dict(keys=4, values=4, separators=4)
    assert all(tensor.isfinite().all() for tensor in prompts.values())
    curve = tables.read(pretrained / "pretrain_ulm.parquet", TRAINING).to_pandas()
    assert set(curve["update"]) == {3, 6} and {"train", "dev"} == set(curve.split)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_tensors(task, pretrained, tmp_path, run_stage, pretraining_settings):
    run_stage(pretrain_ulm, tmp_path, task, **pretraining_settings())
    for file in ("model.safetensors", "task_prompts.safetensors"):
        first, second = load_file(pretrained / file), load_file(tmp_path / file)
        assert set(first) == set(second) and all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_to_the_same_tensors_and_curve(
    task, pretrained, tmp_path, run_stage, pretraining_settings, interrupted
):
    call = lambda: run_stage(pretrain_ulm, tmp_path, task, **pretraining_settings())  # noqa: E731
    interrupted(call, tmp_path / "model.safetensors", updates=[4])
    for file in ("model.safetensors", "task_prompts.safetensors"):
        first, second = load_file(pretrained / file), load_file(tmp_path / file)
        assert set(first) == set(second) and all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    curves = [tables.read(folder / "pretrain_ulm.parquet", TRAINING).drop_columns("seconds") for folder in (pretrained, tmp_path)]
    assert curves[0].equals(curves[1])


@pytest.mark.slow
def test_a_plain_unit_lm_has_no_pseudo_tasks(task, tmp_path, run_stage, pretraining_settings):
    changes = dict(pseudo_tasks=dict(num_tasks=0), num_updates=2, optimization=dict(evaluate_every=2))
    run_stage(pretrain_ulm, tmp_path, task, **pretraining_settings(**changes))
    assert load_file(tmp_path / "task_prompts.safetensors")["keys"].shape[0] == 0
    assert load(tmp_path / "model.safetensors", tmp_path / "config.json").config.num_layers == 2
