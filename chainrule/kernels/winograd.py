"""Convolution with 3x3 taps and stride 1 by Winograd's algorithm, on float32 arrays: see `winograd_numba`.

x (N, C, H, W), taps (O, C, 3, 3), y (N, O, out_h, out_w); C and O are multiples of 16.
"""

from __future__ import annotations

import numpy as np

from chainrule.kernels.compiled import get_num_threads, one_blas_thread, share

ndarray = np.ndarray
NEAR = 3 << 18  # bytes of inputs and products at a time that stay in a core's own cache
FAR = 1 << 23  # the same, in the cache that cores share
SHARED = 1 << 14  # up to so many pairs of channels all blocks share the taps
APART = 1 << 14  # up to so many pairs of channels every thread has room for the sums of its own tiles
WIDTH = 16  # outputs at a time otherwise
NONE = np.empty(0, np.float32)


def suits(channels: int, outputs: int) -> bool:
    return channels % 16 == 0 and outputs % 16 == 0


def room(count: int) -> ndarray:
    """36 matrices of `count` elements."""
    return np.empty((36, count + 16), np.float32)


def convolve(x: ndarray, w: ndarray, y: ndarray, padding: tuple[int, int], bias: ndarray = NONE, across: bool = False) -> ndarray:
    """Fill y with the convolution of x; `across`: with that by the transposed taps turned round, the gradient of an input."""
    from chainrule.kernels import winograd_numba

    channels, outputs = x.shape[1], y.shape[1]
    wide, high = -(-y.shape[3] // 4), -(-y.shape[2] // 4)
    every, row = len(y) * high, 144 * wide * (channels + outputs)  # rows of tiles, and the bytes of one
    with one_blas_thread():
        if channels * outputs <= SHARED and every * wide >= 64:
            U = room(channels * outputs)
            share(winograd_numba.taps, w, U, across)
            share(winograd_numba.by_blocks, x, U, y, bias, *padding, max(1, NEAR // row))
        else:
            rows = min(every, max(1, FAR // row))
            V = room(rows * wide * channels)
            for first in range(0, every, rows):
                share(winograd_numba.by_outputs, x, w, y, bias, across, *padding, first, min(every, first + rows), V, WIDTH)
    return y


def taps_gradient(g: ndarray, x: ndarray, dw: ndarray, padding: tuple[int, int]) -> ndarray:
    """Fill dw with the gradient of the taps, g being y's."""
    from chainrule.kernels import winograd_numba

    wide, high = -(-g.shape[3] // 4), -(-g.shape[2] // 4)
    every, row = len(g) * high, 144 * wide * (x.shape[1] + g.shape[1])
    taps = 144 * x.shape[1] * g.shape[1]  # the bytes that each block of tiles, or pass, adds to
    if x.shape[1] * g.shape[1] <= APART:
        rows, parts = max(1, (NEAR + taps) // row), min(every, 2 * get_num_threads())
        sums = np.empty((parts, 36, x.shape[1] * g.shape[1] + 16), np.float32)
        with one_blas_thread():
            share(winograd_numba.taps_gradient_by_blocks, x, g, dw, *padding, rows, sums)
        return dw
    passes = max(1, every * row // (NEAR + taps // 2))
    rows = -(-every // passes)
    V, G = (room(rows * wide * n) for n in (x.shape[1], g.shape[1]))
    with one_blas_thread():
        for first in range(0, every, rows):
            share(winograd_numba.taps_gradient, x, g, dw, *padding, first, min(every, first + rows), V, G)
    return dw
