"""Attention on arrays: softmax(scale * q @ k.mT + bias) @ v for (..., L, E), (..., S, E) and (..., S, V), and back."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import prod

import numpy as np

from chainrule.kernels import rows
from chainrule.kernels.compiled import one_blas_thread, share
from chainrule.kernels.memory import keep_freed
from chainrule.kernels.products import products

Array = np.ndarray
Maybe = np.ndarray | None
F32 = np.dtype(np.float32)
WORTH = 1 << 15  # weights from which Numba is worth its import


@lru_cache(maxsize=16)
def future(length: int, source: int) -> Array:
    """True where a place would look at a later one."""
    return ~np.tri(length, source, dtype=bool)


def large(q: Array, k: Array) -> bool:
    """Whether the compiled kernels are for these."""
    return q.dtype is F32 and prod(q.shape[:-1]) * k.shape[-2] >= WORTH


def readable(a: Array) -> Array:
    """(batch, heads, places, size) as compiled kernels read it: no steps but forward ones, single ones in the last dimension."""
    lead = a.shape[:-2]
    a = a.reshape(-1, lead[-1] if lead else 1, *a.shape[-2:])
    *others, step, last = a.strides
    whole = a.itemsize
    if a.shape[-1] == 1:  # BLAS takes columns for vectors, and not all of its versions their steps
        return np.ascontiguousarray(a)
    if last == whole and step >= a.shape[-1] * whole and not [s for s in (*others, step) if s < 0 or s % whole]:
        return a
    return np.ascontiguousarray(a)


def alike(a: Array, size: int, make: Callable = np.empty) -> Array:
    """A new array (..., places, size) that lies in memory as a does: heads of a place together, or places of a head."""
    shape = (*a.shape[:-1], size)
    if a.ndim < 4 or size == 1 or a.strides[-3] >= a.strides[-2]:
        return make(shape, F32)
    return make((*shape[:-3], shape[-2], shape[-3], size), F32).swapaxes(-2, -3)


def steps(*arrays: Array) -> Array:
    return np.array([[s // a.itemsize for s in a.strides[:3]] for a in arrays], np.int64)


def first(a: Array) -> Array:
    """The first element, from which a kernel finds all."""
    return a[0, 0, 0, :1]


def sizes(q: Array, k: Array, v: Array) -> tuple[int, ...]:
    return q.shape[1], q.shape[2], k.shape[2], k.shape[3], v.shape[3]


def forward(q: Array, k: Array, v: Array, bias: Maybe, hidden: Maybe, scale: float, causal: bool) -> tuple[Array, Array]:
    """The result, and what `backward` needs: the weights, or what was taken from each query's scores to compute them.

    `hidden` is True where attention is not allowed, as after each place if `causal`. Queries that see nothing get zeros.
    """
    shape = (*q.shape[:-1], k.shape[-2])
    if bias is None and hidden is None and large(q, k):
        from chainrule.kernels.attention_numba import attend

        keep_freed()
        y, tops = alike(q, v.shape[-1]), np.empty(q.shape[:-1], F32)
        a, b, c, d = (readable(x) for x in (q, k, v, y))
        with one_blas_thread():
            share(
                attend, first(a), first(b), first(c), *sizes(a, b, c), steps(a, b, c, d), F32.type(scale), causal, first(d),
                tops.reshape(-1, q.shape[-2]),
            )  # fmt: skip
        return y, tops
    scores = products(q * q.dtype.type(scale), k.mT)
    if bias is not None:
        scores = scores + bias
    if causal:
        np.copyto(scores, -np.inf, where=future(*shape[-2:]))
    if hidden is not None:
        np.copyto(scores, -np.inf, where=hidden)
    blind = None
    if bias is not None or hidden is not None:
        blind = np.isneginf(np.maximum.reduce(scores, -1, keepdims=True))
        blind = blind if blind.any() else None
    weights = rows.softmax(scores.reshape(-1, shape[-1])).reshape(shape)
    if blind is not None:
        weights = np.where(blind, weights.dtype.type(0), weights)
    return products(weights, v), weights


def backward(g: Array, q: Array, k: Array, v: Array, scale: float, causal: bool, kept: Array) -> tuple[Array, Array, Array]:
    """The cotangents of q, k and v, there being no bias; `kept` is what `forward` gave."""
    if kept.ndim < q.ndim:
        from chainrule.kernels.attention_numba import unattend

        to_q, to_k, to_v = alike(q, q.shape[-1]), alike(k, k.shape[-1], np.zeros), alike(v, v.shape[-1], np.zeros)
        arrays = [readable(a) for a in (g, q, k, v, to_q, to_k, to_v)]
        with one_blas_thread():
            share(
                unattend, *[first(a) for a in arrays[:4]], *sizes(*arrays[1:4]), steps(*arrays), F32.type(scale), causal,
                kept.reshape(-1, q.shape[-2]), *[first(a) for a in arrays[4:]],
            )  # fmt: skip
        return to_q, to_k, to_v
    weights = kept
    back = products(g, v.mT)
    back = rows.unsoftmax(back.reshape(-1, back.shape[-1]), weights.reshape(-1, back.shape[-1])).reshape(back.shape)
    to_q = products(back, k)
    to_q *= scale
    to_k = products(back.mT, q)
    to_k *= scale
    return to_q, to_k, products(weights.mT, g)


__all__ = ["backward", "forward", "future"]
