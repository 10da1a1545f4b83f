"""The public functions of statistics: covariances and histograms."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import return_types
from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor
from chainrule.functions.reduce import finish
from chainrule.ops import pointwise
from chainrule.ops.overrides import public
from chainrule.ops.pointwise_form import operand
from chainrule.ops.shape import reshape
from chainrule.tensor import Tensor, wrap

# Covariances


def check_weights(name: str, weights: Any, count: int, kinds: str, words: str) -> None:
    require_tensor("cov", weights, name)
    if weights._data.ndim > 1:
        raise RuntimeError(f"cov(): expected {name} to have one or fewer dimensions but got {name} with {weights._data.ndim} dimensions")
    if weights._data.dtype.kind not in kinds:
        raise RuntimeError(f"cov(): expected {name} to have {words} dtype but got {name} with {dtypes.LEGACY[weights.dtype]} dtype")
    if weights._data.size != count:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input but got {weights._data.size} != {count}"
        )
    if weights._data.size and weights._data.min() < 0:
        raise RuntimeError(f"cov(): {name} cannot be negative")


@public
def cov(input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None) -> Tensor:
    """The covariance matrix of variables (the rows of `input`) from their observations (the columns).

    `fweights` (integers) repeat observations, `aweights` weigh them; divisors are n - `correction`.

    Example:
        >>> cov(tensor([[0., 1., 2.], [2., 1., 0.]]))
        tensor([[ 1., -1.],
                [-1.,  1.]])
    """
    require_tensor("cov", input)
    if input._data.ndim > 2:
        raise RuntimeError(f"cov(): expected input to have two or fewer dimensions but got an input with {input._data.ndim} dimensions")
    if input._data.dtype.kind == "b":
        raise RuntimeError("cov(): bool dtype is not supported for input")
    rows = input if input._data.ndim == 2 else reshape(input, (1, -1))
    if rows._data.dtype.kind in "iu":
        rows = operand(rows, dtypes.get_default_dtype())
    count = rows._data.shape[1]
    weights = None
    if fweights is not None:
        check_weights("fweights", fweights, count, "iu", "integral")
        weights = fweights
    if aweights is not None:
        check_weights("aweights", aweights, count, "fV", "floating point")
        weights = aweights if weights is None else weights * aweights
    if weights is None:
        average, total = rows.mean(1, keepdim=True), None
        norm: Any = count - correction
    else:
        total = weights.sum()
        if not total._data.item():
            raise RuntimeError("cov(): weights sum to zero, can't be normalized")
        average = (rows * weights).sum(1, keepdim=True) / total
        norm = total - correction if aweights is None or not correction else total - correction * (weights * aweights).sum() / total
    if float(norm) <= 0:
        warnings.warn("cov(): degrees of freedom is <= 0", UserWarning, stacklevel=3)
        norm = 0 if weights is None else norm.clamp(min=0)
    centred = rows - average
    products = centred @ (centred if weights is None else centred * weights).t().conj()
    return (products / norm).squeeze()


@public
def corrcoef(input: Tensor) -> Tensor:
    """The matrix of Pearson's correlation coefficients of variables (rows) from their observations (columns)."""
    require_tensor("corrcoef", input)
    if input._data.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input._data.ndim} dimensions"
        )
    c = cov(input)
    if not c._data.ndim:
        return c / c
    deviation = c.diagonal().real.sqrt()
    c = c / deviation.unsqueeze(-1) / deviation.unsqueeze(0)
    return pointwise.complex(c.real.clip(-1, 1), c.imag.clip(-1, 1)) if c.dtype.is_complex else c.clip(-1, 1)


# Histograms


@public
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0, *, out: Tensor | None = None) -> Tensor:
    """How many elements fall into each of `bins` equal intervals of [min, max] (both 0: of the data's range); others do not count.

    Example:
        >>> histc(tensor([1., 2., 1.]), bins=4, min=0, max=3)
        tensor([0., 2., 1., 0.])
    """
    require_tensor("histc", input)
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"\"histogram_cpu\" not implemented for '{dtypes.LEGACY[input.dtype]}'")
    if bins <= 0:
        raise RuntimeError("bins must be > 0")
    low, high = bounds("histc", input._data, min, max)
    counts = np.histogram(input._data.astype(np.float64), bins, (low, high))[0]
    return finish("histc", wrap(counts.astype(input._data.dtype)), out)


def bounds(name: str, data: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """The range of a histogram: as given, or, if that is empty, the data's own."""
    if low == high:
        low, high = (float(np.min(data)), float(np.max(data))) if data.size else (0.0, 1.0)
    if not np.isfinite([low, high]).all():
        raise RuntimeError(f"torch.{name}: range of [{low:g}, {high:g}] is not finite")
    if low > high:
        raise RuntimeError(f"torch.{name}: max must be larger than min")
    return (low - 1, high + 1) if name == "histc" and low == high else (low - 0.5, high + 0.5) if low == high else (low, high)


def weighed(name: str, input: Tensor, weight: Tensor | None, count: int) -> Any:
    if input._data.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{dtypes.LEGACY[input.dtype]}'")
    if weight is None:
        return None
    if weight._data.dtype != input._data.dtype:
        raise RuntimeError(f"torch.{name}: if weight tensor is provided, input tensor and weight tensor should have the same dtype")
    if weight._data.size != count:
        raise RuntimeError(
            f"torch.{name}: if weight tensor is provided it should have the same shape as the input tensor excluding its innermost "
            "dimension"
        )
    return weight._data.reshape(-1)


@public
def histogram(
    input: Tensor, bins: Any, *, range: Sequence[float] | None = None, weight: Tensor | None = None, density: bool = False, out: Any = None
) -> Any:
    """The named tuple (hist, bin_edges): how many elements, or what `weight`, is in each bin, and the edges of the bins.

    `bins` are a number, of equal width over `range` or the data's own, or a tensor of edges; `density` makes the area 1.
    """
    require_tensor("histogram", input)
    flat = input._data.reshape(-1)
    weights = weighed("histogram", input, weight, flat.size)
    hist, edges = histogramdd_of("histogram", flat[:, None], [bins], range, weights, density)
    return finish("histogram", return_types.histogram(wrap(hist), wrap(edges[0])), out)


@public
def histogramdd(
    input: Tensor, bins: Any, *, range: Sequence[float] | None = None, weight: Tensor | None = None, density: bool = False
) -> Any:
    """The named tuple (hist, bin_edges) of points, the last dimension of `input` their coordinates; `bins` as `histogram`'s, for each."""
    require_tensor("histogramdd", input)
    if input._data.ndim < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    points = input._data.reshape(-1, input._data.shape[-1])
    weights = weighed("histogramdd", input, weight, len(points))
    every = [bins] * points.shape[1] if isinstance(bins, int) else list(bins)
    if len(every) != points.shape[1]:
        raise RuntimeError(
            f"torch.histogramdd: expected {points.shape[1]} sequences of bin edges for a {points.shape[1]}-dimensional histogram but got "
            f"{len(every)}"
        )
    hist, edges = histogramdd_of("histogramdd", points, every, range, weights, density)
    return return_types.histogramdd(wrap(hist), tuple([wrap(e) for e in edges]))


def histogramdd_of(name: str, points: np.ndarray, bins: list, range: Any, weights: Any, density: bool) -> tuple[np.ndarray, list]:
    """Counts and edges; each bin holds its left edge, the last its right one too."""
    edges, dtype = [], points.dtype
    if range is not None and len(range) != 2 * len(bins):
        raise RuntimeError(
            f"torch.{name}: for a {len(bins)}-dimensional histogram range should have {2 * len(bins)} elements, but got {len(range)}"
        )
    for i, b in enumerate(bins):
        if isinstance(b, Tensor):
            if b._data.dtype != dtype:
                raise RuntimeError(f"torch.{name}: input tensor and bins tensors should have the same dtype")
            if b._data.ndim != 1:
                raise RuntimeError(f"torch.{name}: bins tensor should have one dimension, but got {b._data.ndim} dimensions")
            edges.append(b._data)
            continue
        if b <= 0:
            raise RuntimeError(f"torch.{name}: bins must be > 0, but got {b} for dimension {i}")
        low, high = (range[2 * i], range[2 * i + 1]) if range is not None else (0, 0)
        if low > high:
            raise RuntimeError(f"torch.{name}: min should not exceed max, but got min {low:g} max {high:g} for dimension {i}")
        low, high = bounds(name, points[:, i], low, high) if range is None else (low, high) if low < high else (low - 0.5, high + 0.5)
        edges.append(np.linspace(low, high, b + 1, dtype=dtype))
    sizes = [len(e) - 1 for e in edges]
    places, inside = np.zeros(len(points), np.intp), np.ones(len(points), bool)
    for i, e in enumerate(edges):
        x = points[:, i]
        inside &= (x >= e[0]) & (x <= e[-1])
        places = places * sizes[i] + np.clip(np.searchsorted(e, x, "right") - 1, 0, sizes[i] - 1)
    counts = np.bincount(places[inside], None if weights is None else weights[inside], int(np.prod(sizes)))
    hist = counts.astype(dtype).reshape(sizes)
    if density:
        volume = np.ones((), dtype)
        for e in edges:
            volume = volume[..., None] * np.diff(e)
        hist = hist / (hist.sum() * volume)
    return hist, edges


__all__ = ["corrcoef", "cov", "histc", "histogram", "histogramdd"]
METHODS = ["corrcoef", "cov", "histc", "histogram"]
