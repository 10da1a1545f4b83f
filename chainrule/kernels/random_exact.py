"""PyTorch's arithmetic for random numbers, to the last bit: fused sums, the C library's functions, the blocks of normals.

Much of what PyTorch computes here is fused (a * b + c rounded once), so it is here: in float32 by way of float64, in float64 by
error-free sums. Everything has two carriers that give the same bits: NumPy, in this room, and the compiled twins of
`random_numba`, which are loaded once what they would have saved has paid for loading them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

F32, F64, I32 = np.float32, np.float64, np.int32
BLOCK = 8192  # numbers to a block, so that all of a block's arrays stay in the cache
LOADING = 1.5e8  # what loading the compiled twins costs, in nanoseconds; a tenth where Numba is there already

_twins: Any = None
_missed = 0.0


def compiled(saving: float) -> Any:
    """The compiled twins, or None while all the `saving` (nanoseconds) missed without them is less than loading them costs."""
    global _twins, _missed
    if _twins is None:
        _missed += saving
        if _missed < (LOADING / 10 if "chainrule.kernels.compile_numba" in sys.modules else LOADING):
            return None
        from chainrule.kernels import random_numba

        _twins = random_numba
    return _twins


def blocks(n: int) -> Iterator[slice]:
    """range(n) in slices of BLOCK."""
    return (slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))


# ---- the C library's functions: the last bit of NumPy's own may differ


def libm(name: str, x: np.ndarray) -> np.ndarray:
    """log, log1p, exp, sin, cos or tan of a float64 array, as the C library gives it."""
    if fast := compiled(70 * x.size):
        return fast.LIBM[name](x.ravel()).reshape(x.shape)
    return np.fromiter(map(_LIBM[name], x.ravel().tolist()), F64, x.size).reshape(x.shape)


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _log(x: float) -> float:
    return math.log(x) if x else -math.inf


_LIBM = {"exp": _exp, "log": _log, "log1p": math.log1p, "sin": math.sin, "cos": math.cos, "tan": math.tan}


# ---- fused sums


def fma(x: np.ndarray, a: float, b: float) -> np.ndarray:
    """x * a + b, rounded once, for a float32 or float64 array and two numbers of its type."""
    if a == 1 or b == 0:  # then the plain sum rounds once
        return x * a + b
    if fast := compiled(20 * x.size):
        return fast.fma_array(x.ravel(), x.dtype.type(a), x.dtype.type(b)).reshape(x.shape)
    return (_fma32 if x.dtype == F32 else _fma64)(x, float(a), float(b))


def _fma32(x: np.ndarray, a: float, b: float) -> np.ndarray:
    product = x.astype(F64)
    product *= a
    total = product + b
    # Rounding twice goes wrong only where the first result falls half way between two float32: there the error of the sum decides.
    tied = np.flatnonzero(total.view(np.int64) & 0x1FFFFFFF == 0x10000000)
    if tied.size:
        total.flat[tied] = _towards(total.flat[tied], _two_sum(product.flat[tied], b)[1])
    return total.astype(F32)


def _fma64(x: np.ndarray, a: float, b: float) -> np.ndarray:
    high, low = _two_product(x, a)
    inner, rest = _two_sum(low, b)
    high, middle = _two_sum(high, inner)
    tail, error = _two_sum(rest, middle)
    # Rounding the tail to odd keeps what the last rounding has to know (Boldo and Melquiond, 2008).
    return high + np.where(tail.view(np.int64) & 1, tail, _towards(tail, error))


def _towards(x: np.ndarray, error: np.ndarray) -> np.ndarray:
    return np.where(error == 0, x, np.nextafter(x, np.copysign(np.inf, error)))


def _two_sum(a: np.ndarray, b: Any) -> tuple[np.ndarray, np.ndarray]:
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _two_product(x: np.ndarray, a: float) -> tuple[np.ndarray, np.ndarray]:
    product = x * a
    (x_high, x_low), (a_high, a_low) = _halves(x), _halves(a)
    return product, x_low * a_low - (((product - x_high * a_high) - x_low * a_high) - x_high * a_low)


def _halves(x: Any) -> tuple[Any, Any]:
    scaled = x * 134217729.0
    high = scaled - (scaled - x)
    return high, x - high


# ---- normals in blocks of 16: 8 radii, 8 angles

# The float32 logarithm, sine and cosine are those of the Cephes library, with fused sums.
SQRT_HALF, FOUR_OVER_PI, TWO_PI = F32(0.5**0.5), F32(4 / math.pi), F32(2 * math.pi)
LOG = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
LOG, COS, SIN = (tuple(float(F32(c)) for c in row) for row in (LOG, COS, SIN))
LOG_LOW, LOG_HIGH = F32(-2.12194440e-4), F32(0.693359375)  # log(2) in two parts
EIGHTH = tuple(map(F32, (-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)))  # of a turn, negative, in three parts


def box_muller32(values: np.ndarray, mean: float, std: float) -> None:
    """Turn uniform numbers (float32, 16 a block) into normals, in place."""
    mean, std = F32(mean), F32(std)
    if fast := compiled(20 * values.size + 60_000):
        return fast.box_muller32(values, mean, std)
    for part in blocks(values.size):
        pairs = values[part].reshape(-1, 2, 8)
        radius = np.sqrt(_log32(1 - pairs[:, 0]) * F32(-2))
        sine, cosine = _sincos32(TWO_PI * pairs[:, 1])
        pairs[:, 0], pairs[:, 1] = fma(radius * cosine, std, mean), fma(radius * sine, std, mean)
    return None


def box_muller64(values: np.ndarray, mean: float, std: float) -> None:
    """Turn uniform numbers (float64, 16 a block) into normals, in place."""
    if fast := compiled(150 * values.size):
        return fast.box_muller64(values, mean, std)
    pairs = values.reshape(-1, 2, 8)
    radius = np.sqrt(-2 * libm("log", 1 - pairs[:, 0]))
    angle = 2 * math.pi * pairs[:, 1]
    pairs[:, 0], pairs[:, 1] = fma(radius * libm("cos", angle), std, mean), fma(radius * libm("sin", angle), std, mean)
    return None


def _log32(x: np.ndarray) -> np.ndarray:
    bits = x.view(I32)
    exponent = bits - SQRT_HALF.view(I32)
    exponent >>= 23
    x = (bits - (exponent << 23)).view(F32)  # the significand, in [sqrt(1/2), sqrt(2))
    x -= 1
    e, z = exponent.astype(F32), x * x
    y = _fused(x * _horner(LOG, x.astype(F64)), z, e * LOG_LOW)
    y -= z * F32(0.5)
    x += y
    x += e * LOG_HIGH
    return x


def _sincos32(angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    octant = (angle * FOUR_OVER_PI).astype(I32)
    octant += 1
    octant &= -2
    turns = octant.astype(F32)
    x = _fused(turns, EIGHTH[2], angle + turns * EIGHTH[0] + turns * EIGHTH[1])
    z = x * x
    wide = z.astype(F64)
    cosine = _fused(z * _horner(COS, wide), wide, z * F32(-0.5))
    cosine += 1
    sine = _fused(z * _horner(SIN, wide), x, x)
    # Where the octant says so the two change places (by their bits) and signs.
    s, c = sine.view(I32), cosine.view(I32)
    swapped = (s ^ c) & (octant << 30 >> 31)
    s ^= swapped ^ (octant & 4) << 29
    c ^= swapped ^ (octant + 2 & 4) << 29
    return sine, cosine


# Rounding to float64 and then to float32 is not rounding once; over all 2**24 logarithms and angles that blocks are made from
# it comes to the same.


def _fused(a: np.ndarray, b: Any, c: np.ndarray) -> np.ndarray:
    total = a.astype(F64)
    total *= b
    total += c
    return total.astype(F32)


def _horner(coefficients: Sequence[float], x: np.ndarray) -> np.ndarray:
    narrow = np.empty(x.shape, F32)
    y = x * coefficients[0]
    y += coefficients[1]
    for c in coefficients[2:]:
        narrow[...] = y
        y[...] = narrow
        y *= x
        y += c
    narrow[...] = y
    return narrow
