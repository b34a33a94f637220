"""Published files, fetched so that an interruption costs little and nothing wrong is kept.

What has come lies in `.{file}.part` until it is whole and has the right hash; then it takes its name. Requests by hand:
pooch checks and renames alike, but cannot go on where it stopped.
"""

import fcntl
import os
import time
from pathlib import Path

import requests

from storage import files
from storage.errors import data_error

CHUNK_BYTES = 2**16  # what a broken connection can cost
PAGES = (b"<!doctype", b"<html", b"<?xml")  # what begins a page that says why there is no file
FINAL = range(400, 500)  # statuses that asking again does not change …
PASSING = (408, 425, 429)  # … but for these


class Unusable(requests.RequestException):
    """What came is not the file."""


def fetch(url, part, timeout_seconds):
    """Append what is still missing of `url` to `part`, a file open for appending. Raises `requests.RequestException`."""
    position = part.seek(0, os.SEEK_END)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={position}-"} if position else {})
    with requests.get(url, headers=headers, stream=True, timeout=timeout_seconds) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing was missing
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            part.truncate(0)
        for chunk in response.iter_content(CHUNK_BYTES):
            part.write(chunk)


def check(part, sha256):
    """Empties `part` and raises `Unusable` where it is a page, or nothing, or has another hash than `sha256` (`-`: any)."""
    part.flush()
    part.seek(0)
    start, found = part.read(512).strip().lower(), files.sha256(part.name)
    if not start or start.startswith(PAGES) or sha256 not in ("-", found):
        kind = "nothing" if not start else "a page of text" if start.startswith(PAGES) else f"SHA-256 {found}"
        part.truncate(0)
        raise Unusable(f"{kind} in place of the file")


def download(url, part, *, sha256, num_attempts, pause_seconds, timeout_seconds):
    """Fill `part`, in several attempts with growing pauses. Returns an empty text, or why it failed."""
    for attempt in range(1, num_attempts + 1):
        try:
            fetch(url, part, timeout_seconds)
            check(part, sha256)
            return ""
        except requests.RequestException as error:
            problem = f"{error!s:.300}"
            status = error.response.status_code if error.response is not None else None
        print(f"attempt {attempt} of {num_attempts}: {problem}", flush=True)
        if status in FINAL and status not in PASSING:
            break
        if attempt < num_attempts:
            time.sleep(pause_seconds * 2 ** (attempt - 1))
    return problem


def download_checkpoint(*, file, address, sha256, num_attempts, pause_seconds, timeout_seconds):
    """Stage: `file` from the folder `address` (empty: it is put there by hand). A file that is there stays: it was whole
    when it got its name. Only one with another hash than the one known is fetched again.
    """
    file = Path(file)
    if file.exists() and sha256 in ("-", files.sha256(file)):
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file.with_name(f".{file.name}.part"), "a+b") as part:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise data_error(
                file,
                "one process at a time fetches a file",
                expected="no other",
                got="another process is fetching it",
                remedy="wait for it",
            ) from error
        if sha256 == "-":
            part.truncate(0)  # of another version, perhaps
        settings = dict(num_attempts=num_attempts, pause_seconds=pause_seconds, timeout_seconds=timeout_seconds)
        url = f"{address}/{file.name}"
        problem = download(url, part, sha256=sha256, **settings) if address else "no address in config/checkpoints.tsv"
        if problem:
            if not part.seek(0, os.SEEK_END):
                Path(part.name).unlink()
            raise data_error(
                file,
                "a published file is fetched whole",
                expected=f"{url if address else file.name}, SHA-256 {sha256}",
                got=problem,
                remedy=f"no network? put {file.name} here by hand: {file.resolve()}",
            )
        with files.atomic(file) as temporary:
            Path(part.name).replace(temporary)
    print(f"{file}: SHA-256 {files.sha256(file)}")
