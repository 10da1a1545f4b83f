"""Checks and normal forms of arguments that many public functions share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.tensor import Tensor

FAST = frozenset((dtypes.float32.numpy, dtypes.float64.numpy))  # the types that the eager paths are for


def require_tensor(function: str, value: Any, name: str = "input", position: int = 1) -> None:
    """TypeError unless value is a Tensor, in PyTorch's words."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{function}(): argument '{name}' (position {position}) must be Tensor, not {type(value).__name__}")


def wrap_dim(dim: Any, ndim: int, *, scalar_ok: bool = True) -> int:
    """A dimension counted from the front; a 0-dim tensor has dimensions 0 and -1 unless `scalar_ok` is False."""
    if dim.__class__ is int and -ndim <= dim < ndim:
        return dim % ndim
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise TypeError(f"argument 'dim' must be int, not {type(dim).__name__}")
    dim = dim.__index__()
    span = ndim or int(scalar_ok)
    if span == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if not -span <= dim < span:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-span}, {span - 1}], but got {dim})")
    return dim % span


def wrap_dims(dim: Any, ndim: int, *, empty_is_all: bool = True) -> tuple[int, ...] | None:
    """`dim` as a tuple of distinct dimensions; None (and, by default, an empty list) means all and gives None. 0-dim tensors give ()."""
    if dim is None:
        return None
    if dim.__class__ is int and -ndim <= dim < ndim:
        return (dim % ndim,)
    many = tuple(dim) if isinstance(dim, (list, tuple)) else (dim,)
    if not many and empty_is_all:
        return None
    wrapped = tuple([wrap_dim(d, ndim) for d in many])
    for i, d in enumerate(wrapped):
        if d in wrapped[:i]:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    return wrapped if ndim else ()


def as_shape(function: str, shape: tuple) -> tuple[int, ...]:
    """The sizes given as `f(2, 3)`, `f((2, 3))` or `f(Size)`, as a tuple of ints."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    if all([n.__class__ is int for n in shape]):
        return shape
    for i, n in enumerate(shape):
        if isinstance(n, bool) or not hasattr(n, "__index__"):
            raise TypeError(f"{function}(): argument 'size' must be tuple of ints, but found element of type {type(n).__name__} at pos {i}")
    return tuple([n.__index__() for n in shape])


def as_dtype(value: Any) -> dtypes.dtype | None:
    """A `dtype=` argument: None, a dtype, or one of Python's bool, int, float."""
    if value is None or isinstance(value, dtypes.dtype):
        return value
    if value is float:
        return dtypes.float64
    if value in dtypes.BY_PYTHON:
        return dtypes.BY_PYTHON[value]
    raise TypeError(f"argument 'dtype' must be torch.dtype, not {type(value).__name__}")


def is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def tensors_of(function: str, values: Any, name: str = "tensors") -> Sequence[Tensor]:
    """A list or tuple of tensors, checked."""
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"{function}(): argument '{name}' (position 1) must be tuple of Tensors, not {type(values).__name__}")
    for i, v in enumerate(values):
        if not isinstance(v, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(v).__name__}")
    return values
