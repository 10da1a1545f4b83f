"""Random numbers inside `vmap`: the same for all examples, each example's own, or none at all, as the call says."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule._core.generator import Generator, default_generator
from chainrule.kernels.batched import Batched, Level, example, front, is_mapped, stacked

state, local = modes.state, modes.local
RANDOM = (
    "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' randomness flags on vmap "
    "or perform the randomness operation out of vmap"
)


def drawing(sampler: Callable) -> Callable:
    """A kernel that draws random numbers of the shape that it gets first, as the running calls of `vmap` want them."""

    @wraps(sampler)
    def call(shape: Any, *rest: Any, **named: Any) -> Any:
        if not state.levels or not local.batching:
            return sampler(shape, *rest, **named)
        *outer, level = local.batching
        if level.randomness == "error":
            raise RuntimeError(RANDOM)
        before, local.batching = local.batching, tuple(outer)
        try:
            if level.randomness == "same":
                if not any([is_mapped(v, level) for v in (shape, *rest)]):
                    return call(shape, *rest, **named)
                return stacked(same_numbers(level, call, (shape, *rest), named), level)
            if isinstance(shape, int):  # a permutation
                return stacked([call(shape, *rest, **named) for _ in range(level.size)], level)
            if isinstance(shape, tuple):
                whole = (level.size, *shape)
                rest = tuple([np.broadcast_to(front(v, level), whole) if isinstance(v, (np.ndarray, Batched)) else v for v in rest])
                return Batched(call(whole, *rest, **named), level)
            return Batched(call(front(shape, level), *rest, **named), level)  # the chances of a multinomial
        finally:
            local.batching = before

    return call


def same_numbers(level: Level, sampler: Callable, args: tuple, named: dict) -> list:
    """What each example draws, if all start from the same state of the generator."""
    source = next((v for v in (*args, *named.values()) if isinstance(v, Generator)), default_generator)
    start, results = Generator.get_state(source), []
    for i in range(level.size):
        Generator.set_state(source, start)
        results.append(sampler(*[example(a, level, i) for a in args], **named))
    return results
