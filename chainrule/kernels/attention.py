"""Attention on arrays: softmax(scale * q @ k.mT + bias) @ v for (..., L, E), (..., S, E) and (..., S, V), and back."""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np

from chainrule.kernels import rows
from chainrule.kernels.compiled import one_blas_thread, share
from chainrule.kernels.memory import keep_freed

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


def flat(a: Array) -> Array:
    """One batch dimension, one element after the other."""
    return np.ascontiguousarray(a).reshape(-1, *a.shape[-2:])


def forward(q: Array, k: Array, v: Array, bias: Maybe, hidden: Maybe, scale: float, causal: bool) -> tuple[Array, Array]:
    """The result and the weights; `hidden` is True where attention is not allowed, as after each place if `causal`.

    Queries that see nothing get zeros.
    """
    shape = (*q.shape[:-1], k.shape[-2])
    if bias is None and hidden is None and large(q, k):
        from chainrule.kernels.attention_numba import attend

        keep_freed()
        weights, y = np.empty(shape, F32), np.empty((*q.shape[:-1], v.shape[-1]), F32)
        with one_blas_thread():
            share(attend, flat(q), flat(k), flat(v), F32.type(scale), causal, flat(weights), flat(y))
        return y, weights
    scores = np.matmul(q * q.dtype.type(scale), k.mT)
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
    return np.matmul(weights, v), weights


def backward(g: Array, q: Array, k: Array, v: Array, scale: float, weights: Array) -> tuple[Array, Array, Array, Maybe]:
    """The cotangents of q, k and v; and of the scores, which the compiled way does not have."""
    if large(q, k):
        from chainrule.kernels.attention_numba import unattend

        grads = np.empty(q.shape, F32), np.empty(k.shape, F32), np.empty(v.shape, F32)
        with one_blas_thread():
            share(unattend, flat(g), flat(q), flat(k), flat(v), F32.type(scale), flat(weights), *[flat(a) for a in grads])
        return *grads, None
    back = np.matmul(g, v.mT)
    back = rows.unsoftmax(back.reshape(-1, back.shape[-1]), weights.reshape(-1, back.shape[-1])).reshape(back.shape)
    to_q = np.matmul(back, k)
    to_q *= scale
    to_k = np.matmul(back.mT, q)
    to_k *= scale
    return to_q, to_k, np.matmul(weights.mT, g), back


__all__ = ["backward", "forward", "future"]
