"""Convolution, its input's and its weight's gradient, by the columns of the input: see `conv_numba`. float32 and float64.

x (N, C, *spatial), weight (O, C / groups, *kernel), y (N, O, *out); the other arguments are tuples with a number for each dimension.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np

from chainrule.kernels.compiled import get_num_threads, one_blas_thread, share

ndarray = np.ndarray
Ints = tuple[int, ...]
NEAR = 1 << 18  # bytes of columns at a time
DEEP = 640  # rows of columns at a time
FEW = 1 << 14  # taps up to which every thread may sum them up for itself
ALONE = 1 << 17  # multiplications that are not worth a second thread


@lru_cache(256)
def geometry(spatial: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints) -> ndarray:
    """The six rows that kernels want."""
    fill = (1, 1, 1, 0, 1, 1)
    rows = (spatial, kernel, stride, padding, dilation, out)
    return np.array([(f,) * (3 - len(r)) + tuple(r) for f, r in zip(fill, rows, strict=True)], np.int64)


def one_type(bias: ndarray | None, dtype: np.dtype) -> ndarray:
    """The bias in a kernel's type; an empty array if there is none."""
    return np.empty(0, dtype) if bias is None else np.ascontiguousarray(bias, dtype)


def flat(a: ndarray) -> ndarray:
    """(N, C, places), contiguous."""
    return np.ascontiguousarray(a).reshape(*a.shape[:2], prod(a.shape[2:]))


def evenly(count: int, most: int) -> int:
    """The size of parts of `count`, all about the same and none more than `most`."""
    return -(-count // -(-count // most))


def lines(out: Ints, places: int) -> int:
    """About so many places, in whole lines of images."""
    whole = len(out) == 2 and out[1] <= 2 * places
    return out[1] * max(1, round(places / out[1])) if whole else min(prod(out), -(-places // 16) * 16)


def blocks(n: int, out: Ints, most: int) -> tuple[int, int]:
    """Images and places (whole lines of images) of a block of about `most` places, a few blocks for each thread if there is enough."""
    places = prod(out)
    threads = get_num_threads()
    if threads > 1:
        most = min(most, max(48, -(-n * places // (2 * threads))))
    if places >= most:
        return 1, lines(out, evenly(places, most))
    return evenly(n, max(1, most // places)), places


def convolve(x: ndarray, weight: ndarray, y: ndarray, stride: Ints, padding: Ints, dilation: Ints, groups: int, bias: ndarray) -> ndarray:
    """Fill y; the bias can be empty."""
    from chainrule.kernels import conv_numba

    kernel, out = weight.shape[2:], y.shape[2:]
    taps, channels = prod(kernel), weight.shape[1]
    depth = evenly(channels, max(1, DEEP // taps))
    images, places = blocks(len(x), out, max(64, NEAR // (depth * taps * x.itemsize)))
    plain = taps == 1 and x.shape[2:] == out and images == 1
    with one_blas_thread():
        share(
            conv_numba.forward, flat(x), flat(weight), y.reshape(*y.shape[:2], prod(out)), bias,
            geometry(x.shape[2:], kernel, stride, padding, dilation, out), groups, images, places, channels if plain else depth, plain,
            alone=y.size * channels * taps < ALONE,
        )  # fmt: skip
    return y


def input_gradient(
    g: ndarray, weight: ndarray, x: ndarray, stride: Ints, padding: Ints, dilation: Ints, groups: int, bias: ndarray
) -> ndarray:
    """Fill x, given y's gradient g."""
    from chainrule.kernels import conv_numba

    kernel, out = weight.shape[2:], g.shape[2:]
    taps, channels = prod(kernel), weight.shape[1]
    images, places = blocks(len(x), out, 512)
    if images == 1:
        places = lines(out, min(prod(out), 512))
    few = -(-len(x) // images) * groups
    depth = max(1, min(NEAR // (images * places * taps * x.itemsize), -(-channels * few // (2 * get_num_threads())), channels))
    with one_blas_thread():
        share(
            conv_numba.input_gradient, flat(g), flat(weight), x.reshape(*x.shape[:2], prod(x.shape[2:])), bias,
            geometry(x.shape[2:], kernel, stride, padding, dilation, out), groups, images, places, depth,
            alone=g.size * channels * taps < ALONE,
        )  # fmt: skip
    return x


def weight_gradient(g: ndarray, x: ndarray, w: ndarray, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> ndarray:
    """Fill w, given y's gradient g."""
    from chainrule.kernels import conv_numba

    kernel, out = w.shape[2:], g.shape[2:]
    taps, channels, threads = prod(kernel), w.shape[1], get_num_threads()
    apart = taps > 1 and w.size <= FEW and len(x) >= 2 * threads  # each thread goes through images of its own, for all channels
    most = max(64, min(1024, NEAR // (channels * taps * x.itemsize))) if apart else 1024
    images, places = blocks(len(x), out, most)
    if images == 1:
        places = lines(out, min(prod(out), most))
    depth = max(1, min(channels, 2 * NEAR // (images * places * taps * x.itemsize)))
    if not apart:
        depth = min(depth, -(-channels * groups // (2 * threads)))
    pieces = -(-channels // depth) * groups
    shares = 1 if pieces >= 2 * threads else max(1, min(-(-len(x) // images), -(-2 * threads // pieces)))
    parts = np.empty((shares, *w.shape[:2], taps), w.dtype) if shares > 1 else w.reshape(1, *w.shape[:2], taps)
    with one_blas_thread():
        share(
            conv_numba.weight_gradient, flat(g), flat(x), parts, geometry(x.shape[2:], kernel, stride, padding, dilation, out), groups,
            images, places, depth, alone=g.size * channels * taps < ALONE,
        )  # fmt: skip
    if shares > 1:
        np.sum(parts.reshape(shares, *w.shape), 0, out=w)
    return w
