"""The matrices that resize one dimension: row i holds the weights of the input's elements in output i."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np


def scale_of(size: int, out: int, align: bool, factor: float | None) -> float:
    """How far apart the outputs are in the input."""
    if align:
        return (size - 1) / (out - 1) if out > 1 else 0.0
    return 1 / factor if factor else size / out


def centers(size: int, out: int, align: bool, factor: float | None) -> np.ndarray:
    """Where the outputs are in the input, its elements being at 0, 1, ..."""
    scale = scale_of(size, out, align, factor)
    index = np.arange(out)
    return scale * index if align else scale * (index + 0.5) - 0.5


def assembled(places: np.ndarray, weights: np.ndarray, size: int) -> np.ndarray:
    """(out, size) from (out, taps) places and weights; places outside count for the nearest edge."""
    matrix = np.zeros((len(places), size))
    rows = np.broadcast_to(np.arange(len(places))[:, None], places.shape)
    np.add.at(matrix, (rows, np.clip(places, 0, size - 1)), weights)
    return matrix


@lru_cache(64)
def linear(size: int, out: int, align: bool, factor: float | None) -> np.ndarray:
    """Straight lines between neighbours."""
    at = np.maximum(centers(size, out, align, factor), 0)
    first = np.minimum(np.floor(at).astype(int), size - 1)
    share = np.clip(at - first, 0, 1)
    return assembled(np.stack([first, first + 1], 1), np.stack([1 - share, share], 1), size)


def cubic_weight(x: np.ndarray, a: float) -> np.ndarray:
    """Keys' cubic kernel."""
    x = np.abs(x)
    near, far = ((a + 2) * x - (a + 3)) * x * x + 1, ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


@lru_cache(64)
def cubic(size: int, out: int, align: bool, factor: float | None) -> np.ndarray:
    """Cubic polynomials through four neighbours."""
    at = centers(size, out, align, factor)
    first = np.floor(at).astype(int)
    places = first[:, None] + np.arange(-1, 3)
    return assembled(places, cubic_weight(places - at[:, None], -0.75), size)


FILTERS: dict[str, tuple[float, Callable]] = {
    "bilinear": (1.0, lambda x: np.maximum(1 - np.abs(x), 0)),
    "bicubic": (2.0, lambda x: cubic_weight(x, -0.5)),
    "lanczos": (3.0, lambda x: np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)),
}


@lru_cache(64)
def antialiased(mode: str, size: int, out: int, align: bool, factor: float | None) -> np.ndarray:
    """A filter as wide as the outputs are apart."""
    radius, weight = FILTERS[mode]
    scale = scale_of(size, out, align, factor)
    stretch = max(scale, 1.0)
    middle = scale * (np.arange(out) + 0.5)
    low = np.maximum((middle - radius * stretch + 0.5).astype(int), 0)
    high = np.minimum((middle + radius * stretch + 0.5).astype(int), size)
    places = np.arange(size)
    weights = np.where((places >= low[:, None]) & (places < high[:, None]), weight((places - middle[:, None] + 0.5) / stretch), 0)
    total = weights.sum(1, keepdims=True)
    return weights / np.where(total == 0, 1, total)


@lru_cache(64)
def nearest(size: int, out: int, exact: bool, factor: float | None) -> np.ndarray:
    """The places of the nearest elements, found in float32 as PyTorch does."""
    scale = np.float32(1 / factor if factor else size / out)
    index = np.arange(out, dtype=np.float32) + np.float32(0.5 if exact else 0)
    return np.minimum(np.floor(index * scale).astype(int), size - 1)


MATRICES = {"linear": linear, "bilinear": linear, "trilinear": linear, "bicubic": cubic}
