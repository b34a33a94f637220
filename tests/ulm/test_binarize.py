"""The files for fairseq contain the rows of the table, and equal those of fairseq's own preprocessing."""

import pytest

from storage import tables
from ulm.binarize import binarize, token_row
from ulm.build_vocabulary import vocabulary_rows
from ulm.schemas import BINARIZED, VOCABULARY
from verbalizer.schemas import VERBALIZED

NUM_UNITS = 30
FILES = dict(train="train", dev="valid", test="test")


def verbalized_rows():
    rows = []
    for i in range(24):
        units = [(i * 7 + k * k) % NUM_UNITS for k in range(3 + i % 5)]
        split = ("train", "train", "dev", "test")[i % 4]
        rows.append(
            dict(
                utterance_id=f"u{i:02d}",
                split=split,
                codebook="c",
                units=units,
                target_units=[i % 3, 9][: 1 + i % 2],
                labels=["x"],
            )
        )
    return rows


def write_tables(folder, vocabulary=None):
    tables.write(folder / "verbalized.parquet", verbalized_rows(), VERBALIZED)
    counts = dict.fromkeys(range(NUM_UNITS), 0) | {3: 17, 29: 4}
    tables.write(folder / "vocabulary.parquet", vocabulary or vocabulary_rows(counts, NUM_UNITS), VOCABULARY)


def run(folder, codebook="c"):
    names = dict(verbalized="verbalized.parquet", vocabulary="vocabulary.parquet", binarized="binarized", rows="rows.parquet")
    binarize(**{name: folder / file for name, file in names.items()}, codebook=codebook)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("binarize")
    write_tables(path)
    run(path)
    return path


@pytest.fixture(scope="module")
def by_split(folder):
    rows = tables.read(folder / "rows.parquet", BINARIZED).to_pylist()
    return {split: [row for row in rows if row["split"] == split] for split in FILES}


def test_a_row_is_units_separator_labels_end():
    assert token_row([5, 9], [7, 5], {5: 14, 7: 11, 9: 6}) == [14, 6, 0, 11, 14, 2]


def test_tokens_come_from_the_vocabulary(by_split):
    verbalized = {row["utterance_id"]: row for row in verbalized_rows()}
    assert sum(map(len, by_split.values())) == len(verbalized)
    for row in (row for rows in by_split.values() for row in rows):
        expected = verbalized[row["utterance_id"]]
        tokens = [u + 4 for u in expected["units"]] + [0] + [u + 4 for u in expected["target_units"]] + [2]
        assert row["tokens"] == tokens and row["num_source"] == len(expected["units"])
        assert (row["split"], row["labels"]) == (expected["split"], expected["labels"])


def test_fairseq_reads_the_same_rows_back(folder, by_split):
    from fairseq.data.indexed_dataset import MMapIndexedDataset

    for split, name in FILES.items():
        read_back = MMapIndexedDataset(str(folder / "binarized" / name))
        assert [row["row"] for row in by_split[split]] == list(range(len(read_back)))
        assert [item.tolist() for item in read_back] == [row["tokens"] for row in by_split[split]]


def test_fairseq_reads_the_dictionary_back(folder):
    from fairseq.data import Dictionary

    words = Dictionary.load(str(folder / "binarized/dict.txt"))
    rows = tables.read(folder / "vocabulary.parquet", VOCABULARY).to_pylist()
    assert words.symbols == [row["symbol"] for row in rows]
    assert words.count[4:] == [row["count"] for row in rows[4:]]


def test_fairseqs_own_preprocessing_writes_the_same_bytes(folder, by_split, tmp_path):
    from fairseq import options
    from fairseq_cli import preprocess

    symbols = {row["index"]: row["symbol"] for row in tables.read(folder / "vocabulary.parquet", VOCABULARY).to_pylist()}
    for split, name in FILES.items():
        lines = [" ".join(symbols[t] for t in row["tokens"][:-1]) for row in by_split[split]]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    texts = [word for name in FILES.values() for word in (f"--{name}pref", str(tmp_path / name))]
    options_ = [
        "--only-source",
        "--srcdict",
        str(folder / "binarized/dict.txt"),
        "--destdir",
        str(tmp_path / "out"),
        "--workers",
        "1",
    ]
    preprocess.main(options.get_preprocessing_parser().parse_args([*options_, *texts]))
    for name in [f"{name}.{end}" for name in FILES.values() for end in ("bin", "idx")] + ["dict.txt"]:
        assert (tmp_path / "out" / name).read_bytes() == (folder / "binarized" / name).read_bytes(), name


def test_a_second_run_replaces_the_folder_and_leaves_nothing_else(folder, tmp_path):
    write_tables(tmp_path)
    (tmp_path / "binarized").mkdir()
    (tmp_path / "binarized/old").touch()
    run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "binarized",
        "rows.parquet",
        "verbalized.parquet",
        "vocabulary.parquet",
    ]
    for path in (folder / "binarized").iterdir():
        assert (tmp_path / "binarized" / path.name).read_bytes() == path.read_bytes()
    assert len(list((tmp_path / "binarized").iterdir())) == 8


def test_units_of_another_codebook_are_refused_and_nothing_is_left(tmp_path):
    write_tables(tmp_path)
    with pytest.raises(ValueError, match=r"must index the unit LM's codebook; expected 'other', got \['c'\]; choose"):
        run(tmp_path, codebook="other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["verbalized.parquet", "vocabulary.parquet"]


def test_a_vocabulary_that_fairseq_indexes_differently_is_refused(tmp_path):
    rows = vocabulary_rows(dict.fromkeys(range(NUM_UNITS), 0), NUM_UNITS)
    rows[7]["symbol"] = "3"  # the symbol of index 7 already
    rows[8]["symbol"] = "3"
    write_tables(tmp_path, rows)
    with pytest.raises(ValueError, match="vocabulary: fairseq must give each symbol the same index; .* rerun build_vocabulary"):
        run(tmp_path)
    assert not (tmp_path / "binarized").exists()
