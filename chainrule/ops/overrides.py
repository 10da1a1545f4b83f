"""`__torch_function__`: subclasses and modes that want to see every call (PyTorch's extension protocol)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule._core import modes
from chainrule.tensor import Tensor


def claims(value: Any) -> bool:
    """Whether a value overrides functions that it is given to."""
    return getattr(type(value), "__torch_function__", None) is not None


def _candidates(args: Any, found: list) -> list:
    for v in args:
        if isinstance(v, (list, tuple)):
            _candidates(v, found)
        elif (not isinstance(v, Tensor) and claims(v)) or (isinstance(v, Tensor) and type(v).__torch_function__ is not None):
            if type(v) not in [type(f) for f in found]:
                # A subclass speaks before the class it comes from.
                place = next((i for i, f in enumerate(found) if issubclass(type(v), type(f))), len(found))
                found.insert(place, v)
    return found


def dispatch(function: Callable, args: tuple, kwargs: dict) -> tuple[bool, Any]:
    """Offer a call to modes and overriding arguments; (True, result) if one took it."""
    local = modes.local
    if not local.overrides:
        return False, None
    found = _candidates(args, [])
    if kwargs:
        _candidates(kwargs.values(), found)
    types = tuple([type(v) for v in found])
    if local.function_modes:
        mode, local.function_modes = local.function_modes[-1], local.function_modes[:-1]
        try:
            return True, mode.__torch_function__(function, types, args, kwargs)
        finally:
            local.function_modes = (*local.function_modes, mode)
    for v in found:
        result = type(v).__torch_function__(function, types, args, kwargs)
        if result is not NotImplemented:
            return True, result
    if found:
        name = f"torch.{function.__name__}"
        raise TypeError(f"no implementation found for '{name}' on types that implement __torch_function__: {list(types)}")
    return False, None


NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}


def public(function: Callable) -> Callable:
    """Make a public function one that subclasses and modes can override, and that knows its arguments by NumPy's names too."""
    from functools import wraps

    state = modes.state
    code = getattr(function, "__code__", None)
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code else ()
    others = {other: name for other, name in NUMPY_NAMES.items() if name in names and other not in names}

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs and not others.keys().isdisjoint(kwargs):
            kwargs = {others.get(name, name): value for name, value in kwargs.items()}
        if state.busy:
            done, value = dispatch(call, args, kwargs)
            if done:
                return value
        return function(*args, **kwargs)

    return call
