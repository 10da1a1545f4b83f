"""Compiled steps of optimizers: one pass over all parameters, each number read and written once, shared out among the threads.

Row k of `places` holds the addresses in memory of the k-th parameter, its gradient and its buffers, which are `sizes[k]` numbers long;
row k of `options` the numbers of its formula. A piece of work is part of one parameter: `firsts[k]` is the number of its first piece.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

from chainrule.kernels.compile_numba import claim, finish, inner, kernel, wait

PIECE = 1 << 16  # numbers; shorter ones keep the memory waiting
TYPES = ("(i8[:, ::1], i8[::1], i8[::1], f4[:, ::1], i8[::1])", "(i8[:, ::1], i8[::1], i8[::1], f8[:, ::1], i8[::1])")


@intrinsic
def pointer(context, address, like):  # type: ignore[no-untyped-def]
    """A pointer to numbers of like's type at the address."""
    found = types.CPointer(like.dtype)

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.inttoptr(args[0], ir.PointerType(context.get_value_type(like.dtype)))

    return found(types.int64, like), build


@inner
def part(places, k, which, first, count, like):  # type: ignore[no-untyped-def]
    """`count` numbers of one of a parameter's arrays."""
    return carray(pointer(places[k, which] + first * like.itemsize, like), count)


@inner
def adapt(p, g, m, v, o):  # type: ignore[no-untyped-def]
    """Adam: o holds the sign of g, the decay added to g, what p shrinks by, 1 - beta1, beta2, 1 - beta2, the size, v's scale, eps."""
    sign, decay, shrink, new, old, square, size, scale, eps = o[0], o[1], o[2], o[3], o[4], o[5], o[6], o[7], o[8]
    none = decay == 0
    for j in range(len(p)):
        w = p[j]
        d = sign * g[j]
        d = d if none else d + decay * w
        w *= shrink
        a = m[j] + new * (d - m[j])
        b = v[j] * old + square * d * d
        m[j] = a
        v[j] = b
        p[j] = w - size * a / (np.sqrt(b) * scale + eps)


@kernel(*TYPES)
def adam(places, sizes, firsts, options, turns):  # type: ignore[no-untyped-def]
    k, pieces = 0, firsts[-1]
    i = claim(turns, 0)
    while i < pieces:
        while firsts[k + 1] <= i:
            k += 1
        first = (i - firsts[k]) * PIECE
        n, o = min(PIECE, sizes[k] - first), options[k]
        adapt(
            part(places, k, 0, first, n, o), part(places, k, 1, first, n, o), part(places, k, 2, first, n, o),
            part(places, k, 3, first, n, o), o,
        )  # fmt: skip
        finish(turns, 0)
        i = claim(turns, 0)
    wait(turns, 0, pieces)


@inner
def roll(p, g, v, o):  # type: ignore[no-untyped-def]
    """SGD with momentum: o holds the sign of g, the decay, lr, momentum, what of g is taken up, and whether v is new, and nesterov."""
    sign, decay, lr, momentum, kept, fresh, ahead = o[0], o[1], o[2], o[3], o[4], o[5] != 0, o[6] != 0
    none = decay == 0
    for j in range(len(p)):
        d = sign * g[j]
        d = d if none else d + decay * p[j]
        b = d if fresh else momentum * v[j] + kept * d
        v[j] = b
        p[j] -= lr * (d + momentum * b if ahead else b)


@kernel(*TYPES)
def momentum(places, sizes, firsts, options, turns):  # type: ignore[no-untyped-def]
    k, pieces = 0, firsts[-1]
    i = claim(turns, 0)
    while i < pieces:
        while firsts[k + 1] <= i:
            k += 1
        first = (i - firsts[k]) * PIECE
        n, o = min(PIECE, sizes[k] - first), options[k]
        roll(part(places, k, 0, first, n, o), part(places, k, 1, first, n, o), part(places, k, 2, first, n, o), o)
        finish(turns, 0)
        i = claim(turns, 0)
    wait(turns, 0, pieces)


@inner
def slide(p, g, o):  # type: ignore[no-untyped-def]
    """SGD without momentum: o holds the sign of g, the decay and lr."""
    sign, decay, lr = o[0], o[1], o[2]
    none = decay == 0
    for j in range(len(p)):
        d = sign * g[j]
        d = d if none else d + decay * p[j]
        p[j] -= lr * d


@kernel(*TYPES)
def descend(places, sizes, firsts, options, turns):  # type: ignore[no-untyped-def]
    k, pieces = 0, firsts[-1]
    i = claim(turns, 0)
    while i < pieces:
        while firsts[k + 1] <= i:
            k += 1
        first = (i - firsts[k]) * PIECE
        n, o = min(PIECE, sizes[k] - first), options[k]
        slide(part(places, k, 0, first, n, o), part(places, k, 1, first, n, o), o)
        finish(turns, 0)
        i = claim(turns, 0)
    wait(turns, 0, pieces)
