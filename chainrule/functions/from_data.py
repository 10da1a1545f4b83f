"""Tensors from what Python and other libraries have: numbers, nested sequences, ndarrays, buffers, DLPack, and the legacy constructors."""

from __future__ import annotations

import ctypes
import os
import warnings
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule._core.types import CPU, Size, require_cpu
from chainrule._core.warn import warn_once
from chainrule.functions.arguments import as_dtype
from chainrule.ops.pointwise_form import cast_array
from chainrule.tensor import Tensor, wrap

PLAIN = frozenset((bool, int, float, complex))
SUPPORTED = "float64, float32, float16, complex64, complex128, int64, int32, int16, int8, uint64, uint32, uint16, uint8, and bool"
COPY_CONSTRUCT = (
    "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
    "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor)."
)
READ_ONLY = (
    "The given {what} is not writable, and PyTorch does not support non-writable tensors. This means {risk}. You may want to copy the "
    "{noun} to protect its data or make it writable before converting it to a tensor. This type of warning will be suppressed for the rest "
    "of this program."
)
KEEPS_HISTORY = (
    "torch.asarray: unspecified requires_grad now defaults to obj.requires_grad instead of False. Pass requires_grad=False explicitly to "
    "get the old behavior and silence this warning."
)


def finished(data: np.ndarray, requires_grad: bool = False, device: Any = None) -> Tensor:
    """A new leaf around an array."""
    if device is not None and device is not CPU:
        require_cpu(device)
    t = wrap(data)
    if requires_grad:
        if data.dtype.kind in "biu":
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        t._tracked = True
    return t


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False) -> Tensor:
    """A new tensor with a copy of `data`: a number, nested sequences of numbers, an ndarray or a tensor.

    Python floats become the default dtype, ints int64; arrays and tensors keep their type unless `dtype` is given. Raises ValueError
    for ragged sequences, TypeError for text, RuntimeError for a value that `dtype` cannot hold.

    Example:
        >>> tensor([[1, 2], [3, 4]])
        tensor([[1, 2],
                [3, 4]])
    """
    if isinstance(data, Tensor):
        warnings.warn(COPY_CONSTRUCT, UserWarning, stacklevel=2)
    target = as_dtype(dtype) if dtype is not None else None
    return finished(array_of(data, target), requires_grad, device)


def array_of(data: Any, dtype: dtypes.dtype | None) -> np.ndarray:
    """A new ndarray with the values of `data`, in `dtype` or in the type that they imply."""
    kind = type(data)
    if kind is float and (dtype is None or dtype.is_floating_point):
        return cast_array(np.array(data), (dtype or dtypes.get_default_dtype()).numpy)
    if isinstance(data, Tensor):
        data = data._data
    if isinstance(data, np.ndarray):
        array = native(data)
        return array.copy() if dtype is None or dtype.numpy is array.dtype else cast_array(array, dtype.numpy)
    if isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{kind.__name__}'")
    if not isinstance(data, (bool, int, float, complex, np.generic)):
        data = listed(data)
    kinds = leaf_kinds(data)
    if not kinds <= PLAIN:
        data, implied = unusual(data, kinds)
    else:
        implied = [of_kind(k) for k in kinds]
    inferred = reduce(dtypes.promote_types, implied) if implied else dtypes.get_default_dtype()
    try:
        array = np.array(data)
    except ValueError:
        raise ragged(data) from None
    if dtype is None and array.dtype.kind in "uO" and inferred is dtypes.int64:
        raise ValueError("Overflow when unpacking long long")
    return converted(array, dtype or inferred)


def leaf_kinds(data: Any) -> set[type]:
    """The types of the numbers in nested lists."""
    if not isinstance(data, (list, tuple)):
        return {type(data)}
    kinds = set(map(type, data))
    if kinds & {list, tuple}:
        kinds -= {list, tuple}
        return kinds.union(*[leaf_kinds(v) for v in data if isinstance(v, (list, tuple))])
    return kinds


def of_kind(kind: type) -> dtypes.dtype:
    return dtypes.BY_PYTHON[kind] if kind in dtypes.BY_PYTHON else dtypes.of_scalar(kind(0))


def unusual(data: Any, kinds: set[type]) -> tuple[Any, list[dtypes.dtype]]:
    """Nested lists that hold more than Python numbers, with tensors made numbers, and the dtypes of what they hold."""
    implied: set[dtypes.dtype] = set()
    if any(issubclass(k, np.ndarray) for k in kinds) and isinstance(data, (list, tuple)):
        warnings.warn(
            "Creating a tensor from a list of numpy.ndarrays is extremely slow. Please consider converting the list to a single "
            "numpy.ndarray "
            "with numpy.array() before converting to a tensor.",
            UserWarning,
            stacklevel=4,
        )

    def plain(v: Any) -> Any:
        if isinstance(v, (list, tuple)):
            return [plain(w) for w in v]
        if isinstance(v, Tensor):
            if v._data.size != 1:
                raise ValueError("only one element tensors can be converted to Python scalars")
            implied.add(v.dtype)
            return v._data.reshape(())[()]
        if isinstance(v, (np.ndarray, np.generic)):
            implied.add(dtypes.BY_NUMPY[native(v).dtype])
            return v
        if isinstance(v, (bool, int, float, complex)):
            implied.add(dtypes.of_scalar(v))
            return v
        if isinstance(v, (str, bytes)):
            raise ValueError(f"too many dimensions '{type(v).__name__}'")
        return plain(listed(v))

    return plain(data), list(implied)


def listed(data: Any) -> Any:
    """Any sequence as a list; numbers of foreign kinds as Python numbers."""
    if isinstance(data, (list, tuple)):
        return data
    if isinstance(data, Sequence | bytearray) or (hasattr(data, "__len__") and hasattr(data, "__getitem__") and not hasattr(data, "keys")):
        return list(data)
    if hasattr(data, "__index__"):
        return int(data)
    raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")


def ragged(data: Any) -> Exception:
    """The error for nested sequences of unequal lengths, naming the first that is wrong."""
    lengths = []
    first = data
    while (
        isinstance(first, (list, tuple, np.ndarray)) and np.ndim(first)
        if isinstance(first, np.ndarray)
        else isinstance(first, (list, tuple))
    ):
        lengths.append(len(first))
        first = first[0] if len(first) else None

    def check(value: Any, dim: int) -> Exception | None:
        if dim == len(lengths):
            return TypeError(f"'{type(value).__name__}' object cannot be interpreted as an integer") if hasattr(value, "__len__") else None
        if not hasattr(value, "__len__"):
            return TypeError("not a sequence")
        if len(value) != lengths[dim]:
            return ValueError(f"expected sequence of length {lengths[dim]} at dim {dim} (got {len(value)})")
        return next((e for e in (check(v, dim + 1) for v in value) if e), None)

    return check(data, 0) or ValueError("the nested sequences do not have one shape")


def converted(array: np.ndarray, dtype: dtypes.dtype) -> np.ndarray:
    """`array` in `dtype`, refusing values that it cannot hold."""
    target = dtype.numpy
    if array.dtype == target:
        return array if array.dtype is target else array.view(target)
    if array.dtype.kind == "c" and not dtype.is_complex:
        raise TypeError("must be real number, not complex")
    if array.dtype.kind == "O" and dtype.category >= dtypes.FLOATING:
        array = array.astype(np.float64)
    if target.kind in "iu" and array.size and array.dtype.kind != "b":
        check_range(array, dtype)
    return cast_array(array, target)


def check_range(array: np.ndarray, dtype: dtypes.dtype, name: str = "") -> None:
    """RuntimeError unless the integer type `dtype` holds all values; unsigned types take negative ones that wrap once."""
    limits = np.iinfo(dtype.numpy)
    low, high = (limits.min, limits.max) if dtype.is_signed else (-limits.max, limits.max)
    if not (low <= array.min() and array.max() <= high):
        raise RuntimeError(f"value cannot be converted to type {name or dtype.name} without overflow")


def native(array: Any) -> Any:
    """An ndarray whose dtype object is the one that tensors have; refuses what a tensor cannot be."""
    known = dtypes.BY_NUMPY.get(array.dtype)
    if known is None:
        if array.dtype.newbyteorder("=") in dtypes.BY_NUMPY:
            raise ValueError(
                "given numpy array has byte order different from the native byte order. Conversion between byte orders is currently not "
                "supported."
            )
        raise TypeError(f"can't convert np.ndarray of type numpy.{array.dtype.type.__name__}. The only supported types are: {SUPPORTED}.")
    if isinstance(array, np.generic):
        return array
    if any([s < 0 for s in array.strides]):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are not currently supported. "
            "(You can probably work around this by making a copy of your array  with array.copy().) "
        )
    array = np.asarray(array)
    return array if array.dtype is known.numpy else array.view(known.numpy)


def writable(array: np.ndarray) -> np.ndarray:
    """The same memory, which may be written to: whoever shares it was warned."""
    start, end = np.lib.array_utils.byte_bounds(array)
    memory = (ctypes.c_char * (end - start)).from_address(start)
    memory.owner = array  # lives as long as the memory is looked at
    return np.ndarray(array.shape, array.dtype, memory, array.ctypes.data - start, array.strides)


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor that shares an ndarray's memory: a change of either shows in the other.

    Raises TypeError for what is no ndarray and for element types that tensors do not have.

    Example:
        >>> a = np.zeros(2); t = from_numpy(a); a[0] = 1; t
        tensor([1., 0.], dtype=torch.float64)
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    data = native(ndarray)
    if not data.flags.writeable:
        risk = "writing to this tensor will result in undefined behavior"
        warn_once(READ_ONLY.format(what="NumPy array", risk=risk, noun="array"))
        data = writable(data)
    return wrap(data)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a tensor, without a copy where it is a tensor (history kept) or ndarray of the type wanted.

    Example: `as_tensor(np.arange(3))` shares the array's memory.
    """
    require_cpu(device)
    target = as_dtype(dtype)
    if isinstance(data, Tensor):
        return data if target is None or data.dtype is target else data.to(target)  # type: ignore[attr-defined]
    if isinstance(data, np.ndarray):
        shared = from_numpy(data)
        return shared if target is None or shared.dtype is target else wrap(cast_array(shared._data, target.numpy))
    return wrap(array_of(data, target))


def asarray(obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool | None = None) -> Tensor:
    """A tensor from a tensor, ndarray, DLPack exporter, buffer, number or sequence; memory is shared unless `copy` or a cast forbids.

    A tensor keeps its history unless `requires_grad` says otherwise; False takes it from a leaf that is shared, too.
    Raises ValueError when `copy=False` cannot be honoured.

    Example:
        >>> asarray([1, 2])
        tensor([1, 2])
    """
    require_cpu(device)
    target = as_dtype(dtype)
    shared: Tensor | None = None
    if isinstance(obj, Tensor):
        shared = obj
        if obj.requires_grad and requires_grad is None:
            warn_once(KEEPS_HISTORY)
    elif isinstance(obj, np.ndarray) or (not isinstance(obj, np.generic) and hasattr(obj, "__array_interface__")):
        shared = from_numpy(np.asarray(obj))
    elif isinstance(obj, np.generic):
        shared, copy = wrap(native(np.array(obj))), bool(copy)
    elif hasattr(obj, "__dlpack__"):
        shared = from_dlpack(obj)
    elif isinstance(obj, (bytes, bytearray, memoryview)) or (hasattr(obj, "__buffer__") and not isinstance(obj, (list, tuple))):
        shared = frombuffer(obj, dtype=target or dtypes.get_default_dtype())
    if shared is None:
        if copy is False:
            raise ValueError("can't alias arbitrary sequence into a tensor.")
        return finished(array_of(obj, target), bool(requires_grad))
    if target is not None and shared.dtype is not target:
        if copy is False:
            raise ValueError(f"can't alias tensor with dtype '{dtypes.LEGACY[shared.dtype]}' into dtype '{dtypes.LEGACY[target]}'.")
        shared = shared.to(target)  # type: ignore[attr-defined]
    elif copy:
        shared = shared.clone()  # type: ignore[attr-defined]
    if requires_grad is None or shared.requires_grad is requires_grad:
        return shared
    return shared.requires_grad_(requires_grad) if shared.is_leaf else shared.detach()  # type: ignore[attr-defined]


def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """A 1-D tensor over the memory of an object with Python's buffer protocol: `count` elements (-1: all) from byte `offset`.

    Example:
        >>> frombuffer(bytearray([1, 0, 2, 0]), dtype=int16)
        tensor([1, 2], dtype=torch.int16)
    """
    try:
        memory = memoryview(buffer)
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    target = as_dtype(dtype)
    if target is None:
        raise TypeError("frombuffer() missing 1 required positional arguments: 'dtype'")
    length, size = memory.nbytes, target.itemsize
    if length == 0 or count == 0:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({length} bytes) minus 1")
    if count < 0:
        if (length - offset) % size:
            raise ValueError(
                f"buffer length ({length - offset} bytes) after offset ({offset} bytes) must be a multiple of element size ({size})"
            )
        count = (length - offset) // size
    if offset + count * size > length:
        raise ValueError(
            f"requested buffer length ({count} * {size} bytes) after offset ({offset} bytes) must not be greater than actual buffer "
            f"length ({length} bytes)"
        )
    if memory.readonly:
        risk = "you can write to the underlying (supposedly non-writable) buffer using the tensor"
        warnings.warn(READ_ONLY.format(what="buffer", risk=risk, noun="buffer"), UserWarning, stacklevel=2)
    array = np.frombuffer(memory, target.numpy, count, offset)
    return finished(writable(array) if memory.readonly else array, requires_grad)


class _Capsule:
    """A bare DLPack capsule as an exporter."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor over the memory of another library's (an object with `__dlpack__`, or a capsule).

    Example: `from_dlpack(np.arange(3))` shares the array's memory.
    """
    require_cpu(device)
    if isinstance(ext_tensor, Tensor):
        ext_tensor = ext_tensor._data
    elif type(ext_tensor).__name__ == "PyCapsule":
        ext_tensor = _Capsule(ext_tensor)
    data = native(np.from_dlpack(ext_tensor, copy=copy))
    return wrap(data if data.flags.writeable else writable(data))  # a capsule of the first version cannot say that it may be written to


def to_dlpack(tensor: Tensor) -> Any:
    """A DLPack capsule of a tensor's memory. Example: `from_dlpack(to_dlpack(ones(2)))`."""
    return __dlpack__(tensor)


def __dlpack__(self: Tensor, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None) -> Any:
    """A DLPack capsule of the memory, for `from_dlpack` of any library; BufferError if the tensor requires grad."""
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    return self._data.__dlpack__(max_version=max_version, dl_device=dl_device, copy=copy)


def __dlpack_device__(self: Tensor) -> tuple[int, int]:
    """The DLPack device: the CPU, (1, 0)."""
    return 1, 0


# The legacy constructors


def legacy_tensor(*args: Any, dtype: dtypes.dtype | None = None, device: Any = None) -> Tensor:
    """What `Tensor(...)` and `FloatTensor(...)` make: sizes give uninitialised memory, a sequence or array its values, a tensor itself."""
    require_cpu(device)
    wanted = dtype or dtypes.get_default_dtype()
    if not args:
        return wrap(np.empty(0, wanted.numpy))
    first = args[0]
    if isinstance(first, Tensor) and len(args) == 1 and first._data.ndim:
        if dtype is not None and first.dtype is not dtype:
            raise TypeError(f"expected {dtypes.LEGACY[dtype]} (got {dtypes.LEGACY[first.dtype]})")
        return wrap(first._data)
    if isinstance(first, Size) and len(args) == 1:
        return wrap(np.empty(first, wanted.numpy))
    if isinstance(first, np.ndarray):
        return wrap(cast_array(native(first), wanted.numpy))
    if len(args) == 1 and isinstance(first, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(first).__name__}'")
    if all([hasattr(n, "__index__") for n in args]):
        return wrap(np.empty([n.__index__() for n in args], wanted.numpy))
    if len(args) > 1 or not hasattr(first, "__len__"):
        raise TypeError(f"new(): data must be a sequence (got {type(first).__name__})")
    return wrap(array_of(first, wanted))


def from_file(
    filename: str, shared: bool | None = None, size: int = 0, *, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The first `size` elements in a file as a tensor (size,), read when they are used. If `shared`, changes go to the file.

    A shared file is made, or grows, if need be; RuntimeError for another one that is missing or too small.

    Example: `from_file("values.bin", size=10, dtype=float64)`.
    """
    if not isinstance(filename, str):
        raise TypeError(f"from_file(): argument 'filename' (position 1) must be str, not {type(filename).__name__}")
    kind = (dtypes.get_default_dtype() if dtype is None else as_dtype(dtype)).numpy
    wanted = size * kind.itemsize
    if wanted < 0:
        raise RuntimeError(f"unable to mmap {wanted} bytes from file <{filename}>: Cannot allocate memory (12)")
    try:
        if shared:
            with open(filename, "ab") as file:
                if file.tell() < wanted:
                    file.truncate(wanted)
        held = os.stat(filename).st_size
    except OSError as error:
        mode = "read-write" if shared else "read-only"
        raise RuntimeError(f"unable to open file <{filename}> in {mode} mode: {error.strerror} ({error.errno})") from None
    if held < wanted:
        raise RuntimeError(f"file <{filename}> size <{held}> is smaller than the required mapping size <{wanted}>")
    data = np.memmap(filename, kind, "r+" if shared else "c", shape=(size,)) if size else np.empty(0, kind)
    return finished(np.asarray(data), requires_grad, device)


class tensortype(type):
    """The type of `FloatTensor` and its like: callable, and an isinstance test of a tensor's element type."""

    dtype: dtypes.dtype
    is_cuda = False

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, Tensor) and value.dtype is cls.dtype

    def __call__(cls, *args: Any, **kwargs: Any) -> Tensor:
        return legacy_tensor(*args, dtype=cls.dtype, **kwargs)


tensortype.__module__ = "torch"
NAMES = {d: f"{short}Tensor" for d, short in dtypes.LEGACY.items() if not short.startswith(("UInt", "Complex"))}
LEGACY_TYPES = {name: tensortype(name, (), {"dtype": d, "__module__": "torch"}) for d, name in NAMES.items()}
