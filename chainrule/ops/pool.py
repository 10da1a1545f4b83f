"""Pooling: taking the largest is a gather at places that the kernel finds, averaging is linear; the transposes are here too.

The spatial dimensions are the last ones; kernel, stride, padding and sizes are tuples, one number for each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.kernels import pool
from chainrule.ops.primitive import Primitive, linear


def taking(node: str) -> Primitive:
    """The primitive that takes, under PyTorch's name for it, the elements at `places` (flat, in the last d dimensions).

    `found` are the elements, where they are known already.
    """

    @linear(
        a=lambda g, places, a_shape, d: scatter(g, places, a_shape[len(a_shape) - d :]), jvp=lambda t, places, d: take(t, places, d),
        inputs=("a", "places"), node=node,
    )  # fmt: skip
    def taken(a: Any, places: Any, d: int, found: Any = None) -> Any:
        return pool.gather(a, places, d) if found is None else found

    return taken


@linear(a=lambda g, places, spatial: take(g, places, len(spatial)), inputs=("a", "places"), node="ScatterAddBackward0")
def scatter(a: Any, places: Any, spatial: Any) -> Any:
    """Zeros of spatial shape `spatial` with the elements of `a` added at `places`."""
    return pool.scatter(a, places, spatial)


take = taking("GatherBackward0")
max_pool = {d: taking(f"MaxPool{max(d, 2)}DWithIndicesBackward0") for d in (1, 2, 3)}
adaptive_max_pool = {d: taking(f"AdaptiveMaxPool{max(d, 2)}DBackward0") for d in (1, 2, 3)}

fractional_max_pool = {d: taking(f"FractionalMaxPool{d}DBackward0") for d in (2, 3)}


def unpooling(node: str) -> Primitive:
    @linear(a=lambda g, places, d: take(g, places, d), inputs=("a", "places"), node=node)
    def unpool(a: Any, places: Any, d: int, spatial: Any) -> Any:
        """Zeros of spatial shape `spatial` with the elements of `a` put at `places`."""
        return pool.unpool(a, places, spatial)

    return unpool


max_unpool = {d: unpooling(f"MaxUnpool{max(d, 2)}DBackward0") for d in (1, 2, 3)}


def averaging(d: int) -> Primitive:
    @linear(
        a=lambda g, a_shape, kernel, stride, padding, out, divisor: spread(
            g, kernel, stride, padding, a_shape[len(a_shape) - len(out) :], divisor
        ),
        node=f"AvgPool{max(d, 2)}DBackward0",
    )
    def average(a: Any, kernel: Any, stride: Any, padding: Any, out: Any, divisor: Any) -> Any:
        """The sum of each window over `divisor`, a number or an array of spatial shape `out`."""
        return as_type(a, lambda wide: pool.sum_pool(wide, kernel, stride, padding, out) / divisor)

    return average


@linear(
    a=lambda g, a_shape, kernel, stride, padding, divisor: avg_pool[len(kernel)](
        g, kernel, stride, padding, a_shape[len(a_shape) - len(kernel) :], divisor
    )
)
def spread(a: Any, kernel: Any, stride: Any, padding: Any, spatial: Any, divisor: Any) -> Any:
    """Each element of `a` over `divisor`, added to all of its window: the transpose of averaging."""
    return as_type(a, lambda wide: pool.spread_windows(wide / divisor, kernel, stride, padding, spatial))


avg_pool = {d: averaging(d) for d in (1, 2, 3)}


def resampling(node: str) -> Primitive:
    """The primitive that multiplies each of the last dimensions by a matrix (out, size) of its own."""

    @linear(a=lambda g, matrices: resample(g, tuple([m.T for m in matrices])), node=node)
    def resampled(a: Any, matrices: Any) -> Any:
        return pool.along_axes(a, matrices)

    return resampled


resample = resampling("ResampleBackward0")
adaptive_avg_pool = {d: resampling(f"AdaptiveAvgPool{max(d, 2)}DBackward0") for d in (1, 2, 3)}


def as_type(a: np.ndarray, compute: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Compute in a's type; half precision in float32, and back."""
    (wide,) = pool.widened(a)
    return np.asarray(compute(wide)).astype(a.dtype, copy=False)
