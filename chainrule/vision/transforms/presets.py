"""The preparation of pictures that trained weights expect."""

from __future__ import annotations

from typing import Any

from chainrule._core.dtypes import float32
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor
from chainrule.vision.transforms import functional as F
from chainrule.vision.transforms.modes import InterpolationMode

__all__ = ["ImageClassification"]


class ImageClassification(Module):
    """Resize the shorter side, cut the middle, scale to 0 to 1, normalise.

    Args:
        crop_size, resize_size: pixels a side
        mean, std: of each channel
        interpolation, antialias: as of `functional.resize`

    Example:
        >>> ImageClassification(crop_size=224)(rand(3, 300, 400)).shape
        torch.Size([3, 224, 224])
    """

    def __init__(
        self, *, crop_size: int, resize_size: int = 256, mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225), interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.crop_size, self.resize_size = [crop_size], [resize_size]
        self.mean, self.std = list(mean), list(std)
        self.interpolation, self.antialias = interpolation, antialias

    def forward(self, img: Any) -> Tensor:
        img = F.resize(img, self.resize_size, interpolation=self.interpolation, antialias=self.antialias)
        img = F.center_crop(img, self.crop_size)
        img = img if isinstance(img, Tensor) else F.pil_to_tensor(img)
        return F.normalize(F.convert_image_dtype(img, float32), self.mean, self.std)

    def __repr__(self) -> str:
        shown = ("crop_size", "resize_size", "mean", "std", "interpolation")
        return f"{type(self).__name__}(" + "".join(f"\n    {name}={getattr(self, name)}" for name in shown) + "\n)"
