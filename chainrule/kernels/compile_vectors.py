"""Vectors of 16 float32 in Numba kernels: loaded, stored and computed with as numbers are.

Numba leaves it to LLVM to find such vectors in loops, which it does only where it can prove that no two arrays overlap. Here they are
stated. LLVM makes of them the widest instructions that the machine has.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

LANES = 16
FLAGS = ("contract", "reassoc", "nsz")
_vector = ir.VectorType(ir.FloatType(), LANES)


class Vector(types.Type):
    """The type of 16 float32."""

    def __init__(self) -> None:
        super().__init__(name="f4x16")


vector = Vector()


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, type: Any) -> None:
        super().__init__(manager, type, _vector)


def _filled(builder: Any, number: Any) -> Any:
    one = builder.insert_element(ir.Constant(_vector, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, ir.Constant(_vector, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _define(symbol: Callable, instruction: str) -> None:
    """`symbol` of two vectors, or of a number and a vector."""

    @type_callable(symbol)
    def typer(context):  # type: ignore[no-untyped-def]
        def of(a, b):  # type: ignore[no-untyped-def]
            if vector in (a, b) and {a, b} <= {vector, types.float32}:
                return vector

        return of

    def lower(context, builder, signature, args):  # type: ignore[no-untyped-def]
        a, b = (v if t == vector else _filled(builder, v) for v, t in zip(args, signature.args, strict=True))
        return getattr(builder, instruction)(a, b, flags=FLAGS)

    for pair in ((vector, vector), (types.float32, vector), (vector, types.float32)):
        lower_builtin(symbol, *pair)(lower)


for _symbol, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _define(_symbol, _instruction)


@intrinsic
def load(context, array, place):  # type: ignore[no-untyped-def]
    """array.flat[place : place + 16], of a contiguous array."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.bitcast(builder.gep(data, [args[1]]), _vector.as_pointer())
        return builder.load(pointer, align=4)

    return vector(array, types.intp), build


@intrinsic
def store(context, array, place, value):  # type: ignore[no-untyped-def]
    """array.flat[place : place + 16] = value, for a contiguous array."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        builder.store(args[2], builder.bitcast(builder.gep(data, [args[1]]), _vector.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), build


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
def fill(context, number):  # type: ignore[no-untyped-def]
    """A vector of 16 times the same number."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return _filled(builder, args[0])

    return vector(types.float32), build


@intrinsic
def total(context, value):  # type: ignore[no-untyped-def]
    """The sum of a vector's elements."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        value, width = args[0], LANES
        while width > 1:
            width //= 2
            order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [(i + width) % LANES for i in range(LANES)])
            value = builder.fadd(value, builder.shuffle_vector(value, ir.Constant(_vector, ir.Undefined), order))
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return types.float32(vector), build
