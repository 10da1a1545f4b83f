"""Distances and similarities of vectors; the bilinear form."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor, wrap_dim
from chainrule.nn._functional.arguments import legacy
from chainrule.ops import distance as ops, pointwise as elements
from chainrule.ops.matmul import einsum
from chainrule.ops.overrides import public
from chainrule.ops.pointwise_form import broadcast_error, operand, result_type
from chainrule.ops.shape import expand
from chainrule.tensor import Tensor


@public
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last dimension.

    Example:
        >>> pairwise_distance(tensor([[3., 0.]]), tensor([[0., 4.]]))
        tensor([5.])
    """
    require_tensor("pairwise_distance", x1, "x1")
    require_tensor("pairwise_distance", x2, "x2", 2)
    difference: Any = elements.sub.function(x1, x2) + eps  # type: ignore[operator]
    return difference.norm(p, -1, keepdim)


@public
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 · x2 / (|x1| |x2|) along `dim`, each length being at least eps.

    Example:
        >>> cosine_similarity(tensor([[1., 0.]]), tensor([[1., 1.]]))
        tensor([0.7071])
    """
    require_tensor("cosine_similarity", x1, "x1")
    require_tensor("cosine_similarity", x2, "x2", 2)
    compute = result_type((x1, x2))
    if compute.category < dtypes.FLOATING:
        raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {dtypes.LEGACY[compute]}")
    if eps < 0:
        raise RuntimeError(f"eps must be non-negative, got: {eps:g}")
    a: Any = operand(x1, compute)
    b: Any = operand(x2, compute)
    try:
        shape = np.broadcast_shapes(a._data.shape, b._data.shape)
    except ValueError:
        raise broadcast_error(a._data, b._data) from None
    wrap_dim(dim, len(shape))
    a, b = (t if t._data.shape == shape else expand(t, shape) for t in (a, b))
    one, two = (t.norm(2, dim, True).clamp_min(eps) for t in (a, b))
    return ((a / one) * (b / two)).sum(dim)


@public
def pdist(input: Tensor, p: float = 2) -> Tensor:
    """The p-norm distances of all pairs of rows i < j: (N, D) to (N (N - 1) / 2)."""
    require_tensor("pdist", input)
    if input._data.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input._data.ndim}D")
    if not input.dtype.is_floating_point:
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    return ops.pdist(input, *np.triu_indices(len(input._data), 1), float(p))


@public
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y[k] = x1 · W[k] · x2 + b[k]: inputs (..., in1) and (..., in2), weight (out, in1, in2), bias (out)."""
    for i, (name, t) in enumerate((("input1", input1), ("input2", input2), ("weight", weight))):
        require_tensor("bilinear", t, name, i + 1)
    x: Any = input1
    y: Any = input2
    one, two, w = x._data.shape, y._data.shape, weight._data.shape
    if len(one) != len(two):
        raise RuntimeError(f"bilinear(): input dimensions do not match: got {len(one)} and {len(two)}")
    for i, (m, n) in enumerate(zip(one[:-1], two[:-1], strict=True)):
        if m != n:
            raise RuntimeError(f"bilinear(): input batch dimensions do not match at dim {i}: got {m} and {n}")
    for i, shape in ((1, one), (2, two)):
        if shape[-1] != w[i]:
            raise RuntimeError(f"bilinear(): input{i} size does not match weight size: got {shape[-1]} but expected {w[i]}")
    if bias is not None and bias._data.shape[0] != w[0]:
        raise RuntimeError(f"bilinear(): bias size does not match weight size: got {bias._data.shape[0]} but expected {w[0]}")
    if len({t._data.dtype for t in (input1, input2, weight)}) > 1:
        raise RuntimeError(
            f"All tensors must have the same dtype, got input1: {legacy(input1)}, input2: {legacy(input2)}, weight: {legacy(weight)}"
        )
    flat = einsum((x.reshape(-1, one[-1]), y.reshape(-1, two[-1]), weight), ((0, 1), (0, 2), (3, 1, 2)), (0, 3))
    result = flat.reshape(*one[:-1], w[0])
    return result if bias is None else result + bias


__all__ = ["bilinear", "cosine_similarity", "pairwise_distance", "pdist"]
