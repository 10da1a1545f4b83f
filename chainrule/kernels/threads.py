"""Large arrays in blocks that stay in the cache, shared out among the processor's cores.

NumPy lets go of the interpreter while it computes, so plain threads are enough. Blocks save more than threads do: what one pass
writes, the next one finds in the cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

BLOCK = 1 << 16  # elements to a block
MANY = 1 << 17  # elements that are worth sharing out
_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_limit = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
_count = min(_cores, int(_limit)) if _limit.isdigit() and int(_limit) else _cores
_pool: Any = None


def get_num_threads() -> int:
    """How many threads large arrays are shared out among.

    Example:
        >>> set_num_threads(2); get_num_threads()
        2
    """
    return _count


def set_num_threads(n: int) -> None:
    """Share large arrays out among `n` threads; RuntimeError unless it is a positive int."""
    global _count, _pool
    if not isinstance(n, int) or isinstance(n, bool):
        raise RuntimeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    if n < 1:
        raise RuntimeError("set_num_threads expects a positive integer")
    _count, _pool = n, None


def in_blocks(work: Callable[[slice], Any], rows: int, width: int, block: int = BLOCK) -> list:
    """`work(rows)` for slices that together cover `range(rows)`, rows having `width` elements; the results, in order."""
    step = max(1, block // max(1, width))
    slices = [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
    shares = min(_count, len(slices)) if rows * width >= MANY else 1
    if shares == 1:
        return [work(s) for s in slices]
    cuts = [len(slices) * i // shares for i in range(shares + 1)]
    parts = [slices[low:high] for low, high in zip(cuts, cuts[1:], strict=False)]
    others = [pool().submit(copy_context().run, each, work, part) for part in parts[1:]]
    try:
        results = each(work, parts[0])
    finally:
        rest = [other.exception() for other in others]  # nobody writes any more when this returns
    for error in rest:
        if error is not None:
            raise error
    return [*results, *[value for other in others for value in other.result()]]


def each(work: Callable[[slice], Any], slices: list[slice]) -> list:
    return [work(s) for s in slices]


def pool() -> Any:
    """The threads beside the calling one, started when they are first needed."""
    global _pool
    if _pool is None:
        from concurrent.futures import ThreadPoolExecutor

        _pool = ThreadPoolExecutor(_count - 1, "chainrule")
    return _pool


def _forget() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)  # threads stay behind in the parent

__all__ = ["get_num_threads", "in_blocks", "set_num_threads"]
