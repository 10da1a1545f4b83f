"""What programs ask of PyTorch's compiled part by its private name, and has one answer here."""

from __future__ import annotations

from typing import Any

from chainrule._core import modes

__all__ = [
    "DisableTorchFunction", "DisableTorchFunctionSubclass", "_current_autograd_node", "_current_graph_task_id", "_get_tracing_state",
    "_log_api_usage_once",
]  # fmt: skip


class DisableTorchFunctionSubclass:
    """A context in which nobody's `__torch_function__` is asked: what subclasses' own enter to call the function itself."""

    def __enter__(self) -> None:
        self.before, modes.local.overrides = modes.local.overrides, False

    def __exit__(self, *exc: Any) -> None:
        modes.local.overrides = self.before


DisableTorchFunction = DisableTorchFunctionSubclass


def _log_api_usage_once(key: str) -> None:
    """Does nothing: nobody is told what is used."""


def _get_tracing_state() -> None:
    """None: nothing is being traced."""


def _current_graph_task_id() -> int:
    """The number of the backward pass that this thread is in, -1 outside of one."""
    return -1 if modes.local.task is None else modes.local.task[0]


def _current_autograd_node() -> Any:
    """The node of the custom Function, or with hooks, whose backward this thread is in; None outside of one."""
    return modes.local.running
