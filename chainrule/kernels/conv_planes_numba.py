"""Planes of images laid out so that every tap of a window meets neighbours: with their padding, and with a stride in width the columns
sorted by their remainder. `geometry` has six rows: the input's size, the kernel's, stride, padding, dilation, and the result's size,
each in depth, height and width.
"""

from __future__ import annotations

from chainrule.kernels.compile_numba import inner, peek, poke
from chainrule.kernels.compile_vectors_numba import LANES, alternately, apart, fill, load_first, store, store_first

TYPES = ("f4", "f8")


@inner
def room(geometry, lines):  # type: ignore[no-untyped-def]
    """Rows of a plane for `lines` lines of results, and the columns of one remainder with room for a vector more."""
    stride, far_h, far_w = geometry[2, 2], (geometry[1, 1] - 1) * geometry[4, 1], (geometry[1, 2] - 1) * geometry[4, 2]
    columns = max(geometry[0, 2] + 2 * geometry[3, 2], (geometry[5, 2] - 1) * stride + far_w + 1)
    return (lines - 1) * geometry[2, 1] + far_h + 1, (columns + stride - 1) // stride + LANES


@inner
def tap_offset(tap, geometry, long):  # type: ignore[no-untyped-def]
    """How far from the first element of a window a tap is."""
    stride = geometry[2, 2]
    h, w = tap // geometry[1, 2] * geometry[4, 1], tap % geometry[1, 2] * geometry[4, 2]
    return (h * stride + w % stride) * long + w // stride


@inner
def clear(plane, value):  # type: ignore[no-untyped-def]
    border = fill(value)
    for i in range(0, plane.size - LANES, LANES):
        store(plane, i, border)
    last = max(0, plane.size - LANES)
    store_first(plane, last, plane.size - last, border)


@inner
def lay_out(x, at, geometry, line, lines, outside, plane):  # type: ignore[no-untyped-def]
    """The plane for `lines` lines of results from `line` on, of x that begins at its flat place `at`; `outside` is all around.

    plane[h, remainder, q] = x[line * stride_h + h - pad_h, q * stride + remainder - pad_w].
    """
    height, width, stride = geometry[0, 1], geometry[0, 2], geometry[2, 2]
    top, pad_w = line * geometry[2, 1] - geometry[3, 1], geometry[3, 2]
    rows, long = room(geometry, lines)
    clear(plane[: rows * stride * long], outside)
    for h in range(max(0, top), min(height, top + rows)):
        source, to = at + h * width, (h - top) * stride * long
        if stride == 1:
            for v in range(0, width, LANES):
                store_first(plane, to + pad_w + v, width - v, load_first(x, source + v, width - v))
            continue
        if stride == 2:
            for v in range(0, width, 2 * LANES):
                left = width - v
                even, odd = apart(load_first(x, source + v, left), load_first(x, source + v + LANES, left - LANES))
                store_first(plane, to + pad_w % 2 * long + (v + pad_w) // 2, (left + 1) // 2, even)
                store_first(plane, to + (pad_w + 1) % 2 * long + (v + pad_w + 1) // 2, left // 2, odd)
            continue
        for v in range(width):
            poke(plane, to + (v + pad_w) % stride * long + (v + pad_w) // stride, peek(x, source + v))


@inner
def add_back(plane, x, at, geometry, line, lines):  # type: ignore[no-untyped-def]
    """Add a plane to the x that `lay_out` would take it from."""
    height, width, stride = geometry[0, 1], geometry[0, 2], geometry[2, 2]
    top, pad_w = line * geometry[2, 1] - geometry[3, 1], geometry[3, 2]
    rows, long = room(geometry, lines)
    end = min(width, (long - LANES) * stride - pad_w)  # windows may not reach the end of x
    for h in range(max(0, top), min(height, top + rows)):
        to, source = at + h * width, (h - top) * stride * long
        if stride == 1:
            for v in range(0, end, LANES):
                store_first(x, to + v, end - v, load_first(x, to + v, end - v) + load_first(plane, source + pad_w + v, end - v))
            continue
        if stride == 2:
            for v in range(0, end, 2 * LANES):
                left = end - v
                even = load_first(plane, source + pad_w % 2 * long + (v + pad_w) // 2, (left + 1) // 2)
                odd = load_first(plane, source + (pad_w + 1) % 2 * long + (v + pad_w + 1) // 2, left // 2)
                first, second = alternately(even, odd)
                store_first(x, to + v, left, load_first(x, to + v, left) + first)
                store_first(x, to + v + LANES, left - LANES, load_first(x, to + v + LANES, left - LANES) + second)
            continue
        for v in range(end):
            poke(x, to + v, peek(x, to + v) + peek(plane, source + (v + pad_w) % stride * long + (v + pad_w) // stride))
