"""Convolution of images where every channel has its own taps (depthwise): directly, 16 places at a time.

x is (N, C, H, W), y (N, O, h, w) with O a multiple of C, w (O, 1, kernel); `geometry` as in `conv_numba`. Each plane is first laid out
with its padding, and with a stride in width its columns are sorted by their remainder, so that every tap meets neighbours.
"""

from __future__ import annotations

import numpy as np

from chainrule.kernels.compile_numba import claim, finish, inner, kernel, peek, poke, wait
from chainrule.kernels.compile_vectors import LANES, every_second, fill, load, store, total

TYPES = ("f4", "f8")


@inner
def quotient_width(geometry):  # type: ignore[no-untyped-def]
    """Columns of one remainder in a laid out plane, and room for a vector more."""
    stride = geometry[2, 2]
    return (geometry[0, 2] + 2 * geometry[3, 2] + stride - 1) // stride + LANES


@inner
def lay_out(x, at, geometry, plane):  # type: ignore[no-untyped-def]
    """plane[h, remainder, q] = x[h - pad, q * stride + remainder - pad], zero outside of the plane of x that begins at `at`."""
    height, width, stride = geometry[0, 1], geometry[0, 2], geometry[2, 2]
    pad_h, pad_w, long = geometry[3, 1], geometry[3, 2], quotient_width(geometry)
    for i in range((height + 2 * pad_h) * stride * long):
        poke(plane, i, plane.dtype.type(0))
    for h in range(height):
        source, to = at + h * width, (h + pad_h) * stride * long
        if stride == 1:
            for v in range(width):
                poke(plane, to + pad_w + v, peek(x, source + v))
            continue
        for remainder in range(stride):
            q = max(0, (pad_w - remainder + stride - 1) // stride)
            v, row = q * stride + remainder - pad_w, to + remainder * long + q
            if stride == 2:
                while v + 2 * LANES < width:
                    store(plane, row, every_second(x, source + v))
                    v, row = v + 2 * LANES, row + LANES
            while v < width:
                poke(plane, row, peek(x, source + v))
                v, row = v + stride, row + 1


@inner
def tap_offset(tap, geometry, long):  # type: ignore[no-untyped-def]
    """How far from the first element of a window a tap is, in a laid out plane."""
    stride = geometry[2, 2]
    h, w = tap // geometry[1, 2] * geometry[4, 1], tap % geometry[1, 2] * geometry[4, 2]
    return (h * stride + w % stride) * long + w // stride


@kernel(*[f"({t}[:, :, :, ::1], {t}[:, :, :, ::1], {t}[:, :, :, ::1], {t}[::1], i8[:, ::1], i8[::1])" for t in TYPES])
def forward(x, w, y, bias, geometry, turns):  # type: ignore[no-untyped-def]
    """Fill y; a task is a channel of an image."""
    channels, many, taps = x.shape[1], y.shape[1] // x.shape[1], w.shape[2] * w.shape[3]
    high, wide, long = y.shape[2], y.shape[3], quotient_width(geometry)
    line, tasks = geometry[2, 1] * geometry[2, 2] * long, x.shape[0] * channels
    offsets = np.empty(taps, np.int64)
    for tap in range(taps):
        offsets[tap] = tap_offset(tap, geometry, long)
    plane = np.empty((x.shape[2] + 2 * geometry[3, 1]) * geometry[2, 2] * long, x.dtype)
    task = claim(turns, 0)
    while task < tasks:
        n, c = task // channels, task % channels
        lay_out(x, task * x.shape[2] * x.shape[3], geometry, plane)
        for o in range(c * many, (c + 1) * many):
            first, begin = o * taps, bias[o] if bias.size else x.dtype.type(0)
            for h in range(high):
                to = ((n * y.shape[1] + o) * high + h) * wide
                for v in range(0, wide, LANES):
                    sums = fill(begin)
                    for tap in range(taps):
                        sums = sums + peek(w, first + tap) * load(plane, h * line + v + offsets[tap])
                    if v + LANES <= wide or (h + 1 < high and v + LANES <= wide + (high - h - 1) * wide):
                        store(y, to + v, sums)  # what is too much is written over by the next rows
                    else:
                        rest = np.empty(LANES, x.dtype)
                        store(rest, 0, sums)
                        for i in range(wide - v):
                            poke(y, to + v + i, rest[i])
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, tasks)


@inner
def padded_rows(g, at, high, wide, room, rows):  # type: ignore[no-untyped-def]
    """A plane of g with zeros behind each row, up to `room`."""
    for h in range(high):
        for v in range(wide):
            poke(rows, h * room + v, peek(g, at + h * wide + v))
        for v in range(wide, room):
            poke(rows, h * room + v, rows.dtype.type(0))


@kernel(*[f"({t}[:, :, :, ::1], {t}[:, :, :, ::1], {t}[:, :, :, ::1], {t}[::1], i8[:, ::1], i8[::1])" for t in TYPES])
def input_gradient(g, w, x, bias, geometry, turns):  # type: ignore[no-untyped-def]
    """Fill x, the input's gradient, plus a bias."""
    channels, many, taps = x.shape[1], g.shape[1] // x.shape[1], w.shape[2] * w.shape[3]
    high, wide, long = g.shape[2], g.shape[3], quotient_width(geometry)
    height, width, stride = x.shape[2], x.shape[3], geometry[2, 2]
    line, tasks, room = geometry[2, 1] * stride * long, x.shape[0] * channels, (wide + LANES - 1) // LANES * LANES
    plane, rows = np.empty((height + 2 * geometry[3, 1]) * stride * long, x.dtype), np.empty(high * room, x.dtype)
    task = claim(turns, 0)
    while task < tasks:
        n, c = task // channels, task % channels
        for i in range(plane.size):
            poke(plane, i, x.dtype.type(0))
        for o in range(c * many, (c + 1) * many):
            padded_rows(g, (n * g.shape[1] + o) * high * wide, high, wide, room, rows)
            for tap in range(taps):
                offset, factor = tap_offset(tap, geometry, long), peek(w, o * taps + tap)
                for h in range(high):
                    for v in range(0, room, LANES):
                        at = h * line + v + offset
                        store(plane, at, load(plane, at) + factor * load(rows, h * room + v))
        more = bias[c] if bias.size else x.dtype.type(0)
        for h in range(height):
            at, to = (h + geometry[3, 1]) * stride * long, (task * height + h) * width
            for v in range(width):
                u = v + geometry[3, 2]
                poke(x, to + v, peek(plane, at + u % stride * long + u // stride) + more)
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, tasks)


@kernel(*[f"({t}[:, :, :, ::1], {t}[:, :, :, ::1], {t}[:, :, :, ::1], i8[:, ::1], i8[::1])" for t in TYPES])
def weight_gradient(g, x, w, geometry, turns):  # type: ignore[no-untyped-def]
    """Fill w, the taps' gradient; a task is a channel of all images."""
    channels, many, taps = x.shape[1], g.shape[1] // x.shape[1], w.shape[2] * w.shape[3]
    high, wide, long = g.shape[2], g.shape[3], quotient_width(geometry)
    line, room = geometry[2, 1] * geometry[2, 2] * long, (wide + LANES - 1) // LANES * LANES
    plane = np.empty((x.shape[2] + 2 * geometry[3, 1]) * geometry[2, 2] * long, x.dtype)
    rows, zero = np.empty(high * room, x.dtype), x.dtype.type(0)
    task = claim(turns, 0)
    while task < channels:
        for i in range(task * many * taps, (task + 1) * many * taps):
            poke(w, i, zero)
        for n in range(x.shape[0]):
            lay_out(x, (n * channels + task) * x.shape[2] * x.shape[3], geometry, plane)
            for o in range(task * many, (task + 1) * many):
                padded_rows(g, (n * g.shape[1] + o) * high * wide, high, wide, room, rows)
                for tap in range(taps):
                    offset, sums = tap_offset(tap, geometry, long), fill(zero)
                    for h in range(high):
                        for v in range(0, room, LANES):
                            sums = sums + load(rows, h * room + v) * load(plane, h * line + v + offset)
                    poke(w, o * taps + tap, peek(w, o * taps + tap) + total(sums))
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, channels)
