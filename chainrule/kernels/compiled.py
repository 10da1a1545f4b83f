"""Compiled kernels and the threads they run on; this module itself loads neither Numba nor SciPy.

Kernels live in the rooms `kernels/*_numba.py`, stated by `compile_numba.kernel`; a room is imported inside the function that first
needs it. A kernel that shares its work takes `turns` last, an array of counters from which every thread claims the next piece:

    @kernel("(f4[:, ::1], f4[:, ::1], i8[::1])")               # kernels/rows_numba.py
    def double(x, y, turns):
        i = claim(turns, 0)
        while i < len(x):
            y[i] = 2 * x[i]
            finish(turns, 0)
            i = claim(turns, 0)
        wait(turns, 0, len(x))

    share(rows_numba.double, x, y)                             # kernels/rows.py

The calling thread works too and does all that nobody else has claimed, so a helper that comes late, or never, costs time but not
correctness: no thread waits for another to begin. That holds in any number of Python threads at once, and after a fork.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import numpy as np

PHASES = 8  # at most so many rounds of turns in one kernel
LINE = 16  # counters lie this far apart, so that no two share a line of the cache


def available() -> int:
    """The number of processors that this process may use, or OMP_NUM_THREADS."""
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if given.isdecimal() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool:
    """Helper threads that take calls from a queue; made when first needed, and anew in a forked child."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.forget()

    def forget(self) -> None:
        self.calls: SimpleQueue[tuple] = SimpleQueue()
        self.helpers = 0
        self.lock = threading.Lock()

    def grow(self) -> None:
        with self.lock:
            while self.helpers < self.threads - 1:
                self.helpers += 1
                threading.Thread(target=self.help, args=(self.calls,), name="chainrule", daemon=True).start()

    @staticmethod
    def help(calls: SimpleQueue) -> None:
        while True:
            call = calls.get()
            call[0](*call[1])
            call = None


pool = Pool(available())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.forget)


def share(kernel: Callable[..., Any], *args: Any, alone: bool = False) -> None:
    """kernel(*args, turns) in all threads; in this one only if the work is too small to be worth waking others (`alone`)."""
    turns = np.zeros(2 * LINE * PHASES, np.int64)
    if not alone and pool.threads > 1:
        if pool.helpers < pool.threads - 1:
            pool.grow()
        for _ in range(pool.threads - 1):
            pool.calls.put((kernel, (*args, turns)))
    kernel(*args, turns)


# The number of threads, here and in BLAS


_blas: dict[bool, list] = {}
_held = 0
_before: list[int] = []
_holding = threading.Lock()


def blas(compiled: bool) -> list:
    """The BLAS libraries that are loaded: those that compiled kernels call (SciPy's), or those of NumPy and SciPy."""
    if compiled not in _blas:
        import scipy.linalg.cython_blas
        from threadpoolctl import ThreadpoolController

        libraries = [c for c in ThreadpoolController().lib_controllers if c.user_api == "blas"]
        ours = [c for c in libraries if "scipy.libs" in c.filepath or (not compiled and "numpy.libs" in c.filepath)]
        _blas[compiled] = ours or libraries
        del scipy
    return _blas[compiled]


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within, BLAS as compiled kernels call it has one thread, for the threads here are many enough."""
    global _held
    libraries = blas(True)
    with _holding:
        if not _held:
            _before[:] = [c.get_num_threads() for c in libraries]
            for c in libraries:
                c.set_num_threads(1)
        _held += 1
    try:
        yield
    finally:
        with _holding:
            _held -= 1
            if not _held:
                for c, n in zip(libraries, _before, strict=True):
                    c.set_num_threads(n)


def get_num_threads() -> int:
    """The number of threads that an op may use.

    Example:
        >>> get_num_threads() >= 1
        True
    """
    return pool.threads


def set_num_threads(threads: int) -> None:
    """Let ops use this many threads, in compiled kernels and in BLAS.

    Example:
        >>> set_num_threads(get_num_threads())
    """
    if not hasattr(threads, "__index__") or isinstance(threads, bool):
        raise TypeError(f"set_num_threads expects an int, but got {type(threads).__name__}")
    if threads.__index__() <= 0:
        raise RuntimeError("set_num_threads expects a positive integer")
    with _holding:
        pool.threads = threads.__index__()
        for c in blas(False):
            c.set_num_threads(pool.threads)
        _before[:] = [pool.threads] * len(_before)
