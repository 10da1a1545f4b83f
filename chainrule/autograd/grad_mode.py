"""Switching gradients on and off: context managers that are decorators too, for the calling thread."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from functools import wraps
from types import coroutine
from typing import Any

from chainrule._core import modes

_local = modes.local
_set_grad = modes.set_grad
_occupy = modes.occupy
_new = object.__new__


class Mode:
    """A context manager that can decorate: functions, generators, coroutines, async generators.

    What is suspended at a `yield` or an `await` leaves the mode, and comes back to it. Each run enters a `clone`.
    """

    __slots__ = ("prev", "__dict__")

    def __enter__(self) -> None:
        raise NotImplementedError

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        raise NotImplementedError

    def clone(self) -> Any:
        return type(self)()

    def __call__(self, orig_func: Callable) -> Callable:
        if inspect.isclass(orig_func):
            warnings.warn(
                "Decorating classes is deprecated and will be disabled in future versions. You should only decorate functions or methods. "
                "To preserve the current behavior of class decoration, you can directly decorate the `__init__` method and nothing else.",
                FutureWarning,
                stacklevel=2,
            )
        return within(self.clone, orig_func)


def within(enter: Callable[[], Any], function: Callable) -> Callable:
    """`function`, whose every step runs inside a fresh `enter()`."""
    if inspect.isasyncgenfunction(function):

        @wraps(function)
        async def asyncgen(*args: Any, **kwargs: Any) -> Any:
            inner = function(*args, **kwargs)
            step = inner.asend(None)
            while True:
                try:
                    response = await _await_steps(enter, step)
                except StopAsyncIteration:
                    return
                try:
                    step = inner.asend((yield response))
                except GeneratorExit:
                    await _await_steps(enter, inner.aclose())
                    raise
                except BaseException as error:
                    step = inner.athrow(error)

        return asyncgen
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def coroutine_function(*args: Any, **kwargs: Any) -> Any:
            return await _await_steps(enter, function(*args, **kwargs))

        return coroutine_function
    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Any:
            return (yield from _steps(enter, function(*args, **kwargs)))

        return generator

    @wraps(function, updated=() if inspect.isclass(function) else ("__dict__",))
    def call(*args: Any, **kwargs: Any) -> Any:
        with enter():
            return function(*args, **kwargs)

    return call


def _steps(enter: Callable[[], Any], inner: Any) -> Any:
    """Drive a generator or coroutine; each of its steps runs inside `enter()`."""
    step, value = inner.send, None
    while True:
        try:
            with enter():
                response = step(value)
        except StopIteration as end:
            return end.value
        try:
            step, value = inner.send, (yield response)
        except GeneratorExit:
            with enter():
                inner.close()
            raise
        except BaseException as error:
            step, value = inner.throw, error


_await_steps = coroutine(_steps)


class _PlainMode(Mode):
    """A mode without arguments, written out for speed: `@no_grad` works as well as `@no_grad()`."""

    __slots__ = ()

    def __new__(cls, orig_func: Callable | None = None) -> Any:
        return _new(cls) if orig_func is None else cls()(orig_func)


class no_grad(_PlainMode):
    """Ops inside are not recorded: their results have `requires_grad=False`. Context manager and decorator.

    Example:
        >>> x = tensor(1., requires_grad=True)
        >>> with no_grad():
        ...     y = x * 2
        >>> y.requires_grad
        False
    """

    __slots__ = ()

    def __enter__(self) -> None:
        self.prev = before = _local.grad
        if before:
            _local.grad = False
            _occupy(1)

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        before = self.prev
        if before is not _local.grad:
            _local.grad = before
            _occupy(-1 if before else 1)


class enable_grad(_PlainMode):
    """Ops inside are recorded, also within `no_grad`. Context manager and decorator.

    Example:
        >>> x = tensor(1., requires_grad=True)
        >>> with no_grad(), enable_grad():
        ...     y = x * 2
        >>> y.requires_grad
        True
    """

    __slots__ = ()

    def __enter__(self) -> None:
        self.prev = before = _local.grad
        if not before:
            _local.grad = True
            _occupy(-1)

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        before = self.prev
        if before is not _local.grad:
            _local.grad = before
            _occupy(-1 if before else 1)


class set_grad_enabled(Mode):
    """Record ops or not, from the call on: `set_grad_enabled(False)` alone, as a context manager, or as a decorator.

    Example:
        >>> with set_grad_enabled(False):
        ...     y = x * 2
        >>> y.requires_grad
        False
    """

    __slots__ = ("mode",)

    def __init__(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            raise TypeError(f"set_grad_enabled(): argument 'enabled' (position 1) must be bool, not {type(mode).__name__}")
        self.prev, self.mode = _set_grad(mode), mode

    def __call__(self, orig_func: Callable) -> Callable:
        _set_grad(self.prev)
        return super().__call__(orig_func)

    def __enter__(self) -> None:
        _set_grad(self.mode)

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        _set_grad(self.prev)

    def __repr__(self) -> str:
        return f"torch.autograd.grad_mode.set_grad_enabled(mode={self.mode})"

    def clone(self) -> set_grad_enabled:
        return type(self)(self.mode)


class inference_mode(Mode):
    """Like `no_grad`, and its results can never take part in a recorded op. Context manager and decorator.

    Example:
        >>> with inference_mode():
        ...     y = x * 2
        >>> y.is_inference()
        True
    """

    __slots__ = ("mode",)

    def __new__(cls, mode: Any = True) -> Any:
        return super().__new__(cls) if isinstance(mode, bool) else cls()(mode)

    def __init__(self, mode: bool = True) -> None:
        self.mode = mode

    def __enter__(self) -> None:
        self.prev = modes.set_inference(self.mode), _set_grad(not self.mode)

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        modes.set_inference(self.prev[0])
        _set_grad(self.prev[1])

    def clone(self) -> inference_mode:
        return type(self)(self.mode)


class set_multithreading_enabled(Mode):
    """Accepted for scripts that set it; a backward pass runs in the thread that asked for it."""

    __slots__ = ("mode",)

    def __init__(self, mode: bool) -> None:
        self.mode = mode

    def __enter__(self) -> None:
        pass

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        pass

    def clone(self) -> set_multithreading_enabled:
        return type(self)(self.mode)


def is_grad_enabled() -> bool:
    """Whether ops in this thread are being recorded."""
    return _local.grad


def is_inference_mode_enabled() -> bool:
    """Whether this thread is in inference mode."""
    return _local.inference
