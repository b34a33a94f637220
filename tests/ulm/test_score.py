"""Scores: every row counts, illegal outputs are wrong, intervals are Wilson's."""

import json

import numpy as np
import pandas
import pytest
import torch
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, confusion_matrix, precision_score, recall_score

from evaluation.intervals import wilson_interval
from evaluation.metrics import metric_values
from storage import tables
from storage.schemas import TRAINING
from storage.weights import save_config, save_tensors
from ulm.schemas import BASELINES, CONFUSION, SAMPLES
from ulm.score import (
    NO_LABEL,
    accuracy,
    accuracy_report,
    aligned,
    baseline_values,
    confusion_rows,
    label_pairs,
    per_class,
    score,
    warn_of_better_baseline,
)

BOOTSTRAP = dict(num_resamples=100, seed=1)
NAMES = dict(corpus="c", codebook="k", ulm="u", verbalizer="freq", tuning="p", encoder="e")


def sample_rows(num_rows=60, seeds=(1, 2), right=0.7, illegal=0.2, num_labels=1, split="test"):
    rng, rows = np.random.default_rng(num_rows), []
    for seed in seeds:
        for i in range(num_rows):
            reference = ["abc"[(i + k) % 3] for k in range(num_labels)]
            hypothesis = reference if rng.random() < right else [*reference[:-1], str(rng.choice(list("abc")))]
            rows.append(
                dict(
                    seed=seed, utterance_id=f"{split}{i}", split=split, labels=reference, predicted_labels=hypothesis, score=-0.1,
                    free_units=["1"], free_labels=None if rng.random() < illegal else hypothesis,
                )
            )  # fmt: skip
    return rows


def frame(**settings):
    return pandas.DataFrame(sample_rows(**settings))


def test_wilsons_interval_of_nine_in_ten():
    assert wilson_interval(9, 10) == pytest.approx((0.59585, 0.98212), abs=1e-5)  # Newcombe 1998's method 3


@pytest.mark.parametrize("right, n", [(0, 5), (5, 5), (1, 3), (2873, 3081), (240, 480)])
def test_wilsons_interval_equals_scipys(right, n):
    expected = binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(right, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_an_oracle_gets_every_row_right():
    found = accuracy_report(frame(right=1.0, illegal=0.0, num_labels=2))
    assert (found["accuracy"], found["free_accuracy"], found["num_illegal"], found["accuracy_std"]) == (1.0, 1.0, 0.0, 0.0)
    assert found["accuracy_high"] == pytest.approx(1.0) and 0.9 < found["accuracy_low"] < 1


def test_shuffled_labels_are_at_chance():
    rows = frame(num_rows=3000, seeds=(1,), right=1.0)
    rows["labels"] = rows.labels.sample(frac=1, random_state=0).tolist()
    assert accuracy_report(rows)["accuracy"] == pytest.approx(1 / 3, abs=0.03)


def test_illegal_outputs_count_as_wrong_rows():
    rows = frame(right=1.0, illegal=0.0, seeds=(1,), num_rows=10)
    rows.loc[[2, 5, 7], "free_labels"] = None
    found = accuracy_report(rows)
    assert (found["free_accuracy"], found["num_illegal"], found["num_rows"], found["accuracy"]) == (0.7, 3.0, 10, 1.0)


def test_one_wrong_label_of_several_makes_the_row_wrong():
    rows = pandas.DataFrame(dict(labels=[["a", "b"], ["a", "b"], ["a"]], predicted_labels=[["a", "b"], ["a", "c"], ["a", "a"]]))
    assert accuracy(rows) == pytest.approx(1 / 3)


def test_seeds_are_averaged_and_the_interval_is_of_the_rows_once():
    rows = frame(num_rows=200, seeds=(3, 5, 8))
    report = accuracy_report(rows)
    by_seed = [accuracy(rows[rows.seed == seed]) for seed in (3, 5, 8)]
    assert report["accuracy_by_seed"] == dict(zip((3, 5, 8), by_seed))
    assert (report["accuracy"], report["accuracy_std"]) == pytest.approx((np.mean(by_seed), np.std(by_seed, ddof=1)))
    assert report["num_rows"] == 200
    assert (report["accuracy_low"], report["accuracy_high"]) == wilson_interval(np.mean(by_seed) * 200, 200)


@pytest.mark.parametrize("seeds", [(1,), (1, 2, 3)])
def test_accuracy_and_classes_equal_scikit_learns(seeds):
    rows = frame(num_rows=90, seeds=seeds, right=0.5)
    references, hypotheses = rows.labels.str[0], rows.predicted_labels.str[0]
    assert accuracy(rows) == pytest.approx(accuracy_score(references, hypotheses))
    classes = per_class(list(label_pairs(rows, False)), len(seeds))
    assert list(classes) == ["a", "b", "c"] and [scores["num_rows"] for scores in classes.values()] == [30] * 3
    for measure, scikit_learns in (("recall", recall_score), ("precision", precision_score)):
        expected = scikit_learns(references, hypotheses, average=None, labels=list("abc"))
        assert [scores[measure] for scores in classes.values()] == pytest.approx(expected)


def test_confusion_equals_scikit_learns_and_sums_to_the_rows():
    rows = frame(num_rows=90, seeds=(1, 2), right=0.5)
    found = confusion_rows(label_pairs(rows, False))
    assert sum(row["count"] for row in found) == len(rows)
    for seed, part in rows.groupby("seed"):
        matrix = confusion_matrix(part.labels.str[0], part.predicted_labels.str[0], labels=list("abc"))
        counts = {(row["label"], row["predicted_label"]): row["count"] for row in found if row["seed"] == seed}
        assert [[counts.get((t, p), 0) for p in "abc"] for t in "abc"] == matrix.tolist()


def test_labels_of_sequences_are_aligned():
    assert aligned(list("371"), list("31")) == [("3", "3"), ("7", NO_LABEL), ("1", "1")]
    assert sorted(label for label, _ in aligned(list("37"), list("3588"))) == ["3", "7", NO_LABEL, NO_LABEL]
    assert aligned([], ["5"]) == [(NO_LABEL, "5")]
    rows = pandas.DataFrame(dict(seed=[1, 2], labels=[["3", "7"], ["3"]], predicted_labels=[["3"], ["7", "3"]]))
    pairs = list(label_pairs(rows, True))
    assert pairs == [(1, "3", "3"), (1, "7", NO_LABEL), (2, NO_LABEL, "7"), (2, "3", "3")]
    assert per_class(pairs, 1) == {
        "3": dict(recall=1.0, precision=1.0, num_rows=2), "7": dict(recall=0.0, precision=0.0, num_rows=1),
    }  # fmt: skip
    assert confusion_rows(pairs)[0] == dict(seed=1, label="3", predicted_label="3", count=1)


def test_a_metric_over_seeds_and_its_wilson_or_bootstrap_interval():
    rows = frame(num_rows=90, seeds=(3, 5), right=0.6).sample(frac=1, random_state=1)
    values = metric_values(rows, "accuracy", **BOOTSTRAP)
    report = accuracy_report(rows)
    assert values == dict(
        value=report["accuracy"], value_std=report["accuracy_std"], value_low=report["accuracy_low"],
        value_high=report["accuracy_high"], value_by_seed=report["accuracy_by_seed"],
    )  # fmt: skip
    wrong = metric_values(rows, "wer", **BOOTSTRAP)
    assert wrong["value"] == pytest.approx(1 - values["value"]) and wrong["value_by_seed"][3] == pytest.approx(
        1 - values["value_by_seed"][3]
    )
    assert wrong["value_low"] == pytest.approx(1 - values["value_high"], abs=0.05)


def test_an_equal_error_rate_of_a_constant_is_chance():
    references = [["a"], ["b"]] * 10
    rows = pandas.DataFrame(
        dict(method="majority", utterance_id=range(20), labels=references, predicted_labels=[["a"]] * 20, score=0.0)
    )
    assert baseline_values(rows, "eer", **BOOTSTRAP)["majority"]["value"] == 0.5


@pytest.mark.parametrize("method", ["ngram_svm", "ngram_nearest", "majority"])
@pytest.mark.parametrize("metric, tuned, warns", [
    ("accuracy", 0.49, True), ("accuracy", 0.5, False), ("accuracy", 0.6, False), ("wer", 0.51, True), ("wer", 0.5, False), ("wer", 0.4, False),
])  # fmt: skip
def test_a_better_ngram_baseline_on_dev_is_said(capsys, method, metric, tuned, warns):
    predicted = [["a"], ["b"], ["a"], ["b"]]
    rows = pandas.DataFrame(
        dict(method=method, utterance_id=list("wxyz"), labels=[["a"]] * 4, predicted_labels=predicted, score=0.0)
    )
    report = dict(metric=metric, higher_is_better=metric == "accuracy", dev=dict(value=tuned))
    warn_of_better_baseline("T", report, rows, **BOOTSTRAP)
    said = capsys.readouterr().out
    assert said.startswith(f"T: on dev, {method} has {metric} 0.5000") == (warns and method != "majority") == bool(said)


@pytest.mark.slow
@pytest.mark.parametrize("metric, others", [("accuracy", []), ("accuracy", ["f1"]), ("wer", ["slot_type_f1", "cer"])])
def test_the_report(tmp_path, metric, others):
    rows = sample_rows() + sample_rows(num_rows=20, split="dev")
    tables.write(tmp_path / "samples.parquet", rows, SAMPLES)
    base = [
        dict(
            method=m,
            utterance_id=f"{split}{i}",
            split=split,
            labels=["a"],
            predicted_labels=["a" if i < right else "b"],
            score=0.5,
        )
        for m, right in (("majority", 1), ("ngram_svm", 3))
        for split in ("dev", "test")
        for i in range(4)
    ]
    tables.write(tmp_path / "baselines.parquet", base, BASELINES)
    curve = [dict(seed=1, update=u, split="dev", measure="loss", value=1.0, seconds=0.1) for u in (100, 200)]
    tables.write(tmp_path / "training.parquet", curve, TRAINING)
    sizes = {"prompt.keys": (2, 3, 4), "lm.embed_tokens.weight": (10,), "lm.q_proj.parametrizations.weight.0.a": (5,)}
    trained = {f"seed{s}.{tensor}": torch.zeros(size) for s in (1, 2) for tensor, size in sizes.items()}
    save_tensors(tmp_path / "prompt.safetensors", trained)
    save_config(tmp_path / "config.json", dict(num_parameters=1000))
    score(
        samples=tmp_path / "samples.parquet",
        baselines=tmp_path / "baselines.parquet",
        training=tmp_path / "training.parquet",
        tuned_weights=tmp_path / "prompt.safetensors",
        config=tmp_path / "config.json",
        acc=tmp_path / "acc.json",
        confusion=tmp_path / "confusion.parquet",
        task="T",
        names=NAMES,
        metrics=[metric, *others],
        **BOOTSTRAP,
    )
    report = json.loads((tmp_path / "acc.json").read_text())
    assert report["accuracy"] == pytest.approx(accuracy_report(pandas.DataFrame(sample_rows()))["accuracy"])
    assert report["baselines"] == dict(majority=0.25, ngram_svm=0.75)
    assert (report["trained_parameters"], report["total_parameters"]) == (39, 1029)  # the LM has the embeddings already
    assert (report["seeds"], report["updates"], report["num_rows"], report["dev"]["num_rows"]) == ([1, 2], 200, 60, 20)
    assert (report["task"], report["names"]) == ("T", NAMES)
    sign = 1 if metric == "accuracy" else -1  # one label per row, so that word errors are wrong rows
    assert (report["metric"], report["higher_is_better"]) == (metric, sign == 1)
    assert report["value"] == pytest.approx(report["accuracy"] if sign == 1 else 1 - report["accuracy"])
    assert report["value_low"] < report["value"] < report["value_high"] and set(report["value_by_seed"]) == {"1", "2"}
    assert report["baseline_values"]["ngram_svm"]["value"] == (0.75 if sign == 1 else 0.25)
    assert list(report["other_metrics"]) == others
    for name, values in report["other_metrics"].items():
        assert values["value"] == metric_values(pandas.DataFrame(sample_rows()), name, **BOOTSTRAP)["value"]
        assert values["metric"] == name and values["higher_is_better"] == (name != "cer")
        assert (
            set(values["baseline_values"]) == {"majority", "ngram_svm"} and values["dev"]["value_low"] <= values["dev"]["value"]
        )
    counts = tables.read(tmp_path / "confusion.parquet", CONFUSION)["count"].to_pylist()
    assert sum(counts) == 120
