"""Batch norm of float32, and back, a channel at a time: its elements are still in the cache when it is known what to do to them.

x is (N, C, length); a channel has N rows, which lie C rows apart. It is summed up in blocks, of some rows or a part of one, that fit the
first-level cache; what blocks amount to is joined in double precision.
"""

from __future__ import annotations

import numpy as np

from chainrule.kernels.compile_numba import finish, inlined, inner, kernel, peek, poke, wait
from chainrule.kernels.compile_vectors_numba import LANES, fill, load, store, total
from chainrule.kernels.handover_numba import invite, take

PIECE = 1 << 13  # elements to a task, at least
BLOCK = 1 << 12  # elements to a block, at most
f32, f64 = np.float32, np.float64
ROWS = "f4[:, :, ::1]"


@inlined
def block_of(images, length):  # type: ignore[no-untyped-def]
    """Rows of a block, and elements of a row."""
    return min(images, max(1, BLOCK // length)), min(length, BLOCK)


@inner
def moments_of(x, at, step, rows, length):  # type: ignore[no-untyped-def]
    """The mean of a block, and the sum of squares of what is left without it."""
    s0 = s1 = s2 = s3 = fill(f32(0))
    rest, whole = f32(0), length - length % LANES
    for here in range(at, at + rows * step, step):
        v, end = here, here + whole
        while v + 4 * LANES <= end:
            s0, s1 = s0 + load(x, v), s1 + load(x, v + LANES)
            s2, s3 = s2 + load(x, v + 2 * LANES), s3 + load(x, v + 3 * LANES)
            v += 4 * LANES
        while v < end:
            s0 = s0 + load(x, v)
            v += LANES
        for i in range(end, here + length):
            rest += peek(x, i)
    mean = (total((s0 + s1) + (s2 + s3)) + rest) / f32(rows * length)
    s0 = s1 = s2 = s3 = fill(f32(0))
    rest, center = f32(0), fill(mean)
    for here in range(at, at + rows * step, step):
        v, end = here, here + whole
        while v + 4 * LANES <= end:
            d0, d1 = load(x, v) - center, load(x, v + LANES) - center
            d2, d3 = load(x, v + 2 * LANES) - center, load(x, v + 3 * LANES) - center
            s0, s1, s2, s3 = s0 + d0 * d0, s1 + d1 * d1, s2 + d2 * d2, s3 + d3 * d3
            v += 4 * LANES
        while v < end:
            d0 = load(x, v) - center
            s0 = s0 + d0 * d0
            v += LANES
        for i in range(end, here + length):
            rest += (peek(x, i) - mean) * (peek(x, i) - mean)
    return mean, total((s0 + s1) + (s2 + s3)) + rest


@inner
def products_of(g, x, at, step, rows, length, mean):  # type: ignore[no-untyped-def]
    """The sums of g, and of g * (x - mean), over a block."""
    s0 = s1 = t0 = t1 = fill(f32(0))
    s, t, center, whole = f32(0), f32(0), fill(mean), length - length % LANES
    for here in range(at, at + rows * step, step):
        v, end = here, here + whole
        while v + 2 * LANES <= end:
            g0, g1 = load(g, v), load(g, v + LANES)
            s0, s1 = s0 + g0, s1 + g1
            t0, t1 = t0 + g0 * (load(x, v) - center), t1 + g1 * (load(x, v + LANES) - center)
            v += 2 * LANES
        if v < end:
            g0 = load(g, v)
            s0, t0 = s0 + g0, t0 + g0 * (load(x, v) - center)
        for i in range(end, here + length):
            s += peek(g, i)
            t += peek(g, i) * (peek(x, i) - mean)
    return s + total(s0 + s1), t + total(t0 + t1)


@inner
def scaled(x, at, step, rows, length, scale, shift, y):  # type: ignore[no-untyped-def]
    """y = x * scale + shift."""
    factor, more, whole = fill(scale), fill(shift), length - length % LANES
    for here in range(at, at + rows * step, step):
        for v in range(here, here + whole, LANES):
            store(y, v, load(x, v) * factor + more)
        for i in range(here + whole, here + length):
            poke(y, i, peek(x, i) * scale + shift)


@inner
def combined(g, x, at, step, rows, length, scale, slope, shift, y):  # type: ignore[no-untyped-def]
    """y = g * scale + x * slope + shift."""
    factor, other, more, whole = fill(scale), fill(slope), fill(shift), length - length % LANES
    for here in range(at, at + rows * step, step):
        for v in range(here, here + whole, LANES):
            store(y, v, load(g, v) * factor + (load(x, v) * other + more))
        for i in range(here + whole, here + length):
            poke(y, i, peek(g, i) * scale + (peek(x, i) * slope + shift))


@kernel(f"({ROWS}, f4[::1], f4[::1], f4, {ROWS}, f4[:, ::1], i8[::1])")
def batch_norm(x, weight, bias, eps, y, moments, turns):  # type: ignore[no-untyped-def]
    """Fill y, and moments: means, variances, and the inverses of the standard deviations. A task is some channels."""
    helping = invite(turns)
    images, channels, length = x.shape
    step, (tall, wide) = channels * length, block_of(images, length)
    group = min(channels, PIECE // (images * length) + 1)
    tasks = (channels + group - 1) // group
    task = take(turns, helping, tasks)
    while task < tasks:
        for c in range(task * group, min(channels, (task + 1) * group)):
            mean, squares, seen = f64(0), f64(0), 0
            for n in range(0, images, tall):
                for p in range(0, length, wide):
                    rows, long = min(tall, images - n), min(wide, length - p)
                    average, left = moments_of(x, n * step + c * length + p, step, rows, long)
                    if seen == 0:
                        mean, squares = f64(average), f64(left)
                    else:
                        away, part = average - mean, rows * long / f64(seen + rows * long)
                        mean += away * part
                        squares += left + away * away * part * seen
                    seen += rows * long
            variance = f32(squares / seen)
            rstd = f32(1) / np.sqrt(variance + eps)
            moments[0, c], moments[1, c], moments[2, c] = mean, variance, rstd
            scale = rstd * weight[c]
            scaled(x, c * length, step, images, length, scale, bias[c] - moments[0, c] * scale, y)
        finish(turns, 0)
        task = take(turns, helping, tasks)
    wait(turns, 0, tasks)


@kernel(f"({ROWS}, {ROWS}, f4[::1], f4[::1], f4[::1], {ROWS}, f4[:, ::1], i8[::1])")
def batch_norm_back(g, x, weight, mean, rstd, to_x, sums, turns):  # type: ignore[no-untyped-def]
    """Fill to_x, unless it is empty, and sums: the cotangents of weight and bias."""
    helping = invite(turns)
    images, channels, length = x.shape
    step, (tall, wide) = channels * length, block_of(images, length)
    group = min(channels, PIECE // (images * length) + 1)
    tasks = (channels + group - 1) // group
    task = take(turns, helping, tasks)
    while task < tasks:
        for c in range(task * group, min(channels, (task + 1) * group)):
            s, t = f64(0), f64(0)
            for n in range(0, images, tall):
                for p in range(0, length, wide):
                    at = n * step + c * length + p
                    of_bias, of_weight = products_of(g, x, at, step, min(tall, images - n), min(wide, length - p), mean[c])
                    s += of_bias
                    t += of_weight
            sums[0, c], sums[1, c] = t * rstd[c], s
            if to_x.size:
                scale, part = rstd[c] * weight[c], f64(-1) / (images * length)
                slope = f32(part * scale * rstd[c] * rstd[c] * t)
                combined(g, x, c * length, step, images, length, scale, slope, f32(part * scale * s) - mean[c] * slope, to_x)
        finish(turns, 0)
        task = take(turns, helping, tasks)
    wait(turns, 0, tasks)
