"""Commands with slots: a voice of either corpus, labels in slots, the metrics read them back."""

import numpy as np
import pandas
import pytest
import soundfile

from evaluation.metrics import slots as slots_of_text
from speech2unit.corpora.adapters.table import read_rows
from speech2unit.corpora.concatenate_slots import concatenate_slots, draw_commands, slot_of_labels, slot_symbols
from speech2unit.corpora.schemas import MANIFEST
from storage import tables
from tests.factories import manifest_row_of_file

SLOTS = dict(direction=["left", "right"], action=["stop"], number=["3", "7"])
HOW = dict(
    slots=SLOTS, num_clips=dict(train=30, dev=8, test=8), num_parts=[[0, 1], [0, 2]], pause_seconds=[0.1, 0.2],
    pause_snr_db=40, seed=1,
)  # fmt: skip
RATE = 16_000


def corpus(folder, speakers, labels, hertz):
    """A corpus of tones, all labels by every (speaker, split): the manifest's path."""
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
    """A function settings → folder of commands with slots."""
    one = corpus(tmp_path / "one", [("a", "train"), ("b", "train"), ("c", "dev"), ("d", "test")], ["left", "right", "stop"], 500)
    two = corpus(tmp_path / "two", [("x", "train"), ("y", "dev"), ("z", "test")], ["3", "7"], 1500)

    def run(name="made", **how):
        paths = dict(audio=tmp_path / name / "audio", metadata=tmp_path / name / "metadata.csv")
        manifests = [folder / "manifest.parquet" for folder in (one, two)]
        concatenate_slots(manifests=manifests, roots=[str(one), str(two)], **paths, **HOW | how)
        return tmp_path / name

    return run


def test_what_is_heard_is_what_the_slots_hold(made):
    folder = made()
    cells = dict(path_column="path", split_column="split", speaker_column="speaker", label_columns="symbols[]", where="")
    rows = read_rows(root=str(folder), metadata="metadata.csv", **cells)
    assert pandas.Series([row["split"] for row in rows]).value_counts().to_dict() == HOW["num_clips"]
    for row in rows:
        found = slots_of_text(" ".join(row["labels"]))
        words = [word for _, value in found for word in value.split()]
        assert all(word in SLOTS[slot] for slot, value in found for word in value.split())
        numbers = [word for word in words if word.isdigit()]
        samples, _ = soundfile.read(folder / row["path"])
        spectrum = np.abs(np.fft.rfft(samples, 8 * RATE))
        heard = [spectrum[8 * hertz - 40 : 8 * hertz + 40].max() > 300 for hertz in (500, 1500)]
        assert heard == [len(words) > len(numbers), bool(numbers)] and 1 <= len(words) <= 3
    speakers = pandas.DataFrame(rows).groupby("speaker")["split"].nunique()
    assert (speakers == 1).all() and {"a", "x", "a+x", "b+x", "d+z"} <= set(speakers.index)


def test_the_same_bytes_again_and_others_with_another_seed(made):
    def content(folder):
        return [path.read_bytes() for path in sorted(folder.rglob("*.*"))]

    assert content(made("one_run")) == content(made("again")) != content(made("other", seed=2))


def test_neighbours_of_one_slot_fill_it_together():
    slot_of = slot_of_labels(SLOTS, ["left", "3"])
    assert slot_symbols(["left", "3", "7"], slot_of) == ["<direction>", "left", "</>", "<number>", "3", "7", "</>"]
    assert slot_symbols(["3"], slot_of) == ["<number>", "3", "</>"]
    assert slot_symbols(["stop", "left"], slot_of) == ["<action>", "stop", "</>", "<direction>", "left", "</>"]


def test_clips_are_those_of_one_speaker_of_either_corpus_and_never_none():
    corpora = [[dict(speaker=s, utterance_id=f"{s}{i}") for s in names for i in range(3)] for names in ("ab", "xyz")]
    found = list(draw_commands(corpora, num_clips=300, num_parts=[[0, 1], [0, 3]], rng=np.random.default_rng(0)))
    for parts in found:
        assert 1 <= len(parts) <= 4
        assert len({row["speaker"] for row in parts if row["speaker"] in "ab"}) <= 1
        assert len({row["speaker"] for row in parts if row["speaker"] in "xyz"}) <= 1
    assert {len(parts) for parts in found} == {1, 2, 3, 4}


@pytest.mark.parametrize("slots", [dict(SLOTS, action=["go"]), dict(SLOTS, action=["stop", "left"])])
def test_a_label_that_fills_no_slot_or_two_is_refused(made, slots):
    with pytest.raises(
        ValueError, match=r"concatenate_slots.slots: each label fills one slot; .* \['(stop|left)'\] in none or two"
    ):
        made(slots=slots)
