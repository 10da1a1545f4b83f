"""Convolution with a single tap as products, see `conv_pointwise_numba`: float32, in any number of dimensions.

x (N, C, *spatial), weight (O, C, 1, ...), y (N, O, *spatial).
"""

from __future__ import annotations

from math import prod

import numpy as np

from chainrule.kernels.compiled import get_num_threads, share
from chainrule.kernels.conv_plain import Ints

ndarray = np.ndarray
LANES = 16
NEAR = 1 << 18  # bytes of the input at a time
ALONE = 1 << 17  # multiplications that are not worth a second thread


def suits(spatial: Ints, kernel: Ints, stride: Ints, padding: Ints, groups: int, dtype: np.dtype) -> bool:
    """Whether there is one tap, at every place, and images are not much smaller than the vectors that they are cut into."""
    places = prod(spatial)
    if prod(kernel) != 1 or groups != 1 or dtype != np.float32 or 5 * places < 4 * LANES:
        return False
    return max(stride) == 1 and not any(padding)


def convolve(x: ndarray, w: ndarray, y: ndarray, bias: ndarray, across: bool = False) -> ndarray:
    """Fill y; the bias can be empty. With `across` x is the gradient of the result, and y that of the input."""
    from chainrule.kernels import conv_pointwise_numba

    inputs, places = x.shape[1], prod(x.shape[2:])
    vectors = len(x) * -(-places // LANES)
    block = max(3, min(NEAR // (64 * inputs), -(-vectors // (4 * get_num_threads()))) // 3 * 3)
    steps = (1, w.shape[1]) if across else (w.shape[1], 1)
    few = x.size * y.shape[1] < ALONE
    flat = x.reshape(*x.shape[:2], places), w.reshape(-1), y.reshape(*y.shape[:2], places)
    share(conv_pointwise_numba.multiply, *flat, bias, *steps, block, alone=few)
    return y


def weight_gradient(g: ndarray, x: ndarray, w: ndarray) -> ndarray:
    """Fill w, given y's gradient g; both have 16 channels or more."""
    from chainrule.kernels import conv_pointwise_numba

    places = prod(x.shape[2:])
    a, b = (v.reshape(*v.shape[:2], places) for v in ((g, x) if g.shape[1] >= x.shape[1] else (x, g)))
    lying = np.empty((len(b), -(-places // LANES) * LANES, b.shape[1]), x.dtype)
    flat, none = w.reshape(w.shape[:2]), np.empty((0, 0), x.dtype)
    results = (flat, none) if g.shape[1] >= x.shape[1] else (np.empty((x.shape[1], g.shape[1]), x.dtype), flat)
    chunk = max(LANES, a.shape[1] // (4 * get_num_threads()) // LANES * LANES)
    share(conv_pointwise_numba.weight_gradient, a, b, lying, *results, chunk, alone=x.size * g.shape[1] < ALONE)
    return w
