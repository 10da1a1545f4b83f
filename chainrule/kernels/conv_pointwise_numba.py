"""Convolution with a single tap, and its weight's gradient: products with every image, a tile of the result at a time in registers.

x is (N, C, places), y (N, O, places). BLAS is as fast with large matrices, but images are often small, and many. Here they are
read as they lie: a tile is some outputs at vectors of places, of whichever images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from chainrule.kernels.compile_numba import claim, finish, inlined, inner, kernel, wait
from chainrule.kernels.compile_vectors_numba import LANES, turn
from chainrule.kernels.handover_numba import invite, take

WHOLE, LONG, SHORT = types.intp, ir.IntType(64), ir.IntType(32)
VECTOR, MASK = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(ir.IntType(1), LANES)
POINTER = VECTOR.as_pointer()
FLAGS = ("contract", "nsz")
WIDE = bool(get_host_cpu_features().get("avx512f"))  # 32 registers of 16 numbers; else 16 of 8, or 32 of 4
DEEP = 512  # places that are summed up before they are added to the others, which keeps rounding errors small
ROWS, COLUMNS = (8, 3) if WIDE else (6, 1)  # outputs and vectors of a tile


def tile(columns: int) -> Callable:
    """The product of up to ROWS rows of w with so many columns of vectors of x."""

    @intrinsic
    def multiply(context, w, at_w, row_w, step_w, rows, x, at_x, step_x, depth, add, start, at, y, at_y, row_y, counts):  # type: ignore[no-untyped-def]
        """y[at_y[j] + r * row_y] = start[at + r] + the sum over k of w[at_w + r * row_w + k * step_w] * x[at_x[j] + k * step_x].

        With `add` what is there already is added. All places are flat; of vector j there are the first counts[j] numbers.
        """

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            w, at_w, row_w, step_w, rows, x, at_x, step_x, depth, add, start, at, y, at_y, row_y, counts = args
            arrays = [context.make_array(signature.args[k])(context, builder, args[k]) for k in (0, 5, 10, 12)]
            data_w, data_x, data_start, data_y = [a.data for a in arrays]
            nothing = ir.Constant(VECTOR, None)
            read = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(VECTOR, [POINTER, SHORT, MASK, VECTOR]), "llvm.masked.load.v16f32.p0"
            )
            write = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(ir.VoidType(), [VECTOR, POINTER, SHORT, MASK]), "llvm.masked.store.v16f32.p0"
            )

            def filled(value: Any) -> Any:
                none = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
                zeros = ir.Constant(ir.VectorType(SHORT, LANES), [0] * LANES)
                return builder.shuffle_vector(builder.insert_element(none, value, SHORT(0)), none, zeros)

            def vector_at(base: Any, place: Any) -> Any:
                return builder.bitcast(builder.gep(base, [place]), POINTER)

            order = ir.Constant(ir.VectorType(SHORT, LANES), list(range(LANES)))
            masks = [builder.icmp_signed("<", order, filled(builder.trunc(n, SHORT))) for n in cgutils.unpack_tuple(builder, counts)]
            last = builder.sub(rows, LONG(1))
            ranks = [builder.select(builder.icmp_signed("<", LONG(r), last), LONG(r), last) for r in range(ROWS)]  # the last row again
            numbers = [builder.gep(data_w, [builder.add(at_w, builder.mul(r, row_w))]) for r in ranks]
            places = cgutils.unpack_tuple(builder, at_y)
            others = [builder.gep(data_x, [p]) for p in cgutils.unpack_tuple(builder, at_x)]
            lines = [builder.mul(r, row_y) for r in ranks]
            targets = [(vector_at(data_y, builder.add(n, p)), m) for n in lines for p, m in zip(places, masks, strict=True)]
            begin = [filled(builder.load(builder.gep(data_start, [builder.add(at, r)]))) for r in ranks for _ in range(columns)]
            adding = builder.icmp_unsigned("!=", add, ir.Constant(add.type, 0))
            there = [(p, builder.select(adding, m, ir.Constant(MASK, None))) for p, m in targets]

            before, loop, end = builder.block, builder.append_basic_block("tile"), builder.append_basic_block("tiled")
            builder.branch(loop)
            builder.position_at_end(loop)
            k, sums = builder.phi(LONG), [builder.phi(VECTOR) for _ in begin]
            along, down = builder.mul(k, step_w), builder.mul(k, step_x)
            vectors = [builder.call(read, [vector_at(p, down), SHORT(4), m, nothing]) for p, m in zip(others, masks, strict=True)]
            factors = [filled(builder.load(builder.gep(p, [along]))) for p in numbers]
            pairs = [(f, v) for f in factors for v in vectors]
            new = [builder.fadd(builder.fmul(f, v, flags=FLAGS), s, flags=FLAGS) for (f, v), s in zip(pairs, sums, strict=True)]
            after = builder.add(k, LONG(1))
            for phi, initial, then in zip([k, *sums], [LONG(0), *begin], [after, *new], strict=True):
                phi.add_incoming(initial, before)
                phi.add_incoming(then, loop)
            builder.cbranch(builder.icmp_signed("<", after, depth), loop, end)
            builder.position_at_end(end)
            old = [builder.call(read, [p, SHORT(4), m, nothing]) for p, m in there]  # nothing without `add`
            for value, more, (p, m) in zip(new, old, targets, strict=True):
                builder.call(write, [builder.fadd(value, more, flags=FLAGS), p, SHORT(4), m])
            return context.get_dummy_value()

        many = types.UniTuple(WHOLE, columns)
        integers = (WHOLE, WHOLE, WHOLE, WHOLE)
        return types.void(w, *integers, x, many, WHOLE, WHOLE, types.boolean, start, WHOLE, y, many, WHOLE, many), build

    return multiply


tile1, tile2, tile3 = map(tile, (1, 2, 3))


@inlined
def place(v, per, places, channels):  # type: ignore[no-untyped-def]
    """Where the vector v lies in images of so many channels, of which it is `per` to a channel, and how many numbers it has."""
    n, p = v // per, v % per * LANES
    return n * channels * places + p, min(LANES, places - p)


@kernel("(f4[:, :, ::1], f4[::1], f4[:, :, ::1], f4[::1], i8, i8, i8, i8[::1])")
def multiply(x, w, y, bias, row_w, step_w, block, turns):  # type: ignore[no-untyped-def]
    """Fill y; w has the taps of an output `row_w` apart, those of an input `step_w`. A task is `block` vectors of places."""
    helping = invite(turns)
    images, inputs, places = x.shape
    outputs, per = y.shape[1], (places + LANES - 1) // LANES
    every = images * per
    tasks = (every + block - 1) // block
    start = np.zeros(outputs, np.float32)
    task = take(turns, helping, tasks)
    if task < tasks and bias.size:
        start[:] = bias
    while task < tasks:
        last = min(every, (task + 1) * block)
        for o in range(0, outputs, ROWS):
            rows, v, up = min(ROWS, outputs - o), task * block, o * places
            while v < last:
                left = last - v
                columns = min(COLUMNS, 2 if left == 4 else left)  # 4 are 2 and 2, not 3 and 1
                x0, n0 = place(v, per, places, inputs)
                y0, _ = place(v, per, places, outputs)
                if columns == 1:
                    tile1(w, o * row_w, row_w, step_w, rows, x, (x0,), places, inputs, False, start, o, y, (y0 + up,), places, (n0,))
                else:
                    x1, n1 = place(v + 1, per, places, inputs)
                    y1, _ = place(v + 1, per, places, outputs)
                    if columns == 2:
                        to = (y0 + up, y1 + up)
                        tile2(w, o * row_w, row_w, step_w, rows, x, (x0, x1), places, inputs, False, start, o, y, to, places, (n0, n1))
                    else:
                        x2, n2 = place(v + 2, per, places, inputs)
                        y2, _ = place(v + 2, per, places, outputs)
                        at, to = (x0, x1, x2), (y0 + up, y1 + up, y2 + up)
                        tile3(w, o * row_w, row_w, step_w, rows, x, at, places, inputs, False, start, o, y, to, places, (n0, n1, n2))
                v += columns
        finish(turns, 0)
        task = take(turns, helping, tasks)
    wait(turns, 0, tasks)


@inner
def row_of_tiles(w, at_w, row_w, rows, x, at_x, wide, depth, add, none, y, at_y):  # type: ignore[no-untyped-def]
    """The sums over k of w[at_w + r * row_w + k] * x[at_x + k * wide + j] as y[at_y + r * wide + j], for so many rows and all j."""
    j = 0
    while j < wide:
        left = (wide - j + LANES - 1) // LANES
        columns = min(COLUMNS, 2 if left == 4 else left)
        rest, a, b = min(LANES, wide - j - (columns - 1) * LANES), at_x + j, at_y + j
        if columns == 1:
            tile1(w, at_w, row_w, 1, rows, x, (a,), wide, depth, add, none, 0, y, (b,), wide, (rest,))
        elif columns == 2:
            tile2(w, at_w, row_w, 1, rows, x, (a, a + LANES), wide, depth, add, none, 0, y, (b, b + LANES), wide, (LANES, rest))
        else:
            a3, b3 = (a, a + LANES, a + 2 * LANES), (b, b + LANES, b + 2 * LANES)
            tile3(w, at_w, row_w, 1, rows, x, a3, wide, depth, add, none, 0, y, b3, wide, (LANES, LANES, rest))
        j += columns * LANES


@kernel("(f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[:, ::1], f4[:, ::1], i8, i8[::1])")
def weight_gradient(a, b, lying, y, turned, chunk, turns):  # type: ignore[no-untyped-def]
    """Fill y (A, B) with the sum over n and p of a[n, i, p] * b[n, j, p], and `turned` with its transpose, unless that is empty.

    a is (N, A, places), b (N, B, places), both with 16 channels or more; `lying` (N, places up to a multiple of 16, B) becomes b with
    its channels last. A task is then `chunk` channels of a, a multiple of 16.
    """
    invite(turns)
    images, high, places = a.shape
    wide, deep = b.shape[1], lying.shape[1]
    groups = (wide + LANES - 1) // LANES
    task = claim(turns, 0)
    while task < images * groups:
        n, c = task // groups, min(task % groups * LANES, wide - LANES)
        for p in range(0, places, LANES):
            turn(b, (n * wide + c) * places + p, places, places - p, lying, (n * deep + p) * wide + c, wide, LANES)
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, images * groups)
    tasks, none = max(1, high // chunk), np.zeros(ROWS, np.float32)
    task = claim(turns, 1)
    while task < tasks:
        start = task * chunk
        stop = high if task == tasks - 1 else start + chunk
        for n in range(images):
            for p in range(0, places, DEEP):
                depth, here = min(DEEP, places - p), (n * deep + p) * wide
                for i in range(start, stop, ROWS):
                    at = (n * high + i) * places + p
                    row_of_tiles(a, at, places, min(ROWS, stop - i), lying, here, wide, depth, n + p > 0, none, y, i * wide)
        if turned.size:
            for i in range(start, stop, LANES):
                for j in range(0, wide, LANES):
                    i0, j0 = min(i, stop - LANES), min(j, wide - LANES)
                    turn(y, i0 * wide + j0, wide, LANES, turned, j0 * high + i0, high, LANES)
        finish(turns, 1)
        task = claim(turns, 1)
    wait(turns, 1, tasks)
