"""Losses that ask for a margin: between classes, or between pairs and triplets of samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor
from chainrule.nn._functional.activation import logsigmoid
from chainrule.nn._functional.arguments import check_reduction, legacy, reduce_loss, require_floating
from chainrule.nn._functional.distance import pairwise_distance
from chainrule.nn._functional.loss import paired
from chainrule.ops import loss as losses, margin as ops, pointwise as elements
from chainrule.ops.overrides import public
from chainrule.tensor import Tensor, wrap


@public
def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """x where the target is 1, max(0, margin - x) where it is -1."""
    reduction = check_reduction(reduction, size_average, reduce)
    require_tensor("hinge_embedding_loss", input)
    x: Any = input
    zero = wrap(np.zeros((), x._data.dtype))
    apart = elements.where(target != 1, (margin - x).clamp_min(0), zero)
    return reduce_loss(apart + elements.where(target != -1, x, zero), reduction)


@public
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, margin - t (x1 - x2)): t is 1 if input1 should rank higher, -1 if input2 should."""
    reduction = check_reduction(reduction, size_average, reduce)
    one: Any = input1
    other: Any = input2
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            f"margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: {input1.shape}, input2: "
            f"{input2.shape}, "
            f"target: {target.shape} "
        )
    return reduce_loss((-target * (one - other) + margin).clamp_min(0), reduction)  # type: ignore[operator]


@public
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """1 - cos(x1, x2) where the target is 1, max(0, cos(x1, x2) - margin) where it is -1: inputs (N, D) or (D)."""
    reduction = check_reduction(reduction, size_average, reduce)
    a: Any = input1
    b: Any = input2
    ndim = target._data.ndim
    if ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if a._data.ndim != ndim + 1 or b._data.ndim != ndim + 1:
        raise RuntimeError(
            f"{ndim}D target tensor expects {ndim + 1}D input tensors, but found inputs with sizes {list(a._data.shape)} and "
            f"{list(b._data.shape)}."
        )
    dot, one, two = (a * b).sum(ndim), (a * a).sum(ndim) + 1e-12, (b * b).sum(ndim) + 1e-12
    cosine = dot / (one * two).sqrt()
    zero = wrap(np.zeros((), cosine._data.dtype))
    near = elements.where(target == 1, 1 - cosine, zero)
    return reduce_loss(near + elements.where(target == -1, (cosine - margin).clamp_min(0), zero), reduction)


@public
def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:
    """log(1 + exp(-t x)) for targets 1 and -1."""
    reduction = check_reduction(reduction, size_average, reduce)
    a, b = paired("soft_margin_loss", input, target, "", warn=False)
    require_floating("soft_margin_loss", "exp_vml_cpu", a)
    return losses.soft_margin_loss(a, b, (), reduction)


@public
def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Binary cross entropy with logits, averaged over the classes (the last dimension)."""
    if size_average is not None or reduce is not None:
        reduction = check_reduction(reduction, size_average, reduce)
    x: Any = input
    t: Any = target
    loss: Any = -(t * logsigmoid(x) + (1 - t) * logsigmoid(-x))
    if weight is not None:
        loss = loss * weight
    loss = loss.sum(x._data.ndim - 1) / x._data.shape[-1]
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    return reduce_loss(loss, reduction)


@public
def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """sum over other classes i of max(0, margin - x[t] + x[i]) ** p, over the number of classes: input (N, C) or (C), target (N) or ()."""
    reduction = check_reduction(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight._data.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    x = rows("multi_margin_loss", input)
    single = input._data.ndim < 2
    n, classes = x._data.shape
    if not classes or target._data.ndim > 1 or target._data.size != n:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch size). "
            f"Expected target size [{n}], but got {list(target._data.shape)}. Input has shape {list(input._data.shape)}."
        )
    if weight is not None and weight._data.size != classes:
        raise RuntimeError(f"inconsistent weight size, expected {classes} but got {list(weight._data.shape)}")
    require_floating("multi_margin_loss", "multi_margin_loss", x)
    if target.dtype is not dtypes.int64:
        raise RuntimeError(f"expected scalar type Long but found {legacy(target)}")
    numbers = target._data.reshape(-1)
    if ((numbers < 0) | (numbers >= classes)).any():
        raise RuntimeError("target out of range")
    chosen = np.arange(classes) == numbers[:, None]
    scale = np.full((n, 1), 1 / classes, x._data.dtype)
    if weight is not None:
        scale *= weight._data[numbers][:, None]
    loss = ops.multi_margin_loss(x, chosen, scale, margin, p, "sum" if single else reduction)
    return loss.reshape(target._data.shape) if single and reduction == "none" else loss


def rows(name: str, input: Any) -> Any:
    require_tensor(name, input)
    ndim = input._data.ndim
    if ndim > 2 or not (input._data.size or ndim == 2):
        raise RuntimeError(f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(input._data.shape)}")
    return input if ndim == 2 else input.reshape(1, -1)


@public
def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:
    """sum of max(0, 1 - x[t] + x[i]) over target classes t and other classes i, over the number of classes.

    input (N, C) or (C); target, of its shape, lists class numbers up to the first -1.
    """
    reduction = check_reduction(reduction, size_average, reduce)
    x = rows("multilabel_margin_loss", input)
    n, classes = x._data.shape
    if target._data.shape != input._data.shape:
        raise RuntimeError(f"inconsistent target size: {list(target._data.shape)} for input of size: {list(input._data.shape)}")
    require_floating("multilabel_margin_loss", "multilabel_margin_loss_forward_out_frame", x)
    numbers = target._data.reshape(n, classes)
    if ((numbers < -1) | (numbers >= classes)).any():
        raise RuntimeError("target out of range")
    listed = np.cumsum(numbers < 0, 1) == 0
    counts = np.zeros((n, classes), np.int64)
    np.add.at(counts, (np.nonzero(listed)[0], numbers[listed]), 1)
    others = counts == 0
    data = x._data
    active = counts[:, :, None] * (others[:, None, :] & (1 - data[:, :, None] + data[:, None, :] > 0))
    slopes = ((active.sum(1) - active.sum(2)) / classes).astype(data.dtype)
    offsets = (active.sum((1, 2)) / classes).astype(data.dtype)
    single = input._data.ndim < 2
    loss = ops.piecewise_linear(x, slopes, offsets, "sum" if single else reduction)
    return loss


@public
def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2, eps: float = 1e-6, swap: bool = False,
    size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, d(a, p) - d(a, n) + margin) for p-norm distances d; `swap` takes d(p, n) where it is less than d(a, n)."""
    reduction = check_reduction(reduction, size_average, reduce)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    return triplet(anchor, positive, negative, lambda a, b: pairwise_distance(a, b, p, eps), margin, swap, reduction)


@public
def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0, swap: bool = False, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """`triplet_margin_loss` with a distance of one's own."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    return triplet(anchor, positive, negative, distance_function or pairwise_distance, margin, swap, reduction)


def triplet(a: Any, p: Any, n: Any, distance: Callable, margin: float, swap: bool, reduction: str) -> Tensor:
    if not a.ndim == p.ndim == n.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {a.ndim}D, positive {p.ndim}D, and negative {n.ndim}D inputs"
        )
    near, far = distance(a, p), distance(a, n)
    if swap:
        far = elements.minimum.function(far, distance(p, n))
    return reduce_loss((margin + near - far).clamp_min(0), reduction)


__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss", "multilabel_margin_loss",
    "multilabel_soft_margin_loss", "soft_margin_loss", "triplet_margin_loss", "triplet_margin_with_distance_loss",
]  # fmt: skip
