"""Convolution with 3x3 taps and stride 1 by Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2015, arXiv:1509.09308).

Tiles of 6x6 inputs and the taps are evaluated at six points, 0, +-A, +-B and infinity; there the convolution is 36 matrix products
over the channels, 4 multiplications an output and channel in place of 9... of which the transforms take a part. The points are
chosen for small errors in float32, as Barabasz et al. 2018 (arXiv:1803.10986) do: four times smaller than at 0, +-1, +-2.

x is (N, C, H, W); V, inputs at the points, (36, tiles, C); U, taps, (36, O, C); M, products, (36, tiles, O). Channels are last there
and counted in lanes of 16. Tiles are numbered along rows of tiles, rows along images.
"""

from __future__ import annotations

import numpy as np

from chainrule.kernels.compile_numba import claim, finish, gemm, inlined, inner, kernel, peek, poke, wait

LANES = 16
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


# ---- in two dimensions, over the lanes


@inner
def load(x, n, channel, top, rows, left, columns, lanes):  # type: ignore[no-untyped-def]
    """lanes[r, w, c] = x[n, channel + c, top + r, left + w], zero outside of x."""
    _, channels, height, width = x.shape
    plane, stride = height * width, lanes.shape[1] * LANES
    low, high = max(0, -left), min(columns, width - left)
    for r in range(rows):
        h, to = top + r, r * stride
        if h < 0 or h >= height:
            for w in range(columns * LANES):
                poke(lanes, to + w, f32(0))
            continue
        for w in range(low * LANES):
            poke(lanes, to + w, f32(0))
        for w in range(high * LANES, columns * LANES):
            poke(lanes, to + w, f32(0))
        at = ((n * channels + channel) * height + h) * width + left
        for w in range(low, high):
            for c in range(LANES):
                poke(lanes, to + w * LANES + c, peek(x, at + w + c * plane))


@inner
def input_tile(lanes, row, column, V, tile, channel, t):  # type: ignore[no-untyped-def]
    """V[:, tile, channel:] of the 6x6 inputs at (row, column) of `lanes`; t is scratch."""
    stride = lanes.shape[1] * LANES
    for s in range(6):
        at = row * stride + (column + s) * LANES
        for c in range(LANES):
            r0, r1, r2, r3, r4, r5 = of_input(
                peek(lanes, at + c), peek(lanes, at + stride + c), peek(lanes, at + 2 * stride + c), peek(lanes, at + 3 * stride + c),
                peek(lanes, at + 4 * stride + c), peek(lanes, at + 5 * stride + c),
            )  # fmt: skip
            k = s * LANES + c
            poke(t, k, r0)
            poke(t, k + 96, r1)
            poke(t, k + 192, r2)
            poke(t, k + 288, r3)
            poke(t, k + 384, r4)
            poke(t, k + 480, r5)
    step = V.shape[1] * V.shape[2]
    for r in range(6):
        at, to = r * 96, r * 6 * step + tile * V.shape[2] + channel
        for c in range(LANES):
            k = at + c
            s0, s1, s2, s3, s4, s5 = of_input(peek(t, k), peek(t, k + 16), peek(t, k + 32), peek(t, k + 48), peek(t, k + 64), peek(t, k + 80))
            poke(V, to + c, s0)
            poke(V, to + step + c, s1)
            poke(V, to + 2 * step + c, s2)
            poke(V, to + 3 * step + c, s3)
            poke(V, to + 4 * step + c, s4)
            poke(V, to + 5 * step + c, s5)


@inner
def cotangent_tile(lanes, row, column, V, tile, channel, t):  # type: ignore[no-untyped-def]
    """V[:, tile, channel:] of the 4x4 cotangents at (row, column) of `lanes`."""
    stride = lanes.shape[1] * LANES
    for s in range(4):
        at = row * stride + (column + s) * LANES
        for c in range(LANES):
            r0, r1, r2, r3, r4, r5 = of_output(
                peek(lanes, at + c), peek(lanes, at + stride + c), peek(lanes, at + 2 * stride + c), peek(lanes, at + 3 * stride + c)
            )
            k = s * LANES + c
            poke(t, k, r0)
            poke(t, k + 96, r1)
            poke(t, k + 192, r2)
            poke(t, k + 288, r3)
            poke(t, k + 384, r4)
            poke(t, k + 480, r5)
    step = V.shape[1] * V.shape[2]
    for r in range(6):
        at, to = r * 96, r * 6 * step + tile * V.shape[2] + channel
        for c in range(LANES):
            k = at + c
            s0, s1, s2, s3, s4, s5 = of_output(peek(t, k), peek(t, k + 16), peek(t, k + 32), peek(t, k + 48))
            poke(V, to + c, s0)
            poke(V, to + step + c, s1)
            poke(V, to + 2 * step + c, s2)
            poke(V, to + 3 * step + c, s3)
            poke(V, to + 4 * step + c, s4)
            poke(V, to + 5 * step + c, s5)


@inner
def output_tile(M, tile, channel, lanes, column, t):  # type: ignore[no-untyped-def]
    """lanes[:4, column : column + 4] of M[:, tile, channel:]."""
    step = M.shape[1] * M.shape[2]
    for s in range(6):
        at = s * step + tile * M.shape[2] + channel
        for c in range(LANES):
            k = at + c
            r0, r1, r2, r3 = to_output(
                peek(M, k), peek(M, k + 6 * step), peek(M, k + 12 * step), peek(M, k + 18 * step), peek(M, k + 24 * step), peek(M, k + 30 * step)
            )
            k = s * LANES + c
            poke(t, k, r0)
            poke(t, k + 96, r1)
            poke(t, k + 192, r2)
            poke(t, k + 288, r3)
    stride = lanes.shape[1] * LANES
    for r in range(4):
        at, to = r * 96, r * stride + column * LANES
        for c in range(LANES):
            k = at + c
            s0, s1, s2, s3 = to_output(peek(t, k), peek(t, k + 16), peek(t, k + 32), peek(t, k + 48), peek(t, k + 64), peek(t, k + 80))
            poke(lanes, to + c, s0)
            poke(lanes, to + 16 + c, s1)
            poke(lanes, to + 32 + c, s2)
            poke(lanes, to + 48 + c, s3)


@inner
def store(lanes, y, bias, n, channel, top):  # type: ignore[no-untyped-def]
    """y[n, channel + c, top + r, w] = lanes[r, w, c] + bias, as far as y goes."""
    _, channels, height, width = y.shape
    stride = lanes.shape[1] * LANES
    for c in range(LANES):
        more = bias[channel + c] if bias.size else f32(0)
        for r in range(min(4, height - top)):
            to, at = ((n * channels + channel + c) * height + top + r) * width, r * stride + c
            for w in range(width):
                poke(y, to + w, peek(lanes, at + w * LANES) + more)


@inner
def enter(x, V, first, last, high, wide, pad_h, pad_w, start, stop, lanes, t):  # type: ignore[no-untyped-def]
    """V of the rows of tiles from `first` to `last` and the channels from `start` to `stop`."""
    q = first
    while q < last:
        n, i = q // high, q % high
        count = min(high - i, last - q)
        for channel in range(start, stop, LANES):
            load(x, n, channel, 4 * i - pad_h, 4 * count + 2, -pad_w, 4 * wide + 2, lanes)
            for k in range(count * wide):
                input_tile(lanes, k // wide * 4, k % wide * 4, V, (q - first) * wide + k, channel, t)
        q += count


@inner
def enter_cotangent(g, V, first, last, high, wide, start, stop, lanes, t):  # type: ignore[no-untyped-def]
    """As `enter`, for the result's cotangent."""
    q = first
    while q < last:
        n, i = q // high, q % high
        count = min(high - i, last - q)
        for channel in range(start, stop, LANES):
            load(g, n, channel, 4 * i, 4 * count, 0, 4 * wide, lanes)
            for k in range(count * wide):
                cotangent_tile(lanes, k // wide * 4, k % wide * 4, V, (q - first) * wide + k, channel, t)
        q += count


@inner
def leave(M, y, bias, first, last, high, wide, start, stop, lanes, t):  # type: ignore[no-untyped-def]
    """y of the rows of tiles from `first` to `last` and the channels from `start` to `stop`."""
    for q in range(first, last):
        for channel in range(start, stop, LANES):
            for j in range(wide):
                output_tile(M, (q - first) * wide + j, channel, lanes, 4 * j, t)
            store(lanes, y, bias, q // high, channel, q % high * 4)


# ---- kernels

PLANES = "f4[:, :, :, ::1]"


@kernel(f"({PLANES}, f4[:, :, ::1], b1, i8[::1])")
def taps(w, U, flip, turns):  # type: ignore[no-untyped-def]
    """U of the taps w (O, C, 3, 3), which `flip` turns by 180 degrees."""
    outputs, channels = w.shape[:2]
    t, step = np.empty((27, LANES), f32), outputs * channels
    task = claim(turns, 0)
    while task < outputs:
        for channel in range(0, channels, LANES):
            at, to = (task * channels + channel) * 9, task * channels + channel
            for k in range(9):
                source = at + (8 - k if flip else k)
                for c in range(LANES):
                    poke(t, k * LANES + c, peek(w, source + 9 * c))
            for s in range(3):
                for c in range(LANES):
                    k = s * LANES + c
                    r0, r1, r2, r3, r4, r5 = of_taps(peek(t, k), peek(t, k + 48), peek(t, k + 96))
                    poke(U, to + c + s * step, r0)  # U holds the half transformed taps for a moment
                    poke(U, to + c + (6 + s) * step, r1)
                    poke(U, to + c + (12 + s) * step, r2)
                    poke(U, to + c + (18 + s) * step, r3)
                    poke(U, to + c + (24 + s) * step, r4)
                    poke(U, to + c + (30 + s) * step, r5)
            for r in range(6):
                for c in range(LANES):
                    k = to + c + r * 6 * step
                    s0, s1, s2, s3, s4, s5 = of_taps(peek(U, k), peek(U, k + step), peek(U, k + 2 * step))
                    poke(U, k, s0)
                    poke(U, k + step, s1)
                    poke(U, k + 2 * step, s2)
                    poke(U, k + 3 * step, s3)
                    poke(U, k + 4 * step, s4)
                    poke(U, k + 5 * step, s5)
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, outputs)


@kernel(f"({PLANES}, f4[:, :, ::1], {PLANES}, f4[::1], b1, i8, i8, i8, i8[::1])")
def by_blocks(x, U, y, bias, across, pad_h, pad_w, rows, turns):  # type: ignore[no-untyped-def]
    """The convolution, `rows` rows of tiles at a time from beginning to end: what they need stays in the cache beside U.

    `across`: U is (36, C, O), as the input's gradient has it.
    """
    channels, outputs = x.shape[1], y.shape[1]
    high, wide = (y.shape[2] + 3) // 4, (y.shape[3] + 3) // 4
    every = y.shape[0] * high
    tasks = (every + rows - 1) // rows
    task = claim(turns, 0)
    if task < tasks:
        V, M = np.empty((36, rows * wide, channels), f32), np.empty((36, rows * wide, outputs), f32)
        lanes, t = np.empty((4 * min(rows, high) + 2, 4 * wide + 2, LANES), f32), np.empty((36, LANES), f32)
        while task < tasks:
            first = task * rows
            last = min(every, first + rows)
            enter(x, V, first, last, high, wide, pad_h, pad_w, 0, channels, lanes, t)
            for p in range(36):
                gemm(
                    False, not across, (last - first) * wide, outputs, channels, V, p * rows * wide * channels, channels,
                    U, p * channels * outputs, outputs if across else channels, False, M, p * rows * wide * outputs, outputs,
                )  # fmt: skip
            leave(M, y, bias, first, last, high, wide, 0, outputs, lanes, t)
            finish(turns, 0)
            task = claim(turns, 0)
    wait(turns, 0, tasks)


@kernel(f"({PLANES}, f4[:, :, ::1], {PLANES}, f4[::1], b1, i8, i8, i8, i8, f4[:, :, ::1], f4[:, :, ::1], i8[::1])")
def by_phases(x, U, y, bias, across, pad_h, pad_w, first, last, V, M, turns):  # type: ignore[no-untyped-def]
    """The convolution for the rows of tiles from `first` to `last`, all inputs first, then all products, then all outputs."""
    channels, outputs = x.shape[1], y.shape[1]
    high, wide = (y.shape[2] + 3) // 4, (y.shape[3] + 3) // 4
    lanes, t = np.empty((4 * min(last - first, high) + 2, 4 * wide + 2, LANES), f32), np.empty((36, LANES), f32)
    tasks = channels // LANES
    task = claim(turns, 0)
    while task < tasks:
        enter(x, V, first, last, high, wide, pad_h, pad_w, task * LANES, (task + 1) * LANES, lanes, t)
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, tasks)
    tiles, room = (last - first) * wide, V.shape[1]
    task = claim(turns, 1)
    while task < 36:
        gemm(
            False, not across, tiles, outputs, channels, V, task * room * channels, channels, U, task * channels * outputs,
            outputs if across else channels, False, M, task * room * outputs, outputs,
        )  # fmt: skip
        finish(turns, 1)
        task = claim(turns, 1)
    wait(turns, 1, 36)
    tasks = outputs // LANES
    task = claim(turns, 2)
    while task < tasks:
        leave(M, y, bias, first, last, high, wide, task * LANES, (task + 1) * LANES, lanes, t)
        finish(turns, 2)
        task = claim(turns, 2)
    wait(turns, 2, tasks)


@kernel(f"({PLANES}, {PLANES}, {PLANES}, i8, i8, i8, i8, f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], i8[::1])")
def taps_gradient(x, g, dw, pad_h, pad_w, first, last, V, G, dU, turns):  # type: ignore[no-untyped-def]
    """The taps' gradient from the rows of tiles from `first` to `last`, in dU (36, O, C); after the last row in dw (O, C, 3, 3)."""
    channels, outputs = x.shape[1], g.shape[1]
    high, wide = (g.shape[2] + 3) // 4, (g.shape[3] + 3) // 4
    lanes, t = np.empty((4 * min(last - first, high) + 2, 4 * wide + 2, LANES), f32), np.empty((36, LANES), f32)
    tasks = (channels + outputs) // LANES
    task = claim(turns, 0)
    while task < tasks:
        c = task * LANES
        if c < channels:
            enter(x, V, first, last, high, wide, pad_h, pad_w, c, c + LANES, lanes, t)
        else:
            enter_cotangent(g, G, first, last, high, wide, c - channels, c - channels + LANES, lanes, t)
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, tasks)
    tiles, room = (last - first) * wide, V.shape[1]
    task = claim(turns, 1)
    while task < 36:
        gemm(
            True, False, outputs, channels, tiles, G, task * room * outputs, outputs, V, task * room * channels, channels,
            first > 0, dU, task * outputs * channels, channels,
        )  # fmt: skip
        finish(turns, 1)
        task = claim(turns, 1)
    wait(turns, 1, 36)
    if last < g.shape[0] * high:
        return
    step = outputs * channels
    task = claim(turns, 2)
    while task < outputs:
        for channel in range(0, channels, LANES):
            at, to = task * channels + channel, (task * channels + channel) * 9
            for s in range(6):
                for c in range(LANES):
                    k = at + c + s * step
                    r0, r1, r2 = to_taps(
                        peek(dU, k), peek(dU, k + 6 * step), peek(dU, k + 12 * step), peek(dU, k + 18 * step), peek(dU, k + 24 * step),
                        peek(dU, k + 30 * step),
                    )  # fmt: skip
                    k = s * LANES + c
                    poke(t, k, r0)
                    poke(t, k + 96, r1)
                    poke(t, k + 192, r2)
            for r in range(3):
                for c in range(LANES):
                    k = r * 96 + c
                    s0, s1, s2 = to_taps(peek(t, k), peek(t, k + 16), peek(t, k + 32), peek(t, k + 48), peek(t, k + 64), peek(t, k + 80))
                    k = to + 9 * c + 3 * r
                    poke(dw, k, s0)
                    poke(dw, k + 1, s1)
                    poke(dw, k + 2, s2)
        finish(turns, 2)
        task = claim(turns, 2)
    wait(turns, 2, outputs)
