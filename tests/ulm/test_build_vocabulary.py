"""The vocabulary: fairseq's specials, every unit once, counts of the training split."""

import pytest

from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from ulm.build_vocabulary import build_vocabulary, check_codebook, index_of_unit
from ulm.schemas import VOCABULARY
from ulm.vocabulary import SPECIALS


def row(name, split, units, codebook="c"):
    return dict(utterance_id=name, split=split, codebook=codebook, units=units, durations=[1] * len(units))


def build(folder, *corpora, num_units=5, codebook="c"):
    paths = [folder / f"{i}.parquet" for i in range(len(corpora))]
    for path, rows in zip(paths, corpora):
        tables.write(path, rows, REDUCED_UNITS)
    build_vocabulary(reduced_units=paths, vocabulary=folder / "v.parquet", codebook=codebook, num_units=num_units)
    return tables.read(folder / "v.parquet", VOCABULARY)


def test_specials_then_units_in_numeric_order_whether_they_occur_or_not(tmp_path):
    vocabulary = build(tmp_path, [row("a", "train", [3, 1, 3])])
    assert vocabulary["symbol"].to_pylist() == ["<s>", "<pad>", "</s>", "<unk>", "0", "1", "2", "3", "4"]
    assert vocabulary["index"].to_pylist() == list(range(9))
    assert vocabulary["unit"].to_pylist() == [None] * 4 + [0, 1, 2, 3, 4]


def test_specials_are_fairseqs():
    from fairseq.data import Dictionary

    assert tuple(Dictionary().symbols) == SPECIALS


def test_counts_are_of_the_training_split_of_all_corpora(tmp_path):
    corpus = [row("a", "train", [3, 1, 3]), row("b", "dev", [0, 0, 4]), row("c", "test", [4])]
    vocabulary = build(tmp_path, corpus, [row("a", "train", [1, 2])])
    assert vocabulary["count"].to_pylist() == [0, 0, 0, 0, 0, 2, 1, 2, 0]


def test_the_index_of_a_unit_comes_from_the_table(tmp_path):
    rows = [dict(index=i, symbol=s, unit=None, count=0) for i, s in enumerate(SPECIALS)]
    by_frequency = [7, 0, 3]  # the cpc100 dictionary is in order of frequency
    rows += [dict(index=4 + i, symbol=str(u), unit=u, count=9 - i) for i, u in enumerate(by_frequency)]
    tables.write(tmp_path / "v.parquet", rows, VOCABULARY)
    assert index_of_unit(tables.read(tmp_path / "v.parquet", VOCABULARY)) == {7: 4, 0: 5, 3: 6}


def test_another_codebook_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"1\.parquet: units must index the unit LM's codebook; expected 'c', got \['d'\]; choose"
    ):
        build(tmp_path, [row("a", "train", [1])], [row("a", "train", [1], codebook="d")])
    assert not (tmp_path / "v.parquet").exists()
    check_codebook(["c", "c"], "c", "here")
