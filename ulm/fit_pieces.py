"""Acoustic BPE: learn pieces, each of one or more units, which a unit LM reads instead of units.

sentencepiece learns them. For this, a unit becomes a character from a private-use plane of Unicode, and an utterance becomes a
sentence without spaces. Encoding is lossless: the pieces determine the units.

**Source:** Shen et al. 2023, arXiv 2310.14580; byte-pair encoding by Sennrich et al. 2016, arXiv 1508.07909.
"""

import io

from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from storage.errors import data_error
from storage.files import atomic
from ulm.pieces import as_text, as_units
from ulm.schemas import PIECES

# sentencepiece must not change the text, split it anywhere in advance, or add special symbols other than <unk>.
SENTENCEPIECE = dict(
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


def learn(rows, *, num_pieces, num_units, max_piece_units):
    """Train a sentencepiece model with `num_pieces` pieces: the units 0 … num_units-1, and merges of several units.

    Args:
        rows: list with the units of each training utterance.
        num_pieces: number of pieces, more than `num_units`.
        num_units: size of the codebook.
        max_piece_units: maximum number of units per piece.

    Returns:
        The model as bytes.

    Raises:
        ValueError: if `num_pieces` is not above `num_units`, or is more than can be learned from the rows.
    """
    import sentencepiece

    if num_pieces <= num_units:
        raise _wrong_number(f"more than {num_units}, because each unit is a piece", num_pieces)
    num_missing = num_units - len({unit for units in rows for unit in units})  # units that sentencepiece does not see
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=map(as_text, rows),
            model_writer=model,
            model_type="bpe",
            vocab_size=num_pieces - num_missing + 1,
            max_sentencepiece_length=max_piece_units,
            **SENTENCEPIECE,
        )
    except RuntimeError as error:
        raise _wrong_number("no more than can be learned from the corpus", f"{num_pieces} ({str(error)[-80:]})") from error
    return model.getvalue()


def piece_rows(model, num_units):
    """Return rows of `PIECES`: first every unit as a piece of the same number, even if it never occurs; then the merges.

    Args:
        model: the result of `learn`.
        num_units: size of the codebook.
    """
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    learned = [as_units(processor.id_to_piece(i)) for i in range(1, processor.get_piece_size())]
    merges = [units for units in learned if len(units) > 1]
    single_units = [[unit] for unit in range(num_units)]
    return [dict(piece=piece, units=units) for piece, units in enumerate(single_units + merges)]


def fit_pieces(*, reduced_units, model, pieces, num_pieces, num_units, max_piece_units):
    """Stage: learn pieces from the training splits. See `PIECES`.

    Args:
        reduced_units: tables of `REDUCED_UNITS`, one per corpus.
        model: file to write, sentencepiece's model.
        pieces: table of `PIECES` to write, with the units of each piece.
        num_pieces, num_units, max_piece_units: see `learn`.
    """
    train = []
    for path in reduced_units:
        for batch in tables.stream(path, REDUCED_UNITS, ["split", "units"]):
            train += [row["units"] for row in batch.to_pylist() if row["split"] == "train"]
    learned = learn(train, num_pieces=num_pieces, num_units=num_units, max_piece_units=max_piece_units)
    with atomic(model) as temporary:
        temporary.write_bytes(learned)
    tables.write(pieces, piece_rows(learned, num_units), PIECES)


def _wrong_number(expected, got):
    """Return the error about an impossible number of pieces."""
    return data_error(
        "fit_pieces",
        "the number of pieces must be possible",
        expected=expected,
        got=got,
        remedy="correct num_pieces in config/ulms.tsv",
    )
