"""Functions of layers as PyTorch's dispatcher names them: they return what their derivatives need, too, or are those derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from chainrule.functions.arguments import require_tensor
from chainrule.kernels import norm as plans, pool as kernels
from chainrule.kernels.random import bernoulli
from chainrule.nn._functional.norm import check_last, check_like, normalized_channels, require_types, same_type
from chainrule.nn._functional.sampling import grid_sample
from chainrule.nn._functional.shuffle import channel_shuffle
from chainrule.ops import norm as ops, pool
from chainrule.ops.inplace import write_out
from chainrule.ops.overrides import public
from chainrule.ops.pointwise import masked_fill_scalar
from chainrule.ops.primitive import general
from chainrule.ops.reduce import mean as average
from chainrule.ops.shape import reshape
from chainrule.tensor import Tensor, wrap

Triple = tuple[Tensor, Tensor, Tensor]
GRID_MODES, GRID_PADDING = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


@public
def native_layer_norm(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float) -> Triple:
    """`nn.functional.layer_norm`, the means, and the inverses of the standard deviations.

    Example:
        >>> native_layer_norm(tensor([[1., 3.]]), (2,), None, None, 0.)[1]
        tensor([[2.]])
    """
    shape = check_last("native_layer_norm", input, normalized_shape, "*, ")
    check_like("weight", weight, shape)
    check_like("bias", bias, shape)
    require_types(input, weight, bias)
    plan = plans.by_row(input._data.shape, shape)
    y, mean, _, rstd = ops.normalized(ops.layer_norm, input, same_type(weight, input), same_type(bias, input), plan, eps)
    lead = input._data.shape[: -len(shape)] + (1,) * len(shape)
    return y, wrap(mean.reshape(lead)), wrap(rstd.reshape(lead))


@public
def native_batch_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None, running_var: Tensor | None, training: bool,
    momentum: float, eps: float, *, out: tuple[Tensor, ...] | None = None,
) -> Triple:  # fmt: skip
    """`nn.functional.batch_norm`, the means, and the inverses of the standard deviations; the latter are empty if not `training`."""
    require_tensor("native_batch_norm", input)
    moments: list[np.ndarray] = []
    y = normalized_channels(input, running_mean, running_var, weight, bias, training, momentum, eps, moments)
    channels = input._data.shape[1:2]
    given = [wrap(v.reshape(channels)) for v in moments] or [wrap(np.empty(0, input._data.dtype)) for _ in range(2)]
    result = y, given[0], given[1]
    return result if out is None else write_out("native_batch_norm", out, result)


@public
def native_group_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, N: int, C: int, HxW: int, group: int, eps: float
) -> Triple:
    """`nn.functional.group_norm` of N samples with C channels of HxW places; the means, and the inverses of the standard deviations."""
    require_tensor("native_group_norm", input)
    if C % group:
        raise RuntimeError(f"Expected number of channels in input to be divisible by num_groups, but got C={C} and num_groups={group}")
    require_types(input, weight, bias)
    plan = plans.by_group((N, C, HxW), group)
    y, mean, _, rstd = ops.normalized(ops.group_norm, input, same_type(weight, input), same_type(bias, input), plan, eps)
    view = reshape(input, plan.view)
    means, inverses = average(view, plan.dims, True), ops.inverse_deviation(view, rstd, mean, plan.dims, eps)
    return y, reshape(means, (N, group)), reshape(inverses, (N, group))


@public
def native_dropout(input: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
    """`nn.functional.dropout`, and which elements are kept."""
    require_tensor("native_dropout", input)
    if train is False or not input._data.size:
        return input.clone(), wrap(np.ones(input._data.shape, bool))  # type: ignore[attr-defined]
    kept = bernoulli(input._data.shape, input._data.dtype, None, 1 - p).astype(bool)
    return native_dropout_backward(input, wrap(kept), 1 / (1 - p) if p < 1 else 0.0), wrap(kept)


@public
def native_dropout_backward(grad_output: Any, mask: Any, scale: float) -> Tensor:
    """The cotangent of dropout's input."""
    return grad_output * mask * scale


@public
def grid_sampler_2d(input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool) -> Tensor:
    """`nn.functional.grid_sample`, its modes as numbers."""
    return grid_sample(input, grid, GRID_MODES[interpolation_mode], GRID_PADDING[padding_mode], align_corners)


@public
def grid_sampler_3d(input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool) -> Tensor:
    """`nn.functional.grid_sample` of volumes, its modes as numbers."""
    return grid_sample(input, grid, GRID_MODES[interpolation_mode], GRID_PADDING[padding_mode], align_corners)


native_channel_shuffle = channel_shuffle


@general(
    a=lambda g, places: pool.take(g, places, 2), b=lambda g: masked_fill_scalar(g, EVERYWHERE, 0), inputs=("a", "b", "places"),
    node="MaxPool2DWithIndicesBackwardBackward0",
)  # fmt: skip
def put_back(a: Any, b: Any, places: Any) -> Any:
    """Zeros of b's shape with the elements of a added at `places`."""
    return kernels.scatter(a, places, b.shape[-2:])


EVERYWHERE = np.ones((), bool)


@public
def max_pool2d_with_indices_backward(
    grad_output: Tensor, self: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, indices: Tensor
) -> Tensor:
    """The cotangent of `max_pool2d`'s input `self`: `grad_output` added at `indices`, places in the last two dimensions."""
    spatial = self._data.shape[-2:]
    if grad_output._data.shape != indices._data.shape or indices._data.size and indices._data.max() >= prod(spatial):
        raise RuntimeError(f"indices of shape {list(indices._data.shape)} do not fit grad_output of shape {list(grad_output._data.shape)}")
    return put_back(grad_output, self, indices)


__all__ = [
    "grid_sampler_2d", "grid_sampler_3d", "max_pool2d_with_indices_backward", "native_batch_norm", "native_channel_shuffle",
    "native_dropout", "native_dropout_backward", "native_group_norm", "native_layer_norm",
]  # fmt: skip
