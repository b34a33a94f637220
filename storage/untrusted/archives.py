"""Extract single files from foreign .tgz archives by their base names; an archive cannot decide where anything is written."""

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from storage.errors import data_error
from storage.files import atomic

MAX_RATIO = 20  # weights hardly compress; an archive that grows more than this is an attack
MIN_LIMIT_BYTES = 2**20  # a small archive of text may grow to this size


def extract_members(archive, targets):
    """Write some regular files of an archive, each atomically.

    Args:
        archive: path of the .tgz file.
        targets: base name of a member → path to write it to.

    Raises:
        ValueError: if a name is missing or occurs twice, if a member is a link or a device or has a path outside of the
            archive's own folder, or if the unpacked archive is more than `MAX_RATIO` times as large.
    """
    try:
        _extract(archive, targets)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise data_error(
            archive,
            "an archive must contain only plain files and folders, and every wanted file exactly once",
            expected=f"{sorted(targets)}, each once",
            got=f"{error}",
            remedy="take the archive from its publisher, see config/checkpoints.tsv",
        ) from error


class _Limited:
    """A stream that can be read up to a limit, because headers alone can claim gigabytes."""

    def __init__(self, stream, bytes_left):
        self.stream = stream
        self.bytes_left = bytes_left

    def read(self, size):
        data = self.stream.read(size)
        self.bytes_left -= len(data)
        if self.bytes_left < 0:
            raise tarfile.TarError(f"an archive that grows more than {MAX_RATIO} times")
        return data


def _extract(archive, targets):
    """Extract as `extract_members` does. Raises `TarError` if a member is forbidden."""
    limit = max(MAX_RATIO * Path(archive).stat().st_size, MIN_LIMIT_BYTES)
    extracted = []
    with gzip.open(archive) as stream, tarfile.open(fileobj=_Limited(stream, limit), mode="r|") as members:
        for member in members:
            path = PurePosixPath(member.name)
            if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
                raise tarfile.TarError(f"'{member.name:.80}', which is not a plain file in the archive's own folder")
            if member.size > limit:
                raise tarfile.TarError(f"'{member.name:.80}' of {member.size} bytes")
            if member.isfile() and path.name in targets:
                extracted.append(path.name)
                with atomic(targets[path.name]) as temporary, open(temporary, "wb") as target:
                    shutil.copyfileobj(members.extractfile(member), target)
    if sorted(extracted) != sorted(targets):
        raise tarfile.TarError(f"{sorted(extracted)}")
