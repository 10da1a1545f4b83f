"""Where a helper thread waits for kernels that take it in without the interpreter; see `handover_numba` for the compiled part.

To wake a thread, and to get hold of the interpreter in it, takes longer than to add 65,536 numbers. A helper that is awake, looking
for work in compiled code, joins within a fraction of a microsecond.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue
from typing import Any

import numpy as np

from chainrule.kernels.cores import current_core, leave

PHASES = 8  # at most so many rounds of turns in one kernel
LINE = 16  # counters lie this far apart, so that no two share a line of the cache
COUNTERS = 2 * LINE * PHASES
# Places at the desk: what goes on there, how many calls were taken, what to sleep on, the call that lies there and its arguments
STATE, TAKEN, SEMAPHORE, JOB, GIVEN = [COUNTERS + n for n in (0, 8, 16, 31, 32)]
READY, POSTED, WORKING, ASLEEP, CALLED = range(5)  # states; CALLED: elsewhere
LOOKS = 2000  # a helper looks so often, some 50 us, before it sleeps
SOMETIMES = 16  # calls that find no helper, of which one sees to it that the helper has another core
FIRST = 3  # short calls that go alone before a helper is woken for those that may follow
SELDOM = 255  # so many calls in a row do without a helper, at most, before it is tried again whether it comes in time


class Desk:
    """Where a helper waits that has nothing more to do, for a kernel that takes it in without the interpreter (`handover_numba`).

    Kernels too short to be worth waking it use it if it is awake; where they come in rows it is woken for the next, ever less often
    while nothing comes of that.
    """

    room: Any = None  # the compiled part, from the first kernel on that invites

    def __init__(self) -> None:
        self.turns = np.zeros(2 * COUNTERS, np.int64)
        self.counters, self.words = self.turns[:COUNTERS], memoryview(self.turns)
        self.words[STATE] = CALLED
        self.lock, self.seat = threading.Lock(), threading.Lock()
        self.missed = self.taken = self.away = 0
        self.patience = FIRST
        self.ready, self.helper = False, 0

    def run(self, kernel: Callable[..., Any], args: tuple, short: bool) -> bool:
        """kernel(*args, turns) with the helper, if it is awake or the kernel not short; False, and nothing, if it is not here."""
        state = self.words[STATE]
        if state != READY:
            self.away += 1
            if state in (POSTED, WORKING) and self.away % SOMETIMES == 0:
                leave(current_core(), self.helper)  # where it would not run before this thread stops
            if state != ASLEEP or (short and not self.worth_waking()):
                return False
            leave(current_core(), self.helper)
            self.room.wake(self.turns)
        if not self.lock.acquire(False):
            return False
        try:
            if self.words[STATE] != READY:  # before there was the lock
                return False
            self.counters.fill(0)
            kernel(*args, self.turns)
        finally:
            self.lock.release()
        return True

    def worth_waking(self) -> bool:
        """Whether to wake the helper for a short kernel and those that may follow."""
        self.missed += 1
        if self.missed <= self.patience:
            return False
        self.patience = FIRST if self.words[TAKEN] > self.taken + FIRST else min(2 * self.patience + 1, SELDOM)
        self.missed, self.taken = 0, self.words[TAKEN]
        return True

    def sit(self, calls: SimpleQueue) -> bool:
        """Take calls until wanted elsewhere; False if the seat is taken or nobody can sleep here."""
        if self.room is None or not self.seat.acquire(False):
            return False
        try:
            self.ready = self.ready or self.room.prepare(self.turns)
            if not self.ready:
                return False
            self.helper = threading.get_native_id()
            self.words[STATE] = READY
            return not calls.empty() or self.room.attend(self.turns, LOOKS)
        finally:
            self.words[STATE] = CALLED
            self.seat.release()


@cache
def inviting(kernel: Any) -> bool:
    """Whether a kernel takes in a helper from the desk."""
    if "invite" not in kernel.py_func.__code__.co_names:
        return False
    if Desk.room is None:
        from chainrule.kernels import handover_numba

        handover_numba.load()
        Desk.room = handover_numba
    return True
