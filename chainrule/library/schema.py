"""What an op takes and returns, as one line of text: `(Tensor x, float scale=1.0, *, Tensor(a2!)? out=None) -> Tensor`.

`infer_schema` reads it off the annotations of a function, `parsed` takes it apart.
"""

from __future__ import annotations

import ast
import collections.abc
import inspect
import re
import typing
from collections.abc import Callable, Iterable
from types import GenericAlias, UnionType
from typing import Any, NamedTuple, NoReturn

from chainrule._core.dtypes import dtype
from chainrule._core.types import device
from chainrule.tensor import Tensor

Number = int | float | bool
# Python type, its name in a schema, and which of name[], name?[], name[]? there are
BASES: tuple[tuple[Any, str, bool, bool, bool], ...] = (
    (Tensor, "Tensor", True, True, False),
    (int, "SymInt", True, False, True),
    (float, "float", True, False, True),
    (bool, "bool", True, False, True),
    (str, "str", False, False, False),
    (typing.Union[int, float, bool], "Scalar", True, False, False),  # noqa: UP007
    (dtype, "ScalarType", False, False, False),
    (device, "Device", False, False, False),
)


class Argument(NamedTuple):
    """One argument of an op."""

    name: str
    type: str
    default: Any
    kwarg_only: bool
    is_write: bool


class Schema(NamedTuple):
    """A schema taken apart."""

    text: str
    arguments: tuple[Argument, ...]
    returns: tuple[str, ...]

    @property
    def written(self) -> list[str]:
        """The arguments that the op changes in place."""
        return [a.name for a in self.arguments if a.is_write]

    def signature(self) -> inspect.Signature:
        """How the op is called."""
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return inspect.Signature([inspect.Parameter(a.name, kinds[a.kwarg_only], default=a.default) for a in self.arguments])


def sequences(base: Any) -> tuple:
    return typing.Sequence[base], typing.List[base], GenericAlias(collections.abc.Sequence, (base,)), GenericAlias(list, (base,))  # noqa: UP006


def supported() -> dict[Any, str]:
    """The types that an argument may have, by their names in schemas."""
    found: dict[Any, str] = {}
    for base, name, lists, of_optional, optional in BASES:
        found |= {base: name, typing.Optional[base]: f"{name}?"}  # noqa: UP045
        if lists:
            found |= dict.fromkeys(sequences(base), f"{name}[]")
        if of_optional:
            found |= dict.fromkeys(sequences(typing.Optional[base]), f"{name}?[]")  # noqa: UP045
        if optional:
            found |= {typing.Optional[s]: f"{name}[]?" for s in sequences(base)}  # noqa: UP045
    return found


PARAMETERS = supported()
RETURNS = {t: name for t, name in PARAMETERS.items() if name in ("Tensor", "Tensor[]", "SymInt", "float", "bool", "Scalar")}


def infer_schema(prototype_function: Callable, /, *, mutates_args: str | Iterable[str], op_name: str | None = None, tags: Any = ()) -> str:
    """The schema of a function, by its annotations. ValueError for what has none, or another type than those that ops take.

    `mutates_args` names the Tensors that it changes in place, or is "unknown", which means all of them.

    Example:
        >>> def scaled(x: Tensor, factor: float = 2.0) -> Tensor: ...
        >>> infer_schema(scaled, mutates_args=(), op_name="scaled")
        'scaled(Tensor x, float factor=2.0) -> Tensor'
    """
    signature = inspect.signature(prototype_function)
    everything = mutates_args == "unknown"
    changed = () if isinstance(mutates_args, str) else tuple(mutates_args)

    def refuse(what: str) -> NoReturn:
        raise ValueError(f"infer_schema(func): {what} Got func with signature {signature})")

    if isinstance(mutates_args, str) and not everything:
        raise ValueError("mutates_args must either be a sequence of the names of the arguments that are mutated or the string 'unknown'. ")
    written: list[str] = []
    keyword_only = False
    for i, (name, p) in enumerate(signature.parameters.items()):
        if p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
            refuse("We do not support positional-only args, varargs, or varkwargs.")
        if p.kind is p.KEYWORD_ONLY and not keyword_only:
            written.append("*")
            keyword_only = True
        if p.annotation is p.empty:
            refuse(f"Parameter {name} must have a type annotation.")
        kind = PARAMETERS.get(plain(p.annotation, prototype_function, refuse))
        if kind is None:
            refuse(f"Parameter {name} has unsupported type {p.annotation}. The valid types are: {PARAMETERS.keys()}.")
        if name in changed or (everything and kind.startswith("Tensor")):
            if not kind.startswith("Tensor"):
                refuse(f"Parameter {name} is in mutable_args but only Tensors or collections of Tensors can be mutated")
            kind = f"Tensor(a{i}!){kind[6:]}"
        written.append(f"{kind} {name}" if p.default is p.empty else f"{kind} {name}={default_text(name, p.default, refuse)}")
    missing = set(changed) - signature.parameters.keys()
    if missing:
        refuse(
            f"{missing} in mutates_args were not found in the custom op's signature. mutates_args should contain the names of all args "
            "that the custom op mutates, or just the string 'unknown' if you don't know."
        )
    result = returned(plain(signature.return_annotation, prototype_function, refuse), refuse)
    return f"{op_name or ''}({', '.join(written)}) -> {result}"


def plain(annotation: Any, function: Callable, refuse: Callable) -> Any:
    """An annotation as a type, whether it is written as text or not, and with `A | B` as `Union[A, B]`."""
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, function.__globals__)  # as typing does it
        except Exception as error:
            refuse(f"Unsupported type annotation {annotation}. It is not a type. ({type(error).__name__}: {error})")
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is UnionType:
        return typing.Union[tuple([plain(a, function, refuse) for a in inside])]  # noqa: UP007
    if any([isinstance(a, str) for a in inside]):
        return GenericAlias(origin, tuple([plain(a, function, refuse) for a in inside]))
    return annotation


def default_text(name: str, value: Any, refuse: Callable[[str], NoReturn]) -> str:
    if value is None or isinstance(value, (int, float, bool)):
        return str(value)
    if isinstance(value, (str, device)):
        return f'"{value}"'
    if isinstance(value, dtype):
        return str(value).removeprefix("torch.")
    refuse(
        f"Parameter {name} has an unsupported default value type {type(value)}. Please file an issue on GitHub so we can prioritize this."
    )


def returned(annotation: Any, refuse: Callable) -> str:
    """What a function returns, by its annotation."""
    if annotation is None:
        return "()"
    if annotation is inspect.Parameter.empty:
        refuse("No return type annotation was provided. Please add one.")
    several = typing.get_origin(annotation) is tuple
    parts = typing.get_args(annotation) if several else (annotation,)
    for part in parts:
        if part not in RETURNS:
            refuse(f"Return has unsupported type {annotation}. The valid types are: {RETURNS}.")
    names = ", ".join([RETURNS[part] for part in parts])
    return f"(({names}))" if several and len(parts) == 1 else f"({names})" if several else names


ARGUMENT = re.compile(r"(?P<type>[\w.]+(?:\([^)]*\))?(?:\?|\[\d*\])*)\s+(?P<name>\w+)(?:\s*=\s*(?P<default>.+))?$")


def parsed(text: str) -> Schema:
    """A schema without the name of the op, taken apart. RuntimeError for text that is none."""
    matched = re.match(r"\s*\((?P<arguments>.*)\)\s*->\s*(?P<returns>.+?)\s*$", text, re.DOTALL)
    if matched is None:
        raise RuntimeError(f"expected a schema like '(Tensor x, float y=1.0) -> Tensor' but got '{text}'")
    arguments: list[Argument] = []
    keyword_only = False
    for part in separated(matched["arguments"]):
        if part == "*":
            keyword_only = True
            continue
        found = ARGUMENT.match(part)
        if found is None:
            raise RuntimeError(f"expected an argument like 'Tensor x' but got '{part}' in the schema '{text}'")
        default = inspect.Parameter.empty if found["default"] is None else constant(found["default"])
        kind = re.sub(r"\([^)]*\)", "", found["type"])
        arguments.append(Argument(found["name"], kind, default, keyword_only, "!" in found["type"]))
    given = matched["returns"]
    returns = separated(given[1:-1]) if given.startswith("(") else [given]
    return Schema(text.strip(), tuple(arguments), tuple(returns))


def separated(text: str) -> list[str]:
    """The parts between commas, but for those in brackets."""
    return [part.strip() for part in re.split(r",\s*(?![^(\[]*[)\]])", text) if part.strip()]


def constant(text: str) -> Any:
    """A default value."""
    try:
        return ast.literal_eval({"true": "True", "false": "False"}.get(text.strip(), text.strip()))
    except (ValueError, SyntaxError):
        from chainrule._core import dtypes

        return getattr(dtypes, text.strip(), text.strip())
