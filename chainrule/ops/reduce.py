"""Reductions: sums, products, extrema, moments and norms. `dim` is a tuple of non-negative dimensions, None for all.

Sums and what is made of them are accumulated in float32 at least, as PyTorch does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule._core.silence import restore, silence
from chainrule.kernels import reductions
from chainrule.ops.pointwise import abs as modulus, isnan, real_part, sgn, where
from chainrule.ops.primitive import conjugate as conj, general, linear
from chainrule.ops.shape import cast, expand, reshape, spread

_add, _multiply, _max, _min = np.add.reduce, np.multiply.reduce, np.maximum.reduce, np.minimum.reduce
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
FEW = 1 << 10  # elements whose squares can be added one after another
HALVES = frozenset((dtypes.float16.numpy, dtypes.bfloat16.numpy))


def total(a: Any, dim: Any, keepdim: bool) -> Any:
    """np.sum in a's own type."""
    if a.itemsize == 2 and a.dtype in HALVES:
        return _add(a, dim, F32, None, keepdim).astype(a.dtype)
    y = reductions.sums(a, dim, keepdim)
    return _add(a, dim, a.dtype, None, keepdim) if y is None else y


def widened(a: Any) -> Any:
    """a, in float32 if it is of a half precision type."""
    return a.astype(F32) if a.itemsize == 2 and a.dtype in HALVES else a


# Sums


@linear(a=lambda g, a_shape, dim, keepdim: spread(g, a_shape, dim, keepdim), node="SumBackward1")
def sum(a: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Sum over `dim` (None: all) in a's type."""
    return total(a, dim, keepdim)


@linear(a=lambda g, a_shape: expand(g, a_shape), node="SumBackward0")
def sum_all(a: Any) -> Any:
    """Sum of all elements in a's type."""
    return total(a, None, False)


def average(a: Any, dim: Any, keepdim: bool) -> Any:
    count = extent(a.shape, dim)
    if a.itemsize == 2:
        return (_add(a, dim, F32, None, keepdim) / F32.type(count)).astype(a.dtype)
    y = reductions.sums(a, dim, keepdim)
    if y is None:
        y = _add(a, dim, None, None, keepdim)
    if count:
        return y / a.dtype.type(count)
    with np.errstate(invalid="ignore"):
        return y / a.dtype.type(0)


@linear(a=lambda g, a_shape, dim, keepdim: spread(g / (extent(a_shape, dim) or 1), a_shape, dim, keepdim), node="MeanBackward1")
def mean(a: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The average over `dim`."""
    return average(a, dim, keepdim)


@linear(a=lambda g, a_shape: expand(g / (extent(a_shape, None) or 1), a_shape), node="MeanBackward0")
def mean_all(a: Any) -> Any:
    """The average of all elements."""
    return average(a, None, False)


@general(a=lambda g, a, dim, keepdim: where(isnan(a), 0, spread(g, a.shape, dim, keepdim)))
def nansum(a: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Sum over `dim` of what is not NaN."""
    return total(np.where(np.isnan(a), a.dtype.type(0), a), dim, keepdim)


# Products


@general(a=lambda g, a, y, dim, keepdim: prod_cotangent(g, a, y, dim, keepdim), node="ProdBackward1")
def prod(a: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The product over `dim` (one dimension; None: all)."""
    y = reductions.product(a, dim, keepdim)
    return _multiply(widened(a), dim, None, None, keepdim).astype(a.dtype) if y is None else y


@general(a=lambda g, a, y: prod_cotangent(g, a, y, None, False), node="ProdBackward0")
def prod_all(a: Any) -> Any:
    """The product of all elements."""
    return prod.kernel(a)


def prod_cotangent(g: Any, a: Any, y: Any, dim: Any, keepdim: bool) -> Any:
    """y / a, or, where zeros forbid that, the products of all elements but one."""
    g = keep(g, a, dim, keepdim)
    if np.all(getattr(a, "_data", a)):
        return g * conj(keep(y, a, dim, keepdim) / a)
    if dim is None:
        return g * conj(reshape(products_of_others(reshape(a, (extent(a.shape, None),)), 0), a.shape))
    return g * conj(products_of_others(a, dim[0]) if dim else a * 0 + 1)


@general(a=lambda g, a, dim: others_cotangent(g, a, dim))
def products_of_others(a: Any, dim: int) -> Any:
    """For each element the product of the others along `dim`, zeros or not."""
    lead = (slice(None),) * dim
    before, after = np.ones_like(a), np.ones_like(a)
    np.multiply.accumulate(a[(*lead, slice(-1))], dim, out=before[(*lead, slice(1, None))])
    np.multiply.accumulate(a[(*lead, slice(None, 0, -1))], dim, out=after[(*lead, slice(-2, None, -1))])
    return before * after


def others_cotangent(g: Any, a: Any, dim: int) -> Any:
    """Through the square of all pairs, in which each element is replaced by 1 once."""
    n, lead = a.shape[dim], a.shape[: dim + 1]
    itself = np.eye(n, dtype=bool).reshape((n, n) + (1,) * (len(a.shape) - dim - 1))
    square = where(itself, 1, reshape(a, (*lead[:dim], 1, *a.shape[dim:])))
    parts = reshape(g, (*lead, 1, *a.shape[dim + 1 :])) * conj(products_of_others(square, dim + 1))
    return sum(where(itself, 0, parts), (dim,), False)


# Extrema: ties share the gradient evenly


@general(a=lambda g, a, y, dim, keepdim: split(g, a, y, dim, keepdim))
def amax(a: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest over `dim`; ties share the gradient evenly."""
    y = reductions.extremum(a, dim, keepdim, 1)
    return _max(a, dim, None, None, keepdim) if y is None else y


@general(a=lambda g, a, y, dim, keepdim: split(g, a, y, dim, keepdim))
def amin(a: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest over `dim`; ties share the gradient evenly."""
    y = reductions.extremum(a, dim, keepdim, -1)
    return _min(a, dim, None, None, keepdim) if y is None else y


def _of_all(name: str, node: str, kernel: Any) -> Any:
    return general(a=lambda g, a, y: share(g, a, y, None, False), name=name, node=node)(lambda a: kernel(a, None))


max_all, min_all = _of_all("max", "MaxBackward1", _max), _of_all("min", "MinBackward1", _min)


@general(
    vjp=lambda g, a, low, high, dim, keepdim: (split(g[0], a, low, dim, keepdim) + split(g[1], a, high, dim, keepdim),),
    outputs=("low", "high"),
)
def aminmax(a: Any, dim: Any, keepdim: bool) -> Any:
    """The smallest and the largest over `dim`."""
    return _min(a, dim, None, None, keepdim), _max(a, dim, None, None, keepdim)


def share(g: Any, a: Any, y: Any, dim: Any, keepdim: bool) -> Any:
    """Split g evenly among the elements that equal the extremum y; NaN equals NaN."""
    y = keep(y, a, dim, keepdim)
    same = (a == y) | (isnan(a) & isnan(y))
    return where(same, keep(g, a, dim, keepdim) / number_of(same, y, dim), 0)


def number_of(same: Any, like: Any, dim: Any) -> Any:
    """How many of some bools are True, in like's type."""
    return sum(cast(same, dtypes.BY_NUMPY[getattr(like, "_data", like).dtype]), dim, True)


def split(g: Any, a: Any, y: Any, dim: Any, keepdim: bool) -> Any:
    """Split g evenly among the elements that equal the extremum y; NaN all of them if that is NaN, as PyTorch has it."""
    found = reductions.unextremum(g, a, y, dim) if a.__class__ is np.ndarray and a.size >= reductions.WORTH else None
    if found is not None:
        return found
    y, g = keep(y, a, dim, keepdim), keep(g, a, dim, keepdim)
    same = a == y
    return where(same, g, g * 0) / number_of(same, y, dim)


# Moments


def unfreedom(shape: tuple, dim: Any, correction: float) -> float:
    """What 2 / (n - correction) is for `n` elements in each group."""
    freedom = extent(shape, dim) - correction
    return 2 / freedom if freedom else float("inf")


def variance(a: Any, dim: Any, correction: float, keepdim: bool) -> Any:
    if dim is None and a.__class__ is np.ndarray and correction < a.size <= FEW and (a.dtype is F32 or a.dtype is F64):
        d = a.reshape(-1)
        d = d - _add(d) / a.dtype.type(a.size)
        y = np.vecdot(d, d) / a.dtype.type(a.size - correction)
        return y.reshape((1,) * a.ndim) if keepdim else y
    a = widened(a)
    m = average(a, dim, True)
    if dim is None and not keepdim and a.dtype.kind != "c":
        y = reductions.squares(a, m.reshape(()))
    else:
        d = a - m
        y = total(d * d if d.dtype.kind != "c" else d.real * d.real + d.imag * d.imag, dim, keepdim)
    freedom = extent(a.shape, dim) - correction
    if freedom > 0:
        return y / y.dtype.type(freedom)
    with np.errstate(all="ignore"):
        return y / y.dtype.type(0)


def real_type(a: Any) -> Any:
    return a.real.dtype if a.dtype.kind == "c" else a.dtype


def var_cotangent(g: Any, a: Any, dim: Any, correction: float, keepdim: bool) -> Any:
    return keep(g, a, dim, keepdim) * unfreedom(a.shape, dim, correction) * (a - mean(a, dim, True))


def std_cotangent(g: Any, a: Any, y: Any, dim: Any, correction: float, keepdim: bool) -> Any:
    return var_cotangent(where(y == 0, 0, g / (2 * y)), a, dim, correction, keepdim)


@general(a=lambda g, a, dim, correction, keepdim: var_cotangent(g, a, dim, correction, keepdim))
def var(a: Any, dim: Any, correction: float, keepdim: bool) -> Any:
    """The mean squared distance from the average, the sum divided by n - correction."""
    y = variance(a, dim, correction, keepdim)
    return y if y.dtype is a.dtype else y.astype(real_type(a))


@general(a=lambda g, a, y, dim, correction, keepdim: std_cotangent(g, a, y, dim, correction, keepdim))
def std(a: Any, dim: Any, correction: float, keepdim: bool) -> Any:
    """The square root of `var`."""
    y = np.sqrt(variance(a, dim, correction, keepdim))
    return y if y.dtype is a.dtype else y.astype(real_type(a))


@general(
    vjp=lambda g, a, dim, correction, keepdim: (
        var_cotangent(g[0], a, dim, correction, keepdim) + mean.rules["a"](g[1], a.shape, dim, keepdim),
    ), outputs=("y", "m"),
)  # fmt: skip
def var_mean(a: Any, dim: Any, correction: float, keepdim: bool) -> Any:
    """The variance and the mean."""
    return var.kernel(a, dim, correction, keepdim), average(a, dim, keepdim)


@general(
    vjp=lambda g, a, y, dim, correction, keepdim: (
        std_cotangent(g[0], a, y, dim, correction, keepdim) + mean.rules["a"](g[1], a.shape, dim, keepdim),
    ), outputs=("y", "m"),
)  # fmt: skip
def std_mean(a: Any, dim: Any, correction: float, keepdim: bool) -> Any:
    """The standard deviation and the mean."""
    return std.kernel(a, dim, correction, keepdim), average(a, dim, keepdim)


# Norms


@general(
    a=lambda g, a, y, p, dim, keepdim: norm_cotangent(keep(g, a, dim, keepdim), a, keep(y, a, dim, keepdim), p, dim),
    jvp=lambda t, a, y, p, dim, keepdim: sum(
        real_part(conj(norm_cotangent(1, a, keep(y, a, dim, keepdim), p, dim)) * t), dim, keepdim
    ),
    node="LinalgVectorNormBackward0",
)  # fmt: skip
def vector_norm(a: Any, p: float, dim: Any, keepdim: bool) -> Any:
    """(sum |a| ** p) ** (1 / p) over `dim`; p may be 0 (how many are not 0) and infinite (the largest, the smallest)."""
    dtype, a = real_type(a), widened(a)
    token = silence()
    try:
        if p == 2 and dim is None and not keepdim and a.dtype.kind != "c":
            return np.sqrt(reductions.squares(a)).astype(dtype)
        if p == 2:
            squares = a * a if a.dtype.kind != "c" else a.real * a.real + a.imag * a.imag
            return np.sqrt(_add(squares, dim, None, None, keepdim)).astype(dtype)
        size = np.abs(a)
        if p == 0:
            return _add(size != 0, dim, dtype, None, keepdim)
        if p in (float("inf"), float("-inf")):
            return (_max if p > 0 else _min)(size, dim, None, None, keepdim).astype(dtype)
        powers = size if p == 1 else size ** size.dtype.type(p)
        y = _add(powers, dim, None, None, keepdim)
        return (y if p == 1 else y ** y.dtype.type(1 / p)).astype(dtype)
    finally:
        restore(token)


def norm_cotangent(g: Any, a: Any, y: Any, p: float, dim: Any) -> Any:
    """g and y have the reduced dimensions. At a norm of 0 the gradient is 0, a subgradient."""
    if p == 0:
        return g * where(True, 0, a)
    if p == 1:
        return g * sgn(a)
    if p == 2:
        return g * where(y == 0, 0, a / y)
    if p in (float("inf"), float("-inf")):
        largest = where(modulus(a) == y, 1, y * 0)
        return sgn(a) * (largest / sum(largest, dim, True) * g)
    if p < 1:
        return where(a == 0, 0, sgn(a) * modulus(a) ** (p - 1)) * (g * y ** (1 - p))
    scale = where(y == 0, 0, g / y ** (p - 1))
    return (sgn(a) * modulus(a) ** (p - 1) if p < 2 else a * modulus(a) ** (p - 2)) * scale


@general(a=lambda g, a, b, y, p: dist_cotangent(g, a, b, y, p, 1), b=lambda g, a, b, y, p: dist_cotangent(g, a, b, y, p, -1))
def dist(a: Any, b: Any, p: float) -> Any:
    """The norm of a - b."""
    return vector_norm.kernel(a - b, p, None, False)


def dist_cotangent(g: Any, a: Any, b: Any, y: Any, p: float, sign: int) -> Any:
    return sum_to(norm_cotangent(g * sign, a - b, y, p, None), (a if sign > 0 else b).shape)


RENORM_EPS = 1e-7


@general(a=lambda g, a, p, dim, maxnorm: renorm_cotangent(g, a, p, dim, maxnorm))
def renorm(a: Any, p: float, dim: tuple, maxnorm: float) -> Any:
    """a, scaled where its norm over `dim` exceeds maxnorm."""
    y = vector_norm.kernel(a, p, dim, True)
    one = y.dtype.type
    return a * np.where(y > maxnorm, one(maxnorm) / (y + one(RENORM_EPS)), one(1))


def renorm_cotangent(g: Any, a: Any, p: float, dim: tuple, maxnorm: float) -> Any:
    y = vector_norm(a, p, dim, True)
    scale = where(y > maxnorm, maxnorm / (y + RENORM_EPS), 1)
    slope = where(y > maxnorm, -maxnorm / ((y + RENORM_EPS) * (y + RENORM_EPS)), 0)
    return g * scale + norm_cotangent(real_part(sum(g * conj(a), dim, True)) * slope, a, y, p, dim)


# Shapes


def keep(y: Any, a: Any, dim: Any, keepdim: bool) -> Any:
    """The result y of a reduction of a, its reduced dimensions there as 1."""
    if keepdim:
        return y
    return reshape(y, tuple([1 if dim is None or i in dim else n for i, n in enumerate(a.shape)]))


def extent(shape: tuple, dim: Any) -> int:
    """How many elements each result stands for."""
    count = 1
    for n in shape if dim is None else [shape[d] for d in dim]:
        count *= n
    return count


def sum_to(g: Any, shape: tuple) -> Any:
    """Sum a cotangent over the dimensions along which a value of `shape` was broadcast."""
    lead = g.ndim - len(shape)
    dims = tuple([i for i in range(g.ndim) if i < lead or (shape[i - lead] == 1 and g.shape[i] != 1)])
    g = sum(g, dims, False) if dims else g
    return g if g.shape == shape else reshape(g, shape)
