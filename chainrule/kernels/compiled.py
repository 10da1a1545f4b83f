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
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue
from typing import Any

import numpy as np

from chainrule.kernels.cores import current_core, forget, leave
from chainrule.kernels.desk import ASLEEP, CALLED, COUNTERS, READY, STATE, Desk, inviting
from chainrule.kernels.memory import keep_freed


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
        self.desk = Desk()
        self.helpers = 0
        self.lock = threading.Lock()

    def grow(self) -> None:
        with self.lock:
            if not self.helpers:
                calm_blas()
            while self.helpers < self.threads - 1:
                self.helpers += 1
                threading.Thread(target=self.help, args=(self.calls, self.desk), name="chainrule", daemon=True).start()

    @staticmethod
    def help(calls: SimpleQueue, desk: Desk) -> None:
        while True:
            core, job = calls.get()
            leave(core)
            held = job[:]
            if held:
                held[0](*held[1])
            held = job = None  # hold no arrays while waiting
            while calls.empty() and desk.sit(calls):
                pass

    def call(self, work: Callable[..., Any], *args: Any, helpers: int) -> list:
        """Have work(*args) called by so many helpers, some time.

        Who empties the list that this returns calls it off for those that have not begun, and they hold its arrays no longer: an
        array that nobody else holds can become a gradient without a copy.
        """
        if self.helpers < self.threads - 1:
            self.grow()
        core = current_core()
        job = [work, args]
        for _ in range(helpers):
            self.calls.put((core, job))
        if self.desk.words[STATE] != CALLED:
            self.desk.room.call_away(self.desk.turns)
        return job


pool = Pool(available())


def nothing() -> None:
    """Have a helper come to the desk."""


def helper_awake() -> bool:
    """Whether a helper is at the desk, for a call that has another way without one; if none is, it may be for a later call."""
    desk = pool.desk
    if pool.threads == 1 or desk.room is None:
        return False
    state = desk.words[STATE]
    if state == ASLEEP and desk.worth_waking():
        leave(current_core(), desk.helper)
        desk.room.wake(desk.turns)
    elif state == CALLED and desk.worth_waking():
        pool.call(nothing, helpers=1)
    return state == READY


class Memory:
    """Where an array lies, which does not hold the array."""

    __slots__ = ("__array_interface__",)


def loose(a: np.ndarray) -> np.ndarray:
    """The elements of a contiguous array for a kernel to write, which does not hold the array.

    A helper that comes late, or waits for the interpreter to return, still has a kernel's arguments. It no longer looks at their
    elements, but an array that it held could not become a gradient without a copy.
    """
    memory = Memory()
    where = a.__array_interface__
    memory.__array_interface__ = {"data": where["data"], "shape": where["shape"], "typestr": where["typestr"], "version": 3}
    return np.asarray(memory)


def share(kernel: Callable[..., Any], *args: Any, alone: bool = False) -> None:
    """kernel(*args, turns) in all threads; in this one only if the work is too small to be worth waking others (`alone`).

    Kernels that invite are as good as with `loose` arrays.
    """
    desk, held = pool.desk, args
    if pool.threads > 1 and inviting(kernel):
        if (alone or pool.threads == 2) and desk.run(kernel, args, alone):
            return
        if not alone:
            held = tuple([loose(v) if v.__class__ is np.ndarray else v for v in args])
        elif desk.words[STATE] == CALLED and desk.worth_waking():
            pool.call(nothing, helpers=1)
    turns = np.zeros(COUNTERS, np.int64)
    if alone or pool.threads == 1:
        kernel(*args, turns)
        return
    job = pool.call(kernel, *held, turns, helpers=pool.threads - 1)
    try:
        kernel(*args, turns)
    finally:
        job.clear()


# The number of threads, here and in BLAS


_held = 0
_holding = threading.Lock()


def after_fork() -> None:
    """A child has none of its parent's other threads, and nobody holds its locks."""
    global _held, _holding
    _held, _holding = 0, threading.Lock()
    forget()
    pool.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)


def blas(*folders: str) -> list:
    """The BLAS libraries loaded from these folders of wheels; all BLAS libraries if there are none (one that is shared, then)."""
    from threadpoolctl import ThreadpoolController

    libraries = [c for c in ThreadpoolController().lib_controllers if c.user_api == "blas"]
    return [c for c in libraries if any([folder in c.filepath for folder in folders])] or libraries


@cache
def compiled_blas() -> list:
    """The BLAS that compiled kernels call, which is SciPy's."""
    import scipy.linalg.cython_blas  # noqa: F401

    keep_freed()
    libraries = blas("scipy.libs")
    for c in libraries:
        c.set_num_threads(pool.threads)
    return libraries


def calm_blas() -> None:
    """Have the threads of OpenBLAS sleep soon after a product: as they come, they look for the next for some 100 ms.

    They would do so on the cores that the helpers here need. OPENBLAS_THREAD_TIMEOUT says otherwise: they look 2 to its power cycles.
    """
    if pool.threads == 1 or "OPENBLAS_THREAD_TIMEOUT" in os.environ:
        return
    os.environ["OPENBLAS_THREAD_TIMEOUT"] = "16"
    if threading.active_count() > 1:  # another thread may be multiplying
        return
    for c in blas():
        read, stop = (getattr(c.dynlib, name, None) for name in ("openblas_read_env", "blas_thread_shutdown_"))
        if read and stop:
            read()
            stop()  # until the next product, which starts them with what was read


class OneThread:
    """Within, BLAS as compiled kernels call it has one thread, for the threads here are many enough."""

    def __enter__(self) -> None:
        global _held
        libraries = compiled_blas()
        with _holding:
            _held += 1
            if _held == 1 and pool.threads > 1:
                for c in libraries:
                    c.set_num_threads(1)

    def __exit__(self, *error: Any) -> None:
        global _held
        with _holding:
            _held -= 1
            if not _held and pool.threads > 1:
                for c in compiled_blas():
                    c.set_num_threads(pool.threads)


_one_thread = OneThread()


def one_blas_thread() -> OneThread:
    """A context in which BLAS has one thread, see `OneThread`."""
    return _one_thread


def get_num_threads() -> int:
    """The number of threads that an op may use.

    Example:
        >>> get_num_threads() >= 1
        True
    """
    return pool.threads


def set_num_threads(threads: int) -> None:
    """Let ops use this many threads, in kernels and in BLAS; RuntimeError unless it is a positive int.

    Example:
        >>> set_num_threads(get_num_threads())
    """
    if not isinstance(threads, int) or isinstance(threads, bool):
        raise RuntimeError(f"set_num_threads expects an int, but got {type(threads).__name__}")
    if threads < 1:
        raise RuntimeError("set_num_threads expects a positive integer")
    with _holding:
        pool.threads = threads
        for c in blas("numpy.libs") + ([] if _held else blas("scipy.libs")):
            c.set_num_threads(threads)
