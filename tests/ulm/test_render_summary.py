"""The page shows the numbers of the summary, one row per task."""

import io

import pandas

from storage import tables
from ulm.render_summary import HEADINGS, render_summary
from ulm.schemas import SUMMARY

ROW = dict(
    task="SCR", metric="wer", higher_is_better=False, value=0.0725, value_std=0.0, value_low=0.06, value_high=0.0846,
    majority_value=0.9, ngram_value=0.35, accuracy=0.9125, accuracy_std=0.0, accuracy_low=0.88, accuracy_high=0.9345, num_rows=480, num_seeds=1,
    majority_accuracy=0.0833, ngram_accuracy=0.85, free_accuracy=0.9, num_illegal=3.0, trained_parameters=7872,
    total_parameters=1_807_872, corpus="commands", codebook="km100", ulm="commands", verbalizer="freq", tuning="prompt5", examples_per_class=0, sampling="greedy",
)  # fmt: skip


def page(tmp_path, rows):
    tables.write(tmp_path / "summary.parquet", rows, SUMMARY)
    render_summary(summary=tmp_path / "summary.parquet", page=tmp_path / "summary.html")
    return (tmp_path / "summary.html").read_text()


def test_a_row_for_each_task_in_text(tmp_path):
    text = page(tmp_path, [ROW, ROW | dict(task="<b>", metric="f1", higher_is_better=True, num_seeds=3, value_std=0.01)])
    page_table = pandas.read_html(io.StringIO(text))[0]
    assert list(page_table.columns) == list(HEADINGS.values()) and list(page_table.task) == ["SCR", "<b>"]
    first = page_table.iloc[0]
    assert (first["test value"], first["95 % interval"], first["all parameters"]) == ("7.25 %", "6.0 – 8.5 %", 1_807_872)
    assert (first["accuracy"], first["n-gram baseline"], list(page_table.metric)) == ("91.25 %", "35.00 %", ["wer ↓", "f1 ↑"])
    assert list(page_table["standard deviation over seeds"]) == ["–", "1.00 %"]


def test_the_page_needs_no_other_files(tmp_path):
    text = page(tmp_path, [ROW])
    assert text.startswith("<!doctype html>") and "http" not in text and "&lt;b&gt;" not in text
