"""`utils.swap_tensors`: two tensors become each other, for everyone who holds them."""

from __future__ import annotations

import weakref
from typing import Any

from chainrule.tensor import Tensor

FIELDS = [name for name in Tensor.__slots__ if name not in ("__weakref__", "__dict__")]


def swap_tensors(t1: Tensor, t2: Tensor) -> None:
    """Exchange two tensors' values, histories, classes and attributes; RuntimeError if one has a weak reference to it.

    Example:
        >>> a, b = ones(1), zeros(2)
        >>> swap_tensors(a, b)
        >>> a
        tensor([0., 0.])
    """
    for name, t in (("t1", t1), ("t2", t2)):
        if weakref.getweakrefs(t):
            raise RuntimeError(f"Cannot swap {name} because it has weakref associated with it")
    t1.__class__, t2.__class__ = t2.__class__, t1.__class__
    t1.__dict__, t2.__dict__ = t2.__dict__, t1.__dict__
    first, second = state(t1), state(t2)
    for t, values in ((t1, second), (t2, first)):
        for name, value in values.items():
            object.__setattr__(t, name, value)


def state(t: Tensor) -> dict[str, Any]:
    return {name: getattr(t, name) for name in FIELDS if hasattr(t, name)}
