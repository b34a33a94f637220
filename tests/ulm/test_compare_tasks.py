"""Differences between systems: paired, and only between systems with the same metric and test rows."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from storage import tables
from storage.files import write_json
from ulm.compare_tasks import compare_tasks
from ulm.schemas import BASELINES, DIFFERENCES, SAMPLES

SEEDS, ROWS = (1, 2), 200


def rights(probability, seed):
    """Return `[seeds, rows]`: whether a system gets a row right. Some rows are hard for all systems, as in real data."""
    rng = np.random.default_rng(seed)
    return np.random.default_rng(0).random(ROWS) + rng.normal(0, 0.05, (len(SEEDS), ROWS)) < probability


def write_task(folder, name, right, metric="accuracy", other_metrics=(), label="a", prefix="u"):
    (folder / name).mkdir()
    write_json(folder / name / "acc.json", dict(task=name, metric=metric, other_metrics={name: {} for name in other_metrics}))
    common = dict(split="test", labels=[label])
    samples = [
        common
        | dict(seed=seed, utterance_id=f"{prefix}{i:03}", predicted_labels=[label if right[s, i] else "wrong"], score=-1.0)
        | dict(free_units=["5"], free_labels=None)
        for s, seed in enumerate(SEEDS)
        for i in range(ROWS)
    ]
    tables.write(folder / name / "samples.parquet", samples + [samples[0] | dict(utterance_id="d", split="dev")], SAMPLES)
    base = [
        common | dict(method="majority", utterance_id=f"{prefix}{i:03}", predicted_labels=["a"], score=0.0) for i in range(ROWS)
    ]
    tables.write(folder / name / "baselines.parquet", base, BASELINES)
    return folder / name


def compare(tmp_path, folders, num_resamples=2000):
    compare_tasks(
        acc=[f / "acc.json" for f in folders], samples=[f / "samples.parquet" for f in folders],
        baselines=[f / "baselines.parquet" for f in folders], differences=tmp_path / "differences.parquet",
        num_resamples=num_resamples, seed=1,
    )  # fmt: skip
    return {
        (row["task"], row["reference"]): row for row in tables.read(tmp_path / "differences.parquet", DIFFERENCES).to_pylist()
    }


@pytest.mark.slow
def test_a_difference_has_the_interval_of_a_paired_bootstrap(tmp_path):
    compared, reference = rights(0.8, 1), rights(0.75, 2)
    differences = compare(tmp_path, [write_task(tmp_path, "other", reference), write_task(tmp_path, "one", compared)])
    assert list(differences) == [("other", "majority"), ("one", "majority"), ("one", "other")]
    row = differences["one", "other"]
    assert (row["metric"], row["higher_is_better"], row["num_rows"]) == ("accuracy", True, ROWS)
    assert row["difference"] == pytest.approx(compared.mean() - reference.mean())
    theirs = bootstrap(
        (compared.mean(0), reference.mean(0)), lambda a, b, axis: a.mean(axis) - b.mean(axis), paired=True, n_resamples=2000,
        method="percentile", rng=np.random.default_rng(2),
    ).confidence_interval  # fmt: skip
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(tuple(theirs), abs=0.006)
    assert row["difference_high"] - row["difference_low"] < 0.06  # with independent samples it would be .16
    assert differences["one", "majority"]["difference"] == pytest.approx(compared.mean() - 1)


@pytest.mark.parametrize("changed, reason", [
    (dict(metric="wer"), "no metric in common, wer and accuracy"), (dict(prefix="v"), "different test rows, 200 and 200"),
    (dict(label="b"), "different labels of the same test rows"),
])  # fmt: skip
def test_other_metrics_labels_or_rows_are_not_compared_and_said(tmp_path, changed, reason, capsys):
    differences = compare(
        tmp_path, [write_task(tmp_path, "one", rights(0.8, 1)), write_task(tmp_path, "two", rights(0.8, 2), **changed)], 20
    )
    assert list(differences) == [("one", "majority"), ("two", "majority")]
    assert differences["two", "majority"]["higher_is_better"] == (changed.get("metric") != "wer")
    assert f"differences.parquet: 1 pairs of tasks not compared: two with one ({reason})\n" in capsys.readouterr().out


@pytest.mark.slow
def test_every_shared_metric_is_compared_whichever_comes_first(tmp_path, capsys):
    one = write_task(tmp_path, "one", rights(0.8, 1), other_metrics=["wer", "cer"])
    two = write_task(tmp_path, "two", rights(0.7, 2), metric="wer", other_metrics=["accuracy"])
    compare(tmp_path, [one, two], 20)
    rows = tables.read(tmp_path / "differences.parquet", DIFFERENCES).to_pylist()
    metrics = {(row["task"], row["reference"]): [] for row in rows}
    for row in rows:
        metrics[row["task"], row["reference"]].append((row["metric"], row["higher_is_better"]))
    accuracy, wer, cer = ("accuracy", True), ("wer", False), ("cer", False)
    expected = {("one", "majority"): [accuracy, wer, cer], ("two", "majority"): [wer, accuracy], ("two", "one"): [wer, accuracy]}
    assert metrics == expected
    by_accuracy, by_wer = (
        next(row["difference"] for row in rows if (row["reference"], row["metric"]) == ("one", metric))
        for metric in ("accuracy", "wer")
    )
    assert by_accuracy == pytest.approx(-by_wer) and by_accuracy < 0  # answers are single words
    assert "not compared" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_system_does_not_differ_from_itself(tmp_path):
    right = rights(0.7, 1)
    row = compare(tmp_path, [write_task(tmp_path, name, right) for name in ("one", "two")])["two", "one"]
    assert row["difference"] == row["difference_low"] == row["difference_high"] == 0
