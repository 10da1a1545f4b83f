"""Pooling of images: the largest of each window and its place, and the way back."""

from __future__ import annotations

import numpy as np

from chainrule.kernels.compile_numba import claim, finish, kernel, peek, poke, wait
from chainrule.kernels.compile_vectors_numba import LANES, count_from, fill, larger, load, store_first, store_places
from chainrule.kernels.conv_planes_numba import TYPES, lay_out, room, tap_offset
from chainrule.kernels.handover_numba import invite


@kernel(*[f"({t}[:, :, ::1], {t}[:, :, ::1], i8[:, :, ::1], i8[:, ::1], i8[::1])" for t in TYPES])
def max_pool(x, y, places, geometry, turns):  # type: ignore[no-untyped-def]
    """Fill y (planes, h, w) and the places in the planes of x; a task is a plane. A window of nothing but -inf names its first element."""
    invite(turns)
    (planes, high, wide), task = y.shape, claim(turns, 0)
    if task >= planes:
        wait(turns, 0, planes)
        return
    width, (stride_h, stride) = x.shape[2], (geometry[2, 1], geometry[2, 2])
    (depth, long), taps = room(geometry, high), geometry[1, 1] * geometry[1, 2]
    plane, lowest = np.empty(depth * stride * long, x.dtype), x.dtype.type(-np.inf)
    offsets, steps = np.empty(taps, np.int64), np.empty(taps, np.int64)
    for tap in range(taps):
        offsets[tap] = tap_offset(tap, geometry, long)
        steps[tap] = tap // geometry[1, 2] * geometry[4, 1] * width + tap % geometry[1, 2] * geometry[4, 2]
    rest = np.empty(LANES, np.int64)
    while task < planes:
        lay_out(x, task * x.shape[1] * width, geometry, 0, high, lowest, plane)
        for h in range(high):
            to = (task * high + h) * wide
            for v in range(0, wide, LANES):
                at = h * stride_h * stride * long + v
                corner = count_from((h * stride_h - geometry[3, 1]) * width + v * stride - geometry[3, 2], stride)
                best, place = fill(lowest), count_from(-1, 0)
                for tap in range(taps):
                    best, place = larger(best, place, load(plane, at + offsets[tap]), corner, steps[tap])
                store_first(y, to + v, wide - v, best)
                if v + LANES <= wide:
                    store_places(places, to + v, place)
                else:
                    store_places(rest, 0, place)
                    for i in range(wide - v):
                        poke(places, to + v + i, rest[i])
            for v in range(to, to + wide):
                if peek(places, v) < 0:  # nothing was larger than -inf: the first element inside
                    i, j = h * stride_h - geometry[3, 1], (v - to) * stride - geometry[3, 2]
                    while i < 0:
                        i += geometry[4, 1]
                    while j < 0:
                        j += geometry[4, 2]
                    poke(places, v, i * width + j)
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, planes)


@kernel(*[f"({t}[:, ::1], i8[:, ::1], {t}[:, ::1], i8[::1])" for t in TYPES])
def scatter(g, places, x, turns):  # type: ignore[no-untyped-def]
    """Fill x (planes, places) with zeros and g added at its places; a task is a plane."""
    invite(turns)
    planes, count, size = g.shape[0], g.shape[1], x.shape[1]
    task = claim(turns, 0)
    while task < planes:
        base, source = task * size, task * count
        for i in range(size):
            poke(x, base + i, x.dtype.type(0))
        for i in range(source, source + count):
            at = peek(places, i)
            if 0 <= at < size:
                poke(x, base + at, peek(x, base + at) + peek(g, i))
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, planes)
