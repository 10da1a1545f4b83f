"""Joining and splitting: many tensors from one, one from many."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.kernels.reductions import concatenate
from chainrule.ops.primitive import Primitive, linear
from chainrule.ops.shape import diagonal, reshape, select, slice_dim


def _uncat(g: Any, a_shape: tuple, dim: int, needs: tuple) -> tuple:
    parts, start = [], 0
    for shape, needed in zip(a_shape, needs):
        if shape == (0,) and g.ndim > 1:  # such a tensor was left out
            parts.append(reshape(slice_dim(g, 0, 0, 0, 1), (0,)) if needed else None)
            continue
        stop = start + shape[dim]
        parts.append(slice_dim(g, dim, start, stop, 1) if needed else None)
        start = stop
    return tuple(parts)


@linear(vjp=_uncat, variadic=True)
def cat(a: Any, dim: int) -> Any:
    """The arrays one after the other along `dim`."""
    if any([x.shape == (0,) for x in a]):  # joins with anything
        a = [x for x in a if x.shape != (0,)] or a
    return concatenate(a, dim)


@linear(vjp=lambda g, dim, needs: tuple([select(g, dim, i) if n else None for i, n in enumerate(needs)]), variadic=True)
def stack(a: Any, dim: int) -> Any:
    """The arrays one after the other along a new dimension `dim`."""
    lead = (slice(None),) * dim + (None,)
    return concatenate([x[lead] for x in a], dim)


def _unblock(g: Any, a_shape: tuple, needs: tuple) -> tuple:
    blocks, row, column = [], 0, 0
    for shape, needed in zip(a_shape, needs):
        rows, columns = (1, 1, *shape)[-2:]
        block = slice_dim(slice_dim(g, 0, row, row + rows, 1), 1, column, column + columns, 1) if needed else None
        blocks.append(None if block is None else reshape(block, shape))
        row, column = row + rows, column + columns
    return tuple(blocks)


@linear(vjp=_unblock, variadic=True)
def block_diag(a: Any) -> Any:
    """The matrices (a vector is a row) along the diagonal of a matrix."""
    blocks = [np.atleast_2d(m) for m in a]
    y = np.zeros((sum([m.shape[0] for m in blocks]), sum([m.shape[1] for m in blocks])), blocks[0].dtype)
    row = column = 0
    for m in blocks:
        y[row : row + m.shape[0], column : column + m.shape[1]] = m
        row, column = row + m.shape[0], column + m.shape[1]
    return y


def _splitting(node: str, view: bool) -> Primitive:
    @linear(a=lambda g, dim: cat(tuple(g), dim), variadic="outputs", view=view, node=node, name="split")
    def split(a: Any, sizes: tuple, dim: int) -> Any:
        """Consecutive parts of these sizes along `dim`."""
        parts, start, lead = [], 0, (slice(None),) * dim
        for n in sizes:
            parts.append(a[(*lead, slice(start, start + n))])
            start += n
        return parts

    return split


split, split_with_sizes = _splitting("SplitBackward0", True), _splitting("SplitWithSizesBackward0", True)
unsafe_split, unsafe_split_with_sizes = _splitting("UnsafeSplitBackward0", False), _splitting("UnsafeSplitWithSizesBackward0", False)


@linear(a=lambda g, dim: stack(tuple(g), dim), variadic="outputs", view=True)
def unbind(a: Any, dim: int) -> Any:
    """The slices of `dim`, which goes."""
    lead = (slice(None),) * dim
    return [a[(*lead, i, ...)] for i in range(a.shape[dim])]


@linear(a=lambda g, offset, dim1, dim2: diagonal(g, offset, dim1, dim2))
def diag_embed(a: Any, offset: int, dim1: int, dim2: int) -> Any:
    """Matrices, in the dimensions `dim1` and `dim2` of the result, with the last dimension of `a` on a diagonal."""
    n = a.shape[-1] + abs(offset)
    shape = list(a.shape[:-1])
    for d in sorted((dim1, dim2)):
        shape.insert(d, n)
    y = np.zeros(shape, a.dtype)
    diagonal.kernel(y, offset, dim1, dim2)[...] = a
    return y
