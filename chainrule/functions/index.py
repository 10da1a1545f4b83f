"""The public functions that read by index tensors and masks; `t[...]` is `functions.subscript`, writing is `functions.scatter`."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions import scatter as writing, search
from chainrule.functions.arguments import require_tensor, wrap_dim
from chainrule.functions.scatter import I64, INT_KINDS, check_flat, check_scatter, common_shape, out_of_bounds, require_index, size_at
from chainrule.functions.subscript import contains, getitem, setitem
from chainrule.ops import index as ops
from chainrule.ops.eager import eager
from chainrule.ops.inplace import check_memory, write_out
from chainrule.ops.overrides import public, shortcut
from chainrule.ops.pointwise_form import broadcast_error
from chainrule.ops.shape import expand, reshape
from chainrule.tensor import Tensor, wrap

_gather, _index_select = eager(ops.gather), eager(ops.index_select)


def finish(name: str, result: Tensor, out: Any, *inputs: Tensor) -> Tensor:
    """The result, or `out` with it in; out may not look at the memory of the inputs."""
    if out is None:
        return result
    if isinstance(out, Tensor):
        check_memory(out._data)
        if any([np.may_share_memory(out._data, t._data) for t in inputs]):
            raise RuntimeError(
                "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. "
                "Please clone() the tensor before performing the operation."
            )
    return write_out(name, out, result)


def selected(input: Any, dim: Any, index: Any) -> Tensor | None:
    """The shorter way of `index_select`, for a vector of int64."""
    if not isinstance(input, Tensor) or not isinstance(index, Tensor) or dim.__class__ is not int:
        return None
    places, shape = index._data, input._data.shape
    if places.ndim != 1 or places.dtype is not I64 or not 0 <= dim < len(shape) or out_of_bounds(places, shape[dim]) is not None:
        return None
    return _index_select(input, index, dim)


@shortcut(selected)
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
    outside = out_of_bounds(places, size_at(shape, d))
    if outside is not None:
        if d != 1:  # as PyTorch's two kernels say it
            raise IndexError("index out of range in self")
        raise RuntimeError(f"INDICES element is out of DATA bounds, id={outside} axis_dim={shape[d]}")
    if not shape:
        return finish("index_select", reshape(ops.index_select(reshape(input, (1,)), reshape(index, (1,)), 0), ()), out, input, index)
    result = _index_select(input, index if places.ndim else reshape(index, (1,)), d)
    return result if out is None else finish("index_select", result, out, input, index)


def gathered(input: Any, dim: Any, index: Any) -> Tensor | None:
    """The shorter way of `gather`, for an index of the input's shape."""
    if not isinstance(input, Tensor) or not isinstance(index, Tensor) or dim.__class__ is not int:
        return None
    places, shape = index._data, input._data.shape
    if places.dtype is not I64 or places.shape != shape or not 0 <= dim < len(shape) or out_of_bounds(places, shape[dim]) is not None:
        return None
    return _gather(input, index, dim)


@shortcut(gathered)
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
    if out is None:
        return _gather(input, index, d)
    if out.dtype is not input.dtype:
        raise RuntimeError(f"Expected out tensor to have dtype {dtypes.CPP[input.dtype]}, but got {dtypes.CPP[out.dtype]} instead")
    return finish("gather", _gather(input, index, d), out, input, index)


@public
def take(input: Tensor, index: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The elements of the flattened `input` at `index` (negative: from the end), in index's shape.

    Example:
        >>> take(tensor([[1, 2], [3, 4]]), tensor([0, -1]))
        tensor([1, 4])
    """
    require_tensor("take", input)
    check_flat("take", input, require_index("take", index, 2))
    return finish("take", ops.take(input, index), out, input, index)


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
    whole = input if input._data.shape == shapes[0] else expand(input, shapes[0])
    return finish("take_along_dim", ops.gather(whole, places, d), out)


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
    return finish("masked_select", ops.masked_select(*both), out, input, mask)


READING = ["gather", "index_select", "masked_select", "take", "take_along_dim"]
for _room in (writing, search):
    globals().update({name: getattr(_room, name) for name in (*_room.__all__, *_room.METHODS)})
__all__ = [*READING, *writing.__all__, *search.__all__]
METHODS = [*READING, *writing.METHODS, *search.METHODS]
OPERATORS = {"__getitem__": getitem, "__setitem__": setitem, "__contains__": contains}
