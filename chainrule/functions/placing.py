"""Placing: ops that repeat, turn, cut, pad or overwrite, diagonals and triangles, and the copying forms of views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule._core.types import require_cpu
from chainrule.autograd.node import Node, Output
from chainrule.functions import joining, memory, shape as views
from chainrule.functions.arguments import as_dtype, as_shape, require_tensor, wrap_dim, wrap_dims
from chainrule.functions.shape import expand, reshape, unsqueeze, view
from chainrule.ops import joining as joins, placing as ops, shape as looks
from chainrule.ops.eager import eager
from chainrule.ops.inplace import write_out
from chainrule.ops.overrides import public, shortcut
from chainrule.ops.padding import constant_pad, sides_of
from chainrule.ops.primitive import Primitive
from chainrule.ops.shape import look
from chainrule.tensor import Tensor, adopt, wrap

# Repeating


@public
def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """A copy, so many times along each dimension; further sizes in front add dimensions.

    Example: `ones(2).repeat(3, 2).shape` is `torch.Size([3, 4])`.
    """
    if not repeats:
        raise TypeError('repeat() missing 1 required positional arguments: "repeats"')
    counts = as_shape("repeat", repeats)
    shape = input._data.shape
    if len(counts) < len(shape):
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    if any([n < 0 for n in counts]):
        full = [r * n for r, n in zip(counts, (1,) * (len(counts) - len(shape)) + shape)]
        raise RuntimeError(f"Trying to create tensor with negative dimension {next(n for n in full if n < 0)}: {full}")
    return ops.repeat(input, counts)


@public
def tile(input: Tensor, dims: Any, *more: int) -> Tensor:
    """`repeat`, the counts filled up with ones in front. Example: `tile(ones(2, 2), (3,)).shape` is `torch.Size([2, 6])`."""
    require_tensor("tile", input)
    counts = as_shape("tile", (dims, *more))
    return repeat(input, (1,) * (input._data.ndim - len(counts)) + counts)


@public
def repeat_interleave(input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None) -> Tensor:
    """Each element, or each slice of `dim`, so many times in a row; `repeats` is a number or a tensor with one for each.

    `repeat_interleave(repeats)` gives the indices that do this.

    Example:
        >>> repeat_interleave(tensor([1, 2]), 2)
        tensor([1, 1, 2, 2])
    """
    require_tensor("repeat_interleave", input)
    if repeats is None:
        return wrap(interleaved(input, output_size))
    if dim is None:
        input, dim = reshape(input, (-1,)), 0
    n = input._data.ndim
    if isinstance(repeats, Tensor):
        d = wrap_dim(dim, n)
        if repeats._data.ndim == 0 or (repeats._data.size == 1 and input._data.shape[d] != 1):
            repeats = wrap(np.broadcast_to(repeats._data, (input._data.shape[d],)))
        elif repeats._data.ndim > 1:
            raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
        elif repeats._data.size != input._data.shape[d]:
            raise RuntimeError(
                f"repeats must have the same size as input along dim, but got repeats.size(0) = {repeats._data.size} and "
                f"input.size({d}) = {input._data.shape[d]}"
            )
        return input.index_select(d, wrap(interleaved(repeats, output_size)))
    if not hasattr(repeats, "__index__"):
        raise TypeError(f"repeat_interleave(): argument 'repeats' (position 2) must be Tensor or int, not {type(repeats).__name__}")
    count = repeats.__index__()
    if count < 0:
        raise RuntimeError("Repeats must be non-negative")
    d = wrap_dim(dim, n)
    if not n:
        input = reshape(input, (1,))
    shape = input._data.shape
    total = shape[d] * count
    if output_size is not None and output_size != total:
        raise RuntimeError(f"repeat_interleave: Invalid output_size, expected {total} but got {output_size}")
    many = expand(unsqueeze(input, d + 1), (*shape[: d + 1], count, *shape[d + 1 :]))
    return view(looks.clone(many, "C"), (*shape[:d], total, *shape[d + 1 :]))


def interleaved(repeats: Tensor, output_size: int | None) -> np.ndarray:
    """The index i as often as `repeats` says."""
    counts = repeats._data
    if counts.dtype not in (np.int32, np.int64):
        raise NotImplementedError(f"\"repeat_interleave_cpu\" not implemented for '{dtypes.LEGACY[repeats.dtype]}'")
    if counts.ndim != 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    if (counts < 0).any():
        raise RuntimeError("repeats can not be negative")
    if output_size is not None and output_size != counts.sum():
        raise RuntimeError("allocated size does not match required size")
    return np.repeat(np.arange(counts.size, dtype=counts.dtype), counts)


# Turning


_flip = eager(ops.flip)


@public
def flip(input: Tensor, dims: Any, *more: int) -> Tensor:
    """A copy with the elements of `dims` in reverse order. Example: `flip(arange(3), (0,))` is `tensor([2, 1, 0])`."""
    require_tensor("flip", input)
    if dims.__class__ is not tuple or more:
        dims = as_shape("flip", (dims, *more))
    return _flip(input, wrap_dims(dims, input._data.ndim, empty_is_all=False))


@public
def fliplr(input: Tensor) -> Tensor:
    """The columns in reverse order, as a copy. Raises RuntimeError for fewer than two dimensions."""
    require_tensor("fliplr", input)
    if input._data.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return ops.flip(input, (1,))


@public
def flipud(input: Tensor) -> Tensor:
    """The rows in reverse order, as a copy."""
    require_tensor("flipud", input)
    if not input._data.ndim:
        raise RuntimeError("Input must be >= 1-d.")
    return ops.flip(input, (0,))


@public
def roll(input: Tensor, shifts: Any, dims: Any = ()) -> Tensor:
    """The elements moved by `shifts` along `dims`, those that leave coming in at the other end; without `dims` in flat order.

    Example: `roll(arange(4), 1)` is `tensor([3, 0, 1, 2])`.
    """
    require_tensor("roll", input)
    moves, axes = as_shape("roll", (shifts,)), as_shape("roll", (dims,))
    if not moves:
        raise RuntimeError("`shifts` required")
    if len(moves) != len(axes) and not (len(moves) == 1 and not axes):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(moves)}, dims:{len(axes)}")
    where = tuple([wrap_dim(d, input._data.ndim, scalar_ok=False) for d in axes])
    return ops.roll(input, moves, where) if input._data.size else looks.clone(input)


@public
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """k quarter turns from the first of two dimensions towards the second.

    Example:
        >>> rot90(arange(4).view(2, 2))
        tensor([[1, 3],
                [0, 2]])
    """
    require_tensor("rot90", input)
    n = input._data.ndim
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if n < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {n}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == n:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    return ops.rot90(input, k % 4, tuple([wrap_dim(d, n) for d in dims]))


# Triangles and diagonals


def triangle(name: str, op: Primitive, doc: str) -> Callable:
    """`tril` and `triu`."""
    quick = eager(op)

    def cut(input: Tensor, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor:
        require_tensor(name, input)
        if input._data.ndim < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        if not hasattr(diagonal, "__index__"):
            raise TypeError(f"{name}(): argument 'diagonal' (position 2) must be int, not {type(diagonal).__name__}")
        result = quick(input, diagonal.__index__())
        return result if out is None else write_out(name, out, result)

    cut.__name__ = cut.__qualname__ = name
    cut.__doc__ = doc

    def whole(input: Any) -> Tensor | None:
        return quick(input, 0) if isinstance(input, Tensor) and input._data.ndim > 1 else None

    return shortcut(whole)(public(cut))


tril = triangle("tril", ops.tril, "The lower triangles of matrices, up to `diagonal` (0: the main one, above it positive); zeros above.")
triu = triangle("triu", ops.triu, "The upper triangles of matrices, from `diagonal` on (0: the main one, above it positive); zeros below.")


def triangle_indices(name: str, find: Callable) -> Callable:
    """`tril_indices` and `triu_indices`."""

    def indices(
        row: int, col: int, offset: int = 0, *, dtype: dtypes.dtype | None = dtypes.int64, device: Any = None, layout: Any = None,
        pin_memory: bool = False,
    ) -> Tensor:  # fmt: skip
        require_cpu(device)
        for word, n in (("row", row), ("col", col)):
            if n < 0:
                raise RuntimeError(f"{word} must be non-negative, got{n}")
        if not hasattr(offset, "__index__"):
            raise TypeError(f"{name}(): argument 'offset' (position 3) must be int, not {type(offset).__name__}")
        target = as_dtype(dtype) or dtypes.int64
        if target not in (dtypes.int32, dtypes.int64):
            raise NotImplementedError(f"\"{name}\" not implemented for '{dtypes.LEGACY[target]}'")
        return wrap(np.stack(find(row, offset, col)).astype(target.numpy))

    indices.__name__ = indices.__qualname__ = name
    corner = "lower" if name == "tril_indices" else "upper"
    indices.__doc__ = f"The places, a (2, n) tensor, of the {corner} triangle of a `row` x `col` matrix; `offset` moves the diagonal."
    return indices


tril_indices = public(triangle_indices("tril_indices", np.tril_indices))
triu_indices = public(triangle_indices("triu_indices", np.triu_indices))


def diagonal_dims(dim1: int, dim2: int, ndim: int) -> tuple[int, int]:
    d1, d2 = wrap_dim(dim1, ndim, scalar_ok=False), wrap_dim(dim2, ndim, scalar_ok=False)
    if d1 == d2:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return d1, d2


@public
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The view of a diagonal of two dimensions, which becomes the last dimension.

    Example: `diagonal(arange(4).view(2, 2))` is `tensor([0, 3])`.
    """
    require_tensor("diagonal", input)
    statics = (offset, *diagonal_dims(dim1, dim2, input._data.ndim))
    return look(looks.diagonal, input, looks.diagonal.kernel(input._data, *statics), *statics)


@public
def diag(input: Tensor, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor:
    """A copy of a matrix's diagonal, or the matrix that has a vector as its diagonal.

    Example: `diag(tensor([1, 2]))` is `tensor([[1, 0], [0, 2]])`.
    """
    require_tensor("diag", input)
    n = input._data.ndim
    if n not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {n}D")
    result = diag_embed(input, diagonal) if n == 1 else diagonal_copy(input, diagonal)
    return result if out is None else write_out("diag", out, result)


@public
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Zeros with the last dimension of `input` on a diagonal of the result's dimensions `dim1` and `dim2`.

    Example: `diag_embed(ones(3, 2)).shape` is `torch.Size([3, 2, 2])`.
    """
    require_tensor("diag_embed", input)
    n = input._data.ndim + 1
    d1, d2 = diagonal_dims(dim1, dim2, n)
    return joins.diag_embed(input, offset, d1, d2)


@public
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix that has all elements of `input` on a diagonal."""
    require_tensor("diagflat", input)
    return diag_embed(reshape(input, (-1,)), offset)


# Windows, padding, complex numbers


@public
def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """The view of all windows of `size` elements, `step` apart, of one dimension; what is inside a window is the last dimension.

    Example: `arange(5).unfold(0, 3, 2)` is `tensor([[0, 1, 2], [2, 3, 4]])`.
    """
    require_tensor("unfold", input)
    a = input._data
    d = wrap_dim(dimension, a.ndim)
    n = a.shape[d] if a.ndim else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {d} is {n} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    return looks.unfold(input, d, size, step)


@public
def constant_pad_nd(input: Tensor, pad: Sequence[int], value: Any = 0) -> Tensor:
    """`value` around a tensor: `pad` has (before, after) of the last dimension, then of the one before it, ...; negative ones cut.

    Example: `constant_pad_nd(ones(2), (1, 2))` is `tensor([0., 1., 1., 0., 0.])`.
    """
    require_tensor("constant_pad_nd", input)
    sides, shape = as_shape("constant_pad_nd", (tuple(pad),)), input._data.shape
    if len(sides) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(sides)}")
    if len(sides) > 2 * len(shape):
        raise RuntimeError(
            "Length of pad should be no more than twice the number of dimensions of the input. Pad length is "
            f"{len(sides)}while the input has {len(shape)}dimensions."
        )
    for i in range(0, len(sides), 2):
        n = shape[-1 - i // 2]
        if n + min(sides[i], 0) < 0 or n + min(sides[i], 0) + min(sides[i + 1], 0) < 0:
            raise RuntimeError("narrow(): length must be non-negative.")
        if n + sides[i] + sides[i + 1] < 0:
            raise RuntimeError(
                f"The input size {n}, plus negative padding {sides[i]} and {sides[i + 1]} resulted in a negative output size, which is "
                "invalid."
            )
    if isinstance(value, Tensor):
        value = value.item()
    kind = input._data.dtype.kind
    return constant_pad(input, sides_of(sides, len(shape)), bool(value) if kind == "b" else int(value) if kind in "iu" else value)


@public
def view_as_real(input: Tensor) -> Tensor:
    """The view of complex numbers as pairs of real ones. Example: `view_as_real(tensor([1 + 2j]))` is `tensor([[1., 2.]])`."""
    require_tensor("view_as_real", input)
    if input._data.dtype.kind != "c":
        raise RuntimeError("view_as_real is only supported for complex tensors")
    return looks.view_as_real(input)


@public
def view_as_complex(input: Tensor) -> Tensor:
    """The view of pairs of real numbers, in the last dimension, as complex ones."""
    require_tensor("view_as_complex", input)
    a = input._data
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: "
            f"{dtypes.LEGACY[input.dtype]}"
        )
    if not a.ndim:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if a.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    *strides, last = [s // a.itemsize for s in a.strides]
    if last != 1:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any([s % 2 for s in strides]):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    if looks.layout_of(a).offset % 2:
        raise RuntimeError("Tensor must have a storage_offset divisible by 2")
    return looks.view_as_complex(input)


@public
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of a vector's elements as rows, the highest (N - 1) first unless `increasing`.

    Example: `vander(tensor([2, 3]), 3)` is `tensor([[4, 2, 1], [9, 3, 1]])`.
    """
    require_tensor("vander", x)
    if x._data.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x._data.size if N is None else N
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    powers = np.arange(count)
    base = unsqueeze(x, 1)
    return base ** wrap(powers if increasing else powers[::-1].copy())  # type: ignore[operator]


# A part overwritten


def matching(src: Tensor, part: tuple, input: Tensor) -> Tensor:
    """What is to be written, in the type of what it is written into, checked to have the shape of the part."""
    if src._data.shape != part:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src._data.shape)}, slice size = {list(part)}"
        )
    return src if src._data.dtype == input._data.dtype else looks.cast(src, input.dtype)


@public
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy with `src` in the place that `select(dim, index)` sees."""
    require_tensor("select_scatter", input)
    d, i = joining.selected(input, dim, index)
    shape = input._data.shape
    return ops.select_scatter(input, matching(src, shape[:d] + shape[d + 1 :], input), d, i)


def slice_bounds(input: Tensor, dim: int, start: int | None, end: int | None, step: int) -> tuple[int, int, int, int]:
    """The arguments of a slice with its bounds within the dimension."""
    shape = input._data.shape
    if not shape:
        raise RuntimeError("slice() cannot be applied to a 0-dim tensor.")
    d = wrap_dim(dim, len(shape))
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    first, last, _ = slice(start, end, step).indices(shape[d])
    return d, first, max(first, last), step


@public
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1, *, out: Tensor | None = None
) -> Tensor:
    """A copy with `src` in the place of the slice `start:end:step` of `dim`."""
    require_tensor("slice_scatter", input)
    where = slice_bounds(input, dim, start, end, step)
    result = ops.slice_scatter(input, matching(src, looks.slice_dim.kernel(input._data, *where).shape, input), *where)
    return result if out is None else write_out("slice_scatter", out, result)


@public
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy with `src` on a diagonal."""
    require_tensor("diagonal_scatter", input)
    where = (offset, *diagonal_dims(dim1, dim2, input._data.ndim))
    return ops.diagonal_scatter(input, matching(src, looks.diagonal.kernel(input._data, *where).shape, input), *where)


@public
def as_strided_scatter(
    input: Tensor, src: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """A copy with `src` in the place that `as_strided` sees."""
    require_tensor("as_strided_scatter", input)
    source, target = memory.target_layout(input, size, stride, storage_offset)
    return ops.as_strided_scatter(input, matching(src, target.shape, input), source, target)


# Copying forms of views


@public
def slice_(input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    """The view `start:end:step` of one dimension."""
    return joining.part(input, *slice_bounds(input, dim, start, end, step))


@public
def alias(input: Tensor) -> Tensor:
    """Another view of the whole tensor."""
    return look(looks.alias, input, input._data[...])


_copying: dict[tuple, type] = {}


def copied(t: Tensor, name: str) -> Tensor:
    """A view's values in memory of their own; its node gets the name that PyTorch gives it for a copy."""
    y = adopt(Tensor, t._data.copy(order="C"))
    y._edge, y._tracked = t._edge, t._tracked
    if t._tangents is not None:
        y._tangents = t._tangents
    node = t._edge.node if type(t._edge) is Output else t._edge
    if isinstance(node, Node) and not getattr(node, "copies", False):
        kind = type(node)
        title = "NarrowCopyBackward0" if name == "narrow_copy" else f"{kind.__name__}_copy"
        if (kind, title) not in _copying:
            _copying[kind, title] = type(title, (kind,), {"__slots__": (), "__module__": kind.__module__, "copies": True})
        node.__class__ = _copying[kind, title]  # type: ignore[assignment]
    return y


def copying(view: Callable, name: str) -> Callable:
    """`view_copy`: a view's values in memory of their own."""

    def copy(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        seen = view(*args, **kwargs)
        result = tuple([copied(t, name) for t in seen]) if isinstance(seen, tuple) else copied(seen, name)
        if out is None:
            return result
        written = write_out(name, out, result)
        return written if isinstance(result, Tensor) else None

    copy.__name__ = copy.__qualname__ = name
    copy.__doc__ = f"As `{name.removesuffix('_copy')}`, but a copy in memory of its own."
    return public(copy)


def narrowed(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`narrow`, with the error that `narrow_copy` gives for a dimension that is not there."""
    if 0 < input._data.ndim <= dim:
        raise RuntimeError("Expected dim < static_cast<int64_t>(self_sizes.size()) to be true, but got false.")
    return joining.narrow(input, dim, start, length)


alias_copy = copying(alias, "alias_copy")
as_strided_copy = copying(memory.as_strided, "as_strided_copy")
detach_copy = copying(memory.detach, "detach_copy")
diagonal_copy = copying(diagonal, "diagonal_copy")
expand_copy = copying(expand, "expand_copy")
narrow_copy = copying(narrowed, "narrow_copy")
permute_copy = copying(views.permute, "permute_copy")
select_copy = copying(joining.select, "select_copy")
slice_copy = copying(slice_, "slice_copy")
split_copy = copying(joining.split, "split_copy")
split_with_sizes_copy = copying(joining.split_with_sizes, "split_with_sizes_copy")
squeeze_copy = copying(views.squeeze, "squeeze_copy")
t_copy = copying(views.t, "t_copy")
transpose_copy = copying(views.transpose, "transpose_copy")
unbind_copy = copying(joining.unbind, "unbind_copy")
unfold_copy = copying(unfold, "unfold_copy")
unsqueeze_copy = copying(views.unsqueeze, "unsqueeze_copy")
view_as_complex_copy = copying(view_as_complex, "view_as_complex_copy")
view_as_real_copy = copying(view_as_real, "view_as_real_copy")
view_copy = copying(view, "view_copy")

__all__ = [
    "alias_copy", "as_strided_copy", "as_strided_scatter", "constant_pad_nd", "detach_copy", "diag", "diag_embed", "diagflat",
    "diagonal", "diagonal_copy", "diagonal_scatter", "expand_copy", "flip", "fliplr", "flipud", "narrow_copy", "permute_copy",
    "repeat_interleave", "roll", "rot90", "select_copy", "select_scatter", "slice_copy", "slice_scatter", "split_copy",
    "split_with_sizes_copy", "squeeze_copy", "t_copy", "tile", "transpose_copy", "tril", "tril_indices", "triu", "triu_indices",
    "unbind_copy", "unfold_copy", "unsqueeze_copy", "vander", "view_as_complex", "view_as_complex_copy", "view_as_real",
    "view_as_real_copy", "view_copy",
]  # fmt: skip
METHODS = [
    "as_strided_scatter", "diag", "diag_embed", "diagflat", "diagonal", "diagonal_scatter", "flip", "fliplr", "flipud", "narrow_copy",
    "repeat", "repeat_interleave", "roll", "rot90", "select_scatter", "slice_scatter", "tile", "tril", "triu", "unfold",
]  # fmt: skip
INPLACE = ["tril", "triu"]
