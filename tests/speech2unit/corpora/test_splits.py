"""Splits: their names, how speakers are assigned to them, and which properties they must have."""

import pytest

from speech2unit.corpora.splits import check_splits, split_speakers_by_label, standard_split


def rows(*pairs):
    return [dict(utterance_id=f"u{i}", split=split, labels=labels) for i, (split, labels) in enumerate(pairs)]


@pytest.mark.parametrize(
    "name, expected", [("train", "train"), ("Valid", "dev"), ("validation", "dev"), ("TEST", "test"), ("testing", "test")]
)
def test_names(name, expected):
    assert standard_split(name, "here") == expected


@pytest.mark.parametrize("name", ["tran", "", None, 3])
def test_an_unknown_name(name):
    with pytest.raises(ValueError, match=rf"^here: a split has a known name; expected one of \['.*\], got '{name}'; .*rename"):
        standard_split(name, "here")


@pytest.mark.parametrize("name", ["eval", "Evaluation"])
def test_names_that_mean_dev_or_test_are_left_to_the_user(name):
    with pytest.raises(ValueError, match=f"got '{name}'; write test if these rows measure the result, or dev if they choose"):
        standard_split(name, "here")


def test_all_splits_with_known_labels_pass():
    check_splits(rows(("train", ["a", "x"]), ("train", ["b", "y"]), ("dev", ["b", "x"]), ("test", ["a", "y"])), "here")


def test_without_labels_train_is_enough():
    check_splits(rows(("train", []), ("train", [])), "here")
    with pytest.raises(ValueError, match="expected usable rows in train, got train 0, dev 1, test 0, of unknown speakers"):
        check_splits(rows(("dev", [])), "here")


@pytest.mark.parametrize("missing", ["train", "dev", "test"])
def test_an_empty_split(missing):
    with pytest.raises(
        ValueError,
        match=f"here: no split may be empty, and {missing} is; expected usable rows in train and test; dev is drawn from train, got",
    ):
        check_splits(rows(*((split, ["a"]) for split in ("train", "dev", "test") if split != missing)), "here")


def test_labels_are_known_by_column():
    with pytest.raises(
        ValueError, match=r"got 1 not in train: 'a' of label column 2 \(in u2\); put a speaker with this label into train"
    ):
        check_splits(rows(("train", ["a", "x"]), ("dev", ["a", "x"]), ("test", ["a", "a"])), "here")


def test_a_label_of_a_sequence_may_be_at_any_position():
    check_splits(rows(("train", ["a", "b"]), ("dev", ["b"]), ("test", ["b", "a", "a"])), "here", "characters[]")
    with pytest.raises(ValueError, match=r"got 1 not in train: 'c' \(in u2\); "):
        check_splits(rows(("train", ["a", "b"]), ("dev", ["b"]), ("test", ["c"])), "here", "characters[]")


@pytest.mark.parametrize("number, expected", [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (1, 1, 1)), (10, (8, 1, 1)), (40, (32, 4, 4))])
def test_every_label_has_the_splits_that_its_speakers_allow(number, expected):
    splits = split_speakers_by_label(dict(few=["ann"], many=[f"speaker {i}" for i in range(number)]))
    many = [splits[name] for name in splits if name != "ann"]
    assert tuple(many.count(split) for split in ("train", "dev", "test")) == expected and splits["ann"] == "train"
    assert splits == split_speakers_by_label(dict(many=[f"speaker {i}" for i in reversed(range(number))], few=["ann"]))
