"""Tensors in foreign files: PyTorch's .pt and .pth (zip, and the older sequence of pickles), safetensors, .npy, joblib's km.bin.

Only values are read. Nothing in a file is run (see `unpickling`), and no model is built from a checkpoint's own settings, which
fairseq would evaluate. Files are mapped into memory, so that unused parts, such as the state of an optimizer, are never
loaded. A file cannot make this module write anything, or reserve more memory than the file's size.
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
from storage.untrusted.unpickling import Inert, TensorRecord, Unpickler, checked_sizes

# In files of fairseq, s3prl, CPC, DistilALHuBERT and Whisper.
STATE_DICT_KEYS = ("model", "model_weight", "weights", "alhubert", "model_state_dict")
MAX_HEADER_BYTES = 8 * 2**20  # header of a safetensors file
MAX_DEPTH = 16  # levels of nested mappings and lists
MAX_CODEBOOK_BYTES = 256 * 2**20  # a codebook, decompressed
LEGACY_START = (0x1950A86A20F9469CFC6C, 1001)  # magic number and version in .pt files of PyTorch before 1.6
LOCAL_HEADER_BYTES = 30  # of a member of a zip file, before its name


def check_hashes(paths, expected):
    """Check the SHA-256 of files.

    Args:
        paths: the files.
        expected: their hexadecimal SHA-256 in the same order, `-` for an unknown one. An empty list checks nothing.

    Raises:
        ValueError: if a file has another SHA-256.
    """
    for path, expected_hash in zip(paths, expected):
        if expected_hash == "-":
            continue
        file_hash = sha256(path)
        if file_hash != expected_hash:
            raise data_error(
                path,
                "a checkpoint must be the published one",
                expected=f"SHA-256 {expected_hash}",
                got=file_hash,
                remedy="delete it, then run again or put the published file there",
            )


def read_tensors(path):
    """Return every tensor in a file.

    Args:
        path: .pt, .pth or .safetensors file.

    Returns:
        Dotted name, such as `model.encoder.layer_norm.weight` → dense tensor. Tensors of .pt files are views of the file's
        bytes; changing them does not change the file.

    Raises:
        ValueError: if the file is damaged or contains anything other than tensors and plain values.
    """
    with _only_tensors(path):
        mapped = _map(path)
        if Path(path).suffix == ".safetensors":
            return _read_safetensors(path, mapped)
        content, positions = _read_pickles(path, mapped)
        return {name: _tensor(record, positions, mapped) for name, record in _records(content)}


def read_entry(path, key):
    """Return what a .pt file stores under a key of its outermost mapping, None if it has no such key.

    This may be anything that an `Unpickler` makes, such as an `Inert`. The caller checks all types. A list may contain the same
    list many times, so the caller must not copy it without a limit.

    Raises:
        ValueError: if the file is damaged or contains anything other than tensors and plain values.
    """
    if Path(path).suffix == ".safetensors":
        return None
    with _only_tensors(path):
        content, _ = _read_pickles(path, _map(path))
        return content.get(key) if type(content) is dict else None


def read_weights(path):
    """Return the state dict in a checkpoint: a dict from name to dense tensor.

    If the layout of the file is not known, this has all tensors of the file.

    Raises:
        ValueError: if `read_tensors` refuses the file.
    """
    tensors = read_tensors(path)
    for key in STATE_DICT_KEYS:
        prefix = f"{key}."
        weights = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        if weights:
            return weights
    return tensors


def read_array(path):
    """Return the array in a .npy file as a tensor.

    Raises:
        ValueError: if the file is damaged or holds anything other than floating-point numbers.
    """
    import torch

    with _only_tensors(path):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.dtype.kind != "f":
            raise UnpicklingError(f"an array of {array.dtype}")
        return torch.from_numpy(np.array(array))


def read_centroids(path):
    """Return the centroids `[K, D]`, float32, of a scikit-learn KMeans or MiniBatchKMeans that joblib or pickle wrote.

    Raises:
        ValueError: if the file is damaged, has no such model, or has values that are not finite.
    """
    with _only_tensors(path):
        model = _ArrayUnpickler(io.BytesIO(_codebook_bytes(path))).load()
        if type(model) is not Inert or type(model.state) is not dict or "cluster_centers_" not in model.state:
            raise UnpicklingError("no k-means model")
        centroids = _array(model.state["cluster_centers_"])
        if centroids.ndim != 2 or centroids.dtype.kind != "f" or not np.isfinite(centroids).all():
            raise UnpicklingError(f"centroids {centroids.dtype} {centroids.shape}, or values that are not finite")
        return np.ascontiguousarray(centroids, np.float32)


@contextlib.contextmanager
def _only_tensors(path):
    """Turn any error about the content of a foreign file into a `ValueError` that names the file."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # a damaged or hostile file can raise almost any error
        raise data_error(
            path,
            "only tensors are read from a foreign file, and nothing in it is run",
            expected="dense tensors and plain values",
            got="".join(c if c.isprintable() else " " for c in f"{error!s:.300}"),
            remedy="take the file from its publisher, see config/checkpoints.tsv",
        ) from error


def _map(path):
    """Return a file's bytes, mapped into memory; writing to them does not change the file."""
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def _read_pickles(path, mapped):
    """Return the content of a .pt file of any version, and storage key → (position, length) of its bytes."""
    if mapped[:4] == b"PK\3\4":
        return _read_zip(path, mapped)
    if mapped[:1] == b"\x80":
        return _read_legacy(path, mapped)
    raise UnpicklingError(f"a file that begins with {mapped[:8]!r}")


def _read_safetensors(path, mapped):
    """Return name → tensor after checking the length of the header."""
    from safetensors import safe_open

    header_bytes = int.from_bytes(mapped[:8], "little")
    if header_bytes > min(MAX_HEADER_BYTES, len(mapped)):
        raise UnpicklingError(f"a header of {header_bytes} bytes")
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (`file` is not a mapping)


def _read_zip(path, mapped):
    """Return the content of a .pt file, and storage key → (position, length) of its bytes.

    Members must be uncompressed, so that their total size cannot exceed that of the file.
    """
    with zipfile.ZipFile(path) as archive:
        members = {member.filename.partition("/")[2]: member for member in archive.infolist()}
    total_bytes = sum(member.file_size for member in members.values())
    if total_bytes > len(mapped) or any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
        raise UnpicklingError(f"compressed or overlapping members of {total_bytes} bytes in a file of {len(mapped)}")
    positions = {name: (_first_byte(member, mapped), member.file_size) for name, member in members.items()}
    if "byteorder" in positions and _slice(mapped, positions["byteorder"]) not in (b"", b"little"):
        raise UnpicklingError("values in another byte order")
    content = Unpickler(io.BytesIO(_slice(mapped, positions["data.pkl"]))).load()
    return content, {name.removeprefix("data/"): position for name, position in positions.items()}


def _slice(mapped, position):
    """Return the bytes at (position, length)."""
    start, length = position
    return mapped[start : start + length]


def _first_byte(member, mapped):
    """Return the position of the first byte of a stored member, which follows its local header."""
    name_and_extra_bytes = struct.unpack_from("<HH", mapped, member.header_offset + 26)
    start = member.header_offset + LOCAL_HEADER_BYTES + sum(name_and_extra_bytes)
    if start + member.file_size > len(mapped):
        raise UnpicklingError(f"a member {member.filename!r:.60} beyond the end of the file")
    return start


def _read_legacy(path, mapped):
    """Return the same as `_read_zip` for PyTorch before 1.6.

    Such a file is a sequence of pickles (magic number, version, system, content, keys of the storages), followed by the length
    and the values of every storage.
    """
    with open(path, "rb") as file:
        magic_number, version, system = (Unpickler(file).load() for _ in range(3))
        if (magic_number, version) != LEGACY_START or not system["little_endian"]:
            raise UnpicklingError("no checkpoint of PyTorch, or one in another byte order")
        unpickler = Unpickler(file)
        content = unpickler.load()
        keys = Unpickler(file).load()
        position = file.tell()
    positions = {}
    for key in keys:
        if type(key) is not str:
            raise UnpicklingError("a storage without a name")
        (count,) = struct.unpack_from("<q", mapped, position)
        length = count * _dtype(unpickler.storages[key]).itemsize
        start = position + 8
        if not 0 <= length <= len(mapped) - start:
            raise UnpicklingError(f"a storage of {count} values beyond the end of the file")
        positions[key] = (start, length)
        position = start + length
    return content, positions


def _records(content):
    """Yield (dotted name, record) of the tensors in nested mappings and lists, each of which is visited once."""
    pending = [((), content)]
    visited = set()
    names = set()
    while pending:
        path, value = pending.pop()
        if type(value) is TensorRecord:
            name = ".".join(path)
            if name in names:
                raise UnpicklingError(f"two tensors named {name!r:.80}")
            names.add(name)
            yield name, value
        elif type(value) in (dict, list, tuple) and id(value) not in visited:
            if len(path) == MAX_DEPTH:
                raise UnpicklingError(f"values more than {MAX_DEPTH} levels deep")
            visited.add(id(value))
            items = value.items() if type(value) is dict else enumerate(value)
            pending += reversed([((*path, str(key)), item) for key, item in items])


def _dtype(storage):
    """Return the type of a storage's values."""
    import torch

    return getattr(torch, storage.dtype)


def _tensor(record, positions, mapped):
    """Return the tensor of a record, as a view of the file's bytes."""
    import torch

    start, length = positions[record.storage.key]
    dtype = _dtype(record.storage)
    count = length // dtype.itemsize
    if math.prod(record.shape) > count:
        raise UnpicklingError(f"a tensor of shape {record.shape!r:.80} in a storage of {count} values")
    values = torch.frombuffer(mapped, dtype=dtype, count=count, offset=start) if count else torch.empty(0, dtype=dtype)
    return values.as_strided(record.shape, record.stride, record.offset)


class _ArrayUnpickler(Unpickler):
    """Unpickler for joblib, which writes the values of an array into the pickle, after the object that describes it."""

    def after_build(self, inert):
        """Read the values of an array that joblib wrote."""
        if inert.name != "joblib.numpy_pickle.NumpyArrayWrapper":
            return
        if inert.state.get("numpy_array_alignment_bytes") is not None:
            num_padding_bytes = self.file.read(1)[0]
            self.file.read(num_padding_bytes)
        dtype = _array_dtype(inert.state["dtype"])
        shape = checked_sizes(inert.state["shape"])
        values = np.frombuffer(self.file.read(math.prod(shape) * dtype.itemsize), dtype)
        inert.values = values.reshape(shape, order=inert.state["order"])


def _array_dtype(dtype):
    """Return the numpy type that an `Inert` describes; only numbers are allowed."""
    code = dtype.args[0]
    byte_order = dtype.state[1]
    if not re.fullmatch(r"[biufc][0-9]{1,2}", code) or byte_order not in "<>=|":
        raise UnpicklingError(f"an array of {code!r:.20}")
    return np.dtype(byte_order + code)


def _array(inert):
    """Return the array that an `Inert` describes."""
    if inert.values is not None:
        return inert.values
    _, shape, dtype, is_column_major, data = inert.state
    data = data.encode("latin1") if isinstance(data, str) else data  # Python 2 wrote bytes as text
    return np.frombuffer(data, _array_dtype(dtype)).reshape(checked_sizes(shape), order="F" if is_column_major else "C")


def _codebook_bytes(path):
    """Return a file's bytes, decompressed if they are a zlib or gzip stream."""
    with open(path, "rb") as file:
        data = file.read(MAX_CODEBOOK_BYTES + 1)
    if data[:1] in (b"\x78", b"\x1f"):
        stream = zlib.decompressobj(zlib.MAX_WBITS | 32)
        data = stream.decompress(data, MAX_CODEBOOK_BYTES + 1)
    if len(data) > MAX_CODEBOOK_BYTES:
        raise UnpicklingError(f"a codebook of more than {MAX_CODEBOOK_BYTES} bytes")
    return data
