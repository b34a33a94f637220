"""Verbalizers: no two labels share their units; `freq` goes by frequency, `random` by the seed."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verbalizer.methods import METHODS, counts, freq, label_map, random
from workflow.scripts.schema_checks import load_schema


def test_a_new_method_is_a_value_of_tasks_tsv(monkeypatch):
    monkeypatch.setitem(METHODS, "rare", freq)
    schema = load_schema.__wrapped__(Path(__file__).parents[2] / "workflow/schemas/tasks.schema.yaml")
    assert schema["properties"]["verbalizer"]["enum"] == ["kmeans", *METHODS]


@st.composite
def tasks(draw):
    """Counters of labels and of units, number of units."""
    num_units = draw(st.integers(1, 60))
    labels = draw(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=40))
    units = draw(st.lists(st.integers(0, num_units - 1), max_size=80))
    return Counter(labels), Counter(units), num_units


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@given(tasks(), st.integers(0, 2**31))
def test_no_two_labels_have_the_same_units(method, task, seed):
    labels, units, num_units = task
    order = METHODS[method](units, num_units, seed)
    assert sorted(order) == list(range(num_units)) and order == METHODS[method](units, num_units, seed)
    if num_units == 1 < len(labels):
        with pytest.raises(ValueError, match="labels must differ in units; expected two units or more, got 1"):
            label_map(labels, order)
        return
    units_of = label_map(labels, order)
    assert set(units_of) == set(labels) and len({tuple(sequence) for sequence in units_of.values()}) == len(units_of)
    assert len({len(sequence) for sequence in units_of.values()}) == 1
    assert all(type(unit) is int and 0 <= unit < num_units for sequence in units_of.values() for unit in sequence)
    assert num_units < len(labels) or all(len(sequence) == 1 for sequence in units_of.values())


def test_more_labels_than_units_get_sequences():
    units_of = label_map(Counter({f"speaker{i}": 2000 - i for i in range(1251)}), list(range(99, -1, -1)))
    assert len({tuple(sequence) for sequence in units_of.values()}) == 1251
    assert {len(sequence) for sequence in units_of.values()} == {2}
    assert units_of["speaker0"] == [99, 99] and units_of["speaker1"] == [99, 98] and units_of["speaker100"] == [98, 99]


def test_freq_pairs_ranks():
    units = Counter({7: 2, 8: 9, 9: 4})
    assert label_map(Counter(dict(a=1, b=5, c=3)), freq(units, 10, 0)) == dict(b=[8], c=[9], a=[7])


def test_freq_breaks_ties_by_first_appearance():
    rows = [dict(labels=["z"], units=[5, 3]), dict(labels=["a"], units=[3, 5, 9]), dict(labels=["m", "a"], units=[9, 1])]
    labels, units = counts(rows)
    assert list(labels) == ["z", "a", "m"] and list(units) == [5, 3, 9, 1]
    assert label_map(labels, freq(units, 10, 0)) == dict(a=[5], z=[3], m=[9])


def test_freq_takes_units_that_never_occur_last_and_in_order():
    assert freq(Counter({4: 1}), 6, 0) == [4, 0, 1, 2, 3, 5]


def test_random_depends_on_the_seed_alone():
    assert len({str(random(Counter(), 100, seed)) for seed in range(10)}) == 10
    assert random(Counter({1: 5}), 100, 3) == random(Counter(), 100, 3)
