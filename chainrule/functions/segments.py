"""`segment_reduce`: reductions of stretches of a dimension, given by their lengths or by where they begin."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor, wrap_dim
from chainrule.functions.scatter import scatter_reduce
from chainrule.ops.overrides import public
from chainrule.ops.shape import expand, slice_dim
from chainrule.tensor import Tensor, wrap

# name -> what `scatter_reduce` calls it, and what it gives for no elements
REDUCTIONS = {
    "sum": ("sum", 0.0), "mean": ("sum", 0.0), "prod": ("prod", 1.0), "max": ("amax", -np.inf), "amax": ("amax", -np.inf),
    "min": ("amin", np.inf), "amin": ("amin", np.inf),
}  # fmt: skip


@public
def segment_reduce(
    data: Tensor, reduce: str, *, lengths: Tensor | None = None, indices: Tensor | None = None, offsets: Tensor | None = None,
    axis: int = 0, unsafe: bool = False, initial: Any = None,
) -> Tensor:  # fmt: skip
    """The "sum", "mean", "max", "min" or "prod" of each segment of `data` along `axis`.

    The segments have `lengths`, (*data.shape[:axis], segments), or lie between neighbours in `offsets`. Every segment starts with
    `initial`; without it an empty one has 0, nan, -inf, inf or 1. `unsafe` leaves out the test of the lengths.

    Example:
        >>> segment_reduce(tensor([1., 2., 3.]), "sum", lengths=tensor([2, 1]))
        tensor([3., 3.])
    """
    require_tensor("segment_reduce", data, "data")
    if reduce not in REDUCTIONS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    if data._data.dtype.kind != "f" and data.dtype is not dtypes.bfloat16:
        raise NotImplementedError(f"\"_segment_reduce_cpu\" not implemented for '{dtypes.LEGACY[data.dtype]}'")
    if not data._data.ndim:
        raise RuntimeError("segment_reduce(): a 0-dim tensor has no segments")
    axis = wrap_dim(axis, data._data.ndim)
    bounds = boundaries(data, lengths, offsets, axis, unsafe)
    shape, count = data._data.shape, bounds.shape[-1] - 1
    place = segment_of_each(bounds, shape[axis])
    places = wrap(np.broadcast_to(place.reshape(*place.shape, *[1] * (len(shape) - axis - 1)), shape))
    name, nothing = REDUCTIONS[reduce]
    start = wrap(np.array(nothing if initial is None else initial, data._data.dtype))
    whole = expand(start, (*shape[:axis], count + 1, *shape[axis + 1 :]))
    y = scatter_reduce(whole, axis, places, data, name, include_self=initial is not None or name in ("sum", "prod"))
    y = slice_dim(y, axis, 0, count, 1)
    if reduce != "mean":
        return y
    size = np.diff(bounds)
    size = size if initial is None else np.maximum(size, 1)
    return y / wrap(size.reshape(*size.shape, *[1] * (len(shape) - axis - 1)).astype(data._data.dtype))


def boundaries(data: Tensor, lengths: Tensor | None, offsets: Tensor | None, axis: int, unsafe: bool) -> np.ndarray:
    """Where segments begin, and after the last of them where it ends: (*data.shape[:axis], segments + 1)."""
    given = lengths if lengths is not None else offsets
    if given is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    name, found = ("lengths" if lengths is not None else "offsets"), given._data
    if found.dtype.kind not in "iu":
        raise NotImplementedError(f"\"_segment_reduce_{name}_cpu_kernel1\" not implemented for '{dtypes.LEGACY[given.dtype]}'")
    if found.ndim - 1 != axis:
        raise RuntimeError(f"segment_reduce(): Expected axis to be the last dimension of {name} but got {axis}.")
    if lengths is None:
        return found.astype(np.int64)
    if not unsafe:
        if found.size and found.min() < 0:
            raise RuntimeError("lengths contains negative value!")
        if (found.sum(-1) != data._data.shape[axis]).any():
            raise RuntimeError(
                "segment_reduce(): Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when !unsafe."
            )
    return np.concatenate([np.zeros((*found.shape[:-1], 1), np.int64), found.cumsum(-1)], -1)


def segment_of_each(bounds: np.ndarray, n: int) -> np.ndarray:
    """The number of the segment (..., n) that each place is in; of those in none, a number more than there are segments."""
    rows, count = bounds.reshape(-1, bounds.shape[-1]), bounds.shape[-1] - 1
    row = np.arange(len(rows))[:, None]
    # One search for all rows: each is moved behind the one before it.
    found = np.searchsorted((rows + row * (n + 1)).reshape(-1), np.arange(n) + row * (n + 1), "right") - 1 - row * (count + 1)
    return np.where(found < 0, count, found).reshape(*bounds.shape[:-1], n)


__all__ = ["segment_reduce"]
