"""Pooling that keeps extremes in other ways: to a given size, by uneven windows, by a p-norm; and the way back."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor
from chainrule.kernels import pool as kernels
from chainrule.kernels.random import uniform
from chainrule.nn._functional.arguments import ints, legacy
from chainrule.nn._functional.pool import Size, avg_pool1d, avg_pool2d, avg_pool3d, max_pool1d, max_pool2d, max_pool3d
from chainrule.ops import pointwise as elements, pool as ops
from chainrule.ops.overrides import public
from chainrule.tensor import Tensor, wrap


def taken(op: Any, input: Any, places: Iterable, out: tuple) -> tuple[Tensor, Tensor]:
    """The largest elements among `places`, as recorded by `op`, and where they are."""
    x = input._data
    d = len(out)
    values, chosen = kernels.largest_at(x.reshape(*x.shape[: x.ndim - d], math.prod(x.shape[x.ndim - d :])), places, out)
    return op(input, chosen, d, values), wrap(chosen)


# To a given size


def adaptive_max_pool(d: int, input: Any, output_size: Any) -> tuple[Tensor, Tensor]:
    name = f"adaptive_max_pool{d}d"
    require_tensor(name, input)
    shape = input._data.shape
    if d == 1:
        if len(shape) not in (2, 3):
            raise RuntimeError(
                f"Expected 2 to 3 dimensions, but got {len(shape)}-dimensional tensor for argument #1 'self' (while checking arguments "
                f"for {name})"
            )
    elif len(shape) < d + 1:
        raise ValueError(f"Input dimension should be at least {d + 1}")
    many = (output_size,) * d if output_size is None or hasattr(output_size, "__index__") else tuple(output_size)
    if len(many) != d:
        if d == 1:
            raise RuntimeError(f"{name}() argument 'output_size' should contain one int (got {len(many)})")
        raise RuntimeError(f"{name}(): internal error: output_size.size() must be {d}")
    if len(shape) not in (d + 1, d + 2):
        raise RuntimeError(f"{name}(): Expected {d + 1}D or {d + 2}D tensor, but got: {list(shape)}")
    out = tuple([n if m is None else int(m) for m, n in zip(many, shape[-d:], strict=True)])
    for i in range(1 if len(shape) == d + 2 else 0, len(shape)):
        if not shape[i] and i >= len(shape) - d:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes {list(shape)} with "
                f"dimension {i} being empty"
            )
    if min(out, default=0) < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(out)}: {[*shape[:-d], *out]}")
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"\"adaptive_max_pool{max(d, 2)}d\" not implemented for '{legacy(input)}'")
    return taken(ops.adaptive_max_pool[d], input, kernels.adaptive_places(shape[-d:], out), out)


@public
def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of `output_size` windows that cover the last dimension; with `return_indices` their places too."""
    result = adaptive_max_pool(1, input, output_size)
    return result if return_indices else result[0]


@public
def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of windows that cover the plane, `output_size` (H, W) of them (None: as many as elements).

    Example:
        >>> adaptive_max_pool2d(tensor([[[1., 3.], [2., 0.]]]), 1)
        tensor([[[3.]]])
    """
    result = adaptive_max_pool(2, input, output_size)
    return result if return_indices else result[0]


@public
def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of windows that cover the volume, `output_size` (D, H, W) of them (None: as many as elements)."""
    result = adaptive_max_pool(3, input, output_size)
    return result if return_indices else result[0]


# By uneven windows


def fractional(d: int, input: Any, kernel_size: Any, output_size: Any, output_ratio: Any, samples: Any) -> tuple[Tensor, Tensor]:
    name = f"fractional_max_pool{d}d"
    require_tensor(name, input)
    shape = input._data.shape
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if len(shape) < d + 1:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-len(shape)}, {len(shape) - 1}], but got {-d - 1})")
    spatial = shape[-d:]
    if output_size is None:
        ratios = (output_ratio,) * d if isinstance(output_ratio, (int, float)) else tuple(output_ratio)
        if len(ratios) != d:
            raise ValueError(f"{name} requires output_ratio to either be a single Int or tuple of Ints.")
        output_size = [int(n * r) for n, r in zip(spatial, ratios, strict=True)]
    window, out = (ints(v, d, name, n) for n, v in (("kernel_size", kernel_size), ("output_size", output_size)))
    lead = shape[: len(shape) - d]
    n, planes = (1, lead[0]) if len(lead) == 1 else lead
    if samples is None:
        samples = wrap(uniform((n, planes, d), input._data.dtype, None))
    for axis, size, m, k in zip(("time", "height", "width")[3 - d :], spatial, out, window, strict=True):
        if m + k - 1 > size:
            raise RuntimeError(f"{name}(): pool {axis} {k} too large relative to input {axis} {size}")
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"\"{name}_out_frame\" not implemented for '{legacy(input)}'")
    data = samples._data[:n].reshape(*lead, d)
    # In the plane the first number is that of the width; in space, that of the depth.
    order = range(d) if d == 3 else reversed(range(d))
    starts = [kernels.fractional_starts(data[..., s], size, m, k) for s, size, m, k in zip(order, spatial, out, window, strict=True)]
    return taken(ops.fractional_max_pool[d], input, kernels.fractional_places(starts, window, spatial), out)


@public
def fractional_max_pool2d(
    input: Tensor, kernel_size: Size, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The largest elements of windows at random, uneven steps: `output_size` of them, or `output_ratio` of the input's size."""
    result = fractional(2, input, kernel_size, output_size, output_ratio, _random_samples)
    return result if return_indices else result[0]


@public
def fractional_max_pool3d(
    input: Tensor, kernel_size: Size, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """`fractional_max_pool2d` of volumes."""
    result = fractional(3, input, kernel_size, output_size, output_ratio, _random_samples)
    return result if return_indices else result[0]


# By a p-norm


def lp_pool(d: int, input: Any, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool) -> Tensor:
    require_tensor(f"lp_pool{d}d", input)
    if math.isinf(norm_type):
        largest = (max_pool1d, max_pool2d, max_pool3d)[d - 1]
        if norm_type > 0:
            return largest(input.abs(), kernel_size, stride, 0, 1, ceil_mode)
        return -largest(-input.abs(), kernel_size, stride, 0, 1, ceil_mode)
    average = (avg_pool1d, avg_pool2d, avg_pool3d)[d - 1]
    y: Any = average(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    count = math.prod(ints(kernel_size, d, f"lp_pool{d}d", "kernel_size"))
    return (y.sign() * elements.abs.function(y).relu()).mul(count).pow(1.0 / norm_type)


@public
def lp_pool1d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """The p-norm of each window along the last dimension."""
    return lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


@public
def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """The p-norm of each window of the plane."""
    return lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


@public
def lp_pool3d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """The p-norm of each window of the volume."""
    return lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


# The way back


def max_unpool(d: int, input: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any, output_size: Any) -> Tensor:
    name = f"max_unpool{d}d"
    require_tensor(name, input)
    require_tensor(name, indices, "indices", 2)
    kernel = ints(kernel_size, d, name, "kernel_size")
    step = kernel if stride is None else ints(stride, d, name, "stride")
    margin = ints(padding, d, name, "padding")
    shape = input._data.shape
    if len(shape) not in (d + 1, d + 2):
        raise RuntimeError(
            f"Input to max_unpooling{d}d should be a {d + 1}d or {d + 2}d Tensor, but got a tensor with {len(shape)} dimensions."
        )
    usual = [(n - 1) * s + k - 2 * p for n, s, k, p in zip(shape[-d:], step, kernel, margin, strict=True)]
    spatial = tuple(usual) if output_size is None else chosen_size(tuple(output_size), usual, step)
    if indices.dtype is not dtypes.int64:
        raise RuntimeError(f"elements in indices should be type int64 but got: {legacy(indices)}")
    if indices._data.shape != shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({list(shape)}) but got indices tensor with shape: "
            f"{list(indices._data.shape)}"
        )
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"\"max_unpool{max(d, 2)}d\" not implemented for '{legacy(input)}'")
    places = indices._data
    wrong = (places < 0) | (places >= math.prod(spatial))
    if wrong.any():
        volume = "x".join(map(str, (1, *spatial) if d == 1 else spatial))
        raise RuntimeError(f"Found an invalid max index: {places[wrong].flat[0]} (output volumes are of size {volume})")
    return ops.max_unpool[d](input, places, d, spatial)


def chosen_size(size: tuple, usual: list[int], step: tuple) -> tuple:
    d = len(usual)
    if len(size) == d + 2:
        size = size[2:]
    if len(size) != d:
        raise ValueError(f"output_size should be a sequence containing {d} or {d + 2} elements, but it has a length of '{len(size)}'")
    for i, (n, m, s) in enumerate(zip(size, usual, step, strict=True)):
        if not m - s < n < m + s:
            raise ValueError(f'invalid output_size "{size}" (dim {i} must be between {m - s} and {m + s})')
    return size


@public
def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: Size, stride: Any = None, padding: Size = 0, output_size: Any = None
) -> Tensor:
    """The inverse of `max_pool1d` as far as there is one: elements at the places that it returned, zeros elsewhere."""
    return max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


@public
def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size: Size, stride: Any = None, padding: Size = 0, output_size: Any = None
) -> Tensor:
    """The inverse of `max_pool2d` as far as there is one: elements at the places that it returned, zeros elsewhere.

    Example:
        >>> max_unpool2d(tensor([[[5.]]]), tensor([[[3]]]), 2)
        tensor([[[0., 0.],
                 [0., 5.]]])
    """
    return max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


@public
def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: Size, stride: Any = None, padding: Size = 0, output_size: Any = None
) -> Tensor:
    """The inverse of `max_pool3d` as far as there is one."""
    return max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


def with_indices(function: Any) -> Any:
    """The form that always returns the places too, which PyTorch has by a name of its own."""

    def pooled(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        return function(*args, **{**kwargs, "return_indices": True})

    pooled.__name__ = pooled.__qualname__ = f"{function.__name__}_with_indices"
    pooled.__doc__ = f"`{function.__name__}`, and the places of the results."
    return pooled


POOLS = (
    max_pool1d, max_pool2d, max_pool3d, adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d, fractional_max_pool2d,
    fractional_max_pool3d,
)  # fmt: skip
globals().update({f"{f.__name__}_with_indices": with_indices(f) for f in POOLS})

__all__ = [
    "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d", "fractional_max_pool2d", "fractional_max_pool3d", "lp_pool1d",
    "lp_pool2d", "lp_pool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d", *(f"{f.__name__}_with_indices" for f in POOLS),
]  # fmt: skip
