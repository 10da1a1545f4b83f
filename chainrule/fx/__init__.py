"""`torch.fx`, as far as programs that are not traced need it: there is no tracer, for chainrule runs programs as they are."""

from __future__ import annotations

from typing import Any

__all__ = ["wrap"]


def wrap(fn_or_name: Any) -> Any:
    """What it is given: nothing would trace into it."""
    return fn_or_name


def __getattr__(name: str) -> Any:
    raise AttributeError(f"torch.fx.{name} is not there: chainrule has no symbolic tracer, it runs programs as they are")
