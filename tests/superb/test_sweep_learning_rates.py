"""Sweeps: one row per learning rate and seed; the dev split chooses the best, for metrics of either direction."""

import json

import pytest

from storage import tables
from superb.schemas import SWEEP
from superb.sweep_learning_rates import sweep_learning_rates, sweep_rows


def report(dev, test, higher=True, learning_rate=0.01):
    values = dict(value=sum(test) / 2, value_by_seed=dict(zip("12", test)))
    dev = dict(value=sum(dev) / 2, value_by_seed=dict(zip("12", dev)))
    return values | dict(
        metric="m", higher_is_better=higher, dev=dev, settings=dict(optimization=dict(learning_rate=learning_rate))
    )


@pytest.mark.parametrize("higher, best", [(True, 3.0), (False, 0.1)])
def test_the_dev_split_chooses_the_best_rate(tmp_path, higher, best):
    reports = [
        report([0.1, 0.2], [0.9, 0.9], higher, 0.001),
        report([0.3, 0.3], [0.5, 0.5], higher),
        report([0.6, 0.2], [0.1, 0.2], higher, 0.03),
    ]
    paths = [tmp_path / f"{i}.json" for i in range(3)]
    for path, content in zip(paths, reports):
        path.write_text(json.dumps(content))
    sweep_learning_rates(scores=paths, sweep=tmp_path / "sweep.parquet", factors=["0.1", "1", "3"])
    rows = tables.read(tmp_path / "sweep.parquet", SWEEP).to_pylist()
    assert [(row["factor"], row["seed"]) for row in rows] == [(f, s) for f in (0.1, 1.0, 3.0) for s in (1, 2)]
    assert {row["factor"] for row in rows if row["best"]} == {best} and sum(row["best"] for row in rows) == 2
    assert [row["learning_rate"] for row in rows[::2]] == pytest.approx([0.001, 0.01, 0.03])
    assert rows[-1]["dev_value"] == 0.2 and rows[-1]["value"] == 0.2


def test_every_factor_needs_a_report():
    with pytest.raises(ValueError):
        sweep_rows([report([0, 0], [0, 0])], [1, 3])
