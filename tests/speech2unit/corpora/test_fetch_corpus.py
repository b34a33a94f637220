"""A corpus that was fetched is the same tree, whole or not there."""

import pytest

from speech2unit.corpora.fetch_corpus import fetch_corpus


def test_the_tree_is_the_same(tmp_path):
    (tmp_path / "source/audio").mkdir(parents=True)
    (tmp_path / "source/metadata.csv").write_text("path\n")
    (tmp_path / "source/audio/a.wav").write_bytes(b"RIFF")
    fetch_corpus(source=tmp_path / "source", root=tmp_path / "root")
    assert (tmp_path / "root/metadata.csv").read_text() == "path\n"
    assert (tmp_path / "root/audio/a.wav").read_bytes() == b"RIFF"


def test_nothing_is_left_where_it_breaks_off(tmp_path):
    with pytest.raises(FileNotFoundError):
        fetch_corpus(source=tmp_path / "none", root=tmp_path / "root")
    assert list(tmp_path.iterdir()) == []
