"""Listings of corpora with and without splits and labels."""

import os

import pytest

from speech2unit.corpora.list_files import list_files
from speech2unit.corpora.make_manifest import make_manifest
from speech2unit.corpora.schemas import FILES
from storage import tables
from tests.factories import MANIFEST_SETTINGS, corpus_row


@pytest.fixture
def listed(tmp_path):
    """A function cells of the corpus → rows of its listing."""

    def run(**cells):
        list_files(files=tmp_path / "files.parquet", corpus=corpus_row(**dict(root=tmp_path) | cells))
        return tables.read(tmp_path / "files.parquet", FILES).to_pylist()

    return run


def test_a_table_of_paths_alone(tmp_path, listed, capsys):
    (tmp_path / "metadata.csv").write_text("path\nb/1.wav\na.flac\n")
    first, second = listed()
    nothing = dict(split=None, labels=None, units=None, reason=None, detail=None, end_seconds=None, start_seconds=0.0)
    assert first == dict(utterance_id="b-1", path="b/1.wav") | nothing
    assert second["utterance_id"] == "a"  # in the order of the table
    assert "2 recordings, 0 with labels" in capsys.readouterr().out


def test_what_a_table_says_is_kept_and_what_it_does_not_say_is_null(tmp_path, listed):
    (tmp_path / "metadata.csv").write_text("path,split,label\na.wav,valid,yes\nb.wav,,no\nc.wav,new,\n")
    rows = listed()
    assert [row["split"] for row in rows] == ["dev", None, None]
    assert [row["labels"] for row in rows] == [["yes"], ["no"], None]
    assert [row["labels"] for row in listed(label_columns="label,speaker")] == [None] * 3
    assert [row["labels"] for row in listed(label_columns="")] == [None] * 3


def test_sequences_and_conditions(tmp_path, listed):
    (tmp_path / "metadata.csv").write_text("path,digits,kind\na.wav,3 7 1,x\nb.wav,2,y\n")
    assert [row["labels"] for row in listed(label_columns="digits[]", where="kind=x")] == [["3", "7", "1"]]


FOLDERS = dict(adapter="folders", metadata="", path_column="", split_column="", speaker_column="")


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_a_folder_of_audio(tmp_path, listed):
    root = tmp_path / "corpus"
    put(root, "b.wav", "x/a.wav", ".hidden.wav", "_notes/c.wav")
    (root / "x/up").symlink_to("..", target_is_directory=True)
    rows = listed(**FOLDERS, root=root, label_columns="")
    assert [row["path"] for row in rows] == ["b.wav", "x/a.wav"]
    assert all(row["labels"] is row["split"] is None for row in rows)


def test_a_flat_folder_has_no_labels_even_if_the_row_names_one(tmp_path, listed):
    put(tmp_path, "a.wav", "b.wav")
    rows = listed(**FOLDERS, label_columns="label")
    assert {row["path"] for row in rows} >= {"a.wav", "b.wav"} and all(row["labels"] is None for row in rows)


def test_folders_of_classes_and_splits(tmp_path, listed):
    put(tmp_path / "corpus", "train/yes/7_1.wav", "test/no/8_1.wav")
    rows = listed(**FOLDERS, root=str(tmp_path / "corpus"))
    assert {(row["path"], row["split"], *row["labels"]) for row in rows} == {
        ("train/yes/7_1.wav", "train", "yes"),
        ("test/no/8_1.wav", "test", "no"),
    }


def test_a_name_that_cannot_be_stored_has_a_reason(tmp_path, listed):
    root = tmp_path / "corpus"
    put(root, "a.wav")
    os.rename(root / "a.wav", os.fsencode(root) + b"/\xff.wav")
    (row,) = listed(**FOLDERS, root=root, label_columns="")
    assert (row["path"], row["reason"]) == ("\\udcff.wav", "bad_name")


def test_repeated_ids_and_no_recordings_are_refused(tmp_path, listed):
    (tmp_path / "metadata.csv").write_text("path\na/1.wav\na-1.wav\n")
    with pytest.raises(ValueError, match="must be unique; .* got 1 ids of several rows: 'a-1': 'a/1.wav', 'a-1.wav'"):
        listed()
    (tmp_path / "metadata.csv").write_text("path\n")
    with pytest.raises(ValueError, match="a table must have rows; expected one row per clip, got a header only"):
        listed()
    with pytest.raises(ValueError, match="got no such folder; correct `root`"):
        listed(**FOLDERS, root=str(tmp_path / "none"))


def test_such_corpora_cannot_be_trained_on(tmp_path):
    def error(**cells):
        paths = dict(manifest=tmp_path / "manifest.parquet", rejected=tmp_path / "rejected.parquet")
        with pytest.raises(ValueError) as caught:
            make_manifest(**paths, corpus=corpus_row(**dict(root=tmp_path) | cells), **MANIFEST_SETTINGS)
        return str(caught.value)

    put(tmp_path, "a.wav")
    (tmp_path / "metadata.csv").write_text("path\na.wav\n")
    only_labelled = "cannot be trained on, only labelled by a trained task"
    assert (
        f"got no 'label'; correct the header, or the row of config/corpora.tsv; files without labels {only_labelled}" in error()
    )
    assert "got no 'split'" in error(label_columns="") and "empty the cell `split_column`" in error(label_columns="")
    assert error(**FOLDERS).endswith(f"files without classes {only_labelled}")
