"""Transforms that draw where and how much: crops, turns, colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Number
from typing import Any

from chainrule import functions
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor
from chainrule.vision.transforms import functional as F
from chainrule.vision.transforms.draws import angles, aspect, fill_for, integer, need_fill, need_ranges, need_sequence, uniform
from chainrule.vision.transforms.fixed import Shown
from chainrule.vision.transforms.modes import InterpolationMode, mode_of

__all__ = ["ColorJitter", "ElasticTransform", "GaussianBlur", "RandomAffine", "RandomCrop", "RandomResizedCrop", "RandomRotation"]

# Places and sizes


class RandomCrop(Module):
    """A part of `size` (height, width) of a picture with a border.

    Args:
        padding, fill, padding_mode: the border, as of `functional.pad`
        pad_if_needed: a border for pictures smaller than `size`
    """

    def __init__(
        self, size: int | Sequence[int], padding: Any = None, pad_if_needed: bool = False, fill: Any = 0, padding_mode: str = "constant"
    ) -> None:
        super().__init__()
        self.size = tuple(F.two(size))
        self.padding, self.pad_if_needed, self.fill, self.padding_mode = padding, pad_if_needed, fill, padding_mode

    @staticmethod
    def get_params(img: Any, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """The first row and column, height and width; ValueError where `output_size` is more than the picture."""
        _, h, w = F.get_dimensions(img)
        th, tw = output_size
        if h < th or w < tw:
            raise ValueError(f"Required crop size {(th, tw)} is larger than input image size {(h, w)}")
        if (h, w) == (th, tw):
            return 0, 0, h, w
        return integer(0, h - th + 1), integer(0, w - tw + 1), th, tw

    def forward(self, img: Any) -> Any:
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        _, height, width = F.get_dimensions(img)
        if self.pad_if_needed and width < self.size[1]:
            img = F.pad(img, [self.size[1] - width, 0], self.fill, self.padding_mode)
        if self.pad_if_needed and height < self.size[0]:
            img = F.pad(img, [0, self.size[0] - height], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, padding={self.padding})"


class RandomResizedCrop(Module):
    """A part of a picture, resized to `size`: how Inception was trained.

    Args:
        scale: the part's area, smallest and greatest, as a part of the picture
        ratio: its width by height, smallest and greatest
        interpolation, antialias: as of `functional.resize`
    """

    def __init__(
        self, size: int | Sequence[int], scale: Sequence[float] = (0.08, 1.0), ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR, antialias: bool | None = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.size = F.two(size)
        need_ranges(scale, ratio)
        self.scale, self.ratio, self.interpolation, self.antialias = scale, ratio, mode_of(interpolation), antialias

    @staticmethod
    def get_params(img: Any, scale: Sequence[float], ratio: Sequence[float]) -> tuple[int, int, int, int]:
        """The first row and column, height and width of the part; the middle if ten draws do not fit."""
        _, height, width = F.get_dimensions(img)
        for _ in range(10):
            area = height * width * uniform(*scale)
            side = aspect(ratio)
            w, h = round(math.sqrt(area * side)), round(math.sqrt(area / side))
            if 0 < w <= width and 0 < h <= height:
                return integer(0, height - h + 1), integer(0, width - w + 1), h, w
        w, h = width, height
        if width / height < min(ratio):
            h = round(w / min(ratio))
        elif width / height > max(ratio):
            w = round(h * max(ratio))
        return (height - h) // 2, (width - w) // 2, h, w

    def forward(self, img: Any) -> Any:
        part = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *part, self.size, self.interpolation, antialias=self.antialias)

    def __repr__(self) -> str:
        scale, ratio = (tuple(round(v, 4) for v in values) for values in (self.scale, self.ratio))
        ways = f"interpolation={self.interpolation.value}, antialias={self.antialias}"
        return f"{type(self).__name__}(size={self.size}, scale={scale}, ratio={ratio}, {ways})"


class RandomRotation(Module):
    """A turn by an angle between two `degrees`, or up to one either way; the rest as of `functional.rotate`."""

    def __init__(
        self, degrees: Any, interpolation: InterpolationMode | int = InterpolationMode.NEAREST, expand: bool = False, center: Any = None,
        fill: Any = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.degrees = angles(degrees, "degrees")
        if center is not None:
            need_sequence(center, "center", (2,))
        self.interpolation, self.expand, self.center, self.fill = mode_of(interpolation), expand, center, need_fill(fill)

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        """The angle."""
        return uniform(*degrees)

    def forward(self, img: Any) -> Any:
        fill = fill_for(img, self.fill)
        return F.rotate(img, self.get_params(self.degrees), self.interpolation, self.expand, self.center, fill)

    def __repr__(self) -> str:
        center = "" if self.center is None else f", center={self.center}"
        mode = self.interpolation.value
        return f"{type(self).__name__}(degrees={self.degrees}, interpolation={mode}, expand={self.expand}{center}, fill={self.fill})"


class RandomAffine(Module):
    """`functional.affine` by drawn amounts.

    Args:
        degrees: two angles, or the greatest either way
        translate: how far at most, as parts of the width and the height
        scale: smallest and greatest
        shear: two angles along x, or the greatest either way; four for x and y
    """

    def __init__(
        self, degrees: Any, translate: Sequence[float] | None = None, scale: Sequence[float] | None = None, shear: Any = None,
        interpolation: InterpolationMode | int = InterpolationMode.NEAREST, fill: Any = 0, center: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.degrees = angles(degrees, "degrees")
        if translate is not None:
            need_sequence(translate, "translate", (2,))
            if not all(0.0 <= t <= 1.0 for t in translate):
                raise ValueError("translation values should be between 0 and 1")
        if scale is not None:
            need_sequence(scale, "scale", (2,))
            if min(scale) <= 0:
                raise ValueError("scale values should be positive")
        self.translate, self.scale = translate, scale
        self.shear = None if shear is None else angles(shear, "shear", (2, 4))
        self.interpolation, self.fill = mode_of(interpolation), need_fill(fill)
        if center is not None:
            need_sequence(center, "center", (2,))
        self.center = center

    @staticmethod
    def get_params(
        degrees: Sequence[float], translate: Sequence[float] | None, scale_ranges: Sequence[float] | None,
        shears: Sequence[float] | None, img_size: Sequence[int],
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:  # fmt: skip
        """The angle, the shift in pixels, the scale and the two shears for a picture of `img_size` (width, height)."""
        angle = uniform(*degrees)
        far = [0.0, 0.0] if translate is None else [float(t * size) for t, size in zip(translate, img_size)]
        shift = (0, 0) if translate is None else (round(uniform(-far[0], far[0])), round(uniform(-far[1], far[1])))
        scale = 1.0 if scale_ranges is None else uniform(*scale_ranges)
        shear_x = 0.0 if shears is None else uniform(*shears[:2])
        shear_y = 0.0 if shears is None or len(shears) != 4 else uniform(*shears[2:])
        return angle, shift, scale, (shear_x, shear_y)

    def forward(self, img: Any) -> Any:
        _, height, width = F.get_dimensions(img)
        fill = fill_for(img, self.fill)
        drawn = self.get_params(self.degrees, self.translate, self.scale, self.shear, [width, height])
        return F.affine(img, *drawn, interpolation=self.interpolation, fill=fill, center=self.center)

    def __repr__(self) -> str:
        shown = [f"degrees={self.degrees}"]
        shown += [f"{name}={getattr(self, name)}" for name in ("translate", "scale", "shear") if getattr(self, name) is not None]
        shown += [] if self.interpolation == InterpolationMode.NEAREST else [f"interpolation={self.interpolation.value}"]
        shown += [f"fill={self.fill}"] if self.fill != 0 else []
        shown += [] if self.center is None else [f"center={self.center}"]
        return f"{type(self).__name__}({', '.join(shown)})"


class ElasticTransform(Module):
    """Pixels moved at random, neighbours alike, as if seen through moving water.

    Args:
        alpha: how far, for x and y
        sigma: how smoothly, for x and y
    """

    def __init__(
        self, alpha: Any = 50.0, sigma: Any = 5.0, interpolation: InterpolationMode | int = InterpolationMode.BILINEAR, fill: Any = 0
    ) -> None:
        super().__init__()
        self.alpha, self.sigma = pair(alpha, "alpha"), pair(sigma, "sigma")
        self.interpolation = mode_of(interpolation)
        if not isinstance(fill, (int, float, list, tuple)):
            raise TypeError(f"fill should be int or float or a list or tuple of them. Got {type(fill)}")
        self.fill = [float(v) for v in (fill if isinstance(fill, (list, tuple)) else [fill])]

    @staticmethod
    def get_params(alpha: Sequence[float], sigma: Sequence[float], size: list[int]) -> Tensor:
        """The displacement, (1, H, W, 2)."""
        moves = []
        for far, smooth, side in zip(alpha, sigma, reversed(size)):
            move = functions.rand(1, 1, *size) * 2 - 1
            if smooth > 0.0:
                kernel = int(8 * smooth + 1) | 1
                move = F.gaussian_blur(move, [kernel, kernel], list(sigma))
            moves.append(move * far / side)
        return functions.cat(moves, 1).permute(0, 2, 3, 1)

    def forward(self, tensor: Any) -> Any:
        _, height, width = F.get_dimensions(tensor)
        displacement = self.get_params(self.alpha, self.sigma, [height, width])
        return F.elastic_transform(tensor, displacement, self.interpolation, self.fill)

    def __repr__(self) -> str:
        ways = f"interpolation={self.interpolation}, fill={self.fill}"
        return f"{type(self).__name__}(alpha={self.alpha}, sigma={self.sigma}, {ways})"


def pair(value: Any, name: str) -> Any:
    if not isinstance(value, (float, Sequence)):
        raise TypeError(f"{name} should be float or a sequence of floats. Got {type(value)}")
    if isinstance(value, float):
        return [value, value]
    if len(value) != 2:
        raise ValueError(f"If {name} is a sequence its length should be 2. Got {len(value)}")
    for v in value:
        if not isinstance(v, float):
            raise TypeError(f"{name} should be a sequence of floats. Got {type(v)}")
    return value


# Colours


class ColorJitter(Shown):
    """Brightness, contrast, saturation and hue changed by drawn factors, in any order.

    Args:
        brightness, contrast, saturation: two factors, or the greatest distance from 1
        hue: two parts of the circle of hues from -0.5 to 0.5, or the greatest distance from 0
    """

    shown = ("brightness", "contrast", "saturation", "hue")

    def __init__(self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0) -> None:
        super().__init__()
        self.brightness = factors(brightness, "brightness")
        self.contrast = factors(contrast, "contrast")
        self.saturation = factors(saturation, "saturation")
        self.hue = factors(hue, "hue", 0, (-0.5, 0.5))

    @staticmethod
    def get_params(brightness: Any, contrast: Any, saturation: Any, hue: Any) -> tuple[Tensor, Any, Any, Any, Any]:
        """The order of the four changes, and their factors; None leaves one out."""
        order = functions.randperm(4)
        b, c, s, h = (None if range_ is None else uniform(*range_) for range_ in (brightness, contrast, saturation, hue))
        return order, b, c, s, h

    def forward(self, img: Any) -> Any:
        order, *drawn = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        changes = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
        for i in order.tolist():
            if drawn[i] is not None:
                img = changes[i](img, drawn[i])
        return img


def factors(value: Any, name: str, center: float = 1, bound: tuple[float, float] = (0, math.inf)) -> tuple[float, float] | None:
    """The range of a factor; None where it can only change nothing."""
    if isinstance(value, Number):
        if value < 0:  # type: ignore[operator]
            raise ValueError(f"If {name} is a single number, it must be non negative.")
        value = [center - float(value), center + float(value)]  # type: ignore[arg-type]
        if center:
            value[0] = max(value[0], 0.0)
    elif isinstance(value, (tuple, list)) and len(value) == 2:
        value = [float(value[0]), float(value[1])]
    else:
        raise TypeError(f"{name} should be a single number or a list/tuple with length 2.")
    if not bound[0] <= value[0] <= value[1] <= bound[1]:
        raise ValueError(f"{name} values should be between {bound}, but got {value}.")
    return None if value[0] == value[1] == center else (value[0], value[1])


class GaussianBlur(Shown):
    """`functional.gaussian_blur` with a `sigma` drawn between two."""

    shown = ("kernel_size", "sigma")

    def __init__(self, kernel_size: int | Sequence[int], sigma: Any = (0.1, 2.0)) -> None:
        super().__init__()
        self.kernel_size = F.two(kernel_size, "Kernel size should be a tuple/list of two integers")
        if any(size <= 0 or size % 2 == 0 for size in self.kernel_size):
            raise ValueError("Kernel size value should be an odd and positive number.")
        if isinstance(sigma, Number):
            if sigma <= 0:  # type: ignore[operator]
                raise ValueError("If sigma is a single number, it must be positive.")
            sigma = (sigma, sigma)
        elif not isinstance(sigma, Sequence) or len(sigma) != 2:
            raise ValueError("sigma should be a single number or a list/tuple with length 2.")
        if not 0.0 < sigma[0] <= sigma[1]:
            raise ValueError("sigma values should be positive and of the form (min, max).")
        self.sigma = sigma

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        """The `sigma`."""
        return uniform(sigma_min, sigma_max)

    def forward(self, img: Any) -> Any:
        sigma = self.get_params(*self.sigma)
        return F.gaussian_blur(img, self.kernel_size, [sigma, sigma])
