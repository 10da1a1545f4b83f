"""Memory that is used again: a large array costs a page fault every 4 KiB if its memory is fresh from the operating system.

The GNU C library gives large freed blocks back at once; `keep_freed` tells it to hold on to them. The peak stays what it was.
"""

from __future__ import annotations

import ctypes
from functools import cache

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # mallopt's names for its settings


@cache
def keep_freed() -> None:
    """Have freed memory kept for the next array; without effect where the C library is another."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(MMAP_MAX, 0)
    mallopt(TRIM_THRESHOLD, 2**31 - 1)
