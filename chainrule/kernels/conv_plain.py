"""Convolution in plain NumPy, in any number of spatial dimensions and for all types; compiled kernels are compared with it.

Forward and both gradients are matrix products with the columns of the input (im2col), a part of the batch at a time, so that the
columns stay small and are still in the cache when the product reads them.

Shapes: x (N, C, *spatial), weight (O, C / groups, *kernel), y (N, O, *out); `stride`, `padding` and `dilation` are tuples.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod

import numpy as np
from numpy.lib.stride_tricks import as_strided

Ints = tuple[int, ...]
PART = 1 << 23  # the bytes of columns that are made at a time


def output_size(spatial: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Ints:
    """The spatial shape of y."""
    return tuple([(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(spatial, kernel, stride, padding, dilation, strict=True)])


def padded(x: np.ndarray, padding: Ints, fill: float = 0) -> np.ndarray:
    """x with `padding` elements of `fill` on both sides of each spatial dimension; x itself if there are none."""
    if not any(padding):
        return x
    lead = x.ndim - len(padding)
    shape = x.shape[:lead] + tuple([n + 2 * p for n, p in zip(x.shape[lead:], padding, strict=True)])
    y = np.full(shape, fill, x.dtype) if fill else np.zeros(shape, x.dtype)
    y[(..., *[slice(p, p + n) for n, p in zip(x.shape[lead:], padding, strict=True)])] = x
    return y


def windows(x: np.ndarray, kernel: Ints, stride: Ints, dilation: Ints, out: Ints) -> np.ndarray:
    """A view (*lead, *kernel, *out) of the padded x: for each tap of the kernel what it meets at each output place."""
    d = len(kernel)
    steps = x.strides[-d:]
    taps = tuple([n * q for n, q in zip(steps, dilation, strict=True)])
    moves = tuple([n * q for n, q in zip(steps, stride, strict=True)])
    return as_strided(x, (*x.shape[:-d], *kernel, *out), (*x.strides[:-d], *taps, *moves), writeable=False)


def tap_slices(kernel: Ints, stride: Ints, dilation: Ints, out: Ints) -> Iterator[tuple[Ints, tuple]]:
    """For each tap of the kernel: its place, and the slices of a padded input that it meets."""
    for tap in product(*map(range, kernel)):
        starts = [t * q for t, q in zip(tap, dilation, strict=True)]
        yield tap, (..., *[slice(b, b + s * (n - 1) + 1, s) for b, s, n in zip(starts, stride, out, strict=True)])


def parts(x: np.ndarray, kernel: Ints, out: Ints, channels: int) -> Iterator[slice]:
    """Slices of the batch whose columns take about PART bytes."""
    size = max(1, PART // max(1, channels * prod(kernel) * prod(out) * x.itemsize))
    return (slice(i, i + size) for i in range(0, len(x), size))


def columns(x: np.ndarray, kernel: Ints, stride: Ints, dilation: Ints, out: Ints, groups: int) -> np.ndarray:
    """The padded x as (groups, C / groups * taps, N * places)."""
    taps = np.moveaxis(windows(x, kernel, stride, dilation, out), 0, 1 + len(kernel))
    return taps.reshape(groups, x.shape[1] // groups * prod(kernel), len(x) * prod(out))


def grouped(g: np.ndarray, groups: int) -> np.ndarray:
    """(N, O, *out) as (groups, O / groups, N * places)."""
    return g.swapaxes(0, 1).reshape(groups, g.shape[1] // groups, len(g) * prod(g.shape[2:]))


def widened(*arrays: np.ndarray) -> list[np.ndarray]:
    """Half-precision arrays as float32, which is what BLAS multiplies."""
    return [a.astype(np.float32) if a.itemsize == 2 and a.dtype.kind in "fV" else a for a in arrays]


def conv(
    x: np.ndarray, weight: np.ndarray, stride: Ints, padding: Ints, dilation: Ints, groups: int, out: Ints | None = None
) -> np.ndarray:
    """y[n, o, p] = sum over c and taps t of x[n, c, p * stride + t * dilation - padding] * weight[o, c, t].

    `out` is the spatial shape of y, if that is not all there is room for.
    """
    dtype, kernel = x.dtype, weight.shape[2:]
    x, weight = widened(x, weight)
    out = out or output_size(x.shape[2:], kernel, stride, padding, dilation)
    matrix = weight.reshape(groups, len(weight) // groups, prod(weight.shape[1:]))
    y = np.empty((len(x), len(weight), *out), x.dtype)
    for part in parts(x, kernel, out, x.shape[1]):
        product = matrix @ columns(padded(x[part], padding), kernel, stride, dilation, out, groups)
        y[part] = product.reshape(len(weight), len(y[part]), *out).swapaxes(0, 1)
    return y.astype(dtype, copy=False)


def conv_input(g: np.ndarray, weight: np.ndarray, spatial: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> np.ndarray:
    """The transpose of `conv` in x: y's cotangent g to that of an x of shape (N, C, *spatial); also the transposed convolution."""
    dtype, kernel, out = g.dtype, weight.shape[2:], g.shape[2:]
    g, weight = widened(g, weight)
    channels = weight.shape[1] * groups
    matrix = weight.reshape(groups, len(weight) // groups, prod(weight.shape[1:])).swapaxes(1, 2)
    x = np.zeros((len(g), channels, *[n + 2 * p for n, p in zip(spatial, padding, strict=True)]), g.dtype)
    slices = list(tap_slices(kernel, stride, dilation, out))
    for part in parts(g, kernel, out, channels):
        cotangents = (matrix @ grouped(g[part], groups)).reshape(channels, *kernel, len(g[part]), *out)
        target = x[part].swapaxes(0, 1)
        for tap, where in slices:
            target[where] += cotangents[(slice(None), *tap)]
    return np.ascontiguousarray(x[(..., *[slice(p, p + n) for p, n in zip(padding, spatial, strict=True)])], dtype)


def conv_weight(g: np.ndarray, x: np.ndarray, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> np.ndarray:
    """The transpose of `conv` in the weight: y's cotangent g, with x, to that of a weight of shape (O, C / groups, *kernel)."""
    dtype, out = g.dtype, g.shape[2:]
    g, x = widened(g, x)
    shape = g.shape[1], x.shape[1] // groups, *kernel
    weight = np.zeros((groups, g.shape[1] // groups, prod(shape[1:])), g.dtype)
    for part in parts(x, kernel, out, x.shape[1]):
        weight += grouped(g[part], groups) @ columns(padded(x[part], padding), kernel, stride, dilation, out, groups).swapaxes(1, 2)
    return weight.reshape(shape).astype(dtype, copy=False)
