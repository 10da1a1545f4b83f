"""Running sums, products, extrema along one dimension `dim`."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core.silence import restore, silence
from chainrule.kernels import reductions
from chainrule.ops.pointwise import logaddexp, where
from chainrule.ops.primitive import Primitive, conjugate as conj, general, linear
from chainrule.ops.reduce import sum, widened
from chainrule.ops.shape import reshape

F32 = np.dtype(np.float32)


@linear(a=lambda g, dim: cumsum_back(g, dim))
def cumsum(a: Any, dim: int) -> Any:
    """At each place the sum of what came so far."""
    if a.dtype is F32 and a.size < reductions.WORTH:
        token = silence()
        y = np.add.accumulate(a, dim)
        restore(token)
        return y
    y = reductions.scan(a, dim)
    return np.add.accumulate(widened(a), dim).astype(a.dtype, copy=False) if y is None else y


@linear(a=lambda g, dim: cumsum(g, dim), node="CumsumBackward0")
def cumsum_back(a: Any, dim: int) -> Any:
    """At each place the sum of what is to come: the transpose of `cumsum`."""
    y = reductions.scan(a, dim, back=True)
    return np.flip(np.add.accumulate(widened(np.flip(a, dim)), dim), dim).astype(a.dtype, copy=False) if y is None else y


@general(a=lambda g, a, y, dim: cumprod_cotangent(g, a, y, dim))
def cumprod(a: Any, dim: int) -> Any:
    """At each place the product of what came so far."""
    if a.dtype is F32 and a.size < reductions.WORTH:
        token = silence()
        y = np.multiply.accumulate(a, dim)
        restore(token)
        return y
    y = reductions.scan(a, dim, products=True)
    return np.multiply.accumulate(widened(a), dim).astype(a.dtype, copy=False) if y is None else y


def cumprod_cotangent(g: Any, a: Any, y: Any, dim: int) -> Any:
    """By division, or, where zeros forbid that, through the square of all pairs, in which each element is replaced by 1 once."""
    if np.all(getattr(a, "_data", a)):
        return cumsum_back(g * conj(y), dim) / conj(a)
    n, lead, rest = a.shape[dim], a.shape[:dim], (1,) * (len(a.shape) - dim - 1)
    replaced, later = np.eye(n, dtype=bool).reshape(n, n, *rest), np.triu(np.ones((n, n), bool)).reshape(n, n, *rest)
    products = cumprod(where(replaced, 1, reshape(a, (*lead, 1, *a.shape[dim:]))), dim + 1)
    return sum(where(later, reshape(g, (*lead, 1, *g.shape[dim:])) * conj(products), 0), (dim + 1,), False)


# Log of running sums of exponentials. Its derivative sums g_i * exp(a_k - y_i) over i >= k, and so does its transpose over k <= i.


@general(a=lambda g, a, y, dim: exps_back(g, a, y, dim), jvp=lambda t, a, y, dim: exps_on(t, a, y, dim))
def logcumsumexp(a: Any, dim: int) -> Any:
    """At each place log(sum(exp(what came so far)))."""
    if a.dtype.kind != "c":
        with np.errstate(all="ignore"):
            return np.logaddexp.accumulate(widened(a), dim).astype(a.dtype, copy=False)
    y = np.empty_like(a)
    last: Any = np.full((), -np.inf, a.dtype)
    with np.errstate(all="ignore"):  # NumPy's logaddexp is for real numbers; the angle is carried on, beyond pi too
        for i in range(a.shape[dim]):
            place = (slice(None),) * dim + (i, ...)
            y[place] = last = logaddexp.kernel(a[place], last)
    return y


@general(
    a=lambda g, b, c, dim: exps_on(g, b, c, dim), b=lambda g, y: conj(g) * y,
    c=lambda g, a, b, c, dim: -(a * conj(exps_on(g, b, c, dim))),
)  # fmt: skip
def exps_back(a: Any, b: Any, c: Any, dim: int) -> Any:
    """At k the sum over i >= k of a_i * conj(exp(b_k - c_i))."""
    return _weighted(a, -np.conj(c), np.conj(b), dim, True)


@general(
    a=lambda g, b, c, dim: exps_back(g, b, c, dim),
    b=lambda g, a, b, c, dim: conj(a) * exps_back(g, b, c, dim),
    c=lambda g, y: -(g * conj(y)),
)
def exps_on(a: Any, b: Any, c: Any, dim: int) -> Any:
    """At i the sum over k <= i of a_k * exp(b_k - c_i): the transpose of `exps_back`."""
    return _weighted(a, b, -c, dim, False)


def _weighted(a: Any, inner: Any, outer: Any, dim: int, back: bool) -> Any:
    """exp(outer) times the running (or coming) sums of a * exp(inner), without overflow on the way."""
    dtype, a, inner, outer = a.dtype, widened(a), widened(inner), widened(outer)
    turned = (lambda v: np.flip(v, dim)) if back else (lambda v: v)
    with np.errstate(all="ignore"):
        if a.dtype.kind == "c" or inner.dtype.kind == "c":
            top = np.max(inner.real, dim, keepdims=True, initial=-np.inf)
            top = np.where(np.isfinite(top), top, top.dtype.type(0))
            return turned(np.add.accumulate(turned(a * np.exp(inner - top)), dim)) * np.exp(outer + top)
        y = 0
        for sign in (1, -1):
            logs = np.log(np.maximum(sign * a, a.dtype.type(0))) + inner
            y = y + sign * np.exp(turned(np.logaddexp.accumulate(turned(logs), dim)) + outer)
    return y.astype(dtype, copy=False)


# Running extrema: ties go to the last


def _running(name: str, kernel: Any) -> Primitive:
    def scan(a: Any, dim: int) -> Any:
        y = kernel.accumulate(a, dim)
        places = np.arange(a.shape[dim]).reshape((-1,) + (1,) * (a.ndim - dim - 1))
        new = (a == y) | (a != a)
        return y, np.maximum.accumulate(np.where(new, places, 0), dim)

    stated = general(
        vjp=lambda g, index, a_shape, dim: (spread(g[0], index, a_shape, dim),), inputs=("a",), outputs=("y", "index"), name=name
    )
    return stated(scan)


def spread(g: Any, index: Any, shape: tuple, dim: int) -> Any:
    from chainrule.ops.index import spread

    return spread(g, index, shape, dim)


cummax, cummin = _running("cummax", np.maximum), _running("cummin", np.minimum)
