"""Views: the same elements, in the same memory, in another shape or another order of the dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule._core.types import Size
from chainrule._core.warn import warn_once
from chainrule.functions.arguments import as_shape, require_tensor, wrap_dim, wrap_dims
from chainrule.ops import shape as ops
from chainrule.ops.overrides import public
from chainrule.ops.shape import look
from chainrule.tensor import Tensor

NOT_VIEWABLE = (
    "view size is not compatible with input tensor's size and stride (at least one dimension spans across two contiguous subspaces). "
    "Use .reshape(...) instead."
)
NOT_MATRICES = "tensor.{} is only supported on matrices or batches of matrices. Got {}-D tensor."


# Other shapes


def filled(function: str, shape: tuple, count: int) -> tuple[int, ...]:
    """A wanted shape with its -1, if any, worked out; RuntimeError if it does not hold `count` elements."""
    shape = as_shape(function, (shape,))
    unknown = [i for i, n in enumerate(shape) if n == -1]
    for i, n in enumerate(shape):
        if n < -1:
            raise RuntimeError(f"invalid shape dimension {n} at index {i} of shape {list(shape)}")
    if len(unknown) > 1:
        raise RuntimeError("only one dimension can be inferred")
    known = math.prod([n for n in shape if n != -1])
    if unknown and known == 0 and count == 0:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 can be any value and "
            "is ambiguous"
        )
    if known != count and not (unknown and known and count % known == 0):
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {count}")
    return tuple([count // known if n == -1 else n for n in shape])


@public
def view(input: Tensor, *shape: Any, size: Any = None, dtype: dtypes.dtype | None = None) -> Tensor:
    """The same memory in another shape (one size may be -1, to be worked out), or read as another dtype.

    Raises RuntimeError if the elements do not fit the shape, or not without a copy; `reshape` then copies.

    Example:
        >>> arange(6).view(2, -1)
        tensor([[0, 1, 2],
                [3, 4, 5]])
    """
    if len(shape) == 1 and not isinstance(shape[0], int):
        shape = shape[0]
        if isinstance(shape, dtypes.dtype):
            return view_dtype(input, shape)
        if not isinstance(shape, (tuple, list)):
            shape = (shape,)
    elif dtype is not None:
        return view_dtype(input, dtype)
    elif size is not None:
        shape = size
    elif not shape:
        raise TypeError("view() received an invalid combination of arguments - got (), but expected a dtype or a tuple of ints")
    a = input._data
    try:
        y = a.reshape(shape) if a.flags.c_contiguous else a.reshape(shape, copy=False)
    except (ValueError, TypeError):
        y = a.reshape(filled("view", shape, a.size))
        if not np.may_share_memory(y, a) and a.size:
            raise RuntimeError(NOT_VIEWABLE) from None
    made = y.shape
    if made != shape and not (-1 in shape and a.size):
        filled("view", shape, a.size)
    return look(ops.view, input, y, made)


def view_dtype(input: Tensor, dtype: dtypes.dtype) -> Tensor:
    """The same bytes read as another type; the last dimension shrinks or grows if the sizes of the types differ."""
    a, target = input._data, dtype.numpy
    if a.dtype == target:
        return ops.share(input, a)
    old, new = a.itemsize, target.itemsize
    if old != new:
        why = f"to view {dtypes.LEGACY[input.dtype]} as {dtypes.LEGACY[dtype]} (different element sizes)"
        if not a.ndim:
            raise RuntimeError(f"self.dim() cannot be 0 {why}")
        if a.strides[-1] != old and a.shape[-1] > 1:
            raise RuntimeError(f"self.stride(-1) must be 1 {why}, but got {a.strides[-1] // old}")
        if new > old and a.shape[-1] % (new // old):
            raise RuntimeError(f"self.size(-1) must be divisible by {new // old} {why}, but got {a.shape[-1]}")
    return ops.share(input, a.view(target))


@public
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """`input` in the shape of `other`, as a view."""
    require_tensor("view_as", other, "other")
    return view(input, other._data.shape)


@public
def reshape(input: Tensor, *shape: Any, **named: Any) -> Tensor:
    """The same elements in another shape: a view if that can be, else a copy. One size may be -1, to be worked out.

    Raises RuntimeError if the elements do not fit the shape.

    Example:
        >>> reshape(arange(6), (3, 2)).t().reshape(-1)
        tensor([0, 2, 4, 1, 3, 5])
    """
    if not isinstance(input, Tensor):
        require_tensor("reshape", input)
    if named:
        shape = (named.pop("shape"),) if "shape" in named else shape
        if named:
            raise TypeError(f"reshape() got an unexpected keyword argument '{next(iter(named))}'")
    if len(shape) == 1 and not isinstance(shape[0], int):
        shape = shape[0] if isinstance(shape[0], (tuple, list)) else as_shape("reshape", shape)
    return reshaped(input, shape)


def reshaped(input: Tensor, shape: Any) -> Tensor:
    """`reshape`, its arguments unpacked."""
    a = input._data
    try:
        y = a.reshape(shape)
    except (ValueError, TypeError):
        y = a.reshape(filled("reshape", shape, a.size))
    made = y.shape
    if made != shape and not (-1 in shape and a.size):  # then NumPy has worked it out
        filled("reshape", shape, a.size)
    if not a.flags.c_contiguous:
        try:
            y = a.reshape(made, copy=False)
        except ValueError:
            return ops.reshape(input, made)
    return look(ops.view, input, y, made)


@public
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """`input` in the shape of `other`."""
    require_tensor("reshape_as", other, "other")
    return reshaped(input, other._data.shape)


@public
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from `start_dim` to `end_dim` as one. Example: `flatten(ones(2, 3, 4), 1).shape` is `torch.Size([2, 12])`."""
    require_tensor("flatten", input)
    shape = input._data.shape
    start, end = wrap_dim(start_dim, len(shape)), wrap_dim(end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not shape:
        return reshaped(input, (1,))
    if start == end:
        return input
    return reshaped(input, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


@public
def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension; copied only if they must be."""
    require_tensor("ravel", input)
    a = input._data
    flat = input if a.flags.c_contiguous else ops.clone(input, "C")
    return look(ops.view, flat, flat._data.reshape(a.size), (a.size,))


@public
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dimension as several; one of `sizes` may be -1. Example: `unflatten(ones(2, 12), 1, (3, -1)).shape` is (2, 3, 4)."""
    require_tensor("unflatten", input)
    d = wrap_dim(dim, input._data.ndim)
    if not isinstance(sizes, (tuple, list)):
        raise TypeError(f"unflatten(): argument 'sizes' (position 2) must be tuple of ints, not {type(sizes).__name__}")
    if not len(sizes):
        raise RuntimeError("unflatten: sizes must be non-empty")
    shape = input._data.shape
    try:
        parts = filled("unflatten", tuple(sizes), shape[d])
    except RuntimeError as error:
        if "invalid for" not in str(error):
            raise
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {d} ({shape[d]}) in the input tensor"
        ) from None
    return view(input, (*shape[:d], *parts, *shape[d + 1 :]))


@public
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """`input` without its dimensions of size 1, or without those of `dim` (an int or a tuple) that have size 1.

    Example: `squeeze(ones(2, 1, 3)).shape` is `torch.Size([2, 3])`.
    """
    require_tensor("squeeze", input)
    a = input._data
    shape = a.shape
    if dim is None:
        y, op = a.squeeze(), ops.squeeze
    elif isinstance(dim, (tuple, list)):
        dims = wrap_dims(dim, a.ndim, empty_is_all=False) or ()
        y, op = a.squeeze(tuple([d for d in dims if shape[d] == 1])), ops.squeeze_dims
    else:
        d = wrap_dim(dim, a.ndim)
        y, op = a.squeeze(d) if shape and shape[d] == 1 else a[...], ops.squeeze_dim
    return look(op, input, y, y.shape)


@public
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """`input` with a dimension of size 1 put in at `dim`. Example: `unsqueeze(ones(3), 0).shape` is `torch.Size([1, 3])`."""
    require_tensor("unsqueeze", input)
    a = input._data
    shape = a.shape
    d = wrap_dim(dim, a.ndim + 1)
    shape = (*shape[:d], 1, *shape[d:])
    return look(ops.unsqueeze, input, a.reshape(shape), shape)


# Broadcasting


@public
def expand(input: Tensor, *sizes: Any, size: Any = None, implicit: bool = False) -> Tensor:
    """Dimensions of size 1, and new leading ones, repeated to `sizes` without copying; -1 leaves a dimension as it is.

    Example: `ones(3, 1).expand(-1, 4).shape` is `torch.Size([3, 4])`.
    """
    shape = sizes if size is None else (size,)
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = shape[0]
    held = input._data.shape
    lead = len(shape) - len(held)
    if lead < 0:
        raise RuntimeError(
            f"expand({input_type(input)}{{{list(held)}}}, size={list(shape)}): the number of sizes provided ({len(shape)}) must be greater "
            f"or equal to the number of dimensions in the tensor ({len(held)})"
        )
    full = []
    for i, n in enumerate(shape):
        own = held[i - lead] if i >= lead else None
        if n == -1:
            if own is None:
                raise RuntimeError(f"The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension {i}")
            n = own
        elif own is not None and own != n and own != 1:
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({own}) at non-singleton dimension {i}.  "
                f"Target sizes: {list(shape)}.  Tensor sizes: {list(held)}"
            )
        elif n < 0:
            raise RuntimeError(f"expand({input_type(input)}{{{list(held)}}}, size={list(shape)}): negative sizes are not allowed")
        full.append(n)
    shape = tuple(full)
    try:
        y = ops.expand.kernel(input._data, shape)
    except TypeError:
        shape = as_shape("expand", (shape,))
        y = ops.expand.kernel(input._data, shape)
    return look(ops.expand, input, y, shape)


def input_type(t: Tensor) -> str:
    return f"torch.{dtypes.LEGACY[t.dtype]}Tensor"


@public
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """`input` expanded to the shape of `other`."""
    require_tensor("expand_as", other, "other")
    return expand(input, other._data.shape)


@public
def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """`input` expanded to `size`. Example: `broadcast_to(ones(3), (2, 3)).shape` is `torch.Size([2, 3])`."""
    require_tensor("broadcast_to", input)
    return expand(input, tuple(size))


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that values of these shapes (tuples, or ints for one dimension) broadcast to; RuntimeError if they do not.

    Example: `broadcast_shapes((2, 1), (3,))` is `torch.Size([2, 3])`.
    """
    many = [as_shape("broadcast_shapes", (s,)) for s in shapes]
    result = [1] * max([len(s) for s in many], default=0)
    for k, shape in enumerate(many):
        for d in range(-1, -len(shape) - 1, -1):
            n = shape[d]
            if n < 0:
                raise ValueError("Attempting to broadcast a dimension with negative length!")
            if n not in (1, result[d]):
                if result[d] != 1:
                    raise RuntimeError(
                        f"Attempting to broadcast a dimension of length {n} at {d}! Mismatching argument at index {k} had {shape}; but "
                        f"expected shape should be broadcastable to {result}"
                    )
                result[d] = n
    return Size(result)


@public
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors expanded to the shape that they broadcast to."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    for i, t in enumerate(tensors):
        require_tensor("broadcast_tensors", t, "tensors", i + 1)
    shape: tuple = ()
    for t in tensors:
        shape = pair_shape(shape, t._data.shape)
    return tuple([t if t._data.shape == shape else expand(t, shape) for t in tensors])


@public
def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """The sum over the dimensions along which `size` would be broadcast to the shape of `input`: the transpose of `expand`.

    Example: `ones(2, 3).sum_to_size(1, 3)` is `tensor([[2., 2., 2.]])`.
    """
    if not size:
        raise TypeError('sum_to_size() missing 1 required positional arguments: "size"')
    target, shape = as_shape("sum_to_size", size), input._data.shape
    lead = len(shape) - len(target)
    if lead < 0 or any([n not in (1, m) for n, m in zip(target, shape[lead:])]):
        raise RuntimeError(f"size {{{list(target)}}} is not expandable to size {{{list(shape)}}}.")
    if not target:
        return input.sum()
    if target == shape:
        return input
    dims = (*range(lead), *[i for i in range(lead, len(shape)) if target[i - lead] == 1 != shape[i]])
    result = input.sum(dims, True)
    return result if result._data.shape == target else reshaped(result, target)


def pair_shape(one: tuple, two: tuple) -> tuple:
    """The shape that two shapes broadcast to, or PyTorch's error for operands a and b."""
    n = max(len(one), len(two))
    a, b = (1,) * (n - len(one)) + one, (1,) * (n - len(two)) + two
    for d in range(n - 1, -1, -1):
        if a[d] != b[d] and 1 not in (a[d], b[d]):
            raise RuntimeError(f"The size of tensor a ({a[d]}) must match the size of tensor b ({b[d]}) at non-singleton dimension {d}")
    return tuple([q if p == 1 else p for p, q in zip(a, b)])


# Other orders of the dimensions


@public
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged. Example: `transpose(ones(2, 3), 0, 1).shape` is `torch.Size([3, 2])`."""
    if not isinstance(input, Tensor):
        require_tensor("transpose", input)
    a = input._data
    try:
        d0, d1 = wrap_dim(dim0, a.ndim), wrap_dim(dim1, a.ndim)
    except TypeError:
        i, dim = (0, dim0) if not hasattr(dim0, "__index__") else (1, dim1)
        raise TypeError(f"transpose(): argument 'dim{i}' (position {i + 2}) must be int, not {type(dim).__name__}") from None
    return look(ops.transpose, input, a.swapaxes(d0, d1) if a.ndim else a[...], d0, d1)


@public
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Two dimensions exchanged: `transpose` by NumPy's name."""
    return transpose(input, axis0, axis1)


@public
def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged: `transpose` by another name."""
    return transpose(input, dim0, dim1)


@public
def t(input: Tensor) -> Tensor:
    """A matrix transposed; a vector or a number as it is. Raises RuntimeError for more dimensions."""
    require_tensor("t", input)
    if input._data.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input._data.ndim}D")
    return look(ops.t, input, input._data.T)


@public
def permute(input: Tensor, dims: Any, *more: int) -> Tensor:
    """The dimensions in the order `dims`. Example: `permute(ones(2, 3, 4), (2, 0, 1)).shape` is `torch.Size([4, 2, 3])`."""
    if not isinstance(input, Tensor):
        require_tensor("permute", input)
    a = input._data
    order = (dims, *more) if more else tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)
    n = len(order)
    try:
        if n != a.ndim or not n:
            raise ValueError
        return look(ops.permute, input, a.transpose(order), tuple([d % n for d in order]))
    except (TypeError, ValueError):
        return permute_checked(input, order)


def permute_checked(input: Tensor, order: tuple) -> Tensor:
    """`permute` for no dimensions, and the errors for what is no permutation."""
    a, order = input._data, as_shape("permute", (order,))
    if len(order) != a.ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of dimensions "
            f"i.e. input.dim() = {a.ndim} is not equal to len(dims) = {len(order)}"
        )
    order = tuple([wrap_dim(d, a.ndim) for d in order])
    if len({*order}) != len(order):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return look(ops.permute, input, a.transpose(order), order)


@public
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """The dimensions `source` (an int or a tuple) moved to `destination`, the others in their order.

    Example: `movedim(ones(2, 3, 4), 0, -1).shape` is `torch.Size([3, 4, 2])`.
    """
    require_tensor("movedim", input)
    n = input._data.ndim
    froms = (source,) if not isinstance(source, (tuple, list)) else tuple(source)
    tos = (destination,) if not isinstance(destination, (tuple, list)) else tuple(destination)
    if len(froms) != len(tos):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(froms)} dims) should contain the same number of dims as "
            f"destination ({list(tos)} dims)"
        )
    wrapped = [wrap_dim(d, n) for d in froms], [wrap_dim(d, n) for d in tos]
    for word, given, dims in zip(("source", "destination"), (froms, tos), wrapped):
        if len({*dims}) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{word}` ({list(given)})")
    if not n:
        return look(ops.alias, input, input._data[...])
    placed = dict(zip(wrapped[1], wrapped[0]))
    rest = iter([d for d in range(n) if d not in wrapped[0]])
    return permute(input, tuple([placed[d] if d in placed else next(rest) for d in range(n)]))


@public
def moveaxis(input: Tensor, source: Any, destination: Any) -> Tensor:
    """The dimensions `source` moved to `destination`: `movedim` by NumPy's name."""
    return movedim(input, source, destination)


@public
def adjoint(input: Tensor) -> Tensor:
    """The conjugate of matrices, the last two dimensions exchanged. Raises RuntimeError for fewer than two dimensions."""
    require_tensor("adjoint", input)
    n = input._data.ndim
    if n == 1:
        raise RuntimeError(NOT_MATRICES.format("adjoint()", n))
    if not n:
        warn_once("adjoint() is deprecated on 0-D tensors. Consider using x.conj().")
    return (matrix_transpose(input) if n else input).conj()


@public
def reversed_dims(input: Tensor) -> Tensor:
    """`x.T`: the dimensions in reverse order."""
    n = input._data.ndim
    if not n:
        warn_once("Tensor.T is deprecated on 0-D tensors. This function is the identity in these cases.")
    elif n != 2:
        warn_once(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will throw an error in a "
            "future release. Consider `x.mT` to transpose batches of matrices or `x.permute(*torch.arange(x.ndim - 1, -1, -1))` to reverse "
            "the dimensions of a tensor."
        )
    return look(ops.permute, input, input._data.T, tuple(range(n - 1, -1, -1)))


@public
def matrix_transpose(input: Tensor) -> Tensor:
    """`x.mT`: the last two dimensions exchanged."""
    n = input._data.ndim
    if n < 2:
        if n:
            raise RuntimeError(NOT_MATRICES.format("mT", n))
        warn_once("Tensor.mT is deprecated on 0-D tensors. This function is the identity in these cases.")
        return look(ops.permute, input, input._data[...], ())
    return look(ops.transpose, input, input._data.swapaxes(n - 2, n - 1), n - 2, n - 1)


@public
def conjugate_transpose(input: Tensor) -> Tensor:
    """`x.H`: a matrix's conjugate transpose."""
    n = input._data.ndim
    if not n:
        warn_once("Tensor.H is deprecated on 0-D tensors. Consider using x.conj().")
        return input.conj()
    if n != 2:
        batches = " For batches of matrices, consider using tensor.mH" if n > 2 else ""
        raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {n}-D tensor.{batches}")
    return matrix_transpose(input).conj()


@public
def matrix_adjoint(input: Tensor) -> Tensor:
    """`x.mH`: the conjugate of matrices, the last two dimensions exchanged."""
    n = input._data.ndim
    if not n:
        warn_once("Tensor.mH is deprecated on 0-D tensors. Consider using x.conj().")
        return input.conj()
    if n == 1:
        raise RuntimeError(NOT_MATRICES.format("mH", n))
    return matrix_transpose(input).conj()


__all__ = [
    "adjoint", "broadcast_shapes", "broadcast_tensors", "broadcast_to", "flatten", "moveaxis", "movedim", "permute", "ravel", "reshape",
    "squeeze", "swapaxes", "swapdims", "t", "transpose", "unflatten", "unsqueeze",
]  # fmt: skip
_MORE = ["broadcast_to", "expand", "expand_as", "reshape_as", "sum_to_size", "view", "view_as"]
METHODS = [*[n for n in __all__ if not n.startswith("broadcast_")], *_MORE]
OPERATORS = {
    "T": property(reversed_dims), "mT": property(matrix_transpose), "H": property(conjugate_transpose), "mH": property(matrix_adjoint),
}  # fmt: skip
