"""How pixels between pixels are found."""

from __future__ import annotations

from enum import Enum
from typing import Any

__all__ = ["InterpolationMode", "mode_of"]


class InterpolationMode(Enum):
    """For `Resize` and the like; pictures that are tensors know the first four only."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


M = InterpolationMode
PILLOW = {M.NEAREST: 0, M.LANCZOS: 1, M.BILINEAR: 2, M.BICUBIC: 3, M.BOX: 4, M.HAMMING: 5, M.NEAREST_EXACT: 0}
FROM_PILLOW = {number: mode for mode, number in reversed(PILLOW.items())}


def mode_of(interpolation: Any) -> InterpolationMode:
    """A mode for a mode or Pillow's number for it; TypeError for anything else."""
    if isinstance(interpolation, int):
        return FROM_PILLOW[interpolation]
    if not isinstance(interpolation, InterpolationMode):
        raise TypeError("Argument interpolation should be a InterpolationMode or a corresponding Pillow integer constant")
    return interpolation
