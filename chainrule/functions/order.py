"""The public functions that order elements or choose by rank: sort, topk, medians, quantiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import return_types
from chainrule.functions.arguments import require_tensor, wrap_dim
from chainrule.functions.reduce import finish, ordered, select_along
from chainrule.ops import order as ops, pointwise
from chainrule.ops.eager import eager
from chainrule.ops.overrides import public, shortcut
from chainrule.ops.primitive import Primitive, general
from chainrule.ops.reduce import share
from chainrule.ops.shape import reshape
from chainrule.tensor import Tensor, wrap


def row(op: Callable, result: Any, input: Tensor, dim: int) -> Any:
    """`op(input, dim)` as a named tuple; a 0-dim tensor is a row of one."""
    if input._data.ndim:
        return result(*op(input, dim))
    return result(*[reshape(r, ()) for r in op(reshape(input, (1,)), 0)])


@public
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool | None = False, *, out: Any = None) -> Any:
    """The named tuple (values, indices) of the elements in order along `dim`; equal ones keep their order, NaN counts as largest.

    Example:
        >>> sort(tensor([3, 1, 2])).indices
        tensor([1, 2, 0])
    """
    require_tensor("sort", input)
    if input._data.dtype.kind == "c":
        raise RuntimeError("Sort does not support complex dtypes on CPU")
    over = wrap_dim(dim, input._data.ndim)
    return finish("sort", row(lambda t, d: ops.sort(t, d, bool(descending)), return_types.sort, input, over), out)


@public
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The indices that put the elements in order along `dim`."""
    ordered("argsort", input)
    over = wrap_dim(dim, input._data.ndim)
    data = input._data if input._data.ndim else input._data.reshape(1)
    return finish("argsort", wrap(ops.ordering(data, over, bool(descending)).reshape(input._data.shape)), out)


@public
def msort(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The elements in order along the first dimension."""
    return finish("msort", sort(input, 0).values, out)


def few(input: Any, k: Any, dim: Any) -> Any:
    """The shorter way of `topk`, for floats."""
    if not isinstance(input, Tensor) or k.__class__ is not int or dim.__class__ is not int or input._data.dtype.kind != "f":
        return None
    shape = input._data.shape
    dim = dim if dim >= 0 else dim + len(shape)
    return return_types.topk(*_topk(input, k, dim, True)) if 0 <= dim < len(shape) and 0 <= k <= shape[dim] else None


@shortcut(few)
@public
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True, *, out: Any = None) -> Any:
    """The named tuple (values, indices) of the k largest (or smallest) elements along `dim`, in order.

    Example:
        >>> topk(tensor([1., 3., 2.]), 2).values
        tensor([3., 2.])
    """
    ordered("topk", input)
    if input._data.dtype.kind == "b":
        raise RuntimeError("topk does not support bool dtypes on CPU")
    over = wrap_dim(dim, input._data.ndim)
    if not 0 <= k <= (input._data.shape[over] if input._data.ndim else 1):
        raise RuntimeError("selected index k out of range")
    if out is None and input._data.ndim:
        return return_types.topk(*_topk(input, k, over, largest))
    return finish("topk", row(lambda t, d: ops.topk(t, k, d, largest), return_types.topk, input, over), out)


_topk = eager(ops.topk)


@public
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False, *, out: Any = None) -> Any:
    """The named tuple (values, indices) of the k-th smallest element (from 1) along `dim`."""
    ordered("kthvalue", input)
    over = wrap_dim(dim, input._data.ndim)
    if input._data.ndim and not input._data.shape[over]:
        raise IndexError(f"kthvalue(): Expected reduction dim {over} to have non-zero size.")
    if not 1 <= k <= (input._data.shape[over] if input._data.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {over}")
    if out is not None and np.shares_memory(input._data, out[0]._data):
        raise RuntimeError(
            "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )
    return finish("kthvalue", select_along("kthvalue", ops.kthvalue, input, over, keepdim, k - 1), out)


def middle(name: str, along: Primitive, skip: bool) -> Callable:
    def whole(a: Any) -> Any:
        flat = a.reshape(-1)
        if not flat.size:
            return np.asarray(np.nan, a.dtype)
        return np.asarray(ops.middle_value(ops.widened(flat), skip), a.dtype)

    of_all = general(a=lambda g, a, y: share(g, a, y, None, False), name=name)(whole)

    def function(input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Any = None) -> Any:
        ordered(name, input)
        if dim is None:
            if input._data.dtype.kind == "b":
                raise NotImplementedError(f"\"{name}_out\" not implemented for 'Bool'")
            return finish(name, of_all(input), out)
        return finish(name, select_along(name, along, input, dim, keepdim), out)

    function.__name__ = function.__qualname__ = name
    rest = "NaN left out" if skip else "NaN if there is one"
    function.__doc__ = f"The (lower) median of all elements, {rest}; with `dim` the named tuple (values, indices) over it."
    return public(function)


median, nanmedian = middle("median", ops.median_dim, False), middle("nanmedian", ops.nanmedian_dim, True)


@public
def mode(input: Tensor, dim: int = -1, keepdim: bool = False, *, out: Any = None) -> Any:
    """The named tuple (values, indices) of the most frequent element along `dim`; of equally frequent ones the smallest."""
    ordered("mode", input)
    return finish("mode", select_along("mode", ops.mode, input, dim, keepdim), out)


# Quantiles

INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile_of(name: str, input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str, skip: bool) -> Tensor:
    from chainrule.ops.index import gather

    require_tensor(name, input)
    if input._data.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if not isinstance(q, Tensor):
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q:g}")
        q = wrap(np.asarray(q, input._data.dtype))
    if q._data.ndim > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
    if q._data.dtype != input._data.dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
    if interpolation not in INTERPOLATIONS:
        raise RuntimeError(f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}")
    if not ((q._data >= 0) & (q._data <= 1)).all():
        raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    if not input._data.size:
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    shape = input._data.shape
    over = wrap_dim(dim, len(shape)) if dim is not None else 0
    if dim is None or not shape:
        moved = reshape(input, (input._data.size,))
    else:
        moved = input.movedim(over, -1) if over != len(shape) - 1 else input
    values = ops.sort(moved, moved._data.ndim - 1, False)[0]
    n = values._data.shape[-1]
    bad = np.isnan(values._data)
    counted = n - bad.sum(-1, keepdims=True) if skip else np.asarray(n)
    ranks = reshape(q, (q._data.size,)) * wrap(np.maximum(counted - 1, 0).astype(q._data.dtype))
    if not skip:  # a row with a NaN gives NaN, which is its last
        ranks = pointwise.masked_fill_scalar(ranks, wrap(bad.any(-1, keepdims=True)), float(n - 1)) if bad.any() else ranks
    if interpolation in ("lower", "higher", "nearest"):
        ranks = {"lower": pointwise.floor, "higher": pointwise.ceil, "nearest": pointwise.round}[interpolation](ranks)
    last = values._data.ndim - 1
    places = np.broadcast_to(ranks._data, values._data.shape[:-1] + (q._data.size,))
    below = wrap(places.astype(np.int64))
    result = gather(values, below, last)
    if interpolation in ("linear", "midpoint"):
        above = gather(values, wrap(np.ceil(places).astype(np.int64)), last)
        weight = wrap(np.full(places.shape, 0.5, places.dtype)) if interpolation == "midpoint" else ranks - wrap(places.astype(np.int64))
        result = pointwise.lerp(result, above, weight)
    if q._data.ndim:
        result = result.movedim(-1, 0)
        lead: tuple = (q._data.size,)
    else:
        result, lead = reshape(result, result._data.shape[:-1]), ()
    if not keepdim:
        return result
    rest = (1,) * len(shape) if dim is None else tuple([1 if d == over else m for d, m in enumerate(shape)])
    return reshape(result, lead + rest)


@public
def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear", out: Tensor | None = None
) -> Tensor:
    """The q-th quantiles (q: a number or a 1-dim tensor of numbers in [0, 1]) of all elements, or along `dim`.

    Several `q` make a first dimension. Between two elements it is as `interpolation` says: linear, lower, higher, midpoint, nearest.

    Example:
        >>> quantile(tensor([0., 1., 2.]), 0.25)
        tensor(0.5000)
    """
    return finish("quantile", quantile_of("quantile", input, q, dim, keepdim, interpolation, False), out)


@public
def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear", out: Tensor | None = None
) -> Tensor:
    """The quantiles, as `quantile` gives them, of what is not NaN."""
    return finish("nanquantile", quantile_of("nanquantile", input, q, dim, keepdim, interpolation, True), out)


__all__ = ["argsort", "kthvalue", "median", "mode", "msort", "nanmedian", "nanquantile", "quantile", "sort", "topk"]
METHODS = __all__
