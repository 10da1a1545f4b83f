"""Large arrays in blocks that stay in the cache, shared out among the processor's cores.

NumPy lets go of the interpreter while it computes, so plain threads are enough. Blocks save more than threads do: what one pass
writes, the next one finds in the cache.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any

BLOCK = 1 << 16  # elements to a block
MANY = 1 << 18  # elements that are worth sharing out
CORES = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset(range(os.cpu_count() or 1))
_limit = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
_count = min(len(CORES), int(_limit) or 1) if _limit.isdigit() else len(CORES)
_tasks: SimpleQueue | None = None  # what the other threads wait at


def get_num_threads() -> int:
    """How many threads large arrays are shared out among.

    Example:
        >>> set_num_threads(2); get_num_threads()
        2
    """
    return _count


def set_num_threads(n: int) -> None:
    """Share large arrays out among `n` threads; RuntimeError unless it is a positive int."""
    global _count
    if not isinstance(n, int) or isinstance(n, bool):
        raise RuntimeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    if n < 1:
        raise RuntimeError("set_num_threads expects a positive integer")
    dismiss()
    _count = n


def in_blocks(work: Callable[[slice], Any], rows: int, width: int, block: int = BLOCK) -> list:
    """`work(rows)` for slices that together cover `range(rows)`, rows having `width` elements; the results, in order."""
    step = max(1, block // max(1, width))
    slices = [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
    shares = min(_count, len(slices)) if rows * width >= MANY else 1
    if shares == 1:
        return [work(s) for s in slices]
    cuts = [len(slices) * i // shares for i in range(shares + 1)]
    done: SimpleQueue = SimpleQueue()
    tasks, here = workers(), this_core()
    for i in range(1, shares):
        tasks.put((copy_context(), work, slices[cuts[i] : cuts[i + 1]], here, i, done))
    parts = [attempt(work, slices[: cuts[1]]), *[[]] * (shares - 1)]
    for _ in range(1, shares):  # nobody writes any more when this returns
        i, part = done.get()
        parts[i] = part
    for part in parts:
        if isinstance(part, BaseException):
            raise part
    return [value for part in parts for value in part]


def attempt(work: Callable[[slice], Any], slices: list[slice]) -> Any:
    """The results, or the error."""
    try:
        return [work(s) for s in slices]
    except BaseException as error:
        return error


def workers() -> SimpleQueue:
    """The queue of the threads beside the calling one, which are started when they are first needed."""
    global _tasks
    if _tasks is None:
        _tasks = SimpleQueue()
        for _ in range(_count - 1):
            threading.Thread(target=serve, args=(_tasks,), name="chainrule", daemon=True).start()
    return _tasks


def serve(tasks: SimpleQueue) -> None:
    """Do tasks until there is a None. The core of the thread that waits for them is left to it: some systems wake a thread on the
    core of the one that wakes it, and let both share that."""
    avoided = None
    while (task := tasks.get()) is not None:
        context, work, slices, core, i, done = task
        if core != avoided and len(CORES) > 1:
            with suppress(OSError):  # the process may have been moved elsewhere
                os.sched_setaffinity(0, CORES - {core})
            avoided = core
        done.put((i, context.run(attempt, work, slices)))
        del task, context, work, slices, done  # or they would live until the next task


def this_core() -> int | None:
    """The number of the core that this thread runs on, where the system says."""
    return _getcpu() if _getcpu is not None else None


_getcpu = getattr(ctypes.CDLL(None), "sched_getcpu", None) if hasattr(os, "sched_setaffinity") else None


def dismiss() -> None:
    """Let the threads end; the next large array starts new ones."""
    global _tasks
    if _tasks is not None:
        for _ in range(_count - 1):
            _tasks.put(None)
    _tasks = None


def forget() -> None:
    """In a forked child there are no other threads."""
    global _tasks
    _tasks = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)

__all__ = ["get_num_threads", "in_blocks", "set_num_threads"]
