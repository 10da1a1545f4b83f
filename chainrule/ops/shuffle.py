"""Elements moved between channels and places: each op is the transpose of its inverse."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ops.primitive import linear


@linear(a=lambda g, factor: pixel_unshuffle(g, factor))
def pixel_shuffle(a: Any, factor: int) -> Any:
    """(..., C * factor², H, W) to (..., C, H * factor, W * factor)."""
    *lead, c, h, w = a.shape
    tiles = a.reshape(*lead, c // factor**2, factor, factor, h, w)
    n = len(lead)
    order = (*range(n + 1), n + 3, n + 1, n + 4, n + 2)
    return tiles.transpose(order).reshape(*lead, c // factor**2, h * factor, w * factor)


@linear(a=lambda g, factor: pixel_shuffle(g, factor))
def pixel_unshuffle(a: Any, factor: int) -> Any:
    """(..., C, H * factor, W * factor) to (..., C * factor², H, W)."""
    *lead, c, h, w = a.shape
    tiles = a.reshape(*lead, c, h // factor, factor, w // factor, factor)
    n = len(lead)
    order = (*range(n + 1), n + 2, n + 4, n + 1, n + 3)
    return tiles.transpose(order).reshape(*lead, c * factor**2, h // factor, w // factor)


@linear(a=lambda g, a_shape, groups: channel_shuffle(g, a_shape[1] // groups))
def channel_shuffle(a: Any, groups: int) -> Any:
    """The channels (dimension 1), seen as (groups, C / groups), transposed."""
    n, c, *rest = a.shape
    return np.ascontiguousarray(a.reshape(n, groups, c // groups, *rest).swapaxes(1, 2)).reshape(a.shape)
