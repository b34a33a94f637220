"""Speech for training: the training utterances, the split, batches within their budget, segments."""

import numpy as np
import pytest

from speech2unit.corpora.audio import read_audio
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.recipes.speech_batches import (
    batches_by_length,
    random_segment,
    read_waveforms,
    split_off_dev,
    training_rows,
)
from storage import tables
from tests.factories import manifest_row


def test_training_rows_are_of_the_training_split_at_the_recorded_speed(tmp_path):
    rows = [
        manifest_row("a"),
        manifest_row("b"),
        manifest_row("c", split="dev"),
        manifest_row("d", split="test"),
        manifest_row("a_slow", speed=0.9),
    ]
    tables.write(tmp_path / "manifest.parquet", rows, MANIFEST)
    assert [path for path, _ in training_rows([tmp_path / "manifest.parquet"], [tmp_path])] == [
        tmp_path / "a.wav",
        tmp_path / "b.wav",
    ]


def test_a_split_without_dev_utterances_is_refused():
    with pytest.raises(ValueError, match="expected at least one of each, got 0 of 10 for the dev loss; change 'dev_fraction'"):
        split_off_dev(list(range(10)), 0.01, 1)


def test_a_split_has_every_utterance_once_and_depends_on_the_seed_only():
    dev, train = split_off_dev(list(range(10)), 0.2, 1)
    assert len(dev) == 2
    assert sorted(dev + train) == list(range(10))
    assert split_off_dev(list(range(10)), 0.2, 1) == (dev, train)


def test_batches_keep_their_budget_and_have_every_utterance():
    rows = [(None, dict(num_samples=n)) for n in np.random.default_rng(0).integers(2_000, 60_000, 40)]
    batches = batches_by_length(rows, 300, 50, np.random.default_rng(1))
    drawn = []
    while len(drawn) < 60:
        batch = next(batches).tolist()
        assert len(batch) <= 1 + 300 // 6
        assert sum(min(rows[i][1]["num_samples"] // 320, 50) for i in batch[:-1]) <= 300
        drawn += batch
    assert set(drawn) == set(range(40))


def test_waveforms_are_read_at_16_khz(utterances):
    for (path, _), (waveform, row) in zip(utterances, read_waveforms(utterances)):
        assert len(waveform) == row["num_samples"]
        assert np.array_equal(waveform, read_audio(path, sample_rate=16_000)[0])


def test_a_short_waveform_is_its_own_segment():
    rng = np.random.default_rng(0)
    assert len(random_segment(np.arange(4_000), 781, rng)) == 4_000


def test_segments_of_a_long_waveform_begin_anywhere():
    rng = np.random.default_rng(0)
    segments = [random_segment(np.arange(20_000), 10, rng) for _ in range(20)]
    assert {len(segment) for segment in segments} == {10 * 320 + 80}
    assert len({int(segment[0]) for segment in segments}) > 10
    assert all(np.array_equal(np.diff(segment), np.ones(len(segment) - 1)) for segment in segments)
