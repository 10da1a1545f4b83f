"""Convolution of images where every channel has its own taps (depthwise): directly, 16 places at a time.

A tap lies at one distance from every place of a plane, `offsets`, if the plane is taken as one long line; `masks`, a bit for a place,
says where it meets an element of the same row and not what lies beyond the row's end. So one way serves images of all sizes, and
strides too: a convolution with a stride is one without, of which some places are kept. `wanted` are the vectors of places that are
computed at all, for which there are masks; `sizes` the plane's height and width, the result's, and the stride.

x is (N, C, H, W), y (N, O, h, w) with O a multiple of C, w (O, 1, kernel). The tables are made by `conv_depthwise`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from chainrule.kernels.compile_numba import finish, inlined, inner, kernel, peek, poke, wait
from chainrule.kernels.compile_vectors_numba import LANES, OF, alternately, apart, fill, load, load_first, store, store_first, total
from chainrule.kernels.handover_numba import invite, take

TYPES = ("f4", "f8")
PIECE = 1 << 13  # places to a task, at least
TABLES = "i2[:, ::1], i8[::1], i8[::1], i8[::1]"


@intrinsic
def plus_where(context, sum, factor, array, place, bits):  # type: ignore[no-untyped-def]
    """sum + factor * array.flat[place : place + 16], in those of the 16 places whose bit is set."""
    kind = OF[array.dtype]

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sum, factor, array, place, bits = args
        vector = sum.type
        if signature.args[1] is not kind:
            order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            none = ir.Constant(vector, ir.Undefined)
            factor = builder.shuffle_vector(builder.insert_element(none, factor, ir.Constant(ir.IntType(32), 0)), none, order)
        data = context.make_array(signature.args[2])(context, builder, array).data
        mask = builder.bitcast(bits, ir.VectorType(ir.IntType(1), LANES))
        function = ir.FunctionType(vector, [vector.as_pointer(), ir.IntType(32), mask.type, vector])
        name = f"llvm.masked.load.v{LANES}{'f32' if array_is_single(kind) else 'f64'}.p0"
        load = cgutils.get_or_insert_function(builder.module, function, name)
        pointer = builder.bitcast(builder.gep(data, [place]), vector.as_pointer())
        value = builder.call(load, [pointer, ir.IntType(32)(4), mask, ir.Constant(vector, None)])
        flags = ("contract", "nsz")
        return builder.select(mask, builder.fadd(builder.fmul(value, factor, flags=flags), sum, flags=flags), sum)

    return kind(kind, factor, array, types.intp, types.int16), build


def array_is_single(kind: Any) -> bool:
    return kind is OF[types.float32]


@inlined
def spread(g, at, sizes, plane, to):  # type: ignore[no-untyped-def]
    """The elements of g at the places of the plane that they come from; what is between is of no matter."""
    wide, high, stride = sizes[3], sizes[2], sizes[5]
    for i in range(high):
        row = to + i * sizes[4] * sizes[1]
        if stride == 2:
            for j in range(0, wide, LANES):
                part = load_first(g, at + j, wide - j)
                first, second = alternately(part, part)
                store(plane, row + 2 * j, first)
                store(plane, row + 2 * j + LANES, second)
        else:
            for j in range(wide):
                poke(plane, row + j * stride, peek(g, at + j))
        at += wide


@inlined
def gather(plane, at, sizes, y, to):  # type: ignore[no-untyped-def]
    """The elements of y from those places."""
    wide, high, stride = sizes[3], sizes[2], sizes[5]
    for i in range(high):
        row = at + i * sizes[4] * sizes[1]
        if stride == 2:
            for j in range(0, wide, LANES):
                even, _ = apart(load(plane, row + 2 * j), load(plane, row + 2 * j + LANES))
                store_first(y, to + j, wide - j, even)
        else:
            for j in range(wide):
                poke(y, to + j, peek(plane, row + j * stride))
        to += wide


@inner
def four(a, at, step_a, b, to, step_b, w, first, begin, more, masks, offsets, wanted, size):  # type: ignore[no-untyped-def]
    """A channel of four images, which lie `step_a` and `step_b` apart; with `more` added to what is there."""
    for k in range(wanted.size):
        p = wanted[k] * LANES
        here, left, row = to + p, size - p, k * offsets.size
        r0 = r1 = r2 = r3 = fill(begin)
        if more:
            r0, r1 = load_first(b, here, left), load_first(b, here + step_b, left)
            r2, r3 = load_first(b, here + 2 * step_b, left), load_first(b, here + 3 * step_b, left)
        for tap in range(offsets.size):
            bits = peek(masks, row + tap)
            if bits != 0:
                factor, q = peek(w, first + tap), at + p + offsets[tap]
                r0 = plus_where(r0, factor, a, q, bits)
                r1 = plus_where(r1, factor, a, q + step_a, bits)
                r2 = plus_where(r2, factor, a, q + 2 * step_a, bits)
                r3 = plus_where(r3, factor, a, q + 3 * step_a, bits)
        store_first(b, here, left, r0)
        store_first(b, here + step_b, left, r1)
        store_first(b, here + 2 * step_b, left, r2)
        store_first(b, here + 3 * step_b, left, r3)


@inner
def one(a, at, b, to, w, first, begin, more, masks, offsets, wanted, size):  # type: ignore[no-untyped-def]
    """A channel of one image."""
    for k in range(wanted.size):
        p = wanted[k] * LANES
        row, r = k * offsets.size, fill(begin)
        if more:
            r = load_first(b, to + p, size - p)
        for tap in range(offsets.size):
            bits = peek(masks, row + tap)
            if bits != 0:
                r = plus_where(r, peek(w, first + tap), a, at + p + offsets[tap], bits)
        store_first(b, to + p, size - p, r)


@kernel(*[f"({t}[:, :, :, ::1], {t}[:, :, :, ::1], {t}[:, :, :, ::1], {t}[::1], b1, {TABLES}, i8[::1])" for t in TYPES])
def correlate(x, w, y, bias, back, masks, offsets, wanted, sizes, turns):  # type: ignore[no-untyped-def]
    """Fill y; with `back` x is a result's cotangent and y the input's, and the tables are those of the transpose.

    A task is up to four images of some channels.
    """
    helping = invite(turns)
    images, inputs, outputs = x.shape[0], x.shape[1], y.shape[1]
    size_x, size_y, taps = x.shape[2] * x.shape[3], y.shape[2] * y.shape[3], w.shape[2] * w.shape[3]
    size, plain = max(size_x, size_y), size_x == size_y
    step_x, step_y, room = inputs * size_x, outputs * size_y, size + 2 * LANES
    given, result = x.reshape(-1), y.reshape(-1)
    plane = np.empty(0 if plain else 4 * room, x.dtype)
    group = min(outputs, PIECE // (4 * size) + 1)
    pieces = (outputs + group - 1) // group
    tasks = (images + 3) // 4 * pieces
    task = take(turns, helping, tasks)
    while task < tasks:
        n, start = task // pieces * 4, task % pieces * group
        count = min(4, images - n)
        for c in range(start, min(outputs, start + group)):
            begin = bias[c] if bias.size else x.dtype.type(0)
            for m in range(max(1, inputs // outputs)):
                source = c * (inputs // outputs) + m if back else c * inputs // outputs
                first = (source if back else c) * taps
                a, at, step_a = given, n * step_x + source * size_x, step_x
                b, to, step_b = result, n * step_y + c * size_y, step_y
                if back and not plain:
                    for i in range(count):
                        spread(given, at + i * step_x, sizes, plane, i * room)
                    a, at, step_a = plane, 0, room
                elif not plain:
                    b, to, step_b = plane, 0, room
                if count == 4:
                    four(a, at, step_a, b, to, step_b, w, first, begin, m > 0, masks, offsets, wanted, size)
                else:
                    for i in range(count):
                        one(a, at + i * step_a, b, to + i * step_b, w, first, begin, m > 0, masks, offsets, wanted, size)
                if not (plain or back):
                    for i in range(count):
                        gather(plane, i * room, sizes, result, (n + i) * step_y + c * size_y)
        finish(turns, 0)
        task = take(turns, helping, tasks)
    wait(turns, 0, tasks)


@kernel(*[f"({t}[:, :, :, ::1], {t}[:, :, :, ::1], {t}[:, :, :, ::1], {TABLES}, i8[::1])" for t in TYPES])
def weight_gradient(g, x, w, masks, offsets, wanted, sizes, turns):  # type: ignore[no-untyped-def]
    """Fill w, the taps' gradient; a task is some channels of all images. Taps go three at a time, so the tables have a multiple of it."""
    helping = invite(turns)
    images, channels, outputs, taps = x.shape[0], x.shape[1], g.shape[1], w.shape[2] * w.shape[3]
    size, inside = x.shape[2] * x.shape[3], g.shape[2] * g.shape[3]
    plain, cotangents = size == inside, g.reshape(-1)
    plane, sums = np.empty(0 if plain else size + 2 * LANES, x.dtype), np.empty(offsets.size * LANES, x.dtype)
    group = min(outputs, PIECE // (images * size) + 1)
    tasks = (outputs + group - 1) // group
    task = take(turns, helping, tasks)
    while task < tasks:
        for o in range(task * group, min(outputs, (task + 1) * group)):
            for i in range(0, sums.size, LANES):
                store(sums, i, fill(x.dtype.type(0)))
            for n in range(images):
                at, a, b = (n * channels + o * channels // outputs) * size, cotangents, (n * outputs + o) * inside
                if not plain:
                    spread(cotangents, b, sizes, plane, 0)
                    a, b = plane, 0
                for tap in range(0, offsets.size, 3):
                    i, o0, o1, o2 = tap * LANES, at + offsets[tap], at + offsets[tap + 1], at + offsets[tap + 2]
                    s0, s1, s2 = load(sums, i), load(sums, i + LANES), load(sums, i + 2 * LANES)
                    for k in range(wanted.size):
                        p, row = wanted[k] * LANES, k * offsets.size + tap
                        part = load_first(a, b + p, size - p)
                        s0 = plus_where(s0, part, x, o0 + p, peek(masks, row))
                        s1 = plus_where(s1, part, x, o1 + p, peek(masks, row + 1))
                        s2 = plus_where(s2, part, x, o2 + p, peek(masks, row + 2))
                    store(sums, i, s0)
                    store(sums, i + LANES, s1)
                    store(sums, i + 2 * LANES, s2)
            for tap in range(taps):
                poke(w, o * taps + tap, total(load(sums, tap * LANES)))
        finish(turns, 0)
        task = take(turns, helping, tasks)
    wait(turns, 0, tasks)
