"""Sampling: every dev and test row under every seed, legal answers only."""

import pytest
import torch

from speech2unit import tables
from speech2unit.weights import save_tensors
from ulm.prompt import DeepPrompt
from ulm.sample import legal_sequences, sample
from ulm.schemas import BINARIZED, SAMPLES


def random_prompts(lm, path):
    torch.manual_seed(4)
    prompts = {seed: DeepPrompt(lm.config, 2) for seed in (10, 9)}
    save_tensors(path, {f"seed{seed}.prompt.{name}": t for seed, p in prompts.items() for name, t in p.state_dict().items()})


def test_legal_answers_are_those_of_the_training_rows():
    rows = [
        dict(split="train", tokens=[9, 8, 0, 5, 6, 2], num_source=2, labels=["a", "b"]),
        dict(split="test", tokens=[9, 0, 7, 2], num_source=1, labels=["c"]),
    ]
    assert legal_sequences(rows) == {(5, 6, 2): ["a", "b"]}


@pytest.fixture
def samples(task, pretrained, tmp_path, run_stage):
    from ulm.model import load

    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).symlink_to(pretrained / name)
    random_prompts(load(tmp_path / "model.safetensors", tmp_path / "config.json"), tmp_path / "prompt.safetensors")
    found = []
    for max_tokens in (10, 4000):
        run_stage(sample, tmp_path, task, scope="target", max_tokens=max_tokens)
        found.append(tables.read(tmp_path / "samples.parquet", SAMPLES).to_pandas().sort_values(["seed", "utterance_id"]))
    return found


def test_every_dev_and_test_row_of_every_seed_in_any_batch_size(task, samples):
    rows = tables.read(task / "binarized.parquet", BINARIZED).to_pylist()
    rest = {row["utterance_id"]: row for row in rows if row["split"] != "train"}
    one, many = samples
    assert one.predicted_labels.map(list).tolist() == many.predicted_labels.map(list).tolist()
    assert one.free_units.map(list).tolist() == many.free_units.map(list).tolist()
    assert one.score.tolist() == pytest.approx(many.score.tolist(), abs=1e-3)
    assert [(s, u) for s, u in zip(one.seed, one.utterance_id)] == [(s, u) for s in (9, 10) for u in sorted(rest)]
    assert all(list(labels) == rest[name]["labels"] for name, labels in zip(one.utterance_id, one.labels))
    assert {tuple(labels) for labels in one.predicted_labels} <= {("up",), ("down",), ("left",)}
    assert (one.score <= 1e-6).all()


def test_free_output_has_labels_exactly_where_it_is_an_answer(samples):
    said = {"3": ["up"], "11": ["down"], "7": ["left"]}  # units of the labels in conftest.py
    for units, labels in zip(samples[0].free_units, samples[0].free_labels):
        expected = said.get(units[0]) if len(units) == 1 else None
        assert (labels is None and expected is None) or list(labels) == expected
