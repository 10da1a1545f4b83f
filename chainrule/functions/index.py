"""The public functions that select, gather and scatter by index tensors and masks; `t[...]` is in `functions.subscript`.

What changes its first argument is stated once, as a function that checks its arguments and answers (op, operands); `both` makes
the function and its in-place form of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor, wrap_dim
from chainrule.functions.pointwise import where
from chainrule.functions.search import argwhere, bincount, bucketize, isin, nonzero, nonzero_static, searchsorted, unique, unique_consecutive
from chainrule.functions.subscript import (
    assign, broadcast, contains, getitem, index_error, number_array, own, put_arguments, put_error, setitem, value_for,
)  # fmt: skip
from chainrule.ops import index as ops
from chainrule.ops.inplace import overwrite, write_out
from chainrule.ops.overrides import public
from chainrule.ops.pointwise_form import broadcast_error
from chainrule.ops.shape import expand, reshape
from chainrule.tensor import Tensor, wrap

INT_KINDS = (dtypes.int64.numpy, dtypes.int32.numpy)


def finish(name: str, result: Any, out: Any) -> Any:
    return result if out is None else write_out(name, out, result)


def both(call: Callable) -> tuple[Callable, Callable]:
    """The function and its in-place form, of a function that answers (op, operands) for their arguments."""
    name = call.__name__

    @wraps(call)
    def function(input: Any, *args: Any, out: Any = None, **kwargs: Any) -> Tensor:
        op, operands = call(input, *args, **kwargs)
        return finish(name, op(*operands), out)

    @wraps(call)
    def method(self: Any, *args: Any, **kwargs: Any) -> Tensor:
        op, operands = call(self, *args, **kwargs)
        if isinstance(op, ops.Writing):
            return ops.write_over(op, operands)
        return overwrite_with(op, operands)

    method.__name__ = method.__qualname__ = f"{name}_"
    return public(function), public(method)


def overwrite_with(op: Any, operands: tuple) -> Tensor:
    """In place, for an op whose rule reads its first input or its result."""
    from chainrule._core import modes
    from chainrule.ops.inplace import check_writable, snapshot

    target = operands[0]
    check_writable(target, modes.grad_enabled())
    return overwrite(target, op(snapshot(target), *operands[1:]))


# Checks


def kind_of(t: Tensor) -> str:
    return dtypes.LEGACY[t.dtype]


def require_index(name: str, index: Any, position: int = 3) -> np.ndarray:
    require_tensor(name, index, "index", position)
    return index._data


def out_of_bounds(index: np.ndarray, n: int) -> Any:
    """The first index that is not in [0, n), or None."""
    if not index.size:
        return None
    # Seen as unsigned, negative numbers are large: one pass for both bounds.
    if int(index.view(np.uint64 if index.dtype.itemsize == 8 else np.uint32).max()) < n if index.flags.c_contiguous else 0 <= index.min() and index.max() < n:
        return None
    return index[(index < 0) | (index >= n)].reshape(-1)[0]


def check_bounds(index: np.ndarray, n: int, dim: int, error: type = RuntimeError, prefix: str = "") -> None:
    bad = out_of_bounds(index, n)
    if bad is not None:
        raise error(f"{prefix}index {bad} is out of bounds for dimension {dim} with size {n}")


def size_at(shape: tuple, dim: int) -> int:
    return shape[dim] if shape else 1


def check_scatter(name: str, input: Tensor, dim: int, index: np.ndarray, source: Tensor | None) -> None:
    """The checks that gather and the scatters share; `source` is None for gather and for numbers."""
    shape = input._data.shape
    if index.dtype not in INT_KINDS:
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    if source is not None and source._data.dtype != input._data.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype")
    if not index.size:
        return
    whose = "input" if name == "gather" else "self"
    if max(index.ndim, 1) != max(len(shape), 1):
        raise RuntimeError(f"Index tensor must have the same number of dimensions as {whose} tensor")
    others = [d for d in range(min(index.ndim, len(shape))) if d != dim and index.shape[d] > shape[d]]
    if source is None:
        if others:
            fault = f"{list(index.shape)} to be no larger than self {list(shape)} apart from dimension {dim}"
            raise RuntimeError(f"Size does not match at dimension {others[0]} expected index {fault}")
    else:
        if max(index.ndim, 1) != max(source._data.ndim, 1):
            raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
        if others or any([n > m for n, m in zip(index.shape, source._data.shape)]):
            raise RuntimeError(
                f"Expected index {list(index.shape)} to be no larger than self {list(shape)} apart from dimension {dim} and to be no larger "
                f"size than src {list(source._data.shape)}"
            )
    check_bounds(index, size_at(shape, dim), dim)


def shaped(t: Tensor, like: Tensor) -> Tensor:
    """A 0-dim source as a vector if the index is one."""
    return t if t._data.ndim == like._data.ndim else reshape(t, (t._data.size,) if like._data.ndim else ())


# Reading


@public
def index_select(input: Tensor, dim: int, index: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The rows (slices along `dim`) of `input` that the integers of the vector `index` name, a copy.

    Example:
        >>> index_select(tensor([[1, 2], [3, 4]]), 1, tensor([1]))
        tensor([[2],
                [4]])
    """
    require_tensor("index_select", input)
    places = require_index("index_select", index)
    d = wrap_dim(dim, input._data.ndim)
    if places.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if places.dtype not in INT_KINDS:
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    shape = input._data.shape
    if not shape and places.size != 1:
        raise RuntimeError(f"index_select(): Index to scalar can have only 1 value, got {places.size} value(s)")
    if out_of_bounds(places, size_at(shape, d)) is not None:
        raise IndexError("index out of range in self")
    if not shape:
        return finish("index_select", reshape(ops.index_select(reshape(input, (1,)), reshape(index, (1,)), 0), ()), out)
    return finish("index_select", ops.index_select(input, index if places.ndim else reshape(index, (1,)), d), out)


@public
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False, out: Tensor | None = None) -> Tensor:
    """`y[i, j, k] = input[i, j, index[i, j, k]]` (for dim 2), in index's shape.

    Example:
        >>> gather(tensor([[1, 2], [3, 4]]), 1, tensor([[0], [1]]))
        tensor([[1],
                [4]])
    """
    require_tensor("gather", input)
    places = require_index("gather", index)
    d = wrap_dim(dim, input._data.ndim)
    check_scatter("gather", input, d, places, None)
    if out is not None and out._data.dtype != input._data.dtype:
        raise RuntimeError(f"Expected out tensor to have dtype {scalar_name(input)}, but got {scalar_name(out)} instead")
    return finish("gather", ops.gather(input, index, d), out)


def scalar_name(t: Tensor) -> str:
    return {"float32": "float", "float64": "double", "int64": "long int", "int32": "int", "bool": "bool"}.get(t.dtype.name, t.dtype.name)


@public
def take(input: Tensor, index: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The elements of the flattened `input` at `index` (negative: from the end), in index's shape.

    Example:
        >>> take(tensor([[1, 2], [3, 4]]), tensor([0, -1]))
        tensor([1, 4])
    """
    require_tensor("take", input)
    check_flat("take", input, require_index("take", index, 2))
    return finish("take", ops.take(input, index), out)


def check_flat(name: str, input: Tensor, index: np.ndarray) -> None:
    if index.dtype != np.int64:
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {dtypes.LEGACY[dtypes.BY_NUMPY[index.dtype]]}")
    n = input._data.size
    if not index.size:
        return
    if not n:
        raise IndexError(f"{name}(): tried to take from an empty tensor" if name == "take" else f"{name}(): tried to put into an empty tensor")
    bad = index[(index < -n) | (index >= n)].reshape(-1)
    if bad.size:
        raise IndexError(f"out of range: tried to access index {bad[0]} on a tensor of {n} elements.")


@public
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None, *, out: Tensor | None = None) -> Tensor:
    """As `gather`, the other dimensions broadcast; without `dim`, of the flattened `input`.

    Example:
        >>> t = tensor([[3., 1.], [2., 4.]])
        >>> take_along_dim(t, tensor([[1], [0]]), 1)
        tensor([[1.],
                [2.]])
    """
    require_tensor("take_along_dim", input)
    require_index("take_along_dim", indices, 2)
    if indices._data.dtype not in INT_KINDS:
        raise RuntimeError("gather(): Expected dtype int32/int64 for index")
    if dim is None:
        input, indices, dim = reshape(input, (-1,)), reshape(indices, (-1,)), 0
    one, two = input._data.ndim, indices._data.ndim
    if one != two:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{one} dimensions for input, and {two} dimensions for indices"
        )
    d = wrap_dim(dim, one)
    n = size_at(input._data.shape, d)
    have = [[m if k != d else 1 for k, m in enumerate(t._data.shape)] for t in (input, indices)]
    try:
        common = np.broadcast_shapes(*have)
    except ValueError:
        raise broadcast_error(np.empty(have[0]), np.empty(have[1])) from None
    shapes = [(*common[:d], size, *common[d + 1 :]) for size in (n, size_at(indices._data.shape, d))] if one else [(), ()]
    places = wrap(np.broadcast_to(indices._data % n if n else indices._data, shapes[1]))
    return finish("take_along_dim", ops.gather(input if input._data.shape == shapes[0] else expand(input, shapes[0]), places, d), out)


@public
def masked_select(input: Tensor, mask: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The elements of `input` where `mask` (bools) is True, as a vector; the two broadcast.

    Example:
        >>> masked_select(tensor([1, 2, 3]), tensor([True, False, True]))
        tensor([1, 3])
    """
    require_tensor("masked_select", input)
    require_tensor("masked_select", mask, "mask", 2)
    if mask._data.dtype.kind != "b":
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    shape = common_shape(input, mask) or (1,)
    both = [t if t._data.shape == shape else expand(t, shape) for t in (input, mask)]
    return finish("masked_select", ops.masked_select(*both), out)


def common_shape(input: Tensor, mask: Tensor) -> tuple:
    try:
        return np.broadcast_shapes(input._data.shape, mask._data.shape)
    except ValueError:
        raise broadcast_error(mask._data, input._data) from None


# Writing by an index for each element


def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Any:
    """`input` with `input[indices] = values`, or `+=` if `accumulate`; indices is a tuple of tensors.

    Example:
        >>> index_put(zeros(3), (tensor([0, 0]),), tensor(1.), accumulate=True)
        tensor([2., 0., 0.])
    """
    spot, values = put_arguments("index_put_", input, indices, values)
    from chainrule.functions.subscript import check_masks, fitting

    check_masks(input._data.shape, spot)
    values = fitting(values)
    try:
        shape = (input._data[spot] if values._data.ndim else input._data[spot]).shape
        np.broadcast_to(values._data, shape)
    except (IndexError, ValueError):
        raise put_error(input, spot, values) from None
    return ops.index_put_add if accumulate else ops.index_put, (input, values, own(spot))


def scatter(input: Tensor, dim: int, index: Tensor, src: Any = None, value: Any = None, *, reduce: str | None = None) -> Any:
    """`input` with `y[i, j, index[i, j, k]] = src[i, j, k]` (dim 2), `src` a tensor or a number.

    `reduce` ("add" or "multiply") combines with what is there, without derivatives: see `scatter_reduce`.

    Example:
        >>> scatter(zeros(2, 3), 1, tensor([[0], [2]]), 1.)
        tensor([[1., 0., 0.],
                [0., 0., 1.]])
    """
    require_tensor("scatter", input)
    places = require_index("scatter", index)
    if src is None and value is None:
        raise TypeError("scatter() received an invalid combination of arguments: one of src and value is needed")
    d = wrap_dim(dim, input._data.ndim)
    source = src if value is None else value
    if reduce is not None and reduce not in ("add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    is_tensor = isinstance(source, Tensor)
    check_scatter("scatter", input, d, places, source if is_tensor else None)
    if is_tensor:
        source = shaped(source, index)
    else:
        source = number_array(source, input._data.dtype)
    if reduce is not None:
        if is_tensor:
            warnings.warn(
                "The reduce argument of torch.scatter with Tensor src is deprecated and will be removed in a future PyTorch release. Use "
                "torch.scatter_reduce instead for more reduction options.",
                UserWarning,
                stacklevel=4,
            )
        return ops.scatter_combine, (input, index, getattr(source, "_data", source), d, np.add if reduce == "add" else np.multiply)
    return (ops.scatter, (input, index, source, d)) if is_tensor else (ops.scatter_value, (input, index, d, source))


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Any:
    """`input` with `y[i, j, index[i, j, k]] += src[i, j, k]` (dim 2).

    Example:
        >>> scatter_add(zeros(3), 0, tensor([0, 0, 2]), ones(3))
        tensor([2., 0., 1.])
    """
    require_tensor("scatter_add", input)
    places = require_index("scatter_add", index)
    require_tensor("scatter_add", src, "src", 4)
    d = wrap_dim(dim, input._data.ndim)
    check_scatter("scatter", input, d, places, src)
    return ops.scatter_add, (input, index, shaped(src, index), d)


REDUCTIONS = {"sum": "linear", "mean": "linear", "prod": "product", "amax": "extremum", "amin": "extremum"}


def scatter_reduce(input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True) -> Any:
    """`input` with the elements of `src` reduced ("sum", "prod", "mean", "amax", "amin") into the places `index` along `dim`.

    Without `include_self` what was at those places does not count.

    Example:
        >>> scatter_reduce(zeros(2), 0, tensor([0, 0, 1]), tensor([1., 3., 5.]), "mean", include_self=False)
        tensor([2., 5.])
    """
    require_tensor("scatter_reduce", input)
    places = require_index("scatter_reduce", index)
    require_tensor("scatter_reduce", src, "src", 4)
    if reduce not in REDUCTIONS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    d = wrap_dim(dim, input._data.ndim)
    check_scatter("scatter", input, d, places, src)
    return reduction("scatter", reduce), (input, index, shaped(src, index), d, reduce, include_self)


def reduction(family: str, reduce: str) -> Any:
    return getattr(ops, f"{family}_{REDUCTIONS[reduce]}")


# Writing by an index for each row


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Any:
    """`input` with `alpha` times the rows of `source` added to the rows `index` along `dim`; rows can be named twice.

    Example:
        >>> index_add(zeros(3), 0, tensor([0, 0]), ones(2))
        tensor([2., 0., 0.])
    """
    require_tensor("index_add", input)
    places = require_index("index_add", index)
    require_tensor("index_add", source, "source", 4)
    d = wrap_dim(dim, input._data.ndim)
    if places.dtype not in INT_KINDS:
        raise RuntimeError(f"index_add_(): Expected dtype int32/int64 for index but got: {kind_of(index)}")
    if input._data.dtype != source._data.dtype:
        raise RuntimeError(f"index_add_(): self ({kind_of(input)}) and source ({kind_of(source)}) must have the same scalar type")
    if places.ndim > 1:
        raise IndexError(
            f"index_add_(): Index is supposed to be a vector, but got dim: {places.ndim} with type: {kind_of(index)} and size: {list(places.shape)}"
        )
    shape, other = input._data.shape, source._data.shape
    if other and (len(shape) != len(other) or [n for k, n in enumerate(shape) if k != d] != [n for k, n in enumerate(other) if k != d]):
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. Got "
            f"self.shape = {list(shape)} source.shape = {list(other)}"
        )
    if places.size != size_at(other, d):
        raise RuntimeError(f"index_add_(): Number of indices ({places.size}) should be equal to source.size(dim): ({size_at(other, d)}), for dim: {d}")
    check_bounds(places, size_at(shape, d), d)
    if input._data.dtype.kind != "c":
        alpha = number_array(alpha, input._data.dtype).item()
    return rowwise(ops.index_add, input, index, source, d, alpha)


def rowwise(op: Any, input: Tensor, index: Tensor, source: Any, dim: int, *statics: Any) -> Any:
    """The call of a row op; index is a vector, and 0-dim tensors go as vectors of one."""
    index = index if index._data.ndim else reshape(index, (1,))
    if isinstance(source, Tensor) and not source._data.ndim and input._data.ndim:
        source = reshape(source, (1,))
    if input._data.ndim:
        return op, (input, index, source, dim, *statics)
    return Flat(op), (input, index, source, dim, *statics)


class Flat:
    """A row op on a 0-dim tensor: as a vector, and back."""

    def __init__(self, op: Any) -> None:
        self.op = op

    def __call__(self, input: Tensor, index: Tensor, source: Any, dim: int, *statics: Any) -> Tensor:
        if isinstance(source, Tensor) and not source._data.ndim:
            source = reshape(source, (1,))
        return reshape(self.op(reshape(input, (1,)), index, source, dim, *statics), ())


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Any:
    """`input` with the rows `index` along `dim` replaced by the rows of `source`.

    Example:
        >>> index_copy(zeros(3), 0, tensor([2]), ones(1))
        tensor([0., 0., 1.])
    """
    require_tensor("index_copy", input)
    places = require_index("index_copy", index)
    require_tensor("index_copy", source, "source", 4)
    d = wrap_dim(dim, input._data.ndim)
    shape, other = input._data.shape, source._data.shape
    if places.ndim > 1:
        raise IndexError(f"index_copy_(): Index should have dimension 1 or 0 (got {places.ndim})")
    if places.dtype != np.int64:
        raise RuntimeError(f"index_copy_(): Expected a long tensor for index, but got {kind_of(index)}")
    if input._data.dtype != source._data.dtype:
        raise RuntimeError(
            f"index_copy_(): self and source expected to have the same dtype, but got (self) {kind_of(input)} and (source) {kind_of(source)}"
        )
    if not other and places.size != 1:
        raise IndexError(f"index_copy_(): When source is scalar, index should have one element (got {places.size})")
    if other and shape and len(other) != len(shape):
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality must match. Source dimensionality "
            f"({len(other)}), destination dimensionality ({len(shape)})"
        )
    if other and places.size != size_at(other, d):
        raise IndexError(f"index_copy_(): Number of indices ({places.size}) should be equal to source.size(dim) ({size_at(other, d)})")
    rests = [[n for k, n in enumerate(s) if k != d] for s in (shape, other)]
    if rests[0] != rests[1]:
        words = [" ".join(map(str, r)) for r in rests]
        raise RuntimeError(
            f"index_copy_(): Source/destination tensor must have same slice shapes. Destination slice shape: {words[0]} at dimension {d} and "
            f"source slice shape: {words[1]} at dimension 0."
        )
    check_bounds(places, size_at(shape, d), d, IndexError, "index_copy_(): ")
    return rowwise(ops.index_copy, input, index, source, d)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Any:
    """`input` with the rows `index` along `dim` filled with `value`, a number or a 0-dim tensor.

    Example:
        >>> index_fill(zeros(3), 0, tensor([0, -1]), 5)
        tensor([5., 0., 5.])
    """
    require_tensor("index_fill", input)
    places = require_index("index_fill", index)
    d = wrap_dim(dim, input._data.ndim)
    if places.dtype != np.int64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if places.ndim > 1:
        raise RuntimeError("Index has to be a vector/scalar")
    n = size_at(input._data.shape, d)
    bad = places[(places < -n) | (places >= n)].reshape(-1)
    if bad.size:
        raise IndexError(f"index {bad[0]} is out of bounds for dimension {d} with size {n}")
    is_complex = value.dtype.is_complex if isinstance(value, Tensor) else isinstance(value, complex)
    if is_complex and not input.dtype.is_complex:
        raise RuntimeError("index_fill_(): Converting complex Scalar to non-complex type is not supported")
    if not isinstance(value, Tensor):
        value = number_array(value, input._data.dtype)
        return (ops.index_fill, (input, index, d, value)) if input._data.ndim else (ops.copy, (input, wrap(value)))
    if value._data.ndim:
        raise RuntimeError(f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {value._data.ndim} dimension(s).")
    if value._data.dtype != input._data.dtype:
        from chainrule.ops.shape import cast

        value = cast(value, input.dtype)
    return (ops.index_fill_tensor, (input, index, value, d)) if input._data.ndim else (ops.copy, (input, value))


def index_reduce(input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True) -> Any:
    """`input` with the rows of `source` reduced ("prod", "mean", "amax", "amin") into the rows `index` along `dim`.

    Example:
        >>> index_reduce(ones(2), 0, tensor([0, 0]), tensor([2., 3.]), "prod")
        tensor([6., 1.])
    """
    require_tensor("index_reduce", input)
    places = require_index("index_reduce", index)
    require_tensor("index_reduce", source, "source", 4)
    d = wrap_dim(dim, input._data.ndim)
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}.")
    warnings.warn("index_reduce() is in beta and the API may change at any time.", UserWarning, stacklevel=4)
    if places.ndim > 1:
        raise IndexError(f"index_reduce(): Index is supposed to be a vector, but got dim: {places.ndim}")
    if places.dtype not in INT_KINDS:
        raise RuntimeError("index_reduce(): Expected dtype int32/int64 for index")
    if input._data.dtype != source._data.dtype:
        raise RuntimeError("index_reduce(): Expected self and source to have the same scalar type")
    if places.size != size_at(source._data.shape, d):
        raise RuntimeError(f"index_reduce(): Expected index.numel() == source.size(dim) for dim {d}")
    if out_of_bounds(places, size_at(input._data.shape, d)) is not None:
        raise IndexError("index out of range in self")
    shape = source._data.shape
    whole = wrap(np.broadcast_to(places.reshape((-1,) + (1,) * (len(shape) - d - 1)), shape)) if shape else reshape(index, ())
    return reduction("index", reduce), (input, whole, source, d, reduce, include_self)


# Writing into the flat tensor, and by masks


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Any:
    """`input` with the elements of `source` at (or added to) the positions `index` of the flattened tensor.

    Example:
        >>> put(zeros(2, 2), tensor([3]), tensor([9.]))
        tensor([[0., 0.],
                [0., 9.]])
    """
    require_tensor("put", input)
    places = require_index("put", index, 2)
    require_tensor("put", source, "source", 3)
    if places.dtype != np.int64:
        raise RuntimeError(f"put_(): Expected a long tensor for index, but got {kind_of(index)}")
    if input._data.dtype != source._data.dtype:
        raise RuntimeError(
            f"put_(): self and source expected to have the same dtype, but got self.dtype = {kind_of(input)} and source.dtype = {kind_of(source)}"
        )
    if places.size != source._data.size:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source._data.size}, index.numel() = {places.size}"
        )
    check_flat("put_", input, places)
    return ops.put, (input, index, source, accumulate)


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Any:
    """`input` with the first elements of `source`, in order, where `mask` (bools, broadcast) is True.

    Example:
        >>> masked_scatter(zeros(3), tensor([True, False, True]), tensor([1., 2.]))
        tensor([1., 0., 2.])
    """
    require_tensor("masked_scatter", input)
    require_tensor("masked_scatter", mask, "mask", 2)
    require_tensor("masked_scatter", source, "source", 3)
    if mask._data.dtype.kind != "b":
        raise RuntimeError(f"masked_scatter_ only supports boolean masks, but got mask with dtype {kind_of(mask)}")
    if input._data.dtype != source._data.dtype:
        raise RuntimeError(f"masked_scatter: expected self and source to have same dtypes but got{kind_of(input)} and {kind_of(source)}")
    shape = common_shape(input, mask)
    if shape != input._data.shape:
        input = expand(input, shape)
    if shape != mask._data.shape:
        mask = wrap(np.broadcast_to(mask._data, shape))
    if source._data.size < np.count_nonzero(mask._data):
        raise RuntimeError("Number of elements of source < number of ones in mask")
    return ops.masked_scatter, (input, mask, source)


@public
def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Fill the main diagonal in place; `wrap` starts another one below a tall matrix's.

    Example:
        >>> zeros(2, 2).fill_diagonal_(1)
        tensor([[1., 0.],
                [0., 1.]])
    """
    shape = self._data.shape
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    if len(shape) == 2 and wrap:
        flat = np.arange(0, self._data.size, shape[1] + 1)
        spot: tuple = (flat // shape[1], flat % shape[1])
    else:
        spot = (np.arange(min(shape)),) * len(shape)
    value = Tensor.__new__ if False else number_array(fill_value, self._data.dtype)
    return ops.write_over(ops.index_put, (self, value, spot))


index_put, index_put_ = both(index_put)
scatter, scatter_ = both(scatter)
scatter_add, scatter_add_ = both(scatter_add)
scatter_reduce, scatter_reduce_ = both(scatter_reduce)
index_add, index_add_ = both(index_add)
index_copy, index_copy_ = both(index_copy)
index_fill, index_fill_ = both(index_fill)
index_reduce, index_reduce_ = both(index_reduce)
put, put_ = both(put)
masked_scatter, masked_scatter_ = both(masked_scatter)

__all__ = [
    "argwhere", "bincount", "bucketize", "gather", "index_add", "index_copy", "index_fill", "index_put", "index_put_", "index_reduce",
    "index_select", "isin", "masked_scatter", "masked_select", "nonzero", "nonzero_static", "put", "scatter", "scatter_add", "scatter_reduce",
    "searchsorted", "take", "take_along_dim", "unique", "unique_consecutive",
]  # fmt: skip
_FUNCTIONS = {"bucketize", "isin", "searchsorted", "index_put_"}
METHODS = [n for n in __all__ if n not in _FUNCTIONS] + [
    "fill_diagonal_", "index_add_", "index_copy_", "index_fill_", "index_put_", "index_reduce_", "masked_scatter_", "put_", "scatter_", "scatter_add_",
    "scatter_reduce_",
]  # fmt: skip
OPERATORS = {"__getitem__": getitem, "__setitem__": setitem, "__contains__": contains}
