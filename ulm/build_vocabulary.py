"""The vocabulary of a unit LM: four special symbols, then the units of the codebook in numeric order."""

from collections import Counter

from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from storage.errors import data_error
from ulm.schemas import VOCABULARY
from ulm.vocabulary import SPECIALS


def vocabulary_rows(counts, num_units):
    """Return rows of `VOCABULARY`. `counts[u]` is the number of occurrences of unit u."""
    specials = [dict(index=i, symbol=symbol, unit=None, count=0) for i, symbol in enumerate(SPECIALS)]
    units = [dict(index=len(SPECIALS) + unit, symbol=str(unit), unit=unit, count=counts[unit]) for unit in range(num_units)]
    return specials + units


def index_of_unit(vocabulary):
    """Return a dict from each unit to its vocabulary index, that is its row in the embedding matrix.

    Always use this dict instead of `index = unit + 4`: some published unit LMs order their units by frequency.
    """
    pairs = zip(vocabulary["unit"].to_pylist(), vocabulary["index"].to_pylist())
    return {unit: index for unit, index in pairs if unit is not None}


def check_codebook(codebooks, expected, place):
    """Check that the units of rows belong to the codebook of the unit LM.

    Args:
        codebooks: name of the codebook of each row.
        expected: name of the codebook of the unit LM.
        place: path of the table of the rows, for the error message.

    Raises:
        ValueError: if the units of a row belong to another codebook.
    """
    wrong = set(codebooks) - {expected}
    if wrong:
        raise data_error(
            place,
            "units must index the unit LM's codebook",
            expected=f"'{expected}'",
            got=f"{sorted(wrong)}",
            remedy="choose a unit LM in config/tasks.tsv that was trained on this codebook",
        )


def build_vocabulary(*, reduced_units, vocabulary, codebook, num_units):
    """Stage: write the vocabulary with the counts of the training splits. See `VOCABULARY`.

    Args:
        reduced_units: tables of `REDUCED_UNITS`, one per corpus.
        vocabulary: table of `VOCABULARY` to write.
        codebook: name of the codebook that the units of the tables must belong to.
        num_units: size of this codebook.

    Raises:
        ValueError: if units belong to another codebook.
    """
    counts = Counter()
    for path in reduced_units:
        for batch in tables.stream(path, REDUCED_UNITS, ["split", "codebook", "units"]):
            check_codebook(batch["codebook"].to_pylist(), codebook, path)
            for split, units in zip(batch["split"].to_pylist(), batch["units"].to_pylist()):
                if split == "train":
                    counts.update(units)
    tables.write(vocabulary, vocabulary_rows(counts, num_units), VOCABULARY)
