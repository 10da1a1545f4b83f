"""Batch norm of float32, and back, a few channels at a time: their elements are still in the cache when it is known what to do to them.

x is (N, C, length); a channel has N rows, which lie C rows apart. It is summed up in blocks, of some rows or a part of one, that fit the
first-level cache; what blocks amount to is joined in double precision. Channels side by side go together, for memory is read
fastest in long pieces.
"""

from __future__ import annotations

import numpy as np

from chainrule.kernels.compile_numba import finish, inlined, inner, kernel, peek, poke, wait
from chainrule.kernels.compile_vectors_numba import LANES, fill, load, store, total
from chainrule.kernels.handover_numba import invite, take

BLOCK, ROWS_OF = 1 << 12, 1 << 10  # elements to a block at most, and to one of several rows
f32, f64 = np.float32, np.float64
ROWS = "f4[:, :, ::1]"


@inlined
def block_of(images, length):  # type: ignore[no-untyped-def]
    """Rows of a block, and elements of a row."""
    return min(images, max(1, ROWS_OF // length)), min(length, BLOCK)


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


@kernel(f"({ROWS}, f4[::1], f4[::1], f4, {ROWS}, f4[:, ::1], i8, i8[::1])")
def batch_norm(x, weight, bias, eps, y, moments, group, turns):  # type: ignore[no-untyped-def]
    """Fill y, and moments: means, variances, and the inverses of the standard deviations. A task is `group` channels."""
    helping = invite(turns)
    images, channels, length = x.shape
    step, (tall, wide), count = channels * length, block_of(images, length), images * length
    tasks = (channels + group - 1) // group
    means, squares = np.empty(group, f64), np.empty(group, f64)
    task = take(turns, helping, tasks)
    while task < tasks:
        start, stop = task * group, min(channels, (task + 1) * group)
        for n in range(0, images, tall):
            rows = min(tall, images - n)
            for c in range(start, stop):
                i, seen = c - start, n * length
                for p in range(0, length, wide):
                    many = rows * min(wide, length - p)
                    average, left = moments_of(x, n * step + c * length + p, step, rows, min(wide, length - p))
                    if seen == 0:
                        means[i], squares[i] = average, left
                    else:
                        away, part = average - means[i], many / f64(seen + many)
                        means[i] += away * part
                        squares[i] += left + away * away * part * seen
                    seen += many
        for c in range(start, stop):
            mean, variance = f32(means[c - start]), f32(squares[c - start] / count)
            moments[0, c], moments[1, c], moments[2, c] = mean, variance, f32(1) / np.sqrt(variance + eps)
        for n in range(0, images, tall):
            for c in range(start, stop):
                scale = moments[2, c] * weight[c]
                shift = bias[c] - moments[0, c] * scale
                scaled(x, n * step + c * length, step, min(tall, images - n), length, scale, shift, y)
        finish(turns, 0)
        task = take(turns, helping, tasks)
    wait(turns, 0, tasks)


@kernel(f"({ROWS}, {ROWS}, f4[::1], f4[::1], f4[::1], {ROWS}, f4[:, ::1], i8, i8[::1])")
def batch_norm_back(g, x, weight, mean, rstd, to_x, sums, group, turns):  # type: ignore[no-untyped-def]
    """Fill to_x, unless it is empty, and sums: the cotangents of weight and bias."""
    helping = invite(turns)
    images, channels, length = x.shape
    step, (tall, wide), part = channels * length, block_of(images, length), f64(-1) / (images * length)
    tasks = (channels + group - 1) // group
    totals = np.empty((2, group), f64)
    task = take(turns, helping, tasks)
    while task < tasks:
        start, stop = task * group, min(channels, (task + 1) * group)
        totals[:] = 0
        for n in range(0, images, tall):
            rows = min(tall, images - n)
            for c in range(start, stop):
                for p in range(0, length, wide):
                    at = n * step + c * length + p
                    of_bias, of_weight = products_of(g, x, at, step, rows, min(wide, length - p), mean[c])
                    totals[0, c - start] += of_bias
                    totals[1, c - start] += of_weight
        for c in range(start, stop):
            sums[0, c], sums[1, c] = totals[1, c - start] * rstd[c], totals[0, c - start]
        for n in range(0, images if to_x.size else 0, tall):
            for c in range(start, stop):
                scale = rstd[c] * weight[c]
                slope = f32(part * scale * rstd[c] * rstd[c] * totals[1, c - start])
                shift = f32(part * scale * totals[0, c - start]) - mean[c] * slope
                combined(g, x, n * step + c * length, step, min(tall, images - n), length, scale, slope, shift, to_x)
        finish(turns, 0)
        task = take(turns, helping, tasks)
    wait(turns, 0, tasks)
