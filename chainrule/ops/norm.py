"""Normalisation: subtract the mean, divide by the standard deviation, over some dimensions of the input.

`standardize` and `unstandardize` are the two halves of the matter: the second is the transpose of the first's derivative, a
symmetric map, so that derivatives of every order are made of the two. `mean` and `rstd` (1 / standard deviation) are the input's
own, computed beforehand; rules treat them as functions of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.ops.primitive import Primitive, general
from chainrule.ops.reduce import mean as average, sum_to
from chainrule.ops.shape import cast, reshape

NARROW = frozenset((dtypes.float16.numpy, dtypes.bfloat16.numpy))


def moments(a: np.ndarray, dims: tuple, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """The mean of a over `dims`, which stay as 1, and 1 / sqrt(variance + eps)."""
    wide = a.astype(np.float32) if a.dtype in NARROW else a
    if not a.size:
        shape = [1 if i in dims else n for i, n in enumerate(a.shape)]
        return np.zeros(shape, wide.dtype), np.full(shape, np.nan, wide.dtype)
    mean = wide.mean(dims, keepdims=True)
    centered = wide - mean
    variance = np.mean(centered * centered, dims, keepdims=True)
    return mean, 1 / np.sqrt(variance + wide.dtype.type(eps))


@general(a=lambda g, a, mean, rstd, dims, eps: unstandardize(g, a, mean, rstd, dims, eps), inputs=("a",))
def standardize(a: Any, mean: Any, rstd: Any, dims: tuple, eps: float) -> Any:
    """(a - mean) * rstd."""
    y = a - mean
    y *= rstd
    return y


@general(
    a=lambda g, b, mean, rstd, dims, eps: unstandardize(g, b, mean, rstd, dims, eps),
    b=lambda g, a, b, mean, rstd, dims, eps: bend(g, a, b, mean, rstd, dims, eps), inputs=("a", "b"),
)  # fmt: skip
def unstandardize(a: Any, b: Any, mean: Any, rstd: Any, dims: tuple, eps: float) -> Any:
    """rstd * (a - mean(a) - x * mean(a * x)), x being b standardized: the cotangent of b, given that of x."""
    x = b - mean
    x *= rstd
    y = a - np.mean(a, dims, keepdims=True)
    x *= np.mean(a * x, dims, keepdims=True)
    y -= x
    y *= rstd
    return y


def bend(h: Any, g: Any, b: Any, mean: Any, rstd: Any, dims: tuple, eps: float) -> Any:
    """How `unstandardize(g, b)` depends on b, against the cotangent h."""
    x = standardize(b, mean, rstd, dims, eps)
    r = inverse_deviation(b, rstd, mean, dims, eps)
    hx, gx = average(h * x, dims, True), average(g * x, dims, True)
    tangle = average(h * g, dims, True) - average(h, dims, True) * average(g, dims, True) - hx * gx
    return -unstandardize(r * (h * gx + g * hx), b, mean, rstd, dims, eps) - r * r * tangle * x


@general(a=lambda g, a, y, rstd, mean, dims, eps: -g * y * y * standardize(a, mean, rstd, dims, eps) / extent(a.shape, dims), inputs=("a",))
def inverse_deviation(a: Any, rstd: Any, mean: Any, dims: tuple, eps: float) -> Any:
    """rstd, as the function of a that it is."""
    return rstd


def extent(shape: tuple, dims: tuple) -> int:
    n = 1
    for d in dims:
        n *= shape[d]
    return n


def norm_vjp(
    g: Any, a: Any, a_dtype: Any, weight: Any, bias_shape: tuple, mean: Any, rstd: Any, dims: tuple, eps: float, needs: tuple
) -> tuple:
    """The cotangents of a normalisation's input, weight and bias; the last two have dimensions that broadcast with a's."""
    if a_dtype in NARROW:
        g, a, weight = (v if v is None else cast(v, dtypes.float32) for v in (g, a, weight))
    to_a = to_weight = to_bias = None
    if needs[0]:
        to_a = unstandardize(g if weight is None else g * weight, a, mean, rstd, dims, eps)
    if needs[1]:
        to_weight = sum_to(g * standardize(a, mean, rstd, dims, eps), weight.shape)
    if needs[2]:
        to_bias = sum_to(g, bias_shape)
    if a_dtype in NARROW:
        to_a, to_weight, to_bias = (v if v is None else cast(v, dtypes.BY_NUMPY[a_dtype]) for v in (to_a, to_weight, to_bias))
    return to_a, to_weight, to_bias


def scaled(a: Any, weight: Any, bias: Any, mean: Any, rstd: Any) -> Any:
    y = a - mean
    y *= rstd
    if weight is not None:
        y *= weight
    if bias is not None:
        y += bias
    return y.astype(a.dtype, copy=False)


def normalizing(node: str) -> Primitive:
    """The primitive `standardize(a) * weight + bias` under PyTorch's name for it; weight and bias can be None."""

    def kernel(a: Any, weight: Any, bias: Any, mean: Any, rstd: Any, dims: tuple, eps: float) -> Any:
        return scaled(a, weight, bias, mean, rstd)

    return Primitive("norm", kernel, ("a", "weight", "bias"), ("mean", "rstd", "dims", "eps"), {}, norm_vjp, node=node)


batch_norm = normalizing("NativeBatchNormBackward0")
layer_norm = normalizing("NativeLayerNormBackward0")


def group_vjp(
    g: Any,
    a: Any,
    a_shape: tuple,
    a_dtype: Any,
    weight: Any,
    bias_shape: tuple,
    mean: Any,
    rstd: Any,
    groups: tuple,
    eps: float,
    needs: tuple,
) -> tuple:
    to_a, *rest = norm_vjp(reshape(g, groups), reshape(a, groups), a_dtype, weight, bias_shape, mean, rstd, (2, 3), eps, needs)
    return (to_a if to_a is None else reshape(to_a, a_shape), *rest)


@general(vjp=group_vjp, inputs=("a", "weight", "bias"), node="NativeGroupNormBackward0")
def group_norm(a: Any, weight: Any, bias: Any, mean: Any, rstd: Any, groups: tuple, eps: float) -> Any:
    """a, seen in the shape `groups` (N, groups, channels of a group, places), normalised over the last two dimensions."""
    return scaled(a.reshape(groups), weight, bias, mean, rstd).reshape(a.shape)


def fixed_vjp(g: Any, a: Any, a_dtype: Any, weight: Any, bias_shape: tuple, mean: Any, rstd: Any, needs: tuple) -> tuple:
    to_a = (g * rstd if weight is None else g * (weight * rstd)) if needs[0] else None
    to_weight = sum_to(g * ((a - mean) * rstd), weight.shape) if needs[1] else None
    grads = to_a, to_weight, sum_to(g, bias_shape) if needs[2] else None
    if a_dtype in NARROW:
        grads = tuple([v if v is None else cast(v, dtypes.BY_NUMPY[a_dtype]) for v in grads])
    return grads


@general(vjp=fixed_vjp, inputs=("a", "weight", "bias"), node="NativeBatchNormBackward0")
def fixed_norm(a: Any, weight: Any, bias: Any, mean: Any, rstd: Any) -> Any:
    """(a - mean) * rstd * weight + bias, for a mean and a deviation that do not depend on a."""
    scale = rstd if weight is None else rstd * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    return (a * scale + shift).astype(a.dtype, copy=False)


__all__ = ["batch_norm", "fixed_norm", "group_norm", "layer_norm", "moments", "standardize", "unstandardize"]
