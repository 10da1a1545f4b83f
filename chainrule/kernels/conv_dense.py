"""Convolution of very small images as a dense layer: see `conv_dense_numba`. float32, channels a multiple of 16."""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np

from chainrule.kernels.compiled import one_blas_thread, share
from chainrule.kernels.conv_plain import Ints

ndarray = np.ndarray
ENOUGH = 16  # images that pay for spreading the taps out


def suits(images: int, spatial: Ints, kernel: Ints, channels: int, dtype: np.dtype, groups: int) -> bool:
    """Whether at least half of the taps would meet padding, and it pays. `channels` are those that go 16 at a time."""
    return dtype == np.float32 and groups == 1 and channels % 16 == 0 and images >= ENOUGH and 2 * prod(spatial) < prod(kernel)


@lru_cache(256)
def taps(spatial: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints) -> ndarray:
    """(P, Q): the tap by which a place of the input meets one of the result, or -1."""
    found = np.zeros((prod(spatial), prod(out)), np.int64)
    outside = np.zeros(found.shape, bool)
    grid, places = np.indices(spatial).reshape(len(spatial), -1, 1), np.indices(out).reshape(len(out), 1, -1)
    for at, q, k, s, p, d in zip(grid, places, kernel, stride, padding, dilation, strict=True):
        tap, rest = np.divmod(at - q * s + p, d)
        outside |= (rest != 0) | (tap < 0) | (tap >= k)
        found = found * k + tap
    return np.where(outside, -1, found)


def flat(a: ndarray) -> ndarray:
    return a.reshape(*a.shape[:2], prod(a.shape[2:]))


def convolve(x: ndarray, weight: ndarray, y: ndarray, bias: ndarray, tap: ndarray, across: bool) -> ndarray:
    """Fill y, the convolution of x, or with `across` the gradient of the input of one whose result's gradient is x."""
    from chainrule.kernels import conv_dense_numba

    with one_blas_thread():
        share(conv_dense_numba.forward, flat(x), flat(weight), flat(y), bias, tap, across)
    return y


def weight_gradient(g: ndarray, x: ndarray, weight: ndarray, tap: ndarray) -> ndarray:
    """Fill `weight`, the gradient of the taps, given the result's gradient g."""
    from chainrule.kernels import conv_dense_numba

    with one_blas_thread():
        share(conv_dense_numba.weight_gradient, flat(g), flat(x), flat(weight), tap)
    return weight
