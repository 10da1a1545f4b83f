"""Automatic differentiation, as `torch.autograd` names it: `backward`, `grad`, `Function`, modes, hooks, checks.

Tensors import `autograd.node`, so nothing here may import tensors: each public name is fetched from its room at its first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_ROOMS = {
    "anomaly_mode": ("detect_anomaly", "set_detect_anomaly"),
    "function": ("Function",),
    "grad_mode": ("enable_grad", "inference_mode", "no_grad", "set_grad_enabled", "set_multithreading_enabled"),
    "gradcheck": ("gradcheck", "gradgradcheck"),
    "gradients": ("backward", "grad"),
    "graph": (),
    "forward_ad": (),
    "functional": (),
    "profiler": (),
    "profiler_util": (),
    "variable": ("Variable",),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in (room, *names)}

__all__ = [
    "Variable", "Function", "backward", "grad_mode", "detect_anomaly", "enable_grad", "grad", "gradcheck", "gradgradcheck",
    "inference_mode", "no_grad", "set_detect_anomaly", "set_grad_enabled", "set_multithreading_enabled", "variable",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    room = import_module(f"{__name__}.{_HOME[name]}")
    # A room may be named as what it holds (`gradcheck`): then the function is the attribute, as in PyTorch.
    value = globals()[name] = room if name not in _ROOMS[_HOME[name]] else getattr(room, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
