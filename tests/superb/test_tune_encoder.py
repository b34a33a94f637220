"""Training as a stage: tensors and curves of each seed, numbers of parameters, kept hidden states, warm starts."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from speech2unit.corpora.schemas import MANIFEST
from storage import tables
from storage.files import read_json
from storage.schemas import TRAINING
from superb.extract_hidden_states import extract_hidden_states
from superb.tune_encoder import tensors_of_seed

DEEP_PROMPT = dict(method="deep_prompt", length=2, initialization="normal", init_scale=0.1)


def curve(path, split="dev"):
    rows = [row for row in tables.read(path, TRAINING).to_pylist() if row["split"] == split]
    return {(row["seed"], row["update"]): row["value"] for row in rows}


@pytest.mark.slow
def test_each_seed_has_its_tensors_and_its_curve(tune):
    made = tune(tuning=DEEP_PROMPT)
    tensors = load_file(made["tuned"])
    names = {name.partition(".")[2] for name in tensors}
    assert set(tensors) == {f"seed{seed}.{name}" for seed in (1, 2) for name in names}
    assert {name.partition(".")[0] for name in names} == {"head", "inside", "layer_weights"}
    assert all(not torch.equal(tensors_of_seed(tensors, 1)[name], tensors_of_seed(tensors, 2)[name]) for name in names)
    assert list(curve(made["training"])) == [(1, 6), (1, 12), (2, 6), (2, 12)]
    sizes = read_json(made["sizes"])
    head = 3 + (16 + 1) * 8 + (8 + 1) * 3
    assert sizes["encoder_parameters"] == 3 * 2 * 16 and sizes["trained_parameters"] == 3 * 2 * 16 + head
    assert sizes["total_parameters"] > sizes["trained_parameters"]


@pytest.mark.slow
def test_it_learns_to_tell_tones_apart(tune):
    losses = curve(tune(tuning=dict(method="full"), seeds=[1], num_updates=40, evaluate_every=20)["training"])
    assert losses[1, 40] < 0.5 * np.log(3)


@pytest.mark.slow
def test_a_second_run_is_the_same_and_another_rate_is_not(tune):
    first = tune("first", seeds=[1])
    again = tune("again", seeds=[1])
    slower = tune("slower", seeds=[1], learning_rate=0.006)
    assert first["tuned"].read_bytes() == again["tuned"].read_bytes()
    assert curve(first["training"]) == curve(again["training"]) != curve(slower["training"])


@pytest.mark.slow
def test_kept_hidden_states_train_as_the_waveforms_do(tune, task, tones, tmp_path):
    tables.write(tmp_path / "manifest.parquet", tones[1], MANIFEST)
    paths = {name: task[name] for name in ("model", "config", "root")} | dict(manifest=tmp_path / "manifest.parquet")
    extract_hidden_states(**paths, hidden_states=tmp_path / "states.parquet", shard=1, num_shards=1)
    read, kept = (curve(tune(name, hidden_states=s)["training"]) for name, s in (("a", []), ("b", [tmp_path / "states.parquet"])))
    assert list(read.values()) == pytest.approx(list(kept.values()), rel=0.02)


@pytest.mark.slow
def test_a_warm_start_takes_the_head_of_another_task(tune):
    first = tune("first", seeds=[1])
    warm = tune(
        "warm", seeds=[1], warm_start=[first["tuned"]], tuning=DEEP_PROMPT, num_updates=1, learning_rate=1e-8, warmup_updates=0
    )
    before, after = (tensors_of_seed(load_file(made["tuned"]), 1) for made in (first, warm))
    assert all(torch.allclose(tensor, after[name], atol=1e-6) for name, tensor in before.items())
    assert set(after) - set(before) == {"inside.input", "inside.blocks"}
