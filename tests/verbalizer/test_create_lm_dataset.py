"""Units joined with labels by utterance_id."""

from collections import Counter

import pyarrow as pa
import pytest

from speech2unit.corpora.schemas import MANIFEST
from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from tests.factories import manifest_row_without_audio
from verbalizer.create_lm_dataset import create_lm_dataset, few_examples, label_positions
from verbalizer.schemas import LM_DATASET

NAMES = dict(a=["up", "red"], b=["down", "red"], c=["up", "blue"])


def created(folder, units, names, labels=("word",), **settings):
    rows = [dict(utterance_id=n, split="train", codebook="c", units=[i, 9], durations=[1, 2]) for i, n in enumerate(units)]
    tables.write(folder / "u.parquet", rows, REDUCED_UNITS)
    tables.write(
        folder / "m.parquet", [manifest_row_without_audio(name, labels=NAMES.get(name, ["x", "y"])) for name in names], MANIFEST
    )
    files = dict(reduced_units=folder / "u.parquet", manifest=folder / "m.parquet", lm_dataset=folder / "lm.parquet")
    settings = dict(needs_two_classes=False, examples_per_class=0) | settings
    create_lm_dataset(**files, labels=list(labels), corpus_labels=["word", "colour"], seed=1, **settings)
    return tables.read(folder / "lm.parquet", LM_DATASET).to_pylist()


def test_rows_are_joined_by_name_and_never_by_position(tmp_path):
    assert created(tmp_path, "abc", "cab") == [
        dict(utterance_id=n, split="train", codebook="c", units=[i, 9], labels=NAMES[n][:1]) for i, n in enumerate("abc")
    ]


@pytest.mark.parametrize("labels, positions", [(["colour"], [1]), (["colour", "word"], [1, 0]), (["word", "colour"], [0, 1])])
def test_the_tasks_labels_in_the_tasks_order(tmp_path, labels, positions):
    rows = created(tmp_path, "abc", "abc", labels)
    assert [row["labels"] for row in rows] == [[NAMES[n][i] for i in positions] for n in "abc"]


def test_a_sequence_is_taken_whole(tmp_path):
    positions = label_positions(["characters[]"], ["characters[]"], "here")
    assert [[*"GO ON"][positions], [*"HI"][positions]] == [[*"GO ON"], [*"HI"]]


@pytest.mark.parametrize("units, names, alone", [("ab", "abc", "c"), ("abc", "ab", "c"), ("ab", "bc", "a")])
def test_an_utterance_in_one_table_only(tmp_path, units, names, alone):
    number = len(set(units) ^ set(names))
    text = rf"units and manifest must have the same utterances; expected no differences, got {number}, such as \['{alone}'"
    with pytest.raises(ValueError, match=text):
        created(tmp_path, units, names)
    assert not (tmp_path / "lm.parquet").exists()


def test_an_unknown_label_column_names_the_nearest():
    with pytest.raises(
        ValueError,
        match="here: .*expected among \\['word', 'colour'\\], got 'color'; did you mean \"colour\"\\? correct 'labels'",
    ):
        label_positions(["color"], ["word", "colour"], "here")


def test_few_examples_of_every_class_and_all_of_dev_and_test():
    splits, labels = ["train"] * 60 + ["dev", "test"] * 10, [["up"], ["down"], ["left", "red"], ["up"]] * 20
    rows = pa.table(dict(split=splits, labels=labels))
    chosen = [few_examples(rows, 4, seed) for seed in (1, 1, 2)]
    assert chosen[0].tolist() == chosen[1].tolist() != chosen[2].tolist()
    for mask in chosen:
        assert mask[60:].all() and Counter(str(labels[i]) for i in range(60) if mask[i]) == dict.fromkeys(map(str, labels), 4)
    assert few_examples(rows, 100, 1).all()


def test_a_notice_names_classes_with_too_few_rows(tmp_path, capfd):
    assert len(created(tmp_path, "abc", "abc", examples_per_class=2)) == 3
    assert "lm.parquet: 1 classes have fewer than 2 training rows; 'down' has 1" in capfd.readouterr().err


def test_an_equal_error_rate_of_one_class_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(ValueError, match="metric eer, dev: an equal error rate needs two classes; expected both in every split"):
        created(tmp_path, "abc", "abc", needs_two_classes=True)
    assert not (tmp_path / "lm.parquet").exists()
