"""Convolution with taps of its own for every channel (depthwise), its input's and its weight's gradient: see `conv_depthwise_numba`.

x (N, C, H, W), weight (O, 1, *kernel) with O a multiple of C, y (N, O, *out); float32 or float64, contiguous.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np

from chainrule.kernels.compiled import share
from chainrule.kernels.conv_plain import Ints

ndarray = np.ndarray
LANES = 16
MOST = 1 << 26  # places times taps, eight of which take a byte


def suits(spatial: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints) -> bool:
    """Whether these are images, windows begin in them or before them, and end no farther from them; and tables are not too large."""
    if len(kernel) != 2 or prod(spatial) * prod(kernel) > MOST:
        return False
    around = [2 * p <= d * (k - 1) for p, d, k in zip(padding, dilation, kernel, strict=True)]
    return all(around) and all([(m - 1) * s < n for m, s, n in zip(out, stride, spatial, strict=True)])


@lru_cache(64)
def tables(spatial: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints, back: bool) -> tuple[ndarray, ...]:
    """The masks (vectors, taps), offsets, wanted vectors, and sizes; those of the transpose with `back`."""
    (high, wide), sign = spatial, -1 if back else 1
    taps = kernel[0] * kernel[1]
    vectors = -(-high * wide // LANES)
    h, w = np.divmod(np.arange(vectors * LANES), wide)

    def kept(h: ndarray, w: ndarray) -> ndarray:
        """Whether the convolution is wanted at these places."""
        return (h % stride[0] == 0) & (w % stride[1] == 0) & (h < out[0] * stride[0]) & (w < out[1] * stride[1])

    masks, offsets = np.zeros((vectors, -(-taps // 3) * 3), np.int16), np.zeros(-(-taps // 3) * 3, np.int64)
    for tap in range(taps):
        down, right = [sign * (t * d - p) for t, d, p in zip(divmod(tap, kernel[1]), dilation, padding, strict=True)]
        i, j = h + down, w + right
        met = (i >= 0) & (i < high) & (j >= 0) & (j < wide) & (h < high) & (kept(i, j) if back else kept(h, w))
        masks[:, tap], offsets[tap] = np.packbits(met, bitorder="little").view("<i2"), down * wide + right
    wanted = np.arange(vectors) if back else np.flatnonzero((kept(h, w) & (h < high)).reshape(vectors, LANES).any(1))
    return masks[wanted], offsets, wanted, np.array([*spatial, *out, *stride])


def convolve(x: ndarray, w: ndarray, y: ndarray, bias: ndarray, stride: Ints, padding: Ints, dilation: Ints) -> ndarray:
    """Fill y; the bias can be empty."""
    from chainrule.kernels import conv_depthwise_numba

    table = tables(x.shape[2:], w.shape[2:], stride, padding, dilation, y.shape[2:], False)
    share(conv_depthwise_numba.correlate, x, w, y, bias, False, *table)
    return y


def input_gradient(g: ndarray, w: ndarray, x: ndarray, bias: ndarray, stride: Ints, padding: Ints, dilation: Ints) -> ndarray:
    """Fill x, given y's gradient g; plus a bias."""
    from chainrule.kernels import conv_depthwise_numba

    table = tables(x.shape[2:], w.shape[2:], stride, padding, dilation, g.shape[2:], True)
    share(conv_depthwise_numba.correlate, g, w, x, bias, True, *table)
    return x


def weight_gradient(g: ndarray, x: ndarray, w: ndarray, stride: Ints, padding: Ints, dilation: Ints) -> ndarray:
    """Fill w, given y's gradient g."""
    from chainrule.kernels import conv_depthwise_numba

    table = tables(x.shape[2:], w.shape[2:], stride, padding, dilation, g.shape[2:], False)
    share(conv_depthwise_numba.weight_gradient, g, x, w, *table)
    return w
