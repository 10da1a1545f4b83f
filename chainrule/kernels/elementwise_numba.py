"""Compiled elementwise kernels, where NumPy has no vector instructions for the function: erf, gelu, for float32.

The loops have no branches, so that LLVM makes vector instructions of them. Errors are below 2.5 units in the last place.
"""
# ruff: noqa: ANN001, ANN201

from __future__ import annotations

import numpy as np

from chainrule.kernels.compile_numba import claim, finish, inlined, kernel, wait

PIECE = 1 << 14
SQRT_HALF, INVERSE_SQRT_2PI = np.float32(0.7071067811865476), np.float32(0.3989422804014327)
LOG2E, LN2_HIGH, LN2_LOW = np.float32(1.4426950408889634), np.float32(0.693359375), np.float32(-2.12194440e-4)
ONE, HALF, BOUND, LOWEST = np.float32(1), np.float32(0.5), np.float32(4), np.float32(-87)

# Chebyshev fits: erf(x) / x - 1 in x² up to 1; -log(erfc(x)) in x from 1 to 4; exp(x) around 0
SMALL = tuple(
    map(np.float32, (0.12837910652160645, -0.3761262595653534, 0.11283597350120544, -0.02685432881116867, 0.005189312156289816,
                     -0.0008018855005502701, 7.882497448008507e-05))
)  # fmt: skip
LARGE = tuple(
    map(np.float32, (0.0007569686276838183, 1.125925898551941, 0.6390933394432068, 0.10331898182630539, -0.022621985524892807,
                     0.0034368676133453846, -0.0003175720339640975, 1.330939085164573e-05))
)  # fmt: skip
EXP = tuple(map(np.float32, (1.0, 1.0, 0.5, 1 / 6, 1 / 24, 1 / 120, 1 / 720)))


@inlined
def horner7(c, x):
    return ((((((c[6] * x + c[5]) * x + c[4]) * x + c[3]) * x + c[2]) * x + c[1]) * x) + c[0]


@inlined
def exp_of(x):
    """exp(x) for x from -87 to 87."""
    n = np.floor(x * LOG2E + HALF)
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    return horner7(EXP, r) * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@inlined
def erf_of(x):
    size = abs(x)
    t = min(size, BOUND)
    far = ONE - exp_of(-(horner7(LARGE[1:], t) * t + LARGE[0]))
    near = x + x * horner7(SMALL, x * x)
    far = far if x > 0 else -far
    y = near if size < ONE else far
    return y if x == x else x


@kernel("(f4[::1], f4[::1], i8[::1])")
def erf(x, y, turns):
    """y = erf(x)."""
    n = len(x)
    i = claim(turns, 0)
    while i * PIECE < n:
        for k in range(i * PIECE, min(n, (i + 1) * PIECE)):
            y[k] = erf_of(x[k])
        finish(turns, 0)
        i = claim(turns, 0)
    wait(turns, 0, (n + PIECE - 1) // PIECE)


@kernel("(f4[::1], f4[::1], i8[::1])")
def gelu(x, y, turns):
    """y = x * (1 + erf(x / sqrt(2))) / 2."""
    n = len(x)
    i = claim(turns, 0)
    while i * PIECE < n:
        for k in range(i * PIECE, min(n, (i + 1) * PIECE)):
            v = x[k]
            y[k] = v * HALF * (ONE + erf_of(v * SQRT_HALF))
        finish(turns, 0)
        i = claim(turns, 0)
    wait(turns, 0, (n + PIECE - 1) // PIECE)


@kernel("(f4[::1], f4[::1], i8[::1])")
def gelu_slope(x, y, turns):
    """The derivative of `gelu`."""
    n = len(x)
    i = claim(turns, 0)
    while i * PIECE < n:
        for k in range(i * PIECE, min(n, (i + 1) * PIECE)):
            v = x[k]
            power = -HALF * v * v
            density = exp_of(max(power, LOWEST)) * INVERSE_SQRT_2PI
            y[k] = HALF * (ONE + erf_of(v * SQRT_HALF)) + v * (density if power > LOWEST else power * 0)
        finish(turns, 0)
        i = claim(turns, 0)
    wait(turns, 0, (n + PIECE - 1) // PIECE)
