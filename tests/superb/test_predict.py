"""Predictions: of every dev and test utterance, for each seed, those of the model that was trained."""

import torch
from safetensors.torch import load_file

from storage import tables
from superb.inputs import input_reader
from superb.model import build_model, restore
from superb.predict import predict
from superb.schemas import PREDICTIONS
from superb.tune_encoder import tensors_of_seed

LM = dict(ngram_order=3, lm_weight=0.5, word_score=0.0, beam_size=4, prune_nats=8.0)
DEEP_PROMPT = dict(method="deep_prompt", length=2, initialization="normal", init_scale=0.1)


def test_predictions_are_those_of_each_seeds_model(tune, task, tones, melhubert, tmp_path):
    made = tune(tuning=DEEP_PROMPT)
    predict(**task | dict(tuning=DEEP_PROMPT, batch_size=5), **LM, tuned=made["tuned"], predictions=tmp_path / "p.parquet")
    found = tables.read(tmp_path / "p.parquet", PREDICTIONS).to_pylist()
    rest = [row for row in tones[1] if row["split"] != "train"]
    assert {(r["seed"], r["utterance_id"], r["split"], *r["labels"]) for r in found} == {
        (seed, row["utterance_id"], row["split"], *row["labels"]) for seed in (1, 2) for row in rest
    }
    torch.manual_seed(99)
    model = build_model(melhubert, tuning=DEEP_PROMPT, head=task["head"], num_outputs=[3])
    restore(model, tensors_of_seed(load_file(made["tuned"]), 2))
    expected = {
        row["utterance_id"]: ["abc"[i] for i in model.predict(input_reader([], tones[0], 16_000)([row]))[0]] for row in rest
    }
    assert {r["utterance_id"]: r["predicted_labels"] for r in found if r["seed"] == 2} == expected


def test_an_encoder_that_learned_is_right(tune, task, tmp_path):
    made = tune(tuning=dict(method="full"), seeds=[3], num_updates=40)
    predict(**task | dict(tuning=dict(method="full"), seeds=[3]), **LM, tuned=made["tuned"], predictions=tmp_path / "p.parquet")
    found = tables.read(tmp_path / "p.parquet", PREDICTIONS).to_pylist()
    assert sum(row["labels"] == row["predicted_labels"] for row in found) >= 10 and len(found) == 12


def test_words_are_decoded_a_second_time_with_a_language_model(tune, task, tmp_path):
    how = dict(kind="ASR", head=dict(architecture="linear_ctc", projection_dim=8), seeds=[1])
    made, paths = tune(**how), dict(predictions=tmp_path / "p.parquet")
    predict(**task | how, **LM | dict(lm_weight=5.0), tuned=made["tuned"], **paths)
    found = tables.read(tmp_path / "p.parquet", PREDICTIONS).to_pylist()
    assert all(len(row["lm_predicted_labels"]) <= 1 for row in found)  # as every transcript has one word
    predict(**task | how, **LM | dict(ngram_order=0), tuned=made["tuned"], **paths)
    assert {row["lm_predicted_labels"] for row in tables.read(tmp_path / "p.parquet", PREDICTIONS).to_pylist()} == {None}
