"""Hostile files: no code in them runs, none takes much memory or time, and the error names what was refused."""

import gzip
import importlib
import io
import json
import os
import pickle
import runpy
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch

from storage.untrusted.archives import extract_members
from storage.untrusted.checkpoints import read_centroids, read_tensors

ROOT = Path(__file__).parents[3]
CANARY = "canary"


class Call:
    """An object whose pickle is a call of a function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def bytes_file(data):
    """Return a function that writes these bytes."""
    return lambda path: path.write_bytes(data)


def pickled(*call, protocol=2):
    """Return a function that writes a pickled call of a function."""
    return lambda path: path.write_bytes(pickle.dumps({"model": Call(*call)}, protocol))


def in_archive(name, data=b"x", kind=tarfile.REGTYPE):
    """Return a function that writes an archive with a correct dict.txt and a member of this kind."""

    def write(path):
        with tarfile.open(path, "w:gz") as archive:
            for member_name, member_data, member_kind in (("lm/dict.txt", b"0 1\n", tarfile.REGTYPE), (name, data, kind)):
                member = tarfile.TarInfo(member_name)
                member.type, member.size, member.linkname = member_kind, len(member_data), "/etc/passwd"
                archive.addfile(member, io.BytesIO(member_data))

    return write


def bomb_zip(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x/data.pkl", "w", force_zip64=True) as member:
        for _ in range(120):
            member.write(b"(" * 2**20)


def bomb_tgz(path):
    with tarfile.open(path, "w:gz", compresslevel=9) as archive:
        member = tarfile.TarInfo("lm/dict.txt")
        member.size = 120 * 2**20
        archive.addfile(member, Zeros(member.size))


def bomb_pax(path):
    """Write an archive with an extended header that claims, and has, 120 MB."""
    member = tarfile.TarInfo("pax")
    member.type, member.size = tarfile.XHDTYPE, 120 * 2**20
    with gzip.open(path, "wb") as stream:
        stream.write(member.tobuf())
        for _ in range(120):
            stream.write(bytes(2**20))


class Zeros:
    """A stream of zeros."""

    def __init__(self, bytes_left):
        self.bytes_left = bytes_left

    def read(self, size):
        size = min(size, self.bytes_left)
        self.bytes_left -= size
        return bytes(size)


def storage(numel, shape, offset=0):
    """Return a function that writes a .pt file of one tensor with other sizes than those of its storage."""

    def write(path):
        torch.save({"model": {"w": torch.zeros(4)}}, path.with_suffix(".good"))
        with zipfile.ZipFile(path.with_suffix(".good")) as good, zipfile.ZipFile(path, "w") as bad:
            for member in good.infolist():
                data = good.read(member)
                if member.filename.endswith("data.pkl"):
                    data = data.replace(b"K\x04", b"J" + struct.pack("<i", numel), 1)
                    data = data.replace(
                        b"K\x00K\x04\x85", b"J" + struct.pack("<i", offset) + b"J" + struct.pack("<i", shape) + b"\x85", 1
                    )
                    assert data != good.read(member)
                bad.writestr(member.filename, data)

    return write


def nested(path):
    path.write_bytes(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".")


def lengths(path):
    """Write an array of the shape ([0], 10**9): the product of these is a list of 10**9 zeros."""
    wrapper = joblib.numpy_pickle.NumpyArrayWrapper(np.ndarray, ([0], 10**9), "C", np.dtype("f4"))
    path.write_bytes(pickle.dumps(wrapper, 4) + bytes(100))


LAUGHS = (
    b")q\x00" + b"0h\x00h\x00\x86q\x00" * 60
)  # nested tuples ((((), ()), ((), ())), …: a short pickle, too long to hash or print
COPIES = b"\x80\x02X" + struct.pack("<I", 10**6) + b"x" * 10**6 + b"q\x000X\x06\0\0\0latin1q\x010c_codecs\nencode\nq\x020]q\x03("
COPIES += b"h\x02h\x00h\x01\x86R" * 10_000 + b"e."  # ten thousand copies of a million bytes
TENSORS, CENTROIDS = "read_tensors", "read_centroids"
EXPRESSION = f"__import__('os').system('touch {CANARY}')"
TOUCH = f"touch {CANARY}"
HOSTILE = {  # name → (function that writes it, name of the function that reads it, text that the error must contain)
    "system.pt": (pickled(os.system, TOUCH), TENSORS, "posix.system"),
    "eval.pt": (pickled(eval, EXPRESSION), TENSORS, "builtins.eval"),
    "exec.pt": (pickled(exec, EXPRESSION, protocol=3), TENSORS, "builtins.exec"),
    "text.pt": (pickled(exec, EXPRESSION, protocol=0), TENSORS, "a file that begins with b'(dp0"),
    "importlib.pt": (pickled(importlib.import_module, "antigravity"), TENSORS, "importlib.import_module"),
    "runpy.pt": (pickled(runpy.run_path, CANARY, protocol=4), TENSORS, "runpy.run_path"),
    "popen.pt": (pickled(subprocess.Popen, TOUCH, protocol=4), TENSORS, "subprocess.Popen"),
    "old.pt": (
        lambda path: torch.save({"model": Call(os.system, TOUCH)}, path, _use_new_zipfile_serialization=False),
        TENSORS,
        "posix.system",
    ),
    "zip.pt": (lambda path: torch.save({"model": Call(os.system, TOUCH)}, path), TENSORS, "posix.system"),
    "joblib.bin": (lambda path: joblib.dump(Call(os.system, TOUCH), path), CENTROIDS, "posix.system"),
    "compressed.bin": (lambda path: joblib.dump(Call(os.system, TOUCH), path, compress=3), CENTROIDS, "posix.system"),
    "objects.bin": (lambda path: joblib.dump(np.array([Call(os.system, TOUCH)]), path), CENTROIDS, "'O8'"),
    "objects.npy": (lambda path: np.save(path, np.array([Call(os.system, TOUCH)])), TENSORS, "NUMPY"),
    "objects2.npy": (lambda path: np.save(path, np.array([Call(os.system, TOUCH)])), CENTROIDS, "refused"),
    "method.pt": (bytes_file(b"\x80\x02cbuiltins\ngetattr\ncos\nsystem\n\x86R."), TENSORS, "os.system"),
    "dotted.pt": (bytes_file(b"\x80\x04\x8c\x08builtins\x8c\x0f__import__.call\x93."), TENSORS, "builtins.__import__.call"),
    "inst.pt": (bytes_file(b"(S'" + TOUCH.encode() + b"'\nios\nsystem\n."), TENSORS, "b\"(S'touch"),
    "inst4.pt": (bytes_file(b"\x80\x02(S'" + TOUCH.encode() + b"'\nios\nsystem\n."), TENSORS, "os.system"),
    "extension.pt": (bytes_file(b"\x80\x02\x82\x01."), TENSORS, "an instruction that no checkpoint needs"),
    "called.pt": (bytes_file(b"\x80\x02]K\x01\x85R."), TENSORS, "a call of a list"),
    "state.pt": (bytes_file(b"\x80\x02]}b."), TENSORS, "a state for a list"),
    "memo.pt": (bytes_file(b"\x80\x02]r\xff\xff\xff\xff."), TENSORS, "cut off"),
    "long.pt": (bytes_file(b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x"), TENSORS, f"an item of {2**40} bytes"),
    "frame.pt": (bytes_file(b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"x"), TENSORS, f"an item of {2**40} bytes"),
    "nested.pt": (nested, TENSORS, "refused"),
    "laughs.pt": (bytes_file(b"\x80\x02" + LAUGHS + b"}q\x01h\x00K\x01sh\x00\x85R."), TENSORS, "a call of a dict"),
    "laughs2.pt": (bytes_file(b"\x80\x02ccollections\nOrderedDict\n" + LAUGHS + b"\x85R."), TENSORS, "refused"),
    "copies.pt": (bytes_file(COPIES), TENSORS, "an item of "),
    "lengths.bin": (lengths, CENTROIDS, "sizes that are not a few non-negative integers"),
    "many.pt": (bytes_file(b"\x80\x02" + b"]" * (8 * 2**20) + b"."), TENSORS, "an item of 1 bytes, 0 left"),
    "sparse.pt": (
        lambda path: torch.save({"model": torch.eye(3).to_sparse()}, path),
        TENSORS,
        "torch._utils._rebuild_sparse_tensor",
    ),
    "outside.pt": (storage(4, 4, offset=10**6), TENSORS, "out of bounds"),
    "huge.pt": (storage(2**30, 2**30), TENSORS, "a tensor of shape (1073741824,) in a storage of 4 values"),
    "bomb.pt": (bomb_zip, TENSORS, "compressed or overlapping members"),
    "bomb.bin": (lambda path: path.write_bytes(zlib.compress(bytes(257 * 2**20), 1)), CENTROIDS, "more than 268435456 bytes"),
    "header.safetensors": (bytes_file(struct.pack("<Q", 2**40) + b"{}"), TENSORS, f"a header of {2**40} bytes"),
    "traversal.tgz": (in_archive(f"../{CANARY}"), "extract", f"'../{CANARY}'"),
    "absolute.tgz": (in_archive("/tmp/dict.txt"), "extract", "'/tmp/dict.txt'"),
    "link.tgz": (in_archive("lm/link", b"", tarfile.SYMTYPE), "extract", "'lm/link'"),
    "device.tgz": (in_archive("lm/device", b"", tarfile.CHRTYPE), "extract", "'lm/device'"),
    "twice.tgz": (in_archive("other/dict.txt"), "extract", "['dict.txt', 'dict.txt']"),
    "bomb.tgz": (bomb_tgz, "extract", f"'lm/dict.txt' of {120 * 2**20} bytes"),
    "pax.tgz": (bomb_pax, "extract", "grows more than 20 times"),
}


def read(path, reader):
    """Read a file with the reader of this name."""
    if reader == "extract":
        return extract_members(path, {"dict.txt": path.parent / "out" / "dict.txt"})
    return dict(read_tensors=read_tensors, read_centroids=read_centroids)[reader](path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{CANARY}.py").write_text(f"open('{CANARY}', 'w')")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_the_error_names_what_was_refused_and_no_code_runs(folder, name):
    write, reader, expected = HOSTILE[name]
    write(folder / name)
    with pytest.raises(ValueError) as caught:
        read(folder / name, reader)
    message = str(caught.value)
    assert message.startswith(f"{folder / name}: ") and (expected in message or expected == "refused")
    assert "take the " in message and "see config/checkpoints.tsv" in message
    assert not (folder / CANARY).exists() and not (folder.parent / CANARY).exists()
    assert not list(folder.glob("out/.*"))


@pytest.mark.slow
def test_all_of_them_take_less_than_ten_seconds_and_a_gigabyte(folder):
    for name, (write, _, _) in HOSTILE.items():
        write(folder / name)
    code = """
import json, resource, sys, time
from pathlib import Path
from tests.storage.untrusted.test_hostile_files import HOSTILE, read
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seconds = {}
for name in HOSTILE:
    start = time.process_time()
    try:
        read(Path(name).absolute(), HOSTILE[name][1])
    except ValueError:
        pass
    seconds[name] = time.process_time() - start
print(json.dumps([seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024]))
"""
    environment = os.environ | dict(PYTHONPATH=str(ROOT))
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seconds, megabytes = json.loads(done.stdout.splitlines()[-1])
    assert max(seconds.values()) < 10 and megabytes < 1000, (seconds, megabytes)


def test_the_payloads_run_with_an_ordinary_reader(folder):
    HOSTILE["joblib.bin"][0](folder / "joblib.bin")
    joblib.load(folder / "joblib.bin")
    assert (folder / CANARY).exists()
