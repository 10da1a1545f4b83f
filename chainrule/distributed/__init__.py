"""`torch.distributed`: as in a PyTorch that was built without it, one can ask whether it is there."""

from __future__ import annotations

__all__ = ["is_available", "is_initialized"]


def is_available() -> bool:
    """False: a program runs in one process (and the workers of its DataLoaders)."""
    return False


def is_initialized() -> bool:
    """False."""
    return False
