"""The compiled tier of `kernels.small`, function by function: all of a small array's work in one call."""

from __future__ import annotations

from functools import cache
from math import log, sqrt
from typing import Any

import numpy as np

from chainrule.kernels.compile_numba import inlined, kernel, peek, poke
from chainrule.kernels.small import LEAST, LOG_LEAST, LOG_MOST, MOST, RANKS

F32, F64 = np.float32, np.float64
MATRIX, VECTOR, INDEX = "Array(float32, 2, 'C', True)", "Array(float32, 1, 'C', True)", "Array(int64, 1, 'C', True)"  # to read
FLOATS, INDICES, WRITTEN = "Array(float32, {0}, 'C', True)", "Array(int64, {0}, 'C', True)", "Array(float32, {0}, 'C')"  # of any rank
TYPES: dict[str, list[str]] = {}  # of each kernel's arguments


def small(*arguments: str, fast: Any = False) -> Any:
    """State a kernel for arguments of these types alone; sums in float64 can be taken in any order (`fast`), all else cannot."""

    def state(function: Any) -> Any:
        given = f"({', '.join(arguments)},)"
        TYPES[function.__name__] = signatures = [given.format(rank + 1) for rank in range(RANKS)] if "{0}" in given else [given]
        return kernel(*signatures, fast=fast)(function)

    return state


@cache
def ready(name: str) -> Any:
    """A kernel, compiled for its types, and never for others: it refuses those with a TypeError."""
    found = globals()[name]
    for types in TYPES[name]:
        found.compile(types)
    found.disable_compile()
    return found


@inlined
def total(a):
    s = 0.0
    for j in range(len(a)):
        s += a[j]
    return s


@small(MATRIX, VECTOR, VECTOR, "f8", "f4[:, ::1]", "f4[:, ::1]", "f4[:, ::1]", fast={"reassoc", "contract"})
def normalize(x, weight, bias, eps, y, means, rstds):
    n, d = x.shape
    for i in range(n):
        mean = total(x[i]) / d
        s = 0.0
        for j in range(d):
            z = x[i, j] - mean
            s += z * z
        rstd = 1 / sqrt(s / d + eps)
        for j in range(d):
            y[i, j] = (x[i, j] - mean) * rstd * weight[j] + bias[j]
        means[i, 0], rstds[i, 0] = mean, rstd


@small(MATRIX, MATRIX, VECTOR, MATRIX, MATRIX, "f4[:, ::1]", "f4[:, ::1]", fast={"reassoc", "contract"})
def unnormalize(g, x, weight, means, rstds, to_x, rows):
    n, d = x.shape
    to_weight, to_bias = np.zeros(d), np.zeros(d)
    for i in range(n):
        mean, rstd = F64(means[i, 0]), F64(rstds[i, 0])
        slope = shift = 0.0
        for j in range(d):
            z, h = (x[i, j] - mean) * rstd, F64(g[i, j])
            to_weight[j] += h * z
            to_bias[j] += h
            h *= weight[j]
            slope += h * z
            shift += h
        slope /= -d
        shift /= -d
        for j in range(d):
            z = (x[i, j] - mean) * rstd
            to_x[i, j] = (z * slope + g[i, j] * F64(weight[j]) + shift) * rstd
    for j in range(d):
        rows[0, j], rows[1, j] = to_weight[j], to_bias[j]


@small("f4[:, ::1]")
def scale_exponentials(y):
    n, d = y.shape
    for i in range(n):
        s = total(y[i])
        if not (LEAST < s < MOST):
            return False
        s = F32(s)
        for j in range(d):
            y[i, j] /= s
    return True


@small(MATRIX, "f4[:, ::1]")
def subtract_logs(a, y):
    n, d = y.shape
    for i in range(n):
        logs = log(total(y[i]))
        if not (LOG_LEAST < logs < LOG_MOST):
            return False
        logs = F32(logs)
        for j in range(d):
            y[i, j] = a[i, j] - logs
    return True


@inlined
def product(a, b):
    s = 0.0
    for j in range(len(a)):
        s += F64(a[j]) * b[j]
    return s


@small(MATRIX, MATRIX, "f4[:, ::1]")
def unsoftmax(g, y, to_a):
    n, d = g.shape
    for i in range(n):
        s = F32(product(g[i], y[i]))
        for j in range(d):
            to_a[i, j] = (g[i, j] - s) * y[i, j]


@small(MATRIX, "f4[:, ::1]")
def unlog_softmax(g, to_a):
    n, d = g.shape
    for i in range(n):
        s = F32(total(g[i]))
        for j in range(d):
            to_a[i, j] = g[i, j] - to_a[i, j] * s


@small(MATRIX, INDEX)
def mean_loss(logs, classes):
    n = len(classes)
    s = 0.0
    for i in range(n):
        s += logs[i, classes[i]]
    return -s / n


@small(INDICES, INDICES, "i8", FLOATS, WRITTEN)
def add_at(places, others, step, source, y):
    for i in range(places.size):
        j = peek(others, i) + step * peek(places, i)
        poke(y, j, peek(y, j) + peek(source, i))


@small(INDEX, MATRIX, "f4[:, ::1]")
def add_rows(places, source, y):
    for i in range(len(places)):
        for j in range(y.shape[1]):
            y[places[i], j] += source[i, j]


@small(FLOATS, INDICES, INDICES, "i8", WRITTEN)
def take_at(a, places, others, step, y):
    for i in range(places.size):
        poke(y, i, peek(a, peek(others, i) + step * peek(places, i)))


@small(INDICES, "i8")
def inside(places, n):
    found = True
    for i in range(places.size):
        found &= np.uint64(peek(places, i)) < np.uint64(n)
    return found


@small(MATRIX, "f4[:, ::1]", "i8[:, ::1]")
def largest(a, values, index):
    n, d = a.shape
    k = values.shape[1]
    for i in range(n):
        have = 0
        for j in range(d):
            v = a[i, j]
            at = have
            while at > 0 and (v > values[i, at - 1] or (v != v and values[i, at - 1] == values[i, at - 1])):
                at -= 1
            if at < k:
                have = min(have + 1, k)
                for m in range(have - 1, at, -1):
                    values[i, m], index[i, m] = values[i, m - 1], index[i, m - 1]
                values[i, at], index[i, at] = v, j
