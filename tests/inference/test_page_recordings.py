import csv
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import soundfile

from inference.page_recordings import COLUMNS, MAX_TEXT_LENGTH, Recordings, clean_text
from speech2unit.corpora.adapters.table import read_rows
from speech2unit.corpora.audio import decode
from speech2unit.corpora.make_manifest import make_manifest
from speech2unit.corpora.schemas import MANIFEST
from storage import tables

RATE = 16_000
CELLS = dict(metadata="metadata.csv", path_column="path", split_column="split", speaker_column="speaker", label_columns="label")


def noise(seed, num_samples=RATE // 2):
    return (np.random.default_rng(seed).integers(-9000, 9000, num_samples) / 32768).astype(np.float32)


def keep(folder, seed, label="yes", speaker="anna", split="train"):
    return Recordings(folder).keep(noise(seed), RATE, f"{seed:032x}"[::-1], label=label, speaker=speaker, split=split)


def rows_of(folder):
    with open(folder / "metadata.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_kept_recording_is_a_row_and_a_file_with_the_same_samples(tmp_path):
    kept = keep(tmp_path, 1)
    assert kept.is_new
    assert rows_of(tmp_path) == [dict(path=kept.path, split="train", speaker="anna", label="yes")]
    samples, info = decode(tmp_path / kept.path)
    np.testing.assert_array_equal(samples, noise(1))
    assert info.sample_rate == RATE
    assert soundfile.info(tmp_path / kept.path).subtype == "PCM_16"


def test_samples_that_16_bits_cannot_hold_are_kept_too(tmp_path):
    samples = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    kept = Recordings(tmp_path).keep(samples, RATE, "f" * 32, label="yes", speaker="anna", split="train")
    np.testing.assert_array_equal(decode(tmp_path / kept.path)[0], samples)


def test_the_same_recording_again_corrects_its_label(tmp_path):
    keep(tmp_path, 1, label="yes")
    keep(tmp_path, 2)
    kept = keep(tmp_path, 1, label="no", speaker="ben", split="dev")
    assert not kept.is_new
    assert [(row["label"], row["speaker"], row["split"]) for row in rows_of(tmp_path)] == [
        ("no", "ben", "dev"),
        ("yes", "anna", "train"),
    ]


def test_numbers_of_recordings_and_a_speaker_in_two_splits_are_reported(tmp_path):
    assert keep(tmp_path, 1).other_splits == []
    assert keep(tmp_path, 2, speaker="ben", split="dev").other_splits == []
    kept = keep(tmp_path, 3, split="test")
    assert kept.other_splits == ["train"]
    assert kept.rows_per_split == dict(train=1, dev=1, test=1)


def test_the_split_of_a_speaker_is_remembered(tmp_path):
    recordings = Recordings(tmp_path)
    assert recordings.split_of("ben") is None
    keep(tmp_path, 1, speaker="ben", split="dev")
    assert recordings.split_of(" ben ") == "dev"
    assert recordings.split_of("anna") is None


@pytest.mark.parametrize("label", ["a, b", 'say "yes"', "Straße", "3 7 1", "=1+1", "null", "NA", "007"])
def test_labels_come_back_from_the_adapter_as_they_were_written(tmp_path, label):
    kept = keep(tmp_path, 1, label=label)
    [row] = read_rows(root=tmp_path, where="", **CELLS)
    assert row["labels"] == [label]
    assert row["path"] == kept.path


def test_a_sequence_is_read_as_a_sequence(tmp_path):
    keep(tmp_path, 1, label=" 3  7 1 ")
    [row] = read_rows(root=tmp_path, where="", **CELLS | dict(label_columns="label[]"))
    assert row["labels"] == ["3", "7", "1"]


@pytest.mark.parametrize("text", ["", "   ", None, "a\x00b", "\x1b[31m", "\u202e", "a" * (MAX_TEXT_LENGTH + 1)])
def test_unusable_texts_are_refused_with_the_field_that_lacks(tmp_path, text):
    with pytest.raises(ValueError, match="fill in the speaker"):
        clean_text(text, "speaker")
    with pytest.raises(ValueError, match="fill in the label"):
        keep(tmp_path, 1, label=text)
    assert not (tmp_path / "metadata.csv").exists()


def test_line_breaks_become_blanks():
    assert clean_text(" a\nb\t c ", "label") == "a b c"


def test_other_splits_than_the_three_are_refused(tmp_path):
    with pytest.raises(ValueError, match="train"):
        keep(tmp_path, 1, split="../../etc")


def test_rows_and_columns_of_a_users_own_table_remain(tmp_path):
    (tmp_path / "metadata.csv").write_text("path,split,speaker,label,place\nold.wav,test,cleo,no,kitchen\n")
    keep(tmp_path, 1)
    first, second = rows_of(tmp_path)
    assert first == dict(path="old.wav", split="test", speaker="cleo", label="no", place="kitchen")
    assert second["place"] == ""


@pytest.mark.parametrize(
    "content, problem",
    [
        ("file,label\na.wav,yes\n", "no column 'path'"),
        ("path,split,speaker,label\na.wav,train,anna,yes,more\n", "row 2"),
        ("path,split,speaker,label\na.wav,train\n", "row 2"),
        ('path,split,speaker,label\na.wav,train,anna,"yes\n', "unexpected end"),
    ],
)
def test_a_table_that_cannot_be_read_is_left_as_it_is(tmp_path, content, problem):
    (tmp_path / "metadata.csv").write_text(content)
    with pytest.raises(ValueError, match=problem):
        keep(tmp_path, 1)
    assert (tmp_path / "metadata.csv").read_text() == content


@pytest.mark.slow
@pytest.mark.parametrize("executor", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_ten_clients_at_once_lose_no_row(tmp_path, executor):
    with executor(10) as pool:
        list(pool.map(partial(keep, tmp_path), range(40)))
    rows = rows_of(tmp_path)
    assert len({row["path"] for row in rows}) == len(rows) == 40
    assert len(list((tmp_path / "audio").iterdir())) == 40
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_pipeline_makes_a_manifest_of_kept_recordings(tmp_path):
    for seed, (speaker, split) in enumerate([("anna", "train"), ("ben", "dev"), ("cleo", "test")] * 2):
        keep(tmp_path, seed, label="yes" if seed < 3 else "no", speaker=speaker, split=split)
    corpus = dict(corpus="mine", adapter="table", root=str(tmp_path), where="", speeds="", **CELLS)
    make_manifest(
        manifest=tmp_path / "results/manifest.parquet",
        rejected=tmp_path / "results/rejected.parquet",
        corpus=corpus,
        sample_rate=RATE,
        max_reject_fraction=0.0,
        allow_overlap=[],
        num_folds=0,
        num_workers=1,
    )
    rows = tables.read(tmp_path / "results/manifest.parquet", MANIFEST).to_pylist()
    assert sorted((row["speaker"], row["split"], *row["labels"]) for row in rows) == [
        ("anna", "train", "no"),
        ("anna", "train", "yes"),
        ("ben", "dev", "no"),
        ("ben", "dev", "yes"),
        ("cleo", "test", "no"),
        ("cleo", "test", "yes"),
    ]


def test_the_table_has_the_columns_that_the_adapter_reads_without_being_told():
    assert COLUMNS == ("path", "split", "speaker", "label")
