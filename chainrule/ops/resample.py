"""Resizing, each dimension by a matrix or by the places to read; affine maps of grids."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ops.matmul import matmul
from chainrule.ops.padding import padding_by
from chainrule.ops.pool import resampling
from chainrule.ops.primitive import linear
from chainrule.ops.shape import reshape

nearest = {
    (mode, d): padding_by(f"UpsampleNearest{name}{d}DBackward0")
    for mode, name in (("nearest", ""), ("nearest-exact", "Exact"))
    for d in (1, 2, 3)
}
NAMES = {"linear": "Linear1D", "bilinear": "Bilinear2D", "bicubic": "Bicubic2D", "lanczos": "Lanczos2D", "trilinear": "Trilinear3D"}
smooth = {(mode, aa): resampling(f"Upsample{name}{'Aa' if aa else ''}Backward0") for mode, name in NAMES.items() for aa in (False, True)}


@linear(a=lambda g, a_shape, base: grid_back(g, base, a_shape), node="AffineGridGeneratorBackward0")
def affine_grid(a: Any, base: Any, spatial: tuple) -> Any:
    """The places (N, *spatial, d) to which the maps a (N, d, d + 1) send those of `base` (places, d + 1)."""
    return np.matmul(base, a.swapaxes(1, 2)).reshape(len(a), *spatial, a.shape[1])


def grid_back(g: Any, base: Any, shape: tuple) -> Any:
    return matmul(reshape(g, (shape[0], -1, shape[1])).mT, base)


__all__ = ["affine_grid", "nearest", "smooth"]
