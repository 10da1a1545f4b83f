"""Running sums, products, extrema along one dimension `dim`."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ops.pointwise import exp, where
from chainrule.ops.primitive import Primitive, general, linear
from chainrule.ops.primitive import conjugate as conj
from chainrule.ops.reduce import sum, widened
from chainrule.ops.shape import reshape


@linear(a=lambda g, dim: cumsum_back(g, dim))
def cumsum(a: Any, dim: int) -> Any:
    """At each place the sum of what came so far."""
    return np.add.accumulate(widened(a), dim).astype(a.dtype, copy=False)


@linear(a=lambda g, dim: cumsum(g, dim), node="CumsumBackward0")
def cumsum_back(a: Any, dim: int) -> Any:
    """At each place the sum of what is to come: the transpose of `cumsum`."""
    return np.flip(np.add.accumulate(widened(np.flip(a, dim)), dim), dim).astype(a.dtype, copy=False)


@general(a=lambda g, a, y, dim: cumprod_cotangent(g, a, y, dim))
def cumprod(a: Any, dim: int) -> Any:
    """At each place the product of what came so far."""
    return np.multiply.accumulate(widened(a), dim).astype(a.dtype, copy=False)


def cumprod_cotangent(g: Any, a: Any, y: Any, dim: int) -> Any:
    """By division, or, where zeros forbid that, through the square of all pairs, in which each element is replaced by 1 once."""
    if np.all(getattr(a, "_data", a)):
        return cumsum_back(g * conj(y), dim) / conj(a)
    n, lead, rest = a.shape[dim], a.shape[:dim], (1,) * (len(a.shape) - dim - 1)
    replaced, later = np.eye(n, dtype=bool).reshape(n, n, *rest), np.triu(np.ones((n, n), bool)).reshape(n, n, *rest)
    products = cumprod(where(replaced, 1, reshape(a, (*lead, 1, *a.shape[dim:]))), dim + 1)
    return sum(where(later, reshape(g, (*lead, 1, *g.shape[dim:])) * conj(products), 0), (dim + 1,), False)


# Log of running sums of exponentials. Its derivative sums g_i * exp(a_k - y_i) over i >= k, and so does its transpose over k <= i.


@general(a=lambda g, a, y, dim: exps_back(g, a, y, dim))
def logcumsumexp(a: Any, dim: int) -> Any:
    """At each place log(sum(exp(what came so far)))."""
    if a.dtype.kind != "c":
        with np.errstate(all="ignore"):
            return np.logaddexp.accumulate(widened(a), dim).astype(a.dtype, copy=False)
    top = np.max(a.real, dim, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, top.dtype.type(0))
    with np.errstate(all="ignore"):
        return np.log(np.add.accumulate(np.exp(a - top), dim)) + top


@general(a=lambda g, b, c, dim: exps_on(g, conj(b), conj(c), dim), b=lambda g, a, b, c, y, dim: g * conj(y),
         c=lambda g, a, b, c, dim: -(conj(a) * exps_on(g, b, c, dim)))  # fmt: skip
def exps_back(a: Any, b: Any, c: Any, dim: int) -> Any:
    """At k the sum over i >= k of a_i * conj(exp(b_k - c_i))."""
    return _weighted(a, np.conj(b), -np.conj(c), dim, True)


@general(a=lambda g, b, c, dim: exps_back(g, b, c, dim), b=lambda g, a, b, c, dim: conj(a) * exps_back(g, b, c, dim),
         c=lambda g, y: -(g * conj(y)))  # fmt: skip
def exps_on(a: Any, b: Any, c: Any, dim: int) -> Any:
    """At i the sum over k <= i of a_k * exp(b_k - c_i): the transpose of `exps_back`."""
    return _weighted(a, -c, b, dim, False)
