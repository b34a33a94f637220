"""Folders are searched as `glob` does, but links are followed, hidden names left out at any depth, and what is left out is counted."""

from pathlib import Path

import pytest

from speech2unit.corpora.file_trees import matching, recordings_below, said

FILES = (
    "a/x/1.wav",
    "a/x/2.WAV",
    "a/3.wav",
    "b/y/z/4.wav",
    "b/y/5.flac",
    "c.wav",
    "b/read.txt",
    "v0.1/yes/6.wav",
    "v0.1/_noise_/7.wav",
)


@pytest.fixture
def tree(tmp_path):
    for name in (*FILES, "a/.trash/x/8.wav", "b/y/.9.wav", "a/x/Thumbs.db"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(root, paths):
    return [path.relative_to(root).as_posix() for path in paths]


@pytest.mark.parametrize(
    "pattern", ["*/*/*.wav", "**/*.wav", "*", "*/*", "v0.?", "v0.1/*/*.wav", "**/y/*", "*/**/*.wav", "**/x", "a/**/*.wav"]
)
def test_patterns_match_what_glob_matches(tree, pattern):
    def is_hidden(path):
        return any(part.startswith(".") or part == "Thumbs.db" for part in path.relative_to(tree).parts)

    expected = sorted(path for path in set(tree.glob(pattern)) if not is_hidden(path))
    assert [name for name in names(tree, matching(tree, pattern)) if not name.endswith("WAV")] == [
        name for name in names(tree, expected) if not name.endswith("WAV")
    ]


def test_capitals_of_an_extension_do_not_matter_and_the_rest_is_counted(tree, capsys):
    with said(tree):
        assert names(tree, matching(tree, "*/*/*.wav")) == ["a/x/1.wav", "a/x/2.WAV", "v0.1/_noise_/7.wav", "v0.1/yes/6.wav"]
    out = capsys.readouterr().out
    assert f"{tree}: 3 hidden or system names left out: a/.trash, a/x/Thumbs.db, b/y/.9.wav" in out
    assert f"{tree}: 4 recordings outside of the layout of the corpus left out: a/3.wav, b/y/5.flac, b/y/z, …" in out


def test_links_are_followed_and_circles_are_counted(tree, tmp_path_factory, capsys):
    disk = tmp_path_factory.mktemp("disk")
    (disk / "10.wav").touch()
    (disk / "back").symlink_to(tree)
    (tree / "a/linked").symlink_to(disk)
    (tree / "broken.wav").symlink_to("nowhere")
    (tree / "circle.wav").symlink_to("circle.wav")
    with said(tree):
        found = names(tree, matching(tree, "**/*.wav"))
    assert {"a/linked/10.wav", "broken.wav", "circle.wav"} <= set(found) and not any("back" in name for name in found)
    assert "1 links back to a folder that they are in with 0 files left out: a/linked/back" in capsys.readouterr().out
    assert set(names(tree, recordings_below(tree))) >= {"a/linked/10.wav", "b/read.txt", "c.wav"}


def test_hidden_names_may_be_others(tree):
    assert not any("_noise_" in name for name in names(tree, recordings_below(tree, (".", "_"))))


def test_a_clean_tree_says_nothing(tmp_path, capsys):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.wav").touch()
    with said(tmp_path):
        assert matching(tmp_path, "*/*.wav") == [Path(tmp_path / "a/1.wav")] == list(recordings_below(tmp_path))
    assert capsys.readouterr().out == ""
