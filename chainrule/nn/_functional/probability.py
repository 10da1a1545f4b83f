"""Losses that are negative log-likelihoods or divergences of distributions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.autograd.grad_mode import no_grad
from chainrule.functions.arguments import require_tensor
from chainrule.nn._functional.arguments import REDUCTIONS, check_reduction, legacy, reduce_loss, require_floating
from chainrule.nn._functional.linear import linear
from chainrule.nn._functional.loss import FAST, check_class_weight, cross_entropy, paired
from chainrule.ops import ctc, loss as ops, pointwise as elements
from chainrule.ops.linear_loss import linear_cross_entropy as whole_loss
from chainrule.ops.overrides import public
from chainrule.tensor import Tensor, wrap

Lengths = Tensor | Sequence[int]


@public
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """-(t log(x) + (1 - t) log(1 - x)) for probabilities x, the logarithms being at least -100. Raises for an x outside [0, 1].

    Example:
        >>> binary_cross_entropy(tensor([0.5]), tensor([1.]))
        tensor(0.6931)
    """
    reduction = check_reduction(reduction, size_average, reduce)
    require_tensor("binary_cross_entropy", input)
    require_tensor("binary_cross_entropy", target, "target", 2)
    if target._data.shape != input._data.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. Please ensure "
            "they have the same size."
        )
    require_floating("binary_cross_entropy", "binary_cross_entropy", input)
    if target._data.dtype != input._data.dtype:
        raise RuntimeError(f"Found dtype {legacy(target)} but expected {legacy(input)}")
    data = input._data
    if not ((data >= 0) & (data <= 1)).all():
        raise RuntimeError("all elements of input should be between 0 and 1")
    return ops.binary_cross_entropy(input, target, (spread(weight, target),), reduction)


def spread(weight: Any, target: Any) -> np.ndarray | None:
    """The weights in target's shape, as an array."""
    return None if weight is None else np.broadcast_to(weight._data, np.broadcast_shapes(weight._data.shape, target._data.shape))


@public
def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """`binary_cross_entropy` of sigmoid(input), computed without overflow; `pos_weight` weighs the losses of t = 1.

    Example:
        >>> binary_cross_entropy_with_logits(tensor([0.]), tensor([1.]))
        tensor(0.6931)
    """
    reduction = check_reduction(reduction, size_average, reduce)
    require_tensor("binary_cross_entropy_with_logits", input)
    require_tensor("binary_cross_entropy_with_logits", target, "target", 2)
    if target._data.shape != input._data.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    a, b = paired("binary_cross_entropy_with_logits", input, target, "binary_cross_entropy_with_logits")
    return ops.binary_cross_entropy_with_logits(a, b, (spread(weight, a), spread(pos_weight, a)), reduction)


MEAN_OF_DIVERGENCE = (
    "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides only by the batch size, and "
    "aligns with the KL div math definition.'mean' will be changed to behave the same as 'batchmean' in the next major release."
)


@public
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """t (log(t) - x): the Kullback-Leibler divergence of log-probabilities `input` from `target` (logarithms too if `log_target`).

    The reduction "batchmean" divides the sum by the first dimension.
    """
    batch = size_average is None and reduce is None and reduction == "batchmean"
    if size_average is None and reduce is None and reduction == "mean":
        warnings.warn(MEAN_OF_DIVERGENCE, stacklevel=3)
    reduction = "sum" if batch else check_reduction(reduction, size_average, reduce)
    require_tensor("kl_div", input)
    x: Any = input
    t: Any = target
    losses = elements.exp.function(t) * (t - x) if log_target else elements.xlogy.function(t, t) - t * x
    result = reduce_loss(losses, reduction)
    return result / x._data.shape[0] if batch and x._data.ndim else result


@public
def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, size_average: bool | None = None, eps: float = 1e-8,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """exp(x) - t x (x - t log(x + eps) unless `log_input`); `full` adds Stirling's approximation of log(t!)."""
    reduction = check_reduction(reduction, size_average, reduce)
    require_tensor("poisson_nll_loss", input)
    x: Any = input
    t: Any = target
    losses = elements.exp.function(x) - t * x if log_input else x - t * elements.log.function(x + eps)
    if full:
        stirling = t * elements.log.function(t) - t + 0.5 * elements.log.function(t * (2 * math.pi))
        losses = losses + elements.masked_fill_scalar(stirling, t <= 1, 0)
    return reduce_loss(losses, reduction)


@public
def gaussian_nll_loss(input: Tensor, target: Tensor, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> Tensor:
    """(log(var) + (x - t)² / var) / 2, `var` a number or of input's shape, or of one that lacks the last dimension or has it as 1."""
    require_tensor("gaussian_nll_loss", input)
    x: Any = input
    if isinstance(var, float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = wrap(np.full(x._data.shape, var, x._data.dtype))
    elif (var._data < 0).any():
        raise ValueError("var has negative entry/entries")
    have, wanted = var._data.shape, x._data.shape
    if have != wanted:
        if wanted[:-1] == have:
            var = var.unsqueeze(-1)
        elif len(have) != len(wanted) or sum([v for n, v in zip(wanted, have, strict=True) if n != v]) != 1:
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    var = var.clone()
    with no_grad():
        var.clamp_(min=eps)
    loss = 0.5 * (elements.log.function(var) + (x - target) ** 2 / var)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduce_loss(loss, reduction)


@public
def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Lengths, target_lengths: Lengths, blank: int = 0, reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """Connectionist temporal classification: minus the log of the summed probability of all alignments with the target sequence.

    `log_probs` (T, N, C) or (T, C); `targets` (N, S), or the sequences one after another; the lengths (N). "mean" divides each loss
    by its target's length first. `zero_infinity`: impossible targets cost 0, not inf.
    """
    reduction = check_reduction(reduction)
    require_tensor("ctc_loss", log_probs, "log_probs")
    require_tensor("ctc_loss", targets, "targets", 2)
    x: Any = log_probs
    if not x.dtype.is_floating_point or x._data.dtype.itemsize == 2:
        raise NotImplementedError(f"\"ctc_loss_cpu\" not implemented for '{legacy(x)}'")
    single = x._data.ndim == 2
    if single:
        x = x.unsqueeze(1)
    if x._data.ndim != 3:
        raise RuntimeError(f"log_probs should be 2D or 3D, but got {x._data.ndim}D")
    steps, n, classes = x._data.shape
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    spans, sizes = lengths(input_lengths, "input_lengths", n), lengths(target_lengths, "target_lengths", n)
    checked = "(while checking arguments for ctc_loss_allocate_outputs)"
    for name, given, most in (("input_lengths", spans, steps), ("target_lengths", sizes, None)):
        for k in given:
            if k < 0:
                raise RuntimeError(f"Expected {name} to have value at least 0, but got value {k} {checked}")
            if most is not None and k > most:
                raise RuntimeError(f"Expected {name} to have value at most {most}, but got value {k} {checked}")
    data = targets._data.astype(np.int64)
    wanted = [(0, "size", sizes.sum())] if data.ndim == 1 else [(0, "size", n), (1, "size at least", sizes.max(initial=0))]
    for dim, what, size in wanted:
        if data.shape[dim] != size and not (dim and data.shape[dim] > size):
            raise RuntimeError(
                f"Expected tensor to have {what} {size} at dimension {dim}, but got size {data.shape[dim]} for argument #2 "
                f"'targets' {checked}"
            )
    losses: Any = ctc.ctc_loss(x, *ctc.layout(data, spans, sizes, blank), zero_infinity)
    if zero_infinity:
        losses = elements.where(wrap(np.isinf(losses._data)), wrap(np.zeros((), losses._data.dtype)), losses)
    if reduction == "mean":
        return (losses / wrap(np.maximum(sizes, 1).astype(losses._data.dtype))).mean()
    if reduction == "sum":
        return losses.sum()
    return losses.squeeze(0) if single else losses


def lengths(value: Any, name: str, n: int) -> np.ndarray:
    if isinstance(value, Tensor):
        if value.dtype.category != dtypes.INTEGRAL:
            raise RuntimeError(f"{name} must be integral")
        array = np.atleast_1d(value._data.astype(np.int64))
    else:
        array = np.atleast_1d(np.asarray(value, np.int64))
    if array.size != n:
        raise RuntimeError(f"{name} must be of size batch_size")
    return array


@public
def linear_cross_entropy(
    input: Tensor, linear_weight: Tensor, target: Tensor, *, linear_bias: Tensor | None = None, weight: Tensor | None = None,
    reduction: str = "mean", ignore_index: int | None = None, label_smoothing: float = 0.0, options: Any = None,
) -> Tensor:  # fmt: skip
    """`cross_entropy(linear(input, linear_weight, linear_bias), target)`: input (N, in) or (in), linear_weight (C, ..., in).

    With `options` and class numbers as target, all scores are never there at once: the batch goes in parts, forward and backward.
    """
    x, w = input._data, linear_weight._data
    if x.ndim < 1 or x.ndim > 2:
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {x.ndim}")
    if w.ndim < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {w.ndim}")
    if x.shape[-1] != w.shape[-1]:
        raise RuntimeError(
            f"expected equal input and linear_weight last dimensions (in_features), got {x.shape[-1]} and {w.shape[-1]}, respectively"
        )
    if linear_bias is not None and linear_bias._data.shape != w.shape[:-1]:
        raise RuntimeError(f"expected linear_bias shape {w.shape[:-1]}, got {linear_bias._data.shape}")
    if w.ndim > 2 and x.ndim == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {w.shape} requires batched input, (N, {x.shape[-1]}), got unbatched "
            "input with "
            f"shape {x.shape}"
        )
    shape = (*x.shape[:-1], *w.shape[:-1])
    if target._data.shape == shape and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    if options is not None and (w.ndim > 2 or reduction not in REDUCTIONS or label_smoothing or target.dtype is not dtypes.int64):
        warnings.warn(
            "linear_cross_entropy: ``options`` ignored; chunked path needs reduction in {'mean','sum','none'}, label_smoothing == 0, "
            f"target.dtype == int64, out_features == (). Got reduction={reduction!r}, label_smoothing={label_smoothing}, "
            f"target.dtype={target.dtype}, out_features={w.shape[1:-1]}, tracing=False, "
            f"linear_bias.shape={None if linear_bias is None else linear_bias._data.shape}.",
            stacklevel=3,
        )
    elif options is not None and x.size and x.dtype in FAST and x.dtype == w.dtype and target._data.shape == x.shape[:-1]:
        return in_parts(input, linear_weight, linear_bias, target, weight, reduction, ignore_index, options)
    if w.ndim > 2:
        linear_weight = linear_weight.reshape(-1, w.shape[-1])  # type: ignore[attr-defined]
        linear_bias = linear_bias if linear_bias is None else linear_bias.reshape(-1)  # type: ignore[attr-defined]
    logits = linear(input, linear_weight, linear_bias)
    if w.ndim > 2:
        logits = logits.reshape(shape)  # type: ignore[attr-defined]
    return cross_entropy(
        logits,
        target,
        weight,
        reduction=reduction,
        ignore_index=-100 if ignore_index is None else ignore_index,
        label_smoothing=label_smoothing,
    )


PART = 1 << 22  # scores that are there at once, if the options do not say how many rows


def in_parts(
    input: Any, linear_weight: Tensor, bias: Tensor | None, target: Any, weight: Tensor | None, reduction: str, ignore_index: int | None,
    options: Any,
) -> Tensor:  # fmt: skip
    """`linear_cross_entropy` of class numbers."""
    ignored = -100 if ignore_index is None else ignore_index
    classes = len(linear_weight._data)
    numbers = np.atleast_1d(target._data)
    check_class_weight(weight, classes)
    wrong = ((numbers < 0) | (numbers >= classes)) & (numbers != ignored)
    if wrong.any():
        raise IndexError(f"Target {numbers[wrong].flat[0]} is out of bounds.")
    single = input._data.ndim == 1
    x = input.unsqueeze(0) if single else input
    size = options.batch_chunk_size or max(1, PART // classes)
    loss: Any = whole_loss(x, linear_weight, bias, wrap(numbers), weight, ignored, reduction, size)
    return loss.squeeze(0) if single and reduction == "none" else loss


__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "ctc_loss", "gaussian_nll_loss", "kl_div", "linear_cross_entropy",
    "poisson_nll_loss",
]  # fmt: skip
