"""Reductions, scans, gathers and sorts of many floats: which way is the fastest. Each answers None if another way is as good.

Compiled kernels are for contiguous float32 and float64 from `WORTH` elements on, below which Numba is not worth its import.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from chainrule.kernels.batched import along
from chainrule.kernels.compiled import helper_awake, pool, share
from chainrule.kernels.memory import keep_freed
from chainrule.kernels.threads import in_blocks

ndarray = np.ndarray
F32, F64, I64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)
WORTH = 1 << 14
SUMMED = 1 << 13
SHARED, SHARED_COPY = 1 << 17, 1 << 19  # elements that are worth waking another thread for; copies of as many


def worth(a: Any) -> bool:
    """Whether a compiled kernel is worth its while."""
    return a.__class__ is ndarray and a.size >= WORTH and (a.dtype is F32 or a.dtype is F64) and a.flags.c_contiguous


def copied_faster(size: int) -> bool:
    """Whether so many elements are copied faster than NumPy does, on two threads."""
    return (size >= SHARED_COPY and pool.threads > 1) or helper_awake()


@cache
def room() -> Any:
    """The compiled kernels."""
    from chainrule.kernels import reductions_numba

    return reductions_numba


def sides(shape: tuple, dim: int) -> tuple[int, int, int]:
    """How many elements there are before, along and after a dimension."""
    return count(shape[:dim]), shape[dim], count(shape[dim + 1 :])


def count(shape: tuple) -> int:
    """The number of elements."""
    size = 1
    for n in shape:
        size *= n
    return size


def work(kernel: Callable, *arrays: Any) -> None:
    share(kernel, *arrays, alone=arrays[0].size < SHARED)


def scan(a: Any, dim: int, products: bool = False, back: bool = False) -> np.ndarray | None:
    """Running sums or products along `dim`, from the end if `back`."""
    if a.size < WORTH or not worth(a):
        return None
    shape = sides(a.shape, dim)
    y = np.empty_like(a)
    if shape[2] == 1:
        work(room().scan_rows, a.reshape(shape[:2]), y.reshape(shape[:2]), products, back)
    else:
        work(room().scan, a.reshape(shape), y.reshape(shape), products, back)
    return y


@lru_cache(32)
def ones(n: int, dtype: np.dtype) -> np.ndarray:
    """A vector of ones, not to be written to."""
    return np.ones(n, dtype)


LONGEST = 1 << 14  # so many numbers can be added one after another in float32


def sums(a: Any, dim: Any, keepdim: bool) -> np.ndarray | None:
    """Sums over all, the first or the last dimensions, as products with ones, which BLAS does faster than NumPy adds."""
    if a.size < SUMMED or dim == () or not summable(a):
        return None
    if dim is None:
        y = np.asarray(total(a, 0) if a.size >= WORTH and a.dtype is F32 else dots(a, None, np.ones(ROW, a.dtype)))
        return y.reshape((1,) * a.ndim) if keepdim else y
    shape, rank = a.shape, a.ndim
    first, last = min(dim), max(dim)
    if last - first != len(dim) - 1 or len(dim) == rank or not (first == 0 or last == rank - 1):
        return None
    outer, inner = count(shape[: last + 1] if first == 0 else shape[:first]), count(shape[last + 1 :] if first == 0 else shape[first:])
    if (outer if first == 0 else inner) > LONGEST:
        return None
    matrix = a.reshape(outer, inner)
    y = np.dot(ones(outer, a.dtype), matrix) if first == 0 else np.dot(matrix, ones(inner, a.dtype))
    kept = [1 if first <= d <= last else n for d, n in enumerate(shape) if keepdim or not first <= d <= last]
    return y.reshape(kept)


ROW = 1 << 12  # so many products are added one after another


def squares(a: np.ndarray, center: Any = None) -> Any:
    """The sum of the squares of real numbers, or of their distances from `center`."""
    if not summable(a):
        return np.add.reduce(np.square(a if center is None else a - center), None)
    if a.size >= WORTH and a.dtype is F32:
        return total(a, 1, center=0 if center is None else center)
    return dots(a, lambda part: part if center is None else part - center, None)


def distance(a: np.ndarray, b: np.ndarray) -> Any:
    """The sum of the squares of a - b."""
    if a.size >= WORTH and a.dtype is F32 and b.dtype is F32 and a.shape == b.shape and summable(a) and summable(b):
        return total(a, 2, b)
    d = a - b
    return np.add.reduce(d * d, None)


def total(a: np.ndarray, which: int, b: np.ndarray | None = None, center: Any = 0) -> Any:
    """The sum of many float32, or of what the compiled `totals` makes of them."""
    flat = a.reshape(-1)
    parts = np.empty(-(-a.size // room().PIECE))
    share(room().totals, flat, flat if b is None else b.reshape(-1), which, F32.type(center), parts, alone=a.size < SHARED)
    return F32.type(parts.item(0) if len(parts) == 1 else np.add.reduce(parts))


def summable(a: Any) -> bool:
    return a.size >= SUMMED and a.__class__ is ndarray and (a.dtype is F32 or a.dtype is F64) and a.flags.c_contiguous


def dots(a: np.ndarray, prepare: Callable | None, factors: np.ndarray | None) -> Any:
    """The sum of the elements of a, prepared, times `factors` (a row of them; None: themselves), in blocks that fit the cache."""
    flat = a.reshape(-1)

    def work(place: slice) -> Any:
        part = flat[place] if prepare is None else prepare(flat[place])
        whole = len(part) - len(part) % ROW
        rows, rest = part[:whole].reshape(-1, ROW), part[whole:]
        if factors is None:
            return np.add.reduce(np.vecdot(rows, rows)) + np.dot(rest, rest)
        return np.add.reduce(np.vecdot(rows, factors)) + np.dot(rest, factors[: len(rest)])

    return np.add.reduce(np.array(in_blocks(work, flat.size, 1)))


def product(a: Any, dim: Any, keepdim: bool) -> np.ndarray | None:
    """The product over the last dimension."""
    if a.size < WORTH or dim != (a.ndim - 1,) or not worth(a):
        return None
    y = np.empty(a.shape[:-1], a.dtype)
    work(room().product, a.reshape(-1, a.shape[-1]), y.reshape(-1))
    return y[..., None] if keepdim else y


def extremum(a: Any, dim: Any, keepdim: bool, sign: int) -> np.ndarray | None:
    """The largest (sign 1) or smallest over the last dimension."""
    if a.size < WORTH or dim != (a.ndim - 1,) or not worth(a) or a.dtype is not F32:
        return None
    y = np.empty(a.shape[:-1], a.dtype)
    work(room().extremum, a.reshape(-1, a.shape[-1]), y.reshape(-1), F32.type(sign))
    return y[..., None] if keepdim else y


def unextremum(g: Any, a: Any, y: Any, dim: Any) -> np.ndarray | None:
    """The cotangent of a, whose extrema over the last dimension are y: g split evenly among the elements that equal them."""
    if dim != (a.ndim - 1,) or not worth(a) or not (a.dtype is F32 and y.__class__ is g.__class__ is ndarray and g.dtype is F32):
        return None
    out, n = np.empty_like(a), a.shape[-1]
    keep_freed()
    work(room().unextremum, a.reshape(-1, n), *[np.ascontiguousarray(v).reshape(-1) for v in (y, g)], out.reshape(-1, n))
    return out


def extremum_at(a: Any, dim: int, sign: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The largest (sign 1) or smallest along a dimension that is not the last, and where the first of them is; both with it as 1."""
    if a.size < WORTH or dim == a.ndim - 1 or not worth(a):
        return None
    outer, n, inner = sides(a.shape, dim)
    shape = (*a.shape[:dim], 1, *a.shape[dim + 1 :])
    y, index = np.empty(shape, a.dtype), np.empty(shape, np.int64)
    work(room().extremum_at, a.reshape(outer, n, inner), y.reshape(outer, inner), index.reshape(outer, inner), a.dtype.type(sign))
    return y, index


def best(a: Any, k: int, dim: int, sign: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The few largest (sign 1) or smallest of the last dimension in order, and where they are."""
    if a.size < WORTH or dim != a.ndim - 1 or not worth(a) or not 0 < k <= 32:
        return None
    y, index = np.empty((*a.shape[:-1], k), a.dtype), np.empty((*a.shape[:-1], k), np.int64)
    work(room().best, a.reshape(-1, a.shape[-1]), y.reshape(-1, k), index.reshape(-1, k), a.dtype.type(sign))
    return y, index


# By an index for each element of rows, or one row of indices for all; in bounds, not negative


def rows_of(index: np.ndarray, shape: tuple, dim: int) -> np.ndarray | None:
    """The index as rows, if it goes with rows of an array of `shape`."""
    if dim != len(shape) - 1 or index.dtype is not I64 or index.ndim != len(shape):
        return None
    if index.shape[:-1] == shape[:-1] and index.flags.c_contiguous:
        return index.reshape(-1, index.shape[-1])
    if index.ndim > 1 and not any(index.strides[:-1]) and index.shape[:-1] == shape[:-1]:
        return np.ascontiguousarray(index[(0,) * (index.ndim - 1)])[None]
    return None


def gather(a: Any, index: np.ndarray, dim: int) -> np.ndarray | None:
    """`y[i, j] = a[i, index[i, j]]` (dim 1)."""
    at = rows_of(index, a.shape, dim) if index.size >= WORTH and worth(a) else None
    if at is None:
        return None
    y = np.empty(index.shape, a.dtype)
    work(room().gather, a.reshape(-1, a.shape[-1]), at, y.reshape(-1, y.shape[-1]))
    return y


def columns(a: Any, index: np.ndarray) -> np.ndarray | None:
    """`y[i, j] = a[i, index[j]]`."""
    if index.dtype is not I64 or index.ndim != 1 or not index.size or not index.flags.c_contiguous or not worth(a):
        return None
    n = a.shape[-1]
    y = np.empty((*a.shape[:-1], index.size), a.dtype)
    work(room().gather, a.reshape(-1, n), index[None], y.reshape(-1, index.size))
    return y


def rows_at(a: Any, index: np.ndarray) -> np.ndarray:
    """The rows of a matrix at the places `index`, of any shape."""
    if a.ndim != 2 or index.size * a.shape[1] < WORTH or index.dtype is not I64 or not index.flags.c_contiguous or not worth(a):
        return a.take(index, 0)
    if not copied_faster(index.size * a.shape[1]):
        return a.take(index, 0)
    y = np.empty((*index.shape, a.shape[1]), a.dtype)
    keep_freed()
    share(room().pick_rows, a, index.reshape(-1), y.reshape(index.size, -1), alone=y.size < SHARED_COPY)
    return y


def scatter_add(a: Any, index: np.ndarray, source: Any, dim: int) -> bool:
    """`a[i, index[i, j]] += source[i, j]` (dim 1), in place; whether that was done."""
    if index.size < WORTH or not worth(a) or a.ndim < 2 or source.__class__ is not ndarray or source.shape != index.shape:
        return False
    at = rows_of(index, a.shape, dim)
    if at is None or source.dtype is not a.dtype:
        return False
    work(room().scatter_add, a.reshape(-1, a.shape[-1]), at, np.ascontiguousarray(source).reshape(-1, source.shape[-1]))
    return True


def add_rows(a: Any, index: np.ndarray, source: Any) -> bool:
    """`a[index[k]] += source[k]`, in place; whether that was done."""
    if source.size < WORTH or a.ndim != 2 or not worth(source) or index.dtype is not I64 or not index.flags.c_contiguous:
        return False
    if a.__class__ is not ndarray or a.dtype is not source.dtype or not a.flags.c_contiguous:
        return False
    share(room().add_rows, a, index, source, alone=source.size < SHARED)
    return True


def choose(a: Any, mask: Any) -> np.ndarray:
    """a[mask], of one shape."""
    if not worth(a) or mask.__class__ is not ndarray or not mask.flags.c_contiguous:
        return a[mask]
    y = np.empty(np.count_nonzero(mask), a.dtype)
    room().choose(a.reshape(-1), mask.reshape(-1), y)
    return y


def place(a: Any, mask: Any, source: Any) -> None:
    """`a[mask] = source`, of which there may be more than are needed."""
    source, size = source.reshape(-1), np.count_nonzero(mask)
    if not worth(a) or mask.__class__ is not ndarray or not mask.flags.c_contiguous or source.dtype is not a.dtype or source.size < size:
        a[mask] = source[:size]
    else:
        room().place(np.ascontiguousarray(source[:size]), mask.reshape(-1), a.reshape(-1))


# Copies and sorts


def concatenate(arrays: Sequence, dim: int) -> np.ndarray:
    """np.concatenate, of many floats on all threads."""
    first = arrays[0]
    if not worth(first) or not -first.ndim <= dim < first.ndim or not copied_faster(first.size):
        return np.concatenate(arrays, dim)
    shape, rank = first.shape, first.ndim
    dim = dim + rank if dim < 0 else dim
    for a in arrays:
        if a.__class__ is not ndarray or a.dtype is not first.dtype or not a.flags.c_contiguous or not a.size or a.ndim != rank:
            return np.concatenate(arrays, dim)
        if a.shape != shape and (a.shape[:dim] != shape[:dim] or a.shape[dim + 1 :] != shape[dim + 1 :]):
            return np.concatenate(arrays, dim)  # which says what is wrong
    keep_freed()
    y = np.empty((*shape[:dim], sum([a.shape[dim] for a in arrays]), *shape[dim + 1 :]), first.dtype)
    flat, rows, at, parts = y.reshape(-1), count(shape[:dim]), 0, []
    for a in arrays:
        width = a.size // rows if rows > 1 else shape[-1]  # an array in one piece is shared out by its own rows
        parts.append((a.reshape(-1, width), at))
        at += a.size // rows
    step = y.size // rows if rows > 1 else shape[-1]
    for (a, one), (b, two) in zip(parts[::2], [*parts[1::2], (parts[0][0][:0], 0)]):
        share(room().lay, a, b, flat, one, two, step, alone=a.size + b.size < SHARED_COPY)
    return y


def outer(a: Any, b: Any) -> np.ndarray | None:
    """All products of the elements of two vectors."""
    size = a.size * b.size
    if size < WORTH or a.__class__ is not ndarray or b.__class__ is not ndarray or a.dtype is not b.dtype:
        return None
    if (a.dtype is not F32 and a.dtype is not F64) or not a.flags.c_contiguous or not b.flags.c_contiguous:
        return None
    y = np.empty((a.size, b.size), a.dtype)
    share(room().outer, a, b, y, alone=size < SHARED)
    return y


def reversed_rows(a: Any) -> np.ndarray | None:
    """The last dimension from its end."""
    if a.size < WORTH or not worth(a):
        return None
    y = np.empty_like(a)
    work(room().reverse, a.reshape(-1, a.shape[-1]), y.reshape(-1, a.shape[-1]))
    return y


def triangle(a: Any, diagonal: int, lower: bool) -> np.ndarray | None:
    """Matrices up to (lower) or from a diagonal on, zero elsewhere."""
    if a.size < WORTH or not worth(a):
        return None
    y, n = np.empty_like(a), a.shape[-1]
    share(
        room().triangle, a.reshape(-1, n), y.reshape(-1, n), a.shape[-2], diagonal + 1 if lower else diagonal, lower,
        alone=a.size < SHARED,
    )  # fmt: skip
    return y


def transposed(a: np.ndarray, y: np.ndarray) -> bool:
    """y = a, if a is a matrix that lies in memory by columns and y one by rows; whether that was done."""
    if a.ndim != 2 or a.dtype is not y.dtype or not y.flags.c_contiguous or not worth(a.T):
        return False
    work(room().transpose, a.T, y)
    return True


@along
def argsort(a: np.ndarray, dim: int, descending: bool) -> np.ndarray:
    """The stable argsort along `dim`; NaN counts as largest."""
    if a.size < FEW:
        if not descending:
            return np.argsort(a, dim, kind="stable")
        back = (slice(None),) * dim + (slice(None, None, -1),)
        return a.shape[dim] - 1 - np.argsort(a[back], dim, kind="stable")[back]
    rows = np.moveaxis(a, dim, -1)
    shape, n = rows.shape, a.shape[dim]
    rows = np.ascontiguousarray(rows).reshape(-1, n)
    index = np.empty(rows.shape, np.int64)
    find = by_bits if a.dtype is F32 and n < 1 << 31 and not np.isnan(np.max(a)) else by_order
    in_blocks(lambda place: find(rows[place], index[place], descending), len(rows), n * SORTING, 1 << 18)
    return np.moveaxis(index.reshape(shape), -1, dim)


SORTING, FEW = 16, 1 << 9  # how many times what elementwise work costs; elements that are not worth more than a plain sort


def by_bits(rows: np.ndarray, index: np.ndarray, descending: bool) -> None:
    """The argsort of float32 without NaN: each with its place makes one integer, which NumPy sorts by vector instructions."""
    bits = (rows + F32.type(0)).view(np.int32)  # -0 is 0 now
    bits ^= (bits >> 31) & 0x7FFFFFFF  # ascending as the floats do
    keys = (~bits if descending else bits).astype(np.int64)
    keys <<= 32
    keys |= np.arange(rows.shape[1])
    keys.sort(-1)
    np.bitwise_and(keys, 0xFFFFFFFF, out=index)


def by_order(rows: np.ndarray, index: np.ndarray, descending: bool) -> None:
    if descending:
        np.subtract(rows.shape[-1] - 1, np.argsort(rows[..., ::-1], -1, kind="stable")[..., ::-1], out=index)
    else:
        index[...] = np.argsort(rows, -1, kind="stable")
