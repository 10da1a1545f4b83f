"""Placing: copies that move elements, repeat them, drop some, or write into a part."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.kernels import reductions
from chainrule.kernels.elementwise import MANY, MASKS, SCATTERED, blockwise, copy as copy_into, select as choose
from chainrule.ops.pointwise_form import cast_array
from chainrule.ops.primitive import Primitive, linear
from chainrule.ops.shape import Layout, as_strided, cast, diagonal, expand, reshape, select, slice_dim, unexpand


@lru_cache(64)
def backwards(dims: tuple, rank: int) -> tuple:
    return tuple([slice(None, None, -1) if d in dims else slice(None) for d in range(rank)])


@linear(a=lambda g, dims: flip(g, dims))
def flip(a: Any, dims: tuple) -> Any:
    """The elements of `dims` in reverse order."""
    if a.size >= reductions.WORTH and dims == (a.ndim - 1,):
        y = reductions.reversed_rows(a)
        if y is not None:
            return y
    turned = a[backwards(dims, a.ndim)]
    return turned.copy() if a.size < MANY else copy_into(turned, np.empty(a.shape, a.dtype))


@linear(a=lambda g, shifts, dims: roll(g, tuple([-s for s in shifts]), dims))
def roll(a: Any, shifts: tuple, dims: tuple) -> Any:
    """The elements moved along `dims`, round the end; along all of them as one if `dims` is empty."""
    if not dims:
        return roll.kernel(a.reshape(-1), shifts, (0,)).reshape(a.shape) if a.ndim else a.copy()
    for shift, d in zip(shifts, dims):
        lead, shift = (slice(None),) * d, shift % max(a.shape[d], 1)
        parts = a[(*lead, slice(a.shape[d] - shift, None))], a[(*lead, slice(a.shape[d] - shift))]
        if a.size < MANY:
            a = np.concatenate(parts, d)
        else:
            a = np.empty(a.shape, a.dtype)
            for part, place in zip(parts, (slice(shift), slice(shift, None))):
                copy_into(part, a[(*lead, place)])
    return a


@linear(a=lambda g, k, dims: rot90(g, -k % 4, dims))
def rot90(a: Any, k: int, dims: tuple) -> Any:
    """Quarter turns from the first of two dimensions towards the second."""
    return np.rot90(a, k, dims).copy(order="K")


def _sum_repeats(g: Any, repeats: tuple, a_shape: tuple) -> Any:
    from chainrule.ops.reduce import sum

    lead = len(repeats) - len(a_shape)
    sizes: list = list(repeats[:lead])
    for r, n in zip(repeats[lead:], a_shape):
        sizes += r, n
    return sum(reshape(g, tuple(sizes)), (*range(lead), *range(lead, len(sizes), 2)), False) if repeats else g


@linear(a=_sum_repeats)
def repeat(a: Any, repeats: tuple) -> Any:
    """`a`, which may lack leading dimensions, so many times along each."""
    lead = len(repeats) - a.ndim
    sizes: list = [*repeats[:lead]]
    source: list = [1] * lead
    for r, n in zip(repeats[lead:], a.shape):
        sizes += r, n
        source += 1, n
    y = np.empty(sizes, a.dtype)
    y[...] = a.reshape(source)
    return y.reshape([r * n for r, n in zip(repeats, (1,) * lead + a.shape)])


@lru_cache(16)
def remembered(rows: int, columns: int, diagonal: int) -> np.ndarray:
    return np.tri(rows, columns, diagonal, dtype=bool)


@lru_cache(16)
def bits(rows: int, columns: int, diagonal: int, word: np.dtype) -> np.ndarray:
    """All bits of the elements in the lower triangle."""
    return -remembered(rows, columns, diagonal).astype(word)


def below(shape: tuple, diagonal: int) -> np.ndarray:
    """Where matrices have their lower triangles."""
    *_, rows, columns = shape
    make = remembered if rows * columns <= 2**16 else remembered.__wrapped__
    return make(rows, columns, diagonal)


def kept(a: Any, where: np.ndarray) -> np.ndarray:
    y = np.zeros(a.shape, a.dtype)
    np.copyto(y, a, where=where)
    return y


def keep(a: Any, where: np.ndarray, inside: bool) -> np.ndarray:
    """The elements of `a` where the mask says so, zeros elsewhere."""
    if a.size < SCATTERED:
        return kept(a, where if inside else ~where)
    masks = where.reshape((1,) * (a.ndim - 2) + where.shape)
    return blockwise(choose, masks, a, 0) if inside else blockwise(choose, masks, 0, a)


@linear(a=lambda g, diagonal: tril(g, diagonal))
def tril(a: Any, diagonal: int) -> Any:
    """The lower triangles of matrices, up to `diagonal`; zeros above."""
    word = MASKS.get(a.itemsize)
    if a.size < SCATTERED and word is not None:
        return (a.view(word) & bits(*a.shape[-2:], diagonal, word)).view(a.dtype)
    y = reductions.triangle(a, diagonal, True)
    if y is not None:
        return y
    return keep(a, below(a.shape, diagonal), True)


@linear(a=lambda g, diagonal: triu(g, diagonal))
def triu(a: Any, diagonal: int) -> Any:
    """The upper triangles of matrices, from `diagonal` on; zeros below."""
    y = reductions.triangle(a, diagonal, False) if a.size >= reductions.WORTH else None
    if y is not None:
        return y
    return keep(a, below(a.shape, diagonal - 1), False)


def nothing(shape: tuple) -> np.ndarray:
    """False everywhere, one element in memory: what a scatter writes to erase its part."""
    return expand(np.zeros((1,) * len(shape), bool), shape)


def write(view: Any, a: Any, b: Any, *statics: Any) -> Any:
    """A copy of `a` with `b` where a view's kernel looks."""
    y = a.copy()
    view(y, *statics)[...] = b
    return y


@linear(a=lambda g, b_shape, dim, index: select_scatter(g, nothing(b_shape), dim, index), b=lambda g, dim, index: select(g, dim, index))
def select_scatter(a: Any, b: Any, dim: int, index: int) -> Any:
    """`a` with `b` where `select` looks."""
    return write(select.kernel, a, b, dim, index)


@linear(
    a=lambda g, b_shape, dim, start, stop, step: slice_scatter(g, nothing(b_shape), dim, start, stop, step),
    b=lambda g, dim, start, stop, step: slice_dim(g, dim, start, stop, step),
)
def slice_scatter(a: Any, b: Any, dim: int, start: int, stop: int, step: int) -> Any:
    """`a` with `b` where `slice_dim` looks."""
    return write(slice_dim.kernel, a, b, dim, start, stop, step)


@linear(
    a=lambda g, b_shape, offset, dim1, dim2: diagonal_scatter(g, nothing(b_shape), offset, dim1, dim2),
    b=lambda g, offset, dim1, dim2: diagonal(g, offset, dim1, dim2),
)
def diagonal_scatter(a: Any, b: Any, offset: int, dim1: int, dim2: int) -> Any:
    """`a` with `b` on a diagonal."""
    return write(diagonal.kernel, a, b, offset, dim1, dim2)


@linear(
    a=lambda g, b_shape, source, target: as_strided_scatter(g, nothing(b_shape), source, target),
    b=lambda g, source, target: as_strided(g, source, target),
)
def as_strided_scatter(a: Any, b: Any, source: Layout, target: Layout) -> Any:
    """`a`, laid out as `source`, with `b` where `as_strided` looks."""
    memory = np.zeros(max(source.extent(), target.extent()), a.dtype)
    source.into(memory)[...] = a
    target.into(memory)[...] = b
    return source.into(memory)


# All of it overwritten


def nothing_of(g: Any) -> Any:
    from chainrule.ops.pointwise import nothing

    return nothing(g)


@linear(a=lambda g: nothing_of(g))
def zero(a: Any) -> Any:
    """Zeros in the place of `a`."""
    return np.zeros(a.shape, a.dtype)


def _filling(node: str) -> Primitive:
    @linear(a=lambda g: nothing_of(g), jvp=lambda t: nothing_of(t), node=node)
    def fill(a: Any, value: Any) -> Any:
        """A number in the place of each element of `a`."""
        return np.full(a.shape, value, a.dtype)

    return fill


def _filling_with(node: str) -> Primitive:
    @linear(a=lambda g: nothing_of(g), b=lambda g, b_shape, b_dtype: back(g, b_shape, b_dtype), node=node)
    def copy(a: Any, b: Any) -> Any:
        """`b`, broadcast, in the place of `a`."""
        return np.array(np.broadcast_to(cast_array(np.asarray(b), a.dtype), a.shape))

    return copy


def back(g: Any, shape: tuple, dtype: Any) -> Any:
    """The cotangent of what was broadcast and cast."""
    return cast(unexpand(g, shape), dtypes.BY_NUMPY[dtype])


fill, fill_in_place = _filling("FillBackward0"), _filling("FillBackward2")
fill_with, fill_with_in_place, copy = [_filling_with(name) for name in ("FillBackward1", "FillBackward3", "CopyBackwards")]
