"""For libraries whose types take part in PyTorch's functions through `__torch_function__`, and for modes that watch every call.

See https://docs.pytorch.org/docs/stable/torch.overrides.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

from chainrule._core import modes
from chainrule.ops.overrides import candidates, dispatch
from chainrule.tensor import Tensor

__all__ = [
    "BaseTorchFunctionMode", "TorchFunctionMode", "handle_torch_function", "has_torch_function", "is_tensor_like",
    "is_tensor_method_or_property", "resolve_name", "wrap_torch_function",
]  # fmt: skip


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether a call with these arguments goes through somebody's `__torch_function__`, an argument's or a mode's.

    Example:
        >>> has_torch_function((ones(2), 3))
        False
    """
    return modes.local.overrides and bool(modes.local.function_modes or candidates(relevant_args))


def handle_torch_function(public_api: Callable, relevant_args: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
    """Call `public_api` through the `__torch_function__` of its arguments; TypeError if none of them takes it."""
    done, value = dispatch(public_api, args, kwargs, tuple(relevant_args))
    if not done:
        raise TypeError(f"no implementation found for '{resolve_name(public_api)}' on types that implement __torch_function__: []")
    return value


def wrap_torch_function(dispatcher: Callable[..., Iterable[Any]]) -> Callable[[Callable], Callable]:
    """Make a function one that can be overridden; `dispatcher` takes its arguments and returns those that may override it.

    Example:
        >>> @wrap_torch_function(lambda x: (x,))
        ... def double(x):
        ...     return x + x
        >>> double(3)
        6
    """

    def decorate(function: Callable) -> Callable:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            relevant = tuple(dispatcher(*args, **kwargs))
            if has_torch_function(relevant):
                return handle_torch_function(call, relevant, *args, **kwargs)
            return function(*args, **kwargs)

        return call

    return decorate


def is_tensor_like(inp: Any) -> bool:
    """Whether a value is a Tensor or of a type with `__torch_function__`."""
    return isinstance(inp, Tensor) or hasattr(inp, "__torch_function__")


def is_tensor_method_or_property(func: Callable) -> bool:
    """Whether a function that a `__torch_function__` was given is a method or property of Tensor."""
    name = getattr(func, "__name__", None)
    return name == "__get__" or (name is not None and getattr(Tensor, name, None) is func)


def resolve_name(f: Callable) -> str | None:
    """A function's name as one writes it, such as "torch.add" or "torch.Tensor.view"; None if it has none."""
    import chainrule

    name = getattr(f, "__name__", None)
    if name is None:
        return None
    return f"torch.Tensor.{name}" if getattr(chainrule, name, None) is not f and getattr(Tensor, name, None) is f else f"torch.{name}"


class TorchFunctionMode:
    """A context in which every public function of tensors goes through this object's `__torch_function__`, whatever its arguments.

    Within `__torch_function__` the mode is off, so it can call the function itself.

    Example:
        >>> class Count(TorchFunctionMode):
        ...     calls = 0
        ...     def __torch_function__(self, func, types, args=(), kwargs=None):
        ...         self.calls += 1
        ...         return func(*args, **(kwargs or {}))
        >>> x = ones(2)
        >>> with Count() as mode:
        ...     y = (x + 1).exp()
        >>> mode.calls
        2
    """

    def __torch_function__(self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict | None = None) -> Any:
        raise NotImplementedError

    def __enter__(self) -> Any:
        modes.local.function_modes = (*modes.local.function_modes, self)
        modes.occupy(1)
        return self

    def __exit__(self, *exc: object) -> None:
        modes.local.function_modes = modes.local.function_modes[:-1]
        modes.occupy(-1)

    @classmethod
    def push(cls, *args: Any, **kwargs: Any) -> Any:
        """A mode made of these arguments, to enter."""
        return cls(*args, **kwargs)


class BaseTorchFunctionMode(TorchFunctionMode):
    """The mode that only calls the function."""

    def __torch_function__(self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict | None = None) -> Any:
        return func(*args, **(kwargs or {}))
