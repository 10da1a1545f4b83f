"""Large arrays in blocks that stay in the cache, shared out among the processor's cores.

NumPy lets go of the interpreter while it computes, so plain threads are enough. Blocks save more than threads do: what one pass
writes, the next one finds in the cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from itertools import count
from queue import SimpleQueue
from threading import local
from typing import Any

from chainrule.kernels.compiled import pool

BLOCK = 1 << 16  # elements to a block
MANY = 1 << 18  # elements that are worth sharing out
CORES = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()
avoided = local()
_getcpu: Any = None


def get_num_threads() -> int:
    """How many threads large arrays are shared out among.

    Example:
        >>> set_num_threads(2); get_num_threads()
        2
    """
    return pool.threads


def set_num_threads(n: int) -> None:
    """Share large arrays out among `n` threads; RuntimeError unless it is a positive int."""
    if not isinstance(n, int) or isinstance(n, bool):
        raise RuntimeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    if n < 1:
        raise RuntimeError("set_num_threads expects a positive integer")
    pool.threads = n


def in_blocks(work: Callable[[slice], Any], rows: int, width: int, block: int = BLOCK) -> list:
    """`work(rows)` for slices that together cover `range(rows)`, rows having `width` elements; the results, in order.

    Every thread takes the next slice until there are none, so one that comes late costs no time.
    """
    step = max(1, block // max(1, width))
    slices = [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
    helpers = min(pool.threads, len(slices)) - 1 if rows * width >= MANY else 0
    if helpers <= 0:
        return [work(s) for s in slices]
    results: list = [None] * len(slices)
    errors: list[BaseException] = []
    turn = count().__next__
    done: SimpleQueue = SimpleQueue()

    def take() -> None:
        while (i := turn()) < len(slices):
            try:
                if not errors:
                    results[i] = work(slices[i])
            except BaseException as error:
                errors.append(error)
            done.put(None)

    def help(core: int) -> None:
        leave(core)
        take()

    pool.grow()
    here = this_core()
    for _ in range(helpers):
        pool.calls.put((copy_context().run, (help, here)))
    take()
    for _ in slices:  # nobody writes any more when this returns
        done.get()
    if errors:
        raise errors[0]
    return results


def this_core() -> int:
    """The number of the core that this thread runs on, -1 where the system does not say."""
    global _getcpu
    if _getcpu is None:
        import ctypes

        _getcpu = getattr(ctypes.CDLL(None), "sched_getcpu", None) if CORES else None
        if _getcpu is None:
            _getcpu = lambda: -1
    return _getcpu()


def leave(core: int) -> None:
    """Keep this thread away from a core: some systems wake a thread on the core of the one that wakes it, and let both share it."""
    if core in CORES and len(CORES) > 1 and getattr(avoided, "core", -1) != core:
        with suppress(OSError):  # the process may have been moved elsewhere
            os.sched_setaffinity(0, CORES - {core})
        avoided.core = core


__all__ = ["get_num_threads", "in_blocks", "set_num_threads"]
