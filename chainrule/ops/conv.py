"""Convolution: three primitives, each linear in its inputs, whose transposes are each other, so that every derivative has derivatives.

`weight` is (O, C / groups, *kernel); stride, padding, dilation and kernel are tuples, one number for each spatial dimension.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from chainrule.kernels import conv as kernels
from chainrule.ops.matmul import conj
from chainrule.ops.primitive import linear
from chainrule.ops.reduce import sum


def channel_sum(g: Any) -> Any:
    """The cotangent of a bias: g summed over all but its channels."""
    return sum(g, (0, *range(2, g.ndim)), False)


@linear(
    a=lambda g, a_shape, weight, stride, padding, dilation, groups: conv_input(
        g, conj(weight), None, a_shape[2:], stride, padding, dilation, groups
    ),
    weight=lambda g, a, weight_shape, stride, padding, dilation, groups: conv_weight(
        g, conj(a), weight_shape[2:], stride, padding, dilation, groups
    ),
    bias=channel_sum,
    node="ConvolutionBackward0",
)
def conv(a: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int, out: Any = None) -> Any:
    """The convolution of a (N, C, *spatial), plus the bias (or None); `out` is its spatial shape if that is not all."""
    return kernels.conv(a, weight, stride, padding, dilation, groups, out, bias)


@linear(
    a=lambda g, a_shape, weight, stride, padding, dilation, groups: conv(
        g, conj(weight), None, stride, padding, dilation, groups, a_shape[2:]
    ),
    weight=lambda g, a, weight_shape, stride, padding, dilation, groups: conv_weight(
        conj(a), g, weight_shape[2:], stride, padding, dilation, groups
    ),
    bias=channel_sum,
    node="ConvolutionBackward0",
)
def conv_input(a: Any, weight: Any, bias: Any, spatial: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """The transposed convolution of a (N, O, *out), of spatial shape `spatial`: the cotangent of a convolution's input."""
    return kernels.conv_input(a, weight, spatial, stride, padding, dilation, groups, bias)


@linear(
    a=lambda g, a_shape, b, stride, padding, dilation, groups: conv(conj(b), g, None, stride, padding, dilation, groups, a_shape[2:]),
    b=lambda g, a, b_shape, stride, padding, dilation, groups: conv_input(conj(a), g, None, b_shape[2:], stride, padding, dilation, groups),
    node="ConvolutionBackward0",
)
def conv_weight(a: Any, b: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """The cotangent of a convolution's weight, from the result's cotangent a and the input b."""
    return kernels.conv_weight(a, b, kernel, stride, padding, dilation, groups)


@linear(
    a=lambda g, a_shape, kernel, stride, padding, dilation: fold(g, a_shape[2:], kernel, stride, padding, dilation), node="Im2ColBackward0"
)
def unfold(a: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    """The windows of a (N, C, *spatial) as columns, (N, C * taps, places)."""
    out = kernels.output_size(a.shape[2:], kernel, stride, padding, dilation)
    taps = kernels.windows(kernels.padded(a, padding), kernel, stride, dilation, out)
    return taps.reshape(len(a), a.shape[1] * prod(kernel), prod(out))


@linear(a=lambda g, kernel, stride, padding, dilation: unfold(g, kernel, stride, padding, dilation), node="Col2ImBackward0")
def fold(a: Any, spatial: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    """Columns added where they came from, (N, C, *spatial): the transpose of `unfold`."""
    out = kernels.output_size(spatial, kernel, stride, padding, dilation)
    taps = a.reshape(len(a), a.shape[1] // prod(kernel), *kernel, *out)
    y = np.zeros((*taps.shape[:2], *[n + 2 * p for n, p in zip(spatial, padding, strict=True)]), a.dtype)
    for tap, where in kernels.tap_slices(kernel, stride, dilation, out):
        y[where] += taps[(slice(None), slice(None), *tap)]
    return np.ascontiguousarray(y[(..., *[slice(p, p + n) for p, n in zip(padding, spatial, strict=True)])])
