"""Binds the public functions to Tensor as methods, so that each is written once.

A family module under `chainrule.functions` lists in `METHODS` which of its functions are methods too, in `INPLACE` which have a
`name_` form, and in `OPERATORS` its special methods.
"""

from __future__ import annotations

from types import ModuleType

from chainrule.ops.inplace import inplace
from chainrule.tensor import Tensor


def bind(family: ModuleType) -> None:
    """Attach one family's functions to Tensor."""
    for name in getattr(family, "METHODS", ()):
        setattr(Tensor, name, getattr(family, name))
    for name in getattr(family, "INPLACE", ()):
        setattr(Tensor, f"{name}_", inplace(getattr(family, name), f"{name}_"))
    for name, function in getattr(family, "OPERATORS", {}).items():
        setattr(Tensor, name, function)
