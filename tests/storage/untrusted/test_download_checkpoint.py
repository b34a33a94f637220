"""Downloads from a local server that makes every mistake that servers make."""

import hashlib
import http.server
import multiprocessing
import threading
import time

import pytest

from storage.untrusted.download_checkpoint import download_checkpoint

DATA = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(DATA).hexdigest()
SETTINGS = dict(num_attempts=3, pause_seconds=0.01, timeout_seconds=1)


class Server(http.server.ThreadingHTTPServer):
    """Serves DATA. `faults` lists what goes wrong with each request in turn; `ranges` collects the Range headers."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults = []
        self.ranges = []
        self.address = f"http://127.0.0.1:{self.server_port}/models"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        fault = server.faults.pop(0) if server.faults else ""
        server.ranges.append(self.headers.get("Range"))
        data = DATA
        if fault in (404, 503):
            return self.send_error(fault)
        if fault == "page":
            data = b"\n<!DOCTYPE html><html>please log in</html>"
        start = 0
        if server.ranges[-1] and fault != "no ranges":
            start = int(server.ranges[-1].removeprefix("bytes=").rstrip("-"))
        if start and start >= len(data):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if fault == "wrong":
            data = b"x" + data[1:]
        for position in range(start, len(data), 100_000):
            self.wfile.write(data[position : position + 100_000])
            if fault == "cut":
                return None
            if fault == "stalled":
                self.wfile.flush()
                return time.sleep(3)
            if fault == "slow":
                time.sleep(0.1)
        return None

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    local_server = Server()
    threading.Thread(target=local_server.serve_forever, args=(0.05,), daemon=True).start()
    yield local_server
    local_server.shutdown()
    local_server.server_close()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "resources/hubert/x.pt"


def fetch(file, address, sha256=SHA256, **settings):
    download_checkpoint(file=str(file), address=address, sha256=sha256, **(SETTINGS | settings))


def is_complete(file):
    """Return whether the file holds DATA and its folder holds no other file."""
    return file.read_bytes() == DATA and [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.slow
@pytest.mark.parametrize(
    "faults, num_requests",
    [
        ([], 1),
        (["cut"], 2),
        (["cut", "cut"], 3),
        (["stalled"], 2),
        (["slow"], 1),
        (["wrong"], 2),
        (["page"], 2),
        ([503], 2),
        (["cut", "no ranges"], 2),
        (["wrong", "cut"], 3),
    ],
)
def test_the_file_arrives_complete(server, file, faults, num_requests):
    server.faults = [*faults]
    fetch(file, server.address)
    assert is_complete(file) and len(server.ranges) == num_requests
    assert oct(file.stat().st_mode & 0o777) == oct(0o666 & ~_umask())


def test_another_run_continues_where_the_last_one_stopped(server, file):
    server.faults = ["cut"]
    with pytest.raises(ValueError):
        fetch(file, server.address, num_attempts=1)
    assert not file.exists()
    fetch(file, server.address)
    assert is_complete(file) and server.ranges[0] is None and 0 < int(server.ranges[1][6:-1]) <= len(DATA)


def test_without_a_hash_another_run_starts_again(server, file):
    server.faults = ["cut"]
    with pytest.raises(ValueError):
        fetch(file, server.address, sha256="-", num_attempts=1)
    server.faults = ["cut"]
    fetch(file, server.address, sha256="-")
    assert is_complete(file) and server.ranges[1] is None and server.ranges[2]


def test_a_download_that_was_complete_before_a_crash_is_not_repeated(server, file):
    file.parent.mkdir(parents=True)
    file.with_name(".x.pt.part").write_bytes(DATA)
    fetch(file, server.address)
    assert is_complete(file) and len(server.ranges) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault, sha256, got",
    [
        ("wrong", SHA256, "SHA-256 "),
        ("page", SHA256, "a web page in place of the file"),
        ("page", "-", "a web page"),
        ("cut", SHA256, "IncompleteRead"),
        ("cut", "-", "IncompleteRead"),
        ("stalled", "-", "timed out"),
        (503, "-", "503 Server Error"),
    ],
)
def test_a_wrong_file_is_not_kept_and_the_error_says_where_to_copy_the_right_one(server, file, fault, sha256, got):
    server.faults = [fault] * 2
    with pytest.raises(ValueError) as caught:
        fetch(file, server.address, sha256, num_attempts=2)
    text = str(caught.value)
    rule = "a published file must be downloaded completely"
    assert text.startswith(f"{file}: {rule}; expected {server.address}/x.pt, SHA-256 {sha256}, got ")
    assert got in text and text.endswith(f"without network access, copy x.pt to {file} yourself")
    assert not file.exists() and len(server.ranges) == 2


def test_a_missing_file_is_requested_once(server, file):
    server.faults = [404]
    with pytest.raises(ValueError, match=r"got 404 Client Error.*copy x.pt to .* yourself"):
        fetch(file, server.address)
    assert len(server.ranges) == 1


def test_no_server_and_no_address(file):
    with pytest.raises(ValueError, match=r"Connection refused.*copy x.pt to .* yourself"):
        fetch(file, "http://127.0.0.1:9/models", num_attempts=2)
    with pytest.raises(ValueError, match=r"no address in config/checkpoints.tsv; without network access, copy x.pt to "):
        fetch(file, "")


@pytest.mark.parametrize("sha256", [SHA256, "-"])
def test_an_existing_file_is_kept(file, sha256):
    file.parent.mkdir(parents=True)
    file.write_bytes(DATA)
    before = file.stat().st_mtime_ns
    fetch(file, "http://127.0.0.1:9/models", sha256)
    assert file.stat().st_mtime_ns == before


def test_an_existing_file_with_another_hash_is_replaced(server, file):
    file.parent.mkdir(parents=True)
    file.write_bytes(DATA[1:])
    fetch(file, server.address)
    assert is_complete(file)


def _umask():
    import os

    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_pauses_grow(server, file, monkeypatch):
    pauses = []
    server.faults = [503] * 4
    monkeypatch.setattr(time, "sleep", pauses.append)
    with pytest.raises(ValueError):
        fetch(file, server.address, num_attempts=4, pause_seconds=10)
    assert pauses == [10, 20, 40]


@pytest.mark.slow
def test_two_processes_cannot_download_the_same_file(server, file):
    server.faults = ["slow"]
    first = multiprocessing.get_context("fork").Process(target=fetch, args=(file, server.address))
    first.start()
    while not file.parent.exists() or not list(file.parent.iterdir()):
        time.sleep(0.01)
    time.sleep(0.2)
    with pytest.raises(ValueError, match="another process is downloading it"):
        fetch(file, server.address)
    first.join()
    assert first.exitcode == 0 and is_complete(file)
