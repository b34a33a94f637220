"""Downloads against a server on loopback that does everything wrong that servers do."""

import hashlib
import http.server
import multiprocessing
import threading
import time

import pytest

from storage.untrusted.download_checkpoint import download_checkpoint

DATA = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(DATA).hexdigest()
QUICK = dict(num_attempts=3, pause_seconds=0.01, timeout_seconds=1)


class Server(http.server.ThreadingHTTPServer):
    """Serves DATA. `faults`: what goes wrong with each request in turn; `ranges`: the Range headers that came."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults, self.ranges = [], []
        self.address = f"http://127.0.0.1:{self.server_port}/models"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, fault = self.server, self.server.faults.pop(0) if self.server.faults else ""
        server.ranges.append(self.headers.get("Range"))
        data = DATA
        if fault in (404, 503):
            return self.send_error(fault)
        if fault == "page":
            data = b"\n<!DOCTYPE html><html>please log in</html>"
        start = int(server.ranges[-1].removeprefix("bytes=").rstrip("-")) if server.ranges[-1] and fault != "no ranges" else 0
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
    made = Server()
    threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "resources/hubert/x.pt"


def fetch(file, address, sha256=SHA256, **how):
    download_checkpoint(file=str(file), address=address, sha256=sha256, **(QUICK | how))


def whole(file):
    return file.read_bytes() == DATA and [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("faults, requests", [
    ([], 1), (["cut"], 2), (["cut", "cut"], 3), (["stalled"], 2), (["slow"], 1), (["wrong"], 2), (["page"], 2), ([503], 2),
    (["cut", "no ranges"], 2), (["wrong", "cut"], 3),
])  # fmt: skip
def test_the_file_comes_whole(server, file, faults, requests):
    server.faults = [*faults]
    fetch(file, server.address)
    assert whole(file) and len(server.ranges) == requests
    assert oct(file.stat().st_mode & 0o777) == oct(0o666 & ~_umask())


def test_it_goes_on_where_it_stopped_also_in_another_run(server, file):
    server.faults = ["cut"]
    with pytest.raises(ValueError):
        fetch(file, server.address, num_attempts=1)
    assert not file.exists()
    fetch(file, server.address)
    assert whole(file) and server.ranges[0] is None and 0 < int(server.ranges[1][6:-1]) <= len(DATA)


def test_without_a_hash_it_begins_anew_in_another_run_only(server, file):
    server.faults = ["cut"]
    with pytest.raises(ValueError):
        fetch(file, server.address, sha256="-", num_attempts=1)
    server.faults = ["cut"]
    fetch(file, server.address, sha256="-")
    assert whole(file) and server.ranges[1] is None and server.ranges[2]


def test_what_was_fetched_whole_before_a_crash_is_not_fetched_again(server, file):
    file.parent.mkdir(parents=True)
    file.with_name(".x.pt.part").write_bytes(DATA)
    fetch(file, server.address)
    assert whole(file) and len(server.ranges) == 1


@pytest.mark.parametrize("fault, sha256, got", [
    ("wrong", SHA256, "SHA-256 "), ("page", SHA256, "a page of text in place of the file"), ("page", "-", "a page of text"),
    ("cut", SHA256, "IncompleteRead"), ("cut", "-", "IncompleteRead"), ("stalled", "-", "timed out"), (503, "-", "503 Server Error"),
])  # fmt: skip
def test_nothing_wrong_is_kept_and_the_error_says_where_to_put_the_file(server, file, fault, sha256, got):
    server.faults = [fault] * 2
    with pytest.raises(ValueError) as caught:
        fetch(file, server.address, sha256, num_attempts=2)
    text = str(caught.value)
    assert text.startswith(f"{file}: a published file is fetched whole; expected {server.address}/x.pt, SHA-256 {sha256}, got ")
    assert got in text and text.endswith(f"no network? put x.pt here by hand: {file}")
    assert not file.exists() and len(server.ranges) == 2


def test_what_is_not_there_is_asked_for_once(server, file):
    server.faults = [404]
    with pytest.raises(ValueError, match=r"got 404 Client Error.*put x.pt here by hand"):
        fetch(file, server.address)
    assert len(server.ranges) == 1


def test_no_server_and_no_address(file):
    with pytest.raises(ValueError, match=r"Connection refused.*put x.pt here by hand"):
        fetch(file, "http://127.0.0.1:9/models", num_attempts=2)
    with pytest.raises(ValueError, match=r"no address in config/checkpoints.tsv; no network\? put x.pt here by hand"):
        fetch(file, "")


@pytest.mark.parametrize("sha256", [SHA256, "-"])
def test_a_file_that_is_there_stays(file, sha256):
    file.parent.mkdir(parents=True)
    file.write_bytes(DATA)
    before = file.stat().st_mtime_ns
    fetch(file, "http://127.0.0.1:9/models", sha256)
    assert file.stat().st_mtime_ns == before


def test_a_file_that_is_there_with_another_hash_is_replaced(server, file):
    file.parent.mkdir(parents=True)
    file.write_bytes(DATA[1:])
    fetch(file, server.address)
    assert whole(file)


def _umask():
    import os

    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_pauses_grow(server, file, monkeypatch):
    pauses, server.faults = [], [503] * 4
    monkeypatch.setattr(time, "sleep", pauses.append)
    with pytest.raises(ValueError):
        fetch(file, server.address, num_attempts=4, pause_seconds=10)
    assert pauses == [10, 20, 40]


def test_two_at_a_time_do_not_mix(server, file):
    server.faults = ["slow"]
    first = multiprocessing.get_context("fork").Process(target=fetch, args=(file, server.address))
    first.start()
    while not file.parent.exists() or not list(file.parent.iterdir()):
        time.sleep(0.01)
    time.sleep(0.2)
    with pytest.raises(ValueError, match="another process is fetching it"):
        fetch(file, server.address)
    first.join()
    assert first.exitcode == 0 and whole(file)
