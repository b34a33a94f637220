"""Predictions: those of the trained model of each seed, for every dev and test utterance."""

import pytest
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


@pytest.mark.slow
def test_predictions_are_those_of_the_model_of_each_seed(tune, task, tones, melhubert, tmp_path):
    made = tune(tuning=DEEP_PROMPT)
    predict(**task | dict(tuning=DEEP_PROMPT, batch_size=5), **LM, tuned=made["tuned"], predictions=tmp_path / "p.parquet")
    predictions = tables.read(tmp_path / "p.parquet", PREDICTIONS).to_pylist()
    evaluation_rows = [row for row in tones[1] if row["split"] != "train"]
    assert {(row["seed"], row["utterance_id"], row["split"], *row["labels"]) for row in predictions} == {
        (seed, row["utterance_id"], row["split"], *row["labels"]) for seed in (1, 2) for row in evaluation_rows
    }
    torch.manual_seed(99)
    model = build_model(melhubert, tuning=DEEP_PROMPT, head=task["head"], num_outputs=[3])
    restore(model, tensors_of_seed(load_file(made["tuned"]), 2))
    read_inputs = input_reader([], tones[0], 16_000)
    expected = {}
    for row in evaluation_rows:
        (target,) = model.predict(read_inputs([row]))
        expected[row["utterance_id"]] = ["abc"[index] for index in target]
    assert {row["utterance_id"]: row["predicted_labels"] for row in predictions if row["seed"] == 2} == expected


@pytest.mark.slow
def test_a_tuned_encoder_predicts_the_right_labels(tune, task, tmp_path):
    made = tune(tuning=dict(method="full"), seeds=[3], num_updates=40)
    predict(**task | dict(tuning=dict(method="full"), seeds=[3]), **LM, tuned=made["tuned"], predictions=tmp_path / "p.parquet")
    predictions = tables.read(tmp_path / "p.parquet", PREDICTIONS).to_pylist()
    assert sum(row["labels"] == row["predicted_labels"] for row in predictions) >= 10 and len(predictions) == 12


@pytest.mark.slow
def test_words_are_decoded_a_second_time_with_a_language_model(tune, task, tmp_path):
    settings = dict(kind="ASR", head=dict(architecture="linear_ctc", projection_dim=8), seeds=[1])
    made = tune(**settings)
    paths = dict(predictions=tmp_path / "p.parquet")
    predict(**task | settings, **LM | dict(lm_weight=5.0), tuned=made["tuned"], **paths)
    predictions = tables.read(tmp_path / "p.parquet", PREDICTIONS).to_pylist()
    assert all(len(row["lm_predicted_labels"]) <= 1 for row in predictions)  # as every transcript has one word
    predict(**task | settings, **LM | dict(ngram_order=0), tuned=made["tuned"], **paths)
    assert {row["lm_predicted_labels"] for row in tables.read(tmp_path / "p.parquet", PREDICTIONS).to_pylist()} == {None}
