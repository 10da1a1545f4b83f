"""`torch._check` and its kin, with which programs refuse what they are given; and `sym_max` and its kin, which take plain numbers here."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from chainrule._core import dtypes
from chainrule.tensor import Tensor

UNSAID = (
    "Expected cond to be True, but got False. (Could this error message be improved? If so, please report an enhancement request to "
    "PyTorch.)"
)
NO_SIZES = (
    "_check_is_size will be removed in a future PyTorch release along with guard_size_oblivious.     Use _check(i >= 0) instead."
)
A_TENSOR = (
    "cond must be a bool, but got a Tensor. For tensor conditions, use torch._check_tensor_all() to assert that all elements are true."
)


def _check_with(error_type: type[Exception], cond: bool, message: Callable[[], Any] | None) -> None:
    """Raise `error_type` with what `message()` says unless `cond` is true."""
    if not isinstance(cond, bool):
        raise TypeError(A_TENSOR if isinstance(cond, Tensor) else f"cond must be a bool, but got {type(cond)}")
    if cond:
        return
    if message is not None and not callable(message):
        raise TypeError("message must be a callable")
    raise error_type(UNSAID if message is None else str(message()))


def checker(name: str, error: type[Exception]) -> Callable:
    def check(cond: bool, message: Callable[[], Any] | None = None) -> None:
        _check_with(error, cond, message)

    check.__name__ = check.__qualname__ = name
    check.__doc__ = f"Raise {error.__name__} with what `message()` says unless `cond` is true."
    return check


_check, _check_index = checker("_check", RuntimeError), checker("_check_index", IndexError)
_check_value, _check_type = checker("_check_value", ValueError), checker("_check_type", TypeError)
_check_not_implemented = checker("_check_not_implemented", NotImplementedError)


def _check_is_size(i: int, message: Callable[[], Any] | None = None, *, max: int | None = None) -> None:
    """Raise RuntimeError unless `i` is at least 0, and at most `max`."""
    warnings.warn(NO_SIZES, FutureWarning, stacklevel=2)
    _check(i >= 0, message)
    if max is not None:
        _check(i <= max, message)


def _check_tensor_all_with(error_type: type[Exception], cond: Tensor, message: Callable[[], Any] | None = None) -> None:
    """Raise `error_type` unless all elements of a bool tensor are true."""
    if not isinstance(cond, Tensor):
        raise TypeError(f"cond must be a tensor, but got {type(cond)}")
    if cond.dtype is not dtypes.bool_:
        raise TypeError(f"cond tensor must have dtype torch.bool, but got {cond.dtype}")
    _check_with(error_type, bool(cond.all()), message)


_check_tensor_all = partial(_check_tensor_all_with, RuntimeError)


def _assert(condition: Any, message: str) -> None:
    """`assert condition, message` as a function."""
    if not condition:
        raise AssertionError(message)


def like(kind: Callable) -> Callable:
    """The larger or smaller of two numbers; a float if one of them is."""
    return lambda a, b: float(kind(a, b)) if isinstance(a, float) or isinstance(b, float) else kind(a, b)


sym_max, sym_min, sym_sum, sym_float, sym_int = like(max), like(min), sum, float, int
sym_sqrt: Callable = math.sqrt


def sym_not(a: Any) -> bool:
    """`not a`."""
    return not a


def sym_ite(b: Any, t: Any, f: Any) -> Any:
    """`t if b else f`."""
    return t if b else f
