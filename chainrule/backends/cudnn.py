"""`torch.backends.cudnn`: not there; its switches can be set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

enabled = True
deterministic = False
benchmark = False
benchmark_limit: int | None = 10
allow_tf32 = True


def is_available() -> bool:
    """False."""
    return False


def version() -> int | None:
    """None."""
    return None


def is_acceptable(tensor: Any) -> bool:
    """False."""
    return False


@contextmanager
def flags(**switches: Any) -> Iterator[None]:
    """Within the block the switches (enabled, benchmark, deterministic, allow_tf32, ...) are set so."""
    before = {name: globals().get(name) for name in switches}
    globals().update(switches)
    try:
        yield
    finally:
        globals().update(before)
