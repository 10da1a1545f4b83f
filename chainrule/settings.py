"""Switches that PyTorch has for all of a process: deterministic algorithms, the precision of products, threads.

Results here are deterministic and as precise as their type always, so most switches are only remembered.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

from chainrule._core import warn
from chainrule.kernels import conv
from chainrule.kernels.compiled import get_num_threads, set_num_threads

__all__ = [
    "are_deterministic_algorithms_enabled", "get_deterministic_debug_mode", "get_float32_matmul_precision", "get_num_interop_threads",
    "get_num_threads", "is_deterministic_algorithms_warn_only_enabled", "is_warn_always_enabled", "set_deterministic_debug_mode",
    "set_float32_matmul_precision", "set_flush_denormal", "set_num_interop_threads", "set_num_threads", "set_warn_always",
    "use_deterministic_algorithms",
]  # fmt: skip

MODES = ("default", "warn", "error")
PRECISIONS = ("highest", "high", "medium")
_now: dict[str, Any] = {"deterministic": 0, "precision": "highest", "interop": os.cpu_count() or 1}


# Determinism


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for deterministic algorithms; there are no others here."""
    if not isinstance(mode, bool):
        raise TypeError(f"_set_deterministic_algorithms(): argument 'mode' (position 1) must be bool, not {type(mode).__name__}")
    _now["deterministic"] = 0 if not mode else 1 if warn_only else 2


def are_deterministic_algorithms_enabled() -> bool:
    """Whether `use_deterministic_algorithms(True)` was called."""
    return _now["deterministic"] > 0


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether `use_deterministic_algorithms(True, warn_only=True)` was called."""
    return _now["deterministic"] == 1


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """"default" (0), "warn" (1) or "error" (2): another way to say `use_deterministic_algorithms`."""
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if isinstance(debug_mode, str):
        if debug_mode not in MODES:
            raise RuntimeError(f"invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got {debug_mode}")
        debug_mode = MODES.index(debug_mode)
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}")
    _now["deterministic"] = debug_mode


def get_deterministic_debug_mode() -> int:
    """0, 1 or 2, see `set_deterministic_debug_mode`."""
    return _now["deterministic"]


# Precision and warnings


def set_float32_matmul_precision(precision: str) -> None:
    """How exact float32 has to be. Warns if not "highest", "high" or "medium".

    Products are computed in float32 always. Convolution goes by Winograd's algorithm where that is quicker, with errors below 5e-5 of
    the result's root mean square, unless "highest" is asked for here.
    """
    if precision in PRECISIONS:
        _now["precision"] = conv.precision = precision
    else:
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current setFloat32MatmulPrecision call has no effect.",
            stacklevel=2,
        )


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was told last; "highest" at first."""
    return _now["precision"]


def set_flush_denormal(mode: bool) -> bool:
    """False: NumPy keeps numbers below the normal range, and there is no way to tell it otherwise."""
    return False


def set_warn_always(b: bool, /) -> None:
    """Remembered only."""
    warn.always = bool(b)


def is_warn_always_enabled() -> bool:
    """What `set_warn_always` was told last; False at first."""
    return warn.always


# Threads (`set_num_threads` itself is in `kernels`)


def set_num_interop_threads(nthreads: int) -> None:
    """Remembered only: operations run one after the other."""
    if nthreads <= 0:
        raise RuntimeError("set_num_interop_threads expects a positive integer")
    _now["interop"] = nthreads


def get_num_interop_threads() -> int:
    """What `set_num_interop_threads` was told last."""
    return _now["interop"]
