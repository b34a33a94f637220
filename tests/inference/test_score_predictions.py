"""Scores on a labelled corpus: metrics with intervals, and counts of what is left out."""

import json

import pytest

from evaluation.intervals import wilson_interval
from inference.schemas import PREDICTIONS_OF_CORPUS
from inference.score_predictions import score_predictions
from storage import tables
from tests.inference.test_collect_predictions import row

SETTINGS = dict(task="SCR", corpus="mine", metrics=["accuracy"], kind="", collar_seconds=0.0, num_resamples=20, seed=1)


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "bundle.json").write_text(json.dumps(dict(corpus="commands", best_seed=2)))
    return folder


@pytest.fixture
def report(tmp_path, bundle):
    """A function rows, settings → the report."""

    def score(rows, **changed):
        tables.write(tmp_path / "mine.parquet", rows, PREDICTIONS_OF_CORPUS)
        paths = dict(predictions=tmp_path / "mine.parquet", bundle=bundle, scores=tmp_path / "mine.json")
        score_predictions(**paths, **SETTINGS | changed)
        return json.loads((tmp_path / "mine.json").read_text())

    return score


def answers(labels, predicted):
    return [
        row(f"r{i}", labels=[a], predicted_labels=[b], split="test" if i % 2 else "dev")
        for i, (a, b) in enumerate(zip(labels, predicted))
    ]


def test_accuracy_with_wilsons_interval_and_what_is_left_out(report, capsys):
    rows = answers(["yes", "yes", "no", "no", "no"], ["yes", "no", "no", "no", "yes"])
    rows += [row("bad", reason="silent", detail="x", predicted_labels=None, labels=["yes"]), row("unlabelled")]
    scores = report(rows)
    assert (scores["metric"], scores["value"], scores["num_rows"]) == ("accuracy", 0.6, 5)
    assert (scores["value_low"], scores["value_high"]) == wilson_interval(3, 5)
    assert (scores["num_unusable"], scores["unusable"], scores["num_unlabelled"]) == (1, {"silent": 1}, 1)
    assert scores["splits"]["test"]["num_rows"] == 2 and scores["splits"]["test"]["metrics"]["accuracy"]["value"] == 0.5
    assert scores["splits"]["dev"]["metrics"]["accuracy"]["value"] == pytest.approx(2 / 3)
    assert scores["seed"] == 2 and not scores["is_training_corpus"]
    assert "SCR on mine: accuracy 0.6000" in capsys.readouterr().out


def test_the_training_corpus_is_pointed_out(report, capsys):
    assert report(answers(["yes"], ["yes"]), corpus="commands")["is_training_corpus"]
    assert "compare the split test alone" in capsys.readouterr().out


def test_several_metrics_of_sequences(report):
    rows = [row("a", labels=["3", "7"], predicted_labels=["3", "1"]), row("b", labels=["1", "2"], predicted_labels=["1", "2"])]
    scores = report(rows, metrics=["wer", "accuracy"])
    assert (scores["metric"], scores["value"], scores["higher_is_better"]) == ("wer", 0.25, False)
    assert scores["other_metrics"]["accuracy"]["value"] == 0.5 and scores["splits"] == {}


def test_the_kind_of_a_superb_task_decides_its_metrics(report):
    rows = [row("a", labels=["AH", "B"], predicted_labels=["AH"], score=None)]
    assert (report(rows, metrics=[], kind="PR")["metric"], report(rows, metrics=[], kind="PR")["value"]) == ("per", 0.5)


def test_a_split_in_which_nothing_can_be_counted_is_left_out(report):
    rows = [row("a", labels=["yes"], split="dev"), row("b", labels=["yes"], split="test"), row("c", labels=["no"], split="test")]
    assert list(report(rows, metrics=["eer"])["splits"]) == ["test"]


def test_without_labels_there_is_no_score(report):
    with pytest.raises(ValueError, match="a score needs recordings with labels; .* got 1 without labels, 1 unusable; name the"):
        report([row("a"), row("b", reason="silent", detail="x", predicted_labels=None, labels=["yes"])])
