"""The page has a chart per metric, the main numbers first, and all columns below."""

import io

import pandas
import pytest

from evaluation.pages import CSS, TABLE_CSS
from storage import tables
from ulm import summary_template
from ulm.render_summary import HEADINGS, MAIN_HEADINGS, NUM_STEPS, axis_end, charts, render_summary
from ulm.schemas import SUMMARY

ROW = dict(
    task="SCR", metric="wer", higher_is_better=False, value=0.0725, value_std=0.0, value_low=0.06, value_high=0.0846,
    majority_value=0.9, ngram_value=0.35, accuracy=0.9125, accuracy_std=0.0, accuracy_low=0.88, accuracy_high=0.9345, num_rows=480, num_seeds=1,
    majority_accuracy=0.0833, ngram_accuracy=0.85, free_accuracy=0.9, num_illegal=3.0, trained_parameters=7872,
    total_parameters=1_807_872, corpus="commands", codebook="km100", ulm="commands", verbalizer="freq", tuning="prompt5", examples_per_class=0, sampling="greedy",
)  # fmt: skip


F1 = ROW | dict(task="<b>", metric="f1", higher_is_better=True, num_seeds=3, value_std=0.01)


def page(tmp_path, rows, comparison="SCR+MINE"):
    tables.write(tmp_path / "summary.parquet", rows, SUMMARY)
    render_summary(summary=tmp_path / "summary.parquet", page=tmp_path / "summary.html", comparison=comparison)
    return (tmp_path / "summary.html").read_text()


def test_the_main_numbers_come_first_and_all_columns_are_behind_a_disclosure(tmp_path):
    text = page(tmp_path, [ROW, F1])
    main, whole = pandas.read_html(io.StringIO(text))
    assert list(main.columns) == list(MAIN_HEADINGS.values()) and list(whole.columns) == list(HEADINGS.values())
    assert list(main.task) == list(whole.task) == ["SCR", "<b>"]
    assert list(main.iloc[0]) == ["SCR", "wer ↓", "7.2 % [6.0, 8.5]", "35.0 %", "90.0 %", 480, 1, 7872]
    first = whole.iloc[0]
    assert (first["test value"], first["95 % interval"], first["all parameters"]) == ("7.25 %", "6.0 – 8.5 %", 1_807_872)
    assert (first["accuracy"], first["n-gram baseline"], list(whole.metric)) == ("91.25 %", "35.00 %", ["wer ↓", "f1 ↑"])
    assert list(whole["standard deviation over seeds"]) == ["–", "1.00 %"]
    assert text.index("</table>") < text.index("<details>") < text.rindex("<table")
    assert "2 tasks, 1 to 3 seeds each" in text and "results/comparisons/SCR+MINE/differences.parquet" in text


def test_a_chart_per_metric_has_each_task_with_its_interval_and_baselines():
    wer, f1 = charts(pandas.DataFrame([ROW, F1, ROW | dict(task="DSR", majority_value=1.2)]))
    assert (wer["metric"], wer["direction"], f1["direction"]) == ("wer", "lower is better ↓", "higher is better ↑")
    assert [row["name"] for row in wer["tasks"]] == ["SCR", "DSR"]
    assert [tick["text"] for tick in wer["ticks"]] == ["0 %", "30 %", "60 %", "90 %", "120 %", "150 %"]
    row = f1["tasks"][0]
    assert (row["value"], row["low"], row["ngram"], row["majority"]) == (7.25, 6.0, 35.0, 90.0)
    assert row["low"] + row["width"] == pytest.approx(8.46)
    assert wer["tasks"][1]["majority"] == 80.0  # 120 % on an axis to 150 %
    assert row["in_words"] == "<b>: f1 7.2 %, 95 % interval 6.0 % to 8.5 %, n-gram baseline 35.0 %, majority baseline 90.0 %"


def test_an_axis_begins_at_0_and_ends_at_100_percent_or_above_the_largest_error_rate():
    assert [axis_end(largest) for largest in (0.2, 1.0, 1.01, 1.7)] == [1, 1, 1.5, 2]
    assert f"{100 // NUM_STEPS}%" in summary_template.CSS  # the lines of the axis


def test_the_page_needs_no_other_files_and_shows_names_as_they_are(tmp_path):
    text = page(tmp_path, [F1], comparison="mine")
    assert text.startswith("<!doctype html>") and "http" not in text and "<script" not in text
    assert "<bdi>&lt;b&gt;</bdi>" in text and "<b>" not in text and "<title>Results: mine</title>" in text
    assert all(style in text for style in (CSS, TABLE_CSS, summary_template.CSS))


def test_equal_summaries_give_equal_pages(tmp_path):
    assert page(tmp_path, [ROW, F1]) == page(tmp_path, [ROW, F1])
