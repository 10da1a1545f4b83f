"""`PixelShuffle` and `PixelUnshuffle`: channels as pixels of a larger image, and back."""

from __future__ import annotations

from chainrule.nn import functional as F
from chainrule.nn.modules.layer import layer
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor

__all__ = ["PixelShuffle", "PixelUnshuffle"]


@layer("upscale_factor")
class PixelShuffle(Module):
    """(*, C * r², H, W) to (*, C, H * r, W * r)."""

    upscale_factor: int

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)


@layer("downscale_factor")
class PixelUnshuffle(Module):
    """(*, C, H * r, W * r) to (*, C * r², H, W)."""

    downscale_factor: int

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)
