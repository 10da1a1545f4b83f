"""Convolution: three primitives, each linear in its inputs, whose transposes are each other, so that every derivative has derivatives.

`weight` is (O, C / groups, *kernel); stride, padding, dilation and kernel are tuples, one number for each spatial dimension.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.kernels import conv as kernels
from chainrule.ops.primitive import linear
from chainrule.ops.reduce import sum


def channel_sum(g: Any) -> Any:
    """The cotangent of a bias: g summed over all but its channels."""
    return sum(g, (0, *range(2, g.ndim)), False)


def with_bias(y: np.ndarray, bias: Any) -> np.ndarray:
    if bias is not None:
        y += bias.reshape(-1, *[1] * (y.ndim - 2))
    return y


@linear(
    a=lambda g, a_shape, weight, stride, padding, dilation, groups: conv_input(g, weight, None, a_shape[2:], stride, padding, dilation, groups),
    weight=lambda g, a, weight_shape, stride, padding, dilation, groups: conv_weight(g, a, weight_shape[2:], stride, padding, dilation, groups),
    bias=channel_sum,
    node="ConvolutionBackward0",
)
def conv(a: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """The convolution of a (N, C, *spatial), plus the bias (or None)."""
    return with_bias(kernels.conv(a, weight, stride, padding, dilation, groups), bias)


@linear(
    a=lambda g, weight, stride, padding, dilation, groups: conv(g, weight, None, stride, padding, dilation, groups),
    weight=lambda g, a, weight_shape, stride, padding, dilation, groups: conv_weight(a, g, weight_shape[2:], stride, padding, dilation, groups),
    bias=channel_sum,
    node="ConvolutionBackward0",
)
def conv_input(a: Any, weight: Any, bias: Any, spatial: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """The transposed convolution of a (N, O, *out), of spatial shape `spatial`: the cotangent of a convolution's input."""
    return with_bias(kernels.conv_input(a, weight, spatial, stride, padding, dilation, groups), bias)


@linear(
    a=lambda g, b, stride, padding, dilation, groups: conv(b, g, None, stride, padding, dilation, groups),
    b=lambda g, a, b_shape, stride, padding, dilation, groups: conv_input(a, g, None, b_shape[2:], stride, padding, dilation, groups),
    node="ConvolutionBackward0",
)
def conv_weight(a: Any, b: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """The cotangent of a convolution's weight, from the result's cotangent a and the input b."""
    return kernels.conv_weight(a, b, kernel, stride, padding, dilation, groups)
