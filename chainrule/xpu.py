"""`torch.xpu`: Intel's GPUs, not used here."""

from __future__ import annotations

__all__ = ["device_count", "empty_cache", "is_available", "manual_seed", "manual_seed_all"]


def is_available() -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def manual_seed(seed: int) -> None:
    """Nothing: there is no stream to seed."""


def manual_seed_all(seed: int) -> None:
    """Nothing: there is no stream to seed."""


def empty_cache() -> None:
    """Nothing: there is no memory to give back."""
