"""Encode reduced units as pieces: `17 4 99 4` → `502 31`. The duration of a piece is the sum of the durations of its units."""

from pathlib import Path

import numpy as np

from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from ulm.pieces import Pieces
from ulm.schemas import PIECES


def encode_row(row, encoder, codebook):
    """Return a row of `REDUCED_UNITS` with pieces in place of its units.

    Args:
        row: row of `REDUCED_UNITS`.
        encoder: a `Pieces`.
        codebook: name of the pieces, for the column `codebook`.
    """
    pieces = encoder.encode(row["units"])
    lengths = [len(encoder.units_of[piece]) for piece in pieces]
    starts = np.cumsum([0, *lengths])[:-1]
    durations = np.add.reduceat(row["durations"], starts) if pieces else []
    return row | dict(codebook=codebook, units=pieces, durations=durations)


def encode_pieces(*, reduced_units, model, pieces, encoded_units, codebook):
    """Stage: write reduced units as pieces, again as a table of `REDUCED_UNITS`.

    Args:
        reduced_units: table of `REDUCED_UNITS`.
        model, pieces: files that `fit_pieces` wrote: sentencepiece's model and the table of `PIECES`.
        encoded_units: table of `REDUCED_UNITS` to write.
        codebook: name of the pieces, for the column `codebook`.
    """
    encoder = Pieces(Path(model).read_bytes(), tables.read(pieces, PIECES).to_pylist())
    with tables.writer(encoded_units, REDUCED_UNITS) as out:
        for batch in tables.stream(reduced_units, REDUCED_UNITS):
            out.write([encode_row(row, encoder, codebook) for row in batch.to_pylist()])
