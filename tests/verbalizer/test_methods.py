"""Verbalizers: injective, in the order of frequency, seeded."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verbalizer.methods import METHODS, counts, freq, label_map, random


@st.composite
def tasks(draw):
    """Counters of labels and of units, number of units."""
    num_units = draw(st.integers(1, 60))
    labels = draw(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=40))
    units = draw(st.lists(st.integers(0, num_units - 1), max_size=80))
    return Counter(labels), Counter(units), num_units


@pytest.mark.parametrize("method", METHODS)
@given(tasks(), st.integers(0, 2**31))
def test_every_label_gets_a_unit_of_its_own(method, task, seed):
    labels, units, num_units = task
    if len(labels) > num_units:
        with pytest.raises(
            ValueError, match=f"'{method}' says a label as one unit; expected at most {num_units} labels, got {len(labels)}"
        ):
            label_map(method, labels, units, num_units, seed)
        return
    said = label_map(method, labels, units, num_units, seed)
    assert set(said) == set(labels)
    flat = [unit for way in said.values() for unit in way]
    assert all(len(way) == 1 for way in said.values()) and len(set(flat)) == len(flat)
    assert all(type(unit) is int and 0 <= unit < num_units for unit in flat)
    assert said == label_map(method, labels, units, num_units, seed)


def test_freq_pairs_ranks():
    assert freq(Counter(dict(a=1, b=5, c=3)), Counter({7: 2, 8: 9, 9: 4}), 10, 0) == dict(b=[8], c=[9], a=[7])


def test_freq_breaks_ties_by_first_appearance():
    rows = [dict(labels=["z"], units=[5, 3]), dict(labels=["a"], units=[3, 5, 9]), dict(labels=["m", "a"], units=[9, 1])]
    labels, units = counts(rows)
    assert list(labels) == ["z", "a", "m"] and list(units) == [5, 3, 9, 1]
    assert freq(labels, units, 10, 0) == dict(a=[5], z=[3], m=[9])


def test_freq_takes_units_that_never_occur_last_and_in_order():
    assert freq(Counter("aabbc"), Counter({4: 1}), 6, 0) == dict(a=[4], b=[0], c=[1])


def test_random_depends_on_the_seed_and_on_nothing_else_but_the_labels():
    labels = Counter("abcdef")
    ways = {str(random(labels, Counter(), 100, seed)) for seed in range(10)}
    assert len(ways) == 10
    assert random(labels, Counter({1: 5}), 100, 3) == random(labels, Counter(), 100, 3)
