"""Download published files: an interrupted download continues where it stopped, and a wrong file is never kept.

The bytes received so far are in `.{file}.part`. The file gets its own name when it is complete and has the right hash. pooch
checks and renames in the same way but cannot continue a download, so the HTTP requests are made here.
"""

import fcntl
import os
import time
from pathlib import Path

import requests

from storage import files
from storage.errors import data_error

CHUNK_BYTES = 2**16  # the most that a broken connection can lose
PAGE_STARTS = (b"<!doctype", b"<html", b"<?xml")  # of a web page sent in place of a file
CLIENT_ERRORS = range(400, 500)  # HTTP statuses after which another attempt is useless …
TEMPORARY_ERRORS = (408, 425, 429)  # … except for these


class WrongContent(requests.RequestException):
    """The server sent something other than the file."""


def fetch(url, part, timeout_seconds):
    """Append the missing bytes of a file to `part`.

    Args:
        url: address of the file.
        part: file object, open for appending and reading, which has the bytes received so far.
        timeout_seconds: time to wait for the server.

    Raises:
        requests.RequestException: if the request failed.
    """
    position = part.seek(0, os.SEEK_END)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={position}-"} if position else {})
    with requests.get(url, headers=headers, stream=True, timeout=timeout_seconds) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # no bytes are missing
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            part.truncate(0)
        for chunk in response.iter_content(CHUNK_BYTES):
            part.write(chunk)


def check(part, sha256):
    """Check a downloaded file; empty it if it is wrong.

    Args:
        part: the open file.
        sha256: its hexadecimal SHA-256, or `-` if that is unknown.

    Raises:
        WrongContent: if the file is empty, is a web page or has another hash.
    """
    part.flush()
    part.seek(0)
    start = part.read(512).strip().lower()
    file_hash = files.sha256(part.name)
    if not start:
        content = "nothing"
    elif start.startswith(PAGE_STARTS):
        content = "a web page"
    elif sha256 not in ("-", file_hash):
        content = f"SHA-256 {file_hash}"
    else:
        return
    part.truncate(0)
    raise WrongContent(f"{content} in place of the file")


def download(url, part, *, sha256, num_attempts, pause_seconds, timeout_seconds):
    """Download a file in several attempts, with a pause between them that doubles each time.

    Args:
        url: address of the file.
        part: open file for it, see `fetch`.
        sha256: its hexadecimal SHA-256, or `-` if that is unknown.
        num_attempts: largest number of attempts.
        pause_seconds: pause after the first attempt.
        timeout_seconds: time to wait for the server in each attempt.

    Returns:
        An empty text after success, otherwise the reason of the failure.
    """
    for attempt in range(1, num_attempts + 1):
        try:
            fetch(url, part, timeout_seconds)
            check(part, sha256)
            return ""
        except requests.RequestException as error:
            reason = f"{error!s:.300}"
            status = error.response.status_code if error.response is not None else None
        print(f"attempt {attempt} of {num_attempts}: {reason}", flush=True)
        if status in CLIENT_ERRORS and status not in TEMPORARY_ERRORS:
            break
        if attempt < num_attempts:
            time.sleep(pause_seconds * 2 ** (attempt - 1))
    return reason


def download_checkpoint(*, file, address, sha256, num_attempts, pause_seconds, timeout_seconds):
    """Stage: download a published file, unless it already exists with the right hash.

    Args:
        file: path to write it to; its name is also its name on the server.
        address: URL of the folder on the server; empty if the user must copy the file there.
        sha256: hexadecimal SHA-256, or `-` if it is unknown; then an existing file is kept without a check.
        num_attempts: largest number of attempts.
        pause_seconds: pause after the first attempt, which doubles after each.
        timeout_seconds: time to wait for the server in each attempt.

    Raises:
        ValueError: if the download failed, there is no address, or another process is downloading the file.
    """
    file = Path(file)
    if file.exists() and sha256 in ("-", files.sha256(file)):
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file.with_name(f".{file.name}.part"), "a+b") as part:
        _lock(part, file)
        if sha256 == "-":
            part.truncate(0)  # it may belong to another version of the file
        url = f"{address}/{file.name}"
        problem = "no address in config/checkpoints.tsv"
        if address:
            problem = download(
                url,
                part,
                sha256=sha256,
                num_attempts=num_attempts,
                pause_seconds=pause_seconds,
                timeout_seconds=timeout_seconds,
            )
        if problem:
            if not part.seek(0, os.SEEK_END):
                Path(part.name).unlink()
            raise data_error(
                file,
                "a published file must be downloaded completely",
                expected=f"{url if address else file.name}, SHA-256 {sha256}",
                got=problem,
                remedy=f"without network access, copy {file.name} to {file.resolve()} yourself",
            )
        with files.atomic(file) as temporary:
            Path(part.name).replace(temporary)
    print(f"{file}: SHA-256 {files.sha256(file)}")


def _lock(part, file):
    """Lock an open file until it is closed; raise `ValueError` if another process holds the lock."""
    try:
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise data_error(
            file,
            "only one process at a time can download a file",
            expected="no other process",
            got="another process is downloading it",
            remedy="wait for it",
        ) from error
