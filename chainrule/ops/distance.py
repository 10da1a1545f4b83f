"""Distances of all pairs of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ops.index import index_select, rows
from chainrule.ops.pointwise import abs, sign, where
from chainrule.ops.primitive import general
from chainrule.ops.shape import reshape


def pdist_cotangent(g: Any, a: Any, a_shape: tuple, y: Any, first: Any, second: Any, p: float) -> Any:
    """Each distance pulls on both rows, along their difference to the power p - 1; where it is 0 there is no direction."""
    difference = index_select(a, first, 0) - index_select(a, second, 0)
    y, g = reshape(y, (-1, 1)), reshape(g, (-1, 1))
    pull = sign(difference)
    if p == 0:
        pull = pull * 0
    elif p == float("inf"):
        pull = pull * (abs(difference) == y)
    elif p == 2:
        pull = difference / where(y == 0, 1, y)
    elif p != 1:
        size = where(difference == 0, 1, abs(difference))
        pull = where(difference == 0, 0, pull * size ** (p - 1)) / where(y == 0, 1, y) ** (p - 1)
    pull = where(y == 0, 0, pull * g)
    return rows(pull, first, a_shape, 0) - rows(pull, second, a_shape, 0)


@general(a=pdist_cotangent, inputs=("a",))
def pdist(a: Any, first: Any, second: Any, p: float) -> Any:
    """The p-norm distances of the rows numbered `first` and `second`."""
    difference = np.abs(a[first] - a[second])
    if p == 0:
        return (difference != 0).sum(1).astype(a.dtype)
    if p == float("inf"):
        return difference.max(1, initial=0)
    if p == 2:
        return np.sqrt(np.square(difference).sum(1))
    return difference.sum(1) if p == 1 else (difference**p).sum(1) ** (1 / p)


__all__ = ["pdist"]
