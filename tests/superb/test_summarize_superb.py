"""The summary of tasks: one row per task and seed."""

import json

from storage import tables
from superb.schemas import SUPERB_SUMMARY
from superb.summarize_superb import summarize_superb

REPORT = dict(
    superb_task="KS_x", kind="KS", metric="accuracy", higher_is_better=True, value=0.5, value_std=0.1, value_low=0.4, value_high=0.6,
    value_by_seed={"1": 0.4, "2": 0.6}, dev=dict(value=0.7, value_by_seed={"1": 0.8, "2": 0.9}), num_rows=10, num_train_rows=20,
    trained_parameters=30, encoder_parameters=5, settings={}, baselines={}, updates=3,
    names=dict(corpus="c", encoder="e", tuning="t", head="h", fraction=0.1),
)  # fmt: skip


def test_each_seed_has_a_row(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(REPORT))
    (tmp_path / "b.json").write_text(json.dumps(REPORT | dict(superb_task="KS_y")))
    summarize_superb(scores=[tmp_path / "a.json", tmp_path / "b.json"], summary=tmp_path / "s.parquet")
    rows = tables.read(tmp_path / "s.parquet", SUPERB_SUMMARY).to_pylist()
    assert [(row["superb_task"], row["seed"], row["value"], row["dev_value"]) for row in rows] == [
        ("KS_x", 1, 0.4, 0.8), ("KS_x", 2, 0.6, 0.9), ("KS_y", 1, 0.4, 0.8), ("KS_y", 2, 0.6, 0.9)
    ]  # fmt: skip
    assert {(row["mean"], row["deviation"], row["low"], row["high"], row["fraction"], row["tuning"]) for row in rows} == {
        (0.5, 0.1, 0.4, 0.6, 0.1, "t")
    }
