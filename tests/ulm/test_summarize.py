"""The summary: one row per task, from its acc.json."""

import pytest

from storage import tables
from storage.files import write_json
from ulm.schemas import SUMMARY
from ulm.summarize import summarize, summary_row

REPORT = dict(
    task="T", metric="wer", higher_is_better=False, value=0.2, value_std=0.0, value_low=0.1, value_high=0.3, accuracy=0.9, accuracy_std=0.01, accuracy_low=0.8, accuracy_high=0.95, num_rows=50,
    accuracy_by_seed={"1": 0.9}, free_accuracy=0.8, num_illegal=2.5, dev={}, per_class={}, provenance={}, usage={},
    baselines=dict(majority=0.1, ngram_nearest=0.7), baseline_values=dict(majority=dict(value=0.8), ngram_nearest=dict(value=0.4)), trained_parameters=10, total_parameters=110, seeds=[1, 2], updates=5,
    names=dict(corpus="c", codebook="k", ulm="u", verbalizer="freq", tuning="p", examples_per_class="10", sampling="s", encoder="e"),
)  # fmt: skip


def test_a_report_becomes_a_row_of_every_column():
    row = summary_row(REPORT)
    assert set(row) == set(SUMMARY.names)
    assert (row["majority_accuracy"], row["ngram_accuracy"], row["num_seeds"], row["ulm"]) == (0.1, 0.7, 2, "u")
    assert (row["verbalizer"], row["tuning"], row["examples_per_class"], row["sampling"]) == ("freq", "p", 10, "s")
    assert (row["value"], row["majority_value"], row["ngram_value"]) == (0.2, 0.8, 0.4)


def test_one_row_per_task_in_the_given_order(tmp_path):
    paths = [tmp_path / f"{name}.json" for name in ("b", "a")]
    for path in paths:
        write_json(path, REPORT | dict(task=path.stem))
    summarize(acc=paths, summary=tmp_path / "summary.parquet")
    assert tables.read(tmp_path / "summary.parquet", SUMMARY)["task"].to_pylist() == ["b", "a"]


def test_the_same_task_twice_is_refused(tmp_path):
    write_json(tmp_path / "a.json", REPORT)
    with pytest.raises(ValueError, match=r"the values of \['task'\] must identify a row"):
        summarize(acc=[tmp_path / "a.json"] * 2, summary=tmp_path / "summary.parquet")
    assert not (tmp_path / "summary.parquet").exists()
