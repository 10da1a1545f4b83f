"""The public functions that write by index tensors and masks: scatter, index_add, masked_scatter, ... and their in-place forms.

Each is stated once, as a function that checks its arguments and answers which op does it on which operands; `writes` makes the
public function and the in-place form of that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from chainrule._core import dtypes, modes
from chainrule._core.warn import warn_once
from chainrule.functions.arguments import require_tensor, wrap_dim
from chainrule.functions.subscript import FULL, fitting, index_array, number_array, put_at, value_for
from chainrule.kernels import small
from chainrule.kernels.batched import memory
from chainrule.ops import index as ops
from chainrule.ops.eager import eager
from chainrule.ops.inplace import check_writable, overwrite, snapshot, write_out
from chainrule.ops.overrides import public, shortcut
from chainrule.ops.pointwise_form import broadcast_error
from chainrule.ops.shape import cast, expand, reshape
from chainrule.tensor import Tensor, wrap

INT_KINDS = (dtypes.int64.numpy, dtypes.int32.numpy)
ndarray, I64 = np.ndarray, np.dtype(np.int64)
UNSIGNED = {I64: np.dtype(np.uint64), np.dtype(np.int32): np.dtype(np.uint32)}
_max, FEW = np.maximum.reduce, 1 << 12  # elements up to which `small` is quicker than a reduction
IN_PLACE: dict[str, Callable] = {}  # the methods that `writes` makes
_scatter_add = eager(ops.scatter_add)


def finish(name: str, result: Any, out: Any) -> Any:
    return result if out is None else write_out(name, out, result)


def writes(call: Callable) -> Callable:
    """The public function of one that answers (op, operands); the in-place form goes to IN_PLACE."""
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
        check_writable(self, modes.grad_enabled())
        return overwrite(self, op(snapshot(self), *operands[1:]))

    method.__name__ = method.__qualname__ = f"{name}_"
    IN_PLACE[f"{name}_"] = public(method)
    return public(function)


# Checks


def kind_of(t: Tensor) -> str:
    return dtypes.LEGACY[t.dtype]


def require_index(name: str, index: Any, position: int = 3) -> np.ndarray:
    require_tensor(name, index, "index", position)
    return index._data


def out_of_bounds(index: np.ndarray, n: int) -> Any:
    """The first index that is not in [0, n), or None."""
    size = index.size
    if not size:
        return None
    if index.__class__ is not ndarray:
        index = memory(index)
    if index.flags.c_contiguous:
        if size <= FEW and index.dtype is I64 and 0 < index.ndim <= small.RANKS:
            inside = small.inside(index, n)
        else:  # seen as unsigned, negative numbers are large: one pass for both bounds
            inside = _max(index.view(UNSIGNED[index.dtype]), None) < n
    else:
        inside = index.min() >= 0 and index.max() < n
    return None if inside else index[(index < 0) | (index >= n)].reshape(-1)[0]


def check_bounds(index: np.ndarray, n: int, dim: int, error: type = RuntimeError, prefix: str = "") -> None:
    bad = out_of_bounds(index, n)
    if bad is not None:
        raise error(f"{prefix}index {bad} is out of bounds for dimension {dim} with size {n}")


def size_at(shape: tuple, dim: int) -> int:
    return shape[dim] if shape else 1


def check_scatter(name: str, input: Tensor, dim: int, index: np.ndarray, source: Tensor | None) -> None:
    """The checks that gather and the scatters share; `source` is None for gather and for numbers."""
    shape = input._data.shape
    if index.dtype not in INT_KINDS and index.size:
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    if source is not None and source._data.dtype != input._data.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype")
    if not index.size:
        return
    if index.shape == shape and shape and (source is None or source._data.shape == shape):
        check_bounds(index, shape[dim], dim)
        return
    whose = "input" if name == "gather" else "self"
    if max(index.ndim, 1) != max(len(shape), 1):
        raise RuntimeError(f"Index tensor must have the same number of dimensions as {whose} tensor")
    others = [d for d, (n, m) in enumerate(zip(index.shape, shape)) if n > m and d != dim]
    if source is None:
        if others:
            fault = f"{list(index.shape)} to be no larger than self {list(shape)} apart from dimension {dim}"
            raise RuntimeError(f"Size does not match at dimension {others[0]} expected index {fault}")
    else:
        if max(index.ndim, 1) != max(source._data.ndim, 1):
            raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
        if others or any([n > m for n, m in zip(index.shape, source._data.shape)]):
            raise RuntimeError(
                f"Expected index {list(index.shape)} to be no larger than self {list(shape)} apart from dimension {dim} and to be no "
                f"larger size than src {list(source._data.shape)}"
            )
    check_bounds(index, size_at(shape, dim), dim)


def shaped(t: Tensor, like: Tensor) -> Tensor:
    """A 0-dim source as a vector if the index is one."""
    return t if t._data.ndim == like._data.ndim else reshape(t, (t._data.size,) if like._data.ndim else ())


def check_flat(name: str, input: Tensor, index: np.ndarray) -> None:
    if index.dtype != np.int64:
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {dtypes.LEGACY[dtypes.BY_NUMPY[index.dtype]]}")
    n = input._data.size
    if not index.size:
        return
    if not n:
        raise IndexError(f"{name}(): tried to {'take from' if name == 'take' else 'put elements into'} an empty tensor")
    bad = memory(index)[memory((index < -n) | (index >= n))].reshape(-1)
    if bad.size:
        raise IndexError(f"out of range: tried to access index {bad[0]} on a tensor of {n} elements.")


def common_shape(input: Tensor, mask: Tensor) -> tuple:
    try:
        return np.broadcast_shapes(input._data.shape, mask._data.shape)
    except ValueError:
        raise broadcast_error(mask._data, input._data) from None




# Writing by an index for each element


def put_arguments(name: str, self: Tensor, indices: Any, values: Any) -> tuple[tuple, Tensor]:
    require_tensor(name, self)
    if not isinstance(indices, (tuple, list)):
        raise TypeError(f"{name}(): argument 'indices' (position 1) must be tuple of Tensors, not {type(indices).__name__}")
    require_tensor(name, values, "values", 2)
    where: list = []
    for i, item in enumerate(indices):
        if item is not None and not isinstance(item, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(item).__name__}")
        array = FULL if item is None else index_array(item._data)
        where.append(np.asarray(array) if array.__class__ is int else array)
    rank = len(where) + len([w for w in where if w is not FULL and w.dtype.kind == "b" for _ in range(w.ndim - 1)])
    if rank > self._data.ndim:
        raise IndexError(f"too many indices for tensor of dimension {self._data.ndim} (got {rank})")
    while where and where[-1] is FULL:
        where.pop()
    if not where:
        raise RuntimeError(f"{name}(): at least one index tensor is needed")
    return tuple(where), fitting(value_for(self, tuple(where), values))


def called(op: Any, operands: tuple) -> Tensor:
    return op(*operands)


@public
def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """`input` with `input[indices] = values`, or `+=` if `accumulate`; indices is a tuple of tensors.

    Example:
        >>> index_put(zeros(3), (tensor([0, 0]),), tensor(1.), accumulate=True)
        tensor([2., 0., 0.])
    """
    return put_at(called, input, *put_arguments("index_put", input, indices, values), accumulate)


@public
def index_put_(self: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """`self[indices] = values` in place, or `+=` if `accumulate`."""
    return put_at(ops.write_over, self, *put_arguments("index_put_", self, indices, values), accumulate)


@writes
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
            warn_once(
                "The reduce argument of torch.scatter with Tensor src is deprecated and will be removed in a future PyTorch release. Use "
                "torch.scatter_reduce instead for more reduction options."
            )
        return ops.scatter_combine, (input, index, getattr(source, "_data", source), d, np.add if reduce == "add" else np.multiply)
    return (ops.scatter, (input, index, source, d)) if is_tensor else (ops.scatter_value, (input, index, d, source))


def added(input: Any, dim: Any, index: Any, src: Any) -> Tensor | None:
    """The shorter way of `scatter_add`, for an index and a source of the input's shape."""
    if not isinstance(input, Tensor) or not isinstance(index, Tensor) or not isinstance(src, Tensor) or dim.__class__ is not int:
        return None
    a, places, b = input._data, index._data, src._data
    shape = a.shape
    if places.dtype is not I64 or b.dtype is not a.dtype or not shape == places.shape == b.shape or not 0 <= dim < len(shape):
        return None
    return None if out_of_bounds(places, shape[dim]) is not None else _scatter_add(input, index, src, dim)


@shortcut(added)
@writes
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


@writes
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


@writes
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
        given = f"dim: {places.ndim} with type: {kind_of(index)} and size: {list(places.shape)}"
        raise IndexError(f"index_add_(): Index is supposed to be a vector, but got {given}")
    shape, other = input._data.shape, source._data.shape
    size = other[d] if d < len(other) else 1
    if places.size != size:
        raise RuntimeError(f"index_add_(): Number of indices ({places.size}) should be equal to source.size(dim): ({size}), for dim: {d}")
    if other and (len(shape) != len(other) or [n for k, n in enumerate(shape) if k != d] != [n for k, n in enumerate(other) if k != d]):
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. Got "
            f"self.shape = {list(shape)} source.shape = {list(other)}"
        )
    check_bounds(places, size_at(shape, d), d)
    if input._data.dtype.kind != "c":
        alpha = number_array(alpha, input._data.dtype).item()
    return rowwise(ops.index_add, input, index, source, d, alpha)


def rowwise(op: Any, input: Tensor, index: Tensor, source: Any, dim: int, *statics: Any) -> Any:
    """The call of a row op; index is a vector, and 0-dim tensors go as vectors of one."""
    index = index if index._data.ndim else reshape(index, (1,))
    if isinstance(source, Tensor) and not source._data.ndim and input._data.ndim:
        source = reshape(source, (1,))
    return op if input._data.ndim else as_vector(op), (input, index, source, dim, *statics)


def as_vector(op: Any) -> Callable:
    """A row op for 0-dim tensors: on vectors of one element, and back."""

    def call(input: Tensor, index: Tensor, source: Tensor, *statics: Any) -> Tensor:
        return reshape(op(reshape(input, (1,)), index, reshape(source, (-1,)), *statics), ())

    return call


@writes
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
        kinds = f"(self) {kind_of(input)} and (source) {kind_of(source)}"
        raise RuntimeError(f"index_copy_(): self and source expected to have the same dtype, but got {kinds}")
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
            f"index_copy_(): Source/destination tensor must have same slice shapes. Destination slice shape: {words[0]} at dimension {d} "
            f"and source slice shape: {words[1]} at dimension 0."
        )
    check_bounds(places, size_at(shape, d), d, IndexError, "index_copy_(): ")
    return rowwise(ops.index_copy, input, index, source, d)


@writes
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
    bad = memory(places)[memory((places < -n) | (places >= n))].reshape(-1)
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
        value = cast(value, input.dtype)
    return (ops.index_fill_tensor, (input, index, value, d)) if input._data.ndim else (ops.copy, (input, value))


@writes
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
    warn_once("index_reduce() is in beta and the API may change at any time.", 5)
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


@writes
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
        kinds = f"self.dtype = {kind_of(input)} and source.dtype = {kind_of(source)}"
        raise RuntimeError(f"put_(): self and source expected to have the same dtype, but got {kinds}")
    if places.size != source._data.size:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source._data.size}, index.numel() = {places.size}"
        )
    check_flat("put_", input, places)
    return ops.put, (input, index, source, accumulate)


@writes
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
    return ops.write_over(ops.index_put, (self, number_array(fill_value, self._data.dtype), spot))


globals().update(IN_PLACE)

__all__ = [
    "index_add", "index_copy", "index_fill", "index_put", "index_reduce", "masked_scatter", "put", "scatter", "scatter_add",
    "scatter_reduce",
]  # fmt: skip
__all__ += ["index_put_"]  # the one in-place form that is a function too
METHODS = sorted({*__all__, *IN_PLACE, "fill_diagonal_"})
