"""What programs call by PyTorch's private name for its compiled part, and mean nothing by here."""

from __future__ import annotations

__all__ = ["_log_api_usage_once"]


def _log_api_usage_once(key: str) -> None:
    """Does nothing: nobody is told what is used."""
