"""Normalisation: subtract the mean, divide by the standard deviation, over some dimensions of the input.

First-order derivatives of arrays are `kernels.norm`'s. Of Tensors, `standardize` and `unstandardize` are the two halves of the
matter: the second is the transpose of the first's derivative, a symmetric map, so that derivatives of every order are made of the
two. `mean` and `rstd` (1 / standard deviation) are the input's own, computed beforehand; rules treat them as functions of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core import dtypes, modes
from chainrule.autograd.node import next_sequence
from chainrule.kernels import norm as kernels
from chainrule.ops.primitive import Primitive, edge_of, general
from chainrule.ops.reduce import mean as average, sum_to
from chainrule.ops.shape import cast, reshape
from chainrule.tensor import Tensor, adopt

NARROW = frozenset((dtypes.float16.numpy, dtypes.bfloat16.numpy))
state = modes.state


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


def norm_vjp(g: Any, a: Any, weight: Any, a_shape: tuple, a_dtype: Any, mean: Any, rstd: Any, plan: Any, eps: float, needs: tuple) -> tuple:
    """The cotangents of a normalisation's input, weight and bias."""
    if a_dtype in NARROW:
        g, a, weight = (v if v is None else cast(v, dtypes.float32) for v in (g, a, weight))
    if isinstance(g, Tensor) or state.levels:
        grads = composed_vjp(reshape(g, plan.view), reshape(a, plan.view), weight, mean, rstd, plan, eps, needs)
    else:
        grads = kernels.backward(g, a, weight, mean, rstd, plan, needs)
    shapes = a_shape, plan.affine, plan.affine
    grads = tuple([v if v is None else reshape(v, shape) for v, shape in zip(grads, shapes, strict=True)])
    if a_dtype in NARROW:
        grads = tuple([v if v is None else cast(v, dtypes.BY_NUMPY[a_dtype]) for v in grads])
    return grads


def composed_vjp(g: Any, a: Any, weight: Any, mean: Any, rstd: Any, plan: Any, eps: float, needs: tuple) -> tuple:
    """`kernels.backward`, made of ops that can be differentiated again."""
    to_a = to_weight = to_bias = None
    if needs[0]:
        to_a = unstandardize(g if weight is None else g * reshape(weight, plan.columns), a, mean, rstd, plan.dims, eps)
    if needs[1]:
        to_weight = sum_to(g * standardize(a, mean, rstd, plan.dims, eps), plan.columns)
    if needs[2]:
        to_bias = sum_to(g, plan.columns)
    return to_a, to_weight, to_bias


def normalizing(node: str) -> Primitive:
    """The primitive `standardize(a) * weight + bias` under PyTorch's name for it; weight and bias can be None."""

    def kernel(a: Any, weight: Any, bias: Any, mean: Any, rstd: Any, plan: Any, eps: float) -> Any:
        y = a.reshape(plan.view) - mean
        y *= rstd
        if weight is not None:
            y *= weight.reshape(plan.columns)
        if bias is not None:
            y += bias.reshape(plan.columns)
        return y.astype(a.dtype, copy=False).reshape(a.shape)

    return Primitive("norm", kernel, ("a", "weight", "bias"), ("mean", "rstd", "plan", "eps"), {}, norm_vjp, node=node)


batch_norm = normalizing("NativeBatchNormBackward0")
layer_norm = normalizing("NativeLayerNormBackward0")
group_norm = normalizing("NativeGroupNormBackward0")


def normalized(op: Primitive, input: Tensor, weight: Any, bias: Any, plan: Any, eps: float) -> tuple:
    """`op` of tensors of one type, with the means, variances and inverse deviations that it used (arrays, in the shape of the view)."""
    a, w, b = input._data, None if weight is None else weight._data, None if bias is None else bias._data
    narrow = a.dtype in NARROW
    x, scale, shift = [v if v is None else v.astype(np.float32) for v in (a, w, b)] if narrow else (a, w, b)
    y, mean, variance, rstd = (composed if state.levels else kernels.forward)(x, scale, shift, plan, eps)
    y = y.astype(a.dtype) if narrow else y
    y = y if y.shape == a.shape else y.reshape(a.shape)
    if state.busy or narrow:
        return op.record((input, weight, bias), (a, w, b), (mean, rstd, plan, eps), y), mean, variance, rstd
    t = adopt(Tensor, y)
    edges = edge_of(input), None if weight is None else edge_of(weight), None if bias is None else edge_of(bias)
    if edges[0] is not None or edges[1] is not None or edges[2] is not None:
        node = _new(op.node)
        node.edges, node.fix, node.extra, node.sequence = edges, None, None, next_sequence()
        node.saved = a, w, mean, rstd, plan, eps, a.shape, a.dtype
        guards: tuple = input._versions, input._versions[0]
        node.guards = guards if weight is None else (*guards, weight._versions, weight._versions[0])
        t._edge, t._tracked, node.made = node, True, y.shape
    return t, mean, variance, rstd


def composed(a: Any, weight: Any, bias: Any, plan: Any, eps: float) -> tuple:
    """`kernels.forward` for batched arrays."""
    x = a.reshape(plan.view)
    mean = np.mean(x, plan.dims, keepdims=True)
    variance = np.mean((x - mean) * (x - mean), plan.dims, keepdims=True)
    rstd = 1 / np.sqrt(variance + eps)
    y = (x - mean) * rstd
    y = y if weight is None else y * weight.reshape(plan.columns)
    return y if bias is None else y + bias.reshape(plan.columns), mean, variance, rstd


_new: Any = object.__new__


def fixed_vjp(g: Any, a: Any, weight: Any, a_shape: tuple, a_dtype: Any, mean: Any, rstd: Any, plan: Any, needs: tuple) -> tuple:
    if a_dtype in NARROW:
        g, a, weight = (v if v is None else cast(v, dtypes.float32) for v in (g, a, weight))
    g = reshape(g, plan.view)
    to_a = to_weight = to_bias = None
    if needs[0]:
        to_a = reshape(g * rstd if weight is None else g * (reshape(weight, plan.columns) * rstd), a_shape)
    if needs[1]:
        to_weight = reshape(sum_to(g * ((reshape(a, plan.view) - mean) * rstd), plan.columns), plan.affine)
    if needs[2]:
        to_bias = reshape(sum_to(g, plan.columns), plan.affine)
    grads = to_a, to_weight, to_bias
    if a_dtype in NARROW:
        grads = tuple([v if v is None else cast(v, dtypes.BY_NUMPY[a_dtype]) for v in grads])
    return grads


@general(vjp=fixed_vjp, inputs=("a", "weight", "bias"), node="NativeBatchNormBackward0")
def fixed_norm(a: Any, weight: Any, bias: Any, mean: Any, rstd: Any, plan: Any) -> Any:
    """(a - mean) * rstd * weight + bias, for a mean and a deviation that do not depend on a."""
    return kernels.fixed(a, weight, bias, mean, rstd, plan).astype(a.dtype, copy=False).reshape(a.shape)


__all__ = ["batch_norm", "fixed_norm", "group_norm", "layer_norm", "normalized", "standardize", "unstandardize"]
