"""Folds of a corpus: each speaker is tested once, by the others; and what a corpus needs for that."""

from collections import Counter

import pytest

from speech2unit.corpora.make_fold import make_fold
from speech2unit.corpora.schemas import MANIFEST
from storage import tables
from tests.factories import manifest_row

ROWS = [
    manifest_row(f"{speaker}{label}{i}", speaker=f"s{speaker}", labels=[label], audio_hash=f"{speaker}{label}{i}")
    for speaker in range(6)
    for label in "ab"
    for i in range(3)
]
COPIES = [row | dict(utterance_id=f"sp0.9-{row['utterance_id']}", speed=0.9) for row in ROWS]


def folds(folder, rows, num_folds, **settings):
    """The manifests of all folds."""
    tables.write(folder / "whole.parquet", rows, MANIFEST)
    settings = dict(label_columns="label", allow_overlap=[]) | settings
    for fold in range(1, num_folds + 1):
        paths = dict(whole=folder / "whole.parquet", manifest=folder / f"{fold}.parquet")
        make_fold(**paths, corpus=f"toy_fold{fold}", fold=fold, num_folds=num_folds, **settings)
    return [tables.read(folder / f"{fold}.parquet", MANIFEST).to_pylist() for fold in range(1, num_folds + 1)]


@pytest.mark.parametrize("num_folds", [2, 3, 6])
def test_each_clip_is_tested_once_and_no_speaker_is_in_two_splits(tmp_path, num_folds, capsys):
    manifests = folds(tmp_path, ROWS + COPIES, num_folds)
    tested = Counter(row["utterance_id"] for manifest in manifests for row in manifest if row["split"] == "test")
    assert tested == Counter(row["utterance_id"] for row in ROWS)
    for manifest in manifests:
        splits = {(row["speaker"], row["split"]) for row in manifest}
        assert len(splits) == 6 and {split for _, split in splits} == {"train", "dev", "test"}
        recorded = {row["utterance_id"] for row in manifest if row["speed"] == 1}
        assert recorded == {row["utterance_id"] for row in ROWS}
        copied = {row["utterance_id"] for row in manifest if row["speed"] != 1}
        assert copied == {f"sp0.9-{row['utterance_id']}" for row in manifest if row["speed"] == 1 and row["split"] == "train"}
    out = capsys.readouterr().out
    assert f" {36 // num_folds} clips, " in out and f", fold 1 of {num_folds} by speaker\n" in out
    assert ", drawn from train by speaker\n" in out


def test_unknown_speakers_are_divided_by_clip(tmp_path, capsys):
    manifests = folds(tmp_path, [row | dict(speaker=None) for row in ROWS], 4)
    assert [sum(row["split"] == "test" for row in manifest) for manifest in manifests] == [9, 9, 9, 9]
    assert "fold 1 of 4 by clip" in capsys.readouterr().out


@pytest.mark.slow
def test_more_folds_than_speakers_are_refused_unless_speakers_may_overlap(tmp_path):
    message = (
        "corpus toy_fold1, fold 1 of 7: each fold must have a speaker of its own; expected at most 6 folds, got 7; write 6 into"
    )
    with pytest.raises(ValueError, match=message):
        folds(tmp_path, ROWS, 7)
    assert len(folds(tmp_path, ROWS, 7, allow_overlap=["speaker"])) == 7


def test_a_label_of_a_single_speaker_is_an_error_that_names_it(tmp_path):
    rare = [manifest_row("rare", speaker="s0", labels=["rare"])]
    with pytest.raises(
        ValueError,
        match=r"fold \d of 6: train must have every label of dev and test; .* 'rare' of label column 'label' \(in rare\)",
    ):
        folds(tmp_path, ROWS + rare, 6)


def test_equal_audio_in_two_splits_is_an_error(tmp_path):
    rows = [*ROWS[:-1], ROWS[-1] | dict(audio_hash=ROWS[0]["audio_hash"])]
    with pytest.raises(ValueError, match="the same recording must not be in two splits"):
        folds(tmp_path, rows, 6)
    folds(tmp_path, rows, 6, allow_overlap=["audio"])
