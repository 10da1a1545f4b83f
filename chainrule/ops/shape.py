"""Shape: views and copies that move elements without changing them."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.ops.pointwise_form import cast_array
from chainrule.ops.primitive import linear


@linear(a=lambda g, a_shape: unexpand(g, a_shape), view=True)
def expand(a: Any, shape: tuple) -> Any:
    """Broadcast to `shape` without copying."""
    return np.broadcast_to(a, shape) if a.shape != shape else a[...]


def unexpand(g: Any, shape: tuple) -> Any:
    from chainrule.ops.reduce import sum_to

    return sum_to(g, shape)


def spread(g: Any, shape: tuple, dim: Any, keepdim: bool) -> Any:
    """The transpose of a reduction: g, which lacks `dim` (or has it as 1), broadcast to `shape`."""
    if dim is not None and not keepdim:
        g = reshape(g, tuple([1 if i in dim else n for i, n in enumerate(shape)]))
    elif dim is None and g.ndim:
        g = reshape(g, ())
    return expand(g, shape)


@linear(a=lambda g, a_shape: reshape(g, a_shape), node="ViewBackward0", view=True)
def view(a: Any, shape: tuple) -> Any:
    """The same elements in another shape, without a copy (the caller knows that it can)."""
    return a.reshape(shape)


@linear(a=lambda g, a_shape: reshape(g, a_shape), node="UnsafeViewBackward0")
def reshape(a: Any, shape: tuple) -> Any:
    """The same elements in another shape; a view or a copy, whichever NumPy makes."""
    return a.reshape(shape)


@linear(a=lambda g, a_dtype: cast(g, dtypes.BY_NUMPY[a_dtype]), node="ToCopyBackward0")
def cast(a: Any, dtype: dtypes.dtype) -> Any:
    """A copy in another type; complex to real takes the real part."""
    return cast_array(np.asarray(a), dtype.numpy)
