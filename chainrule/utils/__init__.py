"""Helpers around training: `utils.data` and friends; each loads when it is first used."""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import Any as _Any

_SUBMODULES = ("_pytree", "benchmark", "checkpoint", "data", "dlpack", "hooks", "model_zoo", "safetensors")


def __getattr__(name: str) -> _Any:
    if name == "swap_tensors":
        return _import_module("chainrule.utils.swap").swap_tensors
    if name in _SUBMODULES:
        return _import_module(f"chainrule.utils.{name}")
    raise AttributeError(f"module 'torch.utils' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_SUBMODULES]
