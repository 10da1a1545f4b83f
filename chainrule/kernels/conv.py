"""Convolution on arrays, in one, two or three dimensions: forward, and the gradients of the input and of the weight.

Here only the choice is made: Winograd's algorithm for 3x3 taps with stride 1, a dense layer for images smaller than the kernel, a
product with every image for a single tap, a direct way for channels on their own, else matrix products with the columns of the
input; and for other types and what is too small to be worth compiled code, plain NumPy.

Shapes: x (N, C, *spatial), weight (O, C / groups, *kernel), y (N, O, *out); `stride`, `padding` and `dilation` are tuples.
"""

from __future__ import annotations

from math import prod

import numpy as np

from chainrule.kernels import conv_columns, conv_dense, conv_depthwise, conv_plain, conv_pointwise, winograd
from chainrule.kernels.conv_plain import Ints, output_size, padded, tap_slices, widened, windows

ndarray = np.ndarray
SMALL = 1 << 14  # multiplications that are not worth loading compiled code for
COMPILED = (np.dtype(np.float32), np.dtype(np.float64))
precision = "medium"  # "highest": no Winograd, whose errors are a few times those of a direct sum


def by_winograd(x: ndarray, weight: ndarray, y: ndarray, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> bool:
    """Whether Winograd's algorithm can do it, and what it saves pays for transforming the taps."""
    if weight.shape[2:] != (3, 3) or stride != (1, 1) or dilation != (1, 1) or groups != 1 or x.dtype != np.float32:
        return False
    if precision == "highest" or max(padding) > 2 or not winograd.suits(x.shape[1], y.shape[1]):
        return False
    places, tiles = len(y) * prod(y.shape[2:]), len(y) * -(-y.shape[2] // 4) * -(-y.shape[3] // 4)
    return 18 * places > 72 * tiles + 700


def compiled(places: int, weight: ndarray, *arrays: ndarray) -> bool:
    """Whether compiled kernels take these types, and the work is worth it."""
    return all([a.dtype in COMPILED for a in arrays]) and places * prod(weight.shape) > SMALL


def dense(a: ndarray) -> ndarray:
    return np.ascontiguousarray(a)


def conv(
    x: ndarray, weight: ndarray, stride: Ints, padding: Ints, dilation: Ints, groups: int, out: Ints | None = None,
    bias: ndarray | None = None,
) -> ndarray:  # fmt: skip
    """y[n, o, p] = sum over c and taps t of x[n, c, p * stride + t * dilation - padding] * weight[o, c, t], plus the bias.

    `out` is the spatial shape of y, if that is not all there is room for.
    """
    dtype, kernel = x.dtype, weight.shape[2:]
    out = out or output_size(x.shape[2:], kernel, stride, padding, dilation)
    x, weight = widened(x, weight)
    if not compiled(len(x) * prod(out), weight, x, weight):
        y = conv_plain.conv(x, weight, stride, padding, dilation, groups, out)
        return with_bias(y, bias).astype(dtype, copy=False)
    y, shift = np.empty((len(x), len(weight), *out), x.dtype), conv_columns.one_type(bias, x.dtype)
    x, weight = dense(x), dense(weight)
    if conv_dense.suits(len(x), x.shape[2:], kernel, len(weight), x.dtype, groups):
        conv_dense.convolve(x, weight, y, shift, conv_dense.taps(x.shape[2:], kernel, stride, padding, dilation, out), False)
    elif by_winograd(x, weight, y, stride, padding, dilation, groups):
        winograd.convolve(x, weight, y, padding, shift)
    elif out == x.shape[2:] and conv_pointwise.suits(out, kernel, stride, padding, groups, x.dtype):
        conv_pointwise.convolve(x, weight, y, shift)
    elif groups == x.shape[1] > 1 and conv_depthwise.suits(x.shape[2:], kernel, stride, padding, dilation, out):
        conv_depthwise.convolve(x, weight, y, shift, stride, padding, dilation)
    else:
        conv_columns.convolve(x, weight, y, stride, padding, dilation, groups, shift)
    return y.astype(dtype, copy=False)


def conv_input(
    g: ndarray, weight: ndarray, spatial: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int, bias: ndarray | None = None
) -> ndarray:
    """The transpose of `conv` in x: y's cotangent g to that of an x of shape (N, C, *spatial); also the transposed convolution."""
    dtype, out = g.dtype, g.shape[2:]
    g, weight = widened(g, weight)
    if not compiled(len(g) * prod(out), weight, g, weight):
        x = conv_plain.conv_input(g, weight, spatial, stride, padding, dilation, groups)
        return with_bias(x, bias).astype(dtype, copy=False)
    x, shift = np.empty((len(g), weight.shape[1] * groups, *spatial), g.dtype), conv_columns.one_type(bias, g.dtype)
    g, weight = dense(g), dense(weight)
    back = tuple([k - 1 - p for k, p in zip(weight.shape[2:], padding, strict=True)])
    whole = spatial == tuple([n + 2 * p - 2 for n, p in zip(out, back, strict=True)])
    if conv_dense.suits(len(x), spatial, weight.shape[2:], x.shape[1], x.dtype, groups):
        conv_dense.convolve(g, weight, x, shift, conv_dense.taps(spatial, weight.shape[2:], stride, padding, dilation, out), True)
    elif whole and min(back) >= 0 and by_winograd(g, weight, x, stride, back, dilation, groups):
        winograd.convolve(g, weight, x, back, shift, across=True)
    elif out == spatial and conv_pointwise.suits(out, weight.shape[2:], stride, padding, groups, x.dtype):
        conv_pointwise.convolve(g, weight, x, shift, across=True)
    elif groups == x.shape[1] > 1 and conv_depthwise.suits(spatial, weight.shape[2:], stride, padding, dilation, out):
        conv_depthwise.input_gradient(g, weight, x, shift, stride, padding, dilation)
    else:
        conv_columns.input_gradient(g, weight, x, stride, padding, dilation, groups, shift)
    return x.astype(dtype, copy=False)


def conv_weight(g: ndarray, x: ndarray, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> ndarray:
    """The transpose of `conv` in the weight: y's cotangent g, with x, to that of a weight of shape (O, C / groups, *kernel)."""
    dtype, out = g.dtype, g.shape[2:]
    g, x = widened(g, x)
    weight = np.empty((g.shape[1], x.shape[1] // groups, *kernel), g.dtype)
    if not compiled(len(x) * prod(out), weight, g, x):
        return conv_plain.conv_weight(g, x, kernel, stride, padding, dilation, groups).astype(dtype, copy=False)
    g, x = dense(g), dense(x)
    whole = out == output_size(x.shape[2:], kernel, stride, padding, dilation)
    if conv_dense.suits(len(x), x.shape[2:], kernel, len(weight), x.dtype, groups):
        conv_dense.weight_gradient(g, x, weight, conv_dense.taps(x.shape[2:], kernel, stride, padding, dilation, out))
    elif whole and by_winograd(x, weight, g, stride, padding, dilation, groups):
        winograd.taps_gradient(g, x, weight, padding)
    elif min(weight.shape[:2]) >= 16 and out == x.shape[2:] and conv_pointwise.suits(out, kernel, stride, padding, groups, x.dtype):
        conv_pointwise.weight_gradient(g, x, weight)
    elif groups == x.shape[1] > 1 and conv_depthwise.suits(x.shape[2:], kernel, stride, padding, dilation, out):
        conv_depthwise.weight_gradient(g, x, weight, stride, padding, dilation)
    else:
        conv_columns.weight_gradient(g, x, weight, stride, padding, dilation, groups)
    return weight.astype(dtype, copy=False)


def with_bias(y: ndarray, bias: ndarray | None) -> ndarray:
    if bias is not None:
        y += bias.reshape(-1, *[1] * (y.ndim - 2)).astype(y.dtype, copy=False)
    return y


__all__ = ["Ints", "conv", "conv_input", "conv_weight", "output_size", "padded", "tap_slices", "widened", "windows"]
