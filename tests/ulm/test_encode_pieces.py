"""Units as pieces and back: nothing is lost, rows with repeated words become shorter, durations are kept."""

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from ulm.encode_pieces import Pieces, encode_pieces
from ulm.fit_pieces import learn, piece_rows
from ulm.schemas import PIECES

SETTINGS = dict(num_pieces=30, num_units=12, max_piece_units=4)  # units 10 and 11 occur in no training row


@pytest.fixture(scope="module")
def model(worded_units):
    return learn(worded_units(), **SETTINGS)


@pytest.fixture(scope="module")
def pieces(model):
    return Pieces(model, piece_rows(model, 12))


@pytest.mark.slow
@settings(max_examples=200)
@given(st.lists(st.integers(0, 11), max_size=60))
def test_encoding_is_lossless_for_any_units(pieces, units):
    encoded = pieces.encode(units)
    assert pieces.decode(encoded) == units and all(0 <= piece < 30 for piece in encoded) and len(encoded) <= len(units)


def test_training_rows_become_shorter(worded_units, pieces):
    before, after = (sum(map(len, rows)) for rows in (worded_units(), map(pieces.encode, worded_units())))
    assert after < 0.7 * before


def test_the_stage_encodes_every_split_and_keeps_durations(worded_units, model, tmp_path):
    rows = [
        dict(utterance_id=f"u{i:02d}", split="train" if i < 30 else "test", codebook="k", units=units, durations=[2] * len(units))
        for i, units in enumerate([*worded_units(), [11, 10], [3]])
    ]
    paths = dict(model=tmp_path / "pieces.model", pieces=tmp_path / "pieces.parquet")
    paths["model"].write_bytes(model)
    tables.write(paths["pieces"], piece_rows(model, 12), PIECES)
    tables.write(tmp_path / "units.parquet", rows, REDUCED_UNITS)
    encode_pieces(reduced_units=tmp_path / "units.parquet", **paths, encoded_units=tmp_path / "encoded.parquet", codebook="k:u")
    units_of = [row["units"] for row in tables.read(paths["pieces"], PIECES).to_pylist()]
    for row, before in zip(tables.read(tmp_path / "encoded.parquet", REDUCED_UNITS).to_pylist(), rows, strict=True):
        parts = [units_of[piece] for piece in row["units"]]
        assert [*chain(*parts)] == before["units"] and row["durations"] == [2 * len(part) for part in parts]
        assert (row["utterance_id"], row["split"], row["codebook"]) == (before["utterance_id"], before["split"], "k:u")
