"""Gathering and scattering by index arrays: where elements lie in flat memory, and accumulating there.

Accumulation goes through one-dimensional `ufunc.at` on flat positions, for which NumPy has compiled loops (1.5 ns an element);
on rows it falls back to a loop that is fifty times slower.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.kernels import reductions, small

FULL = slice(None)
F32, I64 = dtypes.float32.numpy, dtypes.int64.numpy
KEPT = 1 << 12  # elements of indices whose surroundings are worth remembering
FEW = 64  # up to so many elements the calls cost more than what they do
NARROW = (dtypes.float16.numpy, dtypes.bfloat16.numpy)  # NumPy has no indexed loops for them, and sums are better in float32


def strides_of(shape: tuple) -> list[int]:
    """How many elements one step in each dimension of a C-ordered array passes."""
    strides, step = [1] * len(shape), 1
    for d in range(len(shape) - 1, -1, -1):
        strides[d] = step
        step *= shape[d]
    return strides


@lru_cache(128)
def starts(shape: tuple, among: tuple, dim: int) -> tuple[int, np.ndarray]:
    """The flat step of dimension `dim` of an array of `shape`, and where indices of 0 there, of shape `among`, would point to."""
    strides = strides_of(shape)
    others = np.zeros((1,) * len(among), np.int64)
    for d, n in enumerate(among):
        if d != dim and n > 1:
            others = others + np.arange(n).reshape((-1,) + (1,) * (len(among) - d - 1)) * strides[d]
    return strides[dim], np.ascontiguousarray(np.broadcast_to(others, among))


def positions(shape: tuple, index: np.ndarray, dim: int) -> np.ndarray:
    """The flat positions in a C-ordered array of `shape` of `a[i][j][index[i, j, k]]` (dim 2), for all i, j, k of `index`."""
    if index.ndim == 0 or not shape:
        return index.reshape(-1)
    if index.size <= KEPT:
        step, others = starts(shape, index.shape, dim)
        return ((index if step == 1 else index * step) + others).reshape(-1)
    strides = strides_of(shape)
    place = index if strides[dim] == 1 else index * strides[dim]
    for d in range(index.ndim):
        if d != dim and index.shape[d] > 1:
            place = place + np.arange(index.shape[d]).reshape((-1,) + (1,) * (index.ndim - d - 1)) * strides[d]
    return place.reshape(-1)


@lru_cache(64)
def steps(n: int, after: int) -> np.ndarray:
    """0 to n - 1 along a dimension with `after` more behind it."""
    return np.arange(n).reshape((-1,) + (1,) * after)


def mesh(index: np.ndarray, dim: int) -> tuple:
    """The index as NumPy's advanced indexing takes it: an open mesh of the other dimensions around it."""
    if index.ndim == 1:
        return (index,)
    axes: list = [steps(n, index.ndim - d - 1) for d, n in enumerate(index.shape)]
    axes[dim] = index
    return tuple(axes)


def gather(a: np.ndarray, index: np.ndarray, dim: int) -> np.ndarray:
    """`y[i, j, k] = a[i, j, index[i, j, k]]` (dim 2)."""
    size = index.size
    if not size:
        return np.empty(index.shape, a.dtype)
    if size <= KEPT and index.ndim == a.ndim > 0 and a.size <= 8 * size:
        shape = index.shape
        step, others = starts(a.shape, shape, dim)
        if a.dtype is F32 and index.dtype is I64 and len(shape) <= small.RANKS and a.flags.c_contiguous and index.flags.c_contiguous:
            y = np.empty(shape, F32)
            small.take_at(a, index, others, step, y)
            return y
        return a.take((index if step == 1 else index * step) + others)
    found = reductions.gather(a, index, dim)
    if found is not None:
        return found
    if index.ndim != a.ndim or not a.ndim or (index.size > FEW and a.flags.c_contiguous):
        return a.reshape(-1).take(positions(a.shape, index, dim)).reshape(index.shape)
    return a[mesh(index, dim)]


def scatter_into(a: np.ndarray, index: np.ndarray, source: Any, dim: int, ufunc: np.ufunc | None) -> None:
    """`a[i, j, index[i, j, k]] = source[i, j, k]` in place (later ones win), or combined with what is there by `ufunc`."""
    if not index.size:
        return
    if ufunc is not None and index.size <= KEPT and index.ndim == a.ndim > 0 and a.flags.c_contiguous and a.itemsize > 2:
        if source.__class__ is np.ndarray and source.shape == index.shape:
            step, others = starts(a.shape, index.shape, dim)
            plain = index.flags.c_contiguous and source.flags.c_contiguous and source.dtype is F32 and a.ndim <= small.RANKS
            if ufunc is np.add and a.dtype is F32 and index.dtype is I64 and plain:
                small.add_at(index, others, step, source, a)
            else:
                ufunc.at(a.reshape(-1), ((index if step == 1 else index * step) + others).reshape(-1), source.reshape(-1))
            return
    if isinstance(source, np.ndarray) and source.ndim and source.shape != index.shape:
        source = source[tuple([slice(n) for n in index.shape])]
    if ufunc is np.add and reductions.scatter_add(a, index, source, dim):
        return
    if index.size <= FEW and index.ndim == a.ndim > 0 and ufunc is None:
        a[mesh(index, dim)] = source
        return
    if isinstance(source, np.ndarray) and source.ndim:
        source = source.reshape(-1)
    place = positions(a.shape, index, dim)
    if not a.flags.c_contiguous:  # reshape(-1) would not be the same memory
        flat = a.reshape(-1)
        write(flat, place, source, ufunc)
        a[...] = flat.reshape(a.shape)
        return
    write(a.reshape(-1), place, source, ufunc)


def write(flat: np.ndarray, place: np.ndarray, values: Any, ufunc: np.ufunc | None) -> None:
    """Put values into a one-dimensional array, or combine them with what is there."""
    if ufunc is None:
        flat[place] = values
    elif flat.itemsize == 2 and flat.dtype in NARROW:
        wide = flat.astype(np.float32)
        ufunc.at(wide, place, values.astype(np.float32) if isinstance(values, np.ndarray) else values)
        flat[...] = wide
    else:
        ufunc.at(flat, place, values)


def row_index(index: np.ndarray, n: int) -> np.ndarray:
    """Indices that may be negative, counted from the front."""
    return np.where(index < 0, index + n, index)


def take_rows(a: np.ndarray, index: np.ndarray, dim: int) -> np.ndarray:
    """`y[:, k] = a[:, index[k]]` (dim 1)."""
    if a.size >= reductions.WORTH and dim == a.ndim - 1 and a.ndim > 1:
        y = reductions.columns(a, index)
        if y is not None:
            return y
    return reductions.rows_at(a, index) if dim == 0 else a.take(index, dim)


def rows_into(a: np.ndarray, index: np.ndarray, source: np.ndarray, dim: int, ufunc: np.ufunc) -> None:
    """`a[:, index[k]] op= source[:, k]` (dim 1), in place; an index may come more than once."""
    if source.size <= KEPT and a.ndim == 2 and not dim and ufunc is np.add and a.dtype is F32 and source.shape == (index.size, a.shape[1]):
        if index.dtype is I64 and all([v.flags.c_contiguous for v in (a, index, source)]) and source.dtype is F32:
            small.add_rows(index, source, a)
            return
    shape = (*source.shape[:dim], index.size, *source.shape[dim + 1 :])
    whole = np.broadcast_to(index.reshape((-1,) + (1,) * (a.ndim - dim - 1)), shape)
    if ufunc is np.add and reductions.scatter_add(a, whole, source, dim):
        return
    if ufunc is np.add and dim == 0 and reductions.add_rows(a, index, source):
        return
    many = source.size >= WORTH and source.size >= WIDE * index.size and a.shape[dim] <= 8 * index.size
    if many and ufunc is np.add and a.dtype in SPARSE:
        a += rows_sum(index, source.reshape(shape), a.shape[dim], dim)
        return
    scatter_into(a, whole, source, dim, ufunc)


WORTH, WIDE = 1 << 15, 4  # from so many elements, in rows of so many, on
SPARSE = tuple([d.numpy for d in (dtypes.float32, dtypes.float64, dtypes.complex64, dtypes.complex128, dtypes.int32, dtypes.int64)])


def rows_sum(index: np.ndarray, source: np.ndarray, n: int, dim: int) -> np.ndarray:
    """The sums of the rows of `source` with the same index, as the product of a matrix of zeros and ones with it."""
    from scipy.sparse import csc_array

    rows = np.moveaxis(source, dim, 0)
    choice = csc_array((np.ones(index.size, source.dtype), row_index(index, n), np.arange(index.size + 1)), shape=(n, index.size))
    return np.moveaxis((choice @ rows.reshape(index.size, -1)).reshape(n, *rows.shape[1:]), 0, dim)


# NumPy's advanced indexing: `where` is a tuple of full slices, integer arrays and bool masks


def take_at(a: np.ndarray, where: tuple) -> np.ndarray:
    """`a[where]`."""
    first = where[-1]
    if first.dtype.kind != "b" and a.flags.c_contiguous and all([w is FULL for w in where[:-1]]):
        return a.take(first, len(where) - 1)
    return a[where]


def is_mask(where: tuple) -> bool:
    """Whether no element can be addressed twice."""
    return len([w for w in where if w.__class__ is np.ndarray]) == 1 and where[-1].dtype.kind == "b"


def add_at(a: np.ndarray, where: tuple, values: Any) -> None:
    """`a[where] += values` in place, an element that is addressed twice added to twice."""
    if is_mask(where):
        a[where] += values
        return
    if values.size >= WORTH and all([w is FULL for w in where[:-1]]):
        dim, index = len(where) - 1, where[-1]
        rows = np.broadcast_to(values, (*a.shape[:dim], *index.shape, *a.shape[dim + 1 :]))
        rows_into(a, row_index(index, a.shape[dim]).reshape(-1), rows.reshape(*a.shape[:dim], -1, *a.shape[dim + 1 :]), dim, np.add)
        return
    place = element_positions(a.shape, where)
    values = np.broadcast_to(values, place.shape).reshape(-1)
    flat = a.reshape(-1)
    write(flat, place.reshape(-1), values, np.add)
    if not a.flags.c_contiguous:
        a[...] = flat.reshape(a.shape)


def expand_masks(where: tuple) -> list:
    """`where` with each bool mask as the integer arrays of its dimensions."""
    entries: list = []
    for w in where:
        entries += w.nonzero() if w is not FULL and w.dtype.kind == "b" else (w,)
    return entries


def element_positions(shape: tuple, where: tuple) -> np.ndarray:
    """The flat positions in a C-ordered array of `shape` of the elements of `a[where]`, in the shape of that result."""
    entries = expand_masks(where)
    entries += [FULL] * (len(shape) - len(entries))
    chosen = [d for d, w in enumerate(entries) if w is not FULL]
    block = np.broadcast_shapes(*[entries[d].shape for d in chosen])
    adjacent = chosen[-1] - chosen[0] == len(chosen) - 1
    start = chosen[0] if adjacent else 0
    rank = len(block) + len(entries) - len(chosen)
    strides = strides_of(shape)
    place: Any = 0
    for d in chosen:
        place = place + row_index(entries[d], shape[d]) * strides[d]
    place = np.asarray(place).reshape(block + (1,) * (rank - start - len(block)))
    for j, d in enumerate([d for d, w in enumerate(entries) if w is FULL]):
        axis = j if j < start else j + len(block)
        place = place + np.arange(shape[d]).reshape((-1,) + (1,) * (rank - axis - 1)) * strides[d]
    return place
