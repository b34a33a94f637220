"""The adapter for corpora with one folder per class."""

from collections import defaultdict

import pytest

from speech2unit.corpora.adapters.folders import read_rows, split_by_hash


def tree(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return str(root)


def test_splits_that_are_folders(tmp_path):
    root = tree(tmp_path, "train/yes/7_01.wav", "validation/no/8_01.wav", "test/no/9_01.flac", "README.md", ".git/config")
    first, *others = read_rows(root=root, speaker_pattern="")
    assert first["path"] == "test/no/9_01.flac"
    assert others[0] == dict(utterance_id="train-yes-7_01", path="train/yes/7_01.wav", split="train", speaker="7", labels=["yes"])
    assert others[1]["split"] == "dev"


def test_splits_by_hash_keep_speakers_apart(tmp_path):
    root = tree(
        tmp_path, *(f"{label}/s{speaker}_{take}.wav" for label in ("yes", "no") for speaker in range(99) for take in "ab")
    )
    rows = read_rows(root=root, speaker_pattern="")
    splits = defaultdict(set)
    for row in rows:
        splits[row["speaker"]].add(row["split"])
    assert len(rows) == 396 and all(len(splits_of_speaker) == 1 for splits_of_speaker in splits.values())
    assert rows == read_rows(root=root, speaker_pattern="")


def test_a_split_by_hash_depends_on_the_speaker_alone():
    splits = [split_by_hash(f"speaker {number}") for number in range(5000)]
    assert [split_by_hash(name) for name in ("ann", "7", "zoe")] == ["train", "test", "train"]
    assert [splits.count(split) / 5000 for split in ("train", "dev", "test")] == pytest.approx([0.8, 0.1, 0.1], abs=0.02)


def test_every_file_of_a_class_counts_except_hidden_names(tmp_path):
    (tmp_path / "yes").mkdir()
    (tmp_path / "yes" / "loop.wav").symlink_to("loop.wav")
    root = tree(tmp_path, "yes/a_1.txt", "yes/more/b_1.wav", "yes/.DS_Store", "_background_noise_/hum.wav")
    rows = read_rows(root=root, speaker_pattern="")
    assert [(row["path"], row["labels"]) for row in rows] == [
        (f"yes/{name}", ["yes"]) for name in ("a_1.txt", "loop.wav", "more/b_1.wav")
    ]


@pytest.mark.parametrize("pattern, speaker", [("", "ann"), ("[0-9]+", "12"), ("_(.*)$", "12-x")])
def test_the_pattern_finds_the_speaker(tmp_path, pattern, speaker):
    assert read_rows(root=tree(tmp_path, "yes/ann_12-x.wav"), speaker_pattern=pattern)[0]["speaker"] == speaker


def test_a_wrong_tree_or_pattern_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="a tree of classes must have folders; expected {train,dev,test}/label/ or label/, got no folders"
    ):
        read_rows(root=str(tmp_path), speaker_pattern="")
    with pytest.raises(
        ValueError, match=r"ann_1.wav: every file name must contain its speaker; expected a match of '\^x', got 'ann_1'"
    ):
        read_rows(root=tree(tmp_path, "yes/ann_1.wav"), speaker_pattern="^x")
    with pytest.raises(ValueError, match=r"nowhere: .* got no such folder; correct `root`"):
        read_rows(root=str(tmp_path / "nowhere"), speaker_pattern="")
    with pytest.raises(ValueError, match=r"`speaker_pattern` is a regular expression; .* got '\[a': unterminated character set"):
        read_rows(root=tree(tmp_path, "yes/ann_1.wav"), speaker_pattern="[a")


def test_splits_and_classes_do_not_mix(tmp_path):
    root = tree(tmp_path, "train/yes/7_01.wav", "test/yes/8_01.wav", "noise/hum_1.wav")
    with pytest.raises(
        ValueError, match=r"split folders and class folders must not be mixed; .* got also \['noise'\]; move these"
    ):
        read_rows(root=root, speaker_pattern="")


def test_a_class_may_be_called_like_a_split(tmp_path):
    rows = read_rows(root=tree(tmp_path, "train/a_1.wav", "dog/b_1.wav"), speaker_pattern="")
    assert [row["labels"] for row in rows] == [["dog"], ["train"]]
