"""Single files out of foreign .tgz archives, by their base names: no archive decides where anything is written."""

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from storage.errors import data_error
from storage.files import atomic

MAX_RATIO = 20  # weights hardly compress; an archive that grows more than this is a bomb
MIN_LIMIT_BYTES = 2**20  # small archives of text may grow to this


class _Limited:
    """A stream of which no more than `left` bytes may be read: headers alone can claim gigabytes."""

    def __init__(self, stream, left):
        self.stream, self.left = stream, left

    def read(self, size):
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise tarfile.TarError(f"an archive that grows more than {MAX_RATIO} times")
        return data


def extract_members(archive, targets):
    """Write the regular files of an archive whose base names are keys of `targets` to its values, each whole or not at all.

    Raises `ValueError` for members outside of the archive's own folder, for links and devices, for an archive that grows
    more than `MAX_RATIO` times, and where a name is missing or stands twice.
    """
    try:
        _extract(archive, targets)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise data_error(
            archive,
            "of an archive some plain files are taken",
            expected=f"{sorted(targets)}, each once",
            got=f"{error}",
            remedy="take the archive from its publisher, see config/checkpoints.tsv",
        ) from error


def _extract(archive, targets):
    limit, found = max(MAX_RATIO * Path(archive).stat().st_size, MIN_LIMIT_BYTES), []
    with gzip.open(archive) as stream, tarfile.open(fileobj=_Limited(stream, limit), mode="r|") as members:
        for member in members:
            path = PurePosixPath(member.name)
            if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
                raise tarfile.TarError(f"'{member.name:.80}', which is no plain file in the archive's own folder")
            if member.size > limit:
                raise tarfile.TarError(f"'{member.name:.80}' of {member.size} bytes")
            if member.isfile() and path.name in targets:
                found.append(path.name)
                with atomic(targets[path.name]) as temporary, open(temporary, "wb") as target:
                    shutil.copyfileobj(members.extractfile(member), target)
    if sorted(found) != sorted(targets):
        raise tarfile.TarError(f"{sorted(found)}")
