"""Corpora are labelled in parts: any number of shards, and any interruption, give the same table."""

import pytest

from inference import label_files as module
from inference.label_files import References, label_files, parts_of_shard, rows_of_parts
from inference.schemas import PREDICTIONS_OF_CORPUS
from speech2unit.corpora.schemas import FILES
from storage import tables
from tests.inference.fakes import FakeRecognizer, write_recording
from training.checkpointing import keep_checkpoints

NO_LABELS = dict(columns=[], corpus_columns=[], kind="", lexicon="")
SETTINGS = dict(references=NO_LABELS, files_per_part=4, batch_size=2, num_best=2, num_workers=2)


def file_row(name, **cells):
    row = dict(utterance_id=name, path=f"{name}.wav", start_seconds=0.0, end_seconds=None, split=None, labels=None)
    return row | dict(units=None, reason=None, detail=None) | cells


@pytest.fixture
def recognizer(monkeypatch):
    """The recognizer that every bundle has."""
    fake = FakeRecognizer()
    monkeypatch.setattr(module, "_load", lambda bundle, shard: fake)
    return fake


@pytest.fixture
def corpus(tmp_path):
    """A listing of eleven recordings, the third of which does not exist, and arguments of the stage."""
    rows = [file_row(f"r{number:02d}") for number in range(11)]
    for number, row in enumerate(rows):
        if number != 2:
            write_recording(tmp_path / row["path"], level=(0.01, 0.3)[number % 2], seed=number)
    tables.write(tmp_path / "files.parquet", rows, FILES)
    return dict(bundle="bundle", files=tmp_path / "files.parquet", root=str(tmp_path), shard=1, num_shards=1) | SETTINGS


def labelled(path, corpus, **changed):
    label_files(predictions=path, **corpus | changed)
    return tables.read(path, PREDICTIONS_OF_CORPUS)


def job(path, corpus):
    return keep_checkpoints(
        output=path, identity="x", inputs=[corpus["files"]], curves=path.parent / "curves", interval_seconds=0
    )


def test_rows_have_answers_or_reasons(tmp_path, corpus, recognizer):
    rows = labelled(tmp_path / "out.parquet", corpus).to_pylist()
    assert [row["utterance_id"] for row in rows] == [f"r{number:02d}" for number in range(11)]
    assert [row["predicted_labels"] for row in rows[:4]] == [["quiet"], ["loud"], None, ["loud"]]
    assert (rows[2]["reason"], rows[2]["detail"]) == (
        "missing",
        "No such file or directory; correct the path where it is written, or put the file there",
    )
    assert all(rows[2][name] is None for name in ("score", "probability", "n_best_labels", "n_best_scores", "seconds", "labels"))
    assert rows[1]["n_best_labels"] == ["loud", "quiet"] and rows[1]["n_best_scores"][0] == rows[1]["score"]
    assert 0 < rows[1]["probability"] < 1 and rows[1]["seconds"] == pytest.approx(0.1) and rows[1]["reason"] is None


@pytest.mark.slow
def test_any_number_of_shards_gives_the_same_rows(tmp_path, corpus, recognizer):
    whole = labelled(tmp_path / "whole.parquet", corpus)
    for num_shards in (2, 3, 7):
        shards = [
            labelled(tmp_path / f"{shard}.parquet", corpus, shard=shard, num_shards=num_shards)
            for shard in range(1, num_shards + 1)
        ]
        assert [row for shard in shards for row in shard.to_pylist()] == whole.to_pylist()


@pytest.mark.parametrize("num_rows, files_per_part, num_shards", [(11, 4, 2), (1, 4, 3), (12, 4, 3), (1000, 1, 7)])
def test_parts_are_divided_without_gaps(num_rows, files_per_part, num_shards):
    shards = [list(parts_of_shard(num_rows, files_per_part, shard, num_shards)) for shard in range(1, num_shards + 1)]
    assert [number for shard in shards for number in shard] == list(range(-(-num_rows // files_per_part)))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize("numbers", [[0, 1, 2], [1], [2], [0, 2], []])
def test_parts_can_be_left_out(corpus, numbers):
    found = [(number, [row["utterance_id"] for row in rows]) for number, rows in rows_of_parts(corpus["files"], numbers, 4)]
    names = [f"r{number:02d}" for number in range(11)]
    assert found == [(number, names[4 * number : 4 * number + 4]) for number in numbers]


@pytest.mark.slow
def test_a_killed_job_goes_on_after_its_last_part_and_gives_the_same_table(tmp_path, corpus, recognizer, monkeypatch):
    expected = labelled(tmp_path / "whole.parquet", corpus)
    out = tmp_path / "results/1-of-1.parquet"
    predicted_rows = module.predicted_rows
    started = []

    def failing(recognizer, rows, *arguments, **settings):
        started.append(rows[0]["utterance_id"])
        if len(started) == 3:
            raise KeyboardInterrupt
        return predicted_rows(recognizer, rows, *arguments, **settings)

    monkeypatch.setattr(module, "predicted_rows", failing)
    with pytest.raises(KeyboardInterrupt), job(out, corpus):
        labelled(out, corpus)
    assert not out.exists() and len(list(out.parent.glob(".*.state/part*.parquet"))) == 2
    with job(out, corpus):
        resumed = labelled(out, corpus)
    assert started == ["r00", "r04", "r08", "r08"]
    assert resumed.equals(expected) and list(out.parent.iterdir()) == [out]


@pytest.mark.slow
def test_a_damaged_part_is_made_again(tmp_path, corpus, recognizer, monkeypatch):
    expected = labelled(tmp_path / "whole.parquet", corpus)
    out = tmp_path / "results/1-of-1.parquet"
    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patched, job(out, corpus):
        patched.setattr(module, "write_predictions", _interrupt)
        labelled(out, corpus)
    second = sorted(out.parent.glob(".*.state/*"))[1]
    second.write_bytes(second.read_bytes()[:-20])
    with job(out, corpus):
        assert labelled(out, corpus).equals(expected)


def _interrupt(*arguments):
    raise KeyboardInterrupt


def test_a_segment_of_a_file_is_read_alone(tmp_path, corpus, recognizer):
    write_recording(tmp_path / "long.wav", level=0.3, seconds=1)
    rows = [file_row("long-1", path="long.wav", start_seconds=0.25, end_seconds=0.75)]
    tables.write(corpus["files"], rows, FILES)
    (row,) = labelled(tmp_path / "out.parquet", corpus).to_pylist()
    assert row["seconds"] == 0.5


def test_units_are_labelled_without_audio(tmp_path, corpus, recognizer):
    recognizer.input_kind = "units"
    rows = [file_row("a", path=None, units=[0, 1]), file_row("b", path=None, units=[7, 8]), file_row("c", path=None, units=[9])]
    tables.write(corpus["files"], rows, FILES)
    rows = labelled(tmp_path / "out.parquet", corpus, root="").to_pylist()
    assert [row["predicted_labels"] for row in rows] == [["quiet"], ["loud"], None]
    assert rows[2]["reason"] == "not_units" and rows[0]["seconds"] is None and rows[0]["path"] is None


def test_a_name_that_cannot_be_stored_keeps_its_reason(tmp_path, corpus, recognizer):
    tables.write(corpus["files"], [file_row("a", reason="bad_name", detail="not UTF-8")], FILES)
    (row,) = labelled(tmp_path / "out.parquet", corpus).to_pylist()
    assert (row["reason"], row["detail"], row["predicted_labels"]) == ("bad_name", "not UTF-8; rename the file", None)


@pytest.mark.parametrize("columns, corpus_columns, kind, lexicon, labels, expected", [
    (["label"], ["label"], "", "", ["yes"], ["yes"]),
    (["object", "action"], ["action", "place", "object"], "", "", ["go", "here", "lamp"], ["lamp", "go"]),
    (["digits[]"], ["digits[]"], "", "", ["3", "7", "1"], ["3", "7", "1"]),
    (["words[]"], ["words[]"], "ASR", "letters", ["go", "on"], ["G", "O", "|", "O", "N"]),
    (["object"], ["action", "object"], "IC", "", ["go", "lamp"], ["lamp"]),
    ([], ["other"], "", "", ["yes"], None),
    (["label"], ["label"], "", "", None, None),
])  # fmt: skip
def test_labels_of_the_corpus_become_those_of_the_task(columns, corpus_columns, kind, lexicon, labels, expected):
    references = References(columns, corpus_columns, kind, lexicon)
    assert references(file_row("a", labels=labels)) == expected


def test_a_shard_without_parts_writes_an_empty_table_and_loads_nothing(tmp_path, corpus, monkeypatch):
    monkeypatch.setattr(module, "_load", _interrupt)
    assert labelled(tmp_path / "out.parquet", corpus, shard=1, num_shards=7).num_rows == 0
