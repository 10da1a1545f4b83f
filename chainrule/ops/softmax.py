"""Softmax, its logarithm and logsumexp: the reductions that must not overflow. `dim` is one non-negative dimension, or a tuple."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core.silence import restore, silence
from chainrule.kernels import rows
from chainrule.ops.pointwise import exp
from chainrule.ops.primitive import conjugate as conj, general
from chainrule.ops.reduce import keep, sum, widened

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
_max, _add = np.maximum.reduce, np.add.reduce


def along_rows(kernel: Callable, dim: tuple, *arrays: Any) -> Any:
    """`kernel` of the arrays as matrices whose rows are `dim`; None if that is not the last dimension of floats, or nothing is there."""
    a = arrays[-1]
    shape, dtype = a.shape, a.dtype
    if (dtype is not F32 and dtype is not F64) or dim != (len(shape) - 1,) or not a.size:
        return None
    if len(shape) == 2 and a.flags.c_contiguous:
        return kernel(*arrays)
    return kernel(*[np.ascontiguousarray(v).reshape(-1, shape[-1]) for v in arrays]).reshape(shape)


def shifted(a: Any, dim: tuple) -> Any:
    """a minus its maximum over `dim`, fresh memory."""
    a = widened(a)
    return np.asarray(a - _max(a, dim, None, None, True))


@general(a=lambda g, y, dim: unsoftmax(g, y, dim))
def softmax(a: Any, dim: tuple) -> Any:
    """exp(a) scaled to sum to 1 over `dim`."""
    y = along_rows(rows.softmax, dim, a)
    if y is not None:
        return y
    if not a.size:
        return a.copy()
    y = shifted(a, dim)
    np.exp(y, y)
    y /= _add(y, dim, None, None, True)
    return y if y.dtype is a.dtype else y.astype(a.dtype)


@general(
    a=lambda g, b, dim: unsoftmax(g, b, dim), b=lambda g, a, b, dim: g * (a - sum(a * b, dim, True)) - a * sum(g * b, dim, True),
    node="SoftmaxBackwardDataBackward0",
)  # fmt: skip
def unsoftmax(a: Any, b: Any, dim: tuple) -> Any:
    """The cotangent of softmax's input, a being that of its result b."""
    y = along_rows(rows.unsoftmax, dim, a, b)
    if y is not None:
        return y
    y = a * b
    return y - b * _add(y, dim, None, None, True)


@general(a=lambda g, y, dim: unlog_softmax(g, y, dim))
def log_softmax(a: Any, dim: tuple) -> Any:
    """The logarithm of `softmax`, without computing it."""
    y = along_rows(rows.log_softmax, dim, a)
    if y is not None:
        return y
    if not a.size:
        return a.copy()
    y = shifted(a, dim)
    y -= np.log(_add(np.exp(y), dim, None, None, True))
    return y if y.dtype is a.dtype else y.astype(a.dtype)


@general(
    a=lambda g, b, dim: g - sum(g * exp(b), dim, True), b=lambda g, a, b, dim: -g * exp(b) * sum(a, dim, True),
    node="LogSoftmaxBackwardDataBackward0",
)  # fmt: skip
def unlog_softmax(a: Any, b: Any, dim: tuple) -> Any:
    """The cotangent of log_softmax's input, a being that of its result b."""
    y = along_rows(rows.unlog_softmax, dim, a, b)
    return a - np.exp(b) * _add(a, dim, None, None, True) if y is None else y


@general(a=lambda g, a, y, dim, keepdim: keep(g, a, dim, keepdim) * conj(exp(a - keep(y, a, dim, keepdim))))
def logsumexp(a: Any, dim: Any, keepdim: bool) -> Any:
    """log(sum(exp(a))) over `dim`; infinities count as what they are."""
    if a.size >= rows.WORTH and a.__class__ is np.ndarray and a.flags.c_contiguous and dim == (a.ndim - 1,):
        y = rows.logsumexp(a.reshape(-1, a.shape[-1]))
        if y is not None:
            return y.reshape((*a.shape[:-1], 1) if keepdim else a.shape[:-1])
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
