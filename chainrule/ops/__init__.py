"""The primitives, by family: each a kernel and its derivative. `aten` gives public functions the names of PyTorch's dispatcher;
other names are those of custom ops (`chainrule.library`)."""

from __future__ import annotations

from importlib import import_module
from sys import modules
from types import ModuleType, SimpleNamespace


def __getattr__(name: str) -> ModuleType | SimpleNamespace:
    if name == "aten":
        return import_module("chainrule.ops.aten")
    library = modules.get("chainrule.library")
    if library is not None and not name.startswith("__"):
        return library.namespace(name)
    raise AttributeError(f"module 'chainrule.ops' has no attribute {name!r}")
