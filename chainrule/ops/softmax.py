"""Softmax, its logarithm and logsumexp: the reductions that must not overflow. `dim` is one non-negative dimension, or a tuple."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core.silence import restore, silence
from chainrule.ops.pointwise import exp
from chainrule.ops.primitive import conjugate as conj, general
from chainrule.ops.reduce import keep, sum, widened

_max, _add = np.maximum.reduce, np.add.reduce


def shifted(a: Any, dim: tuple) -> Any:
    """a minus its maximum over `dim`, fresh memory."""
    a = widened(a)
    return a - _max(a, dim, None, None, True)


@general(a=lambda g, y, dim: unsoftmax(g, y, dim))
def softmax(a: Any, dim: tuple) -> Any:
    """exp(a) scaled to sum to 1 over `dim`."""
    if not a.size:
        return a.copy()
    y = np.asarray(shifted(a, dim))
    np.exp(y, y)
    y /= _add(y, dim, None, None, True)
    return y if y.dtype is a.dtype else y.astype(a.dtype)


def unsoftmax(g: Any, y: Any, dim: tuple) -> Any:
    g = g * y
    return g - y * sum(g, dim, True)


@general(a=lambda g, y, dim: g - exp(y) * sum(g, dim, True))
def log_softmax(a: Any, dim: tuple) -> Any:
    """The logarithm of `softmax`, without computing it."""
    if not a.size:
        return a.copy()
    y = np.asarray(shifted(a, dim))
    y -= np.log(_add(np.exp(y), dim, None, None, True))
    return y if y.dtype is a.dtype else y.astype(a.dtype)


@general(a=lambda g, a, y, dim, keepdim: keep(g, a, dim, keepdim) * conj(exp(a - keep(y, a, dim, keepdim))))
def logsumexp(a: Any, dim: Any, keepdim: bool) -> Any:
    """log(sum(exp(a))) over `dim`; infinities count as what they are."""
    dtype, a = a.dtype, widened(a)
    token = silence()
    try:
        if not a.size:
            return np.log(_add(a, dim, None, None, keepdim)).astype(dtype)
        top = np.asarray(_max(a.real, dim, None, None, True))
        top[~np.isfinite(top)] = 0
        y = np.log(_add(np.exp(a - top), dim, None, None, keepdim))
        return (y + (top if keepdim else top.reshape(np.shape(y)))).astype(dtype)
    finally:
        restore(token)
