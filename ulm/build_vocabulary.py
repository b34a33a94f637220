"""The unit LM's vocabulary: four specials, then the codebook's units in numeric order."""

from collections import Counter

from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from storage.errors import data_error
from ulm.schemas import VOCABULARY

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")  # fairseq's order: 0 separator, 1 padding, 2 begin and end, 3 unknown
SEPARATOR, PAD, EOS, UNK = range(4)


def vocabulary_rows(counts, num_units):
    """Rows of `VOCABULARY` from the occurrences of each unit."""
    specials = [dict(index=i, symbol=symbol, unit=None, count=0) for i, symbol in enumerate(SPECIALS)]
    return specials + [dict(index=len(SPECIALS) + u, symbol=str(u), unit=u, count=counts[u]) for u in range(num_units)]


def index_of_unit(vocabulary):
    """Unit → row of the embedding, from a vocabulary table. `index = unit + 4` must never be assumed."""
    rows = zip(vocabulary["unit"].to_pylist(), vocabulary["index"].to_pylist())
    return {unit: index for unit, index in rows if unit is not None}


def check_codebook(found, expected, place):
    """Raises `ValueError` where units of another codebook would be mixed in. `found`: the codebooks of the rows."""
    others = set(found) - {expected}
    if others:
        raise data_error(
            place,
            "units must index the unit LM's codebook",
            expected=f"'{expected}'",
            got=f"{sorted(others)}",
            remedy="choose a unit LM in config/tasks.tsv that was trained on this codebook",
        )


def build_vocabulary(*, reduced_units, vocabulary, codebook, num_units):
    """Stage: the vocabulary with the counts of the training split. See `VOCABULARY`."""
    counts = Counter()
    for path in reduced_units:
        for batch in tables.stream(path, REDUCED_UNITS, ["split", "codebook", "units"]):
            check_codebook(batch["codebook"].to_pylist(), codebook, path)
            for split, units in zip(batch["split"].to_pylist(), batch["units"].to_pylist()):
                counts.update(units if split == "train" else ())
    tables.write(vocabulary, vocabulary_rows(counts, num_units), VOCABULARY)
