"""Rows of a table: picked one by one, or summed and maximised by bag. `index` is an array; so is what scales a row's gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.kernels.reductions import rows_at
from chainrule.ops.index import index_select, rows
from chainrule.ops.primitive import general, linear
from chainrule.ops.reduce import sum
from chainrule.ops.shape import reshape


def back(g: Any, shape: tuple, index: Any, share: Any) -> Any:
    """The table's cotangent; `share` (None: 1) is 0 for padding, and 1 / count where gradients are scaled by frequency."""
    if share is not None:
        g = g * share
    return rows(reshape(g, (index.size, shape[1])), index.reshape(-1), shape, 0)


@linear(a=lambda g, a_shape, index, share: back(g, a_shape, index, share))
def embedding(a: Any, index: Any, share: Any) -> Any:
    """The rows of a at `index`, of any shape."""
    return rows_at(a, index) if a.__class__ is np.ndarray else a[index]


def bag_vjp(g: Any, a: Any, a_shape: tuple, weight: Any, index: Any, bags: Any, factor: Any, share: Any, needs: tuple) -> tuple:
    each = index_select(g, bags, 0) * factor
    to_weight = sum(each * index_select(a, index, 0), (1,), False) if needs[1] else None
    if not needs[0]:
        return None, to_weight
    return back(each if weight is None else each * reshape(weight, (-1, 1)), a_shape, index, share), to_weight


@general(vjp=bag_vjp, inputs=("a", "weight"), node="EmbeddingBagBackward0")
def bag_sum(a: Any, weight: Any, index: Any, bags: Any, factor: Any, count: int, share: Any) -> Any:
    """The sum over each of `count` bags of the rows at `index`, times `weight` (None: 1) and `factor`, a column; `bags` are their bags."""
    picked = a[index] * factor
    if weight is not None:
        picked = picked * weight[:, None]
    return rows.kernel(picked.astype(a.dtype, copy=False), bags, (count, a.shape[1]), 0)


@linear(a=lambda g, a_shape, places, filled: pulled(g, places, filled, a_shape), node="EmbeddingBagBackward0")
def bag_max(a: Any, places: Any, filled: Any) -> Any:
    """The elements a[places[b, d], d], 0 for bags that are not `filled`."""
    return np.where(filled, a[places, np.arange(a.shape[1])], a.dtype.type(0))


@linear(a=lambda g, places, filled: bag_max(g, places, filled), node="EmbeddingBagBackward0")
def pulled(a: Any, places: Any, filled: Any, shape: tuple) -> Any:
    """a's elements added where `bag_max` took them."""
    y = np.zeros(shape, a.dtype)
    np.add.at(y, (places, np.arange(shape[1])), np.where(filled, a, a.dtype.type(0)))
    return y
