"""Optimizer steps as one compiled pass over all parameters, see `optimizer_numba`."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from chainrule.kernels.compiled import share
from chainrule.kernels.memory import keep_freed

TYPES = (np.dtype(np.float32), np.dtype(np.float64))
WORTH, SHARED = 1 << 14, 1 << 16  # numbers from which Numba is worth its import, and waking other threads
SHARES, SHORTEST, LONGEST = 32, 1 << 14, 1 << 18  # pieces of work, and numbers to a piece: short ones keep the memory waiting
C_ORDER, F_ORDER, ALIGNED, WRITEABLE = 0x1, 0x2, 0x100, 0x400  # NumPy's flags


class Job(NamedTuple):
    """One parameter's step: the kernel's name and its numbers; the parameter, its gradient and its buffers."""

    kernel: str
    options: tuple[float, ...]
    arrays: list[np.ndarray]


def alike(arrays: list[np.ndarray]) -> bool:
    """Whether a kernel takes these: one type, lying in memory in the same order without gaps."""
    dtype, shape, common = arrays[0].dtype, arrays[0].shape, -1
    for i, a in enumerate(arrays):
        if a.dtype != dtype or a.shape != shape:
            return False
        common &= a.flags.num | WRITEABLE if i == 1 else a.flags.num  # the gradient is only read
    return dtype in TYPES and bool(common & ALIGNED and common & WRITEABLE and common & (C_ORDER | F_ORDER))


def place(a: np.ndarray) -> int:
    """What two arrays over the same numbers have in common."""
    return id(a) if a.base is None else a.__array_interface__["data"][0]


@cache
def room() -> Any:
    """The compiled kernels."""
    from chainrule.kernels import optimizer_numba

    keep_freed()
    return optimizer_numba


def run(jobs: list[Job]) -> None:
    """Do all these steps."""
    groups: dict[Any, list[Job]] = {}
    seen: set[int] = set()
    for job in jobs:
        p = job.arrays[0]
        where = place(p)
        if where in seen:  # a parameter that comes twice has two steps, one after the other
            run_alike(groups)
            seen.clear()
        seen.add(where)
        groups.setdefault((job.kernel, p.dtype), []).append(job)
    run_alike(groups)


def run_alike(groups: dict[Any, list[Job]]) -> None:
    """Do the steps of each kernel and type, and forget them."""
    for (name, dtype), jobs in groups.items():
        rows: dict[tuple[float, ...], int] = {}
        table = [(job.arrays[0].size, rows.setdefault(job.options, len(rows)), *map(id, job.arrays)) for job in jobs]
        total = sum([row[0] for row in table])
        size = min(max(total // SHARES, SHORTEST), LONGEST)
        count = sum([-(-row[0] // size) for row in table])
        share(getattr(room(), name), np.array(table, np.int64), np.array(list(rows), dtype), size, count, alone=total < SHARED)
    groups.clear()


__all__ = ["WORTH", "Job", "alike", "run"]
