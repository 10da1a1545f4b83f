"""Functions that make tensors from nothing look out for no mode; while a profile is on, timed ones stand in their places."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

import chainrule
from chainrule._core import modes
from chainrule.profiler.names import of_function

NAMES = (
    "arange", "empty", "empty_permuted", "empty_strided", "eye", "full", "linspace", "logspace", "ones", "rand", "randint", "randn",
    "randperm", "range", "scalar_tensor", "zeros",
)  # fmt: skip
replaced: dict[str, Callable] = {}
profiles = 0
lock = threading.Lock()


def timed(name: str, function: Callable) -> Callable:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        profile = modes.local.profile
        return function(*args, **kwargs) if profile is None else profile.timed(of_function(name), args, kwargs, function, True)

    return call


def count(change: int) -> None:
    """A profile begins (+1) or ends (-1)."""
    global profiles
    with lock:
        profiles += change
        room = vars(chainrule)
        if profiles and not replaced:
            replaced.update({name: room[name] for name in NAMES})
            room.update({name: timed(name, function) for name, function in replaced.items()})
        elif not profiles:
            room.update(replaced)
            replaced.clear()
