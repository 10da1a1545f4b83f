"""Reductions: sums, products, extrema, and their broadcasting transposes. `dim` is a tuple of non-negative dimensions, None for all."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ops.primitive import general, linear
from chainrule.ops.shape import cast, expand, reshape, spread
from chainrule._core import dtypes

_add, _max, _min = np.add.reduce, np.maximum.reduce, np.minimum.reduce


@linear(a=lambda g, a_shape, dim, keepdim: spread(g, a_shape, dim, keepdim))
def sum(a: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Sum over `dim` (None: all) in a's type."""
    return _add(a, dim, a.dtype, None, keepdim)


@linear(a=lambda g, a_shape, dim, keepdim: spread(g / extent(a_shape, dim), a_shape, dim, keepdim))
def mean(a: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The average over `dim`."""
    y = _add(a, dim, a.dtype, None, keepdim)
    return y / a.dtype.type(extent(a.shape, dim)) if a.size else y * np.nan


@general(a=lambda g, a, y, dim, keepdim: share(g, a, y, dim, keepdim))
def amax(a: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest over `dim`; ties share the gradient evenly."""
    return _max(a, dim, None, None, keepdim)


@general(a=lambda g, a, y, dim, keepdim: share(g, a, y, dim, keepdim))
def amin(a: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest over `dim`; ties share the gradient evenly."""
    return _min(a, dim, None, None, keepdim)


def share(g: Any, a: Any, y: Any, dim: Any, keepdim: bool) -> Any:
    """Split g evenly among the elements that equal the extremum y."""
    mask = cast(a == keep(y, a, dim, keepdim), dtypes.BY_NUMPY[np.dtype(g.dtype)] if not hasattr(g, "_data") else g.dtype)
    return keep(g, a, dim, keepdim) / sum(mask, dim, True) * mask


def keep(y: Any, a: Any, dim: Any, keepdim: bool) -> Any:
    """The result y of a reduction of a, its reduced dimensions there as 1."""
    if keepdim:
        return y
    return reshape(y, tuple([1 if dim is None or i in dim else n for i, n in enumerate(a.shape)]))


def extent(shape: tuple, dim: Any) -> int:
    """How many elements each result stands for."""
    count = 1
    for n in shape if dim is None else [shape[d] for d in dim]:
        count *= n
    return count


def sum_to(g: Any, shape: tuple) -> Any:
    """Sum a cotangent over the dimensions along which a value of `shape` was broadcast."""
    lead = g.ndim - len(shape)
    dims = tuple([i for i in range(g.ndim) if i < lead or (shape[i - lead] == 1 and g.shape[i] != 1)])
    g = sum(g, dims, False) if dims else g
    return g if g.shape == shape else reshape(g, shape)


__all__ = ["expand", "sum", "sum_to"]
