"""Compiled elementwise kernels, where NumPy has no vector instructions for the function or many passes to make, for float32.

The loops have no branches, so that LLVM makes vector instructions of them. Errors are below 2.5 units in the last place.
"""

from __future__ import annotations

import numpy as np

from chainrule.kernels.compile_numba import finish, inlined, kernel, wait
from chainrule.kernels.handover_numba import invite, take

PIECE = 1 << 14
SQRT_HALF, INVERSE_SQRT_2PI = np.float32(0.7071067811865476), np.float32(0.3989422804014327)
LOG2E, LN2_HIGH, LN2_LOW = np.float32(1.4426950408889634), np.float32(0.693359375), np.float32(-2.12194440e-4)
ZERO, ONE, HALF, BOUND, LOWEST, HIGHEST, INFINITE, TWO, TWENTY = map(np.float32, (0, 1, 0.5, 4, -87, 88.3, np.inf, 2, 20))

# Chebyshev fits: erf(x) / x - 1 in x² up to 1; -log(erfc(x)) in x from 1 to 4; exp(x) around 0; log(1 + x) / x up to 1
SMALL = tuple(
    map(np.float32, (0.12837910652160645, -0.3761262595653534, 0.11283597350120544, -0.02685432881116867, 0.005189312156289816,
                     -0.0008018855005502701, 7.882497448008507e-05))
)  # fmt: skip
LARGE = tuple(
    map(np.float32, (0.0007569686276838183, 1.125925898551941, 0.6390933394432068, 0.10331898182630539, -0.022621985524892807,
                     0.0034368676133453846, -0.0003175720339640975, 1.330939085164573e-05))
)  # fmt: skip
LOG1P = tuple(
    map(np.float32, (1.0, -0.4999990463256836, 0.33330005407333374, -0.24954558908939362, 0.19678117334842682, -0.15311862528324127,
                     0.10614264756441116, -0.057064201682806015, 0.019907161593437195, -0.003256378462538123))
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


@inlined
def bounded_exp(x):
    """exp(x) for any x."""
    e = exp_of(min(max(x, LOWEST), HIGHEST))
    e = INFINITE if x > HIGHEST else e
    e = ZERO if x < LOWEST else e
    return e if x == x else x


@inlined
def sigmoid_of(x):
    return ONE / (ONE + bounded_exp(-x))


@inlined
def gelu_slope_of(x):
    power = -HALF * x * x
    density = exp_of(max(power, LOWEST)) * INVERSE_SQRT_2PI
    return HALF * (ONE + erf_of(x * SQRT_HALF)) + x * (density if power > LOWEST else power * 0)


@inlined
def silu_slope_of(x):
    s = sigmoid_of(x)
    return s * (ONE + x * (ONE - s))


@inlined
def softplus_of(x):
    """log(1 + exp(x))."""
    e = bounded_exp(-abs(x))
    return max(x, ZERO) + e * (horner7(LOG1P[:7], e) + e * e * e * e * e * e * e * (LOG1P[7] + e * (LOG1P[8] + e * LOG1P[9])))


# Each is a loop of its own, for LLVM to see what is in it.


@kernel("(i8, f4[::1], f4[::1], f8, f8, i8[::1])")
def apply(which, x, y, low, high, turns):
    """y = f(x), f being the formula of that number in FORMULAS; bounds are not NaN."""
    helping = invite(turns)
    n, low, high = len(x), np.float32(low), np.float32(high)
    pieces = (n + PIECE - 1) // PIECE
    i = take(turns, helping, pieces)
    while i * PIECE < n:
        a, b = x[i * PIECE : (i + 1) * PIECE], y[i * PIECE : (i + 1) * PIECE]
        if which == 0:
            for k in range(len(a)):
                b[k] = erf_of(a[k])
        elif which == 1:
            for k in range(len(a)):
                b[k] = a[k] * HALF * (ONE + erf_of(a[k] * SQRT_HALF))
        elif which == 2:
            for k in range(len(a)):
                b[k] = gelu_slope_of(a[k])
        elif which == 3:
            for k in range(len(a)):
                b[k] = sigmoid_of(a[k])
        elif which == 4:
            for k in range(len(a)):
                b[k] = a[k] * sigmoid_of(a[k])
        elif which == 5:
            for k in range(len(a)):
                b[k] = silu_slope_of(a[k])
        elif which == 6:
            for k in range(len(a)):
                b[k] = softplus_of(a[k])
        elif which == 7:
            for k in range(len(a)):
                b[k] = ZERO if a[k] < ZERO else a[k]
        elif which == 8:
            for k in range(len(a)):
                b[k] = ONE / np.sqrt(a[k])
        elif which == 10:
            for k in range(len(a)):
                b[k] = np.sqrt(a[k])
        elif which == 11:
            for k in range(len(a)):
                b[k] = a[k] * low
        else:
            for k in range(len(a)):
                v = low if a[k] < low else a[k]
                b[k] = high if v > high else v
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


FORMULAS = {
    "erf": 0, "gelu": 1, "gelu_slope": 2, "sigmoid": 3, "silu": 4, "silu_slope": 5, "softplus": 6, "relu": 7, "rsqrt": 8, "clip": 9,
    "sqrt": 10, "scale": 11,
}  # fmt: skip


@kernel("(i8, f4[::1], f4[::1], f4[::1], f4[::1], f8, i8[::1])")
def combine(which, x, y, z, out, p, turns):
    """out = f(x, y, z, p), f being the formula of that number in PAIRS; in the rules x is the cotangent."""
    helping = invite(turns)
    n, p = len(x), np.float32(p)
    pieces = (n + PIECE - 1) // PIECE
    i = take(turns, helping, pieces)
    while i * PIECE < n:
        start, stop = i * PIECE, (i + 1) * PIECE
        a, b, c, d = x[start:stop], y[start:stop], z[start:stop], out[start:stop]
        if which == 0:
            for k in range(len(a)):
                d[k] = a[k] + p * (b[k] - a[k])
        elif which == 1:
            for k in range(len(a)):
                d[k] = b[k] - (b[k] - a[k]) * p
        elif which == 2:
            for k in range(len(a)):
                d[k] = a[k] + p * b[k] * c[k]
        elif which == 3:
            for k in range(len(a)):
                d[k] = a[k] * ((ONE - b[k]) * b[k])
        elif which == 4:
            for k in range(len(a)):
                d[k] = ZERO if b[k] <= ZERO else a[k]
        elif which == 5:
            for k in range(len(a)):
                d[k] = a[k] * (ONE - b[k] * b[k])
        elif which == 6:
            for k in range(len(a)):
                s = ONE if b[k] > ZERO else ZERO
                d[k] = a[k] * (-ONE if b[k] < ZERO else s)
        elif which == 7:
            for k in range(len(a)):
                d[k] = a[k] / (b[k] + b[k])
        elif which == 8:
            for k in range(len(a)):
                d[k] = a[k] * (-HALF * (b[k] * b[k] * b[k]))
        elif which == 9:
            for k in range(len(a)):
                s = a[k] * sigmoid_of(b[k])
                d[k] = a[k] if b[k] > TWENTY else s
        elif which == 10:
            for k in range(len(a)):
                d[k] = a[k] * gelu_slope_of(b[k])
        elif which == 12:
            for k in range(len(a)):
                d[k] = p * (TWO * (a[k] - b[k]))
        elif which == 13:
            for k in range(len(a)):
                d[k] = p * (TWO * (b[k] - a[k]))
        elif which == 14:
            for k in range(len(a)):
                d[k] = a[k] + b[k]
        elif which == 15:
            for k in range(len(a)):
                d[k] = a[k] - b[k]
        elif which == 16:
            for k in range(len(a)):
                d[k] = a[k] * b[k]
        elif which == 17:
            for k in range(len(a)):
                d[k] = a[k] / b[k]
        elif which == 18:
            for k in range(len(a)):
                d[k] = a[k] if (a[k] > b[k]) | (a[k] != a[k]) else b[k]
        elif which == 19:
            for k in range(len(a)):
                d[k] = a[k] if (a[k] < b[k]) | (a[k] != a[k]) else b[k]
        else:
            for k in range(len(a)):
                d[k] = a[k] * silu_slope_of(b[k])
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[::1], f4[::1], f4[::1], f8, f8, i8[::1])")
def within(g, x, out, low, high, turns):
    """out = g where x lies between the bounds (or is NaN), else 0."""
    helping = invite(turns)
    n, low, high = len(x), np.float32(low), np.float32(high)
    pieces = (n + PIECE - 1) // PIECE
    i = take(turns, helping, pieces)
    while i * PIECE < n:
        start, stop = i * PIECE, (i + 1) * PIECE
        a, b, d = g[start:stop], x[start:stop], out[start:stop]
        for k in range(len(a)):
            d[k] = ZERO if (b[k] <= low) | (b[k] >= high) else a[k]
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


# For each formula its number, how many arrays it takes, and what must follow them (None: any one number)
PAIRS: dict[str, tuple[int, int, tuple | None]] = {
    "lerp": (0, 2, None), "lerp from the end": (1, 2, None), "addcmul": (2, 3, None), "sigmoid rule": (3, 2, ()), "relu rule": (4, 2, ()),
    "tanh rule": (5, 2, ()), "abs rule": (6, 2, ()), "sqrt rule": (7, 2, ()), "rsqrt rule": (8, 2, ()),
    "softplus rule": (9, 2, (1, 20)), "gelu rule": (10, 2, ()), "silu rule": (11, 2, ()), "mse rule": (12, 2, None),
    "mse rule of b": (13, 2, None), "add": (14, 2, ()), "subtract": (15, 2, ()), "multiply": (16, 2, ()), "divide": (17, 2, ()),
    "maximum": (18, 2, ()), "minimum": (19, 2, ()),
}  # fmt: skip
