"""Pooling: the largest or the average of windows, of given or of adaptive size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor
from chainrule.kernels import pool as kernels
from chainrule.nn._functional.arguments import legacy
from chainrule.ops import pool as ops
from chainrule.ops.inplace import write_out
from chainrule.ops.overrides import public
from chainrule.tensor import Tensor, wrap

Size = int | Sequence[int]
COUNTS = ("", "a single int, or a tuple of one int", "a single int, or a tuple of two ints", "a single int, or a tuple of three ints")
NAMES = ("depth", "height", "width")
AXES = ("T", "H", "W")


def each(function: str, name: str, value: Any, d: int) -> tuple[int, ...]:
    """One number for each of d spatial dimensions."""
    if hasattr(value, "__index__"):
        return (value.__index__(),) * d
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{function}(): argument '{name}' must be tuple of ints, not {type(value).__name__}")
    many = tuple([v.__index__() for v in value])
    if len(many) == 1:
        return many * d
    if len(many) != d:
        optional = "be omitted, " if name == "stride" else "be "
        raise RuntimeError(
            f"{function}: {name} must {'either ' if name in ('kernel_size', 'stride', 'dilation') else ''}{optional}{COUNTS[d]}"
        )
    return many


def check_input(function: str, input: Any, d: int, first: bool = True) -> None:
    """Spatial and channel dimensions are not empty; the batch may be."""
    shape = input._data.shape
    if len(shape) not in (d + 1, d + 2):
        if d == 1:
            raise RuntimeError(
                f"{function}: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:{list(shape)}"
            )
        raise RuntimeError(f"non-empty {d + 1}D or {d + 2}D (batch mode) tensor expected for input")
    if 0 in (shape if len(shape) == d + 1 else shape[1:]):
        raise RuntimeError(
            f"Expected {d + 1}D or {d + 2}D (batch mode) tensor with optional 0 dim batch size for input, but got:{list(shape)}"
        )


def windows(
    function: str, input: Any, d: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[tuple, tuple, tuple, tuple, tuple]:
    """Checked kernel, stride, padding and dilation, and the spatial shape of the result."""
    kernel = each(function, "kernel_size", kernel_size, d)
    step = kernel if stride is None or (isinstance(stride, (tuple, list)) and not stride) else each(function, "stride", stride, d)
    margin, apart = each(function, "padding", padding, d), each(function, "dilation", dilation, d)
    check_input(function, input, d)
    if 0 in step:
        raise RuntimeError("stride should not be zero")
    if any(k <= 0 for k in kernel) or any(s <= 0 for s in step):
        names = ("kT", "kH", "kW")[3 - d :], ("dT", "dH", "dW")[3 - d :]
        sizes, strides = (" ".join([f"{n}: {v}" for n, v in zip(names[i], v, strict=True)]) for i, v in enumerate((kernel, step)))
        raise RuntimeError(
            f"kernel size should be greater than zero, but got {sizes}"
            if any(k <= 0 for k in kernel)
            else f"stride should be greater than zero, but got {strides}"
        )
    if any(q <= 0 for q in apart):
        described = " ".join([f"dilation{a}: {q}" for a, q in zip(AXES[3 - d :], apart, strict=True)])
        raise RuntimeError(f"dilation should be greater than zero, but got {described}")
    for p, k, q in zip(margin, kernel, apart, strict=True):
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > ((k - 1) * q + 1) // 2:
            raise RuntimeError(f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and dilation={q}")
    spatial = input._data.shape[-d:]
    out = kernels.pooled_size(spatial, kernel, step, margin, apart, ceil_mode)
    if any(n < 1 for n in out):
        planes = input._data.shape[-d - 1]
        before, after = "x".join(map(str, (planes, *spatial))), "x".join(map(str, (planes, *out)))
        raise RuntimeError(f"Given input size: ({before}). Calculated output size: ({after}). Output size is too small")
    return kernel, step, margin, apart, out


def require_real(kernel: str, input: Any, *refused: dtypes.dtype) -> None:
    if input.dtype in (dtypes.bool_, *refused) or input.dtype.is_complex:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{legacy(input)}'")


# The largest


def max_pool(function: str, d: int, input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> tuple:
    """The largest of each window, and its place in the flattened spatial dimensions."""
    require_tensor(function, input)
    kernel, step, margin, apart, out = windows(function, input, d, kernel_size, stride, padding, dilation, ceil_mode)
    require_real(function, input)
    values, places = kernels.max_pool(input._data, kernel, step, margin, apart, out)
    return ops.max_pool[d](input, places, d, values), wrap(places)


@public
def max_pool1d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window along the last dimension: input (N, C, L) or (C, L); with `return_indices` their places too.

    Example:
        >>> max_pool1d(tensor([[[1., 3., 2., 0.]]]), 2)
        tensor([[[3., 2.]]])
    """
    require_tensor("max_pool1d", input)
    check_input("max_pool1d", input, 1)
    names = {
        "kernel_size": kernel_size,
        "stride": kernel_size if stride is None or stride == () else stride,
        "padding": padding,
        "dilation": dilation,
    }
    k, s, p, q = (each("max_pool1d", n, v, 1)[0] for n, v in names.items())
    for name, v in (("kernel_size", k), ("stride", s), ("dilation", q)):
        if v <= 0:
            raise RuntimeError(f"max_pool1d() {name} must be greater than zero, but got {v}")
    if p < 0:
        raise RuntimeError(f"max_pool1d() padding must be non-negative, but got {p}")
    if p > k // 2:
        raise RuntimeError(f"max_pool1d() padding should be at most half of kernel size, but got padding={p} and kernel_size={k}")
    (out,) = kernels.pooled_size(input._data.shape[-1:], (k,), (s,), (p,), (q,), ceil_mode)
    if out <= 0:
        raise RuntimeError(f"max_pool1d() Invalid computed output size: {out}")
    if not return_indices and input.dtype.category < dtypes.FLOATING:
        raise NotImplementedError(f"\"max_pool1d_impl\" not implemented for '{dtypes.LEGACY[input.dtype]}'")
    result = max_pool("max_pool1d", 1, input, k, s, p, q, ceil_mode)
    return result if return_indices else result[0]


@public
def max_pool2d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window: input (N, C, H, W) or (C, H, W); with `return_indices` their places in the plane too.

    The stride is the kernel size if left out. In `ceil_mode` windows may hang over the edge.

    Example:
        >>> max_pool2d(tensor([[[1., 3.], [2., 0.]]]), 2)
        tensor([[[3.]]])
    """
    result = max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode)
    return result if return_indices else result[0]


@public
def max_pool3d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window: input (N, C, D, H, W) or (C, D, H, W)."""
    result = max_pool("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode)
    return result if return_indices else result[0]


# The average


def avg_pool(
    function: str,
    d: int,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Tensor:
    require_tensor(function, input)
    kernel, step, margin, _, out = windows(function, input, d, kernel_size, stride, padding, 1, ceil_mode)
    if divisor == 0:
        raise RuntimeError("divisor must be not zero")
    others = [t for t in dtypes.ALL if t.category == dtypes.INTEGRAL and t is not dtypes.int64]
    require_real(function, input, *others)
    counts: Any = divisor
    if divisor is None:
        counts = kernels.window_counts(input._data.shape[-d:], kernel, step, margin, out, count_include_pad)
        if counts.min() == counts.max():
            counts = int(counts.flat[0])
        elif input.dtype.is_floating_point:
            counts = counts.astype(np.float32 if input._data.dtype.itemsize == 2 else input._data.dtype)
    return ops.avg_pool[d](input, kernel, step, margin, out, counts)


@public
def avg_pool1d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False, count_include_pad: bool = True
) -> Tensor:
    """The average of each window along the last dimension: input (N, C, L) or (C, L)."""
    require_tensor("avg_pool1d", input)
    ndim = input._data.ndim
    if ndim not in (2, 3):
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {ndim}-dimensional tensor for argument #1 'self' (while checking arguments for "
            "avg_pool1d)"
        )
    return avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@public
def avg_pool2d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None, *, out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The average of each window: input (N, C, H, W) or (C, H, W). Padding counts as zeros, or not at all.

    Example:
        >>> avg_pool2d(tensor([[[1., 3.], [2., 0.]]]), 2)
        tensor([[[1.5000]]])
    """
    result = avg_pool("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return result if out is None else write_out("avg_pool2d", out, result)


@public
def avg_pool3d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None, *, out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The average of each window: input (N, C, D, H, W) or (C, D, H, W)."""
    result = avg_pool("avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return result if out is None else write_out("avg_pool3d", out, result)


# Adaptive: the size of the result is given


def targets(function: str, input: Any, output_size: Any, d: int) -> tuple[int, ...]:
    """The wanted sizes; None keeps the input's."""
    many = (output_size,) * d if output_size is None or hasattr(output_size, "__index__") else tuple(output_size)
    if len(many) != d:
        raise RuntimeError(f"{function}: output_size must be {d}")
    return tuple([n if m is None else m.__index__() for m, n in zip(many, input._data.shape[-d:], strict=True)])


def adaptive_avg_pool(function: str, d: int, input: Any, output_size: Any) -> Tensor:
    require_tensor(function, input)
    out = targets(function, input, output_size, d)
    if any(n < 0 for n in out):
        raise RuntimeError(
            f"{function}: elements of output_size must be greater than or equal to 0 but received {{{', '.join(map(str, out))}}}"
        )
    shape = input._data.shape
    if d > 1 and len(shape) < d + 1:
        raise ValueError(f"Input dimension should be at least {d + 1}")
    if d > 1 and all(n == 1 for n in out):
        return input.mean(tuple(range(-d, 0)), keepdim=True)
    if len(shape) not in (d + 1, d + 2):
        raise RuntimeError(f"{function}(): Expected {d + 1}D or {d + 2}D tensor, but got {list(shape)}")
    check_planes(function, shape, d)
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"\"adaptive_avg_pool{max(d, 2)}d\" not implemented for '{legacy(input)}'")
    wide = np.dtype(np.float32) if input._data.dtype.itemsize == 2 else input._data.dtype
    matrices = tuple([kernels.averaging_matrix(n, m, wide) for n, m in zip(shape[-d:], out, strict=True)])
    return ops.adaptive_avg_pool[d](input, matrices)


def check_planes(function: str, shape: tuple, d: int) -> None:
    for i in range(len(shape) - d, len(shape)):
        if shape[i] == 0:
            raise RuntimeError(
                f"{function}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes {list(shape)} with "
                f"dimension {i} being empty"
            )


@public
def adaptive_avg_pool1d(input: Tensor, output_size: Size) -> Tensor:
    """The averages of `output_size` windows that cover the last dimension: input (N, C, L) or (C, L)."""
    require_tensor("adaptive_avg_pool1d", input)
    ndim = input._data.ndim
    if ndim not in (2, 3):
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {ndim}-dimensional tensor for argument #1 'self' (while checking arguments for "
            "adaptive_avg_pool1d)"
        )
    return adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


@public
def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """The averages of windows that cover the plane, `output_size` (H, W) of them (None: as many as elements).

    Example:
        >>> adaptive_avg_pool2d(tensor([[[1., 3.], [2., 0.]]]), 1)
        tensor([[[1.5000]]])
    """
    return adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)


@public
def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """The averages of windows that cover the volume, `output_size` (D, H, W) of them (None: as many as elements)."""
    return adaptive_avg_pool("adaptive_avg_pool3d", 3, input, output_size)


__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool1d",
    "max_pool2d", "max_pool3d",
]  # fmt: skip
