"""Where threads run: some systems wake a thread on the core of the one that wakes it, and let both share it."""

from __future__ import annotations

import ctypes
import os
import threading
from contextlib import suppress

CORES = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()
avoided: dict[int, int] = {}  # by the system's number of a thread, the core that it keeps away from


def nowhere() -> int:
    return -1


# The number of the core that the calling thread runs on, -1 where the system does not say; too quick to let go of the interpreter for.
current_core = getattr(ctypes.PyDLL(None), "sched_getcpu", nowhere) if CORES else nowhere


def leave(core: int, thread: int | None = None) -> None:
    """Keep a thread, this one if None, away from a core."""
    thread = threading.get_native_id() if thread is None else thread
    if avoided.get(thread) != core and core in CORES and len(CORES) > 1:
        avoided[thread] = core
        with suppress(OSError):  # the process may have been moved elsewhere
            os.sched_setaffinity(thread, CORES - {core})


def forget() -> None:
    """A forked child has other threads."""
    avoided.clear()
