"""Compiled twins of `kernels.rows` and of the rows of `kernels.norm`, for float32: each row is read once, its few thousand numbers
staying in the cache for what is done to them.
"""

from __future__ import annotations

from math import log

import numpy as np
from numba import njit

from chainrule.kernels.compile_numba import finish, inlined, inner, kernel, wait
from chainrule.kernels.elementwise_numba import exp_of
from chainrule.kernels.handover_numba import invite, take

PIECE = 1 << 13  # elements to a piece of work
F32 = np.float32
LOW, HIGH, ZERO, ONE = F32(-87), F32(88), F32(0), F32(1)
LEAST, MOST = F32(1e-15), F32(1e15)  # sums of exponentials from which softmax loses nothing
LOG_LEAST, LOG_MOST = F32(1e-3), F32(8e3)  # and log_softmax


@inlined
def exp(v):
    e = exp_of(min(max(v, LOW), HIGH))
    return ZERO if v <= LOW else e


@inner
def exponentials(x, y):
    """y = exp(x); their sum."""
    s = ZERO
    for j in range(len(x)):
        e = exp(x[j])
        y[j] = e
        s += e
    return s


@njit(inline="never", error_model="numpy", fastmath={"nsz"})  # in just this order: the numbers can be far from 0, and from top
def less(x, top, y):
    for j in range(len(x)):
        y[j] = x[j] - top


@inner
def largest(x):
    m = x[0]
    for j in range(1, len(x)):
        v = x[j]
        m = v if v > m or v != v else m
    return m


@inner
def scale(y, factor):
    for j in range(len(y)):
        y[j] *= factor


@inner
def dot(a, b):
    s = ZERO
    for j in range(len(a)):
        s += a[j] * b[j]
    return s


@inner
def total(a):
    s = ZERO
    for j in range(len(a)):
        s += a[j]
    return s


@kernel("(f4[:, ::1], f4[:, ::1], i8[::1])")
def softmax(x, y, turns):
    helping = invite(turns)
    n, d = x.shape
    group = max(1, PIECE // d)
    pieces = (n + group - 1) // group
    i = take(turns, helping, pieces)
    while i * group < n:
        for r in range(i * group, min(n, (i + 1) * group)):
            s = exponentials(x[r], y[r])
            if not (LEAST < s < MOST):
                less(x[r], largest(x[r]), y[r])
                s = exponentials(y[r], y[r])
            scale(y[r], ONE / s)
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[:, ::1], f4[:, ::1], i8[::1])")
def log_softmax(x, y, turns):
    helping = invite(turns)
    n, d = x.shape
    group = max(1, PIECE // d)
    pieces = (n + group - 1) // group
    i = take(turns, helping, pieces)
    while i * group < n:
        for r in range(i * group, min(n, (i + 1) * group)):
            s = exponentials(x[r], y[r])
            if LOG_LEAST < s < LOG_MOST:
                less(x[r], F32(log(s)), y[r])
            else:
                top = largest(x[r])
                less(x[r], top, y[r])
                s = exponentials(y[r], y[r])
                less(x[r], top, y[r])
                less(y[r], F32(log(s)), y[r])
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@inner
def exponential_sum(x):
    s = ZERO
    for j in range(len(x)):
        s += exp(x[j])
    return s


@inner
def exponential_sum_less(x, top):
    s = ZERO
    for j in range(len(x)):
        s += exp(x[j] - top)
    return s


@kernel("(f4[:, ::1], f4[::1], i8[::1])")
def logsumexp(x, y, turns):
    """The logarithm of the sum of exponentials of each row; an infinite or NaN maximum is the result."""
    helping = invite(turns)
    n, d = x.shape
    group = max(1, PIECE // d)
    pieces = (n + group - 1) // group
    i = take(turns, helping, pieces)
    while i < pieces:
        for r in range(i * group, min(n, (i + 1) * group)):
            s = exponential_sum(x[r])
            if LOG_LEAST < s < LOG_MOST:
                y[r] = log(s)
            else:
                top = largest(x[r])
                y[r] = top if top - top != ZERO else top + F32(log(exponential_sum_less(x[r], top)))
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@inner
def back(g, y, s, out):
    for j in range(len(g)):
        out[j] = y[j] * (g[j] - s)


@inner
def log_back(g, y, s, out):
    for j in range(len(g)):
        out[j] = g[j] - exp(y[j]) * s


@kernel("(f4[:, ::1], f4[:, ::1], f4[:, ::1], i8[::1])")
def unsoftmax(g, y, out, turns):
    helping = invite(turns)
    n, d = y.shape
    group = max(1, PIECE // d)
    pieces = (n + group - 1) // group
    i = take(turns, helping, pieces)
    while i * group < n:
        for r in range(i * group, min(n, (i + 1) * group)):
            back(g[r], y[r], dot(g[r], y[r]), out[r])
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[:, ::1], f4[:, ::1], f4[:, ::1], i8[::1])")
def unlog_softmax(g, y, out, turns):
    helping = invite(turns)
    n, d = y.shape
    group = max(1, PIECE // d)
    pieces = (n + group - 1) // group
    i = take(turns, helping, pieces)
    while i * group < n:
        for r in range(i * group, min(n, (i + 1) * group)):
            log_back(g[r], y[r], total(g[r]), out[r])
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


# Layer norm; weight and bias are ones and zeros where there are none


@inner
def squares(x, mean):
    s = ZERO
    for j in range(len(x)):
        c = x[j] - mean
        s += c * c
    return s


@inner
def standardized(x, mean, rstd, weight, bias, y):
    for j in range(len(x)):
        y[j] = (x[j] - mean) * rstd * weight[j] + bias[j]


@kernel("(f4[:, ::1], f4[::1], f4[::1], f4, f4[:, ::1], f4[:, ::1], i8[::1])")
def normalize(x, weight, bias, eps, y, moments, turns):
    """y; the rows of moments are the means, the variances, and the inverses of the standard deviations."""
    helping = invite(turns)
    n, d = x.shape
    group = max(1, PIECE // d)
    pieces = (n + group - 1) // group
    i = take(turns, helping, pieces)
    while i * group < n:
        for r in range(i * group, min(n, (i + 1) * group)):
            mean = total(x[r]) / F32(d)
            variance = squares(x[r], mean) / F32(d)
            rstd = ONE / np.sqrt(variance + eps)
            moments[0, r], moments[1, r], moments[2, r] = mean, variance, rstd
            standardized(x[r], mean, rstd, weight, bias, y[r])
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@inner
def products(g, x, mean, rstd, weight):
    """The sums of g * weight, and of that times x standardized."""
    s, t = ZERO, ZERO
    for j in range(len(g)):
        v = g[j] * weight[j]
        s += v
        t += v * ((x[j] - mean) * rstd)
    return s, t


@inner
def gradients(g, x, mean, rstd, weight, s, t, out, to_weight, to_bias):
    for j in range(len(g)):
        v = (x[j] - mean) * rstd
        out[j] = (g[j] * weight[j] - s - v * t) * rstd
        to_weight[j] += g[j] * v
        to_bias[j] += g[j]


@kernel("(f4[:, ::1], f4[:, ::1], f4[::1], f4[::1], f4[::1], f4[:, ::1], f4[:, ::1], f4[:, ::1], i8[::1])")
def unnormalize(g, x, mean, rstd, weight, out, to_weight, to_bias, turns):
    """The cotangents of x, and those of weight and bias in as many parts as `to_weight` has rows, zeros before."""
    helping = invite(turns)
    n, parts = len(x), len(to_weight)
    d = F32(x.shape[1])
    pieces = parts
    i = take(turns, helping, pieces)
    while i < parts:
        for r in range(n * i // parts, n * (i + 1) // parts):
            s, t = products(g[r], x[r], mean[r], rstd[r], weight)
            gradients(g[r], x[r], mean[r], rstd[r], weight, s / d, t / d, out[r], to_weight[i], to_bias[i])
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


# Rows that share a mean with others: numbers of a row are given as vectors with an element for each


@kernel("(f4[:, ::1], f4[:, ::1], i8[::1])")
def moments(x, out, turns):
    """The mean of each row, and the sum of squares of what is left without it."""
    helping = invite(turns)
    n, d = x.shape
    group = max(1, PIECE // d)
    pieces = (n + group - 1) // group
    i = take(turns, helping, pieces)
    while i * group < n:
        for r in range(i * group, min(n, (i + 1) * group)):
            out[0, r] = total(x[r]) / F32(d)
            out[1, r] = squares(x[r], out[0, r])
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@inner
def scaled(x, slope, shift, y):
    for j in range(len(x)):
        y[j] = x[j] * slope + shift


@kernel("(f4[:, ::1], f4[::1], f4[::1], f4[:, ::1], i8[::1])")
def affine(x, slope, shift, y, turns):
    """y = x * slope + shift."""
    helping = invite(turns)
    n, d = x.shape
    group = max(1, PIECE // d)
    pieces = (n + group - 1) // group
    i = take(turns, helping, pieces)
    while i * group < n:
        for r in range(i * group, min(n, (i + 1) * group)):
            scaled(x[r], slope[r], shift[r], y[r])
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@inner
def centered_dot(g, x, center):
    s = ZERO
    for j in range(len(g)):
        s += g[j] * (x[j] - center)
    return s


@kernel("(f4[:, ::1], f4[:, ::1], f4[::1], f4[:, ::1], i8[::1])")
def totals(g, x, center, out, turns):
    """The sums of g, and of g * (x - center)."""
    helping = invite(turns)
    n, d = x.shape
    group = max(1, PIECE // d)
    pieces = (n + group - 1) // group
    i = take(turns, helping, pieces)
    while i * group < n:
        for r in range(i * group, min(n, (i + 1) * group)):
            out[0, r] = total(g[r])
            out[1, r] = centered_dot(g[r], x[r], center[r])
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@inner
def combined(x, slope, g, scale, shift, y):
    for j in range(len(x)):
        y[j] = x[j] * slope + g[j] * scale + shift


@kernel("(f4[:, ::1], f4[::1], f4[:, ::1], f4[::1], f4[::1], f4[:, ::1], i8[::1])")
def combine(x, slope, g, scale, shift, y, turns):
    """y = x * slope + g * scale + shift."""
    helping = invite(turns)
    n, d = x.shape
    group = max(1, PIECE // d)
    pieces = (n + group - 1) // group
    i = take(turns, helping, pieces)
    while i * group < n:
        for r in range(i * group, min(n, (i + 1) * group)):
            combined(x[r], slope[r], g[r], scale[r], shift[r], y[r])
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)
