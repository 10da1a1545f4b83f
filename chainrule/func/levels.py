"""The doors of a `vmap`: ops that take tensors in and out, and what a tensor from outside does inside.

All four are linear, and two of them are the transposes of the other two: `enter` (a dimension becomes the examples') and `leave`;
`lift` (a value from outside stands for every example) and `lower` (the examples' cotangents of such a value add up).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.kernels.batched import Batched, Level, chain, is_mapped
from chainrule.ops.primitive import Primitive, linear
from chainrule.ops.shape import expand
from chainrule.tensor import Tensor, wrap


def is_above(a: Any, level: Level) -> bool:
    """Whether a is batched at a level further in; ops of a level go through those."""
    return a.__class__ is Batched and a.level.rank > level.rank


@linear(a=lambda g, dim, level: leave(g, dim, level), node="AddBatchDim")
def enter(a: Any, dim: int, level: Level) -> Any:
    """Dimension `dim` becomes the one of the examples."""
    if is_above(a, level):
        return Batched(enter.kernel(a.array, dim + a.mapped, level), a.level, a.mapped)
    entered = Batched(np.moveaxis(a, dim, 0) if dim else a, level)
    if dim:
        entered.dim = dim
    return entered


@linear(a=lambda g, dim, level: enter(g, dim, level), node="RemoveBatchDim")
def leave(a: Any, dim: int, level: Level) -> Any:
    """The dimension of the examples becomes `dim`; what is the same for all of them is repeated."""
    if is_above(a, level):
        return Batched(leave.kernel(a.array, dim + a.mapped, level), a.level, a.mapped)
    if is_mapped(a, level):
        return np.moveaxis(a.array, 0, dim) if dim else a.array
    a = a.array if a.__class__ is Batched and a.level is level else a
    shape = a.shape
    a = a.reshape((*shape[:dim], 1, *shape[dim:]))
    return expand.kernel(a, (*shape[:dim], level.size, *shape[dim:]))


@linear(a=lambda g, level: lower(g, level), node="LiftBackward")
def lift(a: Any, level: Level) -> Any:
    """The same value for every example."""
    if is_above(a, level):
        return Batched(lift.kernel(a.array, level), a.level, a.mapped)
    return a if a.__class__ is Batched and a.level is level else Batched(a, level, False)


@linear(a=lambda g, level: lift(g, level), node="SumBackward1")
def lower(a: Any, level: Level) -> Any:
    """The sum over the examples."""
    if is_above(a, level):
        return Batched(lower.kernel(a.array, level), a.level, a.mapped)
    if is_mapped(a, level):
        return a.array.sum(0, dtype=a.dtype)
    return (a.array if a.__class__ is Batched and a.level is level else a) * level.size


DOORS = frozenset((enter, leave, lift, lower))


def lifted(op: Primitive, inputs: Sequence, arrays: tuple, outs: list) -> tuple[Sequence, tuple]:
    """The inputs of an op, those that are tracked lifted to all levels of its results: their cotangents will have those."""
    if not modes.local.grad or modes.local.inference or op in DOORS:
        return inputs, arrays
    first = outs[0]._data
    if first.__class__ is Batched and first.array.__class__ is np.ndarray and all([is_at(t, first.level) for t in inputs]):
        return inputs, arrays
    levels = list(dict.fromkeys([level for t in outs for level in chain(t._data)]))
    if not levels:
        return inputs, arrays
    made: list = []
    for t in inputs:
        if isinstance(t, Tensor) and t.requires_grad:
            t = inside(t, levels)
        made.append(t)
    return made, tuple([t._data if isinstance(t, Tensor) else a for t, a in zip(made, arrays, strict=True)])


def is_at(t: Any, level: Level) -> bool:
    """Whether t needs no lifting to a level: it is there, or its cotangent does not matter."""
    return not isinstance(t, Tensor) or (t._data.__class__ is Batched and t._data.level is level) or not t.requires_grad


def is_plain(t: Tensor) -> bool:
    """Whether t needs no op to go through a door: it has no history, and nothing watches."""
    local = modes.local
    return t.__class__ is Tensor and local.dual_level < 0 and local.watch is None and not t.requires_grad


def at_levels(a: Any, levels: Sequence[Level]) -> Any:
    """The array at all of these levels."""
    held = chain(a)
    for level in levels:
        if level not in held:
            a = Batched(a, level, False)
    return a


def entered(t: Tensor, dim: int, level: Level) -> Tensor:
    """`enter`, as an op only where somebody has to know."""
    return wrap(enter.kernel(t._data, dim, level)) if is_plain(t) else enter(t, dim, level)


def left(t: Tensor, dim: int, level: Level) -> Tensor:
    """`leave`, as an op only where somebody has to know."""
    return wrap(leave.kernel(t._data, dim, level)) if is_plain(t) else leave(t, dim, level)


def inside(t: Tensor, levels: Sequence[Level]) -> Tensor:
    """t at all of these levels."""
    held = chain(t._data)
    for level in levels:
        if level not in held:
            t = lift(t, level)
    return t
