"""`__torch_function__`: subclasses and modes that want to see every call (PyTorch's extension protocol)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from chainrule._core import modes
from chainrule.tensor import Tensor

SILENT = frozenset((Tensor, float, int, bool, type(None)))  # of these types, arguments do not override


def claims(value: Any) -> bool:
    """Whether a value overrides functions that it is given to."""
    return getattr(type(value), "__torch_function__", None) is not None


def candidates(args: Iterable[Any]) -> list:
    """The arguments that have a say in a call, one of each type, subclasses before the classes that they come from."""
    found: list = []
    for v in args:
        for member in candidates(v) if isinstance(v, (list, tuple)) else (v,):
            if member._watched if isinstance(member, Tensor) else claims(member):
                if type(member) not in [type(f) for f in found]:
                    place = next((i for i, f in enumerate(found) if issubclass(type(member), type(f))), len(found))
                    found.insert(place, member)
    return found


def dispatch(function: Callable, args: tuple, kwargs: dict, relevant: tuple | None = None) -> tuple[bool, Any]:
    """Offer a call to a profile, modes and overriding arguments; (True, result) if one took it."""
    profile = modes.local.profile
    if profile is not None and profile.passing is not function:
        return True, profile.function(function, args, kwargs)
    return overridden(function, args, kwargs, relevant)


def overridden(function: Callable, args: tuple, kwargs: dict, relevant: tuple | None = None) -> tuple[bool, Any]:
    """Offer a call to modes and overriding arguments alone."""
    local = modes.local
    if not local.overrides:
        return False, None
    if not (local.function_modes or kwargs or relevant):  # mostly nobody has a say
        for v in args:
            if v.__class__ not in SILENT:
                break
        else:
            return False, None
    found = candidates((*args, *kwargs.values()) if relevant is None else relevant)
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
        handlers = "\n".join([f"  - tensor subclass {t}" for t in types])
        raise TypeError(
            f"Multiple dispatch failed for 'torch.{function.__name__}'; all __torch_function__ handlers returned NotImplemented:\n\n"
            f"{handlers}\n"
        )
    return False, None


def run_plain(function: Callable, args: tuple, kwargs: dict) -> Any:
    """Call a function as if its arguments were plain Tensors."""
    before, modes.local.overrides = modes.local.overrides, False
    try:
        return function(*args, **kwargs)
    finally:
        modes.local.overrides = before


def run_for_subclass(cls: type, function: Callable, types: Sequence[type], args: tuple, kwargs: dict) -> Any:
    """What `Tensor.__torch_function__` does: the results of functions on tensors of class `cls` are of it too."""
    if not all([issubclass(cls, t) for t in types]):
        return NotImplemented
    return converted(run_plain(function, args, kwargs), cls)


def converted(result: Any, cls: type) -> Any:
    """The tensors of a result as members of `cls`."""
    if isinstance(result, Tensor):
        if cls is Tensor or isinstance(result, cls):
            return result
        from chainrule.functions.memory import as_subclass

        return as_subclass(result, cls)
    if isinstance(result, (tuple, list)):
        items = [converted(v, cls) for v in result]
        return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)
    return result


NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}


def public(function: Callable) -> Any:
    """Make a public function one that subclasses and modes can override, and that knows its arguments by NumPy's names too.

    They see it as its `shown`: itself, or the function with a shorter way that called it.
    """
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
            done, value = dispatch(shown.shown, args, kwargs)
            if done:
                return value
            if state.levels:
                from chainrule.func.calls import called

                return called(function, args, kwargs)
        if args and not isinstance(args[0], Tensor) and claims(args[0]):  # before a function that this one calls is asked
            done, value = overridden(shown.shown, args, kwargs)
            if done:
                return value
        try:
            return function(*args, **kwargs)
        except (AttributeError, TypeError):  # an argument that is no Tensor may have its own way
            done, value = overridden(shown.shown, args, kwargs)
            if done:
                return value
            raise

    shown: Any = call
    shown.shown = call
    return call


def shortcut(quick: Callable) -> Callable[[Any], Any]:
    """For a public function with a shorter way: calls that give just the arguments of `quick` try it first.

    `quick` gets what it is given unchecked, while no mode is on, and answers None to what it is not for.
    """
    from functools import wraps

    state, names = modes.state, quick.__code__.co_varnames[: quick.__code__.co_argcount]
    count, known = len(names), frozenset(names)

    def decorate(function: Any) -> Callable:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if len(args) + len(kwargs) == count and not state.busy and (not kwargs or known.issuperset(kwargs)):
                result = quick(*args, **kwargs)
                if result is not None:
                    return result
            return function(*args, **kwargs)

        function.shown = call
        return call

    return decorate
