"""Convolution with 3x3 taps and stride 1 by Winograd's algorithm, on float32 arrays: see `winograd_numba`.

x (N, C, H, W), taps (O, C, 3, 3), y (N, O, out_h, out_w); C and O are multiples of 16.
"""

from __future__ import annotations

import numpy as np

from chainrule.kernels.compiled import one_blas_thread, share

ndarray = np.ndarray
NEAR = 1 << 19  # bytes of inputs and products at a time that leave room for the taps in a core's own cache
FAR = 1 << 24  # the same in the cache that cores share
NONE = np.empty(0, np.float32)


def suits(channels: int, outputs: int) -> bool:
    return channels % 16 == 0 and outputs % 16 == 0


def transformed(w: ndarray, flip: bool) -> ndarray:
    from chainrule.kernels import winograd_numba

    U = np.empty((36, *w.shape[:2]), np.float32)
    share(winograd_numba.taps, w, U, flip)
    return U


def convolve(x: ndarray, w: ndarray, y: ndarray, padding: tuple[int, int], bias: ndarray | None = None, across: bool = False) -> ndarray:
    """Fill y with the convolution of x; `across`: with that by the transposed taps turned round, the gradient of an input."""
    from chainrule.kernels import winograd_numba

    U = transformed(w, across)
    wide, high = -(-y.shape[3] // 4), -(-y.shape[2] // 4)
    every, row = len(y) * high, 144 * wide * (x.shape[1] + y.shape[1])  # rows of tiles, and the bytes of one
    settings = (np.ascontiguousarray(x), U, y, NONE if bias is None else bias, across, *padding)
    with one_blas_thread():
        if U.nbytes <= 3 << 20 and every * wide > 64:
            rows = max(1, NEAR // row)
            share(winograd_numba.by_blocks, *settings, rows)
        else:
            rows = min(every, max(1, FAR // row))
            V, M = (np.empty((36, rows * wide, n), np.float32) for n in (x.shape[1], y.shape[1]))
            for first in range(0, every, rows):
                share(winograd_numba.by_phases, *settings, first, min(every, first + rows), V, M)
    return y


def taps_gradient(g: ndarray, x: ndarray, dw: ndarray, padding: tuple[int, int]) -> ndarray:
    """Fill dw with the gradient of the taps, g being y's."""
    from chainrule.kernels import winograd_numba

    wide, high = -(-g.shape[3] // 4), -(-g.shape[2] // 4)
    every, row = len(g) * high, 144 * wide * (x.shape[1] + g.shape[1])
    rows = min(every, max(1, FAR // row))
    V, G = (np.empty((36, rows * wide, n), np.float32) for n in (x.shape[1], g.shape[1]))
    dU = np.empty((36, g.shape[1], x.shape[1]), np.float32)
    settings = np.ascontiguousarray(x), np.ascontiguousarray(g), dw, *padding
    with one_blas_thread():
        for first in range(0, every, rows):
            share(winograd_numba.taps_gradient, *settings, first, min(every, first + rows), V, G, dU)
    return dw
