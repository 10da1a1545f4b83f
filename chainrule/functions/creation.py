"""Tensors made from nothing but a shape, a range or an example: `zeros`, `arange`, `ones_like`, `Tensor.new_full`, ..."""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule._core.types import CPU, channels_last, channels_last_3d, preserve_format, require_cpu, strided
from chainrule.functions import from_data
from chainrule.functions.arguments import as_dtype, as_shape, require_tensor
from chainrule.functions.from_data import (
    array_of,
    as_tensor,
    asarray,
    check_range,
    finished,
    from_dlpack,
    from_file,
    from_numpy,
    frombuffer,
    legacy_tensor,
    tensor,
    to_dlpack,
)  # fmt: skip
from chainrule.kernels import ranges
from chainrule.ops.inplace import write_out
from chainrule.ops.overrides import public
from chainrule.tensor import Tensor, wrap

Number = bool | int | float | complex
C_NAMES = {
    "float32": "float", "float64": "double", "float16": "c10::Half", "bfloat16": "c10::BFloat16", "int32": "int",
    **{d.name: f"{d.name}_t" for d in dtypes.ALL if d.category == dtypes.INTEGRAL and d.name != "int32"},
}  # fmt: skip
STRIDE_ORDER = {channels_last: (4, (0, 2, 3, 1)), channels_last_3d: (5, (0, 2, 3, 4, 1))}


def made(
    function: str,
    data: np.ndarray,
    out: Tensor | None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """What a creation function returns around its array, after a look at the options that all of them take."""
    if device is not None and device is not CPU:
        require_cpu(device)
    if layout is not None and layout is not strided:
        raise RuntimeError(f"{function}(): tensors are strided here, but got layout {layout!r}")
    if pin_memory:
        raise RuntimeError("Cannot access accelerator device when none is available.")
    if out is not None:
        if out._data.shape != data.shape and not out.requires_grad:
            out._data = np.empty(0, out._data.dtype)  # creation functions resize without a warning
        return write_out(function, out, wrap(data))
    return finished(data, requires_grad)


def element(dtype: Any, out: Tensor | None = None) -> np.dtype:
    """The NumPy dtype of a `dtype=` argument, None being that of `out=` or else the default dtype."""
    if out is None:
        return (dtypes.get_default_dtype() if dtype is None else as_dtype(dtype)).numpy
    wanted = as_dtype(dtype)
    if wanted is not None and wanted is not out.dtype:
        raise RuntimeError(f"dtype {dtypes.LEGACY[wanted]} does not match dtype of out parameter ({dtypes.LEGACY[out.dtype]})")
    return out._data.dtype


def sizes(function: str, size: tuple, keyword: Any = None) -> tuple[int, ...]:
    """The shape given to a creation function, checked."""
    if keyword is None and size:
        shape = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
        for n in shape:
            if n.__class__ is not int or n < 0:
                break
        else:
            return shape
    if keyword is not None:
        size = (keyword,)
    elif not size:
        raise TypeError(f'{function}() missing 1 required positional arguments: "size"')
    if len(size) == 1 and not isinstance(size[0], (tuple, list)) and not hasattr(size[0], "__index__"):
        raise TypeError(f"{function}(): argument 'size' (position 1) must be tuple of ints, not {type(size[0]).__name__}")
    shape = as_shape(function, size)
    for n in shape:
        if n < 0:
            if function in ("zeros", "new_zeros"):
                raise RuntimeError("zeros: Dimension size must be non-negative.")
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {list(shape)}")
    return shape


def blank(shape: tuple[int, ...], dtype: np.dtype, memory_format: Any = None) -> np.ndarray:
    """An uninitialised array with the strides of a memory format."""
    if memory_format in STRIDE_ORDER:
        rank, order = STRIDE_ORDER[memory_format]
        if len(shape) != rank:
            raise RuntimeError(f"required rank {rank} tensor to use {memory_format.name} format")
        return np.empty([shape[i] for i in order], dtype).transpose(np.argsort(order).tolist())
    return np.empty(shape, dtype)


def blank_like(a: np.ndarray, dtype: np.dtype, memory_format: Any = None) -> np.ndarray:
    """An uninitialised array of a's shape, dimensions ordered in memory as a's are unless a format says otherwise."""
    if memory_format is None or memory_format is preserve_format:
        return np.empty_like(a, dtype, order="C" if 0 in a.strides else "K", subok=False)
    return blank(a.shape, dtype, memory_format)


# Filled with one value


def empty(
    *args: Any, size: Any = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """A tensor of the given sizes whose values are whatever the memory held.

    Example: `empty(2, 3).shape` is `torch.Size([2, 3])`.
    """
    return made(
        "empty", blank(sizes("empty", args, size), element(dtype, out), memory_format), out, layout, device, requires_grad, pin_memory
    )


def zeros(
    *args: Any, size: Any = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Zeros of the given sizes, in the default dtype unless `dtype` is given.

    Example:
        >>> zeros(2, 3)
        tensor([[0., 0., 0.],
                [0., 0., 0.]])
    """
    return made("zeros", np.zeros(sizes("zeros", args, size), element(dtype, out)), out, layout, device, requires_grad, pin_memory)


def ones(
    *args: Any, size: Any = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Ones of the given sizes, in the default dtype unless `dtype` is given.

    Example:
        >>> ones(3)
        tensor([1., 1., 1.])
    """
    return made("ones", np.ones(sizes("ones", args, size), element(dtype, out)), out, layout, device, requires_grad, pin_memory)


def full(
    size: Any, fill_value: Any, *, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor of the given sizes (a tuple) holding `fill_value`, whose type it takes unless `dtype` is given.

    Example:
        >>> full((2,), 7)
        tensor([7, 7])
    """
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}")
    value, implied = fill("full", fill_value, as_dtype(dtype), 2)
    return made("full", np.full(sizes("full", (size,)), value, implied.numpy), out, layout, device, requires_grad, pin_memory)


def fill(function: str, value: Any, dtype: dtypes.dtype | None, position: int) -> tuple[Any, dtypes.dtype]:
    """A fill value as a Python number that fits, and the dtype it is for."""
    if isinstance(value, Tensor) and not value._data.ndim:
        dtype, value = dtype or value.dtype, value.item()
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, Number):
        raise TypeError(f"{function}(): argument 'fill_value' (position {position}) must be Number, not {type(value).__name__}")
    dtype = dtype or dtypes.of_scalar(value)
    if isinstance(value, complex) and not dtype.is_complex:
        if value.imag:
            raise RuntimeError(f"value cannot be converted to type {C_NAMES.get(dtype.name, dtype.name)} without overflow")
        value = value.real
    if dtype.category == dtypes.INTEGRAL and not isinstance(value, bool):
        if not math.isfinite(value):
            raise RuntimeError(f"value cannot be converted to type {C_NAMES[dtype.name]} without overflow")
        value = int(value)
        check_range(np.array(value, object), dtype, C_NAMES[dtype.name])
        if not dtype.is_signed:
            value %= 2 ** (8 * dtype.itemsize)  # -1 wraps
    return value, dtype


def scalar_tensor(
    s: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:
    """A 0-dim tensor of a number, in the default dtype unless `dtype` is given. Example: `scalar_tensor(3)` is `tensor(3.)`."""
    target = as_dtype(dtype) or (dtypes.of_scalar(s) if isinstance(s, complex) else dtypes.get_default_dtype())
    return made("scalar_tensor", np.full((), *fill_pair("scalar_tensor", s, target)), None, layout, device, requires_grad, pin_memory)


def fill_pair(function: str, value: Any, dtype: dtypes.dtype | None) -> tuple[Any, np.dtype]:
    value, implied = fill(function, value, dtype, 2)
    return value, implied.numpy


def eye(
    n: int, m: int | None = None, *, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Ones on the diagonal of an (n, m) matrix (m is n if left out), zeros elsewhere.

    Example:
        >>> eye(2)
        tensor([[1., 0.],
                [0., 1.]])
    """
    for name, position, value in (("n", 1, n), ("m", 2, n if m is None else m)):
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise TypeError(f"eye(): argument '{name}' (position {position}) must be int, not {type(value).__name__}")
        if value < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {value}")
    return made("eye", np.eye(n, m, dtype=element(dtype, out)), out, layout, device, requires_grad, pin_memory)


# Ranges


def arange(
    start: Any = None, end: Any = None, step: Any = 1, *, out: Tensor | None = None, dtype: Any = None, layout: Any = None,
    device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Numbers from `start` (0 if one argument is given) up to but not with `end`, by `step`: int64 if all three are integers.

    Raises RuntimeError for a zero step, infinite bounds, and a step away from `end`.

    Example:
        >>> arange(1, 6, 2)
        tensor([1, 3, 5])
    """
    if end is None:
        start, end = 0, start
    start, end, step = bounds = [number("arange", v) for v in (0 if start is None else start, end, step)]
    target = as_dtype(dtype)
    if target is None:
        target = out.dtype if out is not None else dtypes.get_default_dtype() if float in map(type, bounds) else dtypes.int64
    if target is dtypes.bool_ or target.is_complex or target.name in ("uint16", "uint32", "uint64"):
        raise NotImplementedError(f"\"arange_cpu\" not implemented for '{dtypes.LEGACY[target]}'")
    check_bounds(start, end, step)
    if target is dtypes.int64 and int(step):
        count = max(0, -((int(start) - int(end)) // int(step)))
    else:
        count = math.ceil((float(end) - float(start)) / step)
        if target is dtypes.int64:
            raise ValueError("step must be nonzero")
    return made("arange", ranges.arange(start, step, count, target.numpy), out, layout, device, requires_grad, pin_memory)


def number(function: str, value: Any) -> Any:
    """A bound of a range as a Python int, float or complex."""
    if isinstance(value, (Tensor, np.generic)):
        value = value.item()
    if isinstance(value, (bool, int)):
        return int(value)
    if isinstance(value, (float, complex)):
        return value
    raise TypeError(f"{function}(): argument must be Number, not {type(value).__name__}")


def check_bounds(start: Any, end: Any, step: Any) -> None:
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start:g} -> {end:g}")
    if (end - start) * (1 if step > 0 else -1) < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")


def range(
    start: Any = 0, end: Any = None, step: Any = 1, *, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Deprecated: as `arange`, with `end` included. Example: `range(0, 2)` is `tensor([0., 1., 2.])`."""
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is inconsistent with Python's range "
        "builtin. "
        "Instead, use torch.arange, which produces values in [start, end).",
        UserWarning,
        stacklevel=3,
    )
    start, end, step = (number("range", v) for v in (start, end, step))
    check_bounds(start, end, step)
    count = math.floor((end - start) / step) + 1
    return made("range", ranges.arange(start, step, count, element(dtype)), out, layout, device, requires_grad, pin_memory)


def endpoints(function: str, start: Any, end: Any, steps: Any, dtype: Any, out: Tensor | None) -> tuple[Any, Any, int, np.dtype]:
    """The checked arguments of `linspace` and `logspace`."""
    for name, value in (("start", start), ("end", end)):
        if isinstance(value, Tensor) and value._data.ndim:
            raise RuntimeError(
                f"{function} only supports 0-dimensional start and end tensors, but got {name} with {value._data.ndim} dimension(s)."
            )
    if isinstance(steps, bool) or not hasattr(steps, "__index__"):
        raise TypeError(f"{function}(): argument 'steps' must be int, not {type(steps).__name__}")
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    start, end = number(function, start), number(function, end)
    default = dtypes.get_default_dtype()
    if isinstance(start, complex) or isinstance(end, complex):
        default = default.to_complex()
    target = as_dtype(dtype) or (default if out is None else out.dtype)
    if target is dtypes.bool_:
        raise NotImplementedError(f"\"{function}_cpu\" not implemented for 'Bool'")
    return start, end, operator.index(steps), target.numpy


def linspace(
    start: Any, end: Any, steps: int, *, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """`steps` evenly spaced numbers from `start` to `end`, both included.

    Example:
        >>> linspace(0, 1, 5)
        tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    start, end, steps, kind = endpoints("linspace", start, end, steps, dtype, out)
    data = ranges.linspace(start, end, steps, kind) if steps != 1 else np.full(1, start, kind)
    return made("linspace", data, out, layout, device, requires_grad, pin_memory)


def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, out: Tensor | None = None, dtype: Any = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """`base` to the power of `steps` evenly spaced exponents. Example: `logspace(0, 2, 3)` is `tensor([1., 10., 100.])`."""
    start, end, steps, kind = endpoints("logspace", start, end, steps, dtype, out)
    return made("logspace", ranges.logspace(start, end, steps, base, kind), out, layout, device, requires_grad, pin_memory)


# As an example tensor is


@public
def empty_like(
    input: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """An uninitialised tensor of input's shape and type. Example: `empty_like(ones(2, 3)).shape` is `torch.Size([2, 3])`."""
    return made("empty_like", like("empty_like", input, dtype, memory_format), None, layout, device, requires_grad, pin_memory)


def like(function: str, input: Tensor, dtype: Any, memory_format: Any) -> np.ndarray:
    require_tensor(function, input)
    return blank_like(input._data, input._data.dtype if dtype is None else element(dtype), memory_format)


@public
def zeros_like(
    input: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Zeros of input's shape and type. Example: `zeros_like(ones(2))` is `tensor([0., 0.])`."""
    data = like("zeros_like", input, dtype, memory_format)
    data[...] = 0
    return made("zeros_like", data, None, layout, device, requires_grad, pin_memory)


@public
def ones_like(
    input: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Ones of input's shape and type. Example: `ones_like(zeros(2))` is `tensor([1., 1.])`."""
    data = like("ones_like", input, dtype, memory_format)
    data[...] = 1
    return made("ones_like", data, None, layout, device, requires_grad, pin_memory)


@public
def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """`fill_value` in input's shape and type. Example: `full_like(zeros(2), 7)` is `tensor([7., 7.])`."""
    data = like("full_like", input, dtype, memory_format)
    data[...] = fill("full_like", fill_value, dtypes.BY_NUMPY[data.dtype], 2)[0]
    return made("full_like", data, None, layout, device, requires_grad, pin_memory)


@public
def new_tensor(
    self: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:
    """A new tensor of `data`, in self's type. Example: `ones(2).new_tensor([1, 2])` is `tensor([1., 2.])`."""
    if isinstance(data, Tensor):
        warnings.warn(
            from_data.COPY_CONSTRUCT.replace("torch.tensor(sourceTensor)", "tensor.new_tensor(sourceTensor)"), UserWarning, stacklevel=3
        )
    return finished(array_of(data, as_dtype(dtype) or self.dtype), requires_grad, device)


def own(self: Tensor, dtype: Any) -> np.dtype:
    return self._data.dtype if dtype is None else element(dtype)


@public
def new_empty(
    self: Tensor,
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """An uninitialised tensor of the given sizes in self's type. Example: `ones(2).new_empty(3).shape` is `torch.Size([3])`."""
    return made("new_empty", np.empty(sizes("new_empty", size), own(self, dtype)), None, layout, device, requires_grad, pin_memory)


@public
def new_zeros(
    self: Tensor,
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """Zeros of the given sizes in self's type. Example: `ones(2).new_zeros(3)` is `tensor([0., 0., 0.])`."""
    return made("new_zeros", np.zeros(sizes("new_zeros", size), own(self, dtype)), None, layout, device, requires_grad, pin_memory)


@public
def new_ones(
    self: Tensor,
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """Ones of the given sizes in self's type. Example: `zeros(2).new_ones(3)` is `tensor([1., 1., 1.])`."""
    return made("new_ones", np.ones(sizes("new_ones", size), own(self, dtype)), None, layout, device, requires_grad, pin_memory)


@public
def new_full(
    self: Tensor, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """`fill_value` in the given sizes (a tuple) and self's type. Example: `ones(2).new_full((2,), 3)` is `tensor([3., 3.])`."""
    kind = own(self, dtype)
    value, _ = fill("new_full", fill_value, dtypes.BY_NUMPY[kind], 2)
    return made("new_full", np.full(sizes("new_full", (size,)), value, kind), None, layout, device, requires_grad, pin_memory)


@public
def new(self: Tensor, *args: Any, device: Any = None) -> Tensor:
    """The legacy constructor of self's type. Example: `ones(2).new([3.])` is `tensor([3.])`."""
    return legacy_tensor(*args, dtype=self.dtype, device=device)


# Chosen strides


def strided_array(function: str, size: Any, stride: Any, dtype: np.dtype) -> np.ndarray:
    """An uninitialised array with strides counted in elements."""
    shape, steps = as_shape(function, (size,)), as_shape(function, (stride,))
    if len(shape) != len(steps):
        raise RuntimeError(f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides ({len(steps)})")
    if any([s < 0 for s in steps]):
        raise RuntimeError(f"Storage size calculation overflowed with sizes={list(shape)} and strides={list(steps)}")
    extent = 1 + sum([(n - 1) * s for n, s in zip(shape, steps, strict=True)]) if 0 not in shape else 0
    memory = np.empty(extent, dtype)
    return np.ndarray(shape, dtype, memory, 0, [s * dtype.itemsize for s in steps])


def empty_strided(
    size: Any,
    stride: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """An uninitialised tensor with the strides given, counted in elements. Example: `empty_strided((2, 3), (1, 2)).stride()`."""
    data = strided_array("empty_strided", size, stride, element(dtype))
    return made("empty_strided", data, None, layout, device, requires_grad, pin_memory)


@public
def new_empty_strided(
    self: Tensor, size: Any, stride: Any, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """As `empty_strided`, in self's type. Example: `ones(2).new_empty_strided((2, 3), (1, 2)).stride()`."""
    data = strided_array("new_empty_strided", size, stride, own(self, dtype))
    return made("new_empty_strided", data, None, layout, device, requires_grad, pin_memory)


def empty_permuted(
    size: Sequence[int], physical_layout: Sequence[int], *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """An uninitialised tensor whose memory runs through the dimensions in the order given, the last fastest.

    Example: `empty_permuted((2, 3, 4), (0, 2, 1)).stride()` is `(12, 1, 3)`.
    """
    shape = as_shape("empty_permuted", (size,))
    order = tuple(physical_layout)
    if len(order) != len(shape):
        raise RuntimeError(
            f"Number of dimensions in size does not match the length of the physical_layout; i.e. len(size) = {len(shape)} "
            f"is not equal to len(physical_layout) = {len(order)}"
        )
    for i, d in enumerate(order):
        if not 0 <= d < len(shape):
            raise RuntimeError(f"Dimension out of range (expected to be between 0 and {len(shape) - 1}, but got {d} at index {i})")
        if d in order[:i]:
            raise RuntimeError("Duplicate dim not allowed")
    data = np.empty([shape[i] for i in order], element(dtype)).transpose(np.argsort(order).tolist())
    return made("empty_permuted", data, None, layout, device, requires_grad, pin_memory)


globals().update(from_data.LEGACY_TYPES)
__all__ = [
    "tensor", "as_tensor", "asarray", "from_numpy", "from_dlpack", "to_dlpack", "frombuffer", "empty", "zeros", "ones", "full",
    "scalar_tensor", "eye", "from_file", "arange", "range", "linspace", "logspace", "empty_like", "zeros_like", "ones_like", "full_like",
    "empty_strided", "empty_permuted",
    *from_data.LEGACY_TYPES,
]  # fmt: skip
METHODS = ["new_tensor", "new_empty", "new_zeros", "new_ones", "new_full", "new_empty_strided", "new"]
OPERATORS = {"__dlpack__": from_data.__dlpack__, "__dlpack_device__": from_data.__dlpack_device__}
