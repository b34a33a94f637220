"""Reading foreign pickles without running them.

A pickle is a program that may call anything that can be imported. Here nothing is imported and nothing is called but the
few functions of `REBUILD`, all of this module: tensors become records of where their values lie, and objects of the
classes in `INERT` become an `Inert` that only keeps what it was given. Every other name is refused. An allow-list, as
scanners for bad names get bypassed.
"""

import pickle
from dataclasses import dataclass

MAX_PICKLE_BYTES = 2 * 2**20  # of objects, without the values of tensors; a thousand tensors take 0.2 MB
INERT = (  # classes and functions that checkpoints of fairseq, torchaudio, CPC and scikit-learn name; a final dot: all below
    "argparse.Namespace",
    "builtins.bool",
    "builtins.bytes",
    "builtins.complex",
    "builtins.dict",
    "builtins.float",
    "builtins.getattr",
    "builtins.int",
    "builtins.list",
    "builtins.long",
    "builtins.object",
    "builtins.set",
    "builtins.str",
    "builtins.tuple",
    "builtins.type",
    "builtins.unicode",
    "_operator.getitem",
    "operator.getitem",
    "collections.Counter",
    "copyreg._reconstructor",
    "enum.Enum",
    "fairseq.",
    "hydra.",
    "joblib.numpy_pickle.NumpyArrayWrapper",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "numpy.ndarray",
    "numpy.random.",
    "omegaconf.",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.PurePosixPath",
    "sklearn.",
    "torch.device",
    "torch.float16",
    "torch.float32",
    "torch.float64",
    "torch.int64",
    "typing.Any",
    "typing.Dict",
    "typing.List",
    "typing.Optional",
    "typing.Tuple",
    "typing.Union",
)
PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}
UNUSED_OPCODES = (
    pickle.EXT1,
    pickle.EXT2,
    pickle.EXT4,
    pickle.BYTEARRAY8,
    pickle.NEXT_BUFFER,
    pickle.READONLY_BUFFER,
    pickle.PERSID,
    pickle.EMPTY_SET,
    pickle.ADDITEMS,
    pickle.FROZENSET,
)
PLAIN_KEYS = (str, int, float, bool, bytes, type(None))
MAX_DIMENSIONS = 8


@dataclass(frozen=True)
class Global:
    """A name that a pickle refers to. It stands for nothing."""

    name: str


class Inert:
    """What stands for an object: the name of its class, the arguments it was made with, the state it was given."""

    __slots__ = ("args", "name", "state", "values")

    def __init__(self, name, args):
        self.name, self.args, self.state, self.values = name, args, None, None

    def ignore(self, *_):
        """Items of an object that acts as a list, a set or a mapping are of no interest."""

    append = extend = add = __setitem__ = ignore


@dataclass(frozen=True)
class Storage:
    """Where values lie: `key` names the storage, `kind` is their type, such as `float32`."""

    key: str
    kind: str


@dataclass(frozen=True)
class Record:
    """A dense tensor: its storage, the first value's position in it, sizes and strides, all counted in values."""

    storage: Storage
    offset: int
    shape: tuple
    stride: tuple


def sizes(found):
    """A tuple of a few numbers that are not negative; anything else is refused. Python multiplies lists as well."""
    if type(found) in (tuple, list) and len(found) <= MAX_DIMENSIONS and all(type(n) is int and 0 <= n < 2**63 for n in found):
        return tuple(found)
    raise pickle.UnpicklingError("sizes that are none")


def _tensor(storage, offset, shape, stride, *_):
    if type(storage) is not Storage or len(sizes(shape)) != len(sizes(stride)):
        raise pickle.UnpicklingError(f"a tensor of a {type(storage).__name__}")
    return Record(storage, *sizes([offset]), sizes(shape), sizes(stride))


def _parameter(tensor, *_):
    return tensor


def _mapping(items=(), *_):
    return with_items({}, items) if type(items) is list else {}


def with_items(mapping, pairs):
    """`mapping` with those of the pairs whose keys are plain: nested tuples could take for ever to hash."""
    for key, value in pairs:
        if type(mapping) is Inert or type(key) in PLAIN_KEYS:
            mapping[key] = value
    return mapping


def _encode(text, encoding):
    if encoding != "latin1":
        raise pickle.UnpicklingError("bytes in an encoding other than latin1")
    return text.encode("latin1")


REBUILD = {
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": _mapping,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.Size": tuple,
    "_codecs.encode": _encode,
}
STORAGES = dict(
    DoubleStorage="float64",
    FloatStorage="float32",
    HalfStorage="float16",
    BFloat16Storage="bfloat16",
    LongStorage="int64",
    IntStorage="int32",
    ShortStorage="int16",
    CharStorage="int8",
    ByteStorage="uint8",
    BoolStorage="bool",
)


class Budget:
    """A binary file from which no more than `left` bytes may be read, and copied, however much a pickle asks for."""

    def __init__(self, file, left):
        self.file, self.left = file, left

    def spend(self, size):
        """Raises an error where less than `size` is left."""
        if not 0 <= size <= self.left:
            raise pickle.UnpicklingError(f"a pickle with an item of {size} bytes, {self.left} left")
        self.left -= size

    def read(self, size):
        """`size` bytes, or an error."""
        self.spend(size)
        data = self.file.read(size)
        if len(data) < size:
            raise pickle.UnpicklingError("a pickle that is cut off")
        return data

    def readline(self):
        """Bytes up to the next line end."""
        line = self.file.readline(self.left)
        self.left -= len(line)
        return line


class Unpickler(pickle._Unpickler):
    """Python's own unpickler, in Python: its C twin reserves memory as a hostile pickle tells it to."""

    dispatch = pickle._Unpickler.dispatch.copy()

    def __init__(self, file):
        self.file, self.budget, self.storages = file, Budget(file, MAX_PICKLE_BYTES), {}
        super().__init__(self.budget, encoding="latin1")

    def find_class(self, module, name):
        full = f"{PYTHON_2.get(module, module)}.{name}"
        is_storage = module in ("torch", "torch.storage") and name in STORAGES
        if full in REBUILD or is_storage or full in INERT or full.startswith(tuple(n for n in INERT if n.endswith("."))):
            return Global(full)
        raise pickle.UnpicklingError(f"{full}, which is on no allow-list")

    def persistent_load(self, pid):
        """A storage; other than by these, pickles of torch refer to nothing outside."""
        kinds = [type(part) for part in pid[:3]] if type(pid) is tuple else []
        if kinds != [str, Global, str] or pid[0] != "storage" or any(pid[5:]):
            raise pickle.UnpicklingError("a reference to something else than a storage")
        _, kind, key, *_ = pid
        return self.storages.setdefault(key, Storage(key, STORAGES[kind.name.rpartition(".")[2]]))

    def make(self, function, args):
        """What `function(*args)` stands for."""
        if type(function) is not Global:
            raise pickle.UnpicklingError(f"a call of a {type(function).__name__}")
        if function.name not in REBUILD:
            return Inert(function.name, args)
        self.budget.spend(sum(len(part) for part in args if isinstance(part, str | list | tuple)))
        return REBUILD[function.name](*args)

    def _instantiate(self, klass, args):
        self.append(self.make(klass, args))

    def load_reduce(self):
        args = self.stack.pop()
        self.stack[-1] = self.make(self.stack[-1], args)

    def load_newobj_ex(self):
        self.stack.pop()
        self.load_reduce()

    def load_build(self):
        state = self.stack.pop()
        made = self.stack[-1]
        if type(made) is Inert:
            made.state = state
            self.built(made)
        elif type(made) is not dict:  # an OrderedDict's own attributes, such as a state dict's _metadata
            raise pickle.UnpicklingError(f"a state for a {type(made).__name__}")

    def load_setitem(self):
        value, key = self.stack.pop(), self.stack.pop()
        with_items(self.stack[-1], [(key, value)])

    def load_setitems(self):
        items = self.pop_mark()
        with_items(self.stack[-1], zip(items[::2], items[1::2]))

    def load_dict(self):
        items = self.pop_mark()
        self.append(with_items({}, zip(items[::2], items[1::2])))

    def built(self, made):
        """Called with each `Inert` that has got its state."""

    def refuse(self):
        raise pickle.UnpicklingError("an instruction that no checkpoint needs")

    dispatch[pickle.REDUCE[0]] = dispatch[pickle.NEWOBJ[0]] = load_reduce
    dispatch[pickle.NEWOBJ_EX[0]] = load_newobj_ex
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]], dispatch[pickle.SETITEMS[0]], dispatch[pickle.DICT[0]] = load_setitem, load_setitems, load_dict
    dispatch.update(dict.fromkeys((code[0] for code in UNUSED_OPCODES), refuse))
