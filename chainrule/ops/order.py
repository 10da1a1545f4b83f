"""Ops that order elements or select some along one dimension: values, and the indices where they were.

Each has results (y, index); its gradient goes back to where the values came from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.kernels import reductions, small
from chainrule.kernels.scatter import gather, mesh
from chainrule.ops.primitive import Primitive, general, linear
from chainrule.ops.reduce import keep, widened


@linear(a=lambda g, index, a_shape, dim: place(g, index, a_shape, dim), inputs=("a", "index"), node="GatherBackward0")
def pick(a: Any, index: Any, dim: int) -> Any:
    """The elements at `index` along `dim`; no element twice."""
    return gather(a, index, dim)


@linear(a=lambda g, index, dim: pick(g, index, dim), inputs=("a", "index"), node="ScatterBackward0")
def place(a: Any, index: Any, shape: tuple, dim: int) -> Any:
    """Zeros of `shape` with `a` at `index`: the transpose of `pick`."""
    y = np.zeros(shape, a.dtype)
    if not reductions.scatter_add(y, index, a, dim):
        y[mesh(index, dim)] = a
    return y


# One element of each row

F32 = np.dtype(np.float32)
MANY = 1 << 12  # elements from which it is worth not to sort them all


def send_back(g: Any, a_shape: tuple, index: Any, dim: int, keepdim: bool) -> tuple:
    like = _Shape(a_shape)
    return (place(keep(g[0], like, (dim,), keepdim), keep(index, like, (dim,), keepdim), a_shape, dim),)


class _Shape:
    """A shape where an array is expected."""

    def __init__(self, shape: tuple) -> None:
        self.shape = shape


def selecting(name: str, node: str, find: Callable) -> Primitive:
    """The op whose element of each row is where `find(a, dim, k)` says; that index has the dimension as 1."""

    def select(a: Any, dim: int, keepdim: bool, k: int = 0) -> Any:
        index = find(widened(a), dim, k)
        y = gather(a, index, dim)
        return (y, index) if keepdim else (y.squeeze(dim), index.squeeze(dim))

    stated = general(
        vjp=lambda g, a_shape, index, dim, keepdim: send_back(g, a_shape, index, dim, keepdim), inputs=("a",), outputs=("y", "index"),
        name=name,
        node=node,
    )  # fmt: skip
    return stated(select)


def _smallest(a: Any, dim: int, k: int) -> Any:
    """Where the k-th smallest is (from 0), the first of equal ones; NaN counts as largest."""
    if a.size >= MANY:
        value = np.partition(a, k, dim).take([k], dim)
        if (value == value).all():
            return (a == value).argmax(dim, keepdims=True)
    return np.take(np.argsort(a, dim, kind="stable"), [k], dim)


def middle_value(a: Any, skip: bool) -> Any:
    """The lower median of a vector: NaN if there is one, or, if `skip`, of what is not NaN."""
    if a.dtype.kind == "f":
        bad = np.isnan(a)
        if bad.any():
            a = a[~bad] if skip else a[bad][:1]
    k = (a.size - 1) // 2
    return np.partition(a, k)[k] if a.size else np.nan


def _median(a: Any, dim: int, k: int) -> Any:
    """Where the lower median is, or a NaN."""
    index = _smallest(a, dim, (a.shape[dim] - 1) // 2)
    if a.dtype.kind == "f":
        bad = np.isnan(a)
        index = np.where(bad.any(dim, keepdims=True), bad.argmax(dim, keepdims=True), index)
    return index


def _nanmedian(a: Any, dim: int, k: int) -> Any:
    """Where the lower median of what is not NaN is; the first if all are."""
    if a.dtype.kind != "f":
        return _median(a, dim, k)
    counted = (~np.isnan(a)).sum(dim, keepdims=True)
    return np.take_along_axis(np.argsort(a, dim, kind="stable"), np.maximum(counted - 1, 0) // 2, dim)


def _mode(a: Any, dim: int, k: int) -> Any:
    """Where the last of the most frequent elements is; among equally frequent ones the smallest counts."""
    order = np.moveaxis(np.argsort(a, dim, kind="stable"), dim, -1)
    ordered = np.take_along_axis(np.moveaxis(a, dim, -1), order, -1)
    n = ordered.shape[-1]
    places = np.arange(n)
    starts = np.ones(ordered.shape, bool)
    starts[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    run = places - np.maximum.accumulate(np.where(starts, places, 0), -1)  # how many equal ones came before
    longest = run.argmax(-1, keepdims=True)  # the end of the first longest run
    return np.moveaxis(np.take_along_axis(order, longest, -1), -1, dim)


def _place_of(name: str, sign: int) -> Callable:
    def place_of(a: Any, dim: int, k: int) -> Any:
        if a.size >= reductions.WORTH:
            found = reductions.extremum_at(a, dim, sign)
            if found is not None:
                return found[1]
        return getattr(a, name)(dim, keepdims=True) if a.__class__ is np.ndarray else getattr(np, name)(a, dim, keepdims=True)

    return place_of


max_dim = selecting("max", "MaxBackward0", _place_of("argmax", 1))
min_dim = selecting("min", "MinBackward0", _place_of("argmin", -1))
kthvalue = selecting("kthvalue", "KthvalueBackward0", _smallest)
median_dim = selecting("median", "MedianBackward1", _median)
nanmedian_dim = selecting("nanmedian", "NanmedianBackward1", _nanmedian)
mode = selecting("mode", "ModeBackward0", _mode)

# Several elements of each row


def ordering(a: Any, dim: int, descending: bool) -> Any:
    """The stable argsort; NaN counts as largest."""
    return reductions.argsort(widened(a), dim, descending)


@general(vjp=lambda g, index, a_shape, dim: (place(g[0], index, a_shape, dim),), outputs=("y", "index"))
def sort(a: Any, dim: int, descending: bool) -> Any:
    """The elements in order along `dim`, and where they were."""
    index = ordering(a, dim, descending)
    return gather(a, index, dim), index


@general(vjp=lambda g, index, a_shape, dim: (place(g[0], index, a_shape, dim),), outputs=("y", "index"))
def topk(a: Any, k: int, dim: int, largest: bool) -> Any:
    """The k largest (or smallest) along `dim`, in order, and where they were."""
    found = reductions.best(a, k, dim, 1 if largest else -1) if a.size >= reductions.WORTH else None
    if found is not None:
        return found
    n = a.shape[dim]
    if a.size < reductions.FEW and largest and dim == a.ndim - 1 and k and a.dtype is F32 and a.flags.c_contiguous:
        shape = (*a.shape[:-1], k)
        y, index = np.empty(shape, F32), np.empty(shape, np.int64)
        small.largest(*[v if v.ndim == 2 else v.reshape(-1, v.shape[-1]) for v in (a, y, index)])
        return y, index
    if n > 256 and k < n // 8 and not (a.dtype.kind == "f" and np.isnan(a).any()):
        wide = widened(a)
        some = np.argpartition(wide, n - k if largest else k, dim)
        some = np.sort(some[(slice(None),) * dim + ((slice(n - k, None) if largest else slice(k)),)], dim)
        index = np.take_along_axis(some, ordering(np.take_along_axis(wide, some, dim), dim, largest), dim)
    else:
        index = ordering(a, dim, largest)[(slice(None),) * dim + (slice(k),)]
    return gather(a, index, dim), index
