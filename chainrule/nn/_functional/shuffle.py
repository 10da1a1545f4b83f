"""Elements moved between channels and places."""

from __future__ import annotations

from chainrule.functions.arguments import require_tensor
from chainrule.ops import shuffle as ops
from chainrule.ops.overrides import public
from chainrule.tensor import Tensor


def check(name: str, input: Tensor, factor: int, direction: str) -> tuple[int, ...]:
    require_tensor(name, input)
    shape = input._data.shape
    if len(shape) < 3:
        raise RuntimeError(f"{name} expects input to have at least 3 dimensions, but got input with {len(shape)} dimension(s)")
    if factor <= 0:
        raise RuntimeError(f"{name} expects a positive {direction}scale_factor, but got {factor}")
    return shape


@public
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., C * r², H, W) to (..., C, H * r, W * r): r² channels become the tiles of one.

    Example:
        >>> pixel_shuffle(tensor([[[1.]], [[2.]], [[3.]], [[4.]]]), 2)
        tensor([[[1., 2.],
                 [3., 4.]]])
    """
    shape = check("pixel_shuffle", input, upscale_factor, "up")
    square = upscale_factor * upscale_factor
    if shape[-3] % square:
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
            f"input.size(-3)={shape[-3]} is not divisible by {square}"
        )
    return ops.pixel_shuffle(input, upscale_factor)


@public
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(..., C, H * r, W * r) to (..., C * r², H, W): the inverse of `pixel_shuffle`."""
    shape = check("pixel_unshuffle", input, downscale_factor, "down")
    for name, i in (("height", -2), ("width", -1)):
        if shape[i] % downscale_factor:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but input.size({i})={shape[i]} is not divisible "
                f"by {downscale_factor}"
            )
    return ops.pixel_unshuffle(input, downscale_factor)


@public
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels (dimension 1) dealt out anew: seen as (groups, C / groups), transposed."""
    require_tensor("channel_shuffle", input)
    shape = input._data.shape
    if len(shape) <= 2:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(shape)}")
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    if shape[1] % groups:
        raise RuntimeError(f"Number of channels must be divisible by groups. Got {shape[1]} channels and {groups} groups.")
    return ops.channel_shuffle(input, groups)


def native_channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """`channel_shuffle`."""
    return channel_shuffle(input, groups)


__all__ = ["channel_shuffle", "native_channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]
