"""The short way of forward mode: one level, plain tensors without history. Values and tangents stay arrays, as in first-order backward.

`quick_pointwise` and `quick_primitive` give the result of an op, or None: then `ops.primitive` and `autograd.pushforward` do it all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule._core.dtypes import FLOATING
from chainrule._core.silence import restore, silence
from chainrule.autograd.forward_ad import hold, tangent_of
from chainrule.ops.pointwise_form import Pointwise
from chainrule.ops.primitive import INEXACT, Primitive, argument_names, as_array
from chainrule.tensor import Tensor, wrap

local = modes.local
FLOATS = frozenset((np.dtype(np.float32), np.dtype(np.float64)))
pointwise_plans: dict[Pointwise, list] = {}  # how to push through each op, worked out once
plans: dict[Primitive, Any] = {}


def ordinary() -> bool:
    """Whether nothing but forward mode is on."""
    return not (local.inference or not local.forward or local.function_modes or local.watch is not None)


def opened(t: Tensor) -> tuple[Any, Any] | None:
    """(array, tangent's array or None) of a tensor; None if it or its tangent has a history, or is of a subclass."""
    base = t._base
    if t._watched or ((t._tracked or base is not None) and local.grad and t.requires_grad):
        return None
    held = t._tangents
    if held is not None and 0 in held:
        tangent = held[0]
    elif base is None or base._tangents is None:
        return t._data, None
    else:
        tangent = tangent_of(t, 0)
    if tangent is None:
        return t._data, None
    if (tangent._tracked or tangent._base is not None) and tangent.requires_grad:
        return None
    return t._data, tangent._data


def quick_pointwise(op: Pointwise, args: Sequence) -> Tensor | None:
    """`op` on floating-point tensors of one type, and Python numbers."""
    if not ordinary() or FLOATING not in op.categories:
        return None
    token = silence()
    try:
        return silent_pointwise(op, args)
    finally:
        restore(token)


def silent_pointwise(op: Pointwise, args: Sequence) -> Tensor | None:
    """`quick_pointwise`, with NumPy's warnings off."""
    arrays: list = []
    slopes: list = []
    dtype = None
    for v in args:
        if isinstance(v, Tensor):
            pair = opened(v)
            if pair is None:
                return None
            a, slope = pair
            if dtype is None:
                dtype = a.dtype
            if a.dtype is not dtype or dtype not in FLOATS:
                return None
        elif arrays and op.quick_scalars and (v.__class__ is float or v.__class__ is int):
            a, slope = v, None
        else:
            return None
        arrays.append(a)
        slopes.append(slope)
    try:
        y = op.compute(*arrays)
    except (ValueError, OverflowError):
        return None
    y = as_array(y)
    out = wrap(y)
    if op.differentiable and any([s is not None for s in slopes]):
        slope = pointwise_slope(op, arrays, y, slopes)
        if slope is not None:
            hold(out, 0, wrap(slope))
    return out


def pointwise_slope(op: Pointwise, arrays: Sequence, y: Any, slopes: Sequence) -> Any:
    """The sum over the inputs of tangent times partial derivative, for real arrays."""
    plan = pointwise_plans.get(op)
    if plan is None:
        places = {n: i for i, n in enumerate(op.inputs)} | {"y": len(op.inputs), "g": len(op.inputs) + 1}
        plan = pointwise_plans[op] = [pointwise_plan(op.rules.get(n), places) for n in op.inputs]
    total = None
    for step, slope in zip(plan, slopes, strict=True):
        if slope is None or step is None:
            continue
        rule, places, whole = step
        if places is None:
            part = slope if rule == 1 else -slope
        else:
            values = (*arrays, y, slope)
            part = rule(*[values[i] for i in places])
            part = part if whole else slope * part
        total = part if total is None else added(total, part, slopes)
    if total is None:
        return None
    total = as_array(total)
    return total if total.shape == y.shape else np.broadcast_to(total, y.shape).copy()


def added(total: Any, part: Any, slopes: Sequence) -> Any:
    """total + part, in the memory of total if that is nobody else's."""
    fresh = total.__class__ is np.ndarray and total.flags.owndata and not any([total is s for s in slopes])
    return np.add(total, part, out=total) if fresh and total.shape == part.shape and total.dtype == part.dtype else total + part


def pointwise_plan(rule: Any, places: dict) -> tuple | None:
    """(the rule, where its arguments are among inputs, result and tangent, whether it gives the product with the tangent)."""
    if rule is None or not callable(rule):
        return None if rule is None else (rule, None, False)
    names = argument_names(rule)
    if any([n not in places for n in names]):  # it asks for a shape or a type
        return (lambda *values: rule(*[asked(n, values, places) for n in names])), tuple(range(len(places))), "g" in names
    return rule, tuple([places[n] for n in names]), "g" in names


def asked(name: str, values: Sequence, places: dict) -> Any:
    if name in places:
        return values[places[name]]
    source, _, what = name.rpartition("_")
    value = values[places[source]]
    return np.shape(value) if what == "shape" else getattr(value, what, None)


def quick_primitive(op: Primitive, args: tuple) -> Tensor | None:
    """`op`, linear or with a `jvp`, on arrays of one type."""
    plan = plans.get(op)
    if plan is None:
        plan = plans[op] = primitive_plan(op)
    if plan is False or not ordinary():
        return None
    arrays: list = []
    slopes: list = []
    for v in args[: op.arity]:
        if isinstance(v, Tensor):
            pair = opened(v)
            if pair is None:
                return None
            arrays.append(pair[0])
            slopes.append(pair[1])
        else:
            arrays.append(v)
            slopes.append(None)
    statics = args[op.arity :]
    y = op.compute(*arrays, *statics)
    out = wrap(as_array(y))
    if out._data.dtype in INEXACT:
        total = None
        for i, slope in enumerate(slopes):
            if slope is None or plan[i] is None:
                continue
            kept = plan[i]
            given = [slope if j == i else a if kept[j] or a is None else np.zeros_like(a) for j, a in enumerate(arrays)]
            part = op.compute(*given, *statics)
            total = part if total is None else added(total, part, slopes)
        if total is not None:
            hold(out, 0, wrap(as_array(total)))
    return out


def primitive_plan(op: Primitive) -> Any:
    """For each input, which of the others its tangent meets (as in `push_linear`); False for ops that have another way."""
    if not op.linear or op.jvp is not None or op.combined is not None or op.variadic or op.view or len(op.outputs) > 1:
        return False
    steps: list = []
    for name in op.inputs:
        rule = op.rules.get(name)
        names = argument_names(rule)
        steps.append(None if rule is None else [n in names or n not in op.rules for n in op.inputs])
    return steps
