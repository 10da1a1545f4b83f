"""`torch.backends.opt_einsum`: the planner of einsum's contractions, not used here."""

from __future__ import annotations


def is_available() -> bool:
    """False."""
    return False


enabled = False
strategy: str | None = None
