"""chainrule: PyTorch's autograd engine and tensor library in Python, for the CPU.

    import chainrule as torch

is the only line that a script changes. Submodules (`nn`, `optim`, `autograd`, ...) load when they are first used.
"""

from __future__ import annotations

import warnings as _warnings
from importlib import import_module as _import_module
from math import e, inf, nan, pi
from typing import Any as _Any

from chainrule import autograd
from chainrule._core.dtypes import (
    ALIASES as _ALIASES,
    ALL as _ALL,
    dtype,
    get_default_dtype,
    promote_types,
    set_default_dtype,
)
from chainrule._core.types import (
    Size,
    channels_last,
    channels_last_3d,
    contiguous_format,
    device,
    layout,
    memory_format,
    preserve_format,
    sparse_coo,
    strided,
)
from chainrule.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from chainrule.functions import *  # noqa: F403
from chainrule.tensor import Tensor

globals().update({d.name: d for d in _ALL} | _ALIASES)
newaxis = None
__version__ = "0.1.0"

# NumPy warns of overflow, 1/0 and the like; PyTorch does not. Only warnings that come out of chainrule's own lines are silenced.
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"chainrule\.|<chainrule ")

_SUBMODULES = (
    "nn", "optim", "linalg", "random", "utils", "vision", "viz", "special", "fft", "signal", "masked", "func", "hub", "return_types",
    "types", "testing", "serialization",
)  # fmt: skip
_LAZY = {"save": "serialization", "load": "serialization"}  # functions of rooms that a first import need not pay for


def __getattr__(name: str) -> _Any:
    if name in _SUBMODULES:
        return _import_module(f"chainrule.{name}")
    if name in _LAZY:
        return getattr(_import_module(f"chainrule.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'torch' (chainrule) has no attribute {name!r}")


def __dir__() -> list:
    return [*globals(), *_SUBMODULES, *_LAZY]
