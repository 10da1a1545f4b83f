"""`transforms.functional`: each transform as a function of a picture, Pillow's or a tensor (..., C, H, W), and of what is to be done.

The room `tensors` (with `warps`) works on tensors, `pictures` on Pillow's; `of` says which. What is checked for both is checked here.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from numbers import Number
from types import ModuleType
from typing import Any

import numpy as np

from chainrule import functions
from chainrule._core.dtypes import dtype as Dtype, float32, get_default_dtype, uint8
from chainrule._core.types import Size
from chainrule.tensor import Tensor
from chainrule.vision.transforms import tensors, warps
from chainrule.vision.transforms.modes import PILLOW, InterpolationMode, mode_of

__all__ = [
    "InterpolationMode", "adjust_brightness", "adjust_contrast", "adjust_gamma", "adjust_hue", "adjust_saturation", "adjust_sharpness",
    "affine", "autocontrast", "center_crop", "convert_image_dtype", "crop", "elastic_transform", "equalize", "erase", "five_crop",
    "gaussian_blur", "get_dimensions", "get_image_num_channels", "get_image_size", "hflip", "invert", "normalize", "pad", "perspective",
    "pil_to_tensor", "posterize", "resize", "resized_crop", "rgb_to_grayscale", "rotate", "solarize", "ten_crop", "to_grayscale",
    "to_pil_image", "to_tensor", "vflip",
]  # fmt: skip

NATIVE_16 = "I;16" if sys.byteorder == "little" else "I;16B"
ARRAY_TYPES = {"I": np.int32, NATIVE_16: np.int16, "F": np.float32}  # other modes have bytes
GREY_MODES = {np.dtype(np.uint8): "L", np.dtype(np.int16): NATIVE_16, np.dtype(np.int32): "I", np.dtype(np.float32): "F"}
COLOUR_MODES = {2: ["LA"], 3: ["RGB", "YCbCr", "HSV"], 4: ["RGBA", "CMYK", "RGBX"]}  # by channels; the first is guessed for bytes


def is_picture(img: Any) -> bool:
    """Whether it is one of Pillow's; where Pillow was not imported, nothing is."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(img, pillow.Image)


def pictures() -> ModuleType:
    """The room for Pillow's pictures; ImportError, saying what to install, without Pillow."""
    try:
        from chainrule.vision.transforms import pictures
    except ModuleNotFoundError as error:
        raise ImportError('pictures need Pillow: pip install "chainrule[vision]"') from error
    return pictures


def of(img: Any) -> ModuleType:
    """The room that works on this kind of picture."""
    if isinstance(img, Tensor):
        return tensors
    if not is_picture(img):
        raise TypeError(f"img should be PIL Image. Got {type(img)}")
    return pictures()


# Sizes and kinds


def get_dimensions(img: Any) -> list[int]:
    """[channels, height, width]."""
    if not isinstance(img, Tensor) and not is_picture(img):
        raise TypeError(f"Unexpected type {type(img)}")
    return of(img).get_dimensions(img)


def get_image_size(img: Any) -> list[int]:
    """[width, height]."""
    return get_dimensions(img)[:0:-1]


def get_image_num_channels(img: Any) -> int:
    """How many channels a picture has; 1 for a tensor of two dimensions."""
    return get_dimensions(img)[0]


def to_tensor(pic: Any) -> Tensor:
    """A float tensor (C, H, W) of a picture or array (H, W, C); bytes come out from 0 to 1, other numbers as they are.

    Example:
        >>> to_tensor(np.full((2, 2), 255, np.uint8))
        tensor([[[1., 1.],
                 [1., 1.]]])
    """
    if isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        array = pic[:, :, None] if pic.ndim == 2 else pic
    elif is_picture(pic):
        array = np.array(pic, ARRAY_TYPES.get(pic.mode, np.uint8))
        array = array.reshape(pic.size[1], pic.size[0], -1) * np.uint8(255 if pic.mode == "1" else 1)
    else:
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    img = functions.from_numpy(array.transpose(2, 0, 1)).contiguous()
    return img.to(get_default_dtype()).div(255) if img.dtype == uint8 else img


def pil_to_tensor(pic: Any) -> Tensor:
    """A picture's own numbers as a tensor (C, H, W)."""
    if not is_picture(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    return functions.from_numpy(np.array(pic).reshape(pic.size[1], pic.size[0], -1)).permute(2, 0, 1)


def convert_image_dtype(image: Tensor, dtype: Dtype = float32) -> Tensor:
    """A tensor of another type, with white still white: 0 to 1 in floats, 0 to the greatest number in integers.

    Raises RuntimeError from floats to integers that hold more than they.
    """
    if not isinstance(image, Tensor):
        raise TypeError("Input img should be Tensor Image")
    return tensors.convert_image_dtype(image, dtype)


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """Pillow's picture of a tensor (C, H, W) or array (H, W, C) with 1 to 4 channels; floats are taken as 0 to 1.

    `mode` is one of Pillow's; by default that which fits type and channels. Raises ValueError for a shape or mode that does not fit.
    """
    if isinstance(pic, Tensor):
        array = (pic.permute(1, 2, 0) if pic.ndim == 3 else pic).numpy(force=True)
    elif isinstance(pic, np.ndarray):
        array = pic
    else:
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    array = array[:, :, None] if array.ndim == 2 else array
    if array.ndim != 3:
        raise ValueError(f"pic should be 2/3 dimensional. Got {array.ndim} dimensions.")
    channels = array.shape[-1]
    if channels > 4:
        raise ValueError(f"pic should not have > 4 channels. Got {channels} channels.")
    if np.issubdtype(array.dtype, np.floating) and mode != "F":
        array = (array * 255).astype(np.uint8)
    if channels == 1:
        array, fits = array[:, :, 0], GREY_MODES.get(array.dtype)
        if mode is not None and mode != fits:
            raise ValueError(f"Incorrect mode ({mode}) supplied for input type {np.dtype}. Should be {fits}")
        mode = fits
    else:
        permitted = COLOUR_MODES.get(channels, COLOUR_MODES[3])
        if mode is not None and mode not in permitted:
            raise ValueError(f"Only modes {permitted} are supported for {channels if channels in COLOUR_MODES else 3}D inputs")
        if mode is None and array.dtype == np.uint8:
            mode = permitted[0]
    if mode is None:
        raise TypeError(f"Input type {array.dtype} is not supported")
    return pictures().from_array(array, mode)


def normalize(tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> Tensor:
    """`(tensor - mean) / std`, channel by channel, of a float tensor (..., C, H, W).

    Raises ValueError for a `std` of zero, TypeError for integers.
    """
    return tensors.normalize(tensor, mean, std, inplace)


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Tensor, inplace: bool = False) -> Tensor:
    """A tensor with `v` in the rows `i` to `i + h` and columns `j` to `j + w`."""
    return tensors.erase(img, i, j, h, w, v, inplace)


# Geometry


def hflip(img: Any) -> Any:
    """Left and right exchanged."""
    return of(img).hflip(img)


def vflip(img: Any) -> Any:
    """Top and bottom exchanged."""
    return of(img).vflip(img)


def output_size(height: int, width: int, size: list[int], max_size: int | None) -> list[int]:
    """Height and width of a resized picture: `size` itself, or a shorter side of `size[0]` and a longer of at most `max_size`."""
    if len(size) == 2:
        return [size[0], size[1]]
    short, long = min(height, width), max(height, width)
    new_short, new_long = size[0], int(size[0] * long / short)
    if max_size is not None:
        if max_size <= size[0]:
            raise ValueError(
                f"max_size = {max_size} must be strictly greater than the requested size for the smaller edge size = {size}"
            )
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return [new_long, new_short] if width <= height else [new_short, new_long]


def resize(
    img: Any, size: Any, interpolation: InterpolationMode | int = InterpolationMode.BILINEAR, max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:  # fmt: skip
    """A picture of `size`: (height, width), or one number for the shorter side, with the longer at most `max_size`.

    `antialias`: for tensors, average over what a pixel of the result covers; Pillow always does. Raises ValueError for other sizes.

    Example:
        >>> resize(rand(3, 40, 60), 20).shape
        torch.Size([3, 20, 30])
    """
    mode = mode_of(interpolation)
    sizes = [size] if isinstance(size, int) else list(size)
    if len(sizes) not in (1, 2):
        raise ValueError(f"Size must be an int or a 1 or 2 element tuple/list, not a {len(sizes)} element tuple/list")
    if max_size is not None and len(sizes) != 1:
        raise ValueError(
            "max_size should only be passed if size specifies the length of the smaller edge, "
            "i.e. size should be an int or a sequence of length 1 in torchscript mode."
        )
    _, height, width = get_dimensions(img)
    target = output_size(height, width, sizes, max_size)
    if target == [height, width]:
        return img
    if isinstance(img, Tensor):
        return tensors.resize(img, target, mode.value, antialias)
    if antialias is False:
        warnings.warn("Anti-alias option is always applied for PIL Image input. Argument antialias is ignored.", stacklevel=2)
    return pictures().resize(img, target, PILLOW[mode])


def pad(img: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    """A border around a picture.

    Args:
        padding: pixels on each side; [left and right, top and bottom]; or [left, top, right, bottom]
        fill: colour for the mode "constant"; "edge" repeats the outermost pixels, "reflect" mirrors without, "symmetric" with them
    """
    return of(img).pad(img, padding, fill, padding_mode)


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """A part of a picture, black where it reaches outside."""
    return of(img).crop(img, top, left, height, width)


def two(size: Any, message: str = "Please provide only two dimensions (h, w) for size.") -> Any:
    """(n, n) for a number or a sequence of one; ValueError with `message` for more than two."""
    if isinstance(size, Number):
        return int(size), int(size)  # type: ignore[call-overload]
    if isinstance(size, Sequence) and len(size) == 1:
        return size[0], size[0]
    if len(size) != 2:
        raise ValueError(message)
    return size


def center_crop(img: Any, output_size: Any) -> Any:
    """The middle of a picture, in a black border where it is too small."""
    th, tw = two(output_size)
    _, h, w = get_dimensions(img)
    if tw > w or th > h:
        dw, dh = max(tw - w, 0), max(th - h, 0)
        img = pad(img, [dw // 2, dh // 2, (dw + 1) // 2, (dh + 1) // 2])
        _, h, w = get_dimensions(img)
        if (th, tw) == (h, w):
            return img
    return crop(img, round((h - th) / 2.0), round((w - tw) / 2.0), th, tw)


def resized_crop(
    img: Any, top: int, left: int, height: int, width: int, size: Any,
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR, antialias: bool | None = True,
) -> Any:  # fmt: skip
    """`crop`, then `resize`."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def five_crop(img: Any, size: Any) -> tuple[Any, Any, Any, Any, Any]:
    """The corners (top left, top right, bottom left, bottom right) and the middle; ValueError where `size` is more than the picture."""
    th, tw = size = two(size)
    _, h, w = get_dimensions(img)
    if tw > w or th > h:
        raise ValueError(f"Requested crop size {size} is bigger than input size {(h, w)}")
    at = lambda top, left: crop(img, top, left, th, tw)
    return at(0, 0), at(0, w - tw), at(h - th, 0), at(h - th, w - tw), center_crop(img, [th, tw])


def ten_crop(img: Any, size: Any, vertical_flip: bool = False) -> tuple[Any, ...]:
    """`five_crop` of the picture, then of the flipped one."""
    return five_crop(img, size) + five_crop(vflip(img) if vertical_flip else hflip(img), size)


def middle(img: Tensor, center: Any) -> list[float]:
    """A place in pixels from the first corner, from the middle of the picture."""
    _, height, width = get_dimensions(img)
    return [0.0, 0.0] if center is None else [1.0 * (c - s * 0.5) for c, s in zip(center, (width, height))]


def need_turn(angle: Any, center: Any) -> None:
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")


def rotate(
    img: Any, angle: float, interpolation: InterpolationMode | int = InterpolationMode.NEAREST, expand: bool = False, center: Any = None,
    fill: Any = None,
) -> Any:  # fmt: skip
    """A picture turned by `angle` degrees against the clock, around `center` (x, y), by default the middle.

    `expand` makes the result as large as all of it needs; `fill` is the colour outside.
    """
    mode = mode_of(interpolation)
    need_turn(angle, center)
    if not isinstance(img, Tensor):
        return of(img).rotate(img, angle, PILLOW[mode], expand, center, fill)
    matrix = warps.inverse_matrix(middle(img, center), -angle, [0.0, 0.0], 1.0, [0.0, 0.0])
    return warps.rotate(img, matrix, mode.value, expand, fill)


def affine(
    img: Any, angle: float, translate: Any, scale: float, shear: Any,
    interpolation: InterpolationMode | int = InterpolationMode.NEAREST, fill: Any = None, center: Any = None,
) -> Any:  # fmt: skip
    """A picture turned by `angle` degrees with the clock around `center`, scaled, sheared along x and y, and moved.

    `translate` is (x, y) in pixels, `shear` one angle along x or two in degrees, `fill` the colour outside.
    """
    mode = mode_of(interpolation)
    need_turn(angle, None)
    if not isinstance(translate, (list, tuple)):
        raise TypeError("Argument translate should be a sequence")
    if len(translate) != 2:
        raise ValueError("Argument translate should be a sequence of length 2")
    if scale <= 0.0:
        raise ValueError("Argument scale should be positive")
    if not isinstance(shear, (Number, list, tuple)):
        raise TypeError("Shear should be either a single value or a sequence of two values")
    shears = [shear, 0.0] if isinstance(shear, Number) else list(shear) * (2 if len(shear) == 1 else 1)
    if len(shears) != 2:
        raise ValueError(f"Shear should be a sequence containing two values. Got {shears}")
    need_turn(angle, center)
    _, height, width = get_dimensions(img)
    if isinstance(img, Tensor):
        matrix = warps.inverse_matrix(middle(img, center), angle, translate, scale, shears)  # type: ignore[arg-type]
        return warps.affine(img, matrix, mode.value, fill)
    matrix = warps.inverse_matrix(center or [width * 0.5, height * 0.5], angle, translate, scale, shears)  # type: ignore[arg-type]
    return pictures().affine(img, matrix, PILLOW[mode], fill)


def perspective(
    img: Any, startpoints: list[list[int]], endpoints: list[list[int]],
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR, fill: Any = None,
) -> Any:  # fmt: skip
    """A picture whose four `startpoints` (x, y) are moved to the `endpoints`."""
    coeffs = warps.perspective_coeffs(startpoints, endpoints)
    mode = mode_of(interpolation)
    if isinstance(img, Tensor):
        return warps.perspective(img, coeffs, mode.value, fill)
    return of(img).perspective(img, coeffs, PILLOW[mode], fill)


def in_tensors(img: Any, change: Any) -> Any:
    """A change that only tensors know, for a picture of either kind."""
    if isinstance(img, Tensor):
        return change(img)
    if not is_picture(img):
        raise TypeError(f"img should be PIL Image or Tensor. Got {type(img)}")
    return to_pil_image(change(pil_to_tensor(img)), mode=img.mode)


def elastic_transform(
    img: Any, displacement: Tensor, interpolation: InterpolationMode | int = InterpolationMode.BILINEAR, fill: Any = None
) -> Any:
    """A picture read at its pixels' places moved by `displacement` (1, H, W, 2), in which 2 is the whole width or height.

    Raises ValueError for a displacement of another shape.
    """
    if not isinstance(displacement, Tensor):
        raise TypeError("Argument displacement should be a Tensor")

    def move(tensor: Tensor) -> Tensor:
        shape = Size((1, *tensor.shape[-2:], 2))
        if displacement.shape != shape:
            raise ValueError(f"Argument displacement shape should be {shape}, but given {displacement.shape}")
        return warps.elastic_transform(tensor, displacement, mode_of(interpolation).value, fill)

    return in_tensors(img, move)


def gaussian_blur(img: Any, kernel_size: Any, sigma: Any = None) -> Any:
    """A picture averaged with the weights of a bell; sizes (x, y) are odd, `sigma` in pixels is by default 0.15 size + 0.35.

    Raises ValueError for even sizes or a `sigma` that is not positive.
    """
    if not isinstance(kernel_size, (int, list, tuple)):
        raise TypeError(f"kernel_size should be int or a sequence of integers. Got {type(kernel_size)}")
    sizes = [kernel_size, kernel_size] if isinstance(kernel_size, int) else kernel_size
    if len(sizes) != 2:
        raise ValueError(f"If kernel_size is a sequence its length should be 2. Got {len(sizes)}")
    if any(size % 2 == 0 or size < 0 for size in sizes):
        raise ValueError(f"kernel_size should have odd and positive integers. Got {sizes}")
    if sigma is None:
        sigma = [size * 0.15 + 0.35 for size in sizes]
    if not isinstance(sigma, (int, float, list, tuple)):
        raise TypeError(f"sigma should be either float or sequence of floats. Got {type(sigma)}")
    widths = [float(sigma)] * 2 if isinstance(sigma, (int, float)) else list(sigma) * (2 if len(sigma) == 1 else 1)
    if len(widths) != 2:
        raise ValueError(f"If sigma is a sequence, its length should be 2. Got {len(widths)}")
    if min(widths) <= 0.0:
        raise ValueError(f"sigma should have positive values. Got {widths}")
    return in_tensors(img, lambda tensor: tensors.gaussian_blur(tensor, sizes, widths))


# Colours


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """Colours times a factor: 0 is black, 1 the picture, 2 twice as bright."""
    return of(img).adjust_brightness(img, brightness_factor)


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """Colours as far from the mean grey as a factor says: 0 is grey, 1 the picture."""
    return of(img).adjust_contrast(img, contrast_factor)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """Colours as far from their own grey as a factor says: 0 is black and white, 1 the picture."""
    return of(img).adjust_saturation(img, saturation_factor)


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """Hues turned by a part of their circle, from -0.5 to 0.5; ValueError for more."""
    return of(img).adjust_hue(img, hue_factor)


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """`gain * colour ** gamma`, in colours from 0 to 1: dark parts darker for a `gamma` above 1."""
    return of(img).adjust_gamma(img, gamma, gain)


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """A picture as far from a blurred one as a factor says: 0 is blurred, 1 the picture, 2 sharper."""
    return of(img).adjust_sharpness(img, sharpness_factor)


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """A picture without colours, in 1 or 3 channels."""
    return of(img).rgb_to_grayscale(img, num_output_channels)


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """`rgb_to_grayscale` for Pillow's pictures alone."""
    if not is_picture(img):
        raise TypeError("Input should be PIL Image")
    return rgb_to_grayscale(img, num_output_channels)


def invert(img: Any) -> Any:
    """White less the picture."""
    return of(img).invert(img)


def posterize(img: Any, bits: int) -> Any:
    """A picture of bytes with only the first `bits` of each."""
    if not 0 <= bits <= 8:
        raise ValueError(f"The number if bits should be between 0 and 8. Got {bits}")
    return of(img).posterize(img, bits)


def solarize(img: Any, threshold: float) -> Any:
    """A picture inverted where it is not below `threshold`."""
    return of(img).solarize(img, threshold)


def autocontrast(img: Any) -> Any:
    """Each channel stretched from black to white."""
    return of(img).autocontrast(img)


def equalize(img: Any) -> Any:
    """Each channel of a picture of bytes with its shades spread evenly."""
    return of(img).equalize(img)
