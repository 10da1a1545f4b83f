"""Transforms of Pillow's pictures. Imported when the first such picture comes, so that Pillow need not be there without one."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from chainrule.vision.transforms.tensors import need_padding_mode, sides_of

Picture = Image.Image


def get_dimensions(img: Picture) -> list[int]:
    width, height = img.size
    return [len(img.getbands()), height, width]


def from_array(array: np.ndarray, mode: str) -> Picture:
    """A picture of a certain mode, which Pillow's own `fromarray` guesses from type and shape."""
    return Image.frombytes(mode, (array.shape[1], array.shape[0]), array.tobytes())


# Geometry


def hflip(img: Picture) -> Picture:
    return img.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def vflip(img: Picture) -> Picture:
    return img.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def crop(img: Picture, top: int, left: int, height: int, width: int) -> Picture:
    return img.crop((left, top, left + width, top + height))


def resize(img: Picture, size: list[int], interpolation: int = 2) -> Picture:
    return img.resize((size[1], size[0]), Image.Resampling(interpolation))


def fill_of(fill: Any, img: Picture) -> Any:
    """`fill` as the picture's mode wants it: a number, or one for each channel."""
    channels = len(img.getbands())
    whole = (lambda v: v) if img.mode == "F" else int
    if fill is None:
        fill = 0
    if not isinstance(fill, (list, tuple)):
        return whole(fill) if channels == 1 else (whole(fill),) * channels
    if len(fill) not in (1, channels):
        raise ValueError(
            f"The number of elements in 'fill' does not match the number of channels of the image ({len(fill)} != {channels})"
        )
    return tuple(whole(v) for v in fill) * (channels if len(fill) == 1 else 1)


def pad(img: Picture, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Picture:
    left, top, right, bottom = sides_of(padding)
    if fill is not None and not isinstance(fill, (int, float, tuple, list)):
        raise TypeError("Got inappropriate fill arg")
    need_padding_mode(padding_mode)
    palette = img.getpalette() if img.mode == "P" else None
    if padding_mode == "constant":
        padded = ImageOps.expand(img, border=(left, top, right, bottom), fill=fill_of(fill, img))
    else:
        cut = [max(-side, 0) for side in (left, top, right, bottom)]
        if any(cut):
            img = img.crop((cut[0], cut[1], img.width - cut[2], img.height - cut[3]))
        left, top, right, bottom = (max(side, 0) for side in (left, top, right, bottom))
        array = np.asarray(img)
        sides = ((top, bottom), (left, right), (0, 0))[: array.ndim]
        padded = Image.fromarray(np.pad(array, sides, mode=padding_mode))  # type: ignore[call-overload]
    if palette is not None:
        padded.putpalette(palette)
    return padded


def affine(img: Picture, matrix: list[float], interpolation: int = 0, fill: Any = None) -> Picture:
    return warped(img, Image.Transform.AFFINE, matrix, interpolation, fill)


def perspective(img: Picture, coeffs: list[float], interpolation: int = 3, fill: Any = None) -> Picture:
    return warped(img, Image.Transform.PERSPECTIVE, coeffs, interpolation, fill)


def warped(img: Picture, kind: Any, numbers: list[float], interpolation: int, fill: Any) -> Picture:
    return img.transform(img.size, kind, numbers, Image.Resampling(interpolation), fillcolor=fill_of(fill, img))


def rotate(img: Picture, angle: float, interpolation: int = 0, expand: bool = False, center: Any = None, fill: Any = None) -> Picture:
    return img.rotate(angle, Image.Resampling(interpolation), expand, center, fillcolor=fill_of(fill, img))  # type: ignore[arg-type]


# Colours


def adjust_brightness(img: Picture, brightness_factor: float) -> Picture:
    return ImageEnhance.Brightness(img).enhance(brightness_factor)


def adjust_contrast(img: Picture, contrast_factor: float) -> Picture:
    return ImageEnhance.Contrast(img).enhance(contrast_factor)


def adjust_saturation(img: Picture, saturation_factor: float) -> Picture:
    return ImageEnhance.Color(img).enhance(saturation_factor)


def adjust_sharpness(img: Picture, sharpness_factor: float) -> Picture:
    return ImageEnhance.Sharpness(img).enhance(sharpness_factor)


def adjust_hue(img: Picture, hue_factor: float) -> Picture:
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    if img.mode in ("L", "1", "I", "F"):
        return img
    h, s, v = img.convert("HSV").split()
    turned = np.asarray(h) + np.array(hue_factor * 255).astype(np.int32).astype(np.uint8)  # a byte, so that it goes round
    return Image.merge("HSV", (from_array(turned, "L"), s, v)).convert(img.mode)


def adjust_gamma(img: Picture, gamma: float, gain: float = 1) -> Picture:
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")
    shades = [int((256 - 1e-3) * gain * pow(shade / 255.0, gamma)) for shade in range(256)]
    return img.convert("RGB").point(shades * 3).convert(img.mode)


def rgb_to_grayscale(img: Picture, num_output_channels: int) -> Picture:
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    grey = img.convert("L")
    return grey if num_output_channels == 1 else Image.merge("RGB", (grey,) * 3)


def invert(img: Picture) -> Picture:
    return ImageOps.invert(img)


def posterize(img: Picture, bits: int) -> Picture:
    return ImageOps.posterize(img, bits)


def solarize(img: Picture, threshold: float) -> Picture:
    return ImageOps.solarize(img, threshold)  # type: ignore[arg-type]


def autocontrast(img: Picture) -> Picture:
    return ImageOps.autocontrast(img)


def equalize(img: Picture) -> Picture:
    return ImageOps.equalize(img)
