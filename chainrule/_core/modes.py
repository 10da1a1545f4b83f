"""What a thread is doing: gradients on or off, inference, hooks, forward mode.

The eager path asks one question of all this, `state.busy`: does any thread do anything out of the ordinary? Only when it is
not zero does an op look at `local`, the calling thread's own settings.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class _State:
    __slots__ = ("busy", "levels")


class _Local(threading.local):
    """One thread's settings; a new thread starts with these defaults."""

    grad = True
    inference = False
    anomaly = False
    check_nan = True
    dual_level = -1  # the last level of forward mode that ops push tangents for
    forward = True  # whether they push any
    duals: tuple = ()  # for each level a list: how long it may get, and weak references to the tensors with a tangent
    saved_hooks: tuple = ()  # a stack of (pack, unpack)
    saved_hooks_disabled: str | None = None
    function_modes: tuple = ()  # a stack of TorchFunctionMode
    overrides = True  # whether __torch_function__ is looked up
    create_graph = False  # whether the backward pass now running records itself
    task: tuple | None = None  # the backward pass now running, see autograd.engine.run
    modules: tuple = ()  # the module calls that a viz.watch saw begin and not yet end, as (name, number of the call)
    running: object = None  # under anomaly mode, the node whose backward is running
    watch: Callable | None = None  # what makes the results of primitives instead of them, see utils.selective
    transforms = 0  # how many of func's transforms are running
    batching: tuple = ()  # the calls of vmap now running, a stack of kernels.batched.Level
    profile: Any = None  # the recorder of the profile that is on, see profiler.recorder


state = _State()
state.busy = 0
state.levels = 0  # how many calls of vmap have left something behind that is still there
local = _Local()
lock = threading.RLock()


def occupy(count: int) -> None:
    """Add `count` (+1 or -1) to the things that ops must look out for."""
    with lock:
        state.busy += count


def count_level(count: int) -> None:
    """A call of vmap begins (+1), or the last that it left is gone (-1)."""
    with lock:
        state.busy += count
        state.levels += count


def set_grad(enabled: bool) -> bool:
    """Switch gradient recording in this thread; returns what it was."""
    before = local.grad
    if before is not enabled:
        local.grad = enabled
        occupy(1 if before else -1)
    return before


def set_inference(enabled: bool) -> bool:
    """Switch inference mode in this thread; returns what it was."""
    before = local.inference
    if before is not enabled:
        local.inference = enabled
        occupy(-1 if before else 1)
    return before


def grad_enabled() -> bool:
    """Whether ops in this thread are being recorded."""
    return not state.busy or local.grad


def set_anomaly(enabled: bool, check_nan: bool = True) -> None:
    """Switch anomaly detection in this thread."""
    if local.anomaly is not enabled:
        local.anomaly = enabled
        occupy(1 if enabled else -1)
    local.check_nan = check_nan
