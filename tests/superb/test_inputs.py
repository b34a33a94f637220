"""Inputs and targets of models: waveforms or hidden states, targets and labels, batches."""

import numpy as np
import pytest
import soundfile

from speech2unit.corpora.audio import decode
from storage import tables
from superb.inputs import input_reader, read_classes, shuffled_batches, sorted_batches
from superb.labels import labels_of, target_of
from superb.schemas import CLASSES, HIDDEN_STATES

ROWS = [
    dict(utterance_id=f"u{i}", path=f"{i}.wav", start_seconds=0.0, end_seconds=None, speed=1.0, num_samples=1600 * (i + 1))
    for i in range(3)
]


def test_inputs_are_waveforms(tmp_path):
    waves = [np.sin(np.arange(1600 * (i + 1))) * 0.1 for i in range(3)]
    for row, wave in zip(ROWS, waves):
        soundfile.write(tmp_path / row["path"], wave, 16_000)
    rows = [row | dict(audio_hash=decode(tmp_path / row["path"])[1].audio_hash) for row in ROWS]
    read = input_reader([], tmp_path, 16_000)
    assert [len(waveform) for waveform in read(rows[::-1])] == [4800, 3200, 1600]
    assert np.allclose(read(rows[1:2])[0], waves[1], atol=1e-4)
    assert [len(waveform) for waveform in input_reader([], tmp_path, 8000)(rows[:1])] == [800]


def test_inputs_are_hidden_states_if_there_are_shards(tmp_path):
    states = {}
    rng = np.random.default_rng(0)
    for shard in range(2):
        with tables.writer(tmp_path / f"{shard}.parquet", HIDDEN_STATES) as writer:
            for row in ROWS[shard::2]:
                array = rng.normal(size=(3, 4 + shard, 5)).astype(np.float16)
                states[row["utterance_id"]] = array
                cells = dict(utterance_id=row["utterance_id"], split="train", num_states=3, num_frames=4 + shard)
                writer.write([cells | dict(states=array.reshape(-1))])
    inputs = input_reader([tmp_path / "0.parquet", tmp_path / "1.parquet"], "nowhere", 16_000)(ROWS)
    assert all((array.numpy() == states[row["utterance_id"]]).all() for array, row in zip(inputs, ROWS))
    assert inputs[0].dtype.is_floating_point and inputs[0].element_size() == 4


@pytest.mark.parametrize("kind, labels, target", [
    ("KS", ["up"], [1]), ("SID", ["down"], [0]), ("IC", ["up", "here"], [1, 0]), ("ASR", ["up", "down", "down"], [2, 1, 1]),
    ("PR", [], []), ("SD", ["1 0.00 1.00"], ["1 0.00 1.00"]),
])  # fmt: skip
def test_targets_and_back(tmp_path, kind, labels, target):
    rows = [("down", 0, 0), ("here", 1, 0), ("up", 0, 1)]
    tables.write(
        tmp_path / "c.parquet", [dict(slot=s, index=i, label=label, num_rows=1) for label, s, i in rows], CLASSES
    )  # fmt: skip
    classes = read_classes(tmp_path / "c.parquet")
    assert classes == [["down", "up"], ["here"]]
    assert target_of(labels, classes, kind) == target and labels_of(target, classes, kind) == labels


def test_batches_have_similar_lengths_and_epochs_have_every_row():
    assert [batch.tolist() for batch in sorted_batches([3, 1, 2, 5, 4], 2)] == [[1, 2], [0, 4], [3]]
    lengths = np.random.default_rng(0).integers(1, 1000, 500)
    batches = shuffled_batches(lengths, 10, np.random.default_rng(1))
    epochs = [[next(batches) for _ in range(50)] for _ in range(2)]
    assert all(sorted(np.concatenate(epoch)) == list(range(500)) for epoch in epochs)
    assert [b.tolist() for b in epochs[0]] != [b.tolist() for b in epochs[1]]
    spread = np.mean([np.ptp(lengths[batch]) for epoch in epochs for batch in epoch])
    assert spread < 0.3 * np.ptp(lengths)
