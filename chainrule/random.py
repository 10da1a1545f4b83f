"""The random streams as a module, PyTorch's `torch.random`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chainrule._core.types import CPU, device
from chainrule.functions.random import Generator, default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state

__all__ = [
    "default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state", "thread_safe_generator",
]  # fmt: skip


def thread_safe_generator() -> Generator | None:
    """The generator for code that a DataLoader's worker threads may run: None, the default one, for its workers are processes."""
    return None


@contextmanager
def fork_rng(
    devices: Any = None, enabled: bool = True, _caller: str = "fork_rng", _devices_kw: str = "devices", device_type: str = "cpu"
) -> Iterator[None]:
    """Inside the block the default generator goes its own way; afterwards it is where it was before.

    Example:
        >>> with fork_rng():
        ...     a = rand(1)
        >>> bool((a == rand(1)).all())
        True
    """
    if device(device_type) != CPU:
        raise RuntimeError(f"chainrule has random streams on the CPU alone, but got device_type '{device_type}'")
    if not enabled:
        yield
        return
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)
