"""Losses as one node each: the element losses and their reduction together, as PyTorch records them.

`elementwise` makes most of them from the loss of one element and its partial derivatives. `reduction` is "none", "mean" or "sum".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.kernels.elementwise import COMPILED, blockwise, combined, one_pass
from chainrule.kernels.reductions import WORTH, distance
from chainrule.kernels.threads import MANY
from chainrule.ops.activation import log_of_one_plus_exp, logsigmoid
from chainrule.ops.pointwise import clamp, log, log1p
from chainrule.ops.primitive import Primitive, linear
from chainrule.ops.shape import cast
from chainrule.ops.special import sigmoid
from chainrule.tensor import Tensor

NARROW = frozenset((dtypes.float16.numpy, dtypes.bfloat16.numpy))


def reduced(losses: np.ndarray, reduction: str, dtype: np.dtype) -> Any:
    """The element losses' mean or sum, or all of them, in `dtype`."""
    if reduction == "none":
        y = losses
    else:
        return averaged(np.add.reduce(losses, None), reduction, losses.size, dtype)
    return y if y.dtype == dtype else y.astype(dtype)


def averaged(y: Any, reduction: str, count: int, dtype: np.dtype) -> Any:
    """The mean, or the sum itself, of `count` losses that add up to y."""
    if reduction == "mean":
        y = y / y.dtype.type(count) if count else y * np.nan
    return y if y.dtype == dtype else y.astype(dtype)


def shared(g: Any, reduction: str, shape: tuple) -> Any:
    """The cotangent of each element loss; what broadcasts is left to broadcast."""
    return g / max(1, _count(shape)) if reduction == "mean" else g


def _count(shape: tuple) -> int:
    n = 1
    for k in shape:
        n *= k
    return n


def wide(a: Any) -> Any:
    """A half-precision array as float32; others, and None, as they are."""
    return a.astype(np.float32) if a is not None and a.dtype in NARROW else a


def typed(g: Any, dtype: Any) -> Any:
    """A cotangent in the (NumPy) type of its input: 2-byte floats do not survive Python numbers."""
    return cast(g, dtypes.BY_NUMPY[dtype]) if dtype in NARROW else g


def elementwise(name: str, kernel: Callable, a: Callable | None, b: Callable | None = None, node: str | None = None) -> Primitive:
    """The loss `f(a, b, settings, reduction)`; `kernel(a, b, *settings)` is that of an element, `a` and `b` its partial derivatives.

    a and b have one shape and type; settings are numbers, or further arrays of that shape.
    """

    def forward(a: Any, b: Any, settings: tuple, reduction: str) -> Any:
        x, y = wide(a), wide(b)
        if total is not None and reduction != "none" and a.size >= WORTH:
            return averaged(total(x, y), reduction, a.size, a.dtype)
        return reduced(kernel(x, y, *settings) if a.size < MANY else blockwise(kernel, x, y, *settings), reduction, a.dtype)

    def backward(g: Any, a: Any, b: Any, a_shape: tuple, a_dtype: Any, settings: tuple, reduction: str, needs: tuple) -> tuple:
        g = shared(g, reduction, a_shape)
        return tuple(
            [
                typed(product(d, g, a, b, settings), a_dtype) if wanted and d is not None else None
                for d, wanted in zip(partials, needs, strict=True)
            ]
        )

    def product(slope: Callable, g: Any, a: Any, b: Any, settings: tuple) -> Any:
        if isinstance(g, Tensor) or a.size < COMPILED:
            return g * slope(a, b, *settings)
        if hasattr(slope, "one_pass") and not g.ndim:
            y = combined(slope.one_pass, a, b, g)
            if y is not None:
                return y
        if a.size < MANY:
            return g * slope(a, b, *settings)
        return blockwise(lambda g, a, b, *settings: g * slope(a, b, *settings), g, a, b, *settings)

    partials, total = (a, b), getattr(kernel, "total", None)
    return Primitive(name, forward, ("a", "b"), ("settings", "reduction"), {}, backward, node=node)


def _smooth_l1(a: Any, b: Any, beta: float) -> Any:
    return _huber(a, b, beta) / beta


def _huber(a: Any, b: Any, delta: float) -> Any:
    d = np.abs(a - b)
    near = np.minimum(d, d.dtype.type(delta))
    return near * (d - 0.5 * near)


def _slope(a: Any, b: Any, delta: float) -> Any:
    return clamp(a - b, -delta, delta)


def _square(a: Any, b: Any) -> Any:
    d = a - b
    return d * d


_square.total = distance  # type: ignore[attr-defined]

mse_loss = elementwise(
    "mse_loss", _square, a=one_pass("mse rule", lambda a, b: 2 * (a - b)), b=one_pass("mse rule of b", lambda a, b: 2 * (b - a)),
)  # fmt: skip
smooth_l1_loss = elementwise(
    "smooth_l1_loss", _smooth_l1, a=lambda a, b, beta: _slope(a, b, beta) / beta, b=lambda a, b, beta: _slope(b, a, beta) / beta,
    node="SmoothL1LossBackward0",
)  # fmt: skip
huber_loss = elementwise("huber_loss", _huber, a=_slope, b=lambda a, b, delta: _slope(b, a, delta))
soft_margin_loss = elementwise("soft_margin_loss", lambda a, b: log_of_one_plus_exp(-a * b), a=lambda a, b: -b * sigmoid(-a * b))


def _entropy(a: Any, b: Any, weight: Any) -> Any:
    with np.errstate(divide="ignore"):
        y = (b - 1) * np.maximum(np.log1p(-a), -100) - b * np.maximum(np.log(a), -100)
    return y if weight is None else y * wide(weight)


def weighted(slope: Any, weight: Any) -> Any:
    return slope if weight is None else slope * weight


def _log_odds(a: Any) -> Any:
    """log(a / (1 - a)), both logarithms at least -100."""
    return clamp(log(a), -100, None) - clamp(log1p(-a), -100, None)


binary_cross_entropy = elementwise(
    "binary_cross_entropy", _entropy, a=lambda a, b, weight: weighted((a - b) / clamp((1 - a) * a, 1e-12, None), weight),
    b=lambda a, b, weight: weighted(-_log_odds(a), weight),
)  # fmt: skip


def _logits_entropy(a: Any, b: Any, weight: Any, positive: Any) -> Any:
    """`positive` weighs the loss of b = 1; softplus(-a) is the loss of that class."""
    softplus = log_of_one_plus_exp(-a)
    y = (1 - b) * a + (softplus if positive is None else ((wide(positive) - 1) * b + 1) * softplus)
    return y if weight is None else y * wide(weight)


binary_cross_entropy_with_logits = elementwise(
    "binary_cross_entropy_with_logits", _logits_entropy,
    a=lambda a, b, weight, positive: weighted(
        sigmoid(a) - b if positive is None else (1 - b) - (b * (positive - 1) + 1) * sigmoid(-a), weight
    ),
    b=lambda a, b, weight, positive: weighted(-a if positive is None else logsigmoid(a) * (1 - positive) - a, weight),
)  # fmt: skip


# The negative log-likelihood: classes are dimension 1 (0 of a 1-D input), `target` their numbers, `weight` (C,) or None


def picking(node: str) -> Primitive:
    """nll_loss under PyTorch's name for it."""

    @linear(
        a=lambda g, target, weight, a_shape, ignore_index, reduction: nll_spread(g, target, weight, a_shape, ignore_index, reduction),
        inputs=("a", "target", "weight"), node=node,
    )  # fmt: skip
    def nll(a: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
        axis = 1 if a.ndim > 1 else 0
        target = target.reshape(a.shape[:axis] + a.shape[axis + 1 :])
        index, valid, w = chosen(target, weight, ignore_index, a.dtype)
        picked = a[places(index, axis)]
        losses = -wide(picked) * wide(w) if w is not None else -wide(picked)
        if valid is not None:
            losses = np.where(valid, losses, losses.dtype.type(0))
        if reduction == "none":
            return losses.astype(a.dtype, copy=False)
        total = np.add.reduce(losses, None)
        if reduction == "mean":
            total = total / total_weight(target, valid, w)
        return np.asarray(total).astype(a.dtype, copy=False)

    return nll


@linear(
    a=lambda g, target, weight, ignore_index, reduction: nll_loss(g, target, weight, ignore_index, reduction),
    inputs=("a", "target", "weight"), node="NllLossBackwardBackward0",
)  # fmt: skip
def nll_spread(a: Any, target: Any, weight: Any, shape: tuple, ignore_index: int, reduction: str) -> Any:
    """Zeros of `shape` with a's elements, negative and weighted, in the places of the classes: the transpose of `nll_loss`."""
    axis = 1 if len(shape) > 1 else 0
    target = target.reshape(shape[:axis] + shape[axis + 1 :])
    index, valid, w = chosen(target, weight, ignore_index, a.dtype)
    share = -wide(np.asarray(a))
    if reduction == "mean":
        share = share / total_weight(target, valid, w)
    if w is not None:
        share = share * wide(w)
    if valid is not None:
        share = np.where(valid, share, share.dtype.type(0))
    y = np.zeros(shape, a.dtype)
    y[places(index, axis)] = share
    return y


_aranges: dict[int, np.ndarray] = {}


def arange(n: int) -> np.ndarray:
    """0 to n - 1, kept for small n; not to be written to."""
    found = _aranges.get(n)
    if found is None:
        found = np.arange(n)
        if n <= 4096:
            _aranges[n] = found
    return found


def places(index: Any, axis: int) -> Any:
    """Where the elements are that have `index` along `axis`, 0 or 1, and every place along the others."""
    if not axis:
        return index
    if index.ndim == 1:
        return arange(len(index)), index
    rows, *others = [arange(n).reshape(n, *[1] * (index.ndim - 1 - d)) for d, n in enumerate(index.shape)]
    return rows, index, *others


def chosen(target: Any, weight: Any, ignore_index: int, dtype: Any) -> tuple:
    """Class numbers to gather at, which of them count (None: all), and their weights (None: 1)."""
    ignored = target == ignore_index
    valid = ~ignored if ignored.any() else None
    index = (target if valid is None else np.where(valid, target, 0)).astype(np.int64, copy=False)
    return index, valid, None if weight is None else weight[index]


def total_weight(target: Any, valid: Any, w: Any) -> Any:
    """What a mean divides by."""
    if w is None:
        count = target.size if valid is None else np.count_nonzero(valid)
        return count if count else np.float32(np.nan)
    w = wide(w)
    return np.add.reduce(w if valid is None else np.where(valid, w, w.dtype.type(0)), None)


nll_loss, nll_loss2d = picking("NllLossBackward0"), picking("NllLoss2DBackward0")

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "huber_loss",
    "mse_loss",
    "nll_loss",
    "nll_loss2d",
    "smooth_l1_loss",
    "soft_margin_loss",
]
