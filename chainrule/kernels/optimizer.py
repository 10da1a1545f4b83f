"""Optimizer steps as one compiled pass over all parameters, see `optimizer_numba`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule.kernels.compiled import share
from chainrule.kernels.memory import keep_freed

TYPES = (np.dtype(np.float32), np.dtype(np.float64))
WORTH, SHARED = 1 << 14, 1 << 16  # numbers from which Numba is worth its import, and waking other threads


class Job(NamedTuple):
    """One parameter's step: the kernel's name, its numbers; the parameter, its gradient and its buffers; and the same in NumPy."""

    kernel: str
    options: tuple[float, ...]
    arrays: list[np.ndarray]
    rule: Callable[..., None]


def alike(arrays: list[np.ndarray]) -> bool:
    """Whether a kernel takes these: one type, lying in memory in the same order without gaps."""
    first = arrays[0]
    dtype, shape = first.dtype, first.shape
    if dtype not in TYPES or not all([a.dtype == dtype and a.shape == shape and a.flags.aligned for a in arrays]):
        return False
    if not all([a.flags.writeable for a in (first, *arrays[2:])]):
        return False
    return all([a.flags.c_contiguous for a in arrays]) or all([a.flags.f_contiguous for a in arrays])


def address(a: np.ndarray) -> int:
    return a.__array_interface__["data"][0]


def run(jobs: list[Job]) -> None:
    """Do all these steps."""
    from chainrule.kernels import optimizer_numba

    keep_freed()
    groups: dict[Any, list[Job]] = {}
    seen: set[int] = set()
    for job in jobs:
        p = job.arrays[0]
        place = id(p) if p.base is None else address(p)
        if place in seen:  # a parameter that comes twice has two steps, one after the other
            run_alike(optimizer_numba, groups)
            seen.clear()
        seen.add(place)
        groups.setdefault((job.kernel, job.arrays[0].dtype), []).append(job)
    run_alike(optimizer_numba, groups)


def run_alike(room: Any, groups: dict[Any, list[Job]]) -> None:
    """Do the steps of each kernel and type, and forget them."""
    for (name, dtype), jobs in groups.items():
        places = np.array([[address(a) for a in job.arrays] for job in jobs], np.int64)
        sizes = np.array([job.arrays[0].size for job in jobs], np.int64)
        firsts = np.zeros(len(jobs) + 1, np.int64)
        np.cumsum(-(-sizes // room.PIECE), out=firsts[1:])
        options = np.array([job.options for job in jobs], dtype)
        share(getattr(room, name), places, sizes, firsts, options, alone=int(sizes.sum()) < SHARED)
    groups.clear()


__all__ = ["WORTH", "Job", "alike", "run"]
