"""Transforms of pictures that are tensors (..., C, H, W): crops, flips, resizing and colours, differentiable where they can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import functions
from chainrule._core.dtypes import dtype as Dtype, float32, float64, int8, int16, int32, int64, uint8, uint16
from chainrule.nn import functional as F
from chainrule.tensor import Tensor

BOUNDS = {uint8: 255, int8: 127, int16: 32767, uint16: 65535, int32: 2**31 - 1, int64: 2**63 - 1}  # white; 1 in floats
GREY = (0.2989, 0.587, 0.114)  # how much of red, green and blue
ROUNDED = (uint8, int8, int16, int32, int64)


def bound_of(dtype: Dtype) -> int:
    return BOUNDS.get(dtype, 1)


def work_dtype(img: Tensor) -> Dtype:
    return img.dtype if img.is_floating_point() else float32


# Checks


def need_image(img: Any) -> None:
    if not isinstance(img, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(img)}")
    if img.ndim < 2:
        raise TypeError("Tensor is not a torch image.")


def need_channels(img: Tensor, permitted: Sequence[int] = (1, 3), ndim: int = 2) -> None:
    need_image(img)
    if img.ndim < ndim:
        raise TypeError(f"Input image tensor should have at least 3 dimensions, but found {img.ndim}")
    channels = get_dimensions(img)[0]
    if channels not in permitted:
        raise TypeError(f"Input image tensor permitted channel values are {list(permitted)}, but found {channels}")


def need_factor(name: str, factor: float) -> None:
    if factor < 0:
        raise ValueError(f"{name} ({factor}) is not non-negative.")


def get_dimensions(img: Tensor) -> list[int]:
    need_image(img)
    return [1 if img.ndim == 2 else img.shape[-3], *img.shape[-2:]]


def in_batch(img: Tensor, dtypes: Sequence[Dtype]) -> tuple[Tensor, Any]:
    """A batch of a floating type, and the function that gives a result the shape and type of `img`."""
    dtype, alone = img.dtype, img.ndim < 4

    def back(result: Tensor) -> Tensor:
        result = result.squeeze(0) if alone else result
        if result.dtype == dtype:
            return result
        return (result.round() if dtype in ROUNDED else result).to(dtype)

    batch = img.unsqueeze(0) if alone else img
    return batch if dtype in dtypes else batch.to(dtypes[0]), back


# Types and ranges


def convert_image_dtype(img: Tensor, dtype: Dtype = float32) -> Tensor:
    if img.dtype == dtype:
        return img
    source, target = bound_of(img.dtype), bound_of(dtype)
    if img.is_floating_point():
        if dtype.is_floating_point:
            return img.to(dtype)
        if (img.dtype == float32 and dtype in (int32, int64)) or (img.dtype == float64 and dtype == int64):
            raise RuntimeError(f"The cast from {img.dtype} to {dtype} cannot be performed safely.")
        return img.mul(float(target) + 1.0 - 1e-3).to(dtype)  # equal shares of 0 to 1 for each integer
    if dtype.is_floating_point:
        return img.to(dtype) / float(source)
    if source > target:
        return img.div((source + 1) // (target + 1), rounding_mode="floor").to(dtype)
    return img.to(dtype) * ((target + 1) // (source + 1))


def normalize(img: Tensor, mean: Any, std: Any, inplace: bool = False) -> Tensor:
    need_image(img)
    if not img.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {img.dtype}.")
    if img.ndim < 3:
        raise ValueError(f"Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = {img.size()}")
    mean, std = (functions.as_tensor(v, dtype=img.dtype) for v in (mean, std))
    if (std == 0).any():
        raise ValueError(f"std evaluated to zero after conversion to {img.dtype}, leading to division by zero.")
    mean, std = (v.view(-1, 1, 1) if v.ndim == 1 else v for v in (mean, std))
    return (img if inplace else img.clone()).sub_(mean).div_(std)


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Tensor, inplace: bool = False) -> Tensor:
    need_image(img)
    img = img if inplace else img.clone()
    img[..., i : i + h, j : j + w] = v
    return img


# Geometry


def hflip(img: Tensor) -> Tensor:
    need_image(img)
    return img.flip(-1)


def vflip(img: Tensor) -> Tensor:
    need_image(img)
    return img.flip(-2)


def crop(img: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    _, h, w = get_dimensions(img)
    right, bottom = left + width, top + height
    cut = img[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if left < 0 or top < 0 or right > w or bottom > h:  # black outside
        sides = (-left + min(0, right), -top + min(0, bottom), right - max(w, left), bottom - max(h, top))
        return pad(cut, [max(side, 0) for side in sides])
    return cut


def pad(img: Tensor, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Tensor:
    need_image(img)
    left, top, right, bottom = sides_of(padding)
    if not isinstance(fill, (int, float)) and fill is not None:
        raise TypeError("Got inappropriate fill arg")
    need_padding_mode(padding_mode)
    if padding_mode == "symmetric":
        return pad_symmetric(img, left, top, right, bottom)
    mode = "replicate" if padding_mode == "edge" else padding_mode
    if mode == "constant":
        return F.pad(img, [left, right, top, bottom], value=float(fill or 0))
    batch = img.unsqueeze(0) if img.ndim < 4 else img
    whole = batch if img.dtype in (float32, float64) else batch.to(float32)
    padded = F.pad(whole, [left, right, top, bottom], mode=mode).to(img.dtype)
    return padded.squeeze(0) if img.ndim < 4 else padded


def sides_of(padding: Any) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a number, [all], [sides, top and bottom] or all four."""
    if isinstance(padding, int):
        padding = [padding]
    elif not isinstance(padding, (tuple, list)):
        raise TypeError("Got inappropriate padding arg")
    if len(padding) not in (1, 2, 4):
        raise ValueError(f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(padding)} element tuple")
    left, top, right, bottom = [*padding] * (4 // len(padding))
    return left, top, right, bottom


def need_padding_mode(mode: Any) -> None:
    if not isinstance(mode, str):
        raise TypeError("Got inappropriate padding_mode arg")
    if mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")


def pad_symmetric(img: Tensor, left: int, top: int, right: int, bottom: int) -> Tensor:
    """Mirrored with the border itself; negative sides cut."""
    if img.ndim not in (3, 4):
        raise RuntimeError("Symmetric padding of N-D tensors are not supported yet")
    h, w = img.shape[-2:]
    img = img[..., max(-top, 0) : h - max(-bottom, 0), max(-left, 0) : w - max(-right, 0)]
    for dim, before, after in ((-2, top, bottom), (-1, left, right)):
        order = np.pad(np.arange(img.shape[dim]), (max(before, 0), max(after, 0)), mode="symmetric")
        img = img.index_select(dim, functions.from_numpy(order))
    return img


def resize(img: Tensor, size: list[int], interpolation: str = "bilinear", antialias: bool | None = True) -> Tensor:
    need_image(img)
    smooth = interpolation in ("bilinear", "bicubic")
    batch, back = in_batch(img, (float32, float64))
    result = F.interpolate(
        batch, size=list(size), mode=interpolation, align_corners=False if smooth else None, antialias=bool(antialias) and smooth
    )
    if interpolation == "bicubic" and img.dtype == uint8:
        result = result.clamp(min=0, max=255)
    return back(result)


# Colours


def rgb_to_grayscale(img: Tensor, num_output_channels: int = 1) -> Tensor:
    if img.ndim < 3:
        raise TypeError(f"Input image tensor should have at least 3 dimensions, but found {img.ndim}")
    need_channels(img)
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    if img.shape[-3] == 3:
        r, g, b = img.unbind(-3)
        grey = (GREY[0] * r + GREY[1] * g + GREY[2] * b).to(img.dtype).unsqueeze(-3)
    else:
        grey = img.clone()
    return grey.expand(img.shape) if num_output_channels == 3 else grey


def blend(img: Tensor, other: Tensor, ratio: float) -> Tensor:
    return (float(ratio) * img + (1.0 - float(ratio)) * other).clamp(0, bound_of(img.dtype)).to(img.dtype)


def adjust_brightness(img: Tensor, brightness_factor: float) -> Tensor:
    need_factor("brightness_factor", brightness_factor)
    need_channels(img)
    return blend(img, functions.zeros_like(img), brightness_factor)


def adjust_contrast(img: Tensor, contrast_factor: float) -> Tensor:
    need_factor("contrast_factor", contrast_factor)
    need_channels(img, (3, 1))
    grey = rgb_to_grayscale(img) if get_dimensions(img)[0] == 3 else img
    return blend(img, grey.to(work_dtype(img)).mean((-3, -2, -1), keepdim=True), contrast_factor)


def adjust_saturation(img: Tensor, saturation_factor: float) -> Tensor:
    need_factor("saturation_factor", saturation_factor)
    need_channels(img)
    return img if get_dimensions(img)[0] == 1 else blend(img, rgb_to_grayscale(img), saturation_factor)


def adjust_hue(img: Tensor, hue_factor: float) -> Tensor:
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    need_channels(img)
    if get_dimensions(img)[0] == 1:
        return img
    h, s, v = rgb_to_hsv(convert_image_dtype(img, float32))
    return convert_image_dtype(hsv_to_rgb((h + hue_factor) % 1.0, s, v), img.dtype)


def rgb_to_hsv(img: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue, saturation and value, each (..., H, W), from 0 to 1."""
    r, g, b = img.unbind(-3)
    high, low = img.amax(-3), img.amin(-3)
    grey, span, one = high == low, high - low, functions.ones_like(high)
    saturation = span / functions.where(grey, one, high)
    span = functions.where(grey, one, span)
    red, green, blue = ((high - c) / span for c in (r, g, b))
    hue = (high == r) * (blue - green)
    hue = hue + ((high == g) & (high != r)) * (2.0 + red - blue)
    hue = hue + ((high != g) & (high != r)) * (4.0 + green - red)
    return functions.fmod(hue / 6.0 + 1.0, 1.0), saturation, high


def hsv_to_rgb(h: Tensor, s: Tensor, v: Tensor) -> Tensor:
    """(..., 3, H, W): in each sixth of the circle a channel is the value itself, its rest, or on the way between."""
    sixth = (h * 6.0).floor()
    f = h * 6.0 - sixth
    p, q, t = ((v * (1.0 - w)).clamp(0.0, 1.0) for w in (s, s * f, s * (1.0 - f)))
    choices = functions.stack([functions.stack(c, -3) for c in ((v, t, p), (q, v, p), (p, v, t), (p, q, v), (t, p, v), (v, p, q))], -4)
    picked = (sixth.to(int64) % 6)[..., None, None, :, :].expand(*h.shape[:-2], 1, 3, *h.shape[-2:])
    return choices.gather(-4, picked).squeeze(-4)


def adjust_gamma(img: Tensor, gamma: float, gain: float = 1) -> Tensor:
    need_channels(img)
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")
    result = img if img.is_floating_point() else convert_image_dtype(img, float32)
    return convert_image_dtype((gain * result.pow(gamma)).clamp(0, 1), img.dtype)


def invert(img: Tensor) -> Tensor:
    need_channels(img, ndim=3)
    return functions.rsub(img, bound_of(img.dtype))


def need_bytes(img: Tensor) -> None:
    if img.dtype != uint8:
        raise TypeError(f"Only torch.uint8 image tensors are supported, but found {img.dtype}")


def posterize(img: Tensor, bits: int) -> Tensor:
    need_channels(img, range(1 << 30), ndim=3)
    need_bytes(img)
    need_channels(img)
    return img.bitwise_and(256 - (1 << (8 - bits)))


def solarize(img: Tensor, threshold: float) -> Tensor:
    need_channels(img, ndim=3)
    if threshold > bound_of(img.dtype):
        raise TypeError("Threshold should be less than bound of img.")
    return functions.where(img >= threshold, invert(img), img)


def autocontrast(img: Tensor) -> Tensor:
    need_channels(img, ndim=3)
    bound, dtype = bound_of(img.dtype), work_dtype(img)
    low, high = (img.amin((-2, -1), keepdim=True).to(dtype), img.amax((-2, -1), keepdim=True).to(dtype))
    scale = bound / (high - low)
    flat = scale.isfinite().logical_not()
    low, scale = functions.where(flat, 0.0, low).to(dtype), functions.where(flat, 1.0, scale).to(dtype)
    return ((img - low) * scale).clamp(0, bound).to(img.dtype)


def equalize(img: Tensor) -> Tensor:
    need_image(img)
    if not 3 <= img.ndim <= 4:
        raise TypeError(f"Input image tensor should have 3 or 4 dimensions, but found {img.ndim}")
    need_bytes(img)
    need_channels(img)
    planes = img.numpy().reshape(-1, img.shape[-2] * img.shape[-1]).astype(np.int64)
    rows = np.arange(len(planes))[:, None]
    counts = np.bincount((planes + 256 * rows).ravel(), minlength=256 * len(planes)).reshape(-1, 256)
    brightest = 255 - (counts[:, ::-1] != 0).argmax(1)
    step = (planes.shape[1] - counts[rows[:, 0], brightest])[:, None] // 255
    table = (counts.cumsum(1) + step // 2) // np.maximum(step, 1)
    table = np.clip(np.pad(table, ((0, 0), (1, 0)))[:, :-1], 0, 255)
    table = np.where(step == 0, np.arange(256), table)  # too few shades to spread
    return functions.from_numpy(table[rows, planes].astype(np.uint8).reshape(img.shape))


def adjust_sharpness(img: Tensor, sharpness_factor: float) -> Tensor:
    need_factor("sharpness_factor", sharpness_factor)
    need_channels(img)
    if img.shape[-1] <= 2 or img.shape[-2] <= 2:
        return img
    kernel = functions.ones(3, 3, dtype=work_dtype(img))
    kernel[1, 1] = 5.0
    batch, back = in_batch(img, (kernel.dtype,))
    blurred = img.clone()
    blurred[..., 1:-1, 1:-1] = back(F.conv2d(batch, (kernel / kernel.sum()).expand(img.shape[-3], 1, 3, 3), groups=batch.shape[-3]))
    return blend(img, blurred, sharpness_factor)


def gaussian_blur(img: Tensor, kernel_size: list[int], sigma: list[float]) -> Tensor:
    need_image(img)
    dtype = work_dtype(img)
    x, y = (bell(size, s, dtype) for size, s in zip(kernel_size, sigma))
    batch, back = in_batch(img, (dtype,))
    kx, ky = (size // 2 for size in kernel_size)
    kernel = functions.mm(y[:, None], x[None, :]).expand(img.shape[-3], 1, len(y), len(x))
    return back(F.conv2d(F.pad(batch, [kx, kx, ky, ky], mode="reflect"), kernel, groups=batch.shape[-3]))


def bell(size: int, sigma: float, dtype: Dtype) -> Tensor:
    half = (size - 1) * 0.5
    density = (-0.5 * (functions.linspace(-half, half, size, dtype=dtype) / sigma).pow(2)).exp()
    return density / density.sum()
