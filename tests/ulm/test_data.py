"""Batches: every row once, at most `max_tokens` tokens, the same for the same seed."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ulm.data import balanced_positions, endless_batches, length_batches, pad_rows
from ulm.vocabulary import PAD

LENGTHS = st.lists(st.integers(1, 50), min_size=1, max_size=60)


def test_rows_are_padded_on_the_right():
    assert pad_rows([[5, 6, 7], np.array([8]), [9, 4]]).tolist() == [[5, 6, 7], [8, PAD, PAD], [9, 4, PAD]]


@pytest.mark.slow
@settings(deadline=None)
@given(LENGTHS, st.integers(1, 200), st.one_of(st.none(), st.integers(0, 9)))
def test_every_row_is_in_one_batch_and_batches_keep_to_max_tokens(lengths, max_tokens, seed):
    batches = length_batches(lengths, max_tokens, None if seed is None else np.random.default_rng(seed))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= max_tokens


@pytest.mark.slow
@settings(deadline=None)
@given(LENGTHS, st.integers(1, 200), st.integers(1, 9))
def test_batches_keep_to_max_rows(lengths, max_tokens, max_rows):
    batches = length_batches(lengths, max_tokens, np.random.default_rng(0), max_rows)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert max(map(len, batches)) <= max_rows
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= max_tokens


def test_short_rows_come_max_rows_at_a_time():
    batches = endless_batches([7] * 100, 10**6, np.random.default_rng(0), max_rows=32)
    assert sorted(len(batch) for batch in islice(batches, 4)) == [4, 32, 32, 32]


def test_without_a_generator_batches_are_fixed_and_sorted_by_length():
    assert [b.tolist() for b in length_batches([3, 1, 2, 1], 4)] == [[1, 3], [2], [0]]


@settings(deadline=None, max_examples=30)
@given(LENGTHS, st.integers(0, 9))
def test_endless_batches_are_epochs_and_the_seed_gives_the_order(lengths, seed):
    first, second = (endless_batches(lengths, 60, np.random.default_rng(seed)) for _ in range(2))
    epoch, drawn = Counter(), 0
    while drawn < 2 * len(lengths):
        batch, same = next(first), next(second)
        assert batch.tolist() == same.tolist()
        epoch.update(batch.tolist())
        drawn += len(batch)
    assert epoch == dict.fromkeys(range(len(lengths)), 2)


def test_epochs_differ():
    batches = endless_batches(list(range(1, 40)), 40, np.random.default_rng(1))
    assert len({tuple(map(tuple, islice(batches, 20))) for _ in range(3)}) == 3


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=40), st.integers(0, 9))
def test_classes_are_drawn_equally_often(classes, seed):
    positions = balanced_positions(classes, np.random.default_rng(seed))
    class_counts = Counter(classes[i] for i in positions)
    assert set(class_counts) == set(classes) and len(set(class_counts.values())) == 1
    assert len(classes) <= len(positions) < len(classes) + len(class_counts)
    for name, size in Counter(classes).items():
        drawn = Counter(int(i) for i in positions if classes[i] == name)
        assert (
            max(drawn.values()) - min([*drawn.values()] if len(drawn) == size else [0]) <= 1
        )  # every row once before any is drawn twice


def test_balanced_batches_hold_rows_of_their_own_length():
    classes, lengths = ["a"] * 30 + ["b"] * 2, [5] * 30 + [40] * 2
    for batch in islice(endless_batches(lengths, 80, np.random.default_rng(3), classes), 40):
        assert len({lengths[i] for i in batch}) == 1 or len(batch) * 40 <= 80
