"""Published units: checked, and repeated training rows used once."""

import pandas
import pytest

from speech2unit.corpora.schemas import MANIFEST
from speech2unit.import_units import import_units, parse_units, read_units
from speech2unit.schemas import REDUCED_UNITS
from storage import tables

ROWS = [
    dict(utterance_id="b", split="train", units=[3, 1], label="up"),
    dict(utterance_id="a", split="train", units=[2, 1], label="down"),
    dict(utterance_id="b_2", split="train", units=[3, 1], label="up"),  # drawn twice
    dict(utterance_id="b_3", split="train", units=[3, 1], label="down"),  # the same units with another label
    dict(utterance_id="c", split="valid", units=[3, 1], label="up"),
    dict(utterance_id="d", split="test", units=[9, 4], label="down"),
    dict(utterance_id="e", split="test", units=[9, 4], label="down"),  # test rows all count
]


def write(folder, rows):
    paths = [folder / "first.parquet", folder / "second.parquet"]
    for path, part in zip(paths, (rows[:3], rows[3:])):
        pandas.DataFrame(part).to_parquet(path)
    return paths


def run(folder, rows, num_clusters=10):
    outputs = dict(manifest=folder / "m.parquet", reduced_units=folder / "r.parquet")
    import_units(source=write(folder, rows), **outputs, codebook="c", num_clusters=num_clusters)
    return [tables.read(folder / name, s).to_pylist() for name, s in (("m.parquet", MANIFEST), ("r.parquet", REDUCED_UNITS))]


def test_repeated_rows_are_used_once_except_in_test(tmp_path, capsys):
    rows = read_units(write(tmp_path, ROWS), 10)
    assert [(row["utterance_id"], row["split"], row["units"], row["labels"]) for row in rows] == [
        ("a", "train", [2, 1], ["down"]),
        ("b", "train", [3, 1], ["up"]),
        ("b_3", "train", [3, 1], ["down"]),
        ("c", "dev", [3, 1], ["up"]),
        ("d", "test", [9, 4], ["down"]),
        ("e", "test", [9, 4], ["down"]),
    ]
    assert "7 rows, of which 6 are used" in capsys.readouterr().out


def test_manifest_and_units_agree(tmp_path):
    manifest, units = run(tmp_path, ROWS)
    assert [row["utterance_id"] for row in manifest] == [row["utterance_id"] for row in units] == ["a", "b", "b_3", "c", "d", "e"]
    assert units[0] == dict(utterance_id="a", split="train", codebook="c", units=[2, 1], durations=[1, 1])
    assert manifest[0]["labels"] == ["down"] and manifest[0]["path"] is None and manifest[0]["num_samples"] == 0


def test_the_order_of_the_source_does_not_matter(tmp_path):
    first = run(tmp_path, ROWS)
    assert run(tmp_path, ROWS[::-1]) == first


@pytest.mark.parametrize("value", ["3 1 7", [3, 1, 7]])
def test_units_may_be_text(value):
    assert parse_units(value, "row", 10) == [3, 1, 7]


@pytest.mark.parametrize("value", [[], "", [10], [-1], "3 12"])
def test_units_outside_of_the_codebook(value):
    with pytest.raises(
        ValueError, match=r"row: units index the codebook; expected one or more numbers from 0 to 9, got .*; correct"
    ):
        parse_units(value, "row", 10)


def test_an_unknown_split_and_a_label_that_train_lacks(tmp_path):
    with pytest.raises(ValueError, match="got 'tset'; did you mean \"test\""):
        run(tmp_path, [*ROWS, ROWS[0] | dict(utterance_id="x", split="tset")])
    with pytest.raises(ValueError, match="train must have every label of dev and test"):
        run(tmp_path, [*ROWS, ROWS[5] | dict(utterance_id="x", label="left")])
    assert not (tmp_path / "m.parquet").exists()


def test_an_utterance_twice(tmp_path):
    with pytest.raises(ValueError, match="each key once"):
        run(tmp_path, [*ROWS, ROWS[5] | dict(units=[5])])
