"""fairseq's binarised rows (`train|valid|test.bin|.idx`, `dict.txt`) and the same rows as Parquet.

The only module that imports fairseq (5 seconds, 0.9 GB); everything else reads the Parquet file.
"""

from storage import tables
from storage.errors import data_error
from storage.files import atomic_folder
from ulm.build_vocabulary import EOS, SEPARATOR, check_codebook, index_of_unit
from ulm.schemas import BINARIZED, VOCABULARY
from verbalizer.schemas import VERBALIZED

FAIRSEQ_SPLITS = dict(train="train", dev="valid", test="test")


def token_row(units, target_units, index_of):
    """Units and target units → vocabulary indices `u1 … uN <s> y1 … yk </s>`."""
    source, target = ([index_of[u] for u in part] for part in (units, target_units))
    return source + [SEPARATOR] + target + [EOS]


def fairseq_dictionary(vocabulary):
    """fairseq's `Dictionary` with the symbols and counts of the vocabulary table, in its order; checked against it."""
    from fairseq.data import Dictionary

    dictionary = Dictionary()
    rows = sorted(vocabulary.to_pylist(), key=lambda row: row["index"])
    for row in rows[dictionary.nspecial :]:
        dictionary.add_symbol(row["symbol"], row["count"])
    if dictionary.symbols != [row["symbol"] for row in rows]:
        raise data_error(
            "vocabulary",
            "fairseq must index the symbols alike",
            expected=f"{[row['symbol'] for row in rows][:6]}…",
            got=f"{dictionary.symbols[:6]}…",
            remedy="rerun build_vocabulary",
        )
    return dictionary


def open_indexed(prefix, vocabulary_size):
    """Builder of fairseq's memory-mapped `prefix.bin`, with the token type that fairseq chooses."""
    from fairseq.data import indexed_dataset

    return indexed_dataset.make_builder(f"{prefix}.bin", impl="mmap", vocab_size=vocabulary_size)


def binarize(*, verbalized, vocabulary, binarized, rows, codebook):
    """Stage: `binarized` is the folder of fairseq's files, `rows` the Parquet file beside them. See `BINARIZED`."""
    import torch

    vocabulary = tables.read(vocabulary, VOCABULARY)
    index_of, dictionary = index_of_unit(vocabulary), fairseq_dictionary(vocabulary)
    with atomic_folder(binarized) as temporary, tables.writer(rows, BINARIZED) as out:
        dictionary.save(str(temporary / "dict.txt"))
        builders = {split: open_indexed(temporary / name, len(dictionary)) for split, name in FAIRSEQ_SPLITS.items()}
        position = dict.fromkeys(FAIRSEQ_SPLITS, 0)
        for batch in tables.stream(verbalized, VERBALIZED):
            check_codebook(batch["codebook"].to_pylist(), codebook, verbalized)
            found = _rows(batch.to_pylist(), index_of, position)
            for row in found:
                builders[row["split"]].add_item(torch.tensor(row["tokens"], dtype=torch.int64))
            out.write(found)
        for split, name in FAIRSEQ_SPLITS.items():
            builders[split].finalize(f"{temporary / name}.idx")


def _rows(verbalized, index_of, position):
    """Rows of `BINARIZED`; `position`: split → rows that there are already, which it counts on."""
    rows = []
    for row in verbalized:
        same = {name: row[name] for name in ("utterance_id", "split", "labels")}
        tokens = token_row(row["units"], row["target_units"], index_of)
        rows.append(same | dict(row=position[row["split"]], tokens=tokens, num_source=len(row["units"])))
        position[row["split"]] += 1
    return rows
