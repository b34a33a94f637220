"""Augmentation: rows stay long enough and without runs; the same generator gives the same rows."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ulm.augment_units import MIN_UNITS, UnitAugmentation, augment, substitution_table

V = 24
ROWS = [np.array(row) for row in ([5, 6, 7, 8, 5, 6], [9, 6, 10, 8, 9], [5, 6, 7, 11, 12, 5, 6], [20, 21, 20, 21])]
TABLE = substitution_table(ROWS, V)
rows = st.lists(st.integers(4, V - 1), min_size=1, max_size=30).map(lambda row: np.array(row)[np.diff(row, prepend=-1) != 0])


@pytest.mark.slow
@settings(deadline=None)
@given(rows, st.integers(0, 999))
def test_rows_stay_long_enough_and_without_runs(row, seed):
    augmentation = UnitAugmentation(probability=1.0, drop=0.9, substitute=0.9, crop=1.0)
    changed = augment(row, augmentation, TABLE, np.random.default_rng(seed))
    assert len(changed) >= min(MIN_UNITS, len(row))
    assert (np.diff(changed) != 0).all()
    assert len(changed) <= len(row) and changed.min() >= 4 and changed.max() < V
    assert np.array_equal(changed, augment(row, augmentation, TABLE, np.random.default_rng(seed)))


@pytest.mark.slow
@settings(deadline=None)
@given(rows, st.integers(0, 999))
def test_zero_settings_change_nothing(row, seed):
    for augmentation in (UnitAugmentation(1.0, 0.0, 0.0, 0.0), UnitAugmentation(0.0, 0.9, 0.9, 1.0)):
        assert np.array_equal(augment(row, augmentation, TABLE, np.random.default_rng(seed)), row)


def test_the_given_row_is_not_changed_in_place(augmentation):
    row = np.arange(4, 20)
    before, rng = row.copy(), np.random.default_rng(0)
    changed = [augment(row, augmentation, TABLE, rng) for _ in range(50)]
    assert np.array_equal(row, before) and any(not np.array_equal(changed_row, row) for changed_row in changed)


def test_each_setting_has_its_own_effect():
    none, rng, row = UnitAugmentation(1.0, 0.0, 0.0, 0.0), np.random.default_rng(0), ROWS[2]
    cropped = [augment(row, replace(none, crop=1.0), TABLE, rng) for _ in range(50)]
    assert all(" ".join(map(str, c)) in " ".join(map(str, row)) for c in cropped) and min(map(len, cropped)) < len(row)
    substituted = [augment(row, replace(none, substitute=1.0), TABLE, rng) for _ in range(50)]
    assert any(not set(s.tolist()) <= set(row.tolist()) for s in substituted)
    dropped = [augment(row, replace(none, drop=0.9), TABLE, rng) for _ in range(50)]
    assert all(set(d.tolist()) <= set(row.tolist()) for d in dropped) and min(map(len, dropped)) < len(row)


def test_substitutes_are_other_units_that_occur_and_no_specials():
    probabilities = np.diff(TABLE, axis=1, prepend=0)
    occurring = sorted({int(u) for row in ROWS for u in row})
    assert np.allclose(TABLE[occurring, -1], 1)
    assert (np.diag(probabilities)[occurring] == 0).all() and (probabilities[occurring, :4] == 0).all()
    silent = [u for u in range(4, V) if u not in occurring]
    assert (probabilities[np.ix_(occurring, silent)] == 0).all()


def test_units_with_the_same_neighbours_are_the_most_probable_substitutes():
    table = substitution_table([np.array([5, middle, 7]) for middle in (10, 11)] + [np.array([15, 12, 16, 13, 14])], V)
    assert np.diff(table, axis=1, prepend=0)[10].argmax() == 11
