"""How primitives and public functions run on batched arrays: by a rule, as they are, or example by example.

A pointwise op broadcasts. A kernel made of NumPy's functions runs as it is, since batched arrays know those (`kernels.batched`).
What `func.rules` has a rule for goes by it. All else goes example by example, with a warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.autograd.node import Node
from chainrule.func import tree
from chainrule.func.levels import DOORS, enter, leave
from chainrule.kernels.batched import (
    BRANCH,
    DYNAMIC,
    Batched,
    Level,
    NotBatched,
    chain,
    elementwise,
    example,
    inner,
    is_mapped,
    one_by_one,
    stacked,
    top,
    wrapped,
)  # fmt: skip
from chainrule.ops import joining, shape
from chainrule.ops.pointwise_form import Pointwise
from chainrule.ops.primitive import Primitive
from chainrule.tensor import Tensor, wrap

Rule = Callable[[Primitive, Level, tuple], Any]
local = modes.local
NO_RULE = (
    "There is a performance drop because we have not yet implemented the batching rule for {}. Please file us an issue on GitHub so that "
    "we can prioritize its implementation."
)
RULES: dict[Primitive, Rule] = {}
FAMILIES: dict[str, Rule] = {}  # by the name that primitives share which differ in the names of their nodes
REFUSED = {  # what depends on the values, and what gives no tensor
    **{name: DYNAMIC.format(f"aten::{name}") for name in ("nonzero", "where", "unique_consecutive")},
    "unique": DYNAMIC.format("aten::_unique2"),
    "masked_select": (
        "vmap: Attempted to vmap over `mask` in torch.masked_select(self, mask) We cannot support this because for each batch this would "
        "return a differently shaped Tensor. Please file an issue at https://github.com/pytorch/pytorch/issues if you need this feature."
    ),
    "equal": "Batching rule not implemented for aten::equal. We could not generate a fallback.",
    "allclose": (
        "vmap over torch.allclose isn't supported yet. Please file an issue at https://github.com/pytorch/pytorch/issues if you need this "
        "feature."
    ),
    "is_nonzero": BRANCH,
}  # fmt: skip
OF_OWN = {"new_empty", "new_empty_strided", "new_full", "new_ones", "new_zeros"}  # each example gets memory of its own to write into
ESCAPED = (
    "Either your tensor may have escaped from inside a function being vmapped and this is a user error (see "
    "https://pytorch.org/functorch/stable/ux_limitations.html), or there is an internal functorch error in `gen_vmap_plumbing` Please "
    "file an issue if it looks like the latter"
)
looped: set[str] = set()  # the primitives that went example by example so far


def computed(op: Primitive, args: tuple) -> Any:
    """The kernel of `op` on arrays, of which some may be batched."""
    level = top(args)
    if level is None or op in DOORS:
        return op.kernel(*args)
    if level not in local.batching and local.task is None:
        raise RuntimeError(ESCAPED)
    if isinstance(op, Pointwise):
        return elementwise(level, op.compute if modes.state.levels > 1 else op.kernel, args)
    inputs = args[0] if op.variadic is True else args[: op.arity]
    rule = RULES.get(op) or FAMILIES.get(op.name)
    if not any([is_mapped(a, level) for a in inputs]) and not varies(args, level):
        return wrapped(op.compute(*inner(args, level)), level, False)
    if rule is not None:
        return rule(op, level, args)
    try:
        return op.kernel(*args)
    except NotBatched:
        return by_example(op, level, args)


def varies(args: Any, level: Level) -> bool:
    """Whether something among nested arguments differs between the examples."""
    return any([is_mapped(a, level) or (isinstance(a, (tuple, list)) and varies(a, level)) for a in args])


def by_example(op: Primitive, level: Level, args: tuple) -> Any:
    """The rule for what has none."""
    looped.add(op.name)
    warn_of_loop(op.name)
    return one_by_one(level, op.compute, args)


def called(function: Callable, args: tuple, kwargs: dict) -> Any:
    """A public function; if it needs the memory of what is batched it goes example by example."""
    data = args[0]._data if args and isinstance(args[0], Tensor) else None
    name = function.__name__
    if data.__class__ is Batched:
        if name in REFUSED:
            refuse(name, args)
        if name in OF_OWN:
            return for_each(function(*args, **kwargs), data)
    try:
        return function(*args, **kwargs)
    except NotBatched:
        return called_by_example(function, args, kwargs)


def refuse(name: str, args: tuple) -> None:
    """RuntimeError if what the function looks at differs between the examples."""
    if name == "where" and len(args) > 1:
        return
    subject = args[1] if name == "masked_select" and len(args) > 1 else args[0]
    data = subject._data if isinstance(subject, Tensor) else None
    while data.__class__ is Batched:
        if data.mapped:
            raise RuntimeError(REFUSED[name])
        data = data.array


def for_each(t: Tensor, model: Batched) -> Tensor:
    """Memory like that of t for each example that `model` has."""
    levels = chain(model)
    array: Any = np.array(np.broadcast_to(t._data, (*[level.size for level in levels], *t._data.shape)))
    for level in levels:
        array = Batched(array, level)
    made = wrap(array)
    made._tracked = t._tracked
    return made


def called_by_example(function: Callable, args: tuple, kwargs: dict) -> Any:
    flat = tree.leaves((args, kwargs))
    levels = [chain(t._data)[-1] for t in flat if isinstance(t, Tensor) and t._data.__class__ is Batched]
    if not levels or function.__name__.endswith("_") or function.__name__ in ("grad", "backward"):
        raise
    level = max(levels, key=lambda v: v.rank)
    looped.add(f"{function.__name__}()")
    warn_of_loop(function.__name__)
    results = []
    for i in range(level.size):
        examples = [example_of(t, level, i) if isinstance(t, Tensor) else t for t in flat]
        some, named = tree.filled((args, kwargs), examples)
        results.append(called(function, some, named))
    columns = zip(*[tree.leaves(r) for r in results], strict=True)
    return tree.filled(results[0], [gathered(column, level) for column in columns])


def vjp_by_example(node: Node, g: Any, saved: Any) -> tuple:
    """`node.vjp`, on arrays or Tensors, whose formula needs the memory of what is batched."""
    flat = tree.leaves((g, saved))
    tensors = isinstance(flat[0], Tensor)
    level = top([t._data if isinstance(t, Tensor) else t for t in flat])
    looped.add(node.name())
    warn_of_loop(node.name())
    results = []
    for i in range(level.size):
        examples = [example_of(t, level, i) if isinstance(t, Tensor) else example(t, level, i) for t in flat]
        results.append(node.vjp(*tree.filled((g, saved), examples)))
    return tuple([
        None if c[0] is None else gathered(c, level) if tensors else stacked(list(c), level) for c in zip(*results, strict=True)
    ])  # fmt: skip


def example_of(t: Tensor, level: Level, i: int) -> Tensor:
    """Example i of a tensor, whole if it has none."""
    return shape.select(leave(t, 0, level), 0, i) if level in chain(t._data) else t


def gathered(values: tuple, level: Level) -> Any:
    """The results of the examples as one batched tensor."""
    if not isinstance(values[0], Tensor):
        return values[0]
    if any([v._data.shape != values[0]._data.shape for v in values]):
        raise NotBatched(DYNAMIC.format("an operator whose results differ in shape"))
    return enter(joining.stack(values, 0), 0, level)


@cache
def warn_of_loop(name: str) -> None:
    warnings.warn(NO_RULE.format(f"aten::{name}"), UserWarning, stacklevel=2)
