"""Activations that need more than their input: a second half that gates the first, or drawn slopes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core.silence import restore, silence
from chainrule.kernels.threads import MANY, in_blocks
from chainrule.ops.joining import cat
from chainrule.ops.pointwise import where
from chainrule.ops.primitive import general
from chainrule.ops.special import sigmoid, sigmoid_kernel


def halves(a: Any, dim: int) -> tuple[Any, Any]:
    """The two halves of a carrier along `dim`."""
    middle = a.shape[dim] // 2
    lead = (slice(None),) * dim
    return a[(*lead, slice(None, middle))], a[(*lead, slice(middle, None))]


def one_plus_exp(a: np.ndarray) -> np.ndarray:
    """1 + exp(-a), of which the sigmoid is the inverse."""
    y = np.negative(a)
    np.exp(y, y)
    y += 1
    return y


def glu_cotangent(g: Any, a: Any, dim: int) -> Any:
    if not isinstance(g, np.ndarray) or not isinstance(a, np.ndarray):
        first, second = halves(a, dim)
        gate = sigmoid(second)
        return cat((g * gate, g * first * gate * (1 - gate)), dim)
    first, second = halves(a, dim)
    y = np.empty_like(a)
    one, two = halves(y, dim)

    def compute(s: slice) -> None:
        gate = np.reciprocal(one_plus_exp(second[s]))
        np.multiply(g[s], gate, one[s])
        np.subtract(1, gate, two[s])
        two[s] *= first[s]
        two[s] *= one[s]

    by_outermost(compute, one)
    return y


def by_outermost(work: Callable[[slice], None], a: np.ndarray) -> None:
    """`work` for all of the first dimension, in blocks if there is much."""
    if a.size < MANY or a.ndim < 2:
        work(slice(None))
    else:
        in_blocks(work, len(a), a.size // len(a))


@general(a=glu_cotangent, name="glu")
def gated(a: Any, dim: int) -> Any:
    """The first half of a along `dim` times the sigmoid of the second."""
    first, second = halves(a, dim)
    token = silence()
    try:
        if not isinstance(a, np.ndarray) or a.dtype.kind != "f":
            return first * sigmoid_kernel(second)
        y = np.empty(first.shape, a.dtype)
        by_outermost(lambda s: np.divide(first[s], one_plus_exp(second[s]), y[s]), y)
        return y
    finally:
        restore(token)


@general(a=lambda g, a, slopes: where(a > 0, g, g * slopes), node="RreluWithNoiseBackward0")
def sloped(a: Any, slopes: Any) -> Any:
    """a where it is positive, else its slope times it; `slopes` is an array of a's shape."""
    return np.where(a > 0, a, a * slopes)


__all__ = ["gated", "sloped"]
