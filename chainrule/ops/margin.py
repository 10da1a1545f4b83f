"""Losses of classification by margins. `reduction` is "none", "mean" or "sum" over samples, which are rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ops.loss import reduced, shared
from chainrule.ops.pointwise import clamp, where
from chainrule.ops.primitive import general
from chainrule.ops.reduce import sum
from chainrule.ops.shape import reshape


def column(g: Any, reduction: str, a_shape: tuple) -> Any:
    """The cotangent of each sample's loss, as a column or a number."""
    g = shared(g, reduction, a_shape[:1])
    return reshape(g, (-1, 1)) if reduction == "none" else g


def multi_margin_cotangent(g: Any, a: Any, a_shape: tuple, chosen: Any, scale: Any, margin: float, p: int, reduction: str) -> Any:
    short = a - sum(where(chosen, a, 0), (1,), True) + margin
    pull = (
        where(chosen, 0, where(short > 0, short * 0 + 1 if p == 1 else 2 * clamp(short, 0, None), 0))
        * scale
        * column(g, reduction, a_shape)
    )
    return pull - where(chosen, sum(pull, (1,), True), 0)


@general(a=multi_margin_cotangent, inputs=("a",))
def multi_margin_loss(a: Any, chosen: Any, scale: Any, margin: float, p: int, reduction: str) -> Any:
    """How far other classes come within the margin of the `chosen` one, to the power p, times `scale` (N, 1).

    `chosen` is a mask with one place in each row.
    """
    short = np.maximum(a - np.where(chosen, a, 0).sum(1, keepdims=True) + a.dtype.type(margin), 0)
    short = np.where(chosen, a.dtype.type(0), short if p == 1 else short * short)
    return reduced((short * scale).sum(1, dtype=a.dtype), reduction, a.dtype)


@general(
    a=lambda g, a_shape, slopes, reduction: column(g, reduction, a_shape) * slopes,
    inputs=("a",), node="MultilabelMarginLossBackward0",
)  # fmt: skip
def piecewise_linear(a: Any, slopes: Any, offsets: Any, reduction: str) -> Any:
    """sum(a * slopes) + offsets for each row: a loss that is linear near a."""
    return reduced((a * slopes).sum(1, dtype=a.dtype) + offsets, reduction, a.dtype)
