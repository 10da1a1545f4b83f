"""The public reductions (first ones)."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor, wrap_dim, wrap_dims
from chainrule.ops import reduce as ops
from chainrule.ops.inplace import write_out
from chainrule.ops.overrides import public
from chainrule.ops.shape import cast
from chainrule.tensor import wrap
from chainrule import return_types


@public
def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Any:
    require_tensor("sum", input)
    if dtype is None and input.dtype.category < dtypes.FLOATING:
        dtype = dtypes.int64
    if dtype is not None:
        input = cast(input, dtype)
    result = ops.sum(input, wrap_dims(dim, input.ndim), keepdim)
    return result if out is None else write_out("sum", out, result)


@public
def mean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Any:
    require_tensor("mean", input)
    if dtype is not None:
        input = cast(input, dtype)
    result = ops.mean(input, wrap_dims(dim, input.ndim), keepdim)
    return result if out is None else write_out("mean", out, result)


@public
def max(input: Any, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Any:
    if dim is None:
        return ops.amax(input, None, False)
    d = wrap_dim(dim, input.ndim)
    return return_types.max(ops.amax(input, (d,), keepdim), wrap(np.argmax(input._data, d, keepdims=keepdim)))


@public
def min(input: Any, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Any:
    if dim is None:
        return ops.amin(input, None, False)
    d = wrap_dim(dim, input.ndim)
    return return_types.min(ops.amin(input, (d,), keepdim), wrap(np.argmin(input._data, d, keepdims=keepdim)))


@public
def argmax(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return wrap(np.asarray(np.argmax(input._data, dim, keepdims=keepdim)))


__all__ = ["argmax", "max", "mean", "min", "sum"]
METHODS = __all__
