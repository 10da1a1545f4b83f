"""Reductions: sums, products, extrema, and their broadcasting transposes. `dim` is a tuple of non-negative dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ops.primitive import linear
from chainrule.ops.shape import expand, reshape, spread

_add = np.add.reduce


@linear(a=lambda g, a_shape, dim, keepdim: spread(g, a_shape, dim, keepdim))
def sum(a: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Sum over `dim` (None: all) in a's type."""
    return _add(a, dim, a.dtype, None, keepdim)


def sum_to(g: Any, shape: tuple) -> Any:
    """Sum a cotangent over the dimensions along which a value of `shape` was broadcast."""
    lead = g.ndim - len(shape)
    dims = tuple([i for i in range(g.ndim) if i < lead or (shape[i - lead] == 1 and g.shape[i] != 1)])
    g = sum(g, dims, False) if dims else g
    return g if g.shape == shape else reshape(g, shape)


__all__ = ["expand", "sum", "sum_to"]
