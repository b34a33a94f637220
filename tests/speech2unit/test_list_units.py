"""Listings of corpora that start at units."""

import pandas
import pytest

from speech2unit.corpora.schemas import FILES
from speech2unit.list_units import list_units
from storage import tables


def listed(tmp_path, frame, num_clusters=9):
    frame.to_parquet(tmp_path / "rows.parquet")
    list_units(source=[str(tmp_path / "rows.parquet")], files=tmp_path / "files.parquet", num_clusters=num_clusters)
    return tables.read(tmp_path / "files.parquet", FILES).to_pylist()


def test_units_alone(tmp_path):
    rows = listed(tmp_path, pandas.DataFrame(dict(utterance_id=["b", "a"], units=[[3, 1], [8]])))
    assert [(row["utterance_id"], row["units"]) for row in rows] == [("b", [3, 1]), ("a", [8])]
    assert all(row["path"] is row["split"] is row["labels"] is None for row in rows)


def test_splits_and_labels_where_there_are_any(tmp_path):
    frame = pandas.DataFrame(dict(utterance_id=["a", "b", "c"], units=["3 1", "0", "2"], split=["valid", "x", None]))
    rows = listed(tmp_path, frame.assign(label=["yes", None, ""]))
    assert [row["split"] for row in rows] == ["dev", None, None] and [row["labels"] for row in rows] == [["yes"], None, None]


def test_equal_rows_are_all_listed(tmp_path):
    """Unlike in a manifest: whoever asks for a label of an utterance gets it."""
    frame = pandas.DataFrame(dict(utterance_id=["a", "b"], units=[[3], [3]], split=["train"] * 2, label=["x"] * 2))
    assert len(listed(tmp_path, frame)) == 2


def test_units_of_another_codebook_are_refused(tmp_path):
    with pytest.raises(ValueError, match="units index the codebook; expected one or more numbers from 0 to 8, got"):
        listed(tmp_path, pandas.DataFrame(dict(utterance_id=["a"], units=[[9]])))
