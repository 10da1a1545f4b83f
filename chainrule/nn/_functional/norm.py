"""Normalisation: by batch, layer, group, instance, root mean square, neighbouring channels, or length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule._core.types import Size
from chainrule.functions.arguments import FAST, require_tensor
from chainrule.kernels import norm as kernels
from chainrule.kernels.batched import Batched
from chainrule.nn._functional.arguments import NARROW, legacy
from chainrule.ops import norm as ops
from chainrule.ops.inplace import write_out
from chainrule.ops.overrides import public
from chainrule.ops.shape import cast
from chainrule.tensor import Tensor

BATCHED_STATISTICS = (
    "Batch norm got a batched tensor as input while the running_mean or running_var, which will be updated in place, were not batched.\n"
    "If you are using a module and do not need eval mode, please set `track_running_stats` to be False.If you are using a prebuilt module "
    "and do not need eval mode, please see the functorch website for resources on how to patch your module to work with vmap"
)


def require_parameter(name: str, t: Any, count: int) -> None:
    """A running statistic or parameter has one element a channel."""
    if t is not None and t._data.shape != (count,):
        if t._data.ndim == 1 or t._data.size != count:
            raise RuntimeError(f"{name} should contain {count} elements not {t._data.size}")
        raise RuntimeError(f"{name} should be 1-D, but got shape {list(t._data.shape)}")


def require_types(input: Any, *parameters: Any) -> None:
    """Parameters are of input's type, or of float32 for half precision."""
    if input.dtype.category != dtypes.FLOATING:
        raise NotImplementedError(f"\"batch_norm\" not implemented for '{legacy(input)}'")
    for p in parameters:
        if p is None or p._data.dtype == input._data.dtype or (input._data.dtype in NARROW and p.dtype is dtypes.float32):
            continue
        if input._data.dtype in NARROW or p._data.dtype != np.float32:
            raise RuntimeError(
                f"mixed dtype (CPU): expect parameter to have scalar type of {'Float' if input._data.dtype in NARROW else legacy(input)}"
            )
        raise RuntimeError(f"expected scalar type {legacy(input)} but found {legacy(p)}")


def same_type(t: Any, input: Any) -> Any:
    """A parameter in input's type."""
    return t if t is None or t._data.dtype == input._data.dtype else cast(t, input.dtype)


def move_statistics(running: Any, value: np.ndarray, momentum: float) -> None:
    """running = (1 - momentum) * running + momentum * value, in place."""
    if running is not None:
        data = running._data
        if isinstance(value, Batched) and not isinstance(data, Batched):
            raise RuntimeError(BATCHED_STATISTICS)
        data[...] = (1 - momentum) * data.astype(value.dtype, copy=False) + momentum * value.reshape(data.shape)
        running._versions[0] += 1


def check_batch(size: Sequence[int]) -> None:
    if size[0] * math.prod(size[2:]) == 1:
        shown = Size(size) if isinstance(size, tuple) else size
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {shown}")


@public
def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None, bias: Tensor | None = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Each channel (dimension 1) with mean 0 and variance 1 over the others, times weight plus bias.

    In training the input's own statistics are used and the running ones move towards them; otherwise the running ones are used.

    Example:
        >>> batch_norm(tensor([[1.], [3.]]), None, None, training=True)
        tensor([[-1.0000],
                [ 1.0000]])
    """
    require_tensor("batch_norm", input)
    if training:
        check_batch(input._data.shape)
        if eps <= 0.0:
            raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    elif eps < 0.0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    return normalized_channels(input, running_mean, running_var, weight, bias, training, momentum, eps)


def fits(t: Any, dtype: np.dtype, shape: tuple) -> bool:
    """Whether a parameter is as it should be, or None."""
    return t is None or (t._data.dtype is dtype and t._data.shape == shape)


def normalized_channels(
    input: Any, mean: Any, var: Any, weight: Any, bias: Any, training: bool, momentum: float, eps: float,
    moments: list | None = None,
) -> Tensor:  # fmt: skip
    """`batch_norm`, its arguments not checked yet; in training the means and inverse deviations are added to `moments`."""
    x = input._data
    shape, dtype = x.shape[1:2], x.dtype
    if x.ndim < 2 and x.size:
        raise IndexError("Dimension out of range (expected to be in range of [-1, 0], but got 1)")
    if not training:
        for name, t in (("running_mean", mean), ("running_var", var)):
            if t is None:
                raise RuntimeError(f"{name} must be defined in evaluation mode")
    if not (
        dtype in FAST and fits(weight, dtype, shape) and fits(bias, dtype, shape) and fits(mean, dtype, shape) and fits(var, dtype, shape)
    ):
        for name, t in (("running_mean", mean), ("running_var", var), ("weight", weight), ("bias", bias)):
            require_parameter(name, t, x.shape[1] if x.ndim > 1 else 0)
        require_types(input, weight, bias, mean, var)
        weight, bias = same_type(weight, input), same_type(bias, input)
    if not x.size:
        y = input.clone() if weight is None else input.clone() * weight[0]
        return y if bias is None else y + bias[0]
    plan = kernels.by_channel(x.shape)
    if not training:
        wide = np.dtype(np.float32) if x.dtype in NARROW else x.dtype
        center, variance = (t._data.astype(wide, copy=False).reshape(plan.columns) for t in (mean, var))
        return ops.fixed_norm(input, weight, bias, center, 1 / np.sqrt(variance + wide.type(eps)), plan)
    y, average, variance, rstd = ops.normalized(ops.batch_norm, input, weight, bias, plan, eps)
    if moments is not None:
        moments += average, rstd
    if mean is not None:
        move_statistics(mean, average, momentum)
    if var is not None:
        move_statistics(var, variance * (plan.count / max(1, plan.count - 1)), momentum)
    return y


@public
def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None, weight: Tensor | None = None,
    bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """As `batch_norm`, each sample by itself: input (N, C, ...)."""
    require_tensor("instance_norm", input)
    x: Any = input
    shape = x._data.shape
    if use_input_stats:
        if math.prod(shape[2:]) == 1:
            raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    elif running_mean is None or running_var is None:
        raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
    n, channels = shape[:2]
    many = [t if t is None else t.repeat(n) for t in (running_mean, running_var, weight, bias)]  # type: ignore[attr-defined]
    for name, t in zip(("running_mean", "running_var", "weight", "bias"), (running_mean, running_var, weight, bias), strict=True):
        require_parameter(name, t, channels)
    mean, var, scale, shift = many
    y = normalized_channels(x.reshape(1, n * channels, *shape[2:]), mean, var, scale, shift, use_input_stats, momentum, eps)
    for running, t in zip((running_mean, running_var), many[:2], strict=True):
        if running is not None and use_input_stats:
            running._data[...] = t._data.reshape(n, channels).mean(0)
            running._versions[0] += 1
    return y.view(shape)  # type: ignore[attr-defined]


@public
def layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Mean 0 and variance 1 over the last dimensions, whose sizes are `normalized_shape`, times weight plus bias.

    Example:
        >>> layer_norm(tensor([[1., 3.]]), (2,))
        tensor([[-1.0000,  1.0000]])
    """
    shape = check_last("layer_norm", input, normalized_shape, "*, ")
    dtype = input._data.dtype
    if not (dtype in FAST and fits(weight, dtype, shape) and fits(bias, dtype, shape)):
        for name, t in (("weight", weight), ("bias", bias)):
            check_like(name, t, shape)
        require_types(input, weight, bias)
        weight, bias = same_type(weight, input), same_type(bias, input)
    return ops.normalized(ops.layer_norm, input, weight, bias, kernels.by_row(input._data.shape, shape), eps)[0]


def check_last(function: str, input: Any, normalized_shape: Any, star: str) -> tuple[int, ...]:
    require_tensor(function, input)
    if not isinstance(normalized_shape, (list, tuple)):
        kind = type(normalized_shape).__name__
        raise TypeError(f"{function}(): argument 'normalized_shape' (position 2) must be tuple of ints, not {kind}")
    shape = tuple(normalized_shape)
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got normalized_shape = []"
        )
    if input._data.shape[-len(shape) :] != shape:
        inner = ", ".join(map(str, shape))
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [{star}{inner}], but got input of "
            f"size{list(input._data.shape)}"
        )
    return shape


def check_like(name: str, t: Any, shape: tuple) -> None:
    if t is not None and t._data.shape != shape:
        raise RuntimeError(
            f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape {list(t._data.shape)} and "
            f"normalized_shape = {list(shape)}"
        )


@public
def rms_norm(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """input / sqrt(mean(input²) + eps) over the last dimensions, times weight; eps is the type's own if it is None."""
    shape = check_last("rms_norm", input, normalized_shape, "*")
    check_like("weight", weight, shape)
    x: Any = input
    dims = tuple(range(-len(shape), 0))
    if input.dtype.category < dtypes.FLOATING:
        raise NotImplementedError(f"\"rms_norm\" not implemented for '{legacy(input)}'")
    wide = cast(x, dtypes.float32) if input._data.dtype in NARROW else x
    if eps is None:
        eps = float(np.finfo(np.float64 if wide._data.dtype.itemsize == (16 if wide._data.dtype.kind == "c" else 8) else np.float32).eps)
    y = wide * (wide.pow(2).mean(dims, keepdim=True) + eps).rsqrt()
    if weight is not None:
        y = y * weight
    return cast(y, input.dtype) if wide is not x else y


@public
def group_norm(input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """Mean 0 and variance 1 over each group of channels of each sample: input (N, C, ...), weight and bias (C)."""
    require_tensor("group_norm", input)
    shape = input._data.shape
    if len(shape) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {len(shape)}")
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    check_batch([shape[0] * shape[1] // num_groups, num_groups, *shape[2:]])
    if shape[1] % num_groups:
        raise RuntimeError(
            f"Expected number of channels in input to be divisible by num_groups, but got input of shape {list(shape)} and "
            f"num_groups={num_groups}"
        )
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and t._data.shape != shape[1:2]:
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of shape "
                f"{list(t._data.shape)} "
                f"and input of shape {list(shape)}"
            )
    dtype = input._data.dtype
    if not (dtype in FAST and fits(weight, dtype, shape[1:2]) and fits(bias, dtype, shape[1:2])):
        require_types(input, weight, bias)
        weight, bias = same_type(weight, input), same_type(bias, input)
    return ops.normalized(ops.group_norm, input, weight, bias, kernels.by_group(shape, num_groups), eps)[0]


@public
def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """input / (k + alpha * the mean square of `size` neighbouring channels) ** beta: input (N, C, ...)."""
    require_tensor("local_response_norm", input)
    x: Any = input
    ndim = x._data.ndim
    if ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality                          input (got {ndim} dimensions)")
    if not x._data.size:
        return input
    squares = (x * x).unsqueeze(1)
    before, behind = size // 2, (size - 1) // 2
    from chainrule.nn._functional.padding import pad
    from chainrule.nn._functional.pool import avg_pool2d, avg_pool3d

    if ndim == 3:
        mean: Any = avg_pool2d(pad(squares, (0, 0, before, behind)), (size, 1), stride=1).squeeze(1)
    else:
        sizes = x._data.shape
        squares = squares.view(sizes[0], 1, sizes[1], sizes[2], -1)
        mean = avg_pool3d(pad(squares, (0, 0, 0, 0, before, behind)), (size, 1, 1), stride=1).squeeze(1).view(sizes)
    return x / (mean * alpha + k).pow(beta)


@public
def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """input divided by its p-norm along `dim`, or by eps if that is smaller.

    Example:
        >>> normalize(tensor([[3., 4.]]))
        tensor([[0.6000, 0.8000]])
    """
    require_tensor("normalize", input)
    x: Any = input
    length = x.norm(p, dim, keepdim=True).clamp_min(eps)
    result = x / length.expand_as(x)
    return result if out is None else write_out("normalize", out, result)


__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm", "normalize", "rms_norm"]
