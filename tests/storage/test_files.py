"""Atomic files: a file is whole or absent, and its checksum shows every change."""

import argparse
import hashlib
import os
import shutil
import stat

import pytest

from storage import files
from storage.files import (
    CHECKSUM_PLACEHOLDER,
    atomic,
    atomic_folder,
    damaged_files,
    find_damage,
    read_json,
    remove_leftovers,
    sha256,
    write_json,
)


def test_the_file_appears_when_the_block_ends_and_its_folder_is_created(tmp_path):
    path = tmp_path / "a/b/file.bin"
    with atomic(path) as temporary:
        temporary.write_bytes(b"whole")
        assert not path.exists() and temporary.parent == path.parent
    assert path.read_bytes() == b"whole" and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_old_file_alone(tmp_path, problem):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(problem), atomic(path) as temporary:
        temporary.write_text("half")
        raise problem
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_two_writers_at_once_do_not_interfere(tmp_path):
    path = tmp_path / "file"
    with atomic(path) as first, atomic(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the last to finish


def test_permissions_follow_the_umask(tmp_path):
    mask = os.umask(0o027)
    try:
        write_json(tmp_path / "file.json", {})
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "file.json").stat().st_mode) == 0o640


def test_json_is_indented_and_reads_back(tmp_path):
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


def test_the_checksum_covers_every_bit_and_every_length(tmp_path):
    path = tmp_path / "file.json"
    write_json(path, dict(a=[1, 2], checksum=CHECKSUM_PLACEHOLDER, b=3))
    data = path.read_bytes()
    assert find_damage(path) == "" and CHECKSUM_PLACEHOLDER not in data.decode()
    for bit in range(0, 8 * len(data), 7):
        wrong = bytearray(data)
        wrong[bit // 8] ^= 1 << bit % 8
        path.write_bytes(wrong)
        assert find_damage(path), bit
    for length in range(0, len(data), 5):
        path.write_bytes(data[:length])
        assert find_damage(path), length


@pytest.mark.parametrize("length_before", range(0, 30, 3))
def test_a_file_is_read_in_blocks_of_any_size(tmp_path, monkeypatch, length_before):
    monkeypatch.setattr(files, "BLOCK_BYTES", 10)
    path = tmp_path / "file"
    content = b"x" * length_before + CHECKSUM_PLACEHOLDER.encode() + b"y" * 25
    with atomic(path) as temporary:
        temporary.write_bytes(content)
    assert path.read_bytes().count(hashlib.sha256(content).hexdigest().encode()) == 1 and not find_damage(path)
    path.write_bytes(path.read_bytes()[:-1] + b"z")
    assert find_damage(path)


def test_an_undamaged_file_is_read_once_and_again_after_every_change(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    write_json(path, dict(checksum=CHECKSUM_PLACEHOLDER))
    reads = []
    compute = files._checksum
    monkeypatch.setattr(files, "_checksum", lambda path: reads.append(path) or compute(path))
    assert [find_damage(path), find_damage(path)] == ["", ""] and len(reads) == 2  # changed too recently to remember
    monkeypatch.setattr(files, "RECENT_SECONDS", -1)
    assert [find_damage(path), find_damage(path), find_damage(path)] == ["", "", ""] and len(reads) == 3
    damaged = path.read_bytes().replace(b"{", b"[")
    changed_at = path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == changed_at:  # time stamps advance in steps of some milliseconds
        path.write_bytes(damaged)
    os.utime(path, ns=(0, 0))
    assert find_damage(path) == "another checksum than it was written with" and len(reads) == 4


def test_a_folder_lists_the_checksums_of_its_files(tmp_path):
    with atomic_folder(tmp_path / "folder") as folder:
        (folder / "deep").mkdir()
        for name in ("a", "deep/b  c", "d"):
            (folder / name).write_text(name)
    assert damaged_files(tmp_path / "folder") == []
    (tmp_path / "folder/deep/b  c").write_text("other")
    (tmp_path / "folder/d").unlink()
    assert damaged_files(tmp_path / "folder") == ["d", "deep/b  c"]


def test_only_the_leftovers_of_this_file_are_removed(tmp_path):
    for name in (".f[1].txt.abc.tmp", ".g.txt.abc.tmp", "f[1].txt"):
        (tmp_path / name).write_text("half")
    (tmp_path / ".f[1].txt.def.tmp").mkdir()
    remove_leftovers(tmp_path / "f[1].txt")
    assert {path.name for path in tmp_path.iterdir()} == {".g.txt.abc.tmp", "f[1].txt"}


@pytest.mark.parametrize(
    "problem",
    [
        OSError(28, "No space left on device"),
        OSError(30, "Read-only file system"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
)
@pytest.mark.parametrize("writing", [atomic, atomic_folder])
def test_the_error_about_a_full_disk_names_the_file(tmp_path, writing, problem, monkeypatch):
    text = r"file: the file must fit on a writable disk; expected free space and .*; make room"
    with pytest.raises(ValueError, match=text) as caught, writing(tmp_path / "file"):
        raise problem
    assert str(problem) in str(caught.value) and not list(tmp_path.iterdir())
    with pytest.raises(RuntimeError, match="^something else$"), writing(tmp_path / "file"):
        raise RuntimeError("something else")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: argparse.Namespace(free=0))
    with pytest.raises(ValueError, match="must fit on a writable disk"), writing(tmp_path / "file"):
        raise RuntimeError("something else")
