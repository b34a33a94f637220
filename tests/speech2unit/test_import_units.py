"""Published units: checked, and repeated training rows used once."""

import numpy as np
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


@pytest.mark.parametrize(
    "value", ["3 1 7", [3, 1, 7], "3,1,7", "[3, 1, 7]", "[3 1 7]", "3.0 1 7", [3.0, 1.0, 7.0], np.array([3, 1, 7], "i2")]
)
def test_units_may_be_text(value):
    assert parse_units(value, "row", 10) == [3, 1, 7]


@pytest.mark.parametrize(
    "value",
    [[], "", "[]", [10], [-1], "3 12", [7.6], "7.6", "[0 ... 9]", [True], [None], "x", [[1, 2]], None, 7, float("nan"), "1e3"],
)
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
    with pytest.raises(
        ValueError, match=r"second.parquet, row 5: an utterance_id must be unique; .* got 'd' also in .*second.parquet, row 3"
    ):
        run(tmp_path, [*ROWS, ROWS[5] | dict(units=[5])])


def one_file(folder, rows, name="units.parquet"):
    """Read the rows from one file of the format that its name says."""
    frame = pandas.DataFrame(rows)
    if name.endswith("parquet"):
        frame.to_parquet(folder / name)
    elif name.endswith("jsonl"):
        frame.to_json(folder / name, orient="records", lines=True)
    else:
        frame.to_csv(folder / name, index=False)
    return read_units([folder / name], 10)


GOOD = [dict(utterance_id=f"u{i}", split=("train", "dev", "test")[i // 2], units=[i, 1], label="ab"[i % 2]) for i in range(2, 6)]
ORDER = ["u2", "u3", "u4", "u5"]


@pytest.mark.parametrize("change, expected", [
    (dict(), ["a", "b", "a", "b"]), (dict(label=[1, 2, 1, 2]), ["1", "2", "1", "2"]), (dict(label=[["a"], ["b"], ["a"], ["b"]]), ["a", "b", "a", "b"]),
    (dict(units=["2 1", "3,1", "[4, 1]", "[5 1]"]), ["a", "b", "a", "b"]), (dict(label=["a ", "b\u00a0", "a", "b"]), ["a", "b", "a", "b"]),
    (dict(units=[[2.0, 1.0], [3.0, 1.0], [4.0, 1.0], [5.0, 1.0]]), ["a", "b", "a", "b"]),
])  # fmt: skip
def test_usual_forms_are_read(tmp_path, change, expected):
    rows = [row | {name: values[i] for name, values in change.items()} for i, row in enumerate(GOOD)]
    got = one_file(tmp_path, rows)
    assert [row["utterance_id"] for row in got] == ORDER and [row["labels"] for row in got] == [[label] for label in expected]
    assert [row["units"] for row in got] == [[2, 1], [3, 1], [4, 1], [5, 1]]


def test_ids_may_be_numbers_and_tables_csv(tmp_path):
    rows = [row | dict(utterance_id=i, units="7 1") for i, row in enumerate(GOOD)]
    assert [row["utterance_id"] for row in one_file(tmp_path, rows, "units.csv")] == ["0", "1", "2", "3"]


def test_runs_become_one_unit_with_their_length(tmp_path, capsys):
    rows = [row | dict(units=np.repeat(row["units"], [3, 1])) for row in GOOD]
    assert [(row["units"], row["durations"]) for row in one_file(tmp_path, rows)] == [([i, 1], [3, 1]) for i in range(2, 6)]
    assert "units.parquet: 4 rows repeat units, as in 7 7 7; each run becomes one unit" in capsys.readouterr().out


@pytest.mark.parametrize("change, text", [
    (dict(units=[7.6, 1]), "row 2: units index the codebook; expected one or more numbers from 0 to 9, got '7.6' among 2 units; correct"),
    (dict(units=None), "row 2: units index the codebook; .* got no units; correct"), (dict(label=None), "row 2: every row needs its label; "),
    (dict(utterance_id=None), "row 2: every row needs its utterance_id"), (dict(split=""), "row 2: every row needs its split"),
    (dict(split="tset"), "row 2: a split has a known name; .* did you mean \"test\""), (dict(utterance_id="u2"), "row 2: an utterance_id must be unique"),
    (dict(units="[1, 2, ..., 3]"), "row 2: units index the codebook; .* got '...' among 4 units"),
])  # fmt: skip
def test_a_wrong_row_is_named_with_its_file(tmp_path, change, text):
    rows = [dict(row) for row in GOOD]
    if isinstance(change.get("units"), str):
        rows = [row | dict(units=" ".join(map(str, row["units"]))) for row in rows]
    rows[1] |= change
    with pytest.raises(ValueError, match=f"units.parquet, {text}"):
        one_file(tmp_path, rows)


def test_nested_units_labels_and_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="row 1: units index the codebook; .* got list<"):
        one_file(tmp_path, [row | dict(units=[[1, 2], [3, 4]]) for row in GOOD])
    with pytest.raises(ValueError, match="row 1: a cell of 'label' is one text"):
        one_file(tmp_path, [row | dict(label=["a", "b"]) for row in GOOD])
    with pytest.raises(ValueError, match="units.jsonl: a table must be CSV or Parquet; .* got JSON; convert it with"):
        one_file(tmp_path, GOOD, "units.jsonl")


@pytest.mark.parametrize(
    "renamed, hint", [("unit", 'did you mean "unit"\\? rename or add'), ("features", "rename or add the column")]
)
def test_a_missing_column_is_named(tmp_path, renamed, hint):
    with pytest.raises(
        ValueError, match=f"units.parquet: a table of units must have its columns; .* got no 'units' among .*{renamed}.*; {hint}"
    ):
        one_file(tmp_path, [{renamed if name == "units" else name: cell for name, cell in row.items()} for row in GOOD])


def test_without_dev_it_is_drawn_from_train(tmp_path, capsys):
    rows = [
        dict(utterance_id=f"{i}", split="test" if i > 30 else "train", units=[i, i + 1], label="ab"[i % 2]) for i in range(40)
    ]
    manifest, units = run(tmp_path, rows, num_clusters=50)
    splits = {row["utterance_id"]: row["split"] for row in manifest}
    assert sorted(splits.values()).count("dev") == 3 and splits == {row["utterance_id"]: row["split"] for row in units}
    assert "  dev     3 clips, speakers unknown, 2 labels, drawn from train by clip\n" in capsys.readouterr().out


def test_what_was_imported_is_said(tmp_path, capsys):
    run(tmp_path, ROWS)
    out = capsys.readouterr().out
    assert "m.parquet: 6 clips, speakers unknown, 2 labels\n  train  3 clips, speakers unknown, 2 labels\n" in out
    assert "dev lacks 1 of 2 labels of label: 'down'" in out
