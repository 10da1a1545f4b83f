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
        fields = inspect.get_annotations(cls)
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


def by_dimension(base: type, name: str, function: Callable | None = None, **attributes: Any) -> tuple[Any, Any, Any]:
    """The classes for 1, 2 and 3 spatial dimensions, `name.format(n)`, with `_spatial` n and `_function` `function(n)`.

    Attributes that are tuples of three go one to each class.
    """
    classes = []
    for n in (1, 2, 3):
        title = name.format(n)
        own = {key: value[n - 1] if isinstance(value, tuple) and len(value) == 3 else value for key, value in attributes.items()}
        if function is not None:
            own["_function"] = staticmethod(function(n))
        own |= {"__module__": base.__module__, "__qualname__": title, "__doc__": (base.__doc__ or "").replace("{n}", str(n)), "_spatial": n}
        classes.append(type(title, (base,), own))
    return tuple(classes)


def tuple_of(n: int, value: Any) -> tuple:
    """`value` n times, or what it holds if it holds several."""
    return tuple(value) if isinstance(value, Iterable) else tuple(repeat(value, n))


def check_rank(input: Any, ranks: tuple[int, ...]) -> None:
    """Raise ValueError unless input has one of these numbers of dimensions."""
    if input._data.ndim not in ranks:
        raise ValueError(f"expected {' or '.join([f'{r}D' for r in ranks])} input (got {input.dim()}D input)")
