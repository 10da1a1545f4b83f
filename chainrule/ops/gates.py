"""Activations that need more than their input: a second half that gates the first, or drawn slopes."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ops.joining import cat
from chainrule.ops.pointwise import where
from chainrule.ops.primitive import general
from chainrule.ops.special import sigmoid, sigmoid_kernel


def halves(a: Any, dim: int) -> tuple[Any, Any]:
    """The two halves of a carrier along `dim`."""
    middle = a.shape[dim] // 2
    lead = (slice(None),) * dim
    return a[(*lead, slice(None, middle))], a[(*lead, slice(middle, None))]


def glu_cotangent(g: Any, a: Any, dim: int) -> Any:
    first, second = halves(a, dim)
    gate = sigmoid(second)
    return cat((g * gate, g * first * gate * (1 - gate)), dim)


@general(a=glu_cotangent, name="glu")
def gated(a: Any, dim: int) -> Any:
    """The first half of a along `dim` times the sigmoid of the second."""
    first, second = halves(a, dim)
    with np.errstate(over="ignore"):
        return first * sigmoid_kernel(second)


@general(a=lambda g, a, slopes: where(a > 0, g, g * slopes), node="RreluWithNoiseBackward0")
def sloped(a: Any, slopes: Any) -> Any:
    """a where it is positive, else its slope times it; `slopes` is an array of a's shape."""
    return np.where(a > 0, a, a * slopes)


__all__ = ["gated", "sloped"]
