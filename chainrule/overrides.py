"""For libraries whose types take part in PyTorch's functions through `__torch_function__`, and for modes that watch every call.

See https://docs.pytorch.org/docs/stable/torch.overrides.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import wraps
from importlib import import_module
from types import FunctionType
from typing import Any

from chainrule._core import modes
from chainrule.ops.overrides import candidates, dispatch, overridden
from chainrule.tensor import Tensor

__all__ = [
    "BaseTorchFunctionMode", "TorchFunctionMode", "handle_torch_function", "has_torch_function", "has_torch_function_unary",
    "has_torch_function_variadic", "is_tensor_like", "is_tensor_method_or_property", "resolve_name", "wrap_torch_function",
]  # fmt: skip


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether a call with these arguments goes through somebody's `__torch_function__`, an argument's or a mode's.

    Example:
        >>> has_torch_function((ones(2), 3))
        False
    """
    return modes.local.overrides and bool(modes.local.function_modes or candidates(relevant_args))


def has_torch_function_unary(obj: Any) -> bool:
    """`has_torch_function` for one argument."""
    return has_torch_function((obj,))


def has_torch_function_variadic(*args: Any) -> bool:
    """`has_torch_function` for these arguments."""
    return has_torch_function(args)


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
    return name in ("__get__", "__set__") or (name is not None and getattr(Tensor, name, None) is func)


def resolve_name(f: Callable) -> str | None:
    """A function's name as one writes it, such as "torch.add", "torch.Tensor.view" or "torch.Tensor.shape.__get__"; None if it has none."""
    name = getattr(f, "__name__", "")
    if name in ("__get__", "__set__"):
        return "".join([f"torch.Tensor.{key}.{name}" for key, found in vars(Tensor).items() if found is f.__self__])  # type: ignore[attr-defined]
    for room in ("", ".nn.functional", ".nn.init", ".linalg", ".fft", ".special", ".Tensor"):
        short = name.removeprefix(f"{room[1:]}_")
        if name and getattr(Tensor if room == ".Tensor" else import_module(f"chainrule{room}"), short, None) is f:
            return f"torch{room}.{short}"
    return None


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
        look(1)
        modes.local.function_modes = (*modes.local.function_modes, self)
        modes.occupy(1)
        return self

    def __exit__(self, *exc: object) -> None:
        modes.local.function_modes = modes.local.function_modes[:-1]
        modes.occupy(-1)
        look(-1)

    @classmethod
    def push(cls, *args: Any, **kwargs: Any) -> Any:
        """A mode made of these arguments, to enter."""
        return cls(*args, **kwargs)


class BaseTorchFunctionMode(TorchFunctionMode):
    """The mode that only calls the function."""

    def __torch_function__(self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict | None = None) -> Any:
        return func(*args, **(kwargs or {}))


# Functions, methods and properties that are too small to ask at each call whether a mode is on. While one is, in any thread, their
# code is exchanged for a few lines that do ask; without a mode they cost nothing. The function objects stay what they are, so a mode
# finds them in its tables, and whoever imported them by name is seen too.

FUNCTIONS = (
    "arange as_tensor asarray bartlett_window blackman_window can_cast empty empty_permuted empty_strided eye frombuffer full "
    "hamming_window hann_window kaiser_window linspace logspace ones promote_types rand randint randn randperm result_type scalar_tensor "
    "tensor zeros"
)
METHODS = (
    "__bool__ __contains__ __float__ __format__ __int__ __len__ __repr__ data_ptr dim element_size get_device is_contiguous is_shared item "
    "nelement ndimension numel numpy pin_memory register_hook register_post_accumulate_grad_hook requires_grad_ retain_grad "
    "share_memory_ size storage_offset stride tolist untyped_storage"
)
PROPERTIES = "_version data device dtype grad grad_fn is_leaf itemsize layout nbytes ndim output_nr requires_grad retains_grad shape"
exchanged: list = []  # what `look` exchanged: (function, its code, its defaults by keyword)
looking = 0  # how many modes are on, in all threads


def look(count: int) -> None:
    """A mode begins (+1) or ends (-1): exchange what the first needs, and put it back after the last."""
    global looking
    with modes.lock:
        looking += count
        if looking == 1 and count == 1:
            for function, shown in small_functions():
                exchange(function, shown)
        elif looking == 0:
            while exchanged:
                function, code, defaults = exchanged.pop()
                function.__code__, function.__kwdefaults__ = code, defaults


def small_functions() -> Iterator[tuple[FunctionType, Callable]]:
    """Each function whose code is exchanged, and what modes are told instead of it."""
    import chainrule

    for name in FUNCTIONS.split():
        function = getattr(chainrule, name)
        yield function, function
    for name in METHODS.split():
        function = getattr(Tensor, name)
        yield function, function
    for name in PROPERTIES.split():
        found = vars(Tensor)[name]
        yield found.fget, found.__get__
        if found.fset is not None:
            yield found.fset, found.__set__


def exchange(function: FunctionType, shown: Callable) -> None:
    """Have modes asked before `function` runs; they see it as `shown`."""
    code, defaults = function.__code__, function.__kwdefaults__
    original = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    original.__kwdefaults__ = defaults

    def asked(args: tuple, kwargs: dict) -> Any:
        if modes.local.function_modes:
            done, value = overridden(shown, args, kwargs)
            if done:
                return value
        return original(*args, **kwargs)

    exchanged.append((function, code, defaults))
    function.__kwdefaults__ = {**(defaults or {}), "_asked": asked}  # first, for another thread may call in between
    function.__code__ = asking.__code__.replace(co_freevars=code.co_freevars)  # as many as its closure has; it looks at none


def asking(*args: Any, _asked: Callable, **kwargs: Any) -> Any:
    return _asked(args, kwargs)
