"""Transforms that are made or not, and choices among transforms (by Python's `random`, as torchvision's)."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any

from chainrule import functions
from chainrule._core.dtypes import float32
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor
from chainrule.vision.transforms import functional as F
from chainrule.vision.transforms.draws import aspect, chance, fill_for, integer, need_fill, need_ranges, uniform
from chainrule.vision.transforms.fixed import Shown, listed
from chainrule.vision.transforms.modes import InterpolationMode, mode_of

__all__ = [
    "RandomAdjustSharpness", "RandomApply", "RandomAutocontrast", "RandomChoice", "RandomEqualize", "RandomErasing", "RandomGrayscale",
    "RandomHorizontalFlip", "RandomInvert", "RandomOrder", "RandomPerspective", "RandomPosterize", "RandomSolarize",
    "RandomVerticalFlip",
]  # fmt: skip


class Maybe(Shown):
    """A change that is made with probability `p`."""

    shown: tuple[str, ...] = ("p",)

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        return self.change(img) if chance(self.p) else img

    def change(self, img: Any) -> Any:
        raise NotImplementedError


class RandomHorizontalFlip(Maybe):
    """Left and right exchanged, with probability `p`."""

    def change(self, img: Any) -> Any:
        return F.hflip(img)


class RandomVerticalFlip(Maybe):
    """Top and bottom exchanged, with probability `p`."""

    def change(self, img: Any) -> Any:
        return F.vflip(img)


class RandomInvert(Maybe):
    """White less the picture, with probability `p`."""

    def change(self, img: Any) -> Any:
        return F.invert(img)


class RandomAutocontrast(Maybe):
    """Each channel stretched from black to white, with probability `p`."""

    def change(self, img: Any) -> Any:
        return F.autocontrast(img)


class RandomEqualize(Maybe):
    """The shades of each channel spread evenly, with probability `p`."""

    def change(self, img: Any) -> Any:
        return F.equalize(img)


class RandomGrayscale(Maybe):
    """No colours, in as many channels as before, with probability `p`."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__(p)

    def change(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, F.get_dimensions(img)[0])


class MaybeBy(Maybe):
    """A change by a number, made with probability `p`."""

    name: str

    def __init__(self, amount: float, p: float = 0.5) -> None:
        super().__init__(p)
        setattr(self, self.name, amount)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}={getattr(self, self.name)},p={self.p})"


class RandomPosterize(MaybeBy):
    """Only the first `bits` of each byte, with probability `p`."""

    name = "bits"

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__(bits, p)

    def change(self, img: Any) -> Any:
        return F.posterize(img, self.bits)


class RandomSolarize(MaybeBy):
    """What is not below `threshold` inverted, with probability `p`."""

    name = "threshold"

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__(threshold, p)

    def change(self, img: Any) -> Any:
        return F.solarize(img, self.threshold)


class RandomAdjustSharpness(MaybeBy):
    """`functional.adjust_sharpness`, with probability `p`."""

    name = "sharpness_factor"

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        super().__init__(sharpness_factor, p)

    def change(self, img: Any) -> Any:
        return F.adjust_sharpness(img, self.sharpness_factor)


class RandomPerspective(Maybe):
    """The picture seen from aside, with probability `p`: its corners are moved inwards by up to `distortion_scale` halves."""

    def __init__(
        self, distortion_scale: float = 0.5, p: float = 0.5, interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ) -> None:  # fmt: skip
        super().__init__(p)
        self.interpolation, self.distortion_scale, self.fill = mode_of(interpolation), distortion_scale, need_fill(fill)

    @staticmethod
    def get_params(width: int, height: int, distortion_scale: float) -> tuple[list[list[int]], list[list[int]]]:
        """The four corners, and where they go."""
        dx, dy = int(distortion_scale * (width // 2)), int(distortion_scale * (height // 2))
        left, right, top, bottom = (0, dx + 1), (width - dx - 1, width), (0, dy + 1), (height - dy - 1, height)
        ends = [[integer(*x), integer(*y)] for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))]
        return [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], ends

    def change(self, img: Any) -> Any:
        _, height, width = F.get_dimensions(img)
        starts, ends = self.get_params(width, height, self.distortion_scale)
        return F.perspective(img, starts, ends, self.interpolation, fill_for(img, self.fill))


class RandomErasing(Maybe):
    """A rectangle of a tensor painted over, with probability `p`.

    Args:
        scale: its area, smallest and greatest, as a part of the picture
        ratio: its height by width, smallest and greatest
        value: a number, one for each channel, or "random" for noise
        inplace: paint in the tensor that was given
    """

    shown = ("p", "scale", "ratio", "value", "inplace")

    def __init__(
        self, p: float = 0.5, scale: Sequence[float] = (0.02, 0.33), ratio: Sequence[float] = (0.3, 3.3), value: Any = 0,
        inplace: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(p)
        if not isinstance(value, (Number, str, tuple, list)):
            raise TypeError("Argument value should be either a number or str or a sequence")
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        need_ranges(scale, ratio)
        if scale[0] < 0 or scale[1] > 1:
            raise ValueError("Scale should be between 0 and 1")
        if p < 0 or p > 1:
            raise ValueError("Random erasing probability should be between 0 and 1")
        self.scale, self.ratio, self.value, self.inplace = scale, ratio, value, inplace

    @staticmethod
    def get_params(
        img: Tensor, scale: Sequence[float], ratio: Sequence[float], value: list[float] | None = None
    ) -> tuple[int, int, int, int, Tensor]:
        """The first row and column, height, width and colours of the rectangle."""
        channels, height, width = img.shape[-3:]
        for _ in range(10):
            area = height * width * uniform(*scale)
            side = aspect(ratio)
            h, w = round(math.sqrt(area * side)), round(math.sqrt(area / side))
            if h < height and w < width:
                noise = functions.empty(channels, h, w, dtype=float32).normal_() if value is None else None
                colours = noise if noise is not None else functions.tensor(value)[:, None, None]
                return integer(0, height - h + 1), integer(0, width - w + 1), h, w, colours
        return 0, 0, height, width, img

    def change(self, img: Tensor) -> Tensor:
        value = self.value
        colours = None if value == "random" else [float(v) for v in (value if isinstance(value, (tuple, list)) else [value])]
        if colours is not None and len(colours) not in (1, img.shape[-3]):
            raise ValueError(
                "If value is a sequence, it should have either a single value or "
                f"{img.shape[-3]} (number of input channels)"
            )
        return F.erase(img, *self.get_params(img, self.scale, self.ratio, colours), self.inplace)


# Choices among transforms


class RandomApply(Module):
    """All the transforms, with probability `p`, or none."""

    def __init__(self, transforms: Sequence[Callable], p: float = 0.5) -> None:
        super().__init__()
        self.transforms, self.p = transforms, p

    def forward(self, img: Any) -> Any:
        if self.p < functions.rand(1):
            return img
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return listed(type(self).__name__, [f"p={self.p}", *self.transforms])


class RandomTransforms:
    """Transforms of which some are taken; TypeError unless they are a sequence."""

    def __init__(self, transforms: Sequence[Callable]) -> None:
        if not isinstance(transforms, Sequence):
            raise TypeError("Argument transforms should be a sequence")
        self.transforms = transforms

    def __repr__(self) -> str:
        return listed(type(self).__name__, self.transforms)


class RandomOrder(RandomTransforms):
    """All the transforms, in any order."""

    def __call__(self, img: Any) -> Any:
        order = list(range(len(self.transforms)))
        random.shuffle(order)
        for i in order:
            img = self.transforms[i](img)
        return img


class RandomChoice(RandomTransforms):
    """One of the transforms; `p` are their weights."""

    def __init__(self, transforms: Sequence[Callable], p: Sequence[float] | None = None) -> None:
        super().__init__(transforms)
        if p is not None and not isinstance(p, Sequence):
            raise TypeError("Argument p should be a sequence")
        self.p = p

    def __call__(self, *args: Any) -> Any:
        return random.choices(self.transforms, weights=self.p)[0](*args)

    def __repr__(self) -> str:
        return f"{super().__repr__()}(p={self.p})"
