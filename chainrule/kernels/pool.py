"""Pooling on arrays, in any number of spatial dimensions: the last `len(kernel)` ones, whatever comes before them.

The windows are walked tap by tap: the first elements of all windows at once, then the second ones, and so on.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np

from chainrule.kernels.conv import Ints, tap_slices, widened


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


def max_pool(x: np.ndarray, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints) -> tuple[np.ndarray, np.ndarray]:
    """The largest element of each window (NaN if one is there), and its place in x's flattened spatial dimensions."""
    d = len(kernel)
    spatial = x.shape[x.ndim - d :]
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


def gather(x: np.ndarray, places: np.ndarray, d: int) -> np.ndarray:
    """The elements of x at `places` in its d flattened spatial dimensions; the transpose of `scatter`."""
    lead = x.shape[: x.ndim - d]
    flat = x.reshape(*lead, -1)
    return np.take_along_axis(flat, places.reshape(*lead, -1), -1).reshape(places.shape)


def scatter(g: np.ndarray, places: np.ndarray, spatial: Ints) -> np.ndarray:
    """Zeros with each element of g added at its place; places that windows share receive from all of them."""
    lead = g.shape[: g.ndim - len(spatial)]
    size = prod(spatial)
    (wide,) = widened(g)
    flat = np.zeros(prod(lead) * size, wide.dtype)
    rows = np.arange(prod(lead))[:, None] * size
    np.add.at(flat, (places.reshape(len(rows), -1) + rows).ravel(), wide.ravel())
    return flat.reshape(*lead, *spatial).astype(g.dtype, copy=False)


def sum_pool(x: np.ndarray, kernel: Ints, stride: Ints, padding: Ints, out: Ints) -> np.ndarray:
    """The sum of each window, over nothing where it hangs outside."""
    ones = (1,) * len(kernel)
    source = reaching(x, kernel, stride, padding, ones, out, 0)
    y = np.zeros((*x.shape[: x.ndim - len(kernel)], *out), x.dtype)
    for _, where in tap_slices(kernel, stride, ones, out):
        y += source[where]
    return y


def spread_windows(g: np.ndarray, kernel: Ints, stride: Ints, padding: Ints, spatial: Ints) -> np.ndarray:
    """Each element of g added to all of its window: the transpose of `sum_pool`."""
    out = g.shape[g.ndim - len(kernel) :]
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
