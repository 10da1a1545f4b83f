"""Large arrays in blocks that stay in the cache, shared out among the processor's cores.

NumPy lets go of the interpreter while it computes, so plain threads are enough. Blocks save more than threads do: what one pass
writes, the next one finds in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from itertools import count
from queue import SimpleQueue
from typing import Any

from chainrule.kernels.compiled import get_num_threads, pool, set_num_threads

BLOCK = 1 << 16  # elements to a block
MANY = 1 << 18  # elements that are worth sharing out


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

    jobs = [pool.call(copy_context().run, take, helpers=1) for _ in range(helpers)]
    take()
    for _ in slices:  # nobody writes any more when this returns
        done.get()
    for job in jobs:
        job.clear()
    if errors:
        raise errors[0]
    return results


__all__ = ["get_num_threads", "in_blocks", "set_num_threads"]
