"""From one type to another: `Tensor.to` and its short forms, what types can be asked, and the memory seen by others."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core import dtypes, modes
from chainrule._core.limits import finfo, iinfo
from chainrule._core.types import CPU, channels_last, channels_last_3d, device as Device, memory_format as MemoryFormat, require_cpu
from chainrule._core.warn import warn_once
from chainrule.functions.arguments import as_dtype, require_tensor
from chainrule.functions.from_data import LEGACY_TYPES, from_numpy, tensortype
from chainrule.functions.memory import clone, is_contiguous
from chainrule.ops import shape as ops
from chainrule.ops.inplace import check_writable
from chainrule.ops.overrides import dispatch, public
from chainrule.ops.pointwise_form import cast_array, result_type as promoted
from chainrule.tensor import Tensor, wrap

DISCARDS = "Casting complex values to real discards the imaginary part"


def converted(t: Tensor, target: dtypes.dtype, copy: bool = False, memory_format: MemoryFormat | None = None) -> Tensor:
    """t in another type (and memory order): t itself if nothing changes and `copy` is not asked for."""
    a = t._data
    if a.dtype is target.numpy or a.dtype == target.numpy:
        ordered = memory_format not in (channels_last, channels_last_3d) or is_contiguous(t, memory_format=memory_format)  # type: ignore[arg-type]
        if ordered and not copy:
            return t
        return clone(t, memory_format=memory_format) if memory_format is not None else clone(t)
    if a.dtype.kind == "c" and not target.is_complex and target is not dtypes.bool_:
        warn_once(DISCARDS)
    if t.requires_grad or modes.state.busy:
        result = ops.cast(t, target)
    else:
        result = wrap(cast_array(a, target.numpy))
    return clone(result, memory_format=memory_format) if memory_format in (channels_last, channels_last_3d) else result


def to(self: Tensor, *args: Any, **options: Any) -> Tensor:
    """The tensor in another type: `to(dtype)`, `to(device)`, `to(device, dtype)`, `to(other)`; itself if it is so already.

    Options: dtype, device, non_blocking, copy (a new tensor always), memory_format. Complex to real drops the imaginary part with a
    warning. Raises RuntimeError or AssertionError for devices other than the CPU.

    Example:
        >>> tensor([1, 2]).to(float32)
        tensor([1., 2.])
    """
    if modes.state.busy:
        done, value = dispatch(to, (self, *args), options)
        if done:
            return value
    if len(args) == 1 and not options and args[0].__class__ is dtypes.dtype:
        return converted(self, args[0])
    target, copy, memory_format = to_arguments(args, options)
    return converted(self, self.dtype if target is None else target, copy, memory_format)


def to_arguments(args: tuple, options: dict) -> tuple[dtypes.dtype | None, bool, Any]:
    """(dtype, copy, memory_format) of any of the forms of `to`; devices are checked."""
    rest = list(args)
    named = dict(options)
    target, where = named.pop("dtype", None), named.pop("device", None)
    other, memory_format = named.pop("other", None), named.pop("memory_format", None)
    if rest:
        first = rest.pop(0)
        if isinstance(first, Tensor):
            other = first
        elif names_type(first):
            target = first
        elif first is None or isinstance(first, (str, Device)) or (isinstance(first, int) and not isinstance(first, bool)):
            where = first
            if rest and (rest[0] is None or names_type(rest[0])):
                target = rest.pop(0)
        else:
            raise TypeError(f"to() received an invalid combination of arguments - got ({type(first).__name__})")
    flags = [*rest, *[None] * (2 - len(rest))]
    if len(rest) > 2:
        raise TypeError(f"to() received an invalid combination of arguments - got {len(args)} of them")
    named.pop("non_blocking", None)
    copy = bool(named.pop("copy", flags[1]))
    if named:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(named))}'")
    if isinstance(where, int):
        raise RuntimeError("Cannot access accelerator device when none is available.")
    require_cpu(where)
    return other.dtype if other is not None else as_dtype(target), copy, memory_format


def names_type(value: Any) -> bool:
    return isinstance(value, dtypes.dtype) or value in (float, int, bool, complex)


def shorthand(name: str, target: dtypes.dtype) -> Callable:
    """The method `x.float()` for one dtype."""

    def method(self: Tensor, *, memory_format: MemoryFormat | None = None) -> Tensor:
        if modes.state.busy:
            done, value = dispatch(method, (self,), {})
            if done:
                return value
        return converted(self, target, False, memory_format)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"The tensor as {target!r}; itself if it is so already. Example: `tensor(1).{name}().dtype` is `{target!r}`."
    return method


SHORT = {
    "float": dtypes.float32, "double": dtypes.float64, "half": dtypes.float16, "bfloat16": dtypes.bfloat16, "long": dtypes.int64,
    "int": dtypes.int32, "short": dtypes.int16, "char": dtypes.int8, "byte": dtypes.uint8, "bool": dtypes.bool_, "cfloat": dtypes.complex64,
    "cdouble": dtypes.complex128,
}  # fmt: skip
SHORTHANDS = {name: shorthand(name, target) for name, target in SHORT.items()}


@public
def type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor in other's type. Example: `tensor(1).type_as(ones(1))` is `tensor(1.)`."""
    require_tensor("type_as", other, "other")
    return converted(self, other.dtype)


@public
def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False, **options: Any) -> Any:
    """The name of the tensor's legacy type, "torch.FloatTensor"; given a type or such a name, the tensor converted to it.

    Example: `ones(1).type()` is `"torch.FloatTensor"`; `ones(1).type(int64)` is `tensor([1])`.
    """
    if dtype is None:
        return f"torch.{type_name(self.dtype)}Tensor"
    if dtype is Tensor or dtype == "torch.Tensor":
        dtype = dtypes.get_default_dtype()
    if isinstance(dtype, tensortype):
        dtype = dtype.dtype
    if isinstance(dtype, type):
        dtype = dtype.__name__
    if isinstance(dtype, str):
        known = LEGACY_TYPES.get(dtype.removeprefix("torch."))
        if known is None or not dtype.startswith("torch."):
            raise ValueError(f"invalid type: '{dtype}'")
        dtype = known.dtype
    if not isinstance(dtype, dtypes.dtype):
        raise TypeError("dtype must be a type, str, or dtype object")
    return converted(self, dtype)


def type_name(d: dtypes.dtype) -> str:
    return dtypes.LEGACY[d]


@public
def cpu(self: Tensor, *, memory_format: MemoryFormat | None = None) -> Tensor:
    """The tensor itself: every tensor is on the CPU."""
    return converted(self, self.dtype, False, memory_format)


def cuda(self: Tensor, device: Any = None, non_blocking: bool = False, *, memory_format: MemoryFormat | None = None) -> Tensor:
    """Refused: chainrule computes on the CPU."""
    require_cpu("cuda" if device is None else device)
    return self


def to_dense(self: Tensor, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
    """The tensor itself (in `dtype`, if given): every tensor is dense."""
    return converted(self, as_dtype(dtype) or self.dtype)


# What types say


@public
def is_floating_point(input: Tensor) -> bool:
    """Whether the type is a floating one. Example: `is_floating_point(ones(1))` is `True`."""
    require_tensor("is_floating_point", input)
    return input.dtype.is_floating_point


@public
def is_complex(input: Tensor) -> bool:
    """Whether the type is complex. Example: `is_complex(ones(1))` is `False`."""
    require_tensor("is_complex", input)
    return input.dtype.is_complex


@public
def is_signed(input: Tensor) -> bool:
    """Whether the type has negative numbers. Example: `is_signed(tensor(True))` is `False`."""
    require_tensor("is_signed", input)
    return input.dtype.is_signed


@public
def is_inference(input: Tensor) -> bool:
    """Whether the tensor was made in inference mode."""
    require_tensor("is_inference", input)
    return input._inference


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a Tensor. Example: `is_tensor(3)` is `False`."""
    return isinstance(obj, Tensor)


def typename(obj: Any) -> str:
    """The name of an object's type, with its module; of a tensor its legacy type. Example: `typename(ones(1))` is "torch.FloatTensor"."""
    if isinstance(obj, Tensor):
        return obj.type()  # type: ignore[attr-defined]
    kind = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(kind, "__module__", "") or ""
    return kind.__qualname__ if module in ("", "builtins") else f"{module}.{kind.__qualname__}"


def can_cast(from_: dtypes.dtype, to: dtypes.dtype) -> bool:
    """Whether PyTorch's promotion rules let a result of one type be written to another. Example: `can_cast(float64, int32)` is `False`."""
    for name, position, d in (("from_", 1, from_), ("to", 2, to)):
        if not isinstance(d, dtypes.dtype):
            raise TypeError(f"can_cast(): argument '{name}' (position {position}) must be torch.dtype, not {type(d).__name__}")
    return dtypes.can_cast(from_, to)


def result_type(tensor1: Any, tensor2: Any) -> dtypes.dtype:
    """The type of the sum of two tensors or numbers. Example: `result_type(tensor([1, 2]), 1.0)` is `torch.float32`."""
    for v in (tensor1, tensor2):
        if not isinstance(v, (Tensor, numbers.Number, np.generic)):
            got = ", ".join([type(w).__name__ for w in (tensor1, tensor2)])
            raise TypeError(f"result_type() received an invalid combination of arguments - got ({got})")
    return promoted((tensor1, tensor2))


def set_default_tensor_type(t: Any) -> None:
    """Deprecated: `set_default_dtype` by the name of a legacy type. Example: `set_default_tensor_type("torch.FloatTensor")`."""
    warn_once(
        "torch.set_default_tensor_type() is deprecated as of PyTorch 2.1, please use torch.set_default_dtype() and "
        "torch.set_default_device() as alternatives."
    )
    kind = LEGACY_TYPES.get(t.removeprefix("torch.")) if isinstance(t, str) else t
    if not isinstance(kind, tensortype):
        raise TypeError(f"invalid type object: '{t}'")
    dtypes.set_default_dtype(kind.dtype)


def set_default_device(device: Any) -> None:
    """Where new tensors go: the CPU, the only device there is."""
    require_cpu(device)


def get_default_device() -> Device:
    """Where new tensors go. Example: `get_default_device()` is `device(type='cpu')`."""
    return CPU


# Memory


def element_size(self: Tensor) -> int:
    """The bytes of one element. Example: `ones(1).element_size()` is `4`."""
    return self._data.itemsize


def data_ptr(self: Tensor) -> int:
    """The address of the first element."""
    return ops.address(self._data) if self._data.size else 0


const_data_ptr = data_ptr


def get_device(input: Tensor) -> int:
    """The number of the device: -1, the CPU."""
    return -1


def is_shared(self: Tensor) -> bool:
    """Whether the memory is shared between processes: it never is."""
    return False


def share_memory_(self: Tensor) -> Tensor:
    """Returns the tensor: threads share its memory as it is. (Its memory is not moved to where other processes could see it.)"""
    return self


def is_pinned(self: Tensor, device: Any = None) -> bool:
    """Whether the memory is pinned for an accelerator: it never is."""
    return False


def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """Refused: there is no accelerator to pin memory for."""
    raise RuntimeError("Cannot access accelerator device when none is available.")


def is_distributed(self: Tensor) -> bool:
    """Whether the tensor is spread over several processes: it never is."""
    return False


def module_load(self: Tensor, other: Tensor, assign: bool = False) -> Tensor:
    """What `Module.load_state_dict` makes of `other`, the value for this parameter: self with its values, or itself if `assign`."""
    return other.detach() if assign else self.copy_(other).detach()  # type: ignore[attr-defined]


# Python's protocols


def __array_wrap__(self: Tensor, array: np.ndarray, context: Any = None, return_scalar: bool = False) -> Tensor:
    """What NumPy's functions return for a tensor: a tensor."""
    return from_numpy(np.asarray(array.astype(np.uint8) if array.dtype == bool else array))


def __contains__(self: Tensor, element: Any) -> bool:
    if not isinstance(element, (Tensor, numbers.Number)):
        raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")
    other = element._data if isinstance(element, Tensor) else element
    return bool((self._data == other).any())


def __reversed__(self: Tensor) -> Tensor:
    return self.flip(0) if self._data.ndim else self  # type: ignore[attr-defined]


def refuse_history(name: str, *tensors: Tensor) -> None:
    for t in tensors:
        if t.requires_grad:
            raise RuntimeError(f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() instead.")


def apply_(self: Tensor, callable: Callable) -> Tensor:
    """Replace each element by a Python function of it (slow). Example: `ones(2).apply_(lambda v: v + 1)` is `tensor([2., 2.])`."""
    refuse_history("apply_", self)
    return put_all(self, [callable(v) for v in self._data.ravel().tolist()])


def map_(self: Tensor, tensor: Tensor, callable: Callable) -> Tensor:
    """Replace each element by `callable(element, tensor's element)` (slow). Example: `ones(2).map_(ones(2), max)` is `tensor([1., 1.])`."""
    refuse_history("map_", self, tensor)
    other = np.broadcast_to(tensor._data, self._data.shape)
    return put_all(self, [callable(v, w) for v, w in zip(self._data.ravel().tolist(), other.ravel().tolist(), strict=True)])


def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Callable) -> Tensor:
    """Replace each element by `callable(element, x's element, y's element)` (slow)."""
    refuse_history("map2_", self, x, y)
    lists = [np.broadcast_to(t._data, self._data.shape).ravel().tolist() for t in (self, x, y)]
    return put_all(self, [callable(*values) for values in zip(*lists, strict=True)])


def put_all(t: Tensor, values: list) -> Tensor:
    check_writable(t, False)
    t._data[...] = np.array(values).astype(t._data.dtype).reshape(t._data.shape)
    t._versions[0] += 1
    return t


__all__ = [
    "can_cast", "finfo", "get_default_device", "get_device", "iinfo", "is_complex", "is_floating_point", "is_inference", "is_signed",
    "is_tensor", "result_type", "set_default_device", "set_default_tensor_type", "typename",
]  # fmt: skip
METHODS = [
    "__array_wrap__", "__contains__", "__reversed__", "apply_", "const_data_ptr", "cpu", "cuda", "data_ptr", "element_size", "get_device",
    "is_complex", "is_distributed", "is_floating_point", "is_pinned", "is_shared", "is_signed", "map2_", "map_", "module_load",
    "pin_memory", "share_memory_", "to", "to_dense", "type_as",
]  # fmt: skip
OPERATORS = {**SHORTHANDS, "type": type_}
