"""Transforms of tensors that read their pixels at other places: rotation, affine and perspective maps, elastic displacement."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from chainrule import functions
from chainrule._core.dtypes import dtype as Dtype, float32
from chainrule.nn import functional as F
from chainrule.tensor import Tensor
from chainrule.vision.transforms.tensors import get_dimensions, in_batch, need_image, work_dtype


def need_warpable(img: Tensor, interpolation: str, fill: Any) -> None:
    need_image(img)
    if fill is not None and not isinstance(fill, (int, float, tuple, list)):
        warnings.warn("Argument fill should be either int, float, tuple or list", stacklevel=2)
    channels = get_dimensions(img)[0]
    if isinstance(fill, (tuple, list)) and len(fill) > 1 and len(fill) != channels:
        raise ValueError(
            "The number of elements in 'fill' cannot broadcast to match the number of channels of the image "
            f"({len(fill)} != {channels})"
        )
    if interpolation not in ("nearest", "bilinear"):
        raise ValueError(f"Interpolation mode '{interpolation}' is unsupported with Tensor input")


def read_at(img: Tensor, grid: Tensor, mode: str, fill: Any) -> Tensor:
    """`img` at the places of `grid`, as `grid_sample` numbers them; `fill` outside."""
    batch, back = in_batch(img, (grid.dtype,))
    if batch.shape[0] > 1:
        grid = grid.expand(batch.shape[0], *grid.shape[1:])
    if fill is None:
        return back(F.grid_sample(batch, grid, mode=mode, padding_mode="zeros", align_corners=False))
    inside = functions.ones(batch.shape[0], 1, *batch.shape[2:], dtype=batch.dtype)
    both = F.grid_sample(functions.cat([batch, inside], 1), grid, mode=mode, padding_mode="zeros", align_corners=False)
    result, inside = both[:, :-1], both[:, -1:]
    colour = functions.tensor(fill if isinstance(fill, (tuple, list)) else [float(fill)], dtype=batch.dtype).view(1, -1, 1, 1)
    if mode == "nearest":
        return back(functions.where(inside < 0.5, colour, result))
    return back(result * inside + (1.0 - inside) * colour)


def pixel_grid(ow: int, oh: int, left: float, top: float, dtype: Dtype) -> Tensor:
    """(1, oh * ow, 3): (x, y, 1) for each pixel, of which the first's middle is at (left, top)."""
    x = functions.linspace(left, left + ow - 1, ow).expand(oh, ow)
    y = functions.linspace(top, top + oh - 1, oh).unsqueeze(-1).expand(oh, ow)
    return functions.stack([x, y, functions.ones(oh, ow)], -1).to(dtype).view(1, oh * ow, 3)


def affine(
    img: Tensor, matrix: list[float], interpolation: str = "nearest", fill: Any = None, size: tuple[int, int] | None = None
) -> Tensor:
    """The picture of `size` (width, height; `img`'s by default) that takes its pixel at p from `matrix` (2x3) times p in `img`."""
    need_warpable(img, interpolation, fill)
    w, h = img.shape[-1], img.shape[-2]
    ow, oh = size or (w, h)
    dtype = work_dtype(img)
    theta = functions.tensor(matrix, dtype=dtype).reshape(1, 2, 3).transpose(1, 2) / functions.tensor([0.5 * w, 0.5 * h], dtype=dtype)
    grid = pixel_grid(ow, oh, -ow * 0.5 + 0.5, -oh * 0.5 + 0.5, dtype).bmm(theta).view(1, oh, ow, 2)
    return read_at(img, grid, interpolation, fill)


def rotate(img: Tensor, matrix: list[float], interpolation: str = "nearest", expand: bool = False, fill: Any = None) -> Tensor:
    need_warpable(img, interpolation, fill)
    return affine(img, matrix, interpolation, fill, rotated_size(matrix, img.shape[-1], img.shape[-2]) if expand else None)


def rotated_size(matrix: list[float], w: int, h: int) -> tuple[int, int]:
    """The width and height that hold all of a rotated picture."""
    corners = functions.tensor([[x * 0.5 * w, y * 0.5 * h, 1.0] for x, y in ((-1, -1), (-1, 1), (1, 1), (1, -1))])
    places = corners.matmul(functions.tensor(matrix, dtype=float32).view(2, 3).T)
    half = functions.tensor([w * 0.5, h * 0.5])
    low, high = places.amin(0) + half, places.amax(0) + half
    tiny = 1e-4  # a corner that is off by less is on the border
    size = ((high / tiny).trunc() * tiny).ceil() - ((low / tiny).trunc() * tiny).floor()
    return int(size[0]), int(size[1])


def perspective(img: Tensor, coeffs: list[float], interpolation: str = "bilinear", fill: Any = None) -> Tensor:
    """The picture that takes its pixel (x, y) from ((a x + b y + c) / (g x + h y + 1), (d x + e y + f) / (g x + h y + 1))."""
    need_warpable(img, interpolation, fill)
    if len(coeffs) != 8:
        raise ValueError("Argument coeffs should have 8 float values")
    w, h = img.shape[-1], img.shape[-2]
    dtype = work_dtype(img)
    above = functions.tensor([coeffs[:3], coeffs[3:6]], dtype=dtype).T[None] / functions.tensor([0.5 * w, 0.5 * h], dtype=dtype)
    below = functions.tensor([[*coeffs[6:], 1.0]] * 2, dtype=dtype).T[None]
    pixels = pixel_grid(w, h, 0.5, 0.5, dtype)
    grid = (pixels.bmm(above) / pixels.bmm(below) - 1.0).view(1, h, w, 2)
    return read_at(img, grid, interpolation, fill)


def elastic_transform(img: Tensor, displacement: Tensor, interpolation: str = "bilinear", fill: Any = None) -> Tensor:
    need_image(img)
    y, x = (functions.linspace((-s + 1) / s, (s - 1) / s, s) for s in img.shape[-2:])
    still = functions.stack([x.expand(len(y), len(x)), y.unsqueeze(-1).expand(len(y), len(x))], -1).unsqueeze(0)
    return read_at(img, still + displacement, interpolation, fill)


def inverse_matrix(center: list[float], angle: float, translate: list[float], scale: float, shear: list[float]) -> list[float]:
    """The 2x3 matrix, row by row, from a place in the result to the place in the picture.

    The picture is turned by `angle` degrees around `center`, scaled, sheared by `shear` degrees along x and y, then moved.
    """
    turn, sx, sy = (math.radians(v) for v in (angle, *shear))
    (cx, cy), (tx, ty) = center, translate
    a = math.cos(turn - sy) / math.cos(sy)
    b = -math.cos(turn - sy) * math.tan(sx) / math.cos(sy) - math.sin(turn)
    c = math.sin(turn - sy) / math.cos(sy)
    d = -math.sin(turn - sy) * math.tan(sx) / math.cos(sy) + math.cos(turn)
    (a, b), (c, d) = (d / scale, -b / scale), (-c / scale, a / scale)  # the determinant is 1
    return [a, b, a * (-cx - tx) + b * (-cy - ty) + cx, c, d, c * (-cx - tx) + d * (-cy - ty) + cy]


def perspective_coeffs(startpoints: list[list[int]], endpoints: list[list[int]]) -> list[float]:
    """The eight numbers of the map that takes each end point to its start point."""
    if len(startpoints) != 4 or len(endpoints) != 4:
        raise ValueError(
            f"Please provide exactly four corners, got {len(startpoints)} startpoints and {len(endpoints)} endpoints."
        )
    rows = []
    for (x, y), (u, v) in zip(endpoints, startpoints):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    solved = np.linalg.lstsq(np.array(rows, np.float64), np.array(startpoints, np.float64).reshape(8), rcond=None)[0]
    return solved.astype(np.float32).tolist()
