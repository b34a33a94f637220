"""Commands with slots: one speaker of each corpus, labels in slots, and the metrics read them back."""

import numpy as np
import pandas
import pytest
import soundfile

from evaluation.metrics import slots as slots_of_text
from speech2unit.corpora.adapters.table import read_rows
from speech2unit.corpora.concatenate_slots import concatenate_slots, draw_commands, slot_of_each_label, slot_symbols
from speech2unit.corpora.schemas import MANIFEST
from storage import tables
from tests.factories import manifest_row_of_file

SLOTS = dict(direction=["left", "right"], action=["stop"], number=["3", "7"])
SETTINGS = dict(
    slots=SLOTS,
    num_utterances=dict(train=30, dev=8, test=8),
    clips_per_corpus=[[0, 1], [0, 2]],
    pauses=dict(seconds=[0.1, 0.2], snr_db=40),
    seed=1,
)
RATE = 16_000


def corpus(folder, speakers, labels, hertz):
    """Write a corpus of tones in which every speaker says every label; return its folder."""
    folder.mkdir()
    rows = []
    for speaker, split in speakers:
        for label in labels:
            path = f"{speaker}_{label}.wav"
            soundfile.write(folder / path, 0.5 * np.sin(2 * np.pi * hertz * np.arange(3200) / RATE), RATE)
            rows.append(manifest_row_of_file(folder / path, split=split, speaker=speaker, labels=[label]))
    tables.write(folder / "manifest.parquet", rows, MANIFEST)
    return folder


@pytest.fixture
def made(tmp_path):
    """Function that makes commands with slots of two corpora; it takes changed settings and returns the folder."""
    directions = corpus(
        tmp_path / "directions", [("a", "train"), ("b", "train"), ("c", "dev"), ("d", "test")], ["left", "right", "stop"], 500
    )
    numbers = corpus(tmp_path / "numbers", [("x", "train"), ("y", "dev"), ("z", "test")], ["3", "7"], 1500)

    def run(name="made", **changed):
        paths = dict(audio=tmp_path / name / "audio", metadata=tmp_path / name / "metadata.csv")
        manifests = [folder / "manifest.parquet" for folder in (directions, numbers)]
        concatenate_slots(manifests=manifests, roots=[str(directions), str(numbers)], **paths, **SETTINGS | changed)
        return tmp_path / name

    return run


@pytest.mark.slow
def test_what_is_heard_is_what_the_slots_hold(made):
    folder = made()
    cells = dict(path_column="path", split_column="split", speaker_column="speaker", label_columns="symbols[]", where="")
    rows = read_rows(root=str(folder), metadata="metadata.csv", **cells)
    assert pandas.Series([row["split"] for row in rows]).value_counts().to_dict() == SETTINGS["num_utterances"]
    for row in rows:
        filled = slots_of_text(" ".join(row["labels"]))
        words = [word for _, value in filled for word in value.split()]
        assert all(word in SLOTS[slot] for slot, value in filled for word in value.split())
        numbers = [word for word in words if word.isdigit()]
        samples, _ = soundfile.read(folder / row["path"])
        spectrum = np.abs(np.fft.rfft(samples, 8 * RATE))
        heard = [spectrum[8 * hertz - 40 : 8 * hertz + 40].max() > 300 for hertz in (500, 1500)]
        assert heard == [len(words) > len(numbers), bool(numbers)] and 1 <= len(words) <= 3
    speakers = pandas.DataFrame(rows).groupby("speaker")["split"].nunique()
    assert (speakers == 1).all() and {"a", "x", "a+x", "b+x", "d+z"} <= set(speakers.index)


@pytest.mark.slow
def test_the_same_bytes_again_and_others_with_another_seed(made):
    def content(folder):
        return [path.read_bytes() for path in sorted(folder.rglob("*.*"))]

    assert content(made("one_run")) == content(made("again")) != content(made("other", seed=2))


def test_neighbours_of_one_slot_fill_it_together():
    slot_of = slot_of_each_label(SLOTS, ["left", "3"])
    assert slot_symbols(["left", "3", "7"], slot_of) == ["<direction>", "left", "</>", "<number>", "3", "7", "</>"]
    assert slot_symbols(["3"], slot_of) == ["<number>", "3", "</>"]
    assert slot_symbols(["stop", "left"], slot_of) == ["<action>", "stop", "</>", "<direction>", "left", "</>"]


def test_a_command_has_one_speaker_of_each_corpus_and_at_least_one_clip():
    corpora = [[dict(speaker=s, utterance_id=f"{s}{i}") for s in names for i in range(3)] for names in ("ab", "xyz")]
    limits = [[0, 1], [0, 3]]
    commands = list(draw_commands(corpora, num_utterances=300, clips_per_corpus=limits, rng=np.random.default_rng(0)))
    for clips in commands:
        assert 1 <= len(clips) <= 4
        assert len({row["speaker"] for row in clips if row["speaker"] in "ab"}) <= 1
        assert len({row["speaker"] for row in clips if row["speaker"] in "xyz"}) <= 1
    assert {len(clips) for clips in commands} == {1, 2, 3, 4}


@pytest.mark.parametrize("slots, number", [(dict(SLOTS, action=["go"]), "none"), (dict(SLOTS, action=["stop", "left"]), "two")])
def test_a_label_that_fills_no_slot_or_two_is_refused(made, slots, number):
    with pytest.raises(
        ValueError, match=rf"concatenate_slots.slots: each label fills one slot; .* \['(stop|left)'\] in {number}; correct"
    ):
        made(slots=slots)
