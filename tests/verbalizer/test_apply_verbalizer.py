"""Verbalized rows: the labels of a row as units, one label after another."""

import pytest

from storage import tables
from verbalizer.apply_verbalizer import apply_verbalizer, verbalize
from verbalizer.schemas import LM_DATASET, VERBALIZED, VERBALIZER

LABEL_MAP = [
    dict(label="up", units=[5], label_count=1, unit_count=1),
    dict(label="red", units=[2, 3], label_count=1, unit_count=1),
]


def applied(folder, *labels):
    rows = [
        dict(utterance_id=f"u{i}", split="test", codebook="c", units=[i, 9], labels=row_labels)
        for i, row_labels in enumerate(labels)
    ]
    tables.write(folder / "lm.parquet", rows, LM_DATASET)
    tables.write(folder / "v.parquet", LABEL_MAP, VERBALIZER)
    files = dict(lm_dataset=folder / "lm.parquet", verbalizer=folder / "v.parquet", verbalized=folder / "out.parquet")
    apply_verbalizer(**files)
    return tables.read(folder / "out.parquet", VERBALIZED).to_pylist()


def test_the_units_of_labels_follow_each_other():
    assert verbalize(["red", "up", "red"], {"up": [5], "red": [2, 3]}, "here") == [2, 3, 5, 2, 3]


def test_rows_keep_everything_else(tmp_path):
    assert applied(tmp_path, ["up"], ["red", "up"]) == [
        dict(utterance_id="u0", split="test", codebook="c", units=[0, 9], target_units=[5], labels=["up"]),
        dict(utterance_id="u1", split="test", codebook="c", units=[1, 9], target_units=[2, 3, 5], labels=["red", "up"]),
    ]


def test_an_unknown_label_is_named_and_nothing_is_written(tmp_path):
    text = r"lm\.parquet: every label must occur in the training split; expected one of \['red', 'up'\], got 'left'; add"
    with pytest.raises(ValueError, match=text):
        applied(tmp_path, ["up"], ["left"])
    assert not (tmp_path / "out.parquet").exists()
