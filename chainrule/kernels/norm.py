"""Normalisation of arrays of float32 or float64, and back: subtract the mean, divide by the standard deviation, scale and shift.

An array is seen as a `Plan` says. Three layouts have their own ways: "rows", where every row of a matrix has a mean of its own
and the weight one element a column (layer norm); "columns", where every column has both (batch norm of a matrix); "channels",
where a row, all of one sample's elements of one channel, shares its mean with other rows and has one element of the weight
(batch, instance and group norm). Means and deviations have the view's shape, 1 where they are shared.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from chainrule.kernels import small
from chainrule.kernels.compiled import get_num_threads, loose, share
from chainrule.kernels.memory import keep_freed
from chainrule.kernels.rows import F32, SHARED, WORTH, block, compiled, ones, run, sums
from chainrule.kernels.threads import in_blocks

_add, _dot, _vecdot = np.add.reduce, np.dot, np.vecdot
Array = np.ndarray
Maybe = np.ndarray | None
PARTS = 16  # in which compiled kernels sum over rows
LONG = 1 << 14  # elements to a long piece of memory
FEW = 4  # channels a thread, at least, that are worth being computed each by itself


class Plan(NamedTuple):
    """How an array is seen to be normalised."""

    view: tuple  # its shape
    dims: tuple  # the dimensions of the view that share a mean
    columns: tuple  # the shape in which the weight broadcasts with the view
    affine: tuple  # the weight's own shape
    count: int  # how many elements share a mean


@lru_cache(256)
def by_row(shape: tuple, last: tuple) -> Plan:
    """Each mean over the last dimensions, of sizes `last`."""
    d = prod(last)
    n = prod(shape[: len(shape) - len(last)])
    return Plan((n, d), (1,), (1, d), last, d)


def by_channel(shape: tuple) -> Plan:
    """Each mean over all dimensions but the second."""
    n, c, length = shape[0], shape[1], prod(shape[2:])
    if length == 1:
        return Plan((n, c), (0,), (1, c), (c,), n)
    return Plan((n, c, length), (0, 2), (1, c, 1), (c,), n * length)


def by_group(shape: tuple, groups: int) -> Plan:
    """Each mean over a sample's elements of shape[1] / groups channels."""
    k, length = shape[1] // groups, prod(shape[2:])
    return Plan((shape[0], groups, k, length), (2, 3), (1, groups, k, 1), (shape[1],), k * length)


def inverse_root(variance: Array, eps: float) -> Array:
    """1 / sqrt(variance + eps)."""
    y = variance + eps
    np.sqrt(y, y)
    return np.reciprocal(y, y)


# Forward; the results have the view's shape


def forward(a: Array, weight: Maybe, bias: Maybe, plan: Plan, eps: float) -> tuple[Array, Array, Maybe, Array]:
    """The array normalised, and the means, variances (None for a few rows) and inverse deviations that it had."""
    x = a if a.shape == plan.view else a.reshape(plan.view)
    if len(plan.view) > 2:
        return channels_forward(x, weight, bias, plan, eps)
    if plan.dims[0]:
        return rows_forward(x, weight, bias, eps)
    n = plan.count
    mean = _add(x, 0, None, None, True)
    mean /= n
    y = x - mean
    variance = np.einsum("ij,ij->j", y, y)[None]
    variance /= n
    rstd = inverse_root(variance, eps)
    y *= rstd if weight is None else rstd * weight
    if bias is not None:
        y += bias
    return y, mean, variance, rstd


def is_small(x: Array, *others: Array) -> bool:
    """Whether `kernels.small` takes these: float32, contiguous and few."""
    return x.size < WORTH and all([v.dtype is F32 and v.flags.c_contiguous for v in (x, *others)])


def flat(v: Maybe) -> Maybe:
    """A weight as a vector."""
    return v if v is None or v.ndim == 1 else v.reshape(-1)


def rows_forward(x: Array, weight: Maybe, bias: Maybe, eps: float, into: tuple | None = None) -> tuple[Array, Array, Maybe, Array]:
    n, d = x.shape
    weight, bias = flat(weight), flat(bias)
    if weight is not None and bias is not None and is_small(x, weight, bias):
        y, mean, rstd = np.empty_like(x), np.empty((n, 1), F32), np.empty((n, 1), F32)
        small.normalize(x, weight, bias, eps, y, mean, rstd)
        return y, mean, None, rstd
    if x.size >= WORTH and into is None:
        y, columns = np.empty_like(x), np.empty((3, n, 1), x.dtype)
        if compiled(x):
            run("normalize", x, full(weight, d, 1), full(bias, d, 0), np.float32(eps), y, columns.reshape(3, n))
            return y, *columns
        into = y, *columns
        in_blocks(lambda s: rows_forward(x[s], weight, bias, eps, tuple([v[s] for v in into])), n, d, block(d))  # type: ignore[union-attr]
        return y, *columns
    mean = sums(x)[:, None]
    mean /= d
    y = np.subtract(x, mean, into and into[0])
    variance = _vecdot(y, y)[:, None]
    variance /= d
    rstd = inverse_root(variance, eps)
    y *= rstd
    if weight is not None:
        y *= weight
    if bias is not None:
        y += bias
    if into is not None:
        into[1][...], into[2][...], into[3][...] = mean, variance, rstd
    return y, mean, variance, rstd


def full(v: Maybe, d: int, value: float) -> Array:
    """v as a contiguous vector, or one of equal float32."""
    return np.full(d, value, np.float32) if v is None else np.ascontiguousarray(v)


def along(v: Array, plan: Plan) -> Array:
    """What rows share, a column with an element for each row of "channels"."""
    each = np.empty(plan.view[:-1], v.dtype)
    each[...] = v[..., 0]
    return each.reshape(-1, 1)


def shared(v: Array, plan: Plan) -> Array:
    """The sum of a value of each row over the rows that share a mean."""
    n, k = plan.view[0], plan.view[-2]
    if plan.dims[0]:
        return _dot(v.reshape(-1, k), ones(k, v.dtype)).reshape(*plan.view[:2], 1, 1)
    return _dot(ones(n, v.dtype), v.reshape(n, k)).reshape(plan.columns)


def by_whole_channels(x: Array, plan: Plan) -> bool:
    """Whether `norm_numba` does it: a mean for each channel, of which every thread gets several."""
    return compiled(x) and plan.dims[0] == 0 and plan.view[1] >= FEW * get_num_threads()


def at_once(plan: Plan) -> int:
    """Channels side by side that are a long piece of memory, but some such for each thread."""
    return max(1, min(LONG // plan.view[-1], plan.view[1] // (FEW * get_num_threads() or 1)))


def channels_forward(x: Array, weight: Maybe, bias: Maybe, plan: Plan, eps: float) -> tuple[Array, Array, Array, Array]:
    if by_whole_channels(x, plan):
        from chainrule.kernels import norm_numba

        c = plan.view[1]
        y, moments = np.empty_like(x), np.empty((3, c), x.dtype)
        keep_freed()
        given = x, full(weight, c, 1), full(bias, c, 0), F32.type(eps)
        share(norm_numba.batch_norm, *given, loose(y), moments, at_once(plan), alone=x.size < SHARED)
        return y, *moments.reshape(3, *plan.columns)
    if x.size >= WORTH:
        return large_channels_forward(x.reshape(-1, plan.view[-1]), weight, bias, plan, eps)
    mean = shared(sums(x.reshape(-1, plan.view[-1])), plan)
    mean /= plan.count
    y = x - mean
    variance = shared(_vecdot(y, y), plan)
    variance /= plan.count
    rstd = inverse_root(variance, eps)
    y *= rstd if weight is None else rstd * weight.reshape(plan.columns)
    if bias is not None:
        y += bias.reshape(plan.columns)
    return y, mean, variance, rstd


def large_channels_forward(matrix: Array, weight: Maybe, bias: Maybe, plan: Plan, eps: float) -> tuple[Array, Array, Array, Array]:
    """The same in two passes over the memory: the moments of each row, joined to those of its channel, and the rest."""
    length = plan.view[-1]
    averages, squares = row_moments(matrix)
    mean = shared(averages, plan)
    mean *= length / plan.count
    averages -= along(mean, plan)[:, 0]
    variance = shared(squares + averages * averages * length, plan)
    variance /= plan.count
    rstd = inverse_root(variance, eps)
    scale = rstd if weight is None else rstd * weight.reshape(plan.columns)
    return affine(matrix, scale, shifted(mean, scale, bias, plan), plan), mean, variance, rstd


def row_moments(x: Array) -> Any:
    """The mean of each row, and the sum of squares of what is left without it."""
    if compiled(x):
        out = np.empty((2, len(x)), x.dtype)
        run("moments", x, out)
        return out

    def compute(s: slice) -> tuple[Array, Array]:
        average = sums(x[s])
        average /= x.shape[1]
        centered = x[s] - average[:, None]
        return average, _vecdot(centered, centered)

    return [np.concatenate(v) for v in zip(*in_blocks(compute, len(x), x.shape[1], block(x.shape[1])), strict=True)]


def row_totals(g: Array, x: Array, center: Array) -> Any:
    """The sum of g, and of g * (x - center), over each row."""
    if compiled(x):
        out = np.empty((2, len(x)), x.dtype)
        run("totals", g, x, center.reshape(-1), out)
        return out

    def compute(s: slice) -> tuple[Array, Array]:
        return sums(g[s]), _vecdot(g[s], x[s] - center[s])

    return [np.concatenate(v) for v in zip(*in_blocks(compute, len(x), x.shape[1], block(x.shape[1])), strict=True)]


def shifted(mean: Array, scale: Array, bias: Maybe, plan: Plan) -> Array:
    """What to add to the scaled array."""
    shift = -mean * scale
    if bias is not None:
        shift += bias.reshape(plan.columns)
    return shift


def affine(matrix: Array, scale: Array, shift: Array, plan: Plan) -> Array:
    """matrix * scale + shift."""
    y = np.empty_like(matrix)
    scale, shift = along(scale, plan), along(shift, plan)
    if compiled(matrix):
        run("affine", matrix, scale.reshape(-1), shift.reshape(-1), y)
        return y.reshape(plan.view)

    def compute(s: slice) -> None:
        np.multiply(matrix[s], scale[s], y[s])
        y[s] += shift[s]

    in_blocks(compute, len(matrix), matrix.shape[1], block(matrix.shape[1]))
    return y.reshape(plan.view)


def fixed(a: Array, weight: Maybe, bias: Maybe, mean: Array, rstd: Array, plan: Plan) -> Array:
    """(a - mean) * rstd * weight + bias for a given mean and deviation, in the shape of `plan.columns`."""
    scale = rstd if weight is None else rstd * weight.reshape(plan.columns)
    shift = shifted(mean, scale, bias, plan)
    if a.size >= WORTH and len(plan.view) > 2:
        return affine(a.reshape(-1, plan.view[-1]), scale, shift, plan)
    y = a.reshape(plan.view) * scale
    y += shift
    return y


# Back: the cotangents of the array (in the view's shape), the weight and the bias, those that are needed


def backward(g: Array, a: Array, weight: Maybe, mean: Array, rstd: Array, plan: Plan, needs: tuple) -> tuple[Maybe, Maybe, Maybe]:
    """The cotangents, given that of the result."""
    g, x = g.reshape(plan.view), a.reshape(plan.view)
    if len(plan.view) > 2:
        return channels_backward(g, x, weight, mean, rstd, plan, needs)
    if plan.dims[0]:
        return rows_backward(g, x, weight, mean, rstd, needs)
    n = plan.count
    standard = x - mean
    standard *= rstd
    total, product = _add(g, 0, None, None, True), np.einsum("ij,ij->j", g, standard)
    to_a = None
    if needs[0]:
        to_a = standard
        to_a *= product / -n
        to_a += g
        to_a -= total / n
        to_a *= rstd if weight is None else rstd * weight
    return to_a, product if needs[1] else None, total[0] if needs[2] else None


def rows_backward(
    g: Array, x: Array, weight: Maybe, mean: Array, rstd: Array, needs: tuple, to_a: Maybe = None
) -> tuple[Maybe, Maybe, Maybe]:
    n, d = x.shape
    if weight is not None and is_small(x, g, weight, mean, rstd):
        to_a, rows = np.empty_like(x), np.empty((2, d), F32)
        small.unnormalize(g, x, flat(weight), mean, rstd, to_a, rows)
        return to_a if needs[0] else None, rows[0] if needs[1] else None, rows[1] if needs[2] else None
    if x.size >= WORTH and to_a is None:
        to_a = np.empty_like(x)
        if compiled(x):
            parts = np.zeros((2, min(n, PARTS), d), x.dtype)
            run("unnormalize", np.ascontiguousarray(g), x, mean.reshape(-1), rstd.reshape(-1), full(weight, d, 1), to_a, *parts)
            to_weight, to_bias = np.add.reduce(parts, 1)
            return to_a, to_weight if needs[1] else None, to_bias if needs[2] else None
        vector = flat(weight)
        sections = in_blocks(
            lambda s: rows_backward(g[s], x[s], vector, mean[s], rstd[s], needs, to_a[s])[1:],  # type: ignore[index]
            n, d, block(d),
        )  # fmt: skip
        columns = [None if not needed else np.add.reduce(v) for needed, v in zip(needs[1:], zip(*sections, strict=True), strict=True)]
        return to_a if needs[0] else None, columns[0], columns[1]
    standard = x - mean
    standard *= rstd
    to_weight = np.einsum("ij,ij->j", g, standard) if needs[1] else None
    to_bias = _dot(ones(n, g.dtype), g) if needs[2] and g.size <= 1 << 13 else _add(g, 0) if needs[2] else None
    if not needs[0]:
        return None, to_weight, to_bias
    if weight is None:
        scaled = g
        standard *= (_vecdot(g, standard) / -d)[:, None]
    else:
        scaled = np.multiply(g, weight.reshape(-1), to_a)
        standard *= (_vecdot(scaled, standard) / -d)[:, None]
    standard += scaled
    standard -= (sums(np.ascontiguousarray(scaled)) / d)[:, None]
    return np.multiply(standard, rstd, standard if to_a is None else to_a), to_weight, to_bias


def channels_backward(
    g: Array, x: Array, weight: Maybe, mean: Array, rstd: Array, plan: Plan, needs: tuple
) -> tuple[Maybe, Maybe, Maybe]:
    """The sums of g and of g times the centered array, row by row, give all but the last step."""
    if by_whole_channels(x, plan):
        from chainrule.kernels import norm_numba

        c = plan.view[1]
        to_x, sums_of = np.empty(x.shape if needs[0] else (0, 0, 0), x.dtype), np.empty((2, c), x.dtype)
        given = np.ascontiguousarray(g), x, full(weight, c, 1), mean.reshape(c), rstd.reshape(c)
        share(norm_numba.batch_norm_back, *given, loose(to_x), sums_of, at_once(plan), alone=x.size < SHARED)
        return to_x if needs[0] else None, sums_of[0] if needs[1] else None, sums_of[1] if needs[2] else None
    length, lead = plan.view[-1], (*plan.view[:-1], 1)
    matrix, cotangents = x.reshape(-1, length), np.ascontiguousarray(g).reshape(-1, length)
    large = x.size >= WORTH
    if large:
        totals, moments = row_totals(cotangents, matrix, along(mean, plan))
    else:
        centered = x - mean
        totals, moments = sums(cotangents), _vecdot(g, centered)
    totals, moments = totals.reshape(lead), moments.reshape(lead) * rstd
    to_weight = over_samples(moments, plan) if needs[1] else None
    to_bias = over_samples(totals, plan) if needs[2] else None
    if not needs[0]:
        return None, to_weight, to_bias
    scale: Any = rstd
    if weight is not None:
        columns = weight.reshape(plan.columns)
        scale, totals, moments = rstd * columns, totals * columns, moments * columns
    # scale * g - rstd * mean(g * weight) - rstd * x * mean(g * weight * x), x being standardized
    part = rstd / -plan.count
    shift = shared(totals, plan)
    shift *= part
    part *= rstd
    slope = shared(moments, plan)
    slope *= part
    if not large:
        centered *= slope
        centered += g * scale
        centered += shift
        return centered, to_weight, to_bias
    shift -= mean * slope
    scale, slope, shift = along(scale, plan), along(slope, plan), along(shift, plan)
    to_a = np.empty_like(matrix)
    if compiled(matrix):
        run("combine", matrix, slope.reshape(-1), cotangents, scale.reshape(-1), shift.reshape(-1), to_a)
        return to_a.reshape(plan.view), to_weight, to_bias

    def compute(s: slice) -> None:
        np.multiply(matrix[s], slope[s], to_a[s])
        to_a[s] += cotangents[s] * scale[s]
        to_a[s] += shift[s]

    in_blocks(compute, len(matrix), length, block(length))
    return to_a.reshape(plan.view), to_weight, to_bias


def over_samples(v: Array, plan: Plan) -> Array:
    """The sum over the first dimension of a value of each row, by channel."""
    n = plan.view[0]
    return _dot(ones(n, v.dtype), v.reshape(n, *plan.affine))


__all__ = ["Plan", "backward", "by_channel", "by_group", "by_row", "fixed", "forward"]
