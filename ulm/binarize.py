"""Write rows in fairseq's binary format, and the same rows as a Parquet table.

fairseq's files are `train`, `valid` and `test`, each as `.bin` and `.idx`, and `dict.txt`. This is the only module that imports
fairseq, which takes 5 seconds and 0.9 GB. All other modules read the table.

The notation of rows, such as `u1 … uN`, is explained in `ulm/__init__.py`.
"""

from storage import tables
from storage.errors import data_error
from storage.files import atomic_folder
from ulm.build_vocabulary import check_codebook, index_of_unit
from ulm.schemas import BINARIZED, VOCABULARY
from ulm.vocabulary import EOS, SEPARATOR
from verbalizer.schemas import VERBALIZED

FAIRSEQ_SPLITS = dict(train="train", dev="valid", test="test")


def token_row(units, target_units, index_of):
    """Return the row `u1 … uN <s> y1 … yk </s>` as a list of vocabulary indices.

    Args:
        units: units of the source, N integers.
        target_units: units of the labels, k integers.
        index_of: dict from each unit to its vocabulary index.
    """
    source = [index_of[unit] for unit in units]
    target = [index_of[unit] for unit in target_units]
    return source + [SEPARATOR] + target + [EOS]


def fairseq_dictionary(vocabulary):
    """Return fairseq's `Dictionary` with the symbols and counts of a table of `VOCABULARY`, in its order.

    Raises:
        ValueError: if fairseq orders the symbols differently.
    """
    from fairseq.data import Dictionary

    dictionary = Dictionary()
    rows = sorted(vocabulary.to_pylist(), key=lambda row: row["index"])
    symbols = [row["symbol"] for row in rows]
    for row in rows[dictionary.nspecial :]:
        dictionary.add_symbol(row["symbol"], row["count"])
    if dictionary.symbols != symbols:
        raise data_error(
            "vocabulary",
            "fairseq must give each symbol the same index",
            expected=f"{symbols[:6]}…",
            got=f"{dictionary.symbols[:6]}…",
            remedy="rerun build_vocabulary",
        )
    return dictionary


def open_indexed(prefix, vocabulary_size):
    """Return a builder of fairseq's memory-mapped file `prefix.bin`.

    Args:
        prefix: path of the file without `.bin`.
        vocabulary_size: number of tokens, from which fairseq chooses the integer type of the file.
    """
    from fairseq.data import indexed_dataset

    return indexed_dataset.make_builder(f"{prefix}.bin", impl="mmap", vocab_size=vocabulary_size)


def binarize(*, verbalized, vocabulary, binarized, rows, codebook):
    """Stage: write verbalized rows as vocabulary indices. See `BINARIZED`.

    Args:
        verbalized: table of `VERBALIZED`.
        vocabulary: table of `VOCABULARY`.
        binarized: folder of fairseq's files to write.
        rows: table of `BINARIZED` to write, with the same rows.
        codebook: name of the codebook that the units must belong to.

    Raises:
        ValueError: if units belong to another codebook, or fairseq orders the symbols of the vocabulary differently.
    """
    import torch

    vocabulary_table = tables.read(vocabulary, VOCABULARY)
    index_of = index_of_unit(vocabulary_table)
    dictionary = fairseq_dictionary(vocabulary_table)
    with atomic_folder(binarized) as temporary, tables.writer(rows, BINARIZED) as out:
        dictionary.save(str(temporary / "dict.txt"))
        builders = {split: open_indexed(temporary / name, len(dictionary)) for split, name in FAIRSEQ_SPLITS.items()}
        num_written = dict.fromkeys(FAIRSEQ_SPLITS, 0)
        for batch in tables.stream(verbalized, VERBALIZED):
            check_codebook(batch["codebook"].to_pylist(), codebook, verbalized)
            binarized_rows = _binarized_rows(batch.to_pylist(), index_of, num_written)
            for row in binarized_rows:
                builders[row["split"]].add_item(torch.tensor(row["tokens"], dtype=torch.int64))
            out.write(binarized_rows)
        for split, name in FAIRSEQ_SPLITS.items():
            builders[split].finalize(f"{temporary / name}.idx")


def _binarized_rows(verbalized, index_of, num_written):
    """Return rows of `BINARIZED`, and add them to `num_written`, the numbers of rows by split."""
    rows = []
    for row in verbalized:
        split = row["split"]
        rows.append(
            dict(
                utterance_id=row["utterance_id"],
                split=split,
                row=num_written[split],
                tokens=token_row(row["units"], row["target_units"], index_of),
                num_source=len(row["units"]),
                labels=row["labels"],
            )
        )
        num_written[split] += 1
    return rows
