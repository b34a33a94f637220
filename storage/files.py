"""Files that are either whole or absent: written under a temporary name beside the target, synced, renamed.

A file whose text holds `CHECKSUM_PLACEHOLDER` gets a seal: the SHA-256 of all its bytes, in place of the zeros and computed with them, so
that any flipped bit shows, whatever the format.
"""

import contextlib
import errno
import glob
import hashlib
import json
import mmap
import os
import shutil
import tempfile
from pathlib import Path

from storage.errors import data_error

CHECKSUM_MARK = b"sha256 with zeros here: "
CHECKSUM_PLACEHOLDER = CHECKSUM_MARK.decode() + 64 * "0"
SUMS = "SHA256SUMS"  # what `sha256sum --check` reads
UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO, errno.EACCES, errno.EPERM}
UNWRITABLE_TEXTS = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS))  # of libraries
LEAST_BYTES = 2**16  # free on a disk below which any failure is taken for a full disk: libsndfile gives odd reasons


@contextlib.contextmanager
def atomic(path):
    """Yield a temporary path in the folder of `path`; on success it is sealed, synced and renamed to `path`.

    The name is unique, so an orphaned writer of an earlier run can never tear this one's file.
    After an error nothing is left, neither the temporary file nor the target. Raises `ValueError` where the disk is full.
    """
    path, name = Path(path), None
    try:
        with _room_for(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
            os.close(handle)
            yield Path(name)
            _fill_in_checksum(name)
            _sync(name)
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, path)
            _sync(path.parent)
    except BaseException:
        if name:
            Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def whole_folder(path):
    """Yield a temporary folder beside `path` that takes its name, and its place, when all went well; else it vanishes.

    It gets a file `SHA256SUMS` of what is in it.
    """
    path, temporary = Path(path), None
    try:
        with _room_for(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
            yield temporary
            lines = [
                f"{sha256(file)}  {file.relative_to(temporary)}\n" for file in sorted(temporary.rglob("*")) if file.is_file()
            ]
            (temporary / SUMS).write_text("".join(lines))
            temporary.chmod(path.parent.stat().st_mode & 0o777)
            shutil.rmtree(path, ignore_errors=True)
            os.replace(temporary, path)
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(path):
    """Remove what a killed writer of `path` left beside it. Only for whoever holds the lock on the job that makes it."""
    path = Path(path)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def find_damage(path):
    """What is wrong with a sealed file, as text; empty where every byte is as it was written."""
    try:
        found, written, _ = _digests(path)
    except ValueError:
        return "an empty file"
    if found is None:
        return "no checksum: cut off, or of an earlier version"
    return "" if found == written else "another checksum than it was written with"


def damaged_files(folder):
    """Names of the files below a folder that `whole_folder` made which are missing, or other than they were."""
    lines = [line.split("  ", 1) for line in (Path(folder) / SUMS).read_text().splitlines()]
    return [name for digest, name in lines if not (Path(folder) / name).is_file() or sha256(Path(folder) / name) != digest]


def write_json(path, value):
    """Write `value` as readable JSON; NaN and infinity are refused (JSON has neither)."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path):
    """The value of a JSON file."""
    return json.loads(Path(path).read_text())


def sha256(path):
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _room_for(path):
    """Whatever a library says about a disk that is full, or may not be written, becomes a sentence that names the file."""
    try:
        yield
    except Exception as error:
        refused = getattr(error, "errno", None) in UNWRITABLE or any(text in str(error) for text in UNWRITABLE_TEXTS)
        full = path.parent.is_dir() and shutil.disk_usage(path.parent).free < LEAST_BYTES
        if isinstance(error, ValueError) or not (refused or full):
            raise
        raise data_error(
            path,
            "the disk must take the file",
            expected="space and permission to write",
            got=f"{error}",
            remedy="make room, then the same command again",
        ) from error


def _fill_in_checksum(path):
    """Fill in the zeros of `CHECKSUM_PLACEHOLDER`, where the file has it."""
    with contextlib.suppress(ValueError):  # an empty file
        found, written, at = _digests(path)
        if found and written == CHECKSUM_PLACEHOLDER[-64:]:
            with open(path, "r+b") as file:
                file.seek(at)
                file.write(found.encode())


def _digests(path):
    """SHA-256 of a file with zeros in place of its seal, the seal, and where it is; of no byte: `ValueError`."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
        at = data.rfind(CHECKSUM_MARK) + len(CHECKSUM_MARK)
        if at < len(CHECKSUM_MARK):
            return None, None, None
        digest = hashlib.sha256(view[:at])
        digest.update(64 * b"0")
        digest.update(view[at + 64 :])
        return digest.hexdigest(), data[at : at + 64].decode("latin1"), at


def _sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
