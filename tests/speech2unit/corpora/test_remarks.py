"""What is odd about a manifest though it is allowed is said."""

import pytest

from speech2unit.corpora.remarks import remarks, size_lines, speaker_hint
from tests.factories import corpus_row, manifest_row

ROWS = [
    manifest_row(f"{split}{label}", split=split, speaker=f"s{split}", labels=[label])
    for split in ("train", "dev", "test")
    for label in "ab"
]


FEW = "test has only 2 clips: an accuracy of 50 % would have the 95 % interval 9 to 91 %, and differences within it mean nothing"
ALONE = "test has a single speaker, 'stest': its score says nothing about other people"


def said(rows, columns="label", listed=None):
    """The remarks without those on the size of the test, which is small here."""
    sentences = list(remarks(listed or rows, rows, columns, "HINT"))
    return [sentence for sentence in sentences if sentence not in (FEW, ALONE)]


def test_a_clean_corpus_has_no_remarks():
    many = [ROWS[-1] | dict(utterance_id=f"{i}", audio_hash=f"{i}", speaker=f"t{i % 9}") for i in range(98)]
    assert list(remarks(ROWS + many, ROWS + many, "label")) == []


def test_the_size_of_each_split_is_said():
    rows = [*ROWS, manifest_row("x", speaker="anna", labels=["a"], num_samples=16_000 * 90)]
    assert size_lines(rows, "label", 6).splitlines() == [
        "7 clips, 4 speakers, 2 labels, 1.6 min",
        "  train  3 clips, 2 speakers, 2 labels, 1.5 min, and 6 speed copies",
        "  dev    2 clips,  1 speaker, 2 labels,   2.0 s",
        "  test   2 clips,  1 speaker, 2 labels,   2.0 s",
    ]


def test_a_small_test_is_said_with_its_interval():
    assert list(remarks(ROWS, ROWS, "label")) == [FEW, ALONE]


@pytest.mark.parametrize(
    "cells, hint",
    [
        (
            dict(adapter="folders"),
            "the adapter folders takes a file name up to its first _ for the speaker; if names have no such part, write",
        ),
        (dict(adapter="folders", speaker_pattern="^[a-z]+"), "correct `speaker_pattern` of the row"),
        (dict(), "if the column 'speaker' does not name speakers, write another `speaker_column` or leave it empty"),
    ],
)
def test_a_speaker_for_nearly_every_clip_is_said_with_what_to_type(cells, hint):
    rows = [*ROWS, *(manifest_row(f"rec{i:02d}", speaker=f"rec{i:02d}", labels=["a"]) for i in range(40))]
    (sentence,) = [s for s in remarks(rows, rows, "label", speaker_hint(corpus_row("/data", **cells))) if "speakers for" in s]
    assert sentence.startswith(
        "43 speakers for 46 clips, such as 'rec00', 'rec01', 'rec02', …: if these are not different people, "
    )
    assert f"; {hint}" in sentence


@pytest.mark.parametrize(
    "columns, text",
    [
        ("colour,size", "2 clips, speakers unknown, 1 label of colour, 2 labels of size, 2.0 s"),
        ("word[]", "2 clips, speakers unknown, 3 labels, 2.0 s"),
        ("", "2 clips, speakers unknown, 3 labels, 2.0 s"),
    ],
)
def test_labels_are_counted_by_column(columns, text):
    rows = [manifest_row("1", labels=["x", "y"]), manifest_row("2", labels=["x", "z"])]
    assert size_lines(rows, columns).splitlines()[0] == text


def test_unknown_speakers_are_counted():
    rows = [*ROWS, manifest_row("x", labels=["a"])]
    assert size_lines(rows, "label").splitlines()[0] == "7 clips, 3 speakers (1 clip of unknown ones), 2 labels, 7.0 s"
    assert size_lines([manifest_row("x", sample_rate=0)], "") == "1 clip, speakers unknown\n  train  1 clip, speakers unknown"


def test_names_that_look_alike():
    rows = [*ROWS, manifest_row("x", speaker="Strain", labels=["B"])]
    assert said(rows) == [
        "the speakers 'Strain', 'strain' look alike, and count as 2", "the labels 'B', 'b' of label look alike, and count as 2",
        "dev lacks 1 of 3 labels of label: 'B'", "test lacks 1 of 3 labels of label: 'B'",
    ]  # fmt: skip


def test_labels_without_usable_recordings():
    assert said(ROWS, listed=[*ROWS, manifest_row("x", labels=["c"])]) == ["1 labels of label have no usable recording: 'c'"]


def test_equal_audio_and_contradicting_labels():
    rows = [*ROWS, ROWS[0] | dict(utterance_id="copy"), ROWS[1] | dict(utterance_id="other", labels=["a"])]
    assert said(rows) == [
        "2 recordings occur more than once, such as 'traina' = 'copy'",
        "1 recording occurs with contradicting labels, such as 'trainb' (b) and 'other' (a)",
    ]
