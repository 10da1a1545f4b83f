"""The random streams as a module, PyTorch's `torch.random`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chainrule._core.types import CPU, device
from chainrule.functions.random import default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state

__all__ = ["default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state"]


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
