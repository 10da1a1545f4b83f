"""The public functions that find elements: where they are, how many, which are distinct, between which boundaries.

None has a derivative.
"""

from __future__ import annotations

from numbers import Number
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor, wrap_dim
from chainrule.ops.inplace import write_out
from chainrule.ops.overrides import public
from chainrule.ops.primitive import as_array
from chainrule.tensor import Tensor, wrap


def finish(name: str, result: Any, out: Any) -> Any:
    return result if out is None else write_out(name, out, result)


# Where


@public
def nonzero(input: Tensor, *, out: Tensor | None = None, as_tuple: bool = False) -> Any:
    """The indices of the elements that are not 0: a row for each, or with `as_tuple` a vector for each dimension.

    Example:
        >>> nonzero(tensor([0, 5, 0, 7]))
        tensor([[1],
                [3]])
    """
    require_tensor("nonzero", input)
    data = input._data
    if as_tuple:
        if out is not None:
            raise RuntimeError("nonzero does not support the out kwarg when as_tuple is True")
        return tuple([wrap(found) for found in np.atleast_1d(data).nonzero()])
    if out is not None and out.dtype is not dtypes.int64:
        raise RuntimeError(f"nonzero: Expected out tensor to have scalar type Long but got scalar type{dtypes.LEGACY[out.dtype]}")
    return finish("nonzero", wrap(np.argwhere(data) if data.ndim else np.empty((int(bool(data)), 0), np.int64)), out)


@public
def argwhere(input: Tensor) -> Tensor:
    """The indices of the elements that are not 0, a row for each."""
    return nonzero(input)


@public
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1, out: Tensor | None = None) -> Tensor:
    """`nonzero` in `size` rows: cut off, or filled up with rows of `fill_value`.

    Example:
        >>> nonzero_static(tensor([0, 5]), size=2)
        tensor([[ 1],
                [-1]])
    """
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    found = nonzero(input)._data[:size]
    rows = np.full((size, found.shape[1]), fill_value)
    rows[: len(found)] = found
    return finish("nonzero_static", wrap(rows), out)


@public
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """The coordinates in a tensor of `shape` of positions in the flattened one.

    Example:
        >>> unravel_index(tensor([3, 5]), (2, 3))
        (tensor([1, 1]), tensor([0, 2]))
    """
    if not isinstance(indices, Tensor) or indices.dtype.category != dtypes.INTEGRAL:
        raise ValueError("expected 'indices' to be integer dtype, but got " + str(getattr(indices, "dtype", type(indices).__name__)))
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if any([n < 0 for n in sizes]):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(sizes)}")
    data = indices._data.astype(np.int64)
    coordinates = []
    for n in reversed(sizes):
        coordinates.append(wrap(as_array(data % n)))
        data = data // n
    return tuple(reversed(coordinates))


# Which, and how many


@public
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each number 0, 1, 2, ... occurs in a vector of integers, or the sum of the `weights` of its occurrences.

    Example:
        >>> bincount(tensor([1, 1, 3]))
        tensor([0, 2, 0, 1])
    """
    require_tensor("bincount", input)
    data = input._data
    if data.dtype.kind not in "iu":
        raise NotImplementedError(f"\"bincount_cpu\" not implemented for '{dtypes.LEGACY[input.dtype]}'")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if data.ndim != 1 or (data.size and data.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return wrap(np.bincount(data, minlength=minlength))
    if weights._data.shape != data.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    sums = np.bincount(data, weights._data.astype(np.float64), minlength)
    return wrap(sums.astype(np.float32) if weights.dtype is dtypes.float32 else sums)


@public
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False, out: Tensor | None = None) -> Tensor:
    """Which `elements` are among `test_elements` (not among them if `invert`); one of the two may be a number.

    Example:
        >>> isin(tensor([1, 2, 3]), tensor([2, 3]))
        tensor([False,  True,  True])
    """
    given = (elements, test_elements)
    if not any([isinstance(v, Tensor) for v in given]) or not all([isinstance(v, (Tensor, Number)) for v in given]):
        kinds = ", ".join([type(v).__name__ for v in given])
        raise TypeError(
            f"isin() received an invalid combination of arguments - got ({kinds}), but expected tensors, of which one may be a number"
        )
    for v in given:
        if isinstance(v, Tensor) and v._data.dtype.kind in "bc":
            raise RuntimeError(f"Unsupported input type encountered for isin(): {dtypes.LEGACY[v.dtype]}")
    a, b = [v._data if isinstance(v, Tensor) else as_array(v) for v in given]
    a, b = [v.astype(np.float32) if v.dtype == dtypes.bfloat16.numpy else v for v in (a, b)]
    return finish("isin", wrap(as_array(np.isin(a, b, assume_unique=assume_unique, invert=invert))), out)


def unique(input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    """The distinct elements in ascending order, or the distinct slices along `dim`.

    `return_inverse` adds the place of each element among them, `return_counts` how often each occurs.

    Example:
        >>> unique(tensor([3, 1, 3]), return_counts=True)
        (tensor([1, 3]), tensor([1, 2]))
    """
    return distinct("_unique2", input, True, return_inverse, return_counts, dim)


def unique_consecutive(input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    """The elements (or slices along `dim`) without those that equal the one before; options as in `unique`.

    Example:
        >>> unique_consecutive(tensor([1, 1, 2, 1]))
        tensor([1, 2, 1])
    """
    return distinct("unique_consecutive", input, False, return_inverse, return_counts, dim)


unique, unique_consecutive = public(unique), public(unique_consecutive)


def distinct(name: str, input: Tensor, ordered: bool, return_inverse: bool, return_counts: bool, dim: int | None) -> Any:
    """The first of each run of equal elements (or slices), after sorting if `ordered`."""
    require_tensor(name, input)
    if input.dtype.is_complex:
        raise NotImplementedError(f"\"unique\" not implemented for '{dtypes.LEGACY[input.dtype]}'")
    data = input._data
    if dim is None:
        rows, shape = data.reshape(-1, 1), data.shape
    else:
        d = wrap_dim(dim, data.ndim, scalar_ok=False)
        if 0 in data.shape and (data.shape[d] or data.shape.count(0) > 1):
            raise RuntimeError("There are 0 sized dimensions, and they aren't selected, so unique cannot be applied")
        moved = np.moveaxis(data, d, 0)
        rows, shape = moved.reshape(len(moved), moved[:1].size if len(moved) else 1), (len(moved),)
    order = None
    if ordered and dim is None and not return_inverse:
        rows = np.sort(rows, axis=0)
    elif ordered and len(rows):
        keys = rows.view(np.uint8) if rows.dtype.kind == "b" else rows
        order = keys[:, 0].argsort(kind="stable") if dim is None else np.lexsort(keys.T[::-1])
        rows = rows[order]
    first = np.empty(len(rows), bool)
    first[:1] = True
    np.any(rows[1:] != rows[:-1], axis=1, out=first[1:])
    starts = first.nonzero()[0]
    values = rows[starts]
    results = [wrap(values[:, 0] if dim is None else np.ascontiguousarray(np.moveaxis(values.reshape(-1, *moved.shape[1:]), 0, d)))]
    if return_inverse:
        place = first.cumsum() - 1
        inverse = np.empty_like(place)
        inverse[slice(None) if order is None else order] = place
        results.append(wrap(inverse.reshape(shape)))
    if return_counts:
        results.append(wrap(np.diff(starts, append=len(rows))))
    return results[0] if len(results) == 1 else tuple(results)


# Between which boundaries


@public
def searchsorted(
    sorted_sequence: Tensor, input: Any = None, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Tensor | None = None, out: Tensor | None = None, **named: Any,
) -> Tensor:  # fmt: skip
    """Where each value of `input` would have to be inserted into the ascending `sorted_sequence` (along its last dimension).

    Before equal elements, or after them with `right` (or side="right"). `sorter` are the indices that sort an unsorted sequence.

    Example:
        >>> searchsorted(tensor([1, 3, 5]), tensor([3, 4]))
        tensor([1, 2])
    """
    values = named.pop("self", input)  # PyTorch's name for a number
    if named or not isinstance(values, (Tensor, Number)) or not isinstance(sorted_sequence, Tensor):
        kinds = ", ".join([type(v).__name__ for v in (sorted_sequence, values)])
        raise TypeError(
            f"searchsorted() received an invalid combination of arguments - got ({kinds}), but expected (Tensor, Tensor or Number)"
        )
    sequence, found = sorted_sequence._data, values._data if isinstance(values, Tensor) else np.asarray(values)
    check_search(sequence, found, side, right, sorter, out, out_int32)
    if sorter is not None:
        sequence = np.take_along_axis(sequence, sorter._data, -1)
    after = right or side == "right"
    if sequence.ndim == 1 and sequence.dtype == found.dtype:
        places = np.searchsorted(sequence, found, "right" if after else "left")
    else:
        places = bisect(sequence, found, after)
    return finish("searchsorted", wrap(as_array(places).astype(np.int32 if out_int32 else np.int64)), out)


@public
def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False, out: Tensor | None = None) -> Tensor:
    """Which of the intervals between the ascending `boundaries` each value is in; on a boundary the lower one, the upper if `right`.

    Example:
        >>> bucketize(tensor([0, 3, 9]), tensor([1, 3, 5]))
        tensor([0, 1, 3])
    """
    require_tensor("bucketize", boundaries, "boundaries", 2)
    if boundaries._data.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries._data.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right, out=out)


def bisect(sequence: np.ndarray, values: np.ndarray, after: bool) -> np.ndarray:
    """Binary search of all values at once, each in its own row of `sequence`."""
    n = sequence.shape[-1]
    low, high = np.zeros(values.shape, np.int64), np.full(values.shape, n)
    for _ in range(n.bit_length()):
        middle = (low + high) >> 1
        probe = np.minimum(middle, n - 1)
        seen = sequence[probe] if sequence.ndim == 1 else np.take_along_axis(sequence, probe, -1)
        more = ~(seen > values if after else seen >= values) & (low < high)
        low, high = np.where(more, middle + 1, low), np.where(more, high, middle)
    return low


def check_search(
    sequence: np.ndarray, values: np.ndarray, side: str | None, right: bool, sorter: Tensor | None, out: Tensor | None, out_int32: bool
) -> None:
    """What searchsorted refuses, in PyTorch's words."""
    head = "torch.searchsorted(): "
    if side is not None and side not in ("left", "right"):
        raise RuntimeError(f"{head}side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(f"{head}side and right can't be set to opposites, got side of left while right was True")
    if not values.ndim and sequence.ndim > 1:
        raise RuntimeError(
            f"{head}input value can be a scalar only when boundaries tensor dimension is 1, but we got boundaries tensor "
            f"dim({sequence.ndim}) and input value's dim(0) numel(1)"
        )
    if not sequence.ndim:
        raise RuntimeError(f"{head}boundaries tensor should have positive dimension, but got 0 dimension")
    if sequence.ndim > 1 and sequence.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(
            f"{head}boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input value tensor must "
            f"match, but we got boundaries tensor {list(sequence.shape)} and input value tensor {list(values.shape)}"
        )
    if out is not None and out.dtype is not (dtypes.int32 if out_int32 else dtypes.int64):
        raise RuntimeError(
            f"{head}output tensor's dtype is wrong, it can only be Int(int32) or Long(int64) depending on whether out_int32 flag is True, "
            f"but we got output tensor's dtype {dtypes.LEGACY[out.dtype]} and out_int32 flag is {out_int32}"
        )
    if sorter is None:
        return
    if sorter._data.shape != sequence.shape:
        raise RuntimeError(
            f"{head}boundary and sorter must have the same size, but got boundary tensor {list(sequence.shape)}and got sorter tensor "
            f"{list(sorter._data.shape)}"
        )
    if sorter.dtype is not dtypes.int64:
        raise RuntimeError(f"{head}sorter must be a tensor of long dtype but got dtype {dtypes.LEGACY[sorter.dtype]}")
    if sorter._data.size and not 0 <= sorter._data.min() <= sorter._data.max() < sequence.shape[-1]:
        raise RuntimeError(f"{head}sorter index out of range")


METHODS = ["argwhere", "bincount", "nonzero", "nonzero_static", "unique", "unique_consecutive"]
__all__ = [*METHODS, "bucketize", "isin", "searchsorted", "unravel_index"]
