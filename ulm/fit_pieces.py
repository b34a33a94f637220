"""Acoustic BPE: pieces of several units that a unit LM reads instead of units, learned from its training rows.

A unit is a character (of a private-use plane of Unicode), an utterance a sentence without blanks; so sentencepiece does the
rest, and encoding loses nothing.

**Source:** Shen et al. 2023, arXiv 2310.14580; BPE as of Sennrich et al. 2016, arXiv 1508.07909.
"""

import io

from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from storage.errors import data_error
from storage.files import atomic
from ulm.schemas import PIECES

FIRST_CHARACTER = 0xF0000  # 65,534 characters of private use that no normalisation and no font touches
EXACT = dict(  # sentencepiece changes nothing in the text, knows no symbols of its own but <unk>, and cuts nowhere
    unk_id=0,
    bos_id=-1,
    eos_id=-1,
    pad_id=-1,
    normalization_rule_name="identity",
    add_dummy_prefix=False,
    remove_extra_whitespaces=False,
    split_by_unicode_script=False,
    split_by_whitespace=False,
    split_by_number=False,
    character_coverage=1.0,
    max_sentence_length=2**30,
    num_threads=1,
    minloglevel=2,
)


def as_text(units):
    """Units as a string of as many characters."""
    return "".join(chr(FIRST_CHARACTER + unit) for unit in units)


def as_units(text):
    """The units of a string of `as_text`."""
    return [ord(character) - FIRST_CHARACTER for character in text]


def learn(rows, *, num_pieces, num_units, max_piece_units):
    """sentencepiece's model (bytes), which has so many merges that they and the units 0 … `num_units` − 1 are `num_pieces`.

    rows: units of the training utterances. Raises `ValueError` where so many pieces cannot be.
    """
    import sentencepiece

    if num_pieces <= num_units:
        raise _wrong_number(f"more than {num_units}, the units among them", num_pieces)
    model, never = io.BytesIO(), num_units - len({unit for units in rows for unit in units})
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=map(as_text, rows),
            model_writer=model,
            model_type="bpe",
            vocab_size=num_pieces - never + 1,
            max_sentencepiece_length=max_piece_units,
            **EXACT,
        )
    except RuntimeError as error:
        raise _wrong_number("so few that the corpus has them", f"{num_pieces} ({str(error)[-80:]})") from error
    return model.getvalue()


def piece_rows(model, num_units):
    """Rows of `PIECES` of a model: piece i is unit i as long as there are units, said or not; then the merges in order."""
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
    found = [as_units(pieces.id_to_piece(i)) for i in range(1, pieces.get_piece_size())]
    units = [[unit] for unit in range(num_units)] + [part for part in found if len(part) > 1]
    return [dict(piece=piece, units=part) for piece, part in enumerate(units)]


def fit_pieces(*, reduced_units, model, pieces, num_pieces, num_units, max_piece_units):
    """Stage: sentencepiece's `model`, fitted on the training splits, and what each piece stands for. See `PIECES`."""
    found = []
    for path in reduced_units:
        for batch in tables.stream(path, REDUCED_UNITS, ["split", "units"]):
            found += [row["units"] for row in batch.to_pylist() if row["split"] == "train"]
    learned = learn(found, num_pieces=num_pieces, num_units=num_units, max_piece_units=max_piece_units)
    with atomic(model) as temporary:
        temporary.write_bytes(learned)
    tables.write(pieces, piece_rows(learned, num_units), PIECES)


def _wrong_number(expected, got):
    return data_error(
        "fit_pieces",
        "a unit LM's pieces must exist",
        expected=expected,
        got=got,
        remedy="correct num_pieces in config/ulms.tsv",
    )
