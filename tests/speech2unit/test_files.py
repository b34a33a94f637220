"""Files are whole or absent."""

import hashlib
import os
import stat

import pytest

from speech2unit.files import atomic, read_json, sha256, write_json


def test_the_file_appears_when_the_block_ends_in_folders_that_are_made(tmp_path):
    path = tmp_path / "a/b/file.bin"
    with atomic(path) as temporary:
        temporary.write_bytes(b"whole")
        assert not path.exists() and temporary.parent == path.parent
    assert path.read_bytes() == b"whole" and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt, SystemExit])
def test_after_an_error_nothing_new_is_left(tmp_path, problem):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(problem), atomic(path) as temporary:
        temporary.write_text("half")
        raise problem
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_two_writers_at_once_do_not_meet(tmp_path):
    path = tmp_path / "file"
    with atomic(path) as one, atomic(path) as two:
        assert one != two
        one.write_text("one")
        two.write_text("two")
    assert path.read_text() == "one"  # the last to end


def test_permissions_follow_the_umask(tmp_path):
    mask = os.umask(0o027)
    try:
        write_json(tmp_path / "file.json", {})
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "file.json").stat().st_mode) == 0o640


def test_json_is_readable_and_comes_back(tmp_path):
    value = {"a": [1, 2.5, None, "ä 🎤"], "b": {"c": True}}
    write_json(tmp_path / "file.json", value)
    assert read_json(tmp_path / "file.json") == value
    assert (tmp_path / "file.json").read_text(encoding="utf-8").startswith('{\n  "a": [') and "🎤" in (
        tmp_path / "file.json"
    ).read_text()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [-float("inf")]}])
def test_json_has_neither_nan_nor_infinity(tmp_path, value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file.json", value)
    assert not list(tmp_path.iterdir())


def test_sha256(tmp_path):
    data = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(data)
    assert sha256(tmp_path / "file") == hashlib.sha256(data).hexdigest()
