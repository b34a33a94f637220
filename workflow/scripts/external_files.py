"""Files outside of results/: a job depends on their content, not on where they are or on their times."""

import functools
import hashlib
import os
from pathlib import Path

from storage import provenance
from storage.files import sha256


class Location(str):
    """A path on this machine that Snakemake does not compare.

    Snakemake reruns a job if the `repr` of one of its params has changed. That of a location is always the same. A stage gets it as
    a plain string.
    """

    def __repr__(self):
        return "Location()"

    def __reduce__(self):
        return str, (str(self),)


def is_made_here(path):
    """Return whether a path is in this project's folder of results, so that a rule makes it."""
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(provenance.RESULTS))


def contents(paths, digest):
    """Return a dict from the location of each path to the digest of what is there; `digest` is one of the two below."""
    return {Location(path): digest(path) for path in paths}


@functools.cache
def file_digest(path):
    """Return the SHA-256 of a file, or `-` if it cannot be read. Its stage says why."""
    try:
        return sha256(path)
    except OSError:
        return "-"


@functools.cache
def folder_digest(path):
    """Return a digest of the names and sizes of the recordings in a folder of classes, or `-` if it cannot be read."""
    from speech2unit.corpora.adapters.folders import HIDDEN  # here, because most plans need neither
    from speech2unit.corpora.file_trees import recordings_below, said

    digest = hashlib.sha256()
    try:
        with said(path, say=lambda line: None):  # make_manifest says what is left out
            for file in recordings_below(path, HIDDEN):
                digest.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode(errors="surrogateescape"))
    except (OSError, ValueError):
        return "-"
    return digest.hexdigest()
