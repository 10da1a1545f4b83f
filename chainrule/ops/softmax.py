"""Softmax, its logarithm and logsumexp: the reductions that must not overflow. `dim` is one non-negative dimension, or a tuple."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ops.pointwise import exp
from chainrule.ops.primitive import general
from chainrule.ops.reduce import keep, sum

_max, _add = np.maximum.reduce, np.add.reduce


@general(a=lambda g, y, dim: unsoftmax(g, y, dim))
def softmax(a: Any, dim: tuple) -> Any:
    """exp(a) scaled to sum to 1 over `dim`."""
    if not a.size:
        return a.copy()
    y = a - _max(a, dim, None, None, True)
    np.exp(y, y)
    y /= _add(y, dim, None, None, True)
    return y


def unsoftmax(g: Any, y: Any, dim: tuple) -> Any:
    g = g * y
    return g - y * sum(g, dim, True)


@general(a=lambda g, y, dim: g - exp(y) * sum(g, dim, True))
def log_softmax(a: Any, dim: tuple) -> Any:
    """The logarithm of `softmax`, without computing it."""
    if not a.size:
        return a.copy()
    y = a - _max(a, dim, None, None, True)
    y -= np.log(_add(np.exp(y), dim, None, None, True))
    return y


@general(a=lambda g, a, y, dim, keepdim: keep(g, a, dim, keepdim) * exp(a - keep(y, a, dim, keepdim)))
def logsumexp(a: Any, dim: Any, keepdim: bool) -> Any:
    """log(sum(exp(a))) over `dim`; infinities count as what they are."""
    if not a.size:
        with np.errstate(divide="ignore"):
            return np.log(_add(a, dim, None, None, keepdim))
    top = _max(a, dim, None, None, True)
    top = np.where(np.isfinite(top), top, a.dtype.type(0))
    with np.errstate(divide="ignore", over="ignore"):
        y = np.log(_add(np.exp(a - top), dim, None, None, True))
    y += top
    return y if keepdim else y.reshape([n for i, n in enumerate(a.shape) if i not in dim])
