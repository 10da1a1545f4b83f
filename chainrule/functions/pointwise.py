"""The public pointwise functions, and Tensor's operators."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.ops import pointwise as ops
from chainrule.ops.inplace import inplace

add, sub, mul, div, neg, pow = (op.function for op in (ops.add, ops.sub, ops.mul, ops.div, ops.neg, ops.pow))
exp, log, sqrt, sin, cos = (op.function for op in (ops.exp, ops.log, ops.sqrt, ops.sin, ops.cos))
eq, ne, lt, le, gt, ge = (op.function for op in (ops.eq, ops.ne, ops.lt, ops.le, ops.gt, ops.ge))


def swapped(operator: Callable) -> Callable:
    return lambda self, other: operator(other, self)


OPERATORS = {
    "__add__": ops.add.operator, "__radd__": ops.add.operator, "__sub__": ops.sub.operator, "__rsub__": swapped(ops.sub.operator),
    "__mul__": ops.mul.operator, "__rmul__": ops.mul.operator, "__truediv__": ops.div.operator, "__rtruediv__": swapped(ops.div.operator),
    "__pow__": ops.pow.operator, "__rpow__": swapped(ops.pow.operator), "__neg__": neg,
    "__eq__": ops.eq.operator, "__ne__": ops.ne.operator, "__lt__": ops.lt.operator, "__le__": ops.le.operator,
    "__gt__": ops.gt.operator, "__ge__": ops.ge.operator,
    "__iadd__": inplace(add, "add_"), "__isub__": inplace(sub, "sub_"), "__imul__": inplace(mul, "mul_"), "__itruediv__": inplace(div, "div_"),
}  # fmt: skip
__all__ = ["add", "cos", "div", "eq", "exp", "ge", "gt", "le", "log", "lt", "mul", "ne", "neg", "pow", "sin", "sqrt", "sub"]
METHODS = __all__
INPLACE = ["add", "sub", "mul", "div", "neg", "pow", "exp", "log", "sqrt", "sin", "cos"]
