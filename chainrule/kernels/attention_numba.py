"""Compiled attention for float32: each thread takes some queries of one head, whose scores stay in its cache, to the end."""

from __future__ import annotations

import numpy as np

from chainrule.kernels.compile_numba import claim, finish, gemm, inner, kernel, wait
from chainrule.kernels.rows_numba import LEAST, MOST, ONE, ZERO, dot, exponentials, largest, less, scale

QUERIES = 64  # to a piece of work


@kernel("(f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], f4, b1, f4[:, :, ::1], f4[:, :, ::1], i8[::1])")
def attend(q, k, v, factor, causal, weights, y, turns):
    """weights = softmax(factor * q @ k.T), y = weights @ v, for each of a batch."""
    n, length, size = q.shape
    source, width = v.shape[1], v.shape[2]
    pieces = (length + QUERIES - 1) // QUERIES
    scores = np.empty(source, np.float32)
    i = claim(turns, 0)
    while i < n * pieces:
        b, first = i // pieces, i % pieces * QUERIES
        count = min(QUERIES, length - first)
        here = (b * length + first) * source
        gemm(
            False, True, count, source, size, q, (b * length + first) * size, size, k, b * source * size, size, False, weights, here, source
        )
        for r in range(first, first + count):
            row, found = weights[b, r], scores[: min(r + 1, source) if causal else source]
            seen = row[: len(found)]
            scale(seen, factor)
            s = exponentials(seen, found)
            if not (LEAST < s < MOST):
                less(seen, largest(seen), found)
                s = exponentials(found, found)
            scale(found, ONE / s)
            seen[:] = found
            row[len(found) :] = ZERO
        gemm(
            False, False, count, width, source, weights, here, source, v, b * source * width, width, False, y,
            (b * length + first) * width, width,
        )  # fmt: skip
        finish(turns, 0)
        i = claim(turns, 0)
    wait(turns, 0, n * pieces)


@inner
def back(g, y, s, factor):
    """g = factor * y * (g - s)."""
    for j in range(len(g)):
        g[j] = factor * y[j] * (g[j] - s)


@kernel(
    "(f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], f4, f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], i8[::1])"
)
def unattend(g, q, k, v, factor, weights, to_q, to_k, to_v, turns):
    """The cotangents of q, k and v, given that of `attend`'s y."""
    n, length, size = q.shape
    source, width = v.shape[1], v.shape[2]
    scores = np.empty((length, source), np.float32)
    b = claim(turns, 0)
    while b < n:
        at_q, at_k, at_v, at_y, here = b * length * size, b * source * size, b * source * width, b * length * width, b * length * source
        gemm(True, False, source, width, length, weights, here, source, g, at_y, width, False, to_v, at_v, width)
        gemm(False, True, length, source, width, g, at_y, width, v, at_v, width, False, scores, 0, source)
        for r in range(length):
            back(scores[r], weights[b, r], dot(scores[r], weights[b, r]), factor)
        gemm(False, False, length, size, source, scores, 0, source, k, at_k, size, False, to_q, at_q, size)
        gemm(True, False, source, size, length, scores, 0, source, q, at_q, size, False, to_k, at_k, size)
        finish(turns, 0)
        b = claim(turns, 0)
    wait(turns, 0, n)
