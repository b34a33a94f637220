"""Reduced units as pieces of a unit LM: `17 4 99 4` → `502 31`, durations those of all units of a piece together."""

from pathlib import Path

import numpy as np

from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from ulm.fit_pieces import as_text, as_units
from ulm.schemas import PIECES


class Pieces:
    """Units to pieces and back, by a model of `fit_pieces` and its rows of `PIECES`."""

    def __init__(self, model, rows):
        import sentencepiece

        self.processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.units_of = {row["piece"]: row["units"] for row in rows}
        self.piece_of = {tuple(row["units"]): row["piece"] for row in rows}

    def encode(self, units):
        """Units → pieces; a unit that no training row has is a piece of its own."""
        parts = [as_units(part) for part in self.processor.encode(as_text(units), out_type=str)]
        known = [[part] if tuple(part) in self.piece_of else [[unit] for unit in part] for part in parts]
        return [self.piece_of[tuple(part)] for several in known for part in several]

    def decode(self, pieces):
        """Pieces → units."""
        return [unit for piece in pieces for unit in self.units_of[piece]]


def encoded(row, pieces, codebook):
    """A row of `REDUCED_UNITS` with pieces for units."""
    found = pieces.encode(row["units"])
    starts = np.cumsum([0, *(len(pieces.units_of[piece]) for piece in found)])[:-1]
    durations = np.add.reduceat(row["durations"], starts) if found else []
    return row | dict(codebook=codebook, units=found, durations=durations)


def encode_pieces(*, reduced_units, model, pieces, encoded_units, codebook):
    """Stage: `encoded_units` are reduced units whose codebook is that of the pieces. See `REDUCED_UNITS`."""
    known = Pieces(Path(model).read_bytes(), tables.read(pieces, PIECES).to_pylist())
    with tables.writer(encoded_units, REDUCED_UNITS) as out:
        for batch in tables.stream(reduced_units, REDUCED_UNITS):
            out.write([encoded(row, known, codebook) for row in batch.to_pylist()])
