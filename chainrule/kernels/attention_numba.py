"""Compiled attention for float32, a block of queries of one head at a time: their scores stay in the cache, and none are kept.

What is kept is a number for each query, which is taken from its scores before the exponential (0 mostly: see `kernels.rows`); with it
the way back computes each block of weights anew, to the bit. Arrays (batch, heads, places, size) are given by their first element and
the `steps` that lead from one index to the next in all dimensions but the last, so that heads may lie side by side, as a linear layer
leaves them. There are `heads` of them, `length` queries and `source` keys; a key is `size` long and a value `width`.
"""

from __future__ import annotations

import numpy as np

from chainrule.kernels.compile_numba import finish, gemm, inner, kernel, wait
from chainrule.kernels.handover_numba import invite, take
from chainrule.kernels.rows_numba import LEAST, MOST, ONE, ZERO, dot, exponentials, largest, less, scale

QUERIES = 64  # to a block


@inner
def start(steps, which, heads, i):
    """Where head i of all heads in the batch begins."""
    return i // heads * steps[which, 0] + i % heads * steps[which, 1]


@inner
def powers(row, factor, top, y):
    """y = exp(factor * row - top), row becoming factor * row; the sum."""
    scale(row, factor)
    if top == ZERO:
        return exponentials(row, y)
    less(row, top, y)
    return exponentials(y, y)


@kernel("(f4[::1], f4[::1], f4[::1], i8, i8, i8, i8, i8, i8[:, ::1], f4, b1, f4[::1], f4[:, ::1], i8[::1])")
def attend(q, k, v, heads, length, source, size, width, steps, factor, causal, y, tops, turns):
    """y = softmax(factor * q @ k.T) @ v; `steps` are those of q, k, v and y."""
    helping = invite(turns)
    blocks = (length + QUERIES - 1) // QUERIES
    pieces = len(tops) * blocks
    scores, weights = np.empty((QUERIES, source), np.float32), np.empty((QUERIES, source), np.float32)
    i = take(turns, helping, pieces)
    while i < pieces:
        head, first = i // blocks, i % blocks * QUERIES
        count = min(QUERIES, length - first)
        seen = min(source, first + count) if causal else source
        at_q, at_y = start(steps, 0, heads, head) + first * steps[0, 2], start(steps, 3, heads, head) + first * steps[3, 2]
        gemm(
            False, True, count, seen, size, q, at_q, steps[0, 2], k, start(steps, 1, heads, head), steps[1, 2], False, scores, 0, source
        )
        for r in range(count):
            visible = min(first + r + 1, seen) if causal else seen
            row, found = scores[r, :visible], weights[r, :visible]
            tops[head, first + r] = ZERO
            s = powers(row, factor, ZERO, found)
            if not (LEAST < s < MOST):
                tops[head, first + r] = largest(row)
                less(row, tops[head, first + r], found)
                s = exponentials(found, found)
            scale(found, ONE / s)
            weights[r, visible:seen] = ZERO
        gemm(
            False, False, count, width, seen, weights, 0, source, v, start(steps, 2, heads, head), steps[2, 2], False, y, at_y, steps[3, 2]
        )
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@inner
def back(g, y, s, factor):
    """g = factor * y * (g - s)."""
    for j in range(len(g)):
        g[j] = factor * y[j] * (g[j] - s)


@kernel("(f4[::1], f4[::1], f4[::1], f4[::1], i8, i8, i8, i8, i8, i8[:, ::1], f4, b1, f4[:, ::1], f4[::1], f4[::1], f4[::1], i8[::1])")
def unattend(g, q, k, v, heads, length, source, size, width, steps, factor, causal, tops, to_q, to_k, to_v, turns):
    """The cotangents of q, k and v, of the last two zeros before, given that of y; `steps` are those of g, q, k, v and of these."""
    helping = invite(turns)
    weights, slopes = np.empty((QUERIES, source), np.float32), np.empty((QUERIES, source), np.float32)
    head = take(turns, helping, len(tops))
    while head < len(tops):
        at_k, at_v = start(steps, 2, heads, head), start(steps, 3, heads, head)
        to_keys, to_values = start(steps, 5, heads, head), start(steps, 6, heads, head)
        for first in range(0, length, QUERIES):
            count = min(QUERIES, length - first)
            seen = min(source, first + count) if causal else source
            at_g, at_q = start(steps, 0, heads, head) + first * steps[0, 2], start(steps, 1, heads, head) + first * steps[1, 2]
            to_queries = start(steps, 4, heads, head) + first * steps[4, 2]
            gemm(False, True, count, seen, size, q, at_q, steps[1, 2], k, at_k, steps[2, 2], False, slopes, 0, source)
            for r in range(count):
                visible = min(first + r + 1, seen) if causal else seen
                s = powers(slopes[r, :visible], factor, tops[head, first + r], weights[r, :visible])
                scale(weights[r, :visible], ONE / s)
                weights[r, visible:seen] = ZERO
            gemm(True, False, seen, width, count, weights, 0, source, g, at_g, steps[0, 2], True, to_v, to_values, steps[6, 2])
            gemm(False, True, count, seen, width, g, at_g, steps[0, 2], v, at_v, steps[3, 2], False, slopes, 0, source)
            for r in range(count):
                back(slopes[r, :seen], weights[r, :seen], dot(slopes[r, :seen], weights[r, :seen]), factor)
            gemm(False, False, count, size, seen, slopes, 0, source, k, at_k, steps[2, 2], False, to_q, to_queries, steps[4, 2])
            gemm(True, False, seen, size, count, slopes, 0, source, q, at_q, steps[1, 2], True, to_k, to_keys, steps[5, 2])
        finish(turns, 0)
        head = take(turns, helping, len(tops))
    wait(turns, 0, len(tops))
