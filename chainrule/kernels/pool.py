"""Pooling on arrays, in any number of spatial dimensions: the last `len(kernel)` ones, whatever comes before them.

The windows are walked tap by tap: the first elements of all windows at once, then the second ones, and so on. Large images go to
compiled kernels: the largest to `pool_numba`, sums to those of a convolution whose channels all have taps of 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product
from math import prod

import numpy as np

from chainrule.kernels import conv_depthwise
from chainrule.kernels.batched import leading
from chainrule.kernels.compiled import share
from chainrule.kernels.conv_columns import geometry
from chainrule.kernels.conv_plain import Ints, tap_slices, widened

LARGE = 1 << 15  # elements from which compiled kernels pay
COMPILED = (np.dtype(np.float32), np.dtype(np.float64))


def pooled_size(spatial: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool) -> Ints:
    """The spatial shape of the result. In ceil mode a last window may hang over the edge, if it starts inside."""
    sizes = []
    for n, k, s, p, d in zip(spatial, kernel, stride, padding, dilation, strict=True):
        out = (n + 2 * p - d * (k - 1) - 1 + (s - 1 if ceil_mode else 0)) // s + 1
        sizes.append(out - 1 if ceil_mode and (out - 1) * s >= n + p else out)
    return tuple(sizes)


def reaching(x: np.ndarray, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints, fill: float) -> np.ndarray:
    """x padded in front by `padding` and behind as far as the windows reach."""
    lead = x.ndim - len(kernel)
    need = [(m - 1) * s + d * (k - 1) + 1 for m, s, d, k in zip(out, stride, dilation, kernel, strict=True)]
    sizes = [max(n + p, r) for n, p, r in zip(x.shape[lead:], padding, need, strict=True)]
    if sizes == list(x.shape[lead:]):
        return x
    y = np.full((*x.shape[:lead], *sizes), fill, x.dtype)
    y[(..., *[slice(p, p + n) for p, n in zip(padding, x.shape[lead:], strict=True)])] = x
    return y


def flat_places(coordinates: list[np.ndarray], spatial: Ints) -> np.ndarray:
    """The places in a flattened grid of shape `spatial` of every combination of coordinates, one array a dimension."""
    places = np.zeros((), np.int64)
    for along, n in zip(coordinates, spatial, strict=True):
        places = places[..., None] * n + along
    return places


def compiled(a: np.ndarray, d: int) -> bool:
    return d == 2 and a.size >= LARGE and a.dtype in COMPILED


def planes(a: np.ndarray, spatial: Ints) -> np.ndarray:
    """a as (planes, *spatial), contiguous."""
    return np.ascontiguousarray(a).reshape(-1, *spatial)


@leading
def max_pool(x: np.ndarray, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints) -> tuple[np.ndarray, np.ndarray]:
    """The largest element of each window (NaN if one is there), and its place in x's flattened spatial dimensions."""
    d = len(kernel)
    spatial = x.shape[x.ndim - d :]
    if compiled(x, d):
        from chainrule.kernels import pool_numba

        y, places = (np.empty((*x.shape[: x.ndim - d], *out), t) for t in (x.dtype, np.int64))
        rows = geometry(spatial, kernel, stride, padding, dilation, out)
        share(pool_numba.max_pool, planes(x, spatial), planes(y, out), planes(places, out), rows)
        return y, places
    floating = x.dtype.kind in "fV"
    lowest = -np.inf if floating else np.iinfo(x.dtype).min
    source = reaching(x, kernel, stride, padding, dilation, out, lowest)
    starts = [np.arange(m) * s - p for m, s, p in zip(out, stride, padding, strict=True)]
    corners = flat_places(starts, spatial)
    steps = [prod(spatial[i + 1 :]) * q for i, q in enumerate(dilation)]
    y = np.full((*x.shape[: x.ndim - d], *out), lowest, x.dtype)
    # A window of nothing but -inf names its first element that is inside.
    inside = [np.where(b < 0, b + -(b // q) * q, b) for b, q in zip(starts, dilation, strict=True)]
    places = np.empty(y.shape, np.int64)
    places[...] = flat_places(inside, spatial)
    has_nan = floating and x.size and np.isnan(np.max(x))
    for tap, where in tap_slices(kernel, stride, dilation, out):
        values = source[where]
        better = values > y
        if has_nan:
            better |= np.isnan(values)
        np.copyto(y, values, where=better)
        np.copyto(places, corners + sum([t * n for t, n in zip(tap, steps, strict=True)]), where=better)
    return y, places


@leading
def largest_at(x: np.ndarray, places: Iterable[np.ndarray], out: Ints) -> tuple[np.ndarray, np.ndarray]:
    """The first largest (or the last NaN) of what x, its last dimension flat, holds at each set of places in turn; and its place."""
    shape = *x.shape[:-1], *out
    y, chosen = np.empty(shape, x.dtype), np.zeros(shape, np.int64)
    for turn, at in enumerate(places):
        values = np.take_along_axis(x, np.broadcast_to(at, (*x.shape[:-1], *out)).reshape(*x.shape[:-1], prod(out)), -1)
        at = np.broadcast_to(at, (*x.shape[:-1], *out))
        values = values.reshape(at.shape)
        better = (values > y) | np.isnan(values) if turn else True
        np.copyto(y, values, where=better)
        np.copyto(chosen, at, where=better)
    return y, chosen


def adaptive_places(spatial: Ints, out: Ints) -> Iterator[np.ndarray]:
    """For each tap of the largest window its places, smaller windows naming their last element again."""
    starts, ends = [], []
    for n, m in zip(spatial, out, strict=True):
        index = np.arange(m)
        starts.append(index * n // m)
        ends.append(-(-(index + 1) * n // m))
    for tap in product(*[range(int((b - a).max(initial=0))) for a, b in zip(starts, ends, strict=True)]):
        yield flat_places([np.minimum(a + t, b - 1) for t, a, b in zip(tap, starts, ends, strict=True)], spatial)


def fractional_starts(samples: np.ndarray, size: int, out: int, window: int) -> np.ndarray:
    """Where windows begin, (..., out), at steps that a random number for each plane makes uneven."""
    last = size - window
    if out < 2:
        return np.full((*samples.shape, out), last)
    alpha = samples.dtype.type(last) / samples.dtype.type(out - 1)
    index = np.arange(out).astype(samples.dtype)
    starts = ((index + samples[..., None]) * alpha).astype(np.int64) - (samples * alpha).astype(np.int64)[..., None]
    starts[..., -1] = last
    return starts


def fractional_places(starts: list[np.ndarray], window: Ints, spatial: Ints) -> Iterator[np.ndarray]:
    """For each tap its places (*lead, *out), the starts being (*lead, out) for each dimension."""
    d = len(spatial)
    for tap in product(*map(range, window)):
        place: np.ndarray | int = 0
        for i, (t, along, n) in enumerate(zip(tap, starts, spatial, strict=True)):
            shape = (*along.shape[:-1], *[along.shape[-1] if k == i else 1 for k in range(d)])
            place = place * n + (along + t).reshape(shape)
        yield np.asarray(place)


def unpool(x: np.ndarray, places: np.ndarray, spatial: Ints) -> np.ndarray:
    """Zeros with each element of x put at its place."""
    lead = x.shape[: x.ndim - len(spatial)]
    y = np.zeros((*lead, prod(spatial)), x.dtype)
    count = prod(x.shape[x.ndim - len(spatial) :])
    np.put_along_axis(y, places.reshape(*lead, count), x.reshape(*lead, count), -1)
    return y.reshape(*lead, *spatial)


def gather(x: np.ndarray, places: np.ndarray, d: int) -> np.ndarray:
    """The elements of x at `places` in its d flattened spatial dimensions; the transpose of `scatter`."""
    lead = x.shape[: x.ndim - d]
    flat = x.reshape(*lead, prod(x.shape[x.ndim - d :]))
    return np.take_along_axis(flat, places.reshape(*lead, prod(places.shape[x.ndim - d :])), -1).reshape(places.shape)


def scatter(g: np.ndarray, places: np.ndarray, spatial: Ints) -> np.ndarray:
    """Zeros with each element of g added at its place; places that windows share receive from all of them."""
    lead = g.shape[: g.ndim - len(spatial)]
    size = prod(spatial)
    if compiled(g, len(spatial)):
        from chainrule.kernels import pool_numba

        x = np.empty((*lead, *spatial), g.dtype)
        count = (prod(g.shape[g.ndim - len(spatial) :]),)
        share(pool_numba.scatter, planes(g, count), planes(places, count), planes(x, (size,)))
        return x
    (wide,) = widened(g)
    flat = np.zeros(prod(lead) * size, wide.dtype)
    rows = np.arange(prod(lead))[:, None] * size
    np.add.at(flat, (places.reshape(len(rows), prod(g.shape[g.ndim - len(spatial) :])) + rows).ravel(), wide.ravel())
    return flat.reshape(*lead, *spatial).astype(g.dtype, copy=False)


def sum_pool(x: np.ndarray, kernel: Ints, stride: Ints, padding: Ints, out: Ints) -> np.ndarray:
    """The sum of each window, over nothing where it hangs outside."""
    ones = (1,) * len(kernel)
    if compiled(x, len(kernel)) and conv_depthwise.suits(x.shape[-2:], kernel, stride, padding, ones, out):
        y = np.empty((*x.shape[:-2], *out), x.dtype)
        planar = planes(x, x.shape[-2:])[:, None], np.ones((1, 1, *kernel), x.dtype), planes(y, out)[:, None]
        conv_depthwise.convolve(*planar, np.empty(0, x.dtype), stride, padding, ones)
        return y
    source = reaching(x, kernel, stride, padding, ones, out, 0)
    y = np.zeros((*x.shape[: x.ndim - len(kernel)], *out), x.dtype)
    for _, where in tap_slices(kernel, stride, ones, out):
        y += source[where]
    return y


def spread_windows(g: np.ndarray, kernel: Ints, stride: Ints, padding: Ints, spatial: Ints) -> np.ndarray:
    """Each element of g added to all of its window: the transpose of `sum_pool`."""
    out = g.shape[g.ndim - len(kernel) :]
    if compiled(g, len(kernel)) and conv_depthwise.suits(spatial, kernel, stride, padding, (1, 1), out):
        x = np.empty((*g.shape[:-2], *spatial), g.dtype)
        planar = planes(g, out)[:, None], np.ones((1, 1, *kernel), g.dtype), planes(x, spatial)[:, None]
        conv_depthwise.input_gradient(*planar, np.empty(0, g.dtype), stride, padding, (1, 1))
        return x
    sizes = [max(n + p, (m - 1) * s + k) for n, p, m, s, k in zip(spatial, padding, out, stride, kernel, strict=True)]
    x = np.zeros((*g.shape[: g.ndim - len(kernel)], *sizes), g.dtype)
    for _, where in tap_slices(kernel, stride, (1,) * len(kernel), out):
        x[where] += g
    return np.ascontiguousarray(x[(..., *[slice(p, p + n) for p, n in zip(padding, spatial, strict=True)])])


@lru_cache(64)
def window_counts(spatial: Ints, kernel: Ints, stride: Ints, padding: Ints, out: Ints, count_padding: bool) -> np.ndarray:
    """The number of elements by which each window's sum is divided to be its average."""
    counts = np.ones((), np.int64)
    for n, k, s, p, m in zip(spatial, kernel, stride, padding, out, strict=True):
        start = np.arange(m) * s - p
        end = np.minimum(start + k, n + p)
        along = end - start if count_padding else np.minimum(end, n) - np.maximum(start, 0)
        counts = counts[..., None] * along
    return counts


@lru_cache(64)
def averaging_matrix(size: int, out: int, dtype: np.dtype) -> np.ndarray:
    """(out, size): row i averages the elements from floor(i * size / out) to ceil((i + 1) * size / out)."""
    rows, places = np.arange(out)[:, None], np.arange(size)
    inside = (places >= rows * size // out) & (places < -(-(rows + 1) * size // out))
    return (inside / inside.sum(1, keepdims=True)).astype(dtype)


def along_axes(x: np.ndarray, matrices: list[np.ndarray]) -> np.ndarray:
    """x with its last dimensions multiplied by one matrix each."""
    (wide,) = widened(x)
    for i, matrix in enumerate(matrices):
        axis = x.ndim - len(matrices) + i
        wide = np.moveaxis(np.matmul(np.moveaxis(wide, axis, -1), matrix.T.astype(wide.dtype, copy=False)), -1, axis)
    return np.ascontiguousarray(wide, x.dtype)
