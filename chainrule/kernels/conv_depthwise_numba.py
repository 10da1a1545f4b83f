"""Convolution of images where every channel has its own taps (depthwise): directly, 16 places at a time.

x is (N, C, H, W), y (N, O, h, w) with O a multiple of C, w (O, 1, kernel); `geometry` and planes as in `conv_planes_numba`.
"""

from __future__ import annotations

import numpy as np

from chainrule.kernels.compile_numba import claim, finish, kernel, peek, poke, wait
from chainrule.kernels.compile_vectors_numba import LANES, fill, load, load_first, store, store_first, total
from chainrule.kernels.conv_planes_numba import TYPES, add_back, clear, lay_out, room, tap_offset


@kernel(*[f"({t}[:, :, :, ::1], {t}[:, :, :, ::1], {t}[:, :, :, ::1], {t}[::1], i8[:, ::1], i8[::1])" for t in TYPES])
def forward(x, w, y, bias, geometry, turns):  # type: ignore[no-untyped-def]
    """Fill y; a task is a channel of an image."""
    channels, many, taps = x.shape[1], y.shape[1] // x.shape[1], w.shape[2] * w.shape[3]
    high, wide, (depth, long) = y.shape[2], y.shape[3], room(geometry, y.shape[2])
    line, tasks = geometry[2, 1] * geometry[2, 2] * long, x.shape[0] * channels
    offsets = np.empty(taps, np.int64)
    for tap in range(taps):
        offsets[tap] = tap_offset(tap, geometry, long)
    plane = np.empty(depth * geometry[2, 2] * long, x.dtype)
    task = claim(turns, 0)
    while task < tasks:
        n, c = task // channels, task % channels
        lay_out(x, task * x.shape[2] * x.shape[3], geometry, 0, high, x.dtype.type(0), plane)
        for o in range(c * many, (c + 1) * many):
            first, begin = o * taps, bias[o] if bias.size else x.dtype.type(0)
            to = (n * y.shape[1] + o) * high * wide
            for v in range(0, wide, LANES):
                left, h = wide - v, 0
                while h + 4 <= high:
                    r0 = r1 = r2 = r3 = fill(begin)
                    for tap in range(taps):
                        factor, at = peek(w, first + tap), h * line + v + offsets[tap]
                        r0 = r0 + factor * load(plane, at)
                        r1 = r1 + factor * load(plane, at + line)
                        r2 = r2 + factor * load(plane, at + 2 * line)
                        r3 = r3 + factor * load(plane, at + 3 * line)
                    here = to + h * wide + v
                    store_first(y, here, left, r0)
                    store_first(y, here + wide, left, r1)
                    store_first(y, here + 2 * wide, left, r2)
                    store_first(y, here + 3 * wide, left, r3)
                    h += 4
                while h < high:
                    r0 = fill(begin)
                    for tap in range(taps):
                        r0 = r0 + peek(w, first + tap) * load(plane, h * line + v + offsets[tap])
                    store_first(y, to + h * wide + v, left, r0)
                    h += 1
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, tasks)


@kernel(*[f"({t}[:, :, :, ::1], {t}[:, :, :, ::1], {t}[:, :, :, ::1], {t}[::1], i8[:, ::1], i8[::1])" for t in TYPES])
def input_gradient(g, w, x, bias, geometry, turns):  # type: ignore[no-untyped-def]
    """Fill x, the input's gradient, plus a bias."""
    channels, many, taps = x.shape[1], g.shape[1] // x.shape[1], w.shape[2] * w.shape[3]
    high, wide, (depth, long) = g.shape[2], g.shape[3], room(geometry, g.shape[2])
    size, tasks = x.shape[2] * x.shape[3], x.shape[0] * channels
    line, plane = geometry[2, 1] * geometry[2, 2] * long, np.empty(depth * geometry[2, 2] * long, x.dtype)
    task = claim(turns, 0)
    while task < tasks:
        n, c = task // channels, task % channels
        clear(plane, x.dtype.type(0))
        for o in range(c * many, (c + 1) * many):
            at = (n * g.shape[1] + o) * high * wide
            for tap in range(taps):
                offset, factor = tap_offset(tap, geometry, long), peek(w, o * taps + tap)
                for h in range(high):
                    for v in range(0, wide, LANES):
                        to = h * line + v + offset
                        store(plane, to, load(plane, to) + factor * load_first(g, at + h * wide + v, wide - v))
        clear(x.reshape(-1)[task * size : (task + 1) * size], bias[c] if bias.size else x.dtype.type(0))
        add_back(plane, x, task * size, geometry, 0, high)
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, tasks)


@kernel(*[f"({t}[:, :, :, ::1], {t}[:, :, :, ::1], {t}[:, :, :, ::1], i8[:, ::1], i8[::1])" for t in TYPES])
def weight_gradient(g, x, w, geometry, turns):  # type: ignore[no-untyped-def]
    """Fill w, the taps' gradient; a task is a channel of all images."""
    channels, many, taps = x.shape[1], g.shape[1] // x.shape[1], w.shape[2] * w.shape[3]
    high, wide, (depth, long) = g.shape[2], g.shape[3], room(geometry, g.shape[2])
    line, plane = geometry[2, 1] * geometry[2, 2] * long, np.empty(depth * geometry[2, 2] * long, x.dtype)
    zero, task = x.dtype.type(0), claim(turns, 0)
    while task < channels:
        for i in range(task * many * taps, (task + 1) * many * taps):
            poke(w, i, zero)
        for n in range(x.shape[0]):
            lay_out(x, (n * channels + task) * x.shape[2] * x.shape[3], geometry, 0, high, zero, plane)
            for o in range(task * many, (task + 1) * many):
                at = (n * g.shape[1] + o) * high * wide
                for tap in range(0, taps, 3):
                    t1, t2 = min(tap + 1, taps - 1), min(tap + 2, taps - 1)
                    o0, o1, o2 = tap_offset(tap, geometry, long), tap_offset(t1, geometry, long), tap_offset(t2, geometry, long)
                    s0 = s1 = s2 = fill(zero)
                    for h in range(high):
                        for v in range(0, wide, LANES):
                            part, to = load_first(g, at + h * wide + v, wide - v), h * line + v
                            s0 = s0 + part * load(plane, to + o0)
                            s1 = s1 + part * load(plane, to + o1)
                            s2 = s2 + part * load(plane, to + o2)
                    base = o * taps
                    poke(w, base + tap, peek(w, base + tap) + total(s0))
                    if t1 > tap:
                        poke(w, base + t1, peek(w, base + t1) + total(s1))
                    if t2 > t1:
                        poke(w, base + t2, peek(w, base + t2) + total(s2))
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, channels)
