"""`torch.profiler`: where the time of a training loop goes, step by step if a schedule says so.

    with profile(record_shapes=True) as prof:
        loss(model(x)).backward()
    print(prof.key_averages().table(sort_by="self_cpu_time_total", row_limit=10))

The names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import Any

_ROOMS = {
    "chainrule.profiler.stepping": "ProfilerAction ProfilerActivity profile schedule supported_activities tensorboard_trace_handler",
    "chainrule.autograd.profiler": "kineto_available record_function",
    "chainrule.autograd.profiler_util": "DeviceType",
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names.split()}

__all__ = [
    "profile", "schedule", "supported_activities", "tensorboard_trace_handler", "ProfilerAction", "ProfilerActivity", "kineto_available",
    "DeviceType", "record_function",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(_import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
