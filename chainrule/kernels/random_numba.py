"""The compiled twins of `kernels/random.py`: the same streams, the same bits, at the machine's speed.

Every function takes arrays and fills or returns arrays. `mt` is a generator's live state: mt19937's 624 words, then the position
of the next one. Only `kernels/random.py` imports this room, and only when enough has been drawn to pay for loading Numba.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numba.extending import intrinsic

from chainrule.kernels import random_rejection as rejection
from chainrule.kernels.random_exact import COS, EIGHTH, FOUR_OVER_PI, LOG, LOG_HIGH, LOG_LOW, SIN, SQRT_HALF, TWO_PI

kernel = njit(cache=True, nogil=True, error_model="numpy")
u32, u64, i32, f32 = np.uint32, np.uint64, np.int32, np.float32
N, M = 624, 397
ONE, HALF, HALVES = f32(1), f32(0.5), SQRT_HALF.view(i32)
L0, L1, L2, L3, L4, L5, L6, L7, L8 = map(f32, LOG)
(C0, C1, C2), (S0, S1, S2), (E0, E1, E2) = map(f32, COS), map(f32, SIN), EIGHTH


@intrinsic
def fma(context, a, b, c):  # type: ignore[no-untyped-def]
    """a * b + c, rounded once."""
    return a(a, a, a), lambda _, builder, signature, args: builder.fma(*args)


# ---- the words


@njit(inline="always")
def _twisted(far, here, following):  # type: ignore[no-untyped-def]
    mixed = (here & u32(0x80000000)) | (following & u32(0x7FFFFFFF))
    return far ^ (mixed >> u32(1)) ^ ((u32(0) - (following & u32(1))) & u32(0x9908B0DF))


@kernel
def words(mt, out):  # type: ignore[no-untyped-def]
    """Fill `out` (uint32) with the next words."""
    position, i = np.int64(mt[N]), 0
    while i < out.size:
        if position == N:
            for j in range(N - M):
                mt[j] = _twisted(mt[j + M], mt[j], mt[j + 1])
            for j in range(N - M, N - 1):
                mt[j] = _twisted(mt[j + M - N], mt[j], mt[j + 1])
            mt[N - 1] = _twisted(mt[M - 1], mt[N - 1], mt[0])
            position = 0
        count = min(N - position, out.size - i)
        for j in range(count):
            y = mt[position + j]
            y ^= y >> u32(11)
            y ^= (y << u32(7)) & u32(0x9D2C5680)
            y ^= (y << u32(15)) & u32(0xEFC60000)
            out[i + j] = y ^ (y >> u32(18))
        i += count
        position += count
    mt[N] = u32(position)


@kernel
def words64(mt, out):  # type: ignore[no-untyped-def]
    """Fill `out` (uint64) with numbers of two words each, the first the high half."""
    block = np.empty(2 * N, u32)
    for i in range(0, out.size, N):
        part = out[i : i + N]
        words(mt, block[: 2 * part.size])
        for j in range(part.size):
            part[j] = u64(block[2 * j]) << u64(32) | u64(block[2 * j + 1])


@kernel
def bernoulli(mt, out, bound):  # type: ignore[no-untyped-def]
    """Fill `out` (float32) with ones where the low 53 bits of two words are below `bound`, else zeros."""
    block = np.empty(2 * N, u32)
    for i in range(0, out.size, N):
        part = out[i : i + N]
        words(mt, block[: 2 * part.size])
        for j in range(part.size):
            high, low = block[2 * j] & u32(0x1FFFFF), block[2 * j + 1]
            part[j] = ONE if (u64(high) << u64(32) | u64(low)) < bound else f32(0)


@kernel
def unit24(mt, out):  # type: ignore[no-untyped-def]
    """Fill `out` (float32) with uniform numbers in [0, 1) of 24 bits."""
    block = np.empty(N, u32)
    for i in range(0, out.size, N):
        part = out[i : i + N]
        words(mt, block[: part.size])
        for j in range(part.size):
            part[j] = f32(np.int32(block[j] & u32(0xFFFFFF))) * f32(2.0**-24)


@kernel
def unit53(mt, out):  # type: ignore[no-untyped-def]
    """Fill `out` (float64) with uniform numbers in [0, 1) of 53 bits."""
    block = np.empty(2 * N, u32)
    for i in range(0, out.size, N):
        part = out[i : i + N]
        words(mt, block[: 2 * part.size])
        for j in range(part.size):
            high, low = block[2 * j] & u32(0x1FFFFF), block[2 * j + 1]
            part[j] = (np.int64(high) << 32 | np.int64(low)) * 2.0**-53


@kernel
def below(mt, out, count, base):  # type: ignore[no-untyped-def]
    """Fill `out` (int64) with integers in [base, base + count), one word each."""
    block = np.empty(N, u32)
    for i in range(0, out.size, N):
        part = out[i : i + N]
        words(mt, block[: part.size])
        for j in range(part.size):
            quotient = u32(np.float64(block[j]) / np.float64(count))  # exact below 2**28, and a vector instruction
            part[j] = np.int64(block[j] - u32(quotient * u32(count))) + base


# ---- normals


@njit(inline="always")
def _log(x):  # type: ignore[no-untyped-def]
    bits = f32(x).view(i32)
    exponent = i32(bits - HALVES) >> i32(23)
    x = i32(bits - (exponent << 23)).view(f32) - ONE
    e, z = f32(exponent), x * x
    y = fma(fma(fma(fma(L0, x, L1), x, L2), x, L3), x, L4)
    y = x * fma(fma(fma(fma(y, x, L5), x, L6), x, L7), x, L8)
    return x + (fma(y, z, e * LOG_LOW) - z * HALF) + e * LOG_HIGH


@njit(inline="always")
def _sincos(angle):  # type: ignore[no-untyped-def]
    octant = i32(i32(angle * FOUR_OVER_PI) + i32(1)) & i32(-2)
    turns = f32(octant)
    x = fma(turns, E2, fma(turns, E1, fma(turns, E0, angle)))
    z = x * x
    cosine = fma(z, z * fma(fma(C0, z, C1), z, C2), -(z * HALF)) + ONE
    sine = fma(x, z * fma(fma(S0, z, S1), z, S2), x)
    if octant & 2:
        sine, cosine = cosine, -sine
    return (-sine, -cosine) if octant & 4 else (sine, cosine)


@kernel
def box_muller32(values, mean, std):  # type: ignore[no-untyped-def]
    """Turn each 16 of `values` (float32, uniform) into normals, in place."""
    pairs = values.reshape(-1, 2, 8)
    first, second = np.empty(512, f32), np.empty(512, f32)  # contiguous, so that the middle loop becomes vector instructions
    for start in range(0, len(pairs), 64):
        part = pairs[start : start + 64]
        for i in range(8 * len(part)):
            first[i], second[i] = part[i >> 3, 0, i & 7], part[i >> 3, 1, i & 7]
        for i in range(8 * len(part)):
            radius = np.sqrt(f32(-2) * _log(ONE - first[i]))
            sine, cosine = _sincos(TWO_PI * second[i])
            first[i] = fma(radius * cosine, std, mean)
            second[i] = fma(radius * sine, std, mean)
        for i in range(8 * len(part)):
            part[i >> 3, 0, i & 7], part[i >> 3, 1, i & 7] = first[i], second[i]


@kernel
def box_muller64(values, mean, std):  # type: ignore[no-untyped-def]
    """Turn each 16 of `values` (float64, uniform) into normals, in place."""
    for start in range(0, values.size, 16):
        for i in range(start, start + 8):
            radius, angle = math.sqrt(-2.0 * math.log(1.0 - values[i])), 2.0 * math.pi * values[i + 8]
            values[i] = fma(radius * math.cos(angle), std, mean)
            values[i + 8] = fma(radius * math.sin(angle), std, mean)


@kernel
def normals(mt, out):  # type: ignore[no-untyped-def]
    """Fill `out` (float64, an even number) with standard normals, pair by pair."""
    unit53(mt, out)
    for i in range(0, out.size, 2):
        radius, angle = math.sqrt(-2.0 * math.log1p(-out[i + 1])), 2.0 * math.pi * out[i]
        out[i], out[i + 1] = radius * math.cos(angle), radius * math.sin(angle)


@kernel
def fma_array(x, a, b):  # type: ignore[no-untyped-def]
    """x * a + b for an array x and numbers of its type, each element rounded once."""
    out = np.empty_like(x)
    for i in range(x.size):
        out[i] = fma(x[i], a, b)
    return out


# ---- the C library's functions: the last bit of NumPy's own may differ


def _mapped(function):  # type: ignore[no-untyped-def]
    @kernel
    def mapped(x):  # type: ignore[no-untyped-def]
        out = np.empty_like(x)
        for i in range(x.size):
            out[i] = function(x[i])
        return out

    return mapped


LIBM = {f.__name__: _mapped(f) for f in (math.log, math.log1p, math.exp, math.sin, math.cos, math.tan)}


# ---- permutations


@kernel
def shuffle(mt, out):  # type: ignore[no-untyped-def]
    """Shuffle `out` from the front: element i changes places with one of those from i on."""
    block, n = np.empty(N, u32), out.size
    for start in range(0, n - 1, N):
        part = block[: min(N, n - 1 - start)]
        words(mt, part)
        for k in range(part.size):
            i = start + k
            j = i + np.int64(part[k]) % (n - i)
            out[i], out[j] = out[j], out[i]


@kernel
def shuffle_inside_out(mt, out):  # type: ignore[no-untyped-def]
    """Fill `out` with a permutation of its indices, each index i placed at random among the first i + 1."""
    block, n = np.empty(N, u64), out.size
    for start in range(0, n, N):
        part = block[: min(N, n - start)]
        words64(mt, part)
        for k in range(part.size):
            i = start + k
            j = np.int64(part[k] % u64(i + 1))
            out[i] = out[j]
            out[j] = i


# ---- rejection

SAMPLERS = {f.__name__: kernel(f) for f in (rejection.sample_poisson, rejection.sample_binomial, rejection.sample_gamma)}
