"""Vectors of 16 float32 or float64 in Numba kernels: loaded, stored and computed with as numbers are.

Numba leaves it to LLVM to find such vectors in loops, which it does only where it can prove that no two arrays overlap. Here they are
stated. LLVM makes of them the widest instructions that the machine has.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

LANES = 16
FLAGS = ("contract", "reassoc", "nsz")
_vector, _vector64 = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(ir.DoubleType(), LANES)
_places = ir.VectorType(ir.IntType(32), LANES)


class Vector(types.Type):
    """The type of 16 numbers."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)


vector = Vector("f4x16")
vector64 = Vector("f8x16")
OF = {types.float32: vector, types.float64: vector64}
places = Vector("i4x16")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, type: Any) -> None:
        super().__init__(manager, type, {vector: _vector, vector64: _vector64, places: _places}[type])


def _order(places: list[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), LANES), places)


def _filled(builder: Any, number: Any) -> Any:
    none = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    return builder.shuffle_vector(builder.insert_element(none, number, ir.Constant(ir.IntType(32), 0)), none, _order([0] * LANES))


def _define(symbol: Callable, instruction: str) -> None:
    """`symbol` of two vectors, or of a number and a vector."""

    @type_callable(symbol)
    def typer(context):  # type: ignore[no-untyped-def]
        def of(a, b):  # type: ignore[no-untyped-def]
            for number, many in OF.items():
                if many in (a, b) and {a, b} <= {many, number}:
                    return many

        return of

    def lower(context, builder, signature, args):  # type: ignore[no-untyped-def]
        a, b = (v if isinstance(t, Vector) else _filled(builder, v) for v, t in zip(args, signature.args, strict=True))
        return getattr(builder, instruction)(a, b, flags=FLAGS)

    for number, many in OF.items():
        for pair in ((many, many), (number, many), (many, number)):
            lower_builtin(symbol, *pair)(lower)


for _symbol, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _define(_symbol, _instruction)


@intrinsic
def load(context, array, place):  # type: ignore[no-untyped-def]
    """array.flat[place : place + 16], of a contiguous array."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        kind = context.get_value_type(signature.return_type)
        return builder.load(builder.bitcast(builder.gep(data, [args[1]]), kind.as_pointer()), align=4)

    return OF[array.dtype](array, types.intp), build


@intrinsic
def store(context, array, place, value):  # type: ignore[no-untyped-def]
    """array.flat[place : place + 16] = value, for a contiguous array."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        builder.store(args[2], builder.bitcast(builder.gep(data, [args[1]]), args[2].type.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), build


def _mask(builder: Any, count: Any) -> Any:
    """Which of the 16 are among the first `count`."""
    return builder.icmp_signed("<", _order(list(range(LANES))), _filled(builder, builder.trunc(count, ir.IntType(32))))


@intrinsic
def load_first(context, array, place, count):  # type: ignore[no-untyped-def]
    """array.flat[place : place + count], and zeros up to 16."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        kind, mask = context.get_value_type(signature.return_type), _mask(builder, args[2])
        function = ir.FunctionType(kind, [kind.as_pointer(), ir.IntType(32), mask.type, kind])
        name = f"llvm.masked.load.v16{'f32' if kind == _vector else 'f64'}.p0"
        call = cgutils.get_or_insert_function(builder.module, function, name)
        pointer = builder.bitcast(builder.gep(data, [args[1]]), kind.as_pointer())
        return builder.call(call, [pointer, ir.IntType(32)(4), mask, ir.Constant(kind, None)])

    return OF[array.dtype](array, types.intp, types.intp), build


@intrinsic
def store_first(context, array, place, count, value):  # type: ignore[no-untyped-def]
    """array.flat[place : place + count] = the first elements of value."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        kind, mask = args[3].type, _mask(builder, args[2])
        function = ir.FunctionType(ir.VoidType(), [kind, kind.as_pointer(), ir.IntType(32), mask.type])
        name = f"llvm.masked.store.v16{'f32' if kind == _vector else 'f64'}.p0"
        call = cgutils.get_or_insert_function(builder.module, function, name)
        pointer = builder.bitcast(builder.gep(data, [args[1]]), kind.as_pointer())
        builder.call(call, [args[3], pointer, ir.IntType(32)(4), mask])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, value), build


@intrinsic
def pick(context, array, place, step):  # type: ignore[no-untyped-def]
    """array.flat[place], array.flat[place + step], ...: 16 of them."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        value, place = ir.Constant(_vector, ir.Undefined), args[1]
        for i in range(LANES):
            value = builder.insert_element(value, builder.load(builder.gep(data, [place])), ir.Constant(ir.IntType(32), i))
            place = builder.add(place, args[2])
        return value

    return vector(array, types.intp, types.intp), build


@intrinsic
def put(context, array, place, step, value):  # type: ignore[no-untyped-def]
    """array.flat[place], array.flat[place + step], ... = the 16 elements of value."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data, place = context.make_array(signature.args[0])(context, builder, args[0]).data, args[1]
        for i in range(LANES):
            builder.store(builder.extract_element(args[3], ir.Constant(ir.IntType(32), i)), builder.gep(data, [place]))
            place = builder.add(place, args[2])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vector), build


@intrinsic
def turn(context, a, at, step, wide, b, to, gap, tall):  # type: ignore[no-untyped-def]
    """16 rows of 16 float32 as columns: b.flat[to + j * gap + i] = a.flat[at + i * step + j].

    Only the first `wide` of each row of a are read, zeros taken for the others, and only the first `tall` of each row of b written.
    """

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        a, at, step, wide, b, to, gap, tall = args
        source, target = [context.make_array(signature.args[k])(context, builder, args[k]).data for k in (0, 4)]
        inside, reached, pointer = _mask(builder, wide), _mask(builder, tall), _vector.as_pointer()
        take = ir.FunctionType(_vector, [pointer, ir.IntType(32), inside.type, _vector])
        take = cgutils.get_or_insert_function(builder.module, take, "llvm.masked.load.v16f32.p0")
        give = ir.FunctionType(ir.VoidType(), [_vector, pointer, ir.IntType(32), inside.type])
        give = cgutils.get_or_insert_function(builder.module, give, "llvm.masked.store.v16f32.p0")
        rows = []
        for _ in range(LANES):
            place = builder.bitcast(builder.gep(source, [at]), pointer)
            rows.append(builder.call(take, [place, ir.IntType(32)(4), inside, ir.Constant(_vector, None)]))
            at = builder.add(at, step)
        half = LANES // 2
        while half:  # blocks of half by half change places, two and two
            upper = _order([j if not j & half else LANES + j - half for j in range(LANES)])
            lower = _order([j + half if not j & half else LANES + j for j in range(LANES)])
            for i in range(LANES):
                if not i & half:
                    pair = rows[i], rows[i + half]
                    rows[i], rows[i + half] = builder.shuffle_vector(*pair, upper), builder.shuffle_vector(*pair, lower)
            half //= 2
        for row in rows:
            builder.call(give, [row, builder.bitcast(builder.gep(target, [to]), pointer), ir.IntType(32)(4), reached])
            to = builder.add(to, gap)
        return context.get_dummy_value()

    whole = types.intp
    return types.void(a, whole, whole, whole, b, whole, whole, whole), build


@intrinsic
def fill(context, number):  # type: ignore[no-untyped-def]
    """A vector of 16 times the same number."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return _filled(builder, args[0])

    return OF[number](number), build


@intrinsic
def total(context, value):  # type: ignore[no-untyped-def]
    """The sum of a vector's elements."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        value, width = args[0], LANES
        none = ir.Constant(value.type, ir.Undefined)
        while width > 1:
            width //= 2
            value = builder.fadd(value, builder.shuffle_vector(value, none, _order([(i + width) % LANES for i in range(LANES)])))
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return {many: number for number, many in OF.items()}[value](value), build


@intrinsic
def apart(context, first, second):  # type: ignore[no-untyped-def]
    """The even and the odd elements of two vectors one after the other."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        halves = [builder.shuffle_vector(*args, _order(list(range(start, 2 * LANES, 2)))) for start in (0, 1)]
        return context.make_tuple(builder, signature.return_type, halves)

    return types.UniTuple(first, 2)(first, second), build


@intrinsic
def alternately(context, even, odd):  # type: ignore[no-untyped-def]
    """The two vectors that `apart` would take apart so."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        order = [i // 2 + i % 2 * LANES for i in range(2 * LANES)]
        both = [builder.shuffle_vector(*args, _order(order[start : start + LANES])) for start in (0, LANES)]
        return context.make_tuple(builder, signature.return_type, both)

    return types.UniTuple(even, 2)(even, odd), build


@intrinsic
def count_from(context, first, step):  # type: ignore[no-untyped-def]
    """The integers first, first + step, ..."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        first, step = (_filled(builder, builder.trunc(a, ir.IntType(32))) for a in args)
        return builder.add(first, builder.mul(step, _order(list(range(LANES)))))

    return places(types.intp, types.intp), build


@intrinsic
def larger(context, best, at, value, here, offset):  # type: ignore[no-untyped-def]
    """best and its place `at`; value and the place here + offset where value is larger, or NaN."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        best, at, value, here, offset = args
        better = builder.or_(builder.fcmp_ordered(">", value, best), builder.fcmp_unordered("uno", value, value))
        there = builder.add(here, _filled(builder, builder.trunc(offset, ir.IntType(32))))
        return context.make_tuple(builder, signature.return_type, (builder.select(better, value, best), builder.select(better, there, at)))

    return types.Tuple((best, at))(best, at, value, here, types.intp), build


@intrinsic
def store_places(context, array, place, value):  # type: ignore[no-untyped-def]
    """array.flat[place : place + 16] = value, of int64."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        wide = builder.sext(args[2], ir.VectorType(ir.IntType(64), LANES))
        builder.store(wide, builder.bitcast(builder.gep(data, [args[1]]), wide.type.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, places), build
