"""Tables of rows: `embedding`, `embedding_bag`, and `one_hot`."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor
from chainrule.functions.scatter import I64, out_of_bounds
from chainrule.ops import embedding as ops
from chainrule.ops.eager import eager
from chainrule.ops.overrides import public, shortcut
from chainrule.tensor import Tensor, wrap

INDICES = (dtypes.int64, dtypes.int32)


def renormalize(weight: Tensor, index: np.ndarray, max_norm: float, norm_type: float) -> None:
    """Shorten, in place and unrecorded, the rows at `index` that are longer than `max_norm`."""
    used = np.unique(index)
    table = weight._data
    length = np.linalg.norm(table[used], norm_type, axis=1)
    long = length > max_norm
    table[used[long]] *= (max_norm / (length[long] + 1e-7))[:, None].astype(table.dtype)
    weight._versions[0] += 1


def shares(index: np.ndarray, padding: int | None, by_frequency: bool, dtype: np.dtype) -> np.ndarray | None:
    """How much of its gradient each pick passes on: nothing for padding, 1 / its row's picks if `by_frequency`."""
    share = None
    if by_frequency:
        _, inverse, counts = np.unique(index, return_inverse=True, return_counts=True)
        share = (1 / counts[inverse].reshape(index.shape)).astype(dtype)
    if padding is not None and (index == padding).any():
        kept = (index != padding).astype(dtype)
        share = kept if share is None else share * kept
    return share if share is None else share[..., None]


def require_indices(function: str, t: Any, position: int = 1) -> np.ndarray:
    if t.dtype not in INDICES:
        raise RuntimeError(
            f"Expected tensor for argument #{position} 'indices' to have one of the following scalar types: Long, Int; but got "
            f"torch.{dtypes.LEGACY[t.dtype]}Tensor instead (while checking arguments for {function})"
        )
    return t._data


_embedding = eager(ops.embedding)


def rows_of(input: Any, weight: Any) -> Tensor | None:
    """The shorter way of `embedding`, for int64 numbers."""
    if not isinstance(input, Tensor) or not isinstance(weight, Tensor):
        return None
    index, table = input._data, weight._data
    if index.dtype is not I64 or table.ndim != 2 or out_of_bounds(index, table.shape[0]) is not None:
        return None
    return _embedding(weight, input._data, None)


@shortcut(rows_of)
@public
def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None, norm_type: float = 2.0,
    scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """The rows of `weight` (V, D) at the numbers `input` (...), shape (..., D); gradients of row `padding_idx` are not passed on.

    `max_norm` first shortens longer rows in place. Gradients are dense, `sparse` or not. Raises IndexError for a number out of range.

    Example:
        >>> embedding(tensor([1, 0]), tensor([[1., 2.], [3., 4.]]))
        tensor([[3., 4.],
                [1., 2.]])
    """
    require_tensor("embedding", input)
    require_tensor("embedding", weight, "weight", 2)
    table = weight._data
    count = table.shape[0] if table.ndim else 0
    if padding_idx is not None:
        if not -count <= padding_idx < count:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= count
    index = require_indices("embedding", input)
    if table.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    if out_of_bounds(index, count) is not None:
        raise IndexError("index out of range in self")
    if max_norm is not None:
        renormalize(weight, index, max_norm, norm_type)
    plain = padding_idx is None and not scale_grad_by_freq
    return ops.embedding(weight, index, None if plain else shares(index, padding_idx, scale_grad_by_freq, table.dtype))


@public
def embedding_bag(
    input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None, norm_type: float = 2,
    scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False, padding_idx: int | None = None,
) -> Tensor:  # fmt: skip
    """The sum, mean or max, by `mode`, of the rows of `weight` (V, D) in each bag of numbers.

    `input` (B, N) holds a bag a row; `input` (N) holds bags one after another, which begin at `offsets` (B). `per_sample_weights`, of
    input's shape, weigh the rows of a sum. Picks of `padding_idx` do not count. Empty bags are zeros.

    Example:
        >>> embedding_bag(tensor([[0, 1]]), tensor([[1., 2.], [3., 4.]]))
        tensor([[2., 3.]])
    """
    require_tensor("embedding_bag", input)
    require_tensor("embedding_bag", weight, "weight", 2)
    if weight.dtype is dtypes.int64 and input.dtype.is_floating_point:
        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag(weight, input, ...)` is deprecated, and "
            "should now be "
            "`embedding_bag(input, weight, ...)`.",
            stacklevel=3,
        )
        weight, input = input, weight
    weights: Any = per_sample_weights
    if weights is not None and weights._data.shape != input._data.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({weights.shape}) is not None, then it must have the same shape as the input "
            f"({input.shape})"
        )
    table = weight._data
    if table.ndim != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {table.ndim}")
    shape = input._data.shape
    starts = bag_starts(shape, offsets)
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and (scale_grad_by_freq or sparse):
        what = "scaling the gradient by the frequency" if scale_grad_by_freq else "sparse weights"
        raise ValueError(f"max mode does not support {what}")
    if weights is not None and mode != "sum":
        raise NotImplementedError(
            f"embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got mode='{mode}'). "
            "Please open a feature request on GitHub."
        )
    index = require_indices("embedding_bag", input).reshape(-1)
    check_bags(index, starts, table.shape[0], len(shape) == 2)
    if max_norm is not None:
        renormalize(weight, index, max_norm, norm_type)
    count = len(starts) - 1 if include_last_offset and len(shape) == 1 else len(starts)
    bags = np.searchsorted(starts, np.arange(index.size), side="right") - 1
    keep = bags < count
    if padding_idx is not None:
        keep &= index != padding_idx % max(1, table.shape[0])
    if weights is not None and len(shape) == 2:
        weights = weights.reshape(-1)
    if not keep.all():
        index, bags = index[keep], bags[keep]
        weights = weights if weights is None else weights[wrap(keep)]
    if mode == "max":
        return ops.bag_max(weight, *largest(table, index, bags, count))
    factor = np.ones((len(index), 1), table.dtype)
    if mode == "mean":
        factor /= np.bincount(bags, minlength=count)[bags][:, None].astype(table.dtype)
    share = shares(index, None, True, table.dtype) if scale_grad_by_freq else None
    return ops.bag_sum(weight, weights, index, bags, factor, count, share)


def bag_starts(shape: tuple, offsets: Any) -> np.ndarray:
    if len(shape) == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length sequences. However, "
                "found offsets of "
                f"type {type(offsets)}"
            )
        return np.arange(shape[0]) * shape[1]
    if len(shape) != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {len(shape)}")
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    if offsets._data.ndim != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    return offsets._data


def check_bags(index: np.ndarray, starts: np.ndarray, count: int, even: bool) -> None:
    if not even and len(starts):
        if starts[0] != 0:
            raise RuntimeError(
                f"offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, got {starts[0]}"
            )
        if starts[-1] > index.size:
            raise RuntimeError(f"offsets[-1] can not be greater than input's length {index.size} but got offsets[-1] of {starts[-1]}")
    wrong = np.flatnonzero((index < 0) | (index >= count))
    if len(wrong):
        raise RuntimeError(f"Index {wrong[0]} of input takes value {index[wrong[0]]} which is not in the valid range [0, {count})")


def largest(table: np.ndarray, index: np.ndarray, bags: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """For each bag and column the row of the first largest element; and, as a column, whether the bag has any."""
    d = table.shape[1]
    picked = table[index]
    best = np.full((count, d), -np.inf)
    np.maximum.at(best, bags, picked)
    reached = picked == best[bags]
    places = np.zeros((count, d), np.int64)
    turns, columns = np.nonzero(reached[::-1])  # the first one of a bag is written last
    turns = len(index) - 1 - turns
    places[bags[turns], columns] = index[turns]
    return places, (np.bincount(bags, minlength=count) > 0)[:, None]


@public
def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """Each class number as a row of zeros and a 1: shape (...) gives (..., num_classes), int64; -1 classes: the largest plus 1.

    Example:
        >>> one_hot(tensor([1, 0]))
        tensor([[0, 1],
                [1, 0]])
    """
    require_tensor("one_hot", input)
    if input.dtype is not dtypes.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    index = input._data
    if not index.size:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return wrap(np.zeros((*index.shape, num_classes), np.int64))
    if index.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = int(index.max()) + 1
    elif num_classes < 1:
        raise RuntimeError("num_classes should be positive")
    elif index.max() >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return wrap((index[..., None] == np.arange(num_classes)).astype(np.int64))


__all__ = ["embedding", "embedding_bag", "one_hot"]
