"""Datasets of SUPERB tasks: labels of each kind, classes, fractions of the training split, lexicons."""

from collections import Counter

import pytest

from speech2unit.corpora.schemas import MANIFEST
from storage import tables
from superb.create_superb_dataset import class_rows, create_superb_dataset, read_lexicon, sample_rows, spell_words, task_labels
from superb.schemas import CLASSES, DATASET
from tests.factories import manifest_row


def create(tmp_path, rows, **settings):
    """Return the rows of the dataset and of its classes."""
    tables.write(tmp_path / "manifest.parquet", rows, MANIFEST)
    paths = {name: tmp_path / f"{name}.parquet" for name in ("manifest", "dataset", "classes")}
    defaults = dict(kind="KS", labels=["word"], corpus_labels=["word"], lexicon="", fraction=1.0, seed=1)
    create_superb_dataset(**paths, **defaults | settings)
    return tables.read(paths["dataset"], DATASET).to_pylist(), tables.read(paths["classes"], CLASSES).to_pylist()


def words(splits=("train",) * 60 + ("dev",) * 6 + ("test",) * 6, classes="aab"):
    return [manifest_row(f"u{i:03d}", split=split, labels=[classes[i % len(classes)]]) for i, split in enumerate(splits)]


@pytest.mark.slow
def test_a_fraction_of_the_training_rows_keeps_every_class(tmp_path):
    rows, classes = create(tmp_path, [*words(), manifest_row("sp1.1-u000", labels=["a"], speed=1.1)])
    assert Counter(row["split"] for row in rows) == dict(train=60, dev=6, test=6)
    assert [(c["slot"], c["index"], c["label"], c["num_rows"]) for c in classes] == [(0, 0, "a", 40), (0, 1, "b", 20)]
    few, classes = create(tmp_path, words(), fraction=0.1)
    assert Counter((row["split"], *row["labels"]) for row in few)["train", "a"] == 4 == classes[0]["num_rows"]
    one_each, _ = create(tmp_path, words(), fraction=0.01)
    assert Counter((row["split"], *row["labels"]) for row in one_each) == Counter(
        {("train", "a"): 1, ("train", "b"): 1, ("dev", "a"): 4, ("dev", "b"): 2, ("test", "a"): 4, ("test", "b"): 2}
    )
    assert few == create(tmp_path, words(), fraction=0.1)[0] != create(tmp_path, words(), fraction=0.1, seed=2)[0]


def test_rows_are_sampled_by_class_on_request_only():
    assert len(sample_rows([[str(i)] for i in range(100)], 0.1, False, 1)) == 10
    assert len(sample_rows([[str(i)] for i in range(100)], 0.1, True, 1)) == 100


def test_slots_are_the_columns_of_the_task(tmp_path):
    rows = [
        manifest_row(f"{s}{i}", split=s, labels=["on", f"object{i}", "kitchen"])
        for s in ("train", "dev", "test")
        for i in range(2)
    ]
    corpus_labels = ["action", "object", "location"]
    dataset, classes = create(tmp_path, rows, kind="IC", labels=["location", "object"], corpus_labels=corpus_labels)
    assert dataset[0]["labels"] == ["kitchen", "object0"]
    assert [(c["slot"], c["label"]) for c in classes] == [(0, "kitchen"), (1, "object0"), (1, "object1")]


def test_words_become_letters_or_phonemes_by_a_lexicon(tmp_path):
    (tmp_path / "lexicon.txt").write_text("7 S EH V\n\n3 TH R IY\n3 X\n")
    rows = [manifest_row(s, split=s, labels=["3", "7"]) for s in ("train", "dev", "test")]
    settings = dict(labels=["digits[]"], corpus_labels=["digits[]"], lexicon=str(tmp_path / "lexicon.txt"))
    dataset, classes = create(tmp_path, rows, kind="PR", **settings)
    assert dataset[0]["labels"] == ["TH", "R", "IY", "S", "EH", "V"]
    assert [c["label"] for c in classes] == sorted(dataset[0]["labels"])
    assert create(tmp_path, rows, kind="ASR", **settings)[0][0]["labels"] == ["TH", "R", "IY", "|", "S", "EH", "V"]
    assert spell_words(["go", "on"], "letters", ["|"], "u") == ["G", "O", "|", "O", "N"]
    assert task_labels(dict(labels=["G", "|"]), "ASR", [0], "") == ["G", "|"]


def test_a_missing_lexicon_or_word_is_named(tmp_path):
    with pytest.raises(
        ValueError, match="none.txt: the lexicon of a task must exist; .* correct 'lexicon' in config/superb_tasks"
    ):
        read_lexicon(tmp_path / "none.txt")
    with pytest.raises(
        ValueError, match="u1: the lexicon of a task must have every word; .* got 'seve'; did you mean \"seven\"?"
    ):
        spell_words(["seve"], dict(seven=["S"]), [], "u1")


def test_activity_becomes_segments_of_two_speakers(tmp_path):
    rows = [manifest_row(s, split=s, labels=list("00113320")) for s in ("train", "dev", "test")]
    dataset, classes = create(tmp_path, rows, kind="SD", labels=["activity[]"], corpus_labels=["activity[]"])
    assert dataset[0]["labels"] == ["1 0.02 0.06", "2 0.04 0.07"]
    assert [(c["index"], c["label"], c["num_rows"]) for c in classes] == [(0, "1", 1), (1, "2", 1)]


def test_classes_are_those_of_the_whole_training_split():
    assert [(c["label"], c["num_rows"]) for c in class_rows([["x", "y"], ["z"]], [["y", "y"]], "ASR")] == [
        ("x", 0), ("y", 2), ("z", 0)
    ]  # fmt: skip


@pytest.mark.parametrize("name, symbols", [("letters", 15), ("phonemes", 19)])
def test_lexicons_of_the_project_have_ten_digits(name, symbols):
    lexicon = read_lexicon(f"config/lexicons/digit_{name}.txt")
    assert set(lexicon) == set("0123456789") and len({symbol for spelling in lexicon.values() for symbol in spelling}) == symbols
