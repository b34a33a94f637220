"""Sampling: every dev and test row under every seed, and only legal answers."""

import pytest
import torch

from storage import tables
from storage.weights import save_tensors
from training.device import mixed_precision
from training.fit import trained_state
from ulm.answers import ListedAnswers
from ulm.decode import greedy
from ulm.model import load
from ulm.prompt import DeepPrompt
from ulm.sample import sample, source_of
from ulm.schemas import BINARIZED, SAMPLES
from ulm.tuned import TunedLM, unfreeze
from ulm.vocabulary import EOS, SEPARATOR


def random_prompts(lm, path):
    torch.manual_seed(4)
    prompts = {seed: DeepPrompt(lm.config, 2) for seed in (10, 9)}
    save_tensors(path, {f"seed{seed}.prompt.{name}": t for seed, p in prompts.items() for name, t in p.state_dict().items()})


CHANGES = dict(probability=1.0, drop=0.3, substitute=0.3, crop=0.2)
NO_VARIANTS = dict(num_variants=0, augmentation=CHANGES)
SETTINGS = dict(scope="target", max_length_factor=1.0, length_penalty=0.5, test_time_augmentation=NO_VARIANTS)


@pytest.fixture
def sampled(pretrained, tmp_path, run_stage):
    """The function (folder of a task, settings) → its samples as a data frame, under random prompts of two seeds."""
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).symlink_to(pretrained / name)
    random_prompts(load(tmp_path / "model.safetensors", tmp_path / "config.json"), tmp_path / "prompt.safetensors")

    def run(task, **settings):
        run_stage(sample, tmp_path, task, **SETTINGS | settings)
        return tables.read(tmp_path / "samples.parquet", SAMPLES).to_pandas().sort_values(["seed", "utterance_id"])

    return run


@pytest.fixture
def samples(task, sampled):
    return [sampled(task, metric="accuracy", beam_size=size, max_tokens=n) for size, n in ((1, 10), (1, 4000), (3, 900))]


@pytest.mark.slow
def test_every_dev_and_test_row_of_every_seed_in_any_batch_size(task, samples):
    rows = tables.read(task / "binarized.parquet", BINARIZED).to_pylist()
    evaluated = {row["utterance_id"]: row for row in rows if row["split"] != "train"}
    first, *others = samples
    for large_batches in others:
        assert first.predicted_labels.map(list).tolist() == large_batches.predicted_labels.map(list).tolist()
        assert first.free_units.map(list).tolist() == large_batches.free_units.map(list).tolist()
        assert first.score.tolist() == pytest.approx(large_batches.score.tolist(), abs=1e-3)
    assert [(s, u) for s, u in zip(first.seed, first.utterance_id)] == [(s, u) for s in (9, 10) for u in sorted(evaluated)]
    assert all(list(labels) == evaluated[name]["labels"] for name, labels in zip(first.utterance_id, first.labels))
    assert {tuple(labels) for labels in first.predicted_labels} <= {("up",), ("down",), ("left",)}
    assert (first.score <= 1e-6).all()


@pytest.mark.slow
def test_free_output_has_labels_only_if_it_is_an_answer(samples):
    labels_of = {"3": ["up"], "11": ["down"], "7": ["left"]}  # units of the labels in conftest.py
    for units, labels in zip(samples[0].free_units, samples[0].free_labels):
        expected = labels_of.get(units[0]) if len(units) == 1 else None
        assert (labels is None and expected is None) or list(labels) == expected


def test_low_rank_updates_are_used(task, sampled, tmp_path):
    """They would be ignored if autocast kept a cast of the weights from before they were loaded."""
    lm, rows = load(tmp_path / "model.safetensors", tmp_path / "config.json"), tables.read(task / "binarized.parquet", BINARIZED)
    tuned = TunedLM(lm, DeepPrompt(lm.config, 0), "all", 0.0).eval()
    unfreeze(tuned, lora_rank=2, train_lm=False)
    for parameter in tuned.parameters():
        parameter.data += torch.randn_like(parameter) * parameter.requires_grad
    save_tensors(tmp_path / "prompt.safetensors", {f"seed1.{name}": t for name, t in trained_state(tuned).items()})
    found = sampled(task, metric="accuracy", beam_size=1, max_tokens=4000, scope="all").set_index("utterance_id").score
    evaluated, answers = [row for row in rows.to_pylist() if row["split"] != "train"], ListedAnswers(rows.to_pylist())
    with mixed_precision(torch.device("cpu")):
        _, scores = greedy(tuned, [source_of(row) for row in evaluated], max_steps=answers.max_steps, following=answers)
    assert found[[row["utterance_id"] for row in evaluated]].tolist() == pytest.approx(scores, abs=1e-3)


@pytest.fixture
def strings(task, tmp_path_factory):
    """The task with answers of 1 to 3 labels in train and 4 elsewhere, and one dev row of 400 tokens."""
    folder, rows = tmp_path_factory.mktemp("strings"), tables.read(task / "binarized.parquet", BINARIZED).to_pylist()
    for name in ("vocabulary.parquet", "verbalizer.parquet"):
        (folder / name).symlink_to(task / name)
    for i, row in enumerate(rows):
        source, (label,) = row["tokens"][: row["num_source"]], row["tokens"][row["num_source"] + 1 : -1]
        if row["utterance_id"] == "u060":
            source = source * (400 // len(source))
        times = i % 3 + 1 if row["split"] == "train" else 4
        row |= dict(tokens=[*source, SEPARATOR, *[label] * times, EOS], num_source=len(source), labels=row["labels"] * times)
    tables.write(folder / "binarized.parquet", rows, BINARIZED)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("beam_size", [1, 4])
def test_a_row_of_more_than_150_tokens_gets_the_same_answer_alone_and_in_a_batch(strings, sampled, beam_size):
    (source,) = [
        r["num_source"] for r in tables.read(strings / "binarized.parquet", BINARIZED).to_pylist() if r["utterance_id"] == "u060"
    ]
    alone, among = (
        sampled(strings, metric="wer", beam_size=beam_size, max_tokens=n).query("utterance_id == 'u060'") for n in (1, 9000)
    )
    assert source > 350 and len(alone) == 2
    assert all(labels is not None and 1 <= len(labels) <= 3 for labels in alone.predicted_labels)
    assert alone.predicted_labels.map(list).tolist() == among.predicted_labels.map(list).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("beam_size", [1, 4])
def test_sequences_may_be_new_but_not_longer_than_those_of_train(strings, sampled, beam_size):
    found = sampled(strings, metric="wer", beam_size=beam_size, max_tokens=900)
    answers = {tuple(labels) for labels in found.predicted_labels}
    assert {label for answer in answers for label in answer} <= {"up", "down", "left"} and max(map(len, answers)) <= 3
    assert all(labels is None or set(labels) <= {"up", "down", "left"} for labels in found.free_labels)
    assert len(found) == 2 * 36 and (found.score <= 1e-6).all()
    longer = sampled(strings, metric="wer", beam_size=beam_size, max_tokens=900, max_length_factor=2.0)
    assert max(map(len, longer.predicted_labels)) <= 6


@pytest.mark.slow
def test_variants_change_the_scores_equally_in_any_batch(task, sampled):
    plain, first, large_batches = (
        sampled(task, metric="accuracy", beam_size=1, max_tokens=n, test_time_augmentation=NO_VARIANTS | dict(num_variants=v))
        for n, v in ((9, 0), (9, 3), (4000, 3))
    )
    assert first.score.tolist() == pytest.approx(large_batches.score.tolist(), abs=1e-3)
    assert first.predicted_labels.map(list).tolist() == large_batches.predicted_labels.map(list).tolist()
    assert (abs(first.score - plain.score) > 1e-4).mean() > 0.5
