"""Pieces of one or more units as text, which sentencepiece reads, and back."""

FIRST_CHARACTER = 0xF0000  # the first of 65,534 private-use characters, which normalization leaves as they are


def as_text(units):
    """Return units as a string with one character per unit."""
    return "".join(chr(FIRST_CHARACTER + unit) for unit in units)


def as_units(text):
    """Return the units of a string of `as_text`."""
    return [ord(character) - FIRST_CHARACTER for character in text]


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
