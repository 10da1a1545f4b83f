"""What programs ask of PyTorch's compiled part by its private name, and has one answer here."""

from __future__ import annotations

__all__ = ["_get_tracing_state", "_log_api_usage_once"]


def _log_api_usage_once(key: str) -> None:
    """Does nothing: nobody is told what is used."""


def _get_tracing_state() -> None:
    """None: nothing is being traced."""
