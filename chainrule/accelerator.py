"""`torch.accelerator`: there is none."""

from __future__ import annotations

from typing import Any

from chainrule._core.types import device

__all__ = ["current_accelerator", "device_count", "is_available"]


def is_available() -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def current_accelerator(check_available: bool = False) -> device | None:
    """None."""
    return None


def synchronize(device: Any = None, /) -> None:
    """Raises RuntimeError: there is nothing to wait for."""
    raise RuntimeError("Cannot access accelerator device when none is available.")
