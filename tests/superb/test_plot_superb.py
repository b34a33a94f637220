"""The figure of all ways of tuning, and that of a sweep."""

import pandas
import pytest

from storage import tables
from superb.plot_superb import draw, panels, plot_superb
from superb.plot_sweep import plot_sweep
from superb.schemas import SUPERB_SUMMARY, SWEEP


def rows():
    for task, kind, tuning, trained, fraction in [
        ("a", "KS", "full", 1000, 1.0), ("b", "KS", "deep_prompt10", 50, 1.0), ("c", "KS", "deep_prompt10", 50, 0.1), ("d", "SD", "full", 900, 1.0)
    ]:  # fmt: skip
        for seed in (1, 2):
            yield dict(
                superb_task=task, kind=kind, corpus="c", encoder="e", tuning=tuning, head="h", fraction=fraction, seed=seed,
                metric="accuracy", higher_is_better=True, value=0.5 + seed / 10, dev_value=0.5, mean=0.65, deviation=0.07, low=0.6,
                high=0.7, num_rows=10, num_train_rows=5, trained_parameters=trained, encoder_parameters=0,
            )  # fmt: skip


@pytest.mark.slow
def test_a_panel_for_each_task_a_line_for_each_way(tmp_path):
    frame = pandas.DataFrame(rows())
    assert [(title.split("\n")[0], len(part)) for title, part in panels(frame)] == [("KS on c, e", 6), ("SD on c, e", 2)]
    first, second = draw(frame).axes[:2]
    assert [t.get_text() for t in first.get_yticklabels()] == ["deep_prompt10 (50)", "full (1,000)", "deep_prompt10, 10 % (50)"]
    assert [t.get_text() for t in second.get_yticklabels()] == ["full (900)"]
    dots = [line for line in first.lines if line.get_marker() == "o"]
    assert [line.get_xdata().tolist() for line in dots] == [pytest.approx([0.6, 0.7])] * 3
    tables.write(tmp_path / "s.parquet", list(rows()), SUPERB_SUMMARY)
    plot_superb(summary=tmp_path / "s.parquet", figure=tmp_path / "methods.svg")
    assert (tmp_path / "methods.svg").read_text().startswith("<?xml")


@pytest.mark.slow
def test_a_sweep_shows_both_splits_and_the_best_rate(tmp_path):
    sweep = [
        dict(factor=f, learning_rate=f / 100, seed=1, metric="wer", dev_value=1 / f, value=2 / f, best=f == 3)
        for f in (0.3, 1.0, 3.0)
    ]
    tables.write(tmp_path / "sweep.parquet", sweep, SWEEP)
    plot_sweep(sweep=tmp_path / "sweep.parquet", figure=tmp_path / "sweep.svg")
    assert (tmp_path / "sweep.svg").stat().st_size > 1000
