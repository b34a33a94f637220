"""Scores: the metric of each kind, interval and seeds, baseline, language model."""

import json

import pytest

from evaluation.intervals import wilson_interval
from storage import tables
from storage.schemas import TRAINING
from superb.schemas import DATASET, PREDICTIONS
from superb.score_superb import METRICS_OF, score_superb

SETTINGS = dict(collar_seconds=0.0, num_resamples=50, seed=1)


def score(tmp_path, kind, references, hypotheses, lm_hypotheses=None, **changes):
    """Return the report when all splits have the labels `references` and the model of each seed predicts `hypotheses[seed]`."""
    row = dict(path="x.wav", start_seconds=0.0, end_seconds=None, speed=1.0, num_samples=1600, audio_hash="")
    rows = [
        row | dict(utterance_id=f"{s}{i}", split=s, labels=labels)
        for s in ("train", "dev", "test")
        for i, labels in enumerate(references)
    ]
    tables.write(tmp_path / "dataset.parquet", rows, DATASET)
    predictions = [
        dict(
            seed=seed, utterance_id=f"{split}{i}", split=split, labels=labels, predicted_labels=answers[i],
            lm_predicted_labels=lm_hypotheses[i] if lm_hypotheses else None,
        )
        for seed, answers in hypotheses.items() for split in ("dev", "test") for i, labels in enumerate(references)
    ]  # fmt: skip
    tables.write(tmp_path / "predictions.parquet", predictions, PREDICTIONS)
    curve = dict(seed=1, update=7, split="dev", measure="loss", value=1.0, seconds=1.0)
    tables.write(tmp_path / "training.parquet", [curve], TRAINING)
    (tmp_path / "sizes.json").write_text(json.dumps(dict(trained_parameters=30, encoder_parameters=10, total_parameters=50)))
    paths = {name: tmp_path / f"{name}.parquet" for name in ("predictions", "dataset", "training")}
    names = dict(corpus="c", encoder="e", tuning="t", head="h", fraction=1.0)
    settings = dict(superb_task="X", kind=kind, names=names, presets=dict(learning_rate=0.1)) | SETTINGS | changes
    score_superb(**paths, sizes=tmp_path / "sizes.json", score=tmp_path / "score.json", **settings)
    return json.loads((tmp_path / "score.json").read_text())


def test_an_accuracy_has_values_of_seeds_an_interval_and_a_baseline(tmp_path):
    references = [["a"], ["a"], ["b"], ["c"]]
    report = score(tmp_path, "KS", references, {1: references, 2: [["a"], ["b"], ["b"], ["a"]]})
    assert report["metric"] == "accuracy" and report["higher_is_better"]
    assert report["value_by_seed"] == {"1": 1.0, "2": 0.5} and report["value"] == 0.75 and report["seeds"] == [1, 2]
    assert report["value_std"] == pytest.approx(0.125**0.5)
    assert (report["value_low"], report["value_high"]) == pytest.approx(wilson_interval(3, 4))
    assert report["baselines"] == dict(majority=0.5) and report["num_rows"] == report["num_train_rows"] == 4
    assert report["dev"]["value"] == 0.75 and report["updates"] == 7 and "with_language_model" not in report
    assert (report["trained_parameters"], report["encoder_parameters"]) == (30, 10)
    assert report["settings"] == dict(learning_rate=0.1) and report["names"]["encoder"] == "e"


def test_an_intent_is_right_if_all_its_slots_are(tmp_path):
    report = score(tmp_path, "IC", [["on", "light"], ["off", "heat"]], {1: [["on", "light"], ["off", "light"]]})
    assert report["value"] == 0.5 and report["value_std"] == 0.0


@pytest.mark.parametrize("kind, reference, hypothesis, values", [
    ("PR", "TH R IY S EH", "TH R S EH", dict(per=1 / 5)),
    ("ASR", "T W O | O N E", "T W O | O M E", dict(wer=1 / 2, cer=1 / 7)),
    ("SF", "A | <x> B C </>", "A | <x> B D </>", dict(slot_type_f1=1.0, slot_value_cer=1 / 2)),
])  # fmt: skip
def test_sequences(tmp_path, kind, reference, hypothesis, values):
    references = [reference.split()] * 2
    report = score(tmp_path, kind, references, {1: [hypothesis.split()] * 2}, lm_hypotheses=references)
    first, *others = METRICS_OF[kind]
    assert report["metric"] == first and report["value"] == pytest.approx(values[first])
    assert {name: report["other_metrics"][name]["value"] for name in others} == pytest.approx(
        {name: values[name] for name in others}
    )
    assert report["with_language_model"][first]["value"] == (1.0 if first == "slot_type_f1" else 0.0)
    assert report["higher_is_better"] == (kind == "SF") and report["baselines"] == {}


def test_the_numbers_of_speakers_do_not_matter_in_diarization(tmp_path):
    references = [["1 0.00 1.00", "2 1.00 2.00"], ["1 0.00 2.00", "2 0.50 1.00"]]
    hypotheses = [["2 0.00 1.00", "1 1.00 2.00"], ["1 0.00 1.50", "2 0.50 1.00"]]
    assert score(tmp_path, "SD", references, {1: hypotheses})["value"] == pytest.approx(0.5 / 4.5)
    assert score(tmp_path, "SD", references, {1: hypotheses}, collar_seconds=0.25)["value"] == pytest.approx(0.25 / 1.5)
