"""Dropout: elements or whole channels set to zero at random, with PyTorch's stream of random numbers."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor
from chainrule.kernels.random import bernoulli
from chainrule.kernels.threads import in_blocks
from chainrule.ops import pointwise as ops
from chainrule.ops.inplace import inplace as overwriting
from chainrule.ops.overrides import public
from chainrule.tensor import Tensor, wrap

SATURATION = 1.7580993408473766  # minus the value that selu tends to; alpha dropout drops to it


def check_probability(p: float) -> None:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def thinned(input: Any, p: float, channels: bool, alpha: bool) -> Tensor:
    """input times random zeros and ones (one for each element, or for each channel), scaled to keep its mean (and variance)."""
    data = input._data
    if p == 0 or not data.size:
        return input
    if p == 1:
        return ops.mul.function(input, wrap(np.zeros((), data.dtype)))
    if dtypes.BY_NUMPY[data.dtype].category < dtypes.FLOATING:
        raise RuntimeError(f"result type Float can't be cast to the desired output type {dtypes.LEGACY[input.dtype]}")
    shape = data.shape[:2] + (1,) * (data.ndim - 2) if channels else data.shape
    if channels or data.flags.c_contiguous or 0 in data.strides:
        noise = bernoulli(shape, data.dtype, None, 1 - p)
    else:  # PyTorch draws in the order of memory
        order = np.argsort([-s for s in data.strides], kind="stable")
        noise = bernoulli(tuple([shape[i] for i in order]), data.dtype, None, 1 - p).transpose(np.argsort(order))
    if not alpha:
        kept, flat = data.dtype.type(1 - p), noise.reshape(-1) if noise.flags.c_contiguous else noise
        in_blocks(lambda place: np.divide(flat[place], kept, flat[place]), len(flat), flat.size // len(flat))
        return ops.mul.function(input, wrap(noise))
    a = 1 / math.sqrt((SATURATION * SATURATION * p + 1) * (1 - p))
    real = data.dtype.type
    shift = (noise - real(1)) * real(SATURATION * a) + real(SATURATION * a * p)
    return ops.add.function(ops.mul.function(input, wrap(noise * real(a))), wrap(shift))


def dropped(name: str, input: Any, p: float, training: bool, inplace: bool, *, channels: bool = False, alpha: bool = False) -> Tensor:
    check_probability(p)
    require_tensor(name, input)
    if not training:
        return input
    if channels and input._data.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    if inplace:
        return overwriting(lambda t: thinned(t, p, channels, alpha), f"{name}_")(input)
    return thinned(input, p, channels, alpha)


@public
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each element zero with probability p, else divided by 1 - p. Not in training: the input itself.

    Raises ValueError for a p outside [0, 1].

    Example:
        >>> dropout(ones(3), 0.5, training=False)
        tensor([1., 1., 1.])
    """
    return dropped("dropout", input, p, training, inplace)


@public
def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout for selu networks: dropped elements take selu's lowest value, and mean and variance stay."""
    return dropped("alpha_dropout", input, p, training, inplace, alpha=True)


@public
def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels."""
    return dropped("feature_alpha_dropout", input, p, training, inplace, channels=True, alpha=True)


def dropped_channels(name: str, input: Any, p: float, training: bool, inplace: bool, unbatched: int | None) -> Tensor:
    """Dropout of the channels of an input that lacks its batch dimension if it has `unbatched` dimensions."""
    if input._data.ndim != unbatched:
        return dropped("feature_dropout", input, p, training, inplace, channels=True)
    result = dropped("feature_dropout", input.unsqueeze(0), p, training, inplace, channels=True)
    return input if inplace else result.squeeze(0)


def purpose(name: str, spatial: int) -> str:
    """The end of the messages about a wrong number of dimensions."""
    many = "s" if spatial > 1 else ""
    return (
        f"Note that {name} exists to provide channel-wise dropout on inputs with {spatial} spatial dimension{many}, a channel "
        "dimension, and an "
        f"optional batch dimension (i.e. {spatial + 1}D or {spatial + 2}D inputs)."
    )


def caution(name: str, spatial: int, ndim: int) -> None:
    if ndim not in (spatial + 1, spatial + 2):
        warnings.warn(
            f"{name}: Received a {ndim}-D input to {name}, which is deprecated and will result in an error in a future release. To "
            "retain the "
            f"behavior and silence this warning, please use dropout instead. {purpose(name, spatial)}",
            stacklevel=4,
        )


@public
def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels, input (N, C, L) or (C, L); RuntimeError for another number of dimensions."""
    check_probability(p)
    require_tensor("dropout1d", input)
    ndim = input._data.ndim
    if ndim not in (2, 3):
        raise RuntimeError(f"dropout1d: Expected 2D or 3D input, but received a {ndim}D input. {purpose('dropout1d', 1)}")
    return dropped_channels("dropout1d", input, p, training, inplace, 2)


@public
def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels, input (N, C, H, W). A 3-D input is taken as (N, C, L), with a warning, as PyTorch does."""
    check_probability(p)
    require_tensor("dropout2d", input)
    ndim = input._data.ndim
    caution("dropout2d", 2, ndim)
    if ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired - input is "
            "interpreted as "
            "shape (N, C, L), where C is the channel dim. This behavior will change in a future release to interpret the input as one "
            "without a "
            "batch dimension, i.e. shape (C, H, W). To maintain the 1D channel-wise dropout behavior, please switch to using dropout1d "
            "instead.",
            stacklevel=3,
        )
    return dropped_channels("dropout2d", input, p, training, inplace, None)


@public
def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels, input (N, C, D, H, W) or (C, D, H, W)."""
    check_probability(p)
    require_tensor("dropout3d", input)
    caution("dropout3d", 3, input._data.ndim)
    return dropped_channels("dropout3d", input, p, training, inplace, 4)


__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]
