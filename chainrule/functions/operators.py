"""Tensor's operators: `a + b`, `2 * a`, `a += b`, `a < b`, `a.real`, ..."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.functions import pointwise as public
from chainrule.ops import pointwise as ops
from chainrule.ops.inplace import inplace
from chainrule.ops.overrides import claims, dispatch
from chainrule.tensor import Tensor


def swapped(operator: Callable) -> Callable:
    return lambda self, other: operator(other, self)


def power_operator(self: Tensor, other: Any) -> Tensor:
    if other.__class__ is int or other.__class__ is float:
        if other == 2 and self._data.dtype.kind == "f":
            return square_operator(self)
        return public.pow_number(self, other)
    return ops.pow.operator(self, other)


square_operator = ops.square.operator


def reversed_division(self: Tensor, other: Any) -> Any:
    if not isinstance(other, (numbers.Number, Tensor, np.ndarray)):
        return dispatch(reversed_division, (self, other), {})[1] if claims(other) else NotImplemented
    return ops.mul.operator(ops.reciprocal.function(self), other)


def invert(self: Tensor) -> Tensor:
    if self._data.dtype.kind not in "biu":
        raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
    return ops.bitwise_not.function(self)


def real_setter(self: Tensor, value: Any) -> None:
    ops.real(self).copy_(value)


def imag_setter(self: Tensor, value: Any) -> None:
    public.imag(self).copy_(value)


OPERATORS: dict[str, Any] = {
    "__add__": ops.add.operator, "__radd__": ops.add.operator, "__sub__": ops.sub.operator, "__rsub__": ops.rsub.operator,
    "__mul__": ops.mul.operator, "__rmul__": ops.mul.operator, "__truediv__": ops.div.operator, "__rtruediv__": reversed_division,
    "__div__": ops.div.operator, "__rdiv__": reversed_division, "__idiv__": inplace(public.div, "__idiv__"),
    "__floordiv__": ops.floor_divide.operator, "__rfloordiv__": swapped(ops.floor_divide.operator),
    "__mod__": ops.remainder.operator, "__rmod__": swapped(ops.remainder.operator), "__pow__": power_operator,
    "__rpow__": swapped(ops.pow.operator),
    "__neg__": ops.neg.function, "__pos__": public.positive, "__abs__": ops.abs.function, "__invert__": invert,
    "__eq__": ops.eq.operator, "__ne__": ops.ne.operator, "__lt__": ops.lt.operator, "__le__": ops.le.operator,
    "__gt__": ops.gt.operator, "__ge__": ops.ge.operator,
    "__and__": ops.bitwise_and.operator, "__rand__": swapped(ops.bitwise_and.operator), "__or__": ops.bitwise_or.operator,
    "__ror__": swapped(ops.bitwise_or.operator), "__xor__": ops.bitwise_xor.operator, "__rxor__": swapped(ops.bitwise_xor.operator),
    "__lshift__": ops.bitwise_left_shift.operator, "__rlshift__": swapped(ops.bitwise_left_shift.operator),
    "__rshift__": ops.bitwise_right_shift.operator, "__rrshift__": swapped(ops.bitwise_right_shift.operator),
    "__iadd__": inplace(public.add, "__iadd__"), "__isub__": inplace(public.sub, "__isub__"),
    "__imul__": inplace(ops.mul.function, "__imul__"),
    "__itruediv__": inplace(public.div, "__itruediv__"), "__ifloordiv__": inplace(ops.floor_divide.function, "__ifloordiv__"),
    "__imod__": inplace(ops.remainder.function, "__imod__"), "__ipow__": inplace(public.pow, "__ipow__"),
    "__iand__": inplace(ops.bitwise_and.function, "__iand__"), "__ior__": inplace(ops.bitwise_or.function, "__ior__"),
    "__ixor__": inplace(ops.bitwise_xor.function, "__ixor__"), "__ilshift__": inplace(ops.bitwise_left_shift.function, "__ilshift__"),
    "__irshift__": inplace(ops.bitwise_right_shift.function, "__irshift__"),
    "where": public.where_method, "real": property(public.real, real_setter), "imag": property(public.imag, imag_setter),
}  # fmt: skip
