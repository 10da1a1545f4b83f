"""`torch.jit`, as far as a program that runs in Python needs it: scripting and tracing give back what they are given."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, Final

from chainrule.nn.modules.module import Module

__all__ = [
    "Final", "ScriptModule", "annotate", "export", "freeze", "ignore", "interface", "is_scripting", "is_tracing", "isinstance", "load",
    "optimize_for_inference", "optimized_execution", "save", "script", "script_if_tracing", "script_method", "trace", "trace_module",
    "unused",
]  # fmt: skip

_isinstance = isinstance
NO_FILES = "TorchScript files are not supported: save model.state_dict() with torch.save"


class ScriptModule(Module):
    """A Module; `script` and `trace` give back modules of their own kind, so that none is one unless its class says so."""

    @property
    def original_name(self) -> str:
        """The name of the class."""
        return type(self).__name__


def script(obj: Any, optimize: None = None, _frames_up: int = 0, _rcb: Any = None, example_inputs: Any = None) -> Any:
    """`obj` itself: a function, module or class; also as a decorator."""
    return obj


def trace(func: Any, example_inputs: Any = None, *args: Any, **kwargs: Any) -> Any:
    """`func` itself."""
    return func


def trace_module(mod: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """`mod` itself."""
    return mod


def freeze(mod: Any, preserved_attrs: list | None = None, optimize_numerics: bool = True) -> Any:
    """The module itself. Raises RuntimeError in training mode, as freezing there would be a mistake."""
    if getattr(mod, "training", False):
        raise RuntimeError(
            "Freezing is currently only implemented for modules in eval mode. Please call .eval() on your module before freezing."
        )
    return mod


def optimize_for_inference(mod: Any, other_methods: list | None = None) -> Any:
    """`mod` itself."""
    return mod


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """A decorator, with or without arguments, that does nothing."""
    return drop if callable(drop) else lambda fn: fn


def unused(fn: Callable) -> Callable:
    """`fn` itself."""
    return fn


def export(fn: Callable) -> Callable:
    """`fn` itself."""
    return fn


def interface(obj: Any) -> Any:
    """`obj` itself."""
    return obj


def script_method(fn: Callable) -> Callable:
    """`fn` itself."""
    return fn


def script_if_tracing(fn: Callable) -> Callable:
    """`fn` itself."""
    return fn


def is_scripting() -> bool:
    """False."""
    return False


def is_tracing() -> bool:
    """False."""
    return False


def annotate(the_type: Any, the_value: Any) -> Any:
    """`the_value`."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Python's `isinstance`, for types without parameters."""
    return _isinstance(obj, target_type)


@contextmanager
def optimized_execution(should_optimize: bool) -> Any:
    """Does nothing."""
    yield


def save(m: Any, f: Any, _extra_files: dict | None = None) -> None:
    """Raises NotImplementedError: there is no TorchScript to write."""
    raise NotImplementedError(NO_FILES)


def load(f: Any, map_location: Any = None, _extra_files: dict | None = None, _restore_shapes: bool = False) -> Any:
    """Raises NotImplementedError: there is no TorchScript interpreter."""
    raise NotImplementedError(NO_FILES)
