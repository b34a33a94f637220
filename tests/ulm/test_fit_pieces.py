"""Acoustic BPE: every unit is a piece, the merges are those of byte-pair encoding, and a second fit gives the same."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from ulm.fit_pieces import as_text, as_units, fit_pieces, learn, piece_rows
from ulm.schemas import PIECES

NUM_UNITS = 32767  # the most that int16 holds and codebooks.tsv allows
SETTINGS = dict(num_pieces=30, num_units=12, max_piece_units=4)


@pytest.mark.slow
@given(st.lists(st.integers(0, NUM_UNITS - 1)))
def test_units_become_characters_and_back(units):
    assert as_units(as_text(units)) == units and len(as_text(units)) == len(units)
    assert not any(character.isspace() for character in as_text(units))


def test_pieces_are_the_units_and_then_the_merges(worded_units):
    rows = piece_rows(learn(worded_units(), **SETTINGS), 12)
    assert [row["piece"] for row in rows] == list(range(30))
    assert [row["units"] for row in rows[:12]] == [[unit] for unit in range(12)]  # 10 and 11 never occur
    assert all(2 <= len(row["units"]) <= 4 for row in rows[12:])
    pairs = Counter(pair for units in worded_units() for pair in pairwise(units))
    assert pairs[tuple(rows[12]["units"])] == max(pairs.values())
    assert len({tuple(row["units"]) for row in rows}) == 30


def test_the_same_rows_give_the_same_model(worded_units):
    assert learn(worded_units(), **SETTINGS) == learn(worded_units(), **SETTINGS) != learn(worded_units(1), **SETTINGS)


@pytest.mark.parametrize(
    "num_pieces, expected",
    [
        (12, "more than 12, because each unit is a piece, got 12"),
        (5000, "no more than can be learned from the corpus, got 5000 "),
    ],
)
def test_an_impossible_number_of_pieces_is_refused(worded_units, num_pieces, expected):
    with pytest.raises(
        ValueError, match=f"fit_pieces: the number of pieces must be possible; expected {expected}.*; correct num_pieces in"
    ):
        learn(worded_units(), **SETTINGS | dict(num_pieces=num_pieces))


def test_the_stage_fits_on_train_alone(worded_units, tmp_path):
    rows = [
        dict(utterance_id=f"u{i:02d}", split="train" if i < 30 else "dev", codebook="k", units=units, durations=[1] * len(units))
        for i, units in enumerate(worded_units())
    ]
    tables.write(tmp_path / "reduced_units.parquet", rows, REDUCED_UNITS)
    paths = dict(model=tmp_path / "pieces.model", pieces=tmp_path / "pieces.parquet")
    fit_pieces(reduced_units=[tmp_path / "reduced_units.parquet"], **paths, **SETTINGS)
    learned = learn([row["units"] for row in rows[:30]], **SETTINGS)
    assert paths["model"].read_bytes() == learned
    assert tables.read(paths["pieces"], PIECES).to_pylist() == piece_rows(learned, 12)
