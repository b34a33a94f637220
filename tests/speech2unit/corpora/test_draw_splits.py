"""Folds and dev splits are drawn by speaker, evenly over labels, and the same every time."""

import random
from collections import Counter, defaultdict

import pytest

from speech2unit.corpora.draw_splits import assign_folds, complete_splits, draw_tenth
from tests.factories import manifest_row

CORPUS = [
    manifest_row(f"{speaker}{label}{i}", speaker=f"s{speaker}", labels=[label])
    for speaker in range(12)
    for label in "abc"
    for i in range(1 + speaker % 3)
]


def by_fold(rows, folds, column):
    """Fold → values of a column in it."""
    values = defaultdict(set)
    for row, fold in zip(rows, folds):
        values[fold].add(row[column] if column != "labels" else row["labels"][0])
    return values


@pytest.mark.parametrize("num_folds", [2, 3, 5, 12])
def test_no_speaker_is_in_two_folds_and_labels_and_sizes_are_even(num_folds):
    folds = assign_folds(CORPUS, num_folds, "label")
    speakers = by_fold(CORPUS, folds, "speaker")
    assert sum(map(len, speakers.values())) == 12 and set(speakers) == set(range(num_folds))
    assert all(labels == {"a", "b", "c"} for labels in by_fold(CORPUS, folds, "labels").values())
    sizes = Counter(folds).values()
    assert max(sizes) - min(sizes) <= 9  # clips of the largest speaker


def test_as_many_folds_as_speakers_leave_one_out():
    assert all(len(names) == 1 for names in by_fold(CORPUS, assign_folds(CORPUS, 12), "speaker").values())


def test_each_fold_has_each_label_although_every_speaker_has_a_single_one():
    rows = [manifest_row(f"{i}", speaker=f"s{i // 2}", labels=["male" if i // 2 % 2 else "female"]) for i in range(40)]
    folds = assign_folds(rows, 5, "gender")
    assert all(labels == {"male", "female"} for labels in by_fold(rows, folds, "labels").values())


def test_folds_do_not_depend_on_the_order_of_the_rows():
    expected = {row["utterance_id"]: fold for row, fold in zip(CORPUS, assign_folds(CORPUS, 4, "label"))}
    shuffled = random.Random(1).sample(CORPUS, len(CORPUS))
    assert {row["utterance_id"]: fold for row, fold in zip(shuffled, assign_folds(shuffled, 4, "label"))} == expected


def test_equal_audio_of_unknown_speakers_stays_together():
    rows = [manifest_row(f"{i}", labels=["a"], audio_hash=f"{i // 2}") for i in range(20)]
    assert all(first == second for first, second in zip(*[iter(assign_folds(rows, 3))] * 2))


def test_dev_is_a_tenth_of_train_by_speaker():
    chosen, unit = draw_tenth(CORPUS, "dev", "label", "here", allow_overlap=[])
    speakers = {row["speaker"] for row in CORPUS if row["utterance_id"] in chosen}
    assert unit == "speaker" and chosen == {row["utterance_id"] for row in CORPUS if row["speaker"] in speakers}
    assert len(chosen) == 6 and len(speakers) == 1  # of 72 clips
    assert draw_tenth(CORPUS, "dev", "label", "here", allow_overlap=["speaker"])[0] == chosen


def test_train_keeps_every_label():
    rows = [*CORPUS, *(manifest_row(f"rare{i}", speaker="alone", labels=["rare"]) for i in range(7))]
    chosen, _ = draw_tenth(rows, "dev", "label", "here", allow_overlap=[])
    assert chosen and not {name for name in chosen if name.startswith("rare")}


def test_a_single_speaker_is_an_error_unless_speakers_may_overlap():
    rows = [row | dict(speaker="anna") for row in CORPUS]
    with pytest.raises(
        ValueError, match="here: where a corpus has no dev split, it is drawn .* got 1 speaker in train; write dev"
    ):
        draw_tenth(rows, "dev", "label", "here", allow_overlap=[])
    chosen, unit = draw_tenth(rows, "dev", "label", "here", allow_overlap=["speaker"])
    assert unit == "clip" and 6 <= len(chosen) <= 9
    assert draw_tenth([row | dict(speaker=None) for row in CORPUS], "dev", "label", "here", allow_overlap=[])[1] == "clip"


def test_a_label_of_one_speaker_alone_cannot_lose_that_speaker():
    rows = [manifest_row(name, speaker=name, labels=[name]) for name in "ab"]
    with pytest.raises(ValueError, match="expected a speaker without whom train keeps every label, got 2 speakers in train"):
        draw_tenth(rows, "dev", "label", "here", allow_overlap=[])


def test_copies_of_a_row_that_becomes_dev_are_dropped():
    copies = [row | dict(utterance_id=f"sp0.9-{row['utterance_id']}", speed=0.9) for row in CORPUS]
    test = [manifest_row("t", split="test", speaker="t", labels=["a"])]
    rows, notes = complete_splits(CORPUS + copies + test, "label", "here", allow_overlap=[])
    dev = {row["utterance_id"] for row in rows if row["split"] == "dev"}
    assert (
        notes == dict(dev="drawn from train by speaker")
        and dev == draw_tenth(CORPUS, "dev", "label", "here", allow_overlap=[])[0]
    )
    assert {row["utterance_id"] for row in copies + CORPUS + test} - {row["utterance_id"] for row in rows} == {
        f"sp0.9-{n}" for n in dev
    }


@pytest.mark.parametrize("splits", [("train", "dev", "test"), ("train",), ("train", "dev"), ("dev", "test")])
def test_nothing_is_drawn_where_something_else_is_missing_or_nothing(splits):
    rows = [row | dict(split=splits[i % len(splits)]) for i, row in enumerate(CORPUS)]
    assert complete_splits(rows, "label", "here", allow_overlap=[]) == (rows, {})
    unlabelled = [row | dict(split=("train", "test")[i % 2], labels=[]) for i, row in enumerate(CORPUS)]
    assert complete_splits(unlabelled, "", "here", allow_overlap=[]) == (unlabelled, {})


@pytest.mark.parametrize("missing", [("test",), ("dev", "test")])
def test_a_test_split_is_drawn_only_where_that_is_wanted(missing):
    rows = [*CORPUS, *([] if "dev" in missing else [manifest_row("d", split="dev", speaker="d", labels=["a"])])]
    drawn, notes = complete_splits(rows, "label", "here", allow_overlap=[], draw_test=True)
    assert notes == dict.fromkeys(missing, "drawn from train by speaker")
    speakers = {split: {row["speaker"] for row in drawn if row["split"] == split} for split in ("train", "dev", "test")}
    assert all(speakers.values()) and sum(map(len, speakers.values())) == len(set.union(*speakers.values()))
    assert len(drawn) == len(rows)
    assert complete_splits(rows, "label", "here", allow_overlap=[]) == (rows, {})
