"""Convolution with 3x3 taps and stride 1 by Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2015, arXiv:1509.09308).

Tiles of 6x6 inputs and the taps are evaluated at six points, 0, +-A, +-B and infinity; there the convolution is 36 matrix products
over the channels, 4 multiplications an output and channel in place of 9... of which the transforms take a part. The points are
chosen for small errors in float32, as Barabasz et al. 2018 (arXiv:1803.10986) do: four times smaller than at 0, +-1, +-2.

x is (N, C, H, W). V (36, tiles * C) holds inputs at the points, U (36, C * O) taps, M (36, tiles * O) products; channels are last there
and go 16 at a time. Each of the 36 is a little longer than it need be, for places that lie a power of two apart share one set of the
cache. Tiles are numbered along rows of tiles, rows of tiles along images.
"""

from __future__ import annotations

import numpy as np

from chainrule.kernels.compile_numba import claim, finish, inlined, inner, kernel, product, wait
from chainrule.kernels.compile_vectors_numba import LANES, fill, load, store, turn
from chainrule.kernels.handover_numba import invite

PLANES, MATRIX = "f4[:, :, :, ::1]", "f4[:, ::1]"
f32 = np.float32
_a, _b = 0.625, 1.5
A, B, AA, BB, AAA, BBB = map(f32, (_a, _b, _a**2, _b**2, _a**3, _b**3))
SUM, PRODUCT = f32(_a**2 + _b**2), f32(_a**2 * _b**2)
N0, NA, NB = f32(1 / (_a**2 * _b**2)), f32(0.5 / (_a**2 * (_a**2 - _b**2))), f32(0.5 / (_b**2 * (_b**2 - _a**2)))


# ---- at the points, and back, in one dimension


@inlined
def of_input(d0, d1, d2, d3, d4, d5):  # type: ignore[no-untyped-def]
    even_a, odd_a = d4 - BB * d2, A * (d3 - BB * d1)
    even_b, odd_b = d4 - AA * d2, B * (d3 - AA * d1)
    first, last = d4 - SUM * d2 + PRODUCT * d0, d5 - SUM * d3 + PRODUCT * d1
    return first, even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, last


@inlined
def of_taps(w0, w1, w2):  # type: ignore[no-untyped-def]
    even_a, odd_a = NA * (w0 + AA * w2), NA * A * w1
    even_b, odd_b = NB * (w0 + BB * w2), NB * B * w1
    return N0 * w0, even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, w2


@inlined
def to_taps(u0, u1, u2, u3, u4, u5):  # type: ignore[no-untyped-def]
    """The transpose of `of_taps`."""
    even_a, even_b = NA * (u1 + u2), NB * (u3 + u4)
    return N0 * u0 + even_a + even_b, NA * A * (u1 - u2) + NB * B * (u3 - u4), AA * even_a + BB * even_b + u5


@inlined
def to_output(m0, m1, m2, m3, m4, m5):  # type: ignore[no-untyped-def]
    even_a, odd_a, even_b, odd_b = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return m0 + even_a + even_b, A * odd_a + B * odd_b, AA * even_a + BB * even_b, AAA * odd_a + BBB * odd_b + m5


@inlined
def of_output(g0, g1, g2, g3):  # type: ignore[no-untyped-def]
    """The transpose of `to_output`."""
    even_a, odd_a = g0 + AA * g2, A * g1 + AAA * g3
    even_b, odd_b = g0 + BB * g2, B * g1 + BBB * g3
    return g0, even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, g3


# ---- in two dimensions: along the columns into the scratch t (36 vectors), then along the rows


@inlined
def keep(t, at, step, values):  # type: ignore[no-untyped-def]
    v0, v1, v2, v3, v4, v5 = values
    store(t, at, v0)
    store(t, at + step, v1)
    store(t, at + 2 * step, v2)
    store(t, at + 3 * step, v3)
    store(t, at + 4 * step, v4)
    store(t, at + 5 * step, v5)


@inlined
def six(t, at, step):  # type: ignore[no-untyped-def]
    return load(t, at), load(t, at + step), load(t, at + 2 * step), load(t, at + 3 * step), load(t, at + 4 * step), load(t, at + 5 * step)


@inner
def input_tile(rows, at, stride, V, to, t):  # type: ignore[no-untyped-def]
    """The 6x6 inputs at `at` of `rows` to their 36 places in V."""
    step = V.shape[1]
    for s in range(6):
        keep(t, s * LANES, 6 * LANES, of_input(*six(rows, at + s * LANES, stride)))
    for r in range(6):
        keep(V, to + 6 * r * step, step, of_input(*six(t, 6 * r * LANES, LANES)))


@inner
def cotangent_tile(rows, at, stride, V, to, t):  # type: ignore[no-untyped-def]
    """The 4x4 cotangents at `at` of `rows` to their 36 places in V."""
    step = V.shape[1]
    for s in range(4):
        i = at + s * LANES
        column = of_output(load(rows, i), load(rows, i + stride), load(rows, i + 2 * stride), load(rows, i + 3 * stride))
        keep(t, s * LANES, 6 * LANES, column)
    for r in range(6):
        i = 6 * r * LANES
        line = of_output(load(t, i), load(t, i + LANES), load(t, i + 2 * LANES), load(t, i + 3 * LANES))
        keep(V, to + 6 * r * step, step, line)


@inner
def output_tile(M, at, rows, to, stride, bias, t):  # type: ignore[no-untyped-def]
    """The 36 products at `at` of M to 4x4 outputs in `rows`."""
    step = M.shape[1]
    for s in range(6):
        r0, r1, r2, r3 = to_output(*six(M, at + s * step, 6 * step))
        store(t, s * LANES, r0)
        store(t, (6 + s) * LANES, r1)
        store(t, (12 + s) * LANES, r2)
        store(t, (18 + s) * LANES, r3)
    for r in range(4):
        s0, s1, s2, s3 = to_output(*six(t, 6 * r * LANES, LANES))
        i = to + r * stride
        store(rows, i, s0 + bias)
        store(rows, i + LANES, s1 + bias)
        store(rows, i + 2 * LANES, s2 + bias)
        store(rows, i + 3 * LANES, s3 + bias)


@inner
def taps_block(w, U, at, width, start, stop, across, t):  # type: ignore[no-untyped-def]
    """U[:, at:] of the taps for the outputs from `start` to `stop`, `width` places for each input channel.

    With `across` inputs and outputs change places, and the taps are turned by 180 degrees.
    """
    inputs, step = w.shape[0] if across else w.shape[1], U.shape[1]
    for o in range(start, stop, LANES):
        for i in range(inputs):
            if across:
                turn(w, (i * w.shape[1] + o) * 9, 9, 9, t, 0, LANES, LANES)
                first, down, right = 8 * LANES, -3 * LANES, -LANES
            else:
                if i % LANES == 0:
                    for k in range(0, 9 * LANES, LANES):
                        turn(w, (o * w.shape[1] + i) * 9 + k, 9 * w.shape[1], LANES, t, (36 + k) * LANES, LANES, LANES)
                first, down, right = (36 + i % LANES * 9) * LANES, 3 * LANES, LANES
            for s in range(3):
                k = first + s * right
                keep(t, (9 + s) * LANES, 3 * LANES, of_taps(load(t, k), load(t, k + down), load(t, k + 2 * down)))
            to = at + i * width + o - start
            for r in range(6):
                k = (9 + 3 * r) * LANES
                keep(U, to + 6 * r * step, step, of_taps(load(t, k), load(t, k + LANES), load(t, k + 2 * LANES)))


@inner
def taps_back(dU, width, dw, output, more, t):  # type: ignore[no-untyped-def]
    """dw[output] of a row of dU's 36 matrices; added to what is there with `more`."""
    channels, step = dw.shape[1], dU.shape[1]
    for c in range(0, channels, LANES):
        for s in range(6):
            r0, r1, r2 = to_taps(*six(dU, width + c + s * step, 6 * step))
            store(t, s * LANES, r0)
            store(t, (6 + s) * LANES, r1)
            store(t, (12 + s) * LANES, r2)
        to, new, old = (output * channels + c) * 9, 18 * LANES, 36 * LANES
        if more:
            turn(dw, to, 9, 9, t, old, LANES, LANES)
        for r in range(3):
            s0, s1, s2 = to_taps(*six(t, 6 * r * LANES, LANES))
            if more:
                s0, s1, s2 = s0 + load(t, old), s1 + load(t, old + LANES), s2 + load(t, old + 2 * LANES)
            store(t, new, s0)
            store(t, new + LANES, s1)
            store(t, new + 2 * LANES, s2)
            new, old = new + 3 * LANES, old + 3 * LANES
        turn(t, 18 * LANES, LANES, LANES, dw, to, 9, 9)


# ---- between images and tiles


@inner
def take(x, n, channel, top, count, left, columns, rows):  # type: ignore[no-untyped-def]
    """rows[r, w, c] = x[n, channel + c, top + r, left + w], zero outside of x."""
    _, channels, height, width = x.shape
    zero = fill(f32(0))
    for r in range(count):
        h, to = top + r, r * columns * LANES
        low, high = max(0, -left), min(columns, width - left)
        if h < 0 or h >= height:
            low = high = columns
        at = ((n * channels + channel) * height + h) * width + left
        for w in range(low):
            store(rows, to + w * LANES, zero)
        for w in range(low, high, LANES):  # zeros beyond the end, too, where the next row may begin
            turn(x, at + w, height * width, high - w, rows, to + w * LANES, LANES, LANES)
        for w in range(high, columns):
            store(rows, to + w * LANES, zero)


@inner
def give(rows, y, n, channel, top, columns):  # type: ignore[no-untyped-def]
    """y[n, channel + c, top + r, w] = rows[r, w, c], as far as y goes."""
    _, channels, height, width = y.shape
    for r in range(min(4, height - top)):
        to = ((n * channels + channel) * height + top + r) * width
        for w in range(0, width, LANES):
            turn(rows, (r * columns + w) * LANES, LANES, LANES, y, to + w, height * width, width - w)


@inner
def enter(x, V, first, last, high, wide, pad_h, pad_w, start, stop, rows, t):  # type: ignore[no-untyped-def]
    """V of the rows of tiles from `first` to `last` and the channels from `start` to `stop`."""
    q, columns, channels = first, 4 * wide + 2, x.shape[1]
    while q < last:
        n, i = q // high, q % high
        count = min(high - i, last - q)
        for c in range(start, stop, LANES):
            take(x, n, c, 4 * i - pad_h, 4 * count + 2, -pad_w, columns, rows)
            for r in range(count):
                for j in range(wide):
                    to = ((q - first + r) * wide + j) * channels + c
                    input_tile(rows, (4 * r * columns + 4 * j) * LANES, columns * LANES, V, to, t)
        q += count


@inner
def enter_cotangent(g, V, first, last, high, wide, start, stop, rows, t):  # type: ignore[no-untyped-def]
    """As `enter`, for the result's cotangent."""
    q, columns, channels = first, 4 * wide, g.shape[1]
    while q < last:
        n, i = q // high, q % high
        count = min(high - i, last - q)
        for c in range(start, stop, LANES):
            take(g, n, c, 4 * i, 4 * count, 0, columns, rows)
            for r in range(count):
                for j in range(wide):
                    to = ((q - first + r) * wide + j) * channels + c
                    cotangent_tile(rows, (4 * r * columns + 4 * j) * LANES, columns * LANES, V, to, t)
        q += count


@inner
def leave(M, width, y, bias, first, last, high, wide, start, stop, rows, t):  # type: ignore[no-untyped-def]
    """y of the rows of tiles from `first` to `last` and the channels from `start`, where M begins, to `stop`; M has `width` of them."""
    columns = 4 * wide
    for q in range(first, last):
        for c in range(start, stop, LANES):
            more = load(bias, c) if bias.size else fill(f32(0))
            for j in range(wide):
                at = ((q - first) * wide + j) * width + c - start
                output_tile(M, at, rows, 4 * j * LANES, columns * LANES, more, t)
            give(rows, y, q // high, c, q % high * 4, columns)


@inner
def scratch(rows, high, wide):  # type: ignore[no-untyped-def]
    """Room for rows of tiles with their channels last, and a little more, and for a tile and the taps of 16 channels."""
    return np.empty(((4 * min(rows, high) + 2) * (4 * wide + 2) + LANES) * LANES, f32), np.empty((36 + 9 * LANES) * LANES, f32)


# ---- kernels


@kernel(f"({PLANES}, {MATRIX}, b1, i8[::1])")
def taps(w, U, across, turns):  # type: ignore[no-untyped-def]
    """U of all taps (O, C, 3, 3)."""
    invite(turns)
    outputs = w.shape[1] if across else w.shape[0]
    tasks, (_, t) = outputs // LANES, scratch(0, 0, 0)
    task = claim(turns, 0)
    while task < tasks:
        taps_block(w, U, task * LANES, outputs, task * LANES, (task + 1) * LANES, across, t)
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, tasks)


@kernel(f"({PLANES}, {MATRIX}, {PLANES}, f4[::1], i8, i8, i8, i8[::1])")
def by_blocks(x, U, y, bias, pad_h, pad_w, rows, turns):  # type: ignore[no-untyped-def]
    """The convolution, `rows` rows of tiles at a time from beginning to end: what they need stays in the cache beside U."""
    invite(turns)
    channels, outputs = x.shape[1], y.shape[1]
    high, wide = (y.shape[2] + 3) // 4, (y.shape[3] + 3) // 4
    every = y.shape[0] * high
    tasks = (every + rows - 1) // rows
    V, M = np.empty((36, rows * wide * channels + LANES), f32), np.empty((36, rows * wide * outputs + LANES), f32)
    lines, t = scratch(rows, high, wide)
    task = claim(turns, 0)
    while task < tasks:
        first = task * rows
        last = min(every, first + rows)
        enter(x, V, first, last, high, wide, pad_h, pad_w, 0, channels, lines, t)
        for p in range(36):
            product(
                False, (last - first) * wide, outputs, channels, V, p * V.shape[1], channels, U, p * U.shape[1], outputs,
                False, M, p * M.shape[1], outputs,
            )  # fmt: skip
        leave(M, outputs, y, bias, first, last, high, wide, 0, outputs, lines, t)
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, tasks)


@kernel(f"({PLANES}, {PLANES}, {PLANES}, f4[::1], b1, i8, i8, i8, i8, {MATRIX}, i8, i8[::1])")
def by_outputs(x, w, y, bias, across, pad_h, pad_w, first, last, V, width, turns):  # type: ignore[no-untyped-def]
    """The convolution for the rows of tiles from `first` to `last`, `width` outputs at a time: their taps stay in the cache beside V."""
    invite(turns)
    channels, outputs = x.shape[1], y.shape[1]
    high, wide = (y.shape[2] + 3) // 4, (y.shape[3] + 3) // 4
    tiles = (last - first) * wide
    lines, t = scratch(last - first, high, wide)
    tasks = channels // LANES
    task = claim(turns, 0)
    while task < tasks:
        enter(x, V, first, last, high, wide, pad_h, pad_w, task * LANES, (task + 1) * LANES, lines, t)
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, tasks)
    tasks = (outputs + width - 1) // width
    U, M = np.empty((36, channels * width + LANES), f32), np.empty((36, tiles * width + LANES), f32)
    task = claim(turns, 1)
    while task < tasks:
        start = task * width
        stop = min(outputs, start + width)
        taps_block(w, U, 0, width, start, stop, across, t)
        for p in range(36):
            product(
                False, tiles, stop - start, channels, V, p * V.shape[1], channels, U, p * U.shape[1], width, False, M,
                p * M.shape[1], width,
            )  # fmt: skip
        leave(M, width, y, bias, first, last, high, wide, start, stop, lines, t)
        finish(turns, 1)
        task = claim(turns, 1)
    wait(turns, 1, tasks)


@kernel(f"({PLANES}, {PLANES}, {PLANES}, i8, i8, i8, i8, {MATRIX}, {MATRIX}, i8[::1])")
def taps_gradient(x, g, dw, pad_h, pad_w, first, last, V, G, turns):  # type: ignore[no-untyped-def]
    """The taps' gradient from the rows of tiles from `first` to `last`, added to dw if `first` is not 0."""
    invite(turns)
    channels, outputs = x.shape[1], g.shape[1]
    high, wide = (g.shape[2] + 3) // 4, (g.shape[3] + 3) // 4
    tiles = (last - first) * wide
    lines, t = scratch(last - first, high, wide)
    tasks = (channels + outputs) // LANES
    task = claim(turns, 0)
    while task < tasks:
        c = task * LANES
        if c < channels:
            enter(x, V, first, last, high, wide, pad_h, pad_w, c, c + LANES, lines, t)
        else:
            enter_cotangent(g, G, first, last, high, wide, c - channels, c - channels + LANES, lines, t)
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, tasks)
    tasks = outputs // LANES
    dU = np.empty((36, LANES * channels + LANES), f32)
    task = claim(turns, 1)
    while task < tasks:
        for p in range(36):
            product(
                True, LANES, channels, tiles, G, p * G.shape[1] + task * LANES, outputs, V, p * V.shape[1], channels,
                False, dU, p * dU.shape[1], channels,
            )  # fmt: skip
        for o in range(LANES):
            taps_back(dU, o * channels, dw, task * LANES + o, first > 0, t)
        finish(turns, 1)
        task = claim(turns, 1)
    wait(turns, 1, tasks)


@kernel(f"({PLANES}, {PLANES}, {PLANES}, i8, i8, i8, f4[:, :, ::1], i8[::1])")
def taps_gradient_by_blocks(x, g, dw, pad_h, pad_w, rows, sums, turns):  # type: ignore[no-untyped-def]
    """The taps' gradient, `rows` rows of tiles at a time; sums (parts, 36, C * O) are those of so many parts of the tiles."""
    invite(turns)
    parts, channels, outputs = sums.shape[0], x.shape[1], g.shape[1]
    high, wide = (g.shape[2] + 3) // 4, (g.shape[3] + 3) // 4
    every, size = g.shape[0] * high, sums.shape[2]
    V, G = np.empty((36, rows * wide * channels + LANES), f32), np.empty((36, rows * wide * outputs + LANES), f32)
    lines, t = scratch(rows, high, wide)
    task = claim(turns, 0)
    while task < parts:
        start, stop = every * task // parts, every * (task + 1) // parts
        for first in range(start, stop, rows):
            last = min(stop, first + rows)
            enter(x, V, first, last, high, wide, pad_h, pad_w, 0, channels, lines, t)
            enter_cotangent(g, G, first, last, high, wide, 0, outputs, lines, t)
            for p in range(36):
                product(
                    True, outputs, channels, (last - first) * wide, G, p * G.shape[1], outputs, V, p * V.shape[1], channels,
                    first > start, sums, (task * 36 + p) * size, channels,
                )  # fmt: skip
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, parts)
    task = claim(turns, 1)
    while task < outputs:
        for part in range(1, parts):
            for p in range(36):
                to = p * size + task * channels
                for c in range(to, to + channels, LANES):
                    store(sums, c, load(sums, c) + load(sums, part * 36 * size + c))
        taps_back(sums[0], task * channels, dw, task, False, t)
        finish(turns, 1)
        task = claim(turns, 1)
    wait(turns, 1, outputs)
