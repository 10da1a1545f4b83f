"""Augmentation by drawn chains of transforms: AutoAugment's policies, RandAugment, TrivialAugment and AugMix."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import Any

from chainrule import functions
from chainrule.functions.concentrations import _sample_dirichlet
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor
from chainrule.vision.transforms import functional as F
from chainrule.vision.transforms.draws import fill_for, integer
from chainrule.vision.transforms.modes import InterpolationMode

__all__ = ["AugMix", "AutoAugment", "AutoAugmentPolicy", "RandAugment", "TrivialAugmentWide"]


class AutoAugmentPolicy(Enum):
    """The data set for which a policy was found."""

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    SVHN = "svhn"


# Pairs of operations (Cubuk et al. 2019): a name, a probability, and how much of ten where there is a how much.
POLICIES = {
    AutoAugmentPolicy.IMAGENET: """
        Posterize 0.4 8, Rotate 0.6 9; Solarize 0.6 5, AutoContrast 0.6; Equalize 0.8, Equalize 0.6; Posterize 0.6 7, Posterize 0.6 6;
        Equalize 0.4, Solarize 0.2 4; Equalize 0.4, Rotate 0.8 8; Solarize 0.6 3, Equalize 0.6; Posterize 0.8 5, Equalize 1.0;
        Rotate 0.2 3, Solarize 0.6 8; Equalize 0.6, Posterize 0.4 6; Rotate 0.8 8, Color 0.4 0; Rotate 0.4 9, Equalize 0.6;
        Equalize 0.0, Equalize 0.8; Invert 0.6, Equalize 1.0; Color 0.6 4, Contrast 1.0 8; Rotate 0.8 8, Color 1.0 2;
        Color 0.8 8, Solarize 0.8 7; Sharpness 0.4 7, Invert 0.6; ShearX 0.6 5, Equalize 1.0; Color 0.4 0, Equalize 0.6;
        Equalize 0.4, Solarize 0.2 4; Solarize 0.6 5, AutoContrast 0.6; Invert 0.6, Equalize 1.0; Color 0.6 4, Contrast 1.0 8;
        Equalize 0.8, Equalize 0.6""",
    AutoAugmentPolicy.CIFAR10: """
        Invert 0.1, Contrast 0.2 6; Rotate 0.7 2, TranslateX 0.3 9; Sharpness 0.8 1, Sharpness 0.9 3; ShearY 0.5 8, TranslateY 0.7 9;
        AutoContrast 0.5, Equalize 0.9; ShearY 0.2 7, Posterize 0.3 7; Color 0.4 3, Brightness 0.6 7; Sharpness 0.3 9, Brightness 0.7 9;
        Equalize 0.6, Equalize 0.5; Contrast 0.6 7, Sharpness 0.6 5; Color 0.7 7, TranslateX 0.5 8; Equalize 0.3, AutoContrast 0.4;
        TranslateY 0.4 3, Sharpness 0.2 6; Brightness 0.9 6, Color 0.2 8; Solarize 0.5 2, Invert 0.0; Equalize 0.2, AutoContrast 0.6;
        Equalize 0.2, Equalize 0.6; Color 0.9 9, Equalize 0.6; AutoContrast 0.8, Solarize 0.2 8; Brightness 0.1 3, Color 0.7 0;
        Solarize 0.4 5, AutoContrast 0.9; TranslateY 0.9 9, TranslateY 0.7 9; AutoContrast 0.9, Solarize 0.8 3; Equalize 0.8, Invert 0.1;
        TranslateY 0.7 9, AutoContrast 0.9""",
    AutoAugmentPolicy.SVHN: """
        ShearX 0.9 4, Invert 0.2; ShearY 0.9 8, Invert 0.7; Equalize 0.6, Solarize 0.6 6; Invert 0.9, Equalize 0.6;
        Equalize 0.6, Rotate 0.9 3; ShearX 0.9 4, AutoContrast 0.8; ShearY 0.9 8, Invert 0.4; ShearY 0.9 5, Solarize 0.2 6;
        Invert 0.9, AutoContrast 0.8; Equalize 0.6, Rotate 0.9 3; ShearX 0.9 4, Solarize 0.3 3; ShearY 0.8 8, Invert 0.7;
        Equalize 0.9, TranslateY 0.6 6; Invert 0.9, Equalize 0.6; Contrast 0.3 3, Rotate 0.8 4; Invert 0.8, TranslateY 0.0 2;
        ShearY 0.7 6, Solarize 0.4 8; Invert 0.6, Rotate 0.8 4; ShearY 0.3 7, TranslateX 0.9 3; ShearX 0.1 6, Invert 0.6;
        Solarize 0.7 2, TranslateY 0.6 7; ShearY 0.8 4, Invert 0.8; ShearX 0.7 9, TranslateY 0.8 3; ShearY 0.8 5, AutoContrast 0.7;
        ShearX 0.7 2, Invert 0.1""",
}


def sheared(img: Any, x: float, y: float, **ways: Any) -> Any:
    shear = [math.degrees(math.atan(v)) for v in (x, y)]
    return F.affine(img, angle=0.0, translate=[0, 0], scale=1.0, shear=shear, center=[0, 0], **ways)


def moved(img: Any, x: float, y: float, **ways: Any) -> Any:
    return F.affine(img, angle=0.0, translate=[int(x), int(y)], scale=1.0, shear=[0.0, 0.0], **ways)


OPERATIONS: dict[str, Callable] = {  # of the picture and how much; `ways` are the interpolation and the colour outside
    "Identity": lambda img, v, **ways: img,
    "ShearX": lambda img, v, **ways: sheared(img, v, 0.0, **ways),
    "ShearY": lambda img, v, **ways: sheared(img, 0.0, v, **ways),
    "TranslateX": lambda img, v, **ways: moved(img, v, 0, **ways),
    "TranslateY": lambda img, v, **ways: moved(img, 0, v, **ways),
    "Rotate": lambda img, v, **ways: F.rotate(img, v, **ways),
    "Brightness": lambda img, v, **ways: F.adjust_brightness(img, 1.0 + v),
    "Color": lambda img, v, **ways: F.adjust_saturation(img, 1.0 + v),
    "Contrast": lambda img, v, **ways: F.adjust_contrast(img, 1.0 + v),
    "Sharpness": lambda img, v, **ways: F.adjust_sharpness(img, 1.0 + v),
    "Posterize": lambda img, v, **ways: F.posterize(img, int(v)),
    "Solarize": lambda img, v, **ways: F.solarize(img, v),
    "AutoContrast": lambda img, v, **ways: F.autocontrast(img),
    "Equalize": lambda img, v, **ways: F.equalize(img),
    "Invert": lambda img, v, **ways: F.invert(img),
}
SIGNED = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness")


def amounts(most: dict[str, float], bins: int, bits: tuple[int, float]) -> dict[str, list[float] | None]:
    """For each operation from nothing to `most`, in so many steps; None where there is no how much. `bits`: the most kept, and lost."""
    kept, lost = bits
    steps = functions.arange(bins)
    given: dict[str, list[float] | None] = {}
    for name, limit in most.items():
        if name == "Posterize":
            given[name] = (kept - (steps / ((bins - 1) / lost)).round().int()).tolist()
        elif name == "Solarize":
            given[name] = functions.linspace(255.0, 0.0, bins).tolist()
        else:
            given[name] = functions.linspace(0.0, limit, bins).tolist() if limit else None
    return given


def moves(shear: float, x: float, y: float, turn: float) -> dict[str, float]:
    """The operations that move pixels, with the greatest amount of each."""
    return {"ShearX": shear, "ShearY": shear, "TranslateX": x, "TranslateY": y, "Rotate": turn}


def colours(most: float) -> dict[str, float]:
    return dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), most)


SHADES = dict.fromkeys(("Posterize", "Solarize", "AutoContrast", "Equalize"), 0.0)  # their amounts are the same everywhere
FAR = 150.0 / 331.0  # of the width or height


class Augment(Module):
    """What the augmentations share: `interpolation` and `fill` of the operations that move pixels."""

    shown: tuple[str, ...]

    def __init__(self, interpolation: InterpolationMode, fill: Any) -> None:
        super().__init__()
        self.interpolation, self.fill = interpolation, fill

    def apply_operation(self, img: Any, name: str, amount: float, fill: Any) -> Any:
        return OPERATIONS[name](img, amount, interpolation=self.interpolation, fill=fill)

    def colour(self, img: Any) -> Any:
        return None if self.fill is None else fill_for(img, self.fill)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in self.shown)})"


def drawn(space: dict[str, list[float] | None], bin_of: Callable[[list[float]], int]) -> tuple[str, float]:
    """One operation of a space, and how much of it, either way where that is a question."""
    name = list(space)[integer(0, len(space))]
    values = space[name]
    amount = 0.0 if values is None else float(values[bin_of(values)])
    return name, -amount if name in SIGNED and integer(0, 2) else amount


class AutoAugment(Augment):
    """One of 25 pairs of operations, which were found by search (Cubuk et al. 2019), for pictures of bytes.

    Example:
        >>> transform = AutoAugment(AutoAugmentPolicy.CIFAR10)
        >>> transform(randint(0, 256, (3, 32, 32), dtype=uint8)).shape
        torch.Size([3, 32, 32])
    """

    shown = ("policy", "fill")

    def __init__(
        self, policy: AutoAugmentPolicy = AutoAugmentPolicy.IMAGENET, interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(interpolation, fill)
        if policy not in POLICIES:
            raise ValueError(f"The provided policy {policy} is not recognized.")
        self.policy = policy
        self.policies = [tuple(map(operation, pair.split(","))) for pair in POLICIES[policy].split(";")]

    @staticmethod
    def get_params(transform_num: int) -> tuple[int, Tensor, Tensor]:
        """Which pair, and for both its operations a number to compare with the probability, and a sign."""
        return integer(0, transform_num), functions.rand(2), functions.randint(2, (2,))

    def forward(self, img: Any) -> Any:
        fill = self.colour(img)
        pair, chances, signs = self.get_params(len(self.policies))
        _, height, width = F.get_dimensions(img)
        space = amounts(moves(0.3, FAR * width, FAR * height, 30.0) | colours(0.9) | SHADES | {"Invert": 0.0}, 10, (8, 4))
        for i, (name, p, level) in enumerate(self.policies[pair]):
            if chances[i] <= p:
                amount = 0.0 if level is None else float(space[name][level])  # type: ignore[index]
                img = self.apply_operation(img, name, -amount if name in SIGNED and signs[i] == 0 else amount, fill)
        return img


def operation(text: str) -> tuple[str, float, int | None]:
    name, p, *level = text.split()
    return name, float(p), int(level[0]) if level else None


class RandAugment(Augment):
    """`num_ops` operations, each of `magnitude` out of `num_magnitude_bins` (Cubuk et al. 2020), for pictures of bytes."""

    shown = ("num_ops", "magnitude", "num_magnitude_bins", "interpolation", "fill")

    def __init__(
        self, num_ops: int = 2, magnitude: int = 9, num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST, fill: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(interpolation, fill)
        self.num_ops, self.magnitude, self.num_magnitude_bins = num_ops, magnitude, num_magnitude_bins

    def forward(self, img: Any) -> Any:
        fill = self.colour(img)
        _, height, width = F.get_dimensions(img)
        most = {"Identity": 0.0} | moves(0.3, FAR * width, FAR * height, 30.0) | colours(0.9) | SHADES
        space = amounts(most, self.num_magnitude_bins, (8, 4))
        for _ in range(self.num_ops):
            img = self.apply_operation(img, *drawn(space, lambda values: self.magnitude), fill)
        return img


class TrivialAugmentWide(Augment):
    """One operation, of any magnitude out of `num_magnitude_bins` (Müller and Hutter 2021), for pictures of bytes."""

    shown = ("num_magnitude_bins", "interpolation", "fill")

    def __init__(
        self, num_magnitude_bins: int = 31, interpolation: InterpolationMode = InterpolationMode.NEAREST, fill: Any = None
    ) -> None:
        super().__init__(interpolation, fill)
        self.num_magnitude_bins = num_magnitude_bins

    def forward(self, img: Any) -> Any:
        fill = self.colour(img)
        most = {"Identity": 0.0} | moves(0.99, 32.0, 32.0, 135.0) | colours(0.99) | SHADES
        space = amounts(most, self.num_magnitude_bins, (8, 6))
        return self.apply_operation(img, *drawn(space, lambda values: integer(0, len(values))), fill)


class AugMix(Augment):
    """The picture mixed with what several chains of operations make of it (Hendrycks et al. 2020), for pictures of bytes.

    Args:
        severity: how much, from 1 to 10
        mixture_width: chains
        chain_depth: operations in each; -1 draws 1 to 3
        alpha: of the distribution of the weights; the greater, the more even
        all_ops: also those that change colours
    """

    shown = ("severity", "mixture_width", "chain_depth", "alpha", "all_ops", "interpolation", "fill")

    def __init__(
        self, severity: int = 3, mixture_width: int = 3, chain_depth: int = -1, alpha: float = 1.0, all_ops: bool = True,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR, fill: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(interpolation, fill)
        if not 1 <= severity <= 10:
            raise ValueError(f"The severity must be between [1, 10]. Got {severity} instead.")
        self.severity, self.mixture_width, self.chain_depth = severity, mixture_width, chain_depth
        self.alpha, self.all_ops = alpha, all_ops

    def forward(self, orig_img: Any) -> Any:
        fill = self.colour(orig_img)
        _, height, width = F.get_dimensions(orig_img)
        img = orig_img if isinstance(orig_img, Tensor) else F.pil_to_tensor(orig_img)
        most = moves(0.3, width / 3.0, height / 3.0, 30.0) | SHADES | (colours(0.9) if self.all_ops else {})
        space = amounts(most, 10, (4, 4))
        batch = img.view([1] * max(4 - img.ndim, 0) + list(img.shape))
        n, each = batch.shape[0], [batch.shape[0], *[1] * (batch.ndim - 1)]
        shares = _sample_dirichlet(functions.tensor([self.alpha] * 2).expand(n, -1))
        weights = _sample_dirichlet(functions.tensor([self.alpha] * self.mixture_width).expand(n, -1)) * shares[:, 1].view(n, -1)
        mix = shares[:, 0].view(each) * batch
        for i in range(self.mixture_width):
            chain = batch
            for _ in range(self.chain_depth if self.chain_depth > 0 else integer(1, 4)):
                chain = self.apply_operation(chain, *drawn(space, lambda values: integer(0, self.severity)), fill)
            mix.add_(weights[:, i].view(each) * chain)
        mix = mix.view(list(img.shape)).to(img.dtype)
        return mix if isinstance(orig_img, Tensor) else F.to_pil_image(mix)
