"""The adapter for corpora with one folder per class."""

import os
import unicodedata
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
    root = tree(tmp_path, "yes/a_1.txt", "yes/more/b_1.wav", "yes/.DS_Store", "_background_noise_/hum.wav", "README.md")
    rows = read_rows(root=root, speaker_pattern="")
    assert [(row["path"], row["labels"]) for row in rows] == [
        (f"yes/{name}", ["yes"]) for name in ("a_1.txt", "loop.wav", "more/b_1.wav")
    ]


@pytest.mark.parametrize("pattern, speaker", [("", "ann"), ("[0-9]+", "12"), ("_(.*)$", "12-x")])
def test_the_pattern_finds_the_speaker(tmp_path, pattern, speaker):
    assert read_rows(root=tree(tmp_path, "yes/ann_12-x.wav"), speaker_pattern=pattern)[0]["speaker"] == speaker


def test_a_wrong_tree_or_pattern_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="a tree of classes must have folders; expected {train,dev,test}/label/ or label/, got an empty folder"
    ):
        read_rows(root=str(tmp_path), speaker_pattern="")
    with pytest.raises(ValueError, match="a corpus must have recordings; .* got empty folders: dev, no; put the recordings into"):
        read_rows(root=tree(tmp_path / "classes", "dev/.keep", "no/.keep"), speaker_pattern="")
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


def test_hidden_names_are_left_out_at_any_depth_and_counted(tmp_path, capsys):
    hidden = ("train/yes/.ipynb_checkpoints/a_1.wav", "train/yes/.Trash-1000/files/b_9.wav", "train/no/_rejected/a_2.wav")
    system = ("train/yes/Thumbs.db", "train/no/more/desktop.ini", "train/@eaDir/yes/x_1.wav", "lost+found/x_1.wav")
    clips = ("train/no/a_1.wav", "train/yes/a_1.wav", "train/yes/more/deep/b_1.wav")
    rows = read_rows(
        root=tree(tmp_path, *hidden, *system, *clips, "README.md", "train/notes.txt", "dev/yes/c_1.wav"), speaker_pattern=""
    )
    assert [row["path"] for row in rows] == ["dev/yes/c_1.wav", *clips]
    out = capsys.readouterr().out
    assert f"{tmp_path}: 7 hidden or system names left out: " in out
    assert f"{tmp_path}: 2 files outside of the folders of classes left out: README.md, train/notes.txt" in out


def test_empty_classes_are_said(tmp_path, capsys):
    root = tree(tmp_path, "train/yes/a_1.wav", "train/no/.keep", "train/maybe/.keep")
    assert len(read_rows(root=root, speaker_pattern="")) == 1
    assert f"{tmp_path}: 2 folders of classes have no recordings: 'train/maybe', 'train/no'" in capsys.readouterr().out


def test_files_that_go_with_a_recording_are_left_out_and_counted(tmp_path, capsys):
    beside = ("yes/a_1.txt", "yes/a_1.TextGrid", "yes/a_1.original.txt", "yes/a_1.wav.json", "yes/a_1.v2.lab")
    root = tree(tmp_path, "yes/a_1.wav", "yes/a_1.v2.flac", *beside, "yes/b_1.txt", "no/a_1.txt")
    assert [row["path"] for row in read_rows(root=root, speaker_pattern="")] == [
        "no/a_1.txt", "yes/a_1.v2.flac", "yes/a_1.wav", "yes/b_1.txt",
    ]  # fmt: skip
    assert f"{tmp_path}: 5 files that go with a recording of the same name left out: " in capsys.readouterr().out


def test_links_are_followed_but_not_in_circles(tmp_path, capsys):
    tree(tmp_path, "disk2/more/e_1.wav")
    root = tmp_path / "corpus"
    tree(root, "yes/a_1.wav", "no/b_1.wav")
    (root / "yes/batch2").symlink_to(tmp_path / "disk2")
    (root / "maybe").symlink_to(tmp_path / "disk2")
    (root / "no/c_1.wav").symlink_to(tmp_path / "disk2/more/e_1.wav")
    (tmp_path / "disk2/back").symlink_to(root / "yes")
    (root / "no/self").symlink_to(".")
    rows = read_rows(root=str(root), speaker_pattern="")
    assert [row["path"] for row in rows if "back" not in row["path"]] == [
        "maybe/more/e_1.wav", "no/b_1.wav", "no/c_1.wav", "yes/a_1.wav", "yes/batch2/more/e_1.wav",
    ]  # fmt: skip
    assert len(rows) < 10 and "links back to a folder that they are in" in capsys.readouterr().out


@pytest.mark.skipif(os.getuid() == 0, reason="root may read every folder")
def test_a_folder_that_is_closed_is_an_error(tmp_path):
    root = tree(tmp_path, "yes/a_1.wav", "no/batch3/b_1.wav")
    (tmp_path / "no/batch3").chmod(0)
    with pytest.raises(ValueError, match="no/batch3: the folders of a corpus must be readable; .* type: chmod -R u.rX"):
        read_rows(root=root, speaker_pattern="")
    (tmp_path / "no/batch3").chmod(0o755)


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path, monkeypatch):
    root = tree(tmp_path, "yes/a_1.wav", "no/batch3/b_1.wav")
    list_names = os.scandir

    def scandir(folder):
        if str(folder).endswith("batch3"):
            raise PermissionError(13, "Permission denied", str(folder))
        return list_names(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(
        ValueError, match="no/batch3: the folders of a corpus must be readable; .* got Permission denied; type: chmod"
    ):
        read_rows(root=root, speaker_pattern="")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_of_folders_and_files_are_normalized(tmp_path, form):
    names = [
        unicodedata.normalize(form, name)
        for name in ("Train /caf\u00e9\u00a0/Zo\u00eb_1.wav", "test/th\u00e9/b_1.wav", "dev/th\u00e9/c_1.wav")
    ]
    row = read_rows(root=tree(tmp_path, *names), speaker_pattern="")[0]
    assert (row["split"], row["speaker"], row["labels"]) == ("train", "Zo\u00eb", ["caf\u00e9"])
    assert row["path"] == names[0] and unicodedata.is_normalized("NFC", row["utterance_id"])


@pytest.mark.parametrize("pattern, got", [
    (r"spk(\d+)|noise", "which matches, but the first group of the pattern is empty"), ("[0-9]*", "where the match is empty"),
])  # fmt: skip
def test_a_pattern_that_finds_no_speaker_is_refused(tmp_path, pattern, got):
    root = tree(tmp_path, "yes/spk1.wav", "yes/noise.wav")
    with pytest.raises(ValueError, match=f"noise.wav: every file name must contain its speaker; .* got 'noise', {got}.*; rename"):
        read_rows(root=root, speaker_pattern=pattern)
