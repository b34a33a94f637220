"""Tensors of foreign files: PyTorch's .pt and .pth (zip, and the older chain of pickles), safetensors, joblib's km.bin.

Only values are read: nothing of a file is run (see `unpickling`), and no model is built from a checkpoint's own settings,
which fairseq would evaluate. Files are mapped into memory, so what nobody asks for, such as an optimiser's state, is never
loaded. A file can make this module neither write anything nor reserve more memory than it has bytes.
"""

import contextlib
import io
import math
import mmap
import re
import struct
import zipfile
import zlib
from pathlib import Path
from pickle import UnpicklingError

import numpy as np

from storage.errors import data_error
from storage.files import sha256
from storage.untrusted.unpickling import Inert, Record, Unpickler, sizes

WEIGHTS = ("model", "model_weight", "weights", "alhubert")  # where fairseq, s3prl, CPC and DistilALHuBERT keep the state dict
MAX_HEADER_BYTES = 8 * 2**20  # of a safetensors file
MAX_DEPTH = 16  # of mappings and lists in each other
MAX_CODEBOOK_BYTES = 256 * 2**20  # of a codebook, decompressed
LEGACY = (0x1950A86A20F9469CFC6C, 1001)  # what a .pt file of PyTorch before 1.6 begins with: magic number, version


def check_hashes(paths, expected):
    """Raises `ValueError` where a file has not the SHA-256 in the list `expected` (`-` or no list: not known)."""
    for path, wanted in zip(paths, expected):
        if wanted != "-" and (found := sha256(path)) != wanted:
            raise data_error(
                path,
                "a checkpoint must be the published one",
                expected=f"SHA-256 {wanted}",
                got=f"{found}",
                remedy="delete it, then run again or put the right file here",
            )


def read_tensors(path):
    """Dotted name (`model.encoder.layer_norm.weight`) → dense tensor of everything in a file. Raises `ValueError`."""
    with _refusals(path):
        mapped = _mapped(path)
        if Path(path).suffix == ".safetensors":
            return _safetensors(path, mapped)
        if mapped[:4] == b"PK\3\4":
            content, places = _zip(path, mapped)
        elif mapped[:1] == b"\x80":
            content, places = _chain(path, mapped)
        else:
            raise UnpicklingError(f"a file that begins with {mapped[:8]!r}")
        return {name: _tensor(record, places, mapped) for name, record in _records(content)}


def read_weights(path):
    """The tensors of a checkpoint's state dict, by their names in it, wherever it lies in the file."""
    tensors = read_tensors(path)
    for prefix in WEIGHTS:
        if found := {n.removeprefix(f"{prefix}."): tensor for n, tensor in tensors.items() if n.startswith(f"{prefix}.")}:
            return found
    return tensors


def read_array(path):
    """Tensor of a .npy file of plain numbers. Raises `ValueError`."""
    import torch

    with _refusals(path):
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if found.dtype.kind != "f":
            raise UnpicklingError(f"an array of {found.dtype}")
        return torch.from_numpy(np.array(found))


def read_centroids(path):
    """Centroids `[K, D]`, float32, of a scikit-learn (MiniBatch)KMeans that joblib or pickle wrote. Raises `ValueError`."""
    with _refusals(path):
        model = _ArrayUnpickler(io.BytesIO(_codebook_bytes(path))).load()
        if type(model) is not Inert or type(model.state) is not dict or "cluster_centers_" not in model.state:
            raise UnpicklingError("no k-means model")
        centroids = _array(model.state["cluster_centers_"])
        if centroids.ndim != 2 or centroids.dtype.kind != "f" or not np.isfinite(centroids).all():
            raise UnpicklingError(f"centroids {centroids.dtype} {centroids.shape}, or values that are not finite")
        return np.ascontiguousarray(centroids, np.float32)


@contextlib.contextmanager
def _refusals(path):
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # whatever goes wrong in a foreign file is a fault of the file
        raise data_error(
            path,
            "of a foreign file only tensors are read, and nothing is run",
            expected="dense tensors and plain values",
            got="".join(c if c.isprintable() else " " for c in f"{error!s:.300}"),
            remedy="take the file from its publisher, see config/checkpoints.tsv",
        ) from error


def _mapped(path):
    """A file's bytes; what is written to them stays in memory."""
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def _safetensors(path, mapped):
    from safetensors import safe_open

    size = int.from_bytes(mapped[:8], "little")
    if size > min(MAX_HEADER_BYTES, len(mapped)):
        raise UnpicklingError(f"a header of {size} bytes")
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no mapping)


def _zip(path, mapped):
    """Content of a .pt file, and storage → (position, length) of its bytes. Members are stored, so they cannot outgrow it."""
    with zipfile.ZipFile(path) as archive:
        members = {member.filename.partition("/")[2]: member for member in archive.infolist()}
    total = sum(member.file_size for member in members.values())
    if total > len(mapped) or any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
        raise UnpicklingError(f"compressed or overlapping members of {total} bytes in a file of {len(mapped)}")
    places = {name: (_start(member, mapped), member.file_size) for name, member in members.items()}
    (start, length), order = places["data.pkl"], places.get("byteorder", (0, 0))
    if mapped[order[0] : sum(order)] not in (b"", b"little"):
        raise UnpicklingError("values in another byte order")
    content = Unpickler(io.BytesIO(mapped[start : start + length])).load()
    return content, {name.removeprefix("data/"): place for name, place in places.items()}


def _start(member, mapped):
    """Position of a stored member's first byte, behind its local header."""
    lengths = struct.unpack_from("<HH", mapped, member.header_offset + 26)
    start = member.header_offset + 30 + sum(lengths)
    if start + member.file_size > len(mapped):
        raise UnpicklingError(f"a member {member.filename!r:.60} beyond the end of the file")
    return start


def _chain(path, mapped):
    """The same for PyTorch before 1.6: pickles of a magic number, a version, the system, the content and the storages' keys."""
    with open(path, "rb") as file:
        header, reader = [Unpickler(file).load() for _ in range(3)], Unpickler(file)
        if tuple(header[:2]) != LEGACY or not header[2]["little_endian"]:
            raise UnpicklingError("no checkpoint of PyTorch, or one in another byte order")
        content, keys, places = reader.load(), Unpickler(file).load(), {}
        position = file.tell()
    for key in keys:
        if type(key) is not str:
            raise UnpicklingError("a storage without a name")
        (count,) = struct.unpack_from("<q", mapped, position)
        length = count * _dtype(reader.storages[key]).itemsize
        if not 0 <= length <= len(mapped) - position - 8:
            raise UnpicklingError(f"a storage of {count} values beyond the end of the file")
        places[key] = position + 8, length
        position += 8 + length
    return content, places


def _records(content):
    """(dotted name, record) of the tensors in mappings and lists; each of these is visited once."""
    todo, seen, names = [((), content)], set(), set()
    while todo:
        path, value = todo.pop()
        if type(value) is Record:
            name = ".".join(path)
            if name in names:
                raise UnpicklingError(f"two tensors named {name!r:.80}")
            names.add(name)
            yield name, value
        elif type(value) in (dict, list, tuple) and id(value) not in seen:
            if len(path) == MAX_DEPTH:
                raise UnpicklingError(f"values more than {MAX_DEPTH} levels deep")
            seen.add(id(value))
            pairs = value.items() if type(value) is dict else enumerate(value)
            todo += reversed([((*path, str(key)), part) for key, part in pairs])


def _dtype(storage):
    import torch

    return getattr(torch, storage.kind)


def _tensor(record, places, mapped):
    """The tensor of a record, as a view of the file's bytes."""
    import torch

    start, length = places[record.storage.key]
    dtype = _dtype(record.storage)
    count = length // dtype.itemsize
    if math.prod(record.shape) > count:
        raise UnpicklingError(f"a tensor of shape {record.shape!r:.80} in a storage of {count} values")
    values = torch.frombuffer(mapped, dtype=dtype, count=count, offset=start) if count else torch.empty(0, dtype=dtype)
    return values.as_strided(record.shape, record.stride, record.offset)


class _ArrayUnpickler(Unpickler):
    """joblib writes the values of an array behind the object that stands for it, in the middle of the pickle."""

    def built(self, made):
        if made.name != "joblib.numpy_pickle.NumpyArrayWrapper":
            return
        if made.state.get("numpy_array_alignment_bytes") is not None:
            self.file.read(self.file.read(1)[0])
        dtype, shape = _array_dtype(made.state["dtype"]), sizes(made.state["shape"])
        values = np.frombuffer(self.file.read(math.prod(shape) * dtype.itemsize), dtype)
        made.values = values.reshape(shape, order=made.state["order"])


def _array_dtype(dtype):
    code, order = dtype.args[0], dtype.state[1]
    if not re.fullmatch(r"[biufc][0-9]{1,2}", code) or order not in "<>=|":
        raise UnpicklingError(f"an array of {code!r:.20}")
    return np.dtype(order + code)


def _array(made):
    """The array that an `Inert` stands for."""
    if made.values is not None:
        return made.values
    _, shape, dtype, by_columns, data = made.state
    data = data.encode("latin1") if isinstance(data, str) else data  # written by Python 2
    return np.frombuffer(data, _array_dtype(dtype)).reshape(sizes(shape), order="F" if by_columns else "C")


def _codebook_bytes(path):
    """Bytes of a file, decompressed where it is a stream of zlib or gzip."""
    with open(path, "rb") as file:
        data = file.read(MAX_CODEBOOK_BYTES + 1)
    if data[:1] in (b"\x78", b"\x1f"):
        stream = zlib.decompressobj(zlib.MAX_WBITS | 32)
        data = stream.decompress(data, MAX_CODEBOOK_BYTES + 1)
    if len(data) > MAX_CODEBOOK_BYTES:
        raise UnpicklingError(f"a codebook of more than {MAX_CODEBOOK_BYTES} bytes")
    return data
