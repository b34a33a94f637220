"""Encode reduced units as pieces: `17 4 99 4` → `502 31`. The duration of a piece is the sum of the durations of its units."""

from pathlib import Path

import numpy as np

from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from ulm.fit_pieces import as_text, as_units
from ulm.schemas import PIECES


class Pieces:
    """Encode units as pieces, and decode pieces to units."""

    def __init__(self, model, rows):
        """Load the sentencepiece `model` (bytes) and the rows of `PIECES` that `fit_pieces` has written."""
        import sentencepiece

        self.processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.units_of = {row["piece"]: row["units"] for row in rows}
        self.piece_of = {tuple(row["units"]): row["piece"] for row in rows}

    def encode(self, units):
        """Return the pieces of units. A unit that occurs in no training row is a piece of its own."""
        pieces = []
        for text in self.processor.encode(as_text(units), out_type=str):
            piece_units = tuple(as_units(text))
            if piece_units in self.piece_of:
                pieces.append(self.piece_of[piece_units])
            else:  # successive units that sentencepiece does not know
                pieces += [self.piece_of[unit,] for unit in piece_units]
        return pieces

    def decode(self, pieces):
        """Return the units of pieces."""
        return [unit for piece in pieces for unit in self.units_of[piece]]


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
