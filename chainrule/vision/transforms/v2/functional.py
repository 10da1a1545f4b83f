"""`transforms.v2.functional`: the functions of `transforms.functional`, some by their longer names, and those that came later."""

from __future__ import annotations

from typing import Any

from chainrule import functions
from chainrule._core.dtypes import dtype as Dtype, float32, int16, uint8
from chainrule.tensor import Tensor
from chainrule.vision.transforms import functional as first
from chainrule.vision.transforms.functional import *  # noqa: F403

__all__ = [
    *first.__all__, "gaussian_noise", "get_num_channels", "get_size", "horizontal_flip", "permute_channels", "to_dtype", "to_image",
    "vertical_flip",
]  # fmt: skip

horizontal_flip, vertical_flip, get_num_channels = first.hflip, first.vflip, first.get_image_num_channels


def get_size(inpt: Any) -> list[int]:
    """Height and width of a picture."""
    return first.get_dimensions(inpt)[1:]


def to_image(inpt: Any) -> Tensor:
    """A picture, array (H, W, C) or tensor as a tensor (C, H, W) of the same numbers.

    Example: `to_image(np.zeros((4, 5, 3), np.uint8)).shape` is `torch.Size([3, 4, 5])`.
    """
    if isinstance(inpt, Tensor):
        return inpt
    if first.is_picture(inpt):
        return first.pil_to_tensor(inpt)
    if not hasattr(inpt, "__array__"):
        raise TypeError(f"Input can either be a pure Tensor, a numpy array, or a PIL image, but got {type(inpt)} instead.")
    return functions.from_numpy(inpt if inpt.ndim > 2 else inpt[:, :, None]).permute(2, 0, 1).contiguous()


def to_dtype(inpt: Tensor, dtype: Dtype = float32, scale: bool = False) -> Tensor:
    """A tensor of another type: its own numbers, or with `scale` white still white, as `convert_image_dtype` says."""
    return first.convert_image_dtype(inpt, dtype) if scale else inpt.to(dtype)


def gaussian_noise(inpt: Tensor, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> Tensor:
    """A tensor with a normal number added to each of its own, in parts of white; `clip` keeps it between black and white."""
    if first.is_picture(inpt):
        raise ValueError("Gaussian Noise is not implemented for PIL images.")
    if sigma < 0:
        raise ValueError(f"sigma shouldn't be negative. Got {sigma}")
    if inpt.is_floating_point():
        noisy = inpt + (mean + functions.randn_like(inpt) * sigma)
        return noisy.clamp(0, 1) if clip else noisy
    if inpt.dtype != uint8:
        raise ValueError(f"Input tensor is expected to be in uint8 or float dtype, got dtype={inpt.dtype}")
    noisy = inpt + (mean * 255 + functions.randn_like(inpt, dtype=float32) * (sigma * 255)).to(int16)
    return (noisy.clamp(0, 255) if clip else noisy).to(uint8)


def permute_channels(inpt: Any, permutation: list[int]) -> Any:
    """A picture whose channel i is the given one's channel `permutation[i]`."""
    return first.in_tensors(inpt, lambda x: x[..., permutation, :, :])
