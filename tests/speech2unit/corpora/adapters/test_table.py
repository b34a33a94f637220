"""The adapter for corpora with a table of their files."""

import pandas
import pytest

from speech2unit.corpora.adapters.table import read_rows
from speech2unit.corpora.splits import split_by_hash

CELLS = dict(
    metadata="meta.csv", path_column="path", split_column="split", speaker_column="speaker", label_columns="label", where=""
)
ROWS = [
    dict(path="a/yes/1.wav", split="train", speaker="s1", label="yes", kind="x", language="ar"),
    dict(path="a/no/2.flac", split="validation", speaker="", label="no", kind="x", language="en"),
    dict(path="b/no/3.wav", split="Testing", speaker="s3", label="no", kind="y", language="en"),
]


def read(tmp_path, rows=ROWS, **cells):
    cells = CELLS | cells
    write = pandas.DataFrame(rows).to_parquet if cells["metadata"].endswith("parquet") else pandas.DataFrame(rows).to_csv
    write(tmp_path / cells["metadata"], index=False)
    return read_rows(root=str(tmp_path), **cells)


def error(tmp_path, rows=ROWS, **cells):
    with pytest.raises(ValueError) as caught:
        read(tmp_path, rows, **cells)
    return str(caught.value)


@pytest.mark.parametrize("metadata", ["meta.csv", "meta.parquet"])
def test_rows_of_any_table(tmp_path, metadata):
    first, second, third = read(tmp_path, metadata=metadata)
    assert first == dict(utterance_id="a-yes-1", path="a/yes/1.wav", split="train", speaker="s1", labels=["yes"])
    assert (second["speaker"], second["split"], third["split"]) == (None, "dev", "test")


def test_speaker_and_labels_may_be_absent_and_labels_several(tmp_path):
    assert [(row["speaker"], row["labels"]) for row in read(tmp_path, speaker_column="", label_columns="")] == [(None, [])] * 3
    assert [row["labels"] for row in read(tmp_path, label_columns="label, kind")] == [["yes", "x"], ["no", "x"], ["no", "y"]]


def test_a_sequence_is_a_column_of_symbols_between_blanks(tmp_path):
    rows = [ROWS[0] | dict(digits="3 7  1"), ROWS[1] | dict(digits=" 5")]
    assert [row["labels"] for row in read(tmp_path, rows, label_columns="digits[]")] == [["3", "7", "1"], ["5"]]
    assert "expected a value of 'digits[]', got an empty cell" in error(
        tmp_path, [rows[0] | dict(digits=" ")], label_columns="digits[]"
    )
    assert 'did you mean "digits"?' in error(tmp_path, rows, label_columns="digit[]")


def test_without_a_split_column_the_split_depends_on_the_speaker_or_the_path(tmp_path):
    rows = [dict(path=f"{i}.wav", speaker=f"s{i % 100}") for i in range(1000)]
    cells = dict(split_column="", label_columns="speaker")
    by_speaker, by_path = (read(tmp_path, rows, **cells, speaker_column=name) for name in ("speaker", ""))
    assert len({(row["speaker"], row["split"]) for row in by_speaker}) == 100
    assert all(row["split"] == split_by_hash(row["path"]) and row["speaker"] is None for row in by_path)
    assert len({(*row["labels"], row["split"]) for row in by_path}) > 200


def test_conditions_all_hold(tmp_path):
    assert [row["path"] for row in read(tmp_path, where="kind=x,language = en")] == ["a/no/2.flac"]


def test_numbers_and_nulls_are_text_in_both_formats(tmp_path):
    rows = [dict(path="1.wav", split="train", speaker=None, label=7), dict(path="NA.wav", split="train", speaker="NA", label=8)]
    for metadata in ("meta.csv", "meta.parquet"):
        got = read(tmp_path, rows, metadata=metadata)
        assert [(row["speaker"], row["labels"]) for row in got] == [(None, ["7"]), ("NA", ["8"])]


def test_names_with_dots_keep_them(tmp_path):
    assert read(tmp_path, [ROWS[0] | dict(path="v1.0/take.2.wav")])[0]["utterance_id"] == "v1.0-take.2"


def test_a_missing_column_names_the_nearest(tmp_path):
    assert 'did you mean "speaker"?' in error(tmp_path, speaker_column="speakers")
    assert "adapter table needs the cell 'path_column'" in error(tmp_path, path_column="")
    assert 'did you mean "language"?' in error(tmp_path, where="langage=en")


def test_an_unknown_split_names_its_row(tmp_path):
    text = error(tmp_path, [ROWS[0], ROWS[1] | dict(split="tset")])
    assert "meta.csv, row 3: a split has a known name" in text and "got 'tset'; did you mean \"test\"?" in text


@pytest.mark.parametrize("path", ["../1.wav", "/etc/1.wav", "a/../../1.wav", "", "."])
def test_files_outside_the_root_are_refused(tmp_path, path):
    text = error(tmp_path, [ROWS[0] | dict(path=path)])
    assert (
        "row 2: paths are relative to the corpus root, and audio files are below it; expected a relative path without '..'"
        in text
    )


def test_an_empty_label_names_its_row(tmp_path):
    assert "row 2: every row needs its labels; expected a value of 'label'" in error(tmp_path, [ROWS[0] | dict(label=" ")])


def test_conditions_that_select_nothing_or_are_malformed(tmp_path):
    assert "got 'z'" in error(tmp_path, where="kind=z")
    assert "expected column=value, comma separated, got 'kind'" in error(tmp_path, where="kind")


def test_metadata_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match="meta.csv: the metadata must be readable"):
        read_rows(root=str(tmp_path), **CELLS)
    for name, data in (
        ("meta.csv", b""),
        ("meta.csv", b"a,b\n1,2,3\n4,5,6,7\n"),
        ("meta.csv", b"\xff\xfe\x00"),
        ("meta.parquet", b"PAR1"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=f"{name}: "):
            read_rows(root=str(tmp_path), **CELLS | dict(metadata=name))


@pytest.mark.parametrize("extra", [",", ",x,y"])
def test_rows_with_more_cells_than_names_are_not_shifted(tmp_path, extra):
    lines = pandas.DataFrame(ROWS).to_csv(index=False).splitlines()
    (tmp_path / "meta.csv").write_text("\n".join([lines[0], *(line + extra for line in lines[1:])]) + "\n")
    with pytest.raises(ValueError, match="the metadata must be readable; .*got rows with more cells than the header has names"):
        read_rows(root=str(tmp_path), **CELLS)
