"""The public functions with PyTorch's names and signatures, by family; each family's `__all__` becomes part of `chainrule`."""

from __future__ import annotations

from importlib import import_module as _import_module

from chainrule.methods import bind as _bind

_FAMILIES = (
    "creation", "windows", "random", "pointwise", "operators", "comparison", "reduce", "scan", "order", "statistics", "shape", "memory",
    "joining", "placing", "writing", "index", "matmul", "convert", "storage", "display", "linalg_basic", "spectral",
)  # fmt: skip

__all__: list[str] = []
for _name in _FAMILIES:
    _family = _import_module(f"chainrule.functions.{_name}")
    _bind(_family)
    _names = getattr(_family, "__all__", [])
    globals().update({n: getattr(_family, n) for n in _names})
    __all__ += _names
