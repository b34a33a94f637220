"""Atomic file writes: a file is either whole or absent.

A file is written under a temporary name in the target's folder, synced to disk and renamed. If it contains
`CHECKSUM_PLACEHOLDER`, it gets a checksum before the rename: the SHA-256 of the whole file is computed while the placeholder
still has its zeros, and then replaces these zeros. `find_damage` detects any changed bit and any missing byte. This works for
every file format that can contain text.
"""

import contextlib
import errno
import glob
import hashlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from storage.errors import data_error

CHECKSUM_MARK = b"sha256 with zeros here: "
DIGEST_LENGTH = 64  # hexadecimal digits of a SHA-256
CHECKSUM_PLACEHOLDER = CHECKSUM_MARK.decode() + DIGEST_LENGTH * "0"
CHECKSUM_LIST = "SHA256SUMS"  # in a folder; `sha256sum --check` reads it
UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO, errno.EACCES, errno.EPERM}
UNWRITABLE_TEXTS = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS))  # in libraries' errors
BLOCK_BYTES = 1 << 22  # of a file that are read at once; a mapped file would count as memory of the process
FULL_DISK_BYTES = 2**16  # if less is free, any failed write counts as a full disk: libsndfile reports unrelated reasons
RECENT_SECONDS = 2  # a file that changed this recently may change again without a new time stamp

_undamaged = set()  # identities of files whose checksum this process has verified


@contextlib.contextmanager
def atomic(path):
    """Yield a temporary path in the folder of `path`; after success, add the checksum, sync, and rename it to `path`.

    The temporary name is unique, so that a process left over from an earlier run cannot damage this file. After an error the
    temporary file is deleted and the target is as before. Missing folders are created.

    Raises:
        ValueError: if the disk is full or not writable.
    """
    path = Path(path)
    name = None
    try:
        with _report_unwritable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
            os.close(handle)
            yield Path(name)
            _fill_in_checksum(name)
            _sync(name)
            make_readable(name)
            os.replace(name, path)
            _sync(path.parent)
    except BaseException:
        if name:
            Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def atomic_folder(path):
    """Yield a temporary folder next to `path`; after success, it replaces `path` and holds a list of its files' checksums.

    After an error the temporary folder is deleted and the target is as before. The list is the file `SHA256SUMS`.

    Raises:
        ValueError: if the disk is full or not writable.
    """
    path = Path(path)
    temporary = None
    try:
        with _report_unwritable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
            yield temporary
            files = sorted(file for file in temporary.rglob("*") if file.is_file())
            lines = [f"{sha256(file)}  {file.relative_to(temporary)}\n" for file in files]
            (temporary / CHECKSUM_LIST).write_text("".join(lines))
            temporary.chmod(path.parent.stat().st_mode & 0o777)
            shutil.rmtree(path, ignore_errors=True)
            os.replace(temporary, path)
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


def make_readable(path):
    """Give a file the permissions of a new file; temporary files and those of safetensors are for their owner alone."""
    os.chmod(path, 0o666 & ~_umask())


def remove_leftovers(path):
    """Delete temporary files and folders that a killed writer of `path` left.

    Call this only while holding the lock on the job's log (see `workflow/scripts/stage.py`). Without the lock, another process
    may still be writing these files.
    """
    path = Path(path)
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def find_damage(path):
    """Return a text that says how a file with a checksum is damaged; empty if every byte is as it was written.

    The whole file is read. A process reads an undamaged file only once, unless the file changes.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    status = os.stat(path)
    identity = (status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns)
    if identity in _undamaged:
        return ""
    if not status.st_size:
        return "an empty file"
    computed, stored, _ = _checksum(path)
    if stored is None:
        return "no checksum: the file is cut off, or another program or an earlier version wrote it"
    if computed != stored:
        return "another checksum than it was written with"
    if time.time() - status.st_ctime > RECENT_SECONDS:
        _undamaged.add(identity)
    return ""


def checksum_list(path):
    """Return the list of checksums in a folder that `atomic_folder` made, which stands for all its files; any other path as it is."""
    path = Path(path)
    return path / CHECKSUM_LIST if (path / CHECKSUM_LIST).is_file() else path


def damaged_files(folder):
    """Return the names of the files that are missing or changed in a folder made by `atomic_folder`."""
    lines = [line.split("  ", 1) for line in (Path(folder) / CHECKSUM_LIST).read_text().splitlines()]
    paths = {name: Path(folder) / name for _, name in lines}
    return [name for digest, name in lines if not paths[name].is_file() or sha256(paths[name]) != digest]


def write_json(path, value):
    """Write `value` as indented JSON, atomically.

    Args:
        path: file to write.
        value: dict, list, text, number, bool or None, nested in any way.

    Raises:
        ValueError: if `value` contains NaN or infinity, which JSON does not have.
    """
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path):
    """Return the value in a JSON file."""
    return json.loads(Path(path).read_text())


def sha256(path):
    """Return the hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _report_unwritable(path):
    """Turn any library's error about a full or write-protected disk into one message that names the file."""
    try:
        yield
    except Exception as error:
        is_unwritable = getattr(error, "errno", None) in UNWRITABLE or any(text in str(error) for text in UNWRITABLE_TEXTS)
        is_full = path.parent.is_dir() and shutil.disk_usage(path.parent).free < FULL_DISK_BYTES
        if isinstance(error, ValueError) or not (is_unwritable or is_full):
            raise
        raise data_error(
            path,
            "the file must fit on a writable disk",
            expected="free space and permission to write",
            got=f"{error}",
            remedy="make room or grant permission, then run the same command again",
        ) from error


def _fill_in_checksum(path):
    """If the file contains `CHECKSUM_PLACEHOLDER`, replace its zeros with the checksum."""
    if not os.path.getsize(path):
        return
    computed, stored, position = _checksum(path)
    if stored == DIGEST_LENGTH * "0":
        with open(path, "r+b") as file:
            file.seek(position)
            file.write(computed.encode())


def _checksum(path):
    """Return a file's SHA-256 with zeros in place of its checksum, the checksum stored in it, and where that starts, in bytes.

    All three are None if the file contains no `CHECKSUM_MARK`. The file must not be empty.
    """
    with open(path, "rb") as file:
        mark = _find_last(file, CHECKSUM_MARK)
        if mark < 0:
            return None, None, None
        start = mark + len(CHECKSUM_MARK)
        digest = hashlib.sha256()
        _hash_bytes(digest, file, 0, start)
        stored = file.read(DIGEST_LENGTH)
        digest.update(DIGEST_LENGTH * b"0")
        _hash_bytes(digest, file, start + len(stored), os.fstat(file.fileno()).st_size)
        return digest.hexdigest(), stored.decode("latin1"), start


def _find_last(file, text):
    """Return the position of the last `text` in a binary file, -1 if there is none; it is read in blocks, from its end."""
    end = os.fstat(file.fileno()).st_size
    while end > 0:
        start = max(end - BLOCK_BYTES, 0)
        file.seek(start)
        found = file.read(end - start + len(text) - 1).rfind(text)
        if found >= 0:
            return start + found
        end = start
    return -1


def _hash_bytes(digest, file, start, end):
    """Update a digest with the bytes of a binary file from `start` to `end`, in blocks, after which the file is at `end`."""
    file.seek(start)
    for position in range(start, end, BLOCK_BYTES):
        digest.update(file.read(min(BLOCK_BYTES, end - position)))


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
