"""What is odd about a manifest though it is allowed is said."""

import pytest

from speech2unit.corpora.remarks import remarks, speakers_and_labels
from tests.factories import manifest_row

ROWS = [
    manifest_row(f"{split}{label}", split=split, speaker=f"s{split}", labels=[label])
    for split in ("train", "dev", "test")
    for label in "ab"
]


def said(rows, columns="label", listed=None):
    return list(remarks(listed or rows, rows, columns))


def test_a_clean_corpus_has_no_remarks():
    assert said(ROWS) == [] and speakers_and_labels(ROWS, "label") == "3 speakers, 2 labels"


@pytest.mark.parametrize(
    "columns, text",
    [
        ("colour,size", "speakers unknown, 1 labels of colour, 2 labels of size"),
        ("word[]", "speakers unknown, 3 labels"),
        ("", "speakers unknown, 3 labels"),
    ],
)
def test_labels_are_counted_by_column(columns, text):
    rows = [manifest_row("1", labels=["x", "y"]), manifest_row("2", labels=["x", "z"])]
    assert speakers_and_labels(rows, columns) == text


def test_unknown_speakers_are_counted():
    assert (
        speakers_and_labels([*ROWS, manifest_row("x", labels=["a"])], "label") == "3 speakers (1 clips of unknown ones), 2 labels"
    )
    assert speakers_and_labels([manifest_row("x")], "") == "speakers unknown"


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
        "1 recordings occur with contradicting labels, such as 'trainb' (b) and 'other' (a)",
    ]
