"""Custom Functions in a `vmap`: the rule that the user wrote (`vmap`), or Function as it is, on batched arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

from chainrule._core import modes
from chainrule.autograd.function import EXPLAINED, Function
from chainrule.func import tree
from chainrule.func.levels import enter, inside, leave
from chainrule.kernels.batched import chain, is_mapped, top
from chainrule.tensor import Tensor


class VmapInfo(NamedTuple):
    """What a `vmap` staticmethod is told of the call."""

    batch_size: int
    randomness: str


def applied(cls: Any, args: tuple) -> tuple[bool, Any, tuple]:
    """(True, the result, args) if cls has a rule of its own; else (False, None, the arguments to go on with)."""
    level = top([a._data for a in args if isinstance(a, Tensor)])
    if level is None:
        return False, None, args
    name, own = cls.__name__, cls.vmap is not Function.vmap
    if cls.generate_vmap_rule and own:
        raise RuntimeError(
            f"You tried to vmap over {name}, but it has both generate_vmap_rule=True and an overridden vmap staticmethod. Please set "
            f"generate_vmap_rule=False or delete the overridden vmap staticmethod to avoid ambiguity. {EXPLAINED}"
        )
    if not cls.generate_vmap_rule and not own:
        raise RuntimeError(
            f"You tried to vmap over {name}, but it does not have vmap support. Please override and implement the vmap staticmethod or set "
            f"generate_vmap_rule=True. {EXPLAINED}"
        )
    if not own:
        levels = list(dict.fromkeys([v for a in args if isinstance(a, Tensor) for v in chain(a._data)]))
        levels.sort(key=lambda v: v.rank)
        return False, None, tuple([inside(a, levels) if isinstance(a, Tensor) and a.requires_grad else a for a in args])
    dims = tuple([getattr(a._data, "dim", 0) if isinstance(a, Tensor) and is_mapped(a._data, level) else None for a in args])
    given = [a if d is None else leave(a, d, level) for a, d in zip(args, dims, strict=True)]
    local = modes.local
    before, local.batching = local.batching, tuple([v for v in local.batching if v is not level])
    try:
        result = cls.vmap(VmapInfo(level.size, level.randomness), dims, *given)
    finally:
        local.batching = before
    if not isinstance(result, tuple) or len(result) != 2:
        got = f"{len(result)} returns" if isinstance(result, tuple) else f"a {type(result)}"
        raise RuntimeError(
            "Expected the vmap staticmethod to have two returns, an output and out_dims with pytree structure compatible with the output. "
            f"Got {got} instead"
        )
    outputs, out_dims = result
    places = tree.spread(out_dims, outputs)
    if places is None:
        raise RuntimeError(
            "The autograd.Function's vmap staticmethod returned an incompatible (output, out_dims) tuple. Expected "
            f"out_dims={out_dims} to be compatible with the structure of `output`. out_dims has structure {tree.pattern(out_dims)} but "
            f"output has structure {tree.pattern(outputs)}. {EXPLAINED}"
        )
    made = [
        t if d is None or not isinstance(t, Tensor) else enter(t, d % t._data.ndim, level)
        for t, d in zip(tree.leaves(outputs), places, strict=True)
    ]
    return True, tree.filled(outputs, made), args
