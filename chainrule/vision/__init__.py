"""Data sets, models and transforms for pictures, with torchvision's names: `from chainrule import vision as torchvision`."""

from __future__ import annotations

from importlib import import_module as _import_module
from types import ModuleType as _Module

_SUBMODULES = ("datasets", "models", "ops", "transforms", "utils")


def __getattr__(name: str) -> _Module:
    if name in _SUBMODULES:
        return _import_module(f"chainrule.vision.{name}")
    raise AttributeError(f"module 'torchvision' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_SUBMODULES]
