"""How layers that are only settings around one function are stated: fields, what of them shows, and a forward.

    @layer("negative_slope inplace")
    class LeakyReLU(Module):
        negative_slope: float = 0.01
        inplace: bool = False

        def forward(self, input):
            return F.leaky_relu(input, self.negative_slope, self.inplace)

The decorator writes `__init__` from the fields, as dataclasses do. A method `_settle` runs at its end, if there is one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from itertools import repeat
from types import FunctionType
from typing import Any, TypeVar, dataclass_transform

from chainrule.nn.modules.module import Module

Layer = TypeVar("Layer", bound=type)


@dataclass_transform()
def layer(show: str | None = None, *, kw_only: bool = False) -> Callable[[Layer], Layer]:
    """Give a Module class an `__init__` with its annotated fields for arguments.

    `show` names the fields of the printed form (None leaves `extra_repr` alone): "p=0.5" for "p", the value alone for "p!"; `inplace`
    shows only when it is true, unless it is "inplace?".
    """

    def decorate(cls: Layer) -> Layer:
        fields = {name: kind for name, kind in inspect.get_annotations(cls).items() if name[0] != "_"}
        defaults = {name: cls.__dict__[name] for name in fields if name in cls.__dict__}
        for name in defaults:
            delattr(cls, name)  # or it would hide a buffer of that name
        cls.__init__ = constructor(cls, fields, defaults, kw_only)  # type: ignore[misc]
        if show is not None:
            cls.extra_repr = shower(show.split())  # type: ignore[attr-defined]
        return cls

    return decorate


def constructor(cls: type, fields: dict, defaults: dict, kw_only: bool) -> Callable:
    """`__init__(self, *fields)`, with Python's own argument handling."""
    parameters = ", ".join([name if name not in defaults else f"{name}=_defaults['{name}']" for name in fields])
    star = "*, " if kw_only else ""
    lines = [f"def __init__(self, {star}{parameters}):", "    _Module.__init__(self)", *[f"    self.{name} = {name}" for name in fields]]
    if hasattr(cls, "_settle"):
        lines.append("    self._settle()")
    scope: dict = {"_Module": Module, "_defaults": defaults}
    exec("\n".join(lines), scope)
    init = scope["__init__"]
    init.__qualname__, init.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    init.__annotations__ = {**fields, "return": "None"}
    return init


def shower(names: list[str]) -> Callable[[Any], str]:
    """`extra_repr` for these fields."""

    def extra_repr(self: Any) -> str:
        shown = []
        for name in names:
            field = name.rstrip("!?")
            value = getattr(self, field)
            if name != "inplace" or value:
                shown.append(str(value) if name.endswith("!") else f"{field}={value!r}")
        return ", ".join(shown)

    return extra_repr


class Spatial(Module):
    """The base of families of layers that differ in the number of spatial dimensions: `class Conv2d(_Conv, spatial=2)`.

    `_function` names the function of `nn.functional` to call; `{}` in it stands for the number.
    """

    _spatial = 0
    _function = ""

    def __init_subclass__(cls, spatial: int = 0, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if spatial:
            cls._spatial, cls._function = spatial, cls._function.format(spatial)
            cls.__init__ = renamed(cls.__init__, f"{cls.__name__}.__init__")  # type: ignore[misc]


def renamed(function: Any, name: str) -> Callable:
    """A copy of a function with the name that its own complaints about missing arguments shall give."""
    copied = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    copied.__kwdefaults__, copied.__annotations__, copied.__qualname__ = function.__kwdefaults__, function.__annotations__, name
    return copied


def tuple_of(n: int, value: Any) -> tuple:
    """`value` n times, or what it holds if it holds several."""
    return tuple(value) if isinstance(value, Iterable) else tuple(repeat(value, n))


def check_rank(input: Any, ranks: tuple[int, ...]) -> None:
    """Raise ValueError unless input has one of these numbers of dimensions."""
    if input._data.ndim not in ranks:
        raise ValueError(f"expected {' or '.join([f'{r}D' for r in ranks])} input (got {input.dim()}D input)")
