"""Small arrays of float32 in two tiers: NumPy at first, and after many calls a compiled twin.

A function of NumPy's takes half a microsecond however few its elements are; a compiled kernel takes that for ten of them in a row.
But Numba takes longer to import than thousands of calls save. So a kernel here counts its calls, and becomes its namesake in
`small_numba` once they have cost about what the change does. Both compute in float64 what depends on an order and round once, so
that they give the same numbers: nobody can tell when it happens. Call them as `small.name(...)`, for it is the name that changes.

Arrays are contiguous, and results are written to the last arguments. Matrices have a row for each thing that is normalised.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache, wraps
from itertools import count
from math import isnan
from typing import Any

import numpy as np

LOADED, UNLOADED = 2_000, 50_000  # calls after which a compiled twin is worth loading, with Numba there and without
LEAST, MOST = 1e-15, 1e15  # sums of exponentials of which softmax loses nothing
LOG_LEAST, LOG_MOST = -7.0, 9.0  # logarithms of sums of which float32 keeps the last bits of a log-probability
RANKS = 4  # dimensions that arrays of "any" rank may have
F32, F64, U64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.uint64)
Array = np.ndarray
PLAIN: dict[str, Callable] = {}  # the first tier
_dot, _vecdot = np.dot, np.vecdot


def tiered(plain: Callable) -> Any:
    """A kernel that becomes the function of its name in `small_numba` when it has been called often."""
    calls = count(1).__next__
    PLAIN[plain.__name__] = plain

    @wraps(plain)
    def kernel(*args: Any) -> Any:
        n = calls()
        if n >= LOADED and (n >= UNLOADED or "numba" in sys.modules):
            promote(plain.__name__)
        return plain(*args)

    return kernel


def promote(name: str) -> None:
    """Put the compiled twin in the place of a kernel."""
    from chainrule.kernels import small_numba

    globals()[name] = small_numba.ready(name)


@lru_cache(256)
def ones(n: int) -> Array:
    return np.ones(n)


def row_sums(a: Array) -> Array:
    return _dot(a, ones(a.shape[1]))


@tiered
def normalize(x: Array, weight: Array, bias: Array, eps: float, y: Array, mean: Array, rstd: Array) -> None:
    """y: the rows less their means, times the inverse deviations (these are columns, (n, 1)), times weight plus bias."""
    d = x.shape[1]
    z = x.astype(F64)
    total = row_sums(z)
    total /= d
    mean[:, 0] = total
    z -= total[:, None]
    total = _vecdot(z, z)
    total /= d
    total += eps
    np.sqrt(total, total)
    np.reciprocal(total, total)
    rstd[:, 0] = total
    z *= total[:, None]
    z *= weight
    z += bias
    y[...] = z


@tiered
def unnormalize(g: Array, x: Array, weight: Array, mean: Array, rstd: Array, to_x: Array, rows: Array) -> None:
    """The cotangents of `normalize`'s x, and as rows (2, d) of its weight and bias; mean and rstd are columns (n, 1)."""
    n, d = x.shape
    z, h = x.astype(F64), g.astype(F64)
    z -= mean
    z *= rstd
    rows[0], rows[1] = _vecdot(h, z, axis=0), _dot(ones(n), h)
    h *= weight
    slope, shift = _vecdot(h, z), row_sums(h)
    slope /= -d
    shift /= -d
    z *= slope[:, None]
    z += h
    z += shift[:, None]
    z *= rstd
    to_x[...] = z


@tiered
def scale_exponentials(y: Array) -> bool:
    """Divide each row of exponentials by its sum; False, and y is spoiled, if a sum shows that they are too large or small."""
    total = row_sums(y.astype(F64))
    if not between(total, LEAST, MOST):
        return False
    y /= total.astype(F32)[:, None]
    return True


@tiered
def subtract_logs(a: Array, y: Array) -> bool:
    """y, the exponentials of a, becomes a less the logarithms of its rows' sums; False if these are too large or small for that."""
    logs = np.log(row_sums(y.astype(F64)))
    if not between(logs, LOG_LEAST, LOG_MOST):
        return False
    np.subtract(a, logs.astype(F32)[:, None], y)
    return True


@tiered
def unsoftmax(g: Array, y: Array, to_a: Array) -> None:
    """The cotangent of softmax's input, given that of its result y: y * (g - sum(g * y))."""
    total = _vecdot(g.astype(F64), y)
    np.subtract(g, total.astype(F32)[:, None], to_a)
    to_a *= y


@tiered
def unlog_softmax(g: Array, to_a: Array) -> None:
    """The cotangent of log_softmax's input, given that of its result; `to_a` comes with the exponentials of that."""
    to_a *= row_sums(g.astype(F64)).astype(F32)[:, None]
    np.subtract(g, to_a, to_a)


def between(a: Array, low: float, high: float) -> bool:
    """Whether all numbers are; not if there is a NaN."""
    if a.size > 64:
        return bool(np.minimum.reduce(a) > low and np.maximum.reduce(a) < high)
    numbers = a.tolist()
    return low < min(numbers) and max(numbers) < high and not isnan(sum(numbers))


@tiered
def mean_loss(logs: Array, classes: Array) -> float:
    """Minus the mean of each row's element at its number in `classes`."""
    n, d = logs.shape
    return -logs.take(classes + starts(n, d)).sum(None, F64).item() / n


@lru_cache(256)
def starts(n: int, d: int) -> Array:
    """Where the rows of an (n, d) matrix begin."""
    return np.arange(0, n * d, d)


# By index arrays: `places` are indices along a dimension with that `step` between its elements, `others` where an index of 0 points to


@tiered
def inside(places: Array, n: int) -> bool:
    """Whether all indices are in [0, n)."""
    unsigned = places.view(U64)  # in which negative numbers are large: one pass for both bounds
    return unsigned.item(unsigned.argmax()) < n


@tiered
def add_at(places: Array, others: Array, step: int, source: Array, y: Array) -> None:
    """y[others + step * places] += source, y being seen as flat; the places are known to be inside."""
    np.add.at(y.reshape(-1), (others + step * places).reshape(-1), source.reshape(-1))


@tiered
def add_rows(places: Array, source: Array, y: Array) -> None:
    """y[places[i]] += source[i], the places being known to be inside."""
    d = y.shape[1]
    np.add.at(y.reshape(-1), ((places * d)[:, None] + starts(d, 1)).reshape(-1), source.reshape(-1))


@tiered
def take_at(a: Array, places: Array, others: Array, step: int, y: Array) -> None:
    """y = a[others + step * places], a being seen as flat; the places are known to be inside."""
    a.take((places if step == 1 else places * step) + others, None, y)


@tiered
def largest(a: Array, values: Array, index: Array) -> None:
    """The largest elements of each row of a, as many as `values` (n, k) has room for, in order, and where they were.

    NaN counts as larger than any number; of equal ones the first comes first.
    """
    n, k = a.shape[1], values.shape[1]
    index[...] = n - 1 - a[:, ::-1].argsort(1, "stable")[:, : -k - 1 : -1]
    values[...] = np.take_along_axis(a, index, 1)
