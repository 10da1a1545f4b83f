"""Images resized and resampled: `interpolate`, `grid_sample`, `affine_grid`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor
from chainrule.kernels import resample as kernels
from chainrule.nn._functional.arguments import legacy
from chainrule.nn._functional.pool import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from chainrule.ops import pointwise as elements, resample as ops
from chainrule.ops.index import gather
from chainrule.ops.overrides import public
from chainrule.ops.primitive import as_array
from chainrule.ops.shape import reshape
from chainrule.tensor import Tensor, wrap

SMOOTH = ("linear", "bilinear", "bicubic", "trilinear", "lanczos")
DIMENSIONS = {"linear": 3, "bilinear": 4, "bicubic": 4, "lanczos": 4, "trilinear": 5}
AREA = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}


@public
def interpolate(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Tensor:  # fmt: skip
    """`input` (N, C, ...) with its 1 to 3 spatial dimensions resized to `size`, or by `scale_factor`.

    `mode`: "nearest", "nearest-exact", "area", "linear" (3-D input), "bilinear", "bicubic", "lanczos" (4-D), "trilinear" (5-D).
    `align_corners` keeps the corners in place; `antialias` widens the filter when shrinking.

    Example:
        >>> interpolate(tensor([[[1., 2.]]]), scale_factor=2)
        tensor([[[1., 1., 2., 2.]]])
    """
    require_tensor("interpolate", input)
    if align_corners is not None and mode not in SMOOTH:
        raise ValueError("align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear")
    spatial = input._data.shape[2:]
    d = len(spatial)
    out, factors = wanted_size(spatial, size, scale_factor, recompute_scale_factor)
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and d == 2):
        raise ValueError("Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input")
    if mode == "lanczos" and d == 2 and (align_corners or not antialias):
        raise ValueError("Lanczos mode " + ("does not support align_corners=True" if align_corners else "requires antialias=True"))
    check_mode(mode, d)
    if mode == "area":
        return AREA[d](input, out)
    if any(n <= 0 for n in (*spatial, *out)):
        one, two = (", ".join([f"{a}: {n}" for a, n in zip("DHW"[3 - d :], v, strict=True)]) for v in (spatial, out))
        raise RuntimeError(f"Input and output sizes should be greater than 0, but got input ({one}) output ({two})")
    bytes_only = input.dtype is dtypes.uint8 and mode != "trilinear" and mode != "linear"
    if not input.dtype.is_floating_point and not bytes_only:
        raise NotImplementedError(f"\"upsample_{mode.replace('-exact', '')}{d}d\" not implemented for '{legacy(input)}'")
    return resized(input, mode, out, factors, bool(align_corners), antialias)


def wanted_size(spatial: tuple, size: Any, scale_factor: Any, recompute: bool | None) -> tuple[tuple, tuple]:
    """The spatial shape of the result, and the factors to use in place of its ratio to the input's (None: the ratio)."""
    d = len(spatial)
    shown = list(spatial)
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        if isinstance(size, (list, tuple)):
            if len(size) != d:
                raise ValueError(
                    "Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of "
                    f"{shown} and output size of {size}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and output size in "
                    "(o1, o2, ...,oK) format."
                )
            out = tuple([int(n) for n in size])
        else:
            out = (int(size),) * d
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return out, (None,) * d
    if scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    if isinstance(scale_factor, (list, tuple)):
        if len(scale_factor) != d:
            raise ValueError(
                "Input and scale_factor must have the same number of spatial dimensions, but got input with spatial dimensions of "
                f"{shown} and scale_factor of shape {scale_factor}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
                "scale_factor in "
                "(s1, s2, ...,sK) format."
            )
        factors = tuple([float(f) for f in scale_factor])
    else:
        factors = (float(scale_factor),) * d
    return tuple([math.floor(n * f) for n, f in zip(spatial, factors, strict=True)]), (None,) * d if recompute else factors


def check_mode(mode: str, d: int) -> None:
    if mode in ("nearest", "nearest-exact", "area") and 0 < d < 4:
        return
    if mode in DIMENSIONS and d in (1, 2, 3):
        if DIMENSIONS[mode] != d + 2:
            raise NotImplementedError(f"Got {d + 2}D input, but {mode} mode needs {DIMENSIONS[mode]}D input")
        return
    raise NotImplementedError(
        f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {d + 2}D) for the modes: nearest | linear | bilinear | bicubic | "
        "trilinear | "
        f"lanczos | area | nearest-exact (got {mode})"
    )


def resized(input: Tensor, mode: str, out: tuple, factors: tuple, align: bool, antialias: bool) -> Tensor:
    spatial = input._data.shape[2:]
    d = len(spatial)
    if mode.startswith("nearest"):
        places = [
            None if n == m and f is None else kernels.nearest(n, m, mode == "nearest-exact", f)
            for n, m, f in zip(spatial, out, factors, strict=True)
        ]
        return ops.nearest[mode, d](input, tuple(places))
    wide = np.float64 if input._data.dtype == np.float64 else np.float32
    matrices = []
    for n, m, f in zip(spatial, out, factors, strict=True):
        made = kernels.antialiased(mode, n, m, align, f) if antialias else kernels.MATRICES[mode](n, m, align, f)
        matrices.append(made.astype(wide))
    if input.dtype is dtypes.uint8:
        smooth = ops.smooth[mode, antialias].kernel(input._data.astype(wide), tuple(matrices))
        return wrap(np.clip(np.rint(smooth), 0, 255).astype(np.uint8))
    return ops.smooth[mode, antialias](input, tuple(matrices))


def deprecated(name: str) -> None:
    warnings.warn(f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=4)


@public
def upsample(input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None) -> Tensor:
    """`interpolate`, by its old name."""
    deprecated("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


@public
def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate(mode="nearest")`, by its old name."""
    deprecated("upsample_nearest")
    return interpolate(input, size, scale_factor, "nearest")


@public
def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate(mode="bilinear", align_corners=True)`, by its old name."""
    deprecated("upsample_bilinear")
    return interpolate(input, size, scale_factor, "bilinear", True)


# Grids

ALIGN = (
    "Default {0} behavior has changed to align_corners=False since 1.3.0. Please specify align_corners=True if the old behavior is "
    "desired. "
    "See the documentation of grid_sample for details."
)


@public
def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Where an affine map sends the places of an image: theta (N, 2, 3) and size (N, C, H, W) give (N, H, W, 2); likewise in 3-D.

    Coordinates run from -1 to 1, at the corners' middles if `align_corners`, else at their outer edges.
    """
    require_tensor("affine_grid", theta, "theta")
    if align_corners is None:
        warnings.warn(ALIGN.format("grid_sample and affine_grid"), stacklevel=3)
        align_corners = False
    if not theta.dtype.is_floating_point:
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    size = tuple(size)
    d = len(size) - 2
    if d not in (2, 3):
        raise NotImplementedError(
            f"affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size {size}."
        )
    shape = theta._data.shape
    if shape[-2:] != (d, d + 1) or len(shape) != 3:
        raise ValueError(f"Expected a batch of {d}D affine matrices of shape Nx{d}x{d + 1} for size {size}. Got {theta.shape}.")
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    return ops.affine_grid(theta, base_grid(size[2:], align_corners, theta._data.dtype), tuple(size[2:]))


def base_grid(spatial: Sequence[int], align: bool, dtype: np.dtype) -> np.ndarray:
    """(places, d + 1): the coordinates of each place, the last dimension first, and 1."""
    lines = []
    for n in spatial:
        line = np.linspace(-1, 1, n, dtype=np.float64) if n > 1 else np.zeros(1)
        lines.append(line if align else line * (n - 1) / n)
    mesh = np.meshgrid(*lines, indexing="ij")
    return np.stack([*mesh[::-1], np.ones_like(mesh[0])], -1).reshape(-1, len(spatial) + 1).astype(dtype)


@public
def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """`input` (N, C, H, W) read at the places of `grid` (N, h, w, 2), of which (-1, -1) is the first corner and x comes first.

    `mode`: "bilinear", "nearest" or "bicubic"; `padding_mode`, for places outside: "zeros", "border" or "reflection". Also (N, C, D,
    H, W) at (N, d, h, w, 3), without "bicubic".
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            f"nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: '{padding_mode}'"
        )
    if align_corners is None:
        warnings.warn(ALIGN.format("grid_sample and affine_grid"), stacklevel=3)
        align_corners = False
    check_grid(input, grid, mode)
    d = input._data.ndim - 2
    sizes = input._data.shape[2:]
    g: Any = grid
    axes = [axis_taps(reshape(g[..., d - 1 - i], (len(g._data), 1, -1)), n, mode, padding_mode, align_corners) for i, n in enumerate(sizes)]
    flat = reshape(input, (*input._data.shape[:2], math.prod(sizes)))
    channels = input._data.shape[1]
    total: Any = None
    for taps in product(*axes):
        place: Any = 0
        inside: Any = True
        weight = None
        for n, (index, ok, share) in zip(sizes, taps, strict=True):
            place, inside = place * n + index, inside & ok
            weight = share if weight is None or share is None else weight * share
        index = np.broadcast_to(place, (place.shape[0], channels, place.shape[2]))
        part: Any = gather(flat, index.copy(), 2)
        if not inside.all():
            part = elements.where(wrap(as_array(inside)), part, wrap(np.zeros((), part._data.dtype)))
        part = part if weight is None else part * weight
        total = part if total is None else total + part
    return reshape(total, (*input._data.shape[:2], *grid._data.shape[1:-1]))


def check_grid(input: Any, grid: Any, mode: str) -> None:
    require_tensor("grid_sampler", input)
    require_tensor("grid_sampler", grid, "grid", 2)
    one, two = input._data.shape, grid._data.shape
    if one[0] != two[0]:
        raise RuntimeError(
            f"grid_sampler(): expected grid and input to have same batch size, but got input with sizes {list(one)} and grid with sizes "
            f"{list(two)}"
        )
    if two[-1] != len(one) - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {len(one) - 2} in last dimension, but got grid with sizes {list(two)}"
        )
    for i in range(2, len(one)):
        if not one[i]:
            raise RuntimeError(
                f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes {list(one)} with dimension "
                f"{i} being empty"
            )
    if len(one) not in (4, 5) or len(one) != len(two):
        kind = f"expected {'4D' if len(one) == 4 else '5D'} input"
        raise RuntimeError(
            f"grid_sampler(): {kind} and grid with same number of dimensions, but got input with sizes {list(one)} and grid with sizes "
            f"{list(two)}"
        )
    if mode == "bicubic" and len(one) == 5:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    if input._data.dtype != grid._data.dtype:
        raise RuntimeError(f"expected scalar type {legacy(input)} but found {legacy(grid)}")


def axis_taps(x: Any, size: int, mode: str, padding: str, align: bool) -> list[tuple[np.ndarray, np.ndarray, Any]]:
    """What each sample reads along one axis: for each tap its index, whether that is inside, and its weight (None: 1)."""
    x = (x + 1) / 2 * (size - 1) if align else ((x + 1) * size - 1) / 2
    if mode != "bicubic":
        x = moved_inside(x, size, padding, align)
    if mode == "nearest":
        return [tap(np.rint(x._data), size, None)]
    first = np.floor(x._data)
    share = x - wrap(first)
    if mode == "bilinear":
        return [tap(first, size, 1 - share), tap(first + 1, size, share)]
    taps = []
    for k, weight in zip((-1, 0, 1, 2), cubic_shares(share), strict=True):
        taps.append(tap(moved_inside(wrap(first + k), size, padding, align)._data, size, weight))
    return taps


def tap(at: np.ndarray, size: int, weight: Any) -> tuple[np.ndarray, np.ndarray, Any]:
    inside = (at >= 0) & (at <= size - 1)
    return np.where(inside, at, 0).astype(np.int64), inside, weight


def cubic_shares(t: Any) -> list[Any]:
    """The weights of four neighbours, t being the way from the second to the third."""
    a = -0.75
    near = [((a + 2) * x - (a + 3)) * x * x + 1 for x in (t, 1 - t)]
    far = [((a * x - 5 * a) * x + 8 * a) * x - 4 * a for x in (t + 1, 2 - t)]
    return [far[0], near[0], near[1], far[1]]


def moved_inside(x: Any, size: int, padding: str, align: bool) -> Any:
    """Coordinates outside moved to the border, or reflected at it."""
    if padding == "zeros":
        return x
    if padding == "reflection":
        low, span = (0.0, float(size - 1)) if align else (-0.5, float(size))
        if not span:
            x = x * 0
        else:
            x = (x - low).abs()
            turns = np.floor(x._data / span)
            rest = x - wrap((turns * span).astype(x._data.dtype))
            x = elements.where(wrap(turns % 2 == 0), rest, span - rest) + low
    return x.clamp(0, size - 1)


__all__ = ["affine_grid", "grid_sample", "interpolate", "upsample", "upsample_bilinear", "upsample_nearest"]
