"""Read foreign pickles without running them.

A pickle is a program that can call any importable function. This unpickler imports nothing. It calls only the few functions in
`REBUILD`, which are in this module or harmless. A tensor becomes a `TensorRecord`, which says where its values are in the file.
An object of a class in `INERT` becomes an `Inert`, which only stores what the pickle gives it. Every other name is refused: an
allow-list is safe, whereas lists of forbidden names have been bypassed.
"""

import pickle
from dataclasses import dataclass

MAX_PICKLE_BYTES = 2 * 2**20  # without the values of tensors; the objects of a thousand tensors take 0.2 MB
# Classes and functions that occur in checkpoints of fairseq, torchaudio, CPC and scikit-learn. A name that ends in a dot
# includes everything below it.
INERT = (
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
    """A name of a class or function in a pickle. Nothing is imported for it."""

    name: str


class Inert:
    """Placeholder for an object of a pickle.

    Attributes:
        name: name of the object's class.
        args: arguments that the class would be called with.
        state: state that the object would be given.
        values: array that follows the object in the file, if the reader adds one.
    """

    __slots__ = ("args", "name", "state", "values")

    def __init__(self, name, args):
        self.name = name
        self.args = args
        self.state = None
        self.values = None

    def ignore(self, *_):
        """Drop the items of an object that acts as a list, a set or a mapping."""

    append = extend = add = __setitem__ = ignore


@dataclass(frozen=True)
class Storage:
    """A block of values in the file: `key` names it, `dtype` is the type of the values, such as `float32`."""

    key: str
    dtype: str


@dataclass(frozen=True)
class TensorRecord:
    """A dense tensor: its storage, the offset of its first value there, shape and stride, all counted in values."""

    storage: Storage
    offset: int
    shape: tuple
    stride: tuple


def checked_sizes(value):
    """Return a sequence of at most `MAX_DIMENSIONS` non-negative integers as a tuple; refuse anything else.

    The types are checked because Python also multiplies lists: `[0] * 10**9` would be a huge one.

    Raises:
        pickle.UnpicklingError: if `value` is anything else.
    """
    if type(value) in (tuple, list) and len(value) <= MAX_DIMENSIONS and all(type(n) is int and 0 <= n < 2**63 for n in value):
        return tuple(value)
    raise pickle.UnpicklingError("sizes that are not a few non-negative integers")


def _tensor(storage, offset, shape, stride, *_):
    """Return the `TensorRecord` of a tensor."""
    if type(storage) is not Storage or len(checked_sizes(shape)) != len(checked_sizes(stride)):
        raise pickle.UnpicklingError(f"a tensor made from a {type(storage).__name__}, or with other strides than sizes")
    return TensorRecord(storage, *checked_sizes([offset]), checked_sizes(shape), checked_sizes(stride))


def _parameter(tensor, *_):
    """Return the tensor of a parameter."""
    return tensor


def _mapping(items=(), *_):
    """Return a dict for an ordered or default dict; the arguments of a default dict hold no items."""
    return add_plain_items({}, items) if type(items) is list else {}


def add_plain_items(mapping, pairs):
    """Add the pairs with plain keys to `mapping` and return it. Other keys are dropped: some take forever to hash."""
    for key, value in pairs:
        if type(mapping) is Inert or type(key) in PLAIN_KEYS:
            mapping[key] = value
    return mapping


def _encode(text, encoding):
    """Return the bytes that an older pickle protocol wrote as text."""
    if encoding != "latin1":
        raise pickle.UnpicklingError("bytes in an encoding other than latin1")
    return text.encode("latin1")


REBUILD = {  # name in a pickle → the function that is called for it
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": _mapping,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.Size": tuple,
    "_codecs.encode": _encode,
}
STORAGES = dict(  # class of torch → type of its values
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
    """A binary file of which at most `bytes_left` bytes can be read or copied, even if a pickle claims more."""

    def __init__(self, file, bytes_left):
        self.file = file
        self.bytes_left = bytes_left

    def spend(self, size):
        """Subtract `size` bytes from the budget; raise `UnpicklingError` if less is left."""
        if not 0 <= size <= self.bytes_left:
            raise pickle.UnpicklingError(f"a pickle with an item of {size} bytes, {self.bytes_left} left")
        self.bytes_left -= size

    def read(self, size):
        """Return exactly `size` bytes; raise `UnpicklingError` if the file or the budget ends earlier."""
        self.spend(size)
        data = self.file.read(size)
        if len(data) < size:
            raise pickle.UnpicklingError("a pickle that is cut off")
        return data

    def readline(self):
        """Return the bytes up to and including the next line end."""
        line = self.file.readline(self.bytes_left)
        self.bytes_left -= len(line)
        return line


class Unpickler(pickle._Unpickler):
    """Python's unpickler in pure Python, restricted to the allow-list.

    The version in C is not used: it reserves as much memory as a hostile pickle demands.
    """

    dispatch = pickle._Unpickler.dispatch.copy()

    def __init__(self, file):
        self.file = file
        self.budget = Budget(file, MAX_PICKLE_BYTES)
        self.storages = {}
        super().__init__(self.budget, encoding="latin1")

    def find_class(self, module, name):
        """Return the `Global` of an allowed name."""
        full_name = f"{PYTHON_2.get(module, module)}.{name}"
        is_storage = module in ("torch", "torch.storage") and name in STORAGES
        is_inert = full_name in INERT or full_name.startswith(tuple(prefix for prefix in INERT if prefix.endswith(".")))
        if full_name in REBUILD or is_storage or is_inert:
            return Global(full_name)
        raise pickle.UnpicklingError(f"{full_name}, which is not on the allow-list")

    def persistent_load(self, pid):
        """Return the `Storage` that a reference names. Pickles of torch have no other references."""
        kinds = [type(part) for part in pid[:3]] if type(pid) is tuple else []
        if kinds != [str, Global, str] or pid[0] != "storage" or any(pid[5:]):
            raise pickle.UnpicklingError("a reference to something other than a storage")
        _, storage_class, key, *_ = pid
        dtype = STORAGES[storage_class.name.rpartition(".")[2]]
        return self.storages.setdefault(key, Storage(key, dtype))

    def call(self, function, args):
        """Return the result of a call `function(*args)` in the pickle: that of a `REBUILD` function, or an `Inert`."""
        if type(function) is not Global:
            raise pickle.UnpicklingError(f"a call of a {type(function).__name__}")
        if function.name not in REBUILD:
            return Inert(function.name, args)
        self.budget.spend(sum(len(part) for part in args if isinstance(part, str | list | tuple)))
        return REBUILD[function.name](*args)

    def _instantiate(self, klass, args):
        self.append(self.call(klass, args))

    def load_reduce(self):
        args = self.stack.pop()
        self.stack[-1] = self.call(self.stack[-1], args)

    def load_newobj_ex(self):
        self.stack.pop()
        self.load_reduce()

    def load_build(self):
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is Inert:
            target.state = state
            self.after_build(target)
        elif type(target) is not dict:  # a dict gets the attributes of an OrderedDict, such as a state dict's _metadata
            raise pickle.UnpicklingError(f"a state for a {type(target).__name__}")

    def load_setitem(self):
        value = self.stack.pop()
        key = self.stack.pop()
        add_plain_items(self.stack[-1], [(key, value)])

    def load_setitems(self):
        items = self.pop_mark()
        add_plain_items(self.stack[-1], zip(items[::2], items[1::2]))

    def load_dict(self):
        items = self.pop_mark()
        self.append(add_plain_items({}, zip(items[::2], items[1::2])))

    def after_build(self, inert):
        """Called with every `Inert` after it has received its state; subclasses can read what follows it in the file."""

    def refuse(self):
        """Refuse an opcode."""
        raise pickle.UnpicklingError("an instruction that no checkpoint needs")

    dispatch[pickle.REDUCE[0]] = dispatch[pickle.NEWOBJ[0]] = load_reduce
    dispatch[pickle.NEWOBJ_EX[0]] = load_newobj_ex
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.DICT[0]] = load_dict
    dispatch.update(dict.fromkeys((code[0] for code in UNUSED_OPCODES), refuse))
