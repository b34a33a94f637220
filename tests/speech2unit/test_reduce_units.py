"""Reduced units: runs collapsed, nothing lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech2unit.reduce_units import reduce_units
from speech2unit.runs import collapse_runs
from speech2unit.schemas import REDUCED_UNITS, UNITS
from storage import tables

units_lists = st.lists(st.integers(0, 3), max_size=60)


def test_the_docstrings_example():
    units, durations = collapse_runs([5, 5, 9, 9, 9])
    assert units.tolist() == [5, 9] and durations.tolist() == [2, 3]


@given(units_lists)
def test_durations_sum_to_the_frames_and_repeating_gives_the_original(units):
    reduced, durations = collapse_runs(units)
    assert durations.sum() == len(units) and len(reduced) == len(durations)
    assert np.repeat(reduced, durations).tolist() == units
    assert (durations >= 1).all()


@given(units_lists)
def test_reducing_twice_changes_nothing(units):
    once, _ = collapse_runs(units)
    twice, durations = collapse_runs(once)
    assert twice.tolist() == once.tolist() and (durations == 1).all()
    assert (np.diff(once) != 0).all()


@pytest.mark.slow
@given(st.integers(0, 2**15 - 1), st.integers(1, 300))
def test_one_run_of_any_unit(unit, length):
    reduced, durations = collapse_runs(np.full(length, unit, np.int16))
    assert reduced.tolist() == [unit] and durations.tolist() == [length]


def test_the_stage_reduces_every_row(tmp_path):
    rows = [dict(utterance_id=f"u{i}", split="train", codebook="c", units=[i % 3, i % 3, 5] * i) for i in range(5)]
    tables.write(tmp_path / "u.parquet", rows, UNITS)
    reduce_units(units=tmp_path / "u.parquet", reduced_units=tmp_path / "r.parquet")
    reduced_rows = tables.read(tmp_path / "r.parquet", REDUCED_UNITS).to_pylist()
    assert [np.repeat(r["units"], r["durations"]).astype(int).tolist() for r in reduced_rows] == [row["units"] for row in rows]
    assert reduced_rows[2] == dict(utterance_id="u2", split="train", codebook="c", units=[2, 5, 2, 5], durations=[2, 1, 2, 1])
