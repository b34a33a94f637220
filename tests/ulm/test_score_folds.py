"""Results over folds: means and intervals over the folds, and the answers of all folds in one table."""

import json

import numpy as np
import pytest
from scipy import stats

from evaluation.intervals import student_interval
from storage import tables
from storage.files import write_json
from ulm.schemas import BASELINES, CONFUSION, SAMPLES, SUMMARY
from ulm.score import accuracy_report, metric_report
from ulm.score_folds import over_folds, score_folds
from ulm.summarize import summarize

BOOTSTRAP = dict(num_resamples=2, seed=1)
NAMES = dict(
    corpus="small_fold1", encoder="hubert_base", codebook="own_fold1", ulm="own_fold1", verbalizer="freq", tuning="prompt5"
)
NAMES |= dict(examples_per_class="", sampling="greedy")
RIGHT = (9, 6, 3)  # test rows of each fold that are right, of 10, with the first seed; one fewer with the second


def answers(fold, split, right):
    return [
        dict(utterance_id=f"{split}{fold}-{i}", split=split, labels=["ab"[i % 2]], predicted_labels=["ab"[(i + (i >= right)) % 2]], score=-0.1)
        for i in range(10)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("folds")


@pytest.fixture(scope="module")
def report(folder):
    """Run the stage on three folds; return the report."""
    paths = dict(fold_acc=[], fold_samples=[], fold_baselines=[])
    for fold, right in enumerate(RIGHT, 1):
        free = dict(free_units=["1"], free_labels=["a"])
        rows = [row | free | dict(seed=seed) for seed in (1, 2) for row in answers(fold, "test", right + 1 - seed)]
        rows += [row | free | dict(seed=seed) for seed in (1, 2) for row in answers(fold, "dev", 10)]
        base = [row | dict(method=m) for m, n in (("majority", 5), ("ngram_svm", right)) for row in answers(fold, "test", n)]
        paths["fold_samples"].append(folder / f"samples{fold}.parquet")
        paths["fold_baselines"].append(folder / f"baselines{fold}.parquet")
        paths["fold_acc"].append(folder / f"acc{fold}.json")
        tables.write(paths["fold_samples"][-1], rows, SAMPLES)
        tables.write(paths["fold_baselines"][-1], base, BASELINES)
        frame = tables.read(paths["fold_samples"][-1], SAMPLES).to_pandas()
        test, dev = frame[frame.split == "test"], frame[frame.split == "dev"]
        base = tables.read(paths["fold_baselines"][-1], BASELINES).to_pandas()
        main, f1 = (metric_report(test, dev, base, metric, **BOOTSTRAP) for metric in ("accuracy", "f1"))
        acc = (
            dict(task=f"T_fold{fold}") | main | accuracy_report(test) | dict(other_metrics=dict(f1=f1), names=NAMES, seeds=[1, 2])
        )
        write_json(paths["fold_acc"][-1], acc | dict(trained_parameters=7, total_parameters=100, updates=50))
    names = ("samples", "baselines", "confusion")
    score_folds(**paths, acc=folder / "acc.json", **{name: folder / f"{name}.parquet" for name in names}, task="T")
    return json.loads((folder / "acc.json").read_text())


@pytest.mark.slow
def test_the_value_is_the_mean_over_folds_with_students_interval(report):
    by_fold = [0.85, 0.55, 0.25]
    assert report["value"] == pytest.approx(0.55) and report["value_by_seed"] == pytest.approx({"1": 0.6, "2": 0.5})
    assert report["value_std"] == pytest.approx(np.std([0.6, 0.5], ddof=1))
    low, high = stats.t.interval(0.95, 2, loc=0.55, scale=stats.sem(by_fold))
    assert student_interval(by_fold) == pytest.approx((low, high)) and low < 0 and high > 1
    assert (report["value_low"], report["value_high"]) == (0, 1)  # an accuracy has no other values
    assert {name: fold["value"] for name, fold in report["folds"].items()} == pytest.approx(
        dict(zip(("T_fold1", "T_fold2", "T_fold3"), by_fold))
    )
    assert report["baseline_values"]["ngram_svm"]["value"] == pytest.approx(0.6)
    assert (
        report["folds"]["T_fold3"]["baseline_values"] == dict(majority=0.5, ngram_svm=0.3)
        and report["folds"]["T_fold3"]["num_rows"] == 10
    )
    assert report["dev"]["value"] == 1 and set(report["other_metrics"]["f1"]) == {
        "metric",
        "higher_is_better",
        "dev",
        "baseline_values",
    } | {name for name in report if name.startswith("value")}


def test_error_rates_have_no_upper_bound():
    assert over_folds([0.9, 1.4, 2.0], higher_is_better=False)["value_high"] > 1
    assert over_folds([0.9, 0.9, 0.9], higher_is_better=True) == pytest.approx(dict(value=0.9, value_low=0.9, value_high=0.9))


def test_all_test_rows_are_in_the_tables_and_counted(report, folder):
    samples = tables.read(folder / "samples.parquet", SAMPLES).to_pandas()
    assert set(samples.split) == {"test"} and len(samples) == 60 and report["num_rows"] == 30
    assert report["accuracy"] == pytest.approx(0.55) and report["accuracy_low"] < 0.55 < report["accuracy_high"]
    assert tables.read(folder / "baselines.parquet", BASELINES).num_rows == 60
    assert sum(tables.read(folder / "confusion.parquet", CONFUSION)["count"].to_pylist()) == 60
    assert report["per_class"]["a"]["num_rows"] == 15


def test_names_are_those_of_the_task_and_the_summary_takes_it(report, folder):
    assert report["names"] == NAMES | dict(corpus="small", codebook="own", ulm="own") and report["trained_parameters"] == 7
    summarize(acc=[folder / "acc.json"], summary=folder / "summary.parquet")
    (row,) = tables.read(folder / "summary.parquet", SUMMARY).to_pylist()
    assert (row["task"], row["corpus"], row["num_rows"]) == ("T", "small", 30) and row["ngram_value"] == pytest.approx(0.6)
