"""Compiled twins of `kernels.recurrent` for float32: all steps of a layer in one call.

A step is done in parts of a few hidden units, each the products for their gates and the arithmetic on these while they are in the
cache; the threads share the parts, and a step begins when all parts of the one before are done. Products are so small that BLAS takes
the weights as they lie. `order` numbers the steps as they come. Gradients hold that of the output on entry to a part, `gh`.
"""

from __future__ import annotations

import numpy as np

from chainrule.kernels.compile_numba import finish, gemm, inlined, inner, kernel, wait
from chainrule.kernels.elementwise_numba import bounded_exp, sigmoid_of
from chainrule.kernels.handover_numba import invite, take

F32 = np.float32
ONE, TWO, NEAR, ZERO = F32(1), F32(2), F32(0.7), F32(0)
ODD = tuple(  # a Chebyshev fit of (tanh(x) / x - 1) / x² in x² up to NEAR
    map(F32, (-0.3333333134651184, 0.1333325207233429, -0.05394856631755829, 0.02169165015220642, -0.008118710480630398,
              0.0020648499485105276))
)  # fmt: skip
DEEP, EAGER, LAZY = 256, 1 << 18, 1 << 19  # terms to a sum, and multiplications to a product, that BLAS does best at a time


@inlined
def tanh_of(x):
    """tanh(x): a polynomial near 0, else from the exponential."""
    u = x * x
    near = x + x * u * (((((ODD[5] * u + ODD[4]) * u + ODD[3]) * u + ODD[2]) * u + ODD[1]) * u + ODD[0])
    far = ONE - TWO / (ONE + bounded_exp(TWO * x))
    return near if abs(x) < NEAR else far


@inner
def onto(rows, n, k, a, at_a, w, c, at_c, step):
    """c (rows, n) = a (rows, k) @ w (n, k).T; rows of c are `step` apart."""
    wide = max(16, EAGER // (min(k, DEEP) * rows) // 16 * 16)
    for d in range(0, k, DEEP):
        for j in range(0, n, wide):
            gemm(False, True, rows, min(wide, n - j), min(DEEP, k - d), a, at_a + d, k, w, j * k + d, k, d > 0, c, at_c + j, step)


@inner
def back(rows, n, k, a, at_a, w, c, at_c, add):
    """c (rows, n) = or += a (rows, k) @ w (k, n)."""
    wide = max(16, LAZY // (min(k, DEEP) * rows) // 16 * 16)
    for d in range(0, k, DEEP):
        for j in range(0, n, wide):
            gemm(
                False, False, rows, min(wide, n - j), min(DEEP, k - d), a, at_a + d, k, w, d * n + j, n, add or d > 0, c, at_c + j, n
            )  # fmt: skip


# Short loops with few arrays each, for LLVM to make vector instructions of them


@inner
def squash(a, x):
    """a = sigmoid(a + x)."""
    for j in range(len(a)):
        a[j] = sigmoid_of(a[j] + x[j])


@inner
def bend(a, x):
    """a = tanh(a + x)."""
    for j in range(len(a)):
        a[j] = tanh_of(a[j] + x[j])


@inner
def rectify(a, x):
    """a = relu(a + x)."""
    for j in range(len(a)):
        v = a[j] + x[j]
        a[j] = ZERO if v < ZERO else v


@inner
def tanh_into(x, y):
    for j in range(len(x)):
        y[j] = tanh_of(x[j])


@inner
def plus(a, b):
    """a += b."""
    for j in range(len(a)):
        a[j] += b[j]


@inner
def times(a, b):
    """a *= b."""
    for j in range(len(a)):
        a[j] *= b[j]


@inner
def times_into(a, b, y):
    for j in range(len(a)):
        y[j] = a[j] * b[j]


@inner
def mixed(f, c, i, g, y):
    """y = f * c + i * g."""
    for j in range(len(y)):
        y[j] = f[j] * c[j] + i[j] * g[j]


@inner
def gated(o, c, y):
    """y = o * tanh(c)."""
    for j in range(len(y)):
        y[j] = o[j] * tanh_of(c[j])


@inner
def through_cell(dc, dh, o, bent):
    """dc += dh * o * (1 - bent * bent)."""
    for j in range(len(dc)):
        dc[j] += dh[j] * o[j] * (ONE - bent[j] * bent[j])


@inner
def through_sigmoid(g, other, s, y):
    """y = g * other * s * (1 - s)."""
    for j in range(len(y)):
        y[j] = g[j] * other[j] * s[j] * (ONE - s[j])


@inner
def through_own(y, s):
    """y *= s * (1 - s)."""
    for j in range(len(y)):
        y[j] *= s[j] * (ONE - s[j])


@inner
def through_tanh(g, other, t, y):
    """y = g * other * (1 - t * t)."""
    for j in range(len(y)):
        y[j] = g[j] * other[j] * (ONE - t[j] * t[j])


@inner
def through_new(dh, z, n, y):
    """y = dh * (1 - z) * (1 - n * n)."""
    for j in range(len(y)):
        y[j] = dh[j] * (ONE - z[j]) * (ONE - n[j] * n[j])


@inner
def less_times(h, n, g, y):
    """y = (h - n) * g."""
    for j in range(len(y)):
        y[j] = (h[j] - n[j]) * g[j]


@inner
def rectified_back(dh, y, d):
    """d = dh where y is positive."""
    for j in range(len(d)):
        d[j] = dh[j] if y[j] > ZERO else ZERO


@kernel("(f4[:, :, ::1], f4[:, ::1], f4[:, ::1], f4[:, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], i8[::1], i8, i8[::1])")
def lstm(x, h, c, w, hidden, cells, gates, order, tall, turns):
    """Fills hidden, cells and gates, all of them (steps, batch, ...)."""
    helping = invite(turns)
    batch, k = h.shape
    pieces = (batch + tall - 1) // tall
    i = take(turns, helping, pieces)
    while i < pieces:
        first, last = i * tall, min(batch, (i + 1) * tall)
        for step in range(len(order)):
            t, before = order[step], order[max(0, step - 1)]
            if step:
                onto(last - first, 4 * k, k, hidden, (before * batch + first) * k, w, gates, (t * batch + first) * 4 * k, 4 * k)
            else:
                onto(last - first, 4 * k, k, h, first * k, w, gates, (t * batch + first) * 4 * k, 4 * k)
            for b in range(first, last):
                a, v, cell = gates[t, b], x[t, b], cells[t, b]
                squash(a[: 2 * k], v[: 2 * k])
                bend(a[2 * k : 3 * k], v[2 * k : 3 * k])
                squash(a[3 * k :], v[3 * k :])
                mixed(a[k : 2 * k], cells[before, b] if step else c[b], a[:k], a[2 * k : 3 * k], cell)
                gated(a[3 * k :], cell, hidden[t, b])
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel(
    "(f4[:, :, ::1], f4[:, :, ::1], f4[:, ::1], f4[:, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[:, ::1], f4[:, ::1], i8[::1], "
    "i8, i8[::1])"
)
def lstm_back(gh, gc, c, w, cells, gates, dx, dh, dc, order, tall, turns):
    """Fills dx, dh and dc (zero before); gh and gc, where not empty, are the gradients of all hidden and cell states."""
    helping = invite(turns)
    batch, k = dh.shape
    y = np.empty(k, np.float32)
    pieces = (batch + tall - 1) // tall
    i = take(turns, helping, pieces)
    while i < pieces:
        first, last = i * tall, min(batch, (i + 1) * tall)
        for step in range(len(order) - 1, -1, -1):
            t, before = order[step], order[max(0, step - 1)]
            for b in range(first, last):
                a, d, e, s = gates[t, b], dh[b], dc[b], dx[t, b]
                one, two, three, four = a[:k], a[k : 2 * k], a[2 * k : 3 * k], a[3 * k :]
                if len(gh):
                    plus(d, gh[t, b])
                if len(gc):
                    plus(e, gc[t, b])
                tanh_into(cells[t, b], y)
                through_sigmoid(d, y, four, s[3 * k :])
                through_cell(e, d, four, y)
                through_sigmoid(e, three, one, s[:k])
                through_sigmoid(e, cells[before, b] if step else c[b], two, s[k : 2 * k])
                through_tanh(e, one, three, s[2 * k : 3 * k])
                times(e, two)
            back(last - first, k, 4 * k, dx, (t * batch + first) * 4 * k, w, dh, first * k, False)
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[:, :, ::1], f4[:, ::1], f4[:, ::1], f4[::1], f4[:, :, ::1], f4[:, :, ::1], i8[::1], i8, i8[::1])")
def gru(x, h, w, bias, hidden, gates, order, tall, turns):
    """Fills hidden, and gates with r, z, n and the state's part of n."""
    helping = invite(turns)
    batch, k = h.shape
    product = np.empty((tall, 3 * k), np.float32)
    pieces = (batch + tall - 1) // tall
    i = take(turns, helping, pieces)
    while i < pieces:
        first, last = i * tall, min(batch, (i + 1) * tall)
        for step in range(len(order)):
            t, before = order[step], order[max(0, step - 1)]
            if step:
                onto(last - first, 3 * k, k, hidden, (before * batch + first) * k, w, product, 0, 3 * k)
            else:
                onto(last - first, 3 * k, k, h, first * k, w, product, 0, 3 * k)
            for b in range(first, last):
                a, v, s, y = gates[t, b], x[t, b], product[b - first], hidden[t, b]
                new = a[2 * k : 3 * k]
                plus(s, bias)
                a[: 2 * k] = s[: 2 * k]
                a[3 * k :] = s[2 * k :]
                squash(a[: 2 * k], v[: 2 * k])
                times_into(a[:k], a[3 * k :], new)
                bend(new, v[2 * k :])
                less_times(hidden[before, b] if step else h[b], new, a[k : 2 * k], y)
                plus(y, new)
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel(
    "(f4[:, :, ::1], f4[:, ::1], f4[:, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[:, ::1], i8[::1], i8, i8[::1])"
)
def gru_back(gh, h, w, hidden, gates, dx, dstate, dh, order, tall, turns):
    """Fills dx, dstate (the gradient of the product with the state) and dh (zero before)."""
    helping = invite(turns)
    batch, k = dh.shape
    pieces = (batch + tall - 1) // tall
    i = take(turns, helping, pieces)
    while i < pieces:
        first, last = i * tall, min(batch, (i + 1) * tall)
        for step in range(len(order) - 1, -1, -1):
            t, before = order[step], order[max(0, step - 1)]
            for b in range(first, last):
                a, d, e, s = gates[t, b], dh[b], dx[t, b], dstate[t, b]
                r, z, new, to_n = a[:k], a[k : 2 * k], a[2 * k : 3 * k], e[2 * k :]
                plus(d, gh[t, b])
                through_new(d, z, new, to_n)
                through_sigmoid(to_n, a[3 * k :], r, e[:k])
                less_times(hidden[before, b] if step else h[b], new, d, e[k : 2 * k])
                through_own(e[k : 2 * k], z)
                s[: 2 * k] = e[: 2 * k]
                times_into(to_n, r, s[2 * k :])
                times(d, z)
            back(last - first, k, 3 * k, dstate, (t * batch + first) * 3 * k, w, dh, first * k, True)
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[:, :, ::1], f4[:, ::1], f4[:, ::1], b1, f4[:, :, ::1], i8[::1], i8, i8[::1])")
def plain(x, h, w, relu, hidden, order, tall, turns):
    """Fills hidden."""
    helping = invite(turns)
    batch, k = h.shape
    pieces = (batch + tall - 1) // tall
    i = take(turns, helping, pieces)
    while i < pieces:
        first, last = i * tall, min(batch, (i + 1) * tall)
        for step in range(len(order)):
            t, before = order[step], order[max(0, step - 1)]
            if step:
                onto(last - first, k, k, hidden, (before * batch + first) * k, w, hidden, (t * batch + first) * k, k)
            else:
                onto(last - first, k, k, h, first * k, w, hidden, (t * batch + first) * k, k)
            for b in range(first, last):
                if relu:
                    rectify(hidden[t, b], x[t, b])
                else:
                    bend(hidden[t, b], x[t, b])
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[:, :, ::1], f4[:, ::1], f4[:, :, ::1], b1, f4[:, :, ::1], f4[:, ::1], i8[::1], i8, i8[::1])")
def plain_back(gh, w, hidden, relu, dx, dh, order, tall, turns):
    """Fills dx and dh (zero before)."""
    helping = invite(turns)
    batch, k = dh.shape
    ones = np.ones(k, np.float32)
    pieces = (batch + tall - 1) // tall
    i = take(turns, helping, pieces)
    while i < pieces:
        first, last = i * tall, min(batch, (i + 1) * tall)
        for step in range(len(order) - 1, -1, -1):
            t = order[step]
            for b in range(first, last):
                plus(dh[b], gh[t, b])
                if relu:
                    rectified_back(dh[b], hidden[t, b], dx[t, b])
                else:
                    through_tanh(dh[b], ones, hidden[t, b], dx[t, b])
            back(last - first, k, k, dx, (t * batch + first) * k, w, dh, first * k, False)
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)
