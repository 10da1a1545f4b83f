"""Convolution in one, two or three dimensions by the columns of the input (im2col), a block at a time that stays in the cache.

x is (N, C, places), y (N, O, places), w (O, C / groups, taps). `geometry` has six rows of three numbers: the input's size, the kernel's,
stride, padding, dilation, and the result's size; there are always three dimensions, of size 1 where there is nothing.
A block is a number of whole images, or some of the places of one. What images that lie apart have in common goes through a buffer.
"""

from __future__ import annotations

import numpy as np

from chainrule.kernels.compile_numba import finish, gemm, inner, kernel, peek, poke, product, wait
from chainrule.kernels.compile_vectors_numba import LANES, load, load_first, store
from chainrule.kernels.conv_planes_numba import TYPES, add_back, clear, lay_out, room, tap_offset
from chainrule.kernels.handover_numba import invite, take


@inner
def by_lines(geometry, places):  # type: ignore[no-untyped-def]
    """Whether `places` are whole lines of images, and there are taps enough to lay planes out for."""
    return geometry[0, 0] == 1 and geometry[1, 0] == 1 and places % geometry[5, 2] == 0 and geometry[1, 1] * geometry[1, 2] > 2


@inner
def plane_room(geometry, places, wanted):  # type: ignore[no-untyped-def]
    """A plane for `places`, if it is wanted, and where taps are in it."""
    if not (wanted and by_lines(geometry, places)):
        return 0, np.empty(0, np.int64)
    rows, long = room(geometry, places // geometry[5, 2])
    offsets = np.empty(geometry[1, 1] * geometry[1, 2], np.int64)
    for tap in range(offsets.size):
        offsets[tap] = tap_offset(tap, geometry, long)
    return rows * geometry[2, 2] * long, offsets


@inner
def columns(x, base, channels, geometry, first, last, cols, at, step, back, plane, offsets):  # type: ignore[no-untyped-def]
    """cols[c * taps + t, p - first] = what tap t meets at place p of channel c, or zero; with `back` that is added to x instead.

    x begins at its flat place `base`, cols at `at`, with `step` from row to row, 16 more than are used. With a plane (see `plane_room`)
    by whole lines, 16 places at a time, where what is too much is written over by what comes after; without, one by one.
    """
    if plane.size == 0:
        singly(x, base, channels, geometry, first, last, cols, at, step, back)
        return
    size, wide = geometry[0, 1] * geometry[0, 2], geometry[5, 2]
    line, lines = first // wide, (last - first) // wide
    jump = geometry[2, 1] * geometry[2, 2] * room(geometry, lines)[1]
    for c in range(channels):
        if back:
            clear(plane, plane.dtype.type(0))
        else:
            lay_out(x, base + c * size, geometry, line, lines, plane.dtype.type(0), plane)
        for tap in range(offsets.size):
            row = at + (c * offsets.size + tap) * step
            for h in range(lines):
                source = h * jump + offsets[tap]
                for v in range(0, wide, LANES):
                    if back:
                        store(plane, source + v, load(plane, source + v) + load_first(cols, row + v, wide - v))
                    else:
                        store(cols, row + v, load(plane, source + v))
                row += wide
        if back:
            add_back(plane, x, base + c * size, geometry, line, lines)


@inner
def singly(x, base, channels, geometry, first, last, cols, at, step, back):  # type: ignore[no-untyped-def]
    """`columns` of any places and in three dimensions."""
    depth, height, width = geometry[0]
    kernel_d, kernel_h, kernel_w = geometry[1]
    stride = geometry[2, 2]
    high, wide = geometry[5, 1], geometry[5, 2]
    zero, row = cols.dtype.type(0), at
    for c in range(channels):
        plane = base + c * depth * height * width
        for tap in range(kernel_d * kernel_h * kernel_w):
            tap_d = tap // (kernel_h * kernel_w) * geometry[4, 0] - geometry[3, 0]
            tap_h = tap // kernel_w % kernel_h * geometry[4, 1] - geometry[3, 1]
            tap_w = tap % kernel_w * geometry[4, 2] - geometry[3, 2]
            low, end = (-tap_w + stride - 1) // stride, (width - 1 - tap_w) // stride + 1  # within, the tap meets the input
            w, h, d = first % wide, first // wide % high, first // (wide * high)
            p = first
            while p < last:
                stop = min(wide, w + last - p)
                i, j = d * geometry[2, 0] + tap_d, h * geometry[2, 1] + tap_h
                a = min(max(w, low), stop)
                b = max(a, min(stop, end))
                if i < 0 or i >= depth or j < 0 or j >= height:
                    a = b = stop
                to, source = row + p - first - w, plane + (i * height + j) * width + tap_w
                if back:
                    for v in range(a, b):
                        poke(x, source + v * stride, peek(x, source + v * stride) + peek(cols, to + v))
                else:
                    for v in range(w, a):
                        poke(cols, to + v, zero)
                    if stride == 1:
                        for v in range(a, b):
                            poke(cols, to + v, peek(x, source + v))
                    else:
                        for v in range(a, b):
                            poke(cols, to + v, peek(x, source + v * stride))
                    for v in range(b, stop):
                        poke(cols, to + v, zero)
                p += stop - w
                w = 0
                h += 1
                if h == high:
                    h, d = 0, d + 1
            row += step


@inner
def together(y, first, last, channel, channels, block, back, bias):  # type: ignore[no-untyped-def]
    """block (channels, images * places) of y (N, O, places); with `back` y of the block, plus the bias."""
    places = y.shape[2]
    for n in range(first, last):
        for c in range(channels):
            at, to = (n * y.shape[1] + channel + c) * places, (c * (last - first) + n - first) * places
            if back:
                more = bias[channel + c] if bias.size else y.dtype.type(0)
                for p in range(places):
                    poke(y, at + p, peek(block, to + p) + more)
            else:
                for p in range(places):
                    poke(block, to + p, peek(y, at + p))


@kernel(*[f"({t}[:, :, ::1], {t}[:, :, ::1], {t}[:, :, ::1], {t}[::1], i8[:, ::1], i8, i8, i8, i8, b1, i8[::1])" for t in TYPES])
def forward(x, w, y, bias, geometry, groups, images, places, channels, plain, turns):  # type: ignore[no-untyped-def]
    """Fill y; a block is `images` images or `places` places, and `channels` channels at a time. `plain`: x is its own columns."""
    helping = invite(turns)
    total, every, outputs, taps = y.shape[2], w.shape[1], w.shape[0] // groups, w.shape[2]
    pieces = (total + places - 1) // places
    tasks = (len(x) + images - 1) // images * pieces * groups
    cols = np.empty(1 if plain else channels * taps * (images * places + LANES), x.dtype)
    task = take(turns, helping, tasks)
    length, offsets = plane_room(geometry, places, task < tasks)
    plane = np.empty(length, x.dtype)
    block = np.empty(outputs * places * images if images > 1 else 1, x.dtype)
    while task < tasks:
        n, group = task // (pieces * groups) * images, task // pieces % groups
        first = task % pieces * places
        last, after = min(total, first + places), min(len(x), n + images)
        size = (after - n) * (last - first)
        to = (n * y.shape[1] + group * outputs) * total + first
        for c in range(0, every, channels):
            count = min(channels, every - c)
            at, step = ((n * groups + group) * every + c) * x.shape[2], size + LANES
            source = group * outputs * every * taps + c * taps
            if plain:
                product(False, outputs, size, count, w, source, every, x, at + first, total, c > 0, y, to, total)
                continue
            for k in range(n, after):
                here = at + (k - n) * x.shape[1] * x.shape[2]
                columns(x, here, count, geometry, first, last, cols, (k - n) * (last - first), step, False, plane, offsets)
            if images > 1:
                product(False, outputs, size, count * taps, w, source, every * taps, cols, 0, step, c > 0, block, 0, size)
            else:
                product(False, outputs, size, count * taps, w, source, every * taps, cols, 0, step, c > 0, y, to, total)
        if images > 1:
            together(y, n, after, group * outputs, outputs, block, True, bias)
        elif bias.size:
            for o in range(outputs):
                more = bias[group * outputs + o]
                for p in range(to + o * total, to + o * total + last - first):
                    poke(y, p, peek(y, p) + more)
        finish(turns, 0)
        task = take(turns, helping, tasks)
    wait(turns, 0, tasks)


@kernel(*[f"({t}[:, :, ::1], {t}[:, :, ::1], {t}[:, :, ::1], {t}[::1], i8[:, ::1], i8, i8, i8, i8, i8[::1])" for t in TYPES])
def input_gradient(g, w, x, bias, geometry, groups, images, places, channels, turns):  # type: ignore[no-untyped-def]
    """Fill x, the input's gradient, from g, the result's: a task is all of `channels` channels of some images. Plus a bias."""
    helping = invite(turns)
    total, every, outputs, taps = g.shape[2], w.shape[1], w.shape[0] // groups, w.shape[2]
    pieces = (every + channels - 1) // channels
    tasks = (len(x) + images - 1) // images * pieces * groups
    cols = np.empty(channels * taps * (images * places + LANES), x.dtype)
    block = np.empty(outputs * places * images if images > 1 else 1, x.dtype)
    task = take(turns, helping, tasks)
    length, offsets = plane_room(geometry, places, task < tasks)
    plane = np.empty(length, x.dtype)
    while task < tasks:
        n, group, c = task // (pieces * groups) * images, task // pieces % groups, task % pieces * channels
        count, after = min(channels, every - c), min(len(x), n + images)
        source = group * outputs * every * taps + c * taps
        for k in range(n, after):
            for i in range(count):
                channel = group * every + c + i
                at, more = (k * x.shape[1] + channel) * x.shape[2], bias[channel] if bias.size else x.dtype.type(0)
                for p in range(at, at + x.shape[2]):
                    poke(x, p, more)
        if images > 1:
            together(g, n, after, group * outputs, outputs, block, False, bias)
        for first in range(0, total, places):
            last = min(total, first + places)
            size = (after - n) * (last - first)
            step = size + LANES
            if images > 1:
                product(True, count * taps, size, outputs, w, source, every * taps, block, 0, size, False, cols, 0, step)
            else:
                at = (n * g.shape[1] + group * outputs) * total + first
                product(True, count * taps, size, outputs, w, source, every * taps, g, at, total, False, cols, 0, step)
            for k in range(n, after):
                here = (k * x.shape[1] + group * every + c) * x.shape[2]
                columns(x, here, count, geometry, first, last, cols, (k - n) * (last - first), step, True, plane, offsets)
        finish(turns, 0)
        task = take(turns, helping, tasks)
    wait(turns, 0, tasks)


@kernel(*[f"({t}[:, :, ::1], {t}[:, :, ::1], {t}[:, :, :, ::1], i8[:, ::1], i8, i8, i8, i8, i8[::1])" for t in TYPES])
def weight_gradient(g, x, w, geometry, groups, images, places, channels, turns):  # type: ignore[no-untyped-def]
    """Fill w, the weight's gradient, from g, the result's: a task is `channels` channels, from its share of the batch.

    w is (shares, O, C / groups, taps), to be summed over shares.
    """
    helping = invite(turns)
    total, every, outputs, taps = g.shape[2], w.shape[2], w.shape[1] // groups, w.shape[3]
    pieces, share = (every + channels - 1) // channels, (len(x) + len(w) - 1) // len(w)
    tasks = len(w) * pieces * groups
    cols = np.empty(channels * taps * (images * places + LANES), x.dtype)
    task = take(turns, helping, tasks)
    length, offsets = plane_room(geometry, places, task < tasks)
    plane = np.empty(length, x.dtype)
    block, none = np.empty(outputs * places * images if images > 1 else 1, x.dtype), np.empty(0, x.dtype)
    while task < tasks:
        part, group, c = task // (pieces * groups), task // pieces % groups, task % pieces * channels
        count, end = min(channels, every - c), min(len(x), (part + 1) * share)
        to, add = ((part * groups + group) * outputs * every + c) * taps, False
        for n in range(part * share, end, images):
            after = min(end, n + images)
            if images > 1:
                together(g, n, after, group * outputs, outputs, block, False, none)
            for first in range(0, total, places):
                last = min(total, first + places)
                size = (after - n) * (last - first)
                step = size + LANES
                for k in range(n, after):
                    here = (k * x.shape[1] + group * every + c) * x.shape[2]
                    columns(x, here, count, geometry, first, last, cols, (k - n) * (last - first), step, False, plane, offsets)
                if images > 1:
                    gemm(False, True, outputs, count * taps, size, block, 0, size, cols, 0, step, add, w, to, every * taps)
                else:
                    at = (n * g.shape[1] + group * outputs) * total + first
                    gemm(False, True, outputs, count * taps, size, g, at, total, cols, 0, step, add, w, to, every * taps)
                add = True
        if not add:
            for o in range(outputs):
                for p in range(to + o * every * taps, to + o * every * taps + count * taps):
                    poke(w, p, x.dtype.type(0))
        finish(turns, 0)
        task = take(turns, helping, tasks)
    wait(turns, 0, tasks)
