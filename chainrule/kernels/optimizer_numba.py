"""Compiled steps of optimizers: one pass over all parameters, each number read and written once, shared out among the threads.

Row k of `table` says how many numbers the k-th parameter has, which row of `options` its formula takes, and which array objects are
itself, its gradient and its buffers (their `id`: where an array's numbers lie is the first thing that NumPy keeps in the object). A
piece of work, of which there are `count`, is so many numbers of one parameter as `size` says, or what is left of it.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

from chainrule.kernels.compile_numba import finish, inlined, inner, kernel, wait
from chainrule.kernels.handover_numba import invite, take

HEAD = object.__basicsize__  # bytes of what every object begins with
TYPES = ("(i8[:, ::1], f4[:, ::1], i8, i8, i8[::1])", "(i8[:, ::1], f8[:, ::1], i8, i8, i8[::1])")


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
def seek(table, size, i):  # type: ignore[no-untyped-def]
    """The parameter that piece i is part of, and which of its own pieces that is."""
    k = 0
    count = (table[k, 0] + size - 1) // size
    while count <= i:
        i -= count
        k += 1
        count = (table[k, 0] + size - 1) // size
    return k, i


@inlined
def part(table, size, k, which, piece, like):  # type: ignore[no-untyped-def]
    """A piece of one of a parameter's arrays."""
    first = piece * size
    begin = carray(pointer(table[k, 2 + which] + HEAD, table), 1)[0]
    return carray(pointer(begin + first * like.itemsize, like), min(size, table[k, 0] - first))


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
def adam(table, options, size, count, turns):  # type: ignore[no-untyped-def]
    helping = invite(turns)
    i = take(turns, helping, count)
    while i < count:
        k, n = seek(table, size, i)
        o = options[table[k, 1]]
        m, v = part(table, size, k, 2, n, o), part(table, size, k, 3, n, o)
        adapt(part(table, size, k, 0, n, o), part(table, size, k, 1, n, o), m, v, o)
        finish(turns, 0)
        i = take(turns, helping, count)
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
def momentum(table, options, size, count, turns):  # type: ignore[no-untyped-def]
    helping = invite(turns)
    in_half_vectors()
    i = take(turns, helping, count)
    while i < count:
        k, n = seek(table, size, i)
        o = options[table[k, 1]]
        roll(part(table, size, k, 0, n, o), part(table, size, k, 1, n, o), part(table, size, k, 2, n, o), o)
        finish(turns, 0)
        i = take(turns, helping, count)
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
def descend(table, options, size, count, turns):  # type: ignore[no-untyped-def]
    helping = invite(turns)
    i = take(turns, helping, count)
    while i < count:
        k, n = seek(table, size, i)
        o = options[table[k, 1]]
        slide(part(table, size, k, 0, n, o), part(table, size, k, 1, n, o), o)
        finish(turns, 0)
        i = take(turns, helping, count)
    wait(turns, 0, count)
