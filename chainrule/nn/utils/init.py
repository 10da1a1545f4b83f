"""`skip_init`: modules whose parameters are not initialised."""

from __future__ import annotations

import inspect
from typing import Any

from chainrule.nn import init
from chainrule.nn.modules.module import Module

__all__ = ["skip_init"]

FILLS = ("uniform_", "normal_", "constant_", "ones_", "zeros_", "kaiming_uniform_")


def skip_init(module_cls: type, *args: Any, **kwargs: Any) -> Any:
    """Make a module with parameters of whatever values: `skip_init(Linear, 5, 1)`; draws no random numbers."""
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    before = {name: getattr(init, name) for name in FILLS}
    try:
        for name in FILLS:
            setattr(init, name, lambda tensor, *args, **kwargs: tensor)
        return module_cls(*args, **kwargs)
    finally:
        for name, function in before.items():
            setattr(init, name, function)
