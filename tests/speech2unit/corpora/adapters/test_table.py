"""The adapter for corpora with a table of their files."""

import re
import subprocess
import unicodedata

import pandas
import pytest

from speech2unit.corpora.adapters.table import list_rows, read_rows
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
    assert "meta.csv, line 3: a split has a known name" in text and "got 'tset'; did you mean \"test\"?" in text


@pytest.mark.parametrize("path", ["../1.wav", "/etc/1.wav", "a/../../1.wav", "", "."])
def test_files_outside_the_root_are_refused(tmp_path, path):
    text = error(tmp_path, [ROWS[0] | dict(path=path)])
    assert (
        "line 2: paths are relative to the corpus root, and audio files are below it; expected a relative path without '..'"
        in text
    )


def test_an_empty_label_names_its_row(tmp_path):
    assert "line 2: every row needs its labels; expected a value of 'label'" in error(tmp_path, [ROWS[0] | dict(label=" ")])


def test_conditions_that_select_nothing_or_are_malformed(tmp_path):
    assert "got 'z'" in error(tmp_path, where="kind=z")
    assert "expected column=value, comma separated, got 'kind'" in error(tmp_path, where="kind")


def test_metadata_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match="meta.csv: the metadata must be readable"):
        read_rows(root=str(tmp_path), **CELLS)
    for name, data, text in (
        ("meta.csv", b"", "a table must have a header; .* got an empty file"),
        ("meta.csv", b"path,label\n", "a table must have rows; .* got a header only"),
        ("meta.csv", b"a,b\n1,2,3\n4,5,6,7\n", "line 2: a row must have one cell for each column; expected 2 cells"),
        ("meta.csv", b"\xff\xfe\x00", "the encoding that its byte order mark names; expected UTF-16-LE"),
        ("meta.csv.gz", b"path", "the metadata must be readable"),
        ("meta.csv", b"PK\x03\x04", "got an Excel workbook or another archive; save it from Excel as 'CSV UTF-8'"),
        ("meta.jsonl", b'{"path": "a.wav"}', "got JSON; convert it with: python -c"),
        ("meta.parquet", b"PAR1", "the metadata must be readable"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=f"{name}.*{text}"):
            read_rows(root=str(tmp_path), **CELLS | dict(metadata=name))


@pytest.mark.parametrize("extra", [",", ",x,y"])
def test_rows_with_more_cells_than_names_are_not_shifted(tmp_path, extra):
    lines = pandas.DataFrame(ROWS).to_csv(index=False).splitlines()
    (tmp_path / "meta.csv").write_text("\n".join([lines[0], *(line + extra for line in lines[1:])]) + "\n")
    with pytest.raises(ValueError, match="line 2: a row must have one cell for each column; .* or remove the commas at its end"):
        read_rows(root=str(tmp_path), **CELLS)


@pytest.mark.parametrize("blank", ["", " ", "\u00a0", "\t", "\u3000", "\u200b", "\ufeff", "\u202a"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_blanks_and_forms_of_letters_make_no_second_class(tmp_path, blank, form):
    cells = dict(path="caf\u00e9/1.wav", split="Train", speaker="Zo\u00eb", label="th\u00e9 vert", kind="\u00e4")
    typed = {unicodedata.normalize(form, name): unicodedata.normalize(form, blank + cell + blank) for name, cell in cells.items()}
    typed["label"] = typed["label"].replace(" ", f" {blank} " if blank.isspace() else " ")
    for metadata in ("meta.csv", "meta.parquet"):
        (row,) = read(tmp_path, [typed], metadata=metadata, where="kind=\u00e4")
        assert row == dict(
            utterance_id="caf\u00e9-1", path="caf\u00e9/1.wav", split="train", speaker="Zo\u00eb", labels=["th\u00e9 vert"]
        )


def test_lists_in_parquet_are_sequences(tmp_path):
    rows = [ROWS[0] | dict(digits=["3", " 7"]), ROWS[1] | dict(digits=["e\u0301"])]
    assert [row["labels"] for row in read(tmp_path, rows, metadata="meta.parquet", label_columns="digits[]")] == [
        ["3", "7"],
        ["\u00e9"],
    ]
    numbers = [row | dict(digits=[3, 7]) for row in ROWS]
    assert read(tmp_path, numbers, metadata="meta.parquet", label_columns="digits[]")[0]["labels"] == ["3", "7"]
    text = error(tmp_path, rows, metadata="meta.parquet", label_columns="digits")
    assert (
        "row 1: a cell of 'digits' is one text; expected text or a number, got ['3', ' 7']; for a sequence write 'digits[]'"
        in text
    )
    for symbols in (["a b"], [""], [None, "a"]):
        wrong = [ROWS[0] | dict(digits=symbols)]
        assert "the symbols of the sequence 'digits' are words" in error(
            tmp_path, wrong, metadata="meta.parquet", label_columns="digits[]"
        )
    assert "row 1: every row needs its labels" in error(
        tmp_path, [ROWS[0] | dict(digits=[]), rows[0]], metadata="meta.parquet", label_columns="digits[]"
    )


@pytest.mark.parametrize("cell", ["['3', '7']", "[3, 7]", '["3"]', "('a', 'b')", "{'bytes': b'RIFF'}"])
def test_lists_as_text_are_refused(tmp_path, cell):
    for column in ("digits", "digits[]"):
        text = error(tmp_path, [ROWS[0] | dict(digits=cell)], label_columns=column)
        assert "line 2: a cell of 'digits' is one text" in text and "blanks between the symbols" in text


def test_brackets_in_a_label_are_letters(tmp_path):
    for label in ("[noise]", "(laughs)", "{x}", "[a] b [c]", "[", "US$ to A$", "50% / yes", "#no"):
        assert read(tmp_path, [ROWS[0] | dict(label=label)])[0]["labels"] == [label]


@pytest.mark.parametrize("audio", [dict(bytes=b"RIFF\0\xff" * 99, path="a.wav"), b"RIFF\0\xff" * 99])
def test_bytes_are_refused_unseen_with_the_command_that_writes_files(tmp_path, audio):
    rows = [row | dict(audio=audio) for row in ROWS]
    text = error(tmp_path, rows, metadata="meta.parquet", path_column="audio")
    assert "RIFF" not in text and len(text) < 1500 and "row 1: a cell of 'audio' is one text" in text
    command = re.search('python -c "(.*)" and name', text)[1]
    if isinstance(audio, dict):
        exec(command, {})
        assert [
            (tmp_path / row["path"]).read_bytes() for row in read_rows(root=str(tmp_path), **CELLS | dict(metadata="clips.csv"))
        ] == [audio["bytes"]] * 3
    assert read(tmp_path, rows, metadata="meta.parquet")[0]["path"] == "a/yes/1.wav"


def test_unknown_speakers_and_values_of_where_that_look_alike_are_said(tmp_path, capsys):
    read(tmp_path)
    assert "1 of 3 rows have no speaker" in capsys.readouterr().out
    rows = [ROWS[0], ROWS[0] | dict(path="2.wav", kind="X ")]
    assert len(read(tmp_path, rows, where="kind=x")) == 1
    assert "the column 'kind' has ['X', 'x'], which `where` takes for different values" in capsys.readouterr().out


@pytest.mark.parametrize("path", ["a\\yes\\1.wav", "D:\\mine\\a\\yes\\1.wav", "C:/mine/a/yes/1.wav", "D:\\\\a\\\\YES\\\\1.WAV"])
def test_windows_paths_say_what_to_type(tmp_path, path):
    (tmp_path / "a/yes").mkdir(parents=True)
    (tmp_path / "a/yes/1.wav").touch()
    text = error(tmp_path, [ROWS[0] | dict(path=path)])
    assert "expected 'a/yes/1.wav', which is there" in text
    subprocess.run(text[text.index("sed -i") :], shell=True, check=True)
    assert read_rows(root=str(tmp_path), **CELLS)[0]["path"].lower() == "a/yes/1.wav"


def test_a_row_that_is_there_twice_is_named_by_its_line(tmp_path):
    text = error(tmp_path, [*ROWS, ROWS[1]])
    assert (
        "meta.csv, line 5: each row is about another file; expected 'a/no/2.flac' in line 3 alone, got the same file again"
        in text
    )
    assert "remove one of the two rows" in text
    with pytest.raises(ValueError, match="line 5: each row is about another file"):
        list(list_rows(root=str(tmp_path), **{name: cell for name, cell in CELLS.items() if name != "speaker_column"}))


def test_blanks_around_slashes_are_no_part_of_a_path(tmp_path):
    assert read(tmp_path, [ROWS[0] | dict(path="a /yes/ 1.wav")])[0] == read(tmp_path, ROWS[:1])[0]


def test_a_repeated_column_is_refused_if_it_is_used(tmp_path):
    (tmp_path / "meta.csv").write_text("path,split,speaker,label,label,x,x\n1.wav,train,s,yes,no,1,2\n")
    with pytest.raises(ValueError, match="must be one; expected one column 'label'"):
        read_rows(root=str(tmp_path), **CELLS)
    assert read_rows(root=str(tmp_path), **CELLS | dict(label_columns=""))[0]["labels"] == []


def test_control_characters_are_no_label(tmp_path):
    assert "a cell of 'label' is text; expected a text without control characters, got 'y\\x07s'" in error(
        tmp_path, [ROWS[0] | dict(label="y\as")]
    )


def test_the_name_of_the_metadata_may_be_decomposed_on_disk(tmp_path):
    name = unicodedata.normalize("NFD", "m\u00e9ta.csv")
    pandas.DataFrame(ROWS).to_csv(tmp_path / name, index=False)
    assert len(read_rows(root=str(tmp_path), **CELLS | dict(metadata="m\u00e9ta.csv"))) == 3
