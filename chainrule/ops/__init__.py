"""The primitives, by family: each a kernel and its derivative. `aten` gives public functions the names of PyTorch's dispatcher."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    if name == "aten":
        return import_module("chainrule.ops.aten")
    raise AttributeError(f"module 'chainrule.ops' has no attribute {name!r}")
