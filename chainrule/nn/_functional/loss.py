"""Losses of classification and regression: what a prediction costs, given its target.

`reduction` is "mean", "sum" or "none" (every element's loss); `size_average` and `reduce` are PyTorch's old way to say it.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from chainrule._core import dtypes, modes
from chainrule.autograd.node import next_sequence
from chainrule.functions.arguments import require_tensor
from chainrule.functions.scatter import out_of_bounds
from chainrule.kernels import rows, small
from chainrule.nn._functional.arguments import check_reduction, legacy, reduce_loss
from chainrule.ops import loss as ops, pointwise as elements
from chainrule.ops.overrides import public
from chainrule.ops.pointwise_form import broadcast_error, operand, result_type
from chainrule.ops.reduce import sum
from chainrule.ops.shape import expand, reshape
from chainrule.ops.softmax import log_softmax
from chainrule.tensor import Tensor, sync

state = modes.state
F32, F64, I64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)
FAST = frozenset((F32, F64))
_new, _add = object.__new__, np.add.reduce


# Cross entropy, the eager path: a matrix of floats, one class number a row, the mean


class MeanNll(ops.nll_loss.node):  # type: ignore[name-defined, misc]
    """The node of the mean of one log-probability a row."""

    __slots__ = ()

    def vjp(self, g: Any, saved: Any) -> tuple:
        if g.__class__ is not np.ndarray:  # a Tensor, or batched
            return ops.nll_loss.node.vjp(self, g, saved)
        target, (n, classes) = saved[0], saved[-1]
        y = np.zeros((n, classes), g.dtype)
        y[ops.arange(n), target] = g / -n
        return (y, None, None)


MeanNll.__name__ = MeanNll.__qualname__ = ops.nll_loss.node.__name__
MeanNll.__module__ = ops.nll_loss.node.__module__


def whole_rows(input: Tensor, target: Tensor) -> bool:
    """Whether these are a matrix of floats that is not empty, and a class number for each row, all of which exist."""
    a, classes = input._data, target._data
    if a.ndim != 2 or (a.dtype is not F32 and a.dtype is not F64) or classes.dtype is not I64 or classes.ndim != 1 or not a.size:
        return False
    return len(classes) == len(a) and out_of_bounds(classes, a.shape[1]) is None


def mean_of(logs: np.ndarray, edge: Any, target: Tensor) -> Tensor:
    """Minus the mean of each row's log-probability of its class; the logarithms came from `edge` (None if they need no gradient)."""
    t, classes = _new(Tensor), target._data
    if logs.dtype is F32 and logs.size < rows.WORTH and logs.flags.c_contiguous and classes.flags.c_contiguous:
        t._data = np.array(small.mean_loss(logs, classes), F32)
    else:
        t._data = np.asarray(_add(logs[ops.arange(len(logs)), classes]) / logs.dtype.type(-len(logs)))
    t._versions, t._base, t._grad, t._edge, t._tracked = [0, 0], None, None, None, edge is not None
    if edge is not None:
        t._edge = node = _new(MeanNll)
        node.fix = node.extra = None
        node.made = ()
        node.edges, node.saved, node.sequence = (edge, None, None), (classes, None, -100, "mean", logs.shape), next_sequence()
        versions = target._versions
        node.guards = (versions, versions[0])
    return t


def mean_entropy(input: Tensor, target: Tensor) -> Tensor:
    """The mean cross entropy of the rows, recorded as the two nodes that it is."""
    a = input._data
    if input._base is not None:
        sync(input)
    y = rows.log_softmax(a if a.flags.c_contiguous else np.ascontiguousarray(a))
    if not input._tracked:
        return mean_of(y, None, target)
    soft = _new(log_softmax.node)
    soft.fix = soft.extra = None
    soft.made = a.shape
    soft.edges, soft.saved, soft.guards, soft.sequence = (input._edge or input,), (y, (1,)), (), next_sequence()
    return mean_of(y, soft, target)


def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None, ignore_index: int = -100,
    reduce: bool | None = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """The negative log-probability that softmax of `input` gives to the target.

    `input`: (C), (N, C) or (N, C, ...), any numbers. `target`: class numbers, of input's shape without C, or probabilities of
    input's shape. `weight` (C) weighs classes; targets equal to `ignore_index` do not count; `label_smoothing` gives that much of
    the target to all classes evenly.

    Raises IndexError for a class that does not exist, ValueError for batches of different sizes.

    Example:
        >>> cross_entropy(tensor([[2., 0.], [0., 2.]]), tensor([0, 1]))
        tensor(0.1269)
    """
    if (
        not state.busy and weight is None and reduction == "mean" and not label_smoothing and ignore_index < 0
        and size_average is None and reduce is None and isinstance(input, Tensor) and isinstance(target, Tensor)
        and whole_rows(input, target)
    ):  # fmt: skip
        return mean_entropy(input, target)
    return cross_entropy_any(input, target, weight, size_average, ignore_index, reduce, reduction, label_smoothing)


@public
def cross_entropy_any(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None, ignore_index: int = -100,
    reduce: bool | None = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    reduction = check_reduction(reduction, size_average, reduce)
    require_tensor("cross_entropy_loss", input, "self")
    require_tensor("cross_entropy_loss", target, "target", 2)
    if input._data.shape == target._data.shape:
        return soft_entropy(input, target, weight, ignore_index, reduction, label_smoothing)
    logs = class_logs(input)
    if label_smoothing > 0.0:
        if label_smoothing > 1.0:
            raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
        return smoothed_entropy(logs, target, weight, ignore_index, reduction, label_smoothing)
    return pick(logs, target, weight, ignore_index, reduction)


cross_entropy_any.shown = cross_entropy


def class_logs(input: Tensor) -> Tensor:
    """log_softmax over the classes."""
    if input.dtype.category != dtypes.FLOATING:
        kernel = "lastdim_kernel_impl" if input._data.ndim < 3 else "kernel_impl"
        raise NotImplementedError(f"\"log_softmax_{kernel}\" not implemented for '{legacy(input)}'")
    return log_softmax(input, (min(1, input._data.ndim - 1),) if input._data.ndim else ())


def check_class_weight(weight: Tensor | None, classes: int, prefix: str = "") -> None:
    if weight is not None and weight._data.shape != (classes,):
        raise RuntimeError(
            f"{prefix}weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of shape: "
            f"{list(weight._data.shape)}"
        )


def by_class(weight: Tensor, ndim: int) -> Tensor:
    """The weights of classes in a shape that broadcasts along the dimension of classes."""
    return reshape(weight, (1, -1, *[1] * (ndim - 2))) if ndim > 1 else weight


def soft_entropy(input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, smoothing: float) -> Tensor:
    """Against class probabilities."""
    if target.dtype.category != dtypes.FLOATING:
        raise RuntimeError(f"Expected floating point type for target with class probabilities, got {legacy(target)}")
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    ndim = input._data.ndim
    axis = min(1, ndim - 1)
    classes = input._data.shape[axis]
    check_class_weight(weight, classes, "cross_entropy: ")
    logs: Any = class_logs(input)
    goal: Any = target * (1 - smoothing) + smoothing / classes if smoothing > 0.0 else target  # type: ignore[operator]
    losses = logs * goal if weight is None else logs * goal * by_class(weight, ndim)
    if reduction == "none":
        return -sum(losses, (axis,), False)
    total = -sum(losses, None, False)
    if reduction == "sum":
        return total
    return total / (input._data.size / classes) if input._data.size else total * math.nan


def smoothed_entropy(logs: Any, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, smoothing: float) -> Tensor:
    """Against classes that give some of their probability to the others."""
    axis = min(1, logs._data.ndim - 1)
    nll: Any = pick(logs, target, weight, ignore_index, reduction)
    spread: Any = -sum(logs if weight is None else logs * by_class(weight, logs._data.ndim), (axis,), False)
    ignored = target._data == ignore_index
    spread = elements.masked_fill_scalar(spread, ignored, 0)
    if reduction == "sum":
        spread = sum(spread, None, False)
    elif reduction == "mean":
        kept = target._data[~ignored]
        total = kept.size if weight is None else weight._data[kept].sum()
        spread = sum(spread, None, False) / (float(total) if total else math.nan)
    return nll * (1 - smoothing) + spread * (smoothing / logs._data.shape[axis])


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None, ignore_index: int = -100,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Minus the log-probability of the target class: `input` holds log-probabilities, (C), (N, C) or (N, C, ...).

    Example:
        >>> nll_loss(tensor([[-0.1, -2.4]]), tensor([0]))
        tensor(0.1000)
    """
    if (
        not state.busy and weight is None and reduction == "mean" and ignore_index < 0 and size_average is None and reduce is None
        and isinstance(input, Tensor) and isinstance(target, Tensor) and whole_rows(input, target)
    ):  # fmt: skip
        if input._base is not None:
            sync(input)
        return mean_of(input._data, (input._edge or input) if input._tracked else None, target)
    return nll_loss_any(input, target, weight, size_average, ignore_index, reduce, reduction)


@public
def nll_loss_any(
    input: Tensor, target: Tensor, weight: Tensor | None, size_average: bool | None, ignore_index: int, reduce: bool | None, reduction: str
) -> Tensor:
    reduction = check_reduction(reduction, size_average, reduce)
    require_tensor("nll_loss_nd", input, "self")
    require_tensor("nll_loss_nd", target, "target", 2)
    return pick(input, target, weight, ignore_index, reduction)


nll_loss_any.shown = nll_loss


def pick(input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str) -> Tensor:
    """nll_loss, its arguments checked as PyTorch does, which has one kernel for rows and another for images."""
    shape, places = input._data.shape, target._data.shape
    if not shape:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    if len(shape) != 1 and (not places or shape[0] != places[0]):
        raise ValueError(f"Expected input batch_size ({shape[0]}) to match target batch_size ({places[0] if places else 1}).")
    if len(shape) in (3,) or len(shape) > 4:
        if places[1:] != shape[2:]:
            raise RuntimeError(f"Expected target size {[shape[0], *shape[2:]]}, got {list(places)}")
    elif len(shape) == 4:
        if len(places) != 3:
            raise RuntimeError(f"only batches of spatial targets supported (3D tensors) but got targets of dimension: {len(places)}")
        if places[1:] != shape[2:]:
            raise RuntimeError(f"size mismatch (got input: {list(shape)} , target: {list(places)}")
    elif len(places) > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    elif len(shape) == 1 and target._data.size != 1:
        raise RuntimeError(f"size mismatch (got input: {list(shape)}, target: {list(places)})")
    if input.dtype.category != dtypes.FLOATING:
        raise NotImplementedError(f"\"nll_loss_out_frame\" not implemented for '{legacy(input)}'")
    classes = shape[min(1, len(shape) - 1)]
    check_class_weight(weight, classes)
    if weight is not None and weight._data.dtype != input._data.dtype:
        raise RuntimeError(f"expected scalar type {legacy(input)} but found {legacy(weight)}")
    if target.dtype not in (dtypes.int64, dtypes.uint8):
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {legacy(target)}")
    numbers = target._data
    plain = numbers.__class__ is np.ndarray and numbers.dtype is I64 and numbers.size
    if not plain or out_of_bounds(numbers, classes) is not None:
        wrong = ((numbers < 0) | (numbers >= classes)) & (numbers != ignore_index)
        if wrong.any():
            raise IndexError(f"Target {numbers[wrong].flat[0]} is out of bounds.")
    return (ops.nll_loss if len(shape) < 3 else ops.nll_loss2d)(input, target, weight, ignore_index, reduction)


# Regression


def paired(name: str, input: Any, target: Any, kernel: str, *, warn: bool = True) -> tuple[Tensor, Tensor]:
    """input and target in one shape and one floating type; a warning if they had to be broadcast."""
    require_tensor(name, input)
    require_tensor(name, target, "target", 2)
    if input._data.shape != target._data.shape:
        if warn:
            warnings.warn(
                f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will likely lead to "
                "incorrect "
                "results due to broadcasting. Please ensure they have the same size.",
                stacklevel=4,
            )
        try:
            shape = np.broadcast_shapes(input._data.shape, target._data.shape)
        except ValueError:
            raise broadcast_error(input._data, target._data) from None
        input, target = [t if t._data.shape == shape else expand(t, shape) for t in (input, target)]
    compute = result_type((input, target))
    if kernel and compute.category != dtypes.FLOATING:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{dtypes.LEGACY[compute]}'")
    return operand(input, compute), operand(target, compute)


def weigh(losses: Any, weight: Tensor, reduction: str) -> Any:
    """Weighted element losses, their mean being over the weights."""
    if weight._data.shape != losses._data.shape and weight._data.size != losses._data.size:
        raise ValueError("Weights and input must have the same size.")
    losses = losses * weight
    if reduction == "mean":
        return losses.sum() / weight.sum()  # type: ignore[attr-defined]
    return reduce_loss(losses, reduction)


@public
def mse_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The squared difference of `input` and `target`.

    Example:
        >>> mse_loss(tensor([1., 2.]), tensor([1., 4.]))
        tensor(2.)
    """
    a, b = paired("mse_loss", input, target, "mse_cpu")
    reduction = check_reduction(reduction, size_average, reduce)
    if weight is not None:
        return weigh(ops.mse_loss(a, b, (), "none"), weight, reduction)
    return ops.mse_loss(a, b, (), reduction)


@public
def l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The absolute difference of `input` and `target`."""
    a, b = paired("l1_loss", input, target, "")
    reduction = check_reduction(reduction, size_average, reduce)
    losses = elements.abs.function(elements.sub.function(a, b))
    return reduce_loss(losses, reduction) if weight is None else weigh(losses, weight, reduction)


@public
def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """d²/(2 beta) where |d| < beta, else |d| - beta/2, for the difference d."""
    a, b = paired("smooth_l1_loss", input, target, "smooth_l1_cpu" if beta else "")
    reduction = check_reduction(reduction, size_average, reduce)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0.0:
        return reduce_loss(elements.abs.function(elements.sub.function(a, b)), reduction)
    return ops.smooth_l1_loss(a, b, (beta,), reduction)


@public
def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None) -> Tensor:
    """d²/2 where |d| <= delta, else delta (|d| - delta/2), for the difference d."""
    a, b = paired("huber_loss", input, target, "huber_cpu")
    reduction = check_reduction(reduction)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    if weight is None:
        return ops.huber_loss(a, b, (delta,), reduction)
    losses = ops.huber_loss(a, b, (delta,), "none")
    if weight._data.size != losses._data.size:
        raise ValueError("Weights and input must have the same size.")
    return reduce_loss(losses * weight, reduction)


__all__ = ["cross_entropy", "huber_loss", "l1_loss", "mse_loss", "nll_loss", "smooth_l1_loss"]
