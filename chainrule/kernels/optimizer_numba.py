"""Compiled steps of optimizers: one pass over all parameters, each number read and written once, shared out among the threads.

Row k of `table` says how many numbers the k-th parameter has, which row of `options` its formula takes, and which array objects are
itself, its gradient and its buffers (their `id`: where an array's numbers lie is the first thing that NumPy keeps in the object). A
piece of work is part of one parameter.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

from chainrule.kernels.compile_numba import claim, finish, inlined, inner, kernel, wait

PIECE = 1 << 16  # numbers; shorter ones keep the memory waiting
HEAD = object.__basicsize__  # bytes of what every object begins with
TYPES = ("(i8[:, ::1], f4[:, ::1], i8[::1])", "(i8[:, ::1], f8[:, ::1], i8[::1])")


@intrinsic
def pointer(context, address, like):  # type: ignore[no-untyped-def]
    """A pointer to numbers of like's type at the address."""
    found = types.CPointer(like.dtype)

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.inttoptr(args[0], ir.PointerType(context.get_value_type(like.dtype)))

    return found(types.int64, like), build


@intrinsic
def in_half_vectors(context):  # type: ignore[no-untyped-def]
    """Have loops here made of vectors of 256 bits: where there is little to compute, memory is read 4 to 10 % faster than with 512."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        set.add(builder.function.attributes, '"prefer-vector-width"="256"')  # llvmlite's own `add` knows only LLVM's older attributes
        return context.get_dummy_value()

    return types.void(), build


@inlined
def pieces(table, k):  # type: ignore[no-untyped-def]
    """How many a parameter has."""
    return (table[k, 0] + PIECE - 1) // PIECE


@inlined
def all_pieces(table):  # type: ignore[no-untyped-def]
    count = 0
    for k in range(len(table)):
        count += pieces(table, k)
    return count


@inlined
def seek(table, i, k, start):  # type: ignore[no-untyped-def]
    """The parameter that piece i is part of, and the number of its own first piece; (k, start) are those of an earlier piece."""
    while start + pieces(table, k) <= i:
        start += pieces(table, k)
        k += 1
    return k, start


@inlined
def part(table, k, which, piece, like):  # type: ignore[no-untyped-def]
    """A piece of one of a parameter's arrays."""
    first = piece * PIECE
    begin = carray(pointer(table[k, 2 + which] + HEAD, table), 1)[0]
    return carray(pointer(begin + first * like.itemsize, like), min(PIECE, table[k, 0] - first))


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
def adam(table, options, turns):  # type: ignore[no-untyped-def]
    k, start, count = 0, 0, all_pieces(table)
    i = claim(turns, 0)
    while i < count:
        k, start = seek(table, i, k, start)
        n, o = i - start, options[table[k, 1]]
        adapt(part(table, k, 0, n, o), part(table, k, 1, n, o), part(table, k, 2, n, o), part(table, k, 3, n, o), o)
        finish(turns, 0)
        i = claim(turns, 0)
    wait(turns, 0, count)


@inner
def roll(p, g, v, o):  # type: ignore[no-untyped-def]
    """SGD with momentum: o holds the sign of g, the decay, lr, momentum, what of g is taken up, and whether v is new, and nesterov."""
    in_half_vectors()
    sign, decay, lr, momentum, kept, fresh, ahead = o[0], o[1], o[2], o[3], o[4], o[5] != 0, o[6] != 0
    none = decay == 0
    for j in range(len(p)):
        d = sign * g[j]
        d = d if none else d + decay * p[j]
        b = d if fresh else momentum * v[j] + kept * d
        v[j] = b
        p[j] -= lr * (d + momentum * b if ahead else b)


@kernel(*TYPES)
def momentum(table, options, turns):  # type: ignore[no-untyped-def]
    in_half_vectors()
    k, start, count = 0, 0, all_pieces(table)
    i = claim(turns, 0)
    while i < count:
        k, start = seek(table, i, k, start)
        n, o = i - start, options[table[k, 1]]
        roll(part(table, k, 0, n, o), part(table, k, 1, n, o), part(table, k, 2, n, o), o)
        finish(turns, 0)
        i = claim(turns, 0)
    wait(turns, 0, count)


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
def descend(table, options, turns):  # type: ignore[no-untyped-def]
    k, start, count = 0, 0, all_pieces(table)
    i = claim(turns, 0)
    while i < count:
        k, start = seek(table, i, k, start)
        n, o = i - start, options[table[k, 1]]
        slide(part(table, k, 0, n, o), part(table, k, 1, n, o), o)
        finish(turns, 0)
        i = claim(turns, 0)
    wait(turns, 0, count)
