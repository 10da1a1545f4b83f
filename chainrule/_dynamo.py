"""The settings and decorators that programs set for PyTorch's compiler by its private name; nothing here depends on them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from chainrule.compiler import allow_in_graph, disable, is_compiling, list_backends, reset

__all__ = ["allow_in_graph", "config", "disable", "is_compiling", "list_backends", "reset"]

config: Any = SimpleNamespace(cache_size_limit=8, suppress_errors=False, verbose=False)
