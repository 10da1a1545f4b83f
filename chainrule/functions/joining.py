"""Joining and splitting: `cat` and `stack` and their kind, `split`, `chunk`, `unbind`; parts along a dimension; combinations of vectors."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule._core.warn import warn_once
from chainrule.functions.arguments import as_shape, require_tensor, tensors_of, wrap_dim
from chainrule.functions.shape import expand, reshape, unsqueeze, view
from chainrule.kernels.reductions import concatenate as joined_arrays
from chainrule.ops import joining as ops, shape as views
from chainrule.ops.inplace import write_out
from chainrule.ops.overrides import public, shortcut
from chainrule.ops.pointwise_form import operand, result_type
from chainrule.ops.shape import join, look, look_at_parts
from chainrule.tensor import Tensor, root_memory, wrap

# Joining

FEW = 1 << 12  # elements up to which np.array stacks faster than np.concatenate does


def arrays_alike(tensors: Any) -> list | None:
    """The arrays of a few tensors of one type and rank, none of them one that `cat` leaves out; None if they are not so."""
    if tensors.__class__ not in LISTS or not tensors or not isinstance(tensors[0], Tensor):
        return None
    first = tensors[0]._data
    if first.__class__ is not np.ndarray:
        return None
    dtype, rank = first.dtype, first.ndim
    arrays = [first]
    for t in tensors[1:]:
        if not isinstance(t, Tensor):
            return None
        a = t._data
        if a.__class__ is not np.ndarray or a.dtype is not dtype or a.ndim != rank:
            return None
        arrays.append(a)
    return None if rank == 1 and not all([a.size for a in arrays]) else arrays


LISTS = (list, tuple)


def alike(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """The tensors in the type that they promote to."""
    if len({t._data.dtype for t in tensors}) == 1:
        return tensors
    common = result_type(tensors)
    return [operand(t, common) for t in tensors]


def joined(tensors: Any, dim: Any) -> Tensor | None:
    """The shorter way of `cat`."""
    arrays = arrays_alike(tensors)
    if arrays is None or dim.__class__ is not int:
        return None
    try:
        y = joined_arrays(arrays, dim)
    except ValueError:  # which `cat` explains
        return None
    return join(ops.cat, tensors, y, dim if dim >= 0 else dim + y.ndim)


@shortcut(joined)
@public
def cat(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None) -> Tensor:
    """The tensors one after the other along `dim`; the other sizes must agree, types promote.

    Raises ValueError for no tensors and RuntimeError for sizes that differ.

    Example:
        >>> cat([ones(2), zeros(1)])
        tensor([1., 1., 0.])
    """
    if out is None and (result := joined(tensors, dim)) is not None:
        return result
    tensors = alike(checked("cat", tensors, "torch.cat(): expected a non-empty list of Tensors"))
    arrays = [t._data for t in tensors]
    lead = arrays[0]
    if lead.shape == (0,):
        lead = next((a for a in arrays if a.shape != (0,)), lead)
    d = wrap_dim(dim, lead.ndim)
    if out is not None and any([root_memory(out._data) is root_memory(a) for a in arrays]):
        raise RuntimeError(
            "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. Please "
            "clone() the tensor before performing the operation."
        )
    try:
        result = join(ops.cat, tensors, ops.cat.kernel(arrays, d), d)
    except ValueError:
        raise mismatch(tensors, lead, d) from None
    return result if out is None else write_out("cat", out, result)


def checked(function: str, tensors: Any, empty: str | None = None) -> Sequence[Tensor]:
    """A list of tensors that is not empty; if it is, a ValueError that says `empty`, or a RuntimeError."""
    tensors_of(function, tensors)
    if not tensors:
        raise RuntimeError(f"{function} expects a non-empty TensorList") if empty is None else ValueError(empty)
    return tensors


def mismatch(tensors: Sequence[Tensor], lead: np.ndarray, dim: int) -> RuntimeError:
    """Why `cat` cannot join."""
    for i, t in enumerate(tensors):
        a = t._data
        if not a.ndim:
            return RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
        if a.shape != (0,) and a.ndim != lead.ndim:
            return RuntimeError(f"Tensors must have same number of dimensions: got {lead.ndim} and {a.ndim}")
        for d, (n, m) in enumerate(zip(lead.shape, a.shape)):
            if d != dim and n != m and a.shape != (0,):
                return RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {n} but got size {m} for tensor "
                    f"number {i} in the list."
                )
    return RuntimeError("the tensors cannot be concatenated")


def stacked(tensors: Any) -> Tensor | None:
    """The shorter way of `stack`, along a new first dimension."""
    arrays = arrays_alike(tensors)
    if arrays is None:
        return None
    try:
        y = np.array(arrays) if arrays[0].size <= FEW else joined_arrays([a[None] for a in arrays], 0)
    except ValueError:  # which `stack` explains
        return None
    return join(ops.stack, tensors, y, 0)


@shortcut(stacked)
@public
def stack(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None) -> Tensor:
    """Tensors of one shape along a new dimension `dim`. Raises RuntimeError if the shapes differ.

    Example: `stack([ones(3), zeros(3)]).shape` is `torch.Size([2, 3])`.
    """
    if out is None and dim == 0 and (result := stacked(tensors)) is not None:
        return result
    tensors = alike(checked("stack", tensors))
    shape = tensors[0]._data.shape
    if any([t._data.shape != shape for t in tensors]):
        i, t = next((i, t) for i, t in enumerate(tensors) if t._data.shape != shape)
        if t._data.shape != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and {list(t._data.shape)} at entry {i}"
            )
    d = wrap_dim(dim, len(shape) + 1)
    result = join(ops.stack, tensors, ops.stack.kernel([t._data for t in tensors], d), d)
    return result if out is None else write_out("stack", out, result)


def joining(name: str, prepare: Callable, dim: Callable, doc: str) -> Callable:
    """A function that gives its tensors dimensions and then joins them."""

    def join(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
        ready = [prepare(t) for t in checked(name, tensors)]
        return cat(ready, dim(ready[0]._data.ndim), out=out)

    join.__name__ = join.__qualname__ = name
    join.__doc__ = doc
    return public(join)


def at_least(n: int) -> Callable:
    """The function that gives a tensor at least n dimensions."""

    def raised(t: Tensor) -> Tensor:
        have = t._data.ndim
        if have >= n:
            return t
        if not have:
            return reshape(t, (1,) * n)
        for d in ((0, -1), (-1,))[have - 1] if n == 3 else (0,):
            t = unsqueeze(t, d)
        return t

    return raised


def column(t: Tensor) -> Tensor:
    return reshape(t, (t._data.size, 1)) if t._data.ndim < 2 else t


hstack = joining("hstack", at_least(1), lambda n: int(n > 1), "Join along the columns: dimension 1, or 0 for vectors.")
vstack = joining("vstack", at_least(2), lambda n: 0, "Join along the rows: dimension 0, vectors being rows.")
dstack = joining("dstack", at_least(3), lambda n: 2, "Join in depth: along dimension 2, which is added if it is missing.")
column_stack = joining("column_stack", column, lambda n: 1, "Join along dimension 1, vectors being columns.")
concat = concatenate = cat
row_stack = vstack


def raising(name: str, n: int) -> Callable:
    """`atleast_nd`."""
    raised = at_least(n)

    def atleast(*tensors: Any) -> Any:
        if len(tensors) == 1 and isinstance(tensors[0], Tensor):
            return raised(tensors[0])
        if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
            tensors = tuple(tensors[0])
        for i, t in enumerate(tensors):
            require_tensor(name, t, "tensors", i + 1)
        return tuple([raised(t) for t in tensors])

    atleast.__name__ = atleast.__qualname__ = name
    atleast.__doc__ = f"The tensor, or each of several, as a view with at least {n} dimension{'s' * (n > 1)}."
    return public(atleast)


atleast_1d, atleast_2d, atleast_3d = [raising(f"atleast_{n}d", n) for n in (1, 2, 3)]


@public
def block_diag(*tensors: Tensor) -> Tensor:
    """A matrix with the given ones along its diagonal; a vector is a row.

    Example:
        >>> block_diag(ones(1, 2), ones(2, 1)).shape
        torch.Size([3, 3])
    """
    if not tensors:
        return wrap(np.empty((1, 0), dtypes.get_default_dtype().numpy))
    tensors_of("block_diag", tensors)
    for i, t in enumerate(tensors):
        if t._data.ndim > 2:
            raise RuntimeError(f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {t._data.ndim} dimensions")
    return ops.block_diag(alike(tensors))


# Splitting


@public
def split(tensor: Tensor, split_size_or_sections: Any = None, dim: int = 0, *, split_size: Any = None) -> tuple[Tensor, ...]:
    """Views of consecutive parts along `dim`: of one size (the last may be smaller), or of the sizes in a list.

    Example: `[p.tolist() for p in split(arange(5), 2)]` is `[[0, 1], [2, 3], [4]]`.
    """
    require_tensor("split", tensor, "tensor")
    wanted = split_size if split_size_or_sections is None else split_size_or_sections
    if not hasattr(wanted, "__index__"):
        return split_with_sizes(tensor, wanted, dim)
    return parted(ops.split, tensor, *equal_sizes(tensor, wanted.__index__(), dim))


def parted(op: Any, input: Tensor, sizes: tuple[int, ...], dim: int) -> tuple[Tensor, ...]:
    return look_at_parts(op, input, op.kernel(input._data, sizes, dim), sizes, dim)


def equal_sizes(input: Tensor, size: int, dim: int) -> tuple[tuple[int, ...], int]:
    """The sizes of the parts when each is to have `size` elements along `dim`, and dim wrapped."""
    shape = input._data.shape
    if not shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    d = wrap_dim(dim, len(shape))
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    n = shape[d]
    if not size:
        if n:
            raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
        return (0,), d
    if size >= n:
        return (n,), d
    return (size,) * (n // size) + ((n % size,) if n % size else ()), d


def given_sizes(input: Tensor, split_sizes: Any, dim: int) -> tuple[tuple[int, ...], int]:
    """The sizes of the parts, checked, and dim wrapped."""
    if not isinstance(split_sizes, (tuple, list)):
        raise TypeError(f"split_with_sizes(): argument 'split_sizes' (position 2) must be tuple of ints, not {type(split_sizes).__name__}")
    shape = input._data.shape
    if not shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    d, sizes = wrap_dim(dim, len(shape)), as_shape("split_with_sizes", (tuple(split_sizes),))
    if any([n < 0 for n in sizes]):
        raise RuntimeError(f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={list(sizes)}")
    if sum(sizes) != shape[d]:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {shape[d]} (input tensor's size at dimension {d}), but got "
            f"split_sizes={list(sizes)}"
        )
    return sizes, d


@public
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of consecutive parts of these sizes along `dim`; the sizes must add up to that of the dimension."""
    require_tensor("split_with_sizes", input)
    return parted(ops.split_with_sizes, input, *given_sizes(input, split_sizes, dim))


@public
def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> tuple[Tensor, ...]:
    """As `split`, but autograd takes the parts for copies: change them in place only if nothing else uses the memory."""
    require_tensor("unsafe_split", input)
    return ops.unsafe_split(input, *equal_sizes(input, split_size, dim))


@public
def unsafe_split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """As `split_with_sizes`, but autograd takes the parts for copies: change them in place only if nothing else uses the memory."""
    require_tensor("unsafe_split_with_sizes", input)
    return ops.unsafe_split_with_sizes(input, *given_sizes(input, split_sizes, dim))


def chunk_sizes(input: Tensor, chunks: int, dim: int) -> tuple[bool, tuple[int, ...], int]:
    """Whether the sizes must be given one by one, the sizes, and dim wrapped."""
    shape = input._data.shape
    if not shape:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    d = wrap_dim(dim, len(shape))
    if not shape[d]:
        return True, (0,) * chunks, d
    return False, *equal_sizes(input, -(-shape[d] // chunks), d)


@public
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of at most `chunks` consecutive parts of one size along `dim`; the last may be smaller.

    Example: `[len(p) for p in chunk(arange(5), 3)]` is `[2, 2, 1]`.
    """
    require_tensor("chunk", input)
    listed, sizes, d = chunk_sizes(input, chunks, dim)
    return parted(ops.split_with_sizes if listed else ops.split, input, sizes, d)


@public
def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """As `chunk`, but autograd takes the parts for copies: change them in place only if nothing else uses the memory."""
    require_tensor("unsafe_chunk", input)
    listed, sizes, d = chunk_sizes(input, chunks, dim)
    return (ops.unsafe_split_with_sizes if listed else ops.unsafe_split)(input, sizes, d)


@public
def tensor_split(
    input: Tensor, indices_or_sections: Any = None, dim: int = 0, *, indices: Any = None, sections: Any = None,
    tensor_indices_or_sections: Any = None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Views of parts along `dim`: so many of nearly equal size, or cut at the given indices.

    Example: `[p.tolist() for p in tensor_split(arange(5), (1, 3))]` is `[[0], [1, 2], [3, 4]]`.
    """
    require_tensor("tensor_split", input)
    given = [v for v in (indices_or_sections, indices, sections, tensor_indices_or_sections) if v is not None]
    if len(given) != 1:
        raise TypeError("tensor_split() takes either indices or the number of sections")
    where, shape = given[0], input._data.shape
    if not shape:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    d = wrap_dim(dim, len(shape))
    n = shape[d]
    if isinstance(where, Tensor):
        if where._data.dtype != np.int64:
            kind = dtypes.LEGACY[where.dtype]
            raise RuntimeError(f"tensor_split expected tensor_indices_or_sections to have dtype of long, but got {kind}")
        if where._data.ndim > 1:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor, but got a tensor "
                f"with {where._data.ndim} dims"
            )
        where = where._data.tolist()
    if isinstance(where, (tuple, list)):
        edges = [0, *as_shape("tensor_split", (tuple(where),)), n]
    elif hasattr(where, "__index__"):
        count = where.__index__()
        if count <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {count}")
        size, longer = divmod(n, count)
        edges = [i * size + min(i, longer) for i in range(count + 1)]
    else:
        raise TypeError(f"tensor_split(): argument 'indices_or_sections' must be int or tuple of ints, not {type(where).__name__}")
    return tuple([part(input, d, *slice(i, j).indices(n)) for i, j in zip(edges, edges[1:])])


def part(input: Tensor, dim: int, start: int, stop: int, step: int) -> Tensor:
    """A slice of one dimension, its bounds within it, as a view."""
    stop = max(start, stop)
    return look(views.slice_dim, input, views.slice_dim.kernel(input._data, dim, start, stop, step), dim, start, stop, step)


def splitting(name: str, least: int, pick: Callable) -> Callable:
    """`hsplit`, `vsplit`, `dsplit`."""

    def parts(
        input: Tensor, indices_or_sections: Any = None, *, indices: Any = None, sections: Any = None
    ) -> tuple[Tensor, ...]:
        require_tensor(name, input)
        where = next(v for v in (indices_or_sections, indices, sections) if v is not None)
        shape = input._data.shape
        if len(shape) < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with {len(shape)} dimensions!"
            )
        d = pick(len(shape))
        if hasattr(where, "__index__") and (where <= 0 or shape[d] % where):
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {d}, but the size of the dimension {shape[d]} is not divisible by the "
                f"split_size {where}!"
            )
        return tensor_split(input, where, d)

    parts.__name__ = parts.__qualname__ = name
    parts.__doc__ = f"`tensor_split` along dimension {'1, or 0 for vectors' if least == 1 else pick(3)}; sections must be of one size."
    return public(parts)


hsplit = splitting("hsplit", 1, lambda n: int(n > 1))
vsplit = splitting("vsplit", 2, lambda n: 0)
dsplit = splitting("dsplit", 3, lambda n: 2)


@public
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of the slices of `dim`, without that dimension. Example: `len(unbind(ones(3, 2)))` is 3."""
    require_tensor("unbind", input)
    d = wrap_dim(dim, input._data.ndim, scalar_ok=False)
    return look_at_parts(ops.unbind, input, ops.unbind.kernel(input._data, d), d)


@public
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The view of one slice of `dim`, without that dimension. Example: `select(arange(6).view(2, 3), 0, 1)` is `tensor([3, 4, 5])`."""
    require_tensor("select", input)
    d, i = selected(input, dim, index)
    return look(views.select, input, views.select.kernel(input._data, d, i), d, i)


def selected(input: Tensor, dim: int, index: Any) -> tuple[int, int]:
    """The arguments of `select`, checked and counted from the front."""
    shape = input._data.shape
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    if not hasattr(index, "__index__"):
        raise TypeError(f"select(): argument 'index' (position 3) must be int, not {type(index).__name__}")
    d, i = wrap_dim(dim, len(shape)), index.__index__()
    if not -shape[d] <= i < shape[d]:
        raise IndexError(f"select(): index {i} out of range for tensor of size {list(shape)} at dimension {d}")
    return d, i % shape[d]


@public
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """The view of `length` elements of `dim`, from `start`. Example: `narrow(arange(5), 0, 1, 2)` is `tensor([1, 2])`."""
    require_tensor("narrow", input)
    shape = input._data.shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if isinstance(start, Tensor):
        if start._data.ndim or start.dtype.category != dtypes.INTEGRAL:
            raise RuntimeError("start must be an 0-dim integral Tensor.")
        start = start.item()
    d = wrap_dim(dim, len(shape))
    n = shape[d]
    if not -n <= start <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    if start < 0:
        start += n
    if start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return part(input, d, start, start + length, 1)


# Combinations of vectors


@public
def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Coordinates of a grid: each vector expanded along the dimensions of the others. `indexing`: "ij", or "xy" as in pictures.

    Example: `meshgrid(arange(2), arange(3), indexing="ij")[1]` is `tensor([[0, 1, 2], [0, 1, 2]])`.
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    checked("meshgrid", tensors)
    if indexing is None:
        warn_once("torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.")
    elif indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for t in tensors:
        if t._data.ndim > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {t}")
        if t._data.dtype != tensors[0]._data.dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    swap = indexing == "xy" and len(tensors) > 1
    if swap:
        tensors = (tensors[1], tensors[0], *tensors[2:])
    shape = tuple([t._data.size for t in tensors])
    grids = [expand(view(t, (1,) * i + (shape[i],) + (1,) * (len(shape) - i - 1)), shape) for i, t in enumerate(tensors)]
    return (grids[1], grids[0], *grids[2:]) if swap else tuple(grids)


def require_vector(t: Tensor) -> None:
    if t._data.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(t._data.shape)}")


@public
def cartesian_prod(*tensors: Tensor) -> Tensor:
    """The tuples of the Cartesian product of vectors, as rows. Example: `cartesian_prod(arange(2), arange(3)).shape` is (6, 2)."""
    for t in tensors_of("cartesian_prod", tensors):
        require_vector(t)
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(g, (-1,)) for g in meshgrid(*tensors, indexing="ij")], 1)


@public
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """The combinations of r elements of a vector, as rows.

    Example: `combinations(tensor([1, 2, 3]))` is `tensor([[1, 2], [1, 3], [2, 3]])`.
    """
    require_tensor("combinations", input)
    require_vector(input)
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if not r:
        return wrap(np.empty(0, input._data.dtype))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = np.fromiter(itertools.chain.from_iterable(choose(range(input._data.size), r)), np.int64).reshape(-1, r)
    return stack([input[wrap(places[:, k])] for k in range(r)], 1)  # type: ignore[index]


__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "cartesian_prod", "cat", "chunk", "column_stack", "combinations", "concat",
    "concatenate", "dsplit", "dstack", "hsplit", "hstack", "meshgrid", "narrow", "row_stack", "select", "split", "split_with_sizes",
    "stack", "tensor_split", "unbind", "unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes", "vsplit", "vstack",
]  # fmt: skip
METHODS = [
    "chunk", "dsplit", "hsplit", "narrow", "select", "split", "split_with_sizes", "tensor_split", "unbind", "unsafe_chunk",
    "unsafe_split", "unsafe_split_with_sizes", "vsplit",
]  # fmt: skip
