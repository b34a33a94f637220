"""Extract single files from archives. Refused archives are in test_hostile_files.py."""

import io
import tarfile

import pytest

from storage.untrusted.archives import extract_members


def archive(path, members):
    """Write an archive of members name → bytes."""
    with tarfile.open(path, "w:gz") as stream:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            stream.addfile(member, io.BytesIO(data))
    return path


def test_only_the_files_with_the_given_base_names_are_written(tmp_path):
    path = archive(tmp_path / "lm.tgz", {"./lm/readme": b"r", "./lm/dict.txt": b"0 1\n", "checkpoint_best.pt": b"weights"})
    extract_members(path, {"dict.txt": tmp_path / "out/d", "checkpoint_best.pt": tmp_path / "out/c"})
    assert (tmp_path / "out/d").read_bytes() == b"0 1\n" and (tmp_path / "out/c").read_bytes() == b"weights"
    assert len(list(tmp_path.rglob("*"))) == 4


def test_a_missing_file_is_named(tmp_path):
    path = archive(tmp_path / "lm.tgz", {"dict.txt": b"0 1\n"})
    with pytest.raises(
        ValueError, match=r"lm.tgz: .* expected \['checkpoint_best.pt', 'dict.txt'\], each once, got \['dict.txt'\]"
    ):
        extract_members(path, {"dict.txt": tmp_path / "d", "checkpoint_best.pt": tmp_path / "c"})


@pytest.mark.parametrize("size", [0, 5, 40, -20])
def test_an_archive_that_was_cut_is_refused(tmp_path, size):
    path = archive(tmp_path / "lm.tgz", {"dict.txt": b"0 1\n" * 5000})
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match="lm.tgz: an archive must contain only plain files"):
        extract_members(path, {"dict.txt": tmp_path / "d"})
    assert not (tmp_path / "d").exists() and not list(tmp_path.glob(".*"))


def test_other_files_are_refused(tmp_path):
    (tmp_path / "lm.tgz").write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match="lm.tgz: .* take the archive from its publisher"):
        extract_members(tmp_path / "lm.tgz", {"dict.txt": tmp_path / "d"})
