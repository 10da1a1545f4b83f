"""Models and weights by name: `get_model("resnet18", weights="DEFAULT")`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from fnmatch import filter as matching
from types import ModuleType
from typing import Any, get_args

from chainrule.nn.modules.module import Module
from chainrule.vision.models.weights import WeightsEnum

__all__ = ["get_model", "get_model_builder", "get_model_weights", "get_weight", "list_models", "register_model"]

BUILTIN_MODELS: dict[str, Callable[..., Any]] = {}


def register_model(name: str | None = None) -> Callable[[Callable], Callable]:
    """A decorator that gives a function which builds a model a name for `get_model`; ValueError if the name is taken."""

    def register(build: Callable) -> Callable:
        key = build.__name__ if name is None else name
        if key in BUILTIN_MODELS:
            raise ValueError(f"An entry is already registered under the name '{key}'.")
        BUILTIN_MODELS[key] = build
        return build

    return register


def get_model_builder(name: str) -> Callable[..., Any]:
    """The function that builds the model `name`; ValueError if there is none."""
    try:
        return BUILTIN_MODELS[name.lower()]
    except KeyError:
        raise ValueError(f"Unknown model {name.lower()}") from None


def get_model(name: str, **config: Any) -> Module:
    """The model `name`, built with the keyword arguments `config`.

    Example:
        >>> get_model("squeezenet1_1", num_classes=10)(rand(1, 3, 64, 64)).shape
        torch.Size([1, 10])
    """
    return get_model_builder(name)(**config)


def list_models(
    module: ModuleType | None = None, include: Iterable[str] | str | None = None, exclude: Iterable[str] | str | None = None
) -> list[str]:
    """The names for `get_model`, sorted: those of `module`, that match a pattern of `include` and none of `exclude`.

    Example:
        >>> list_models(include="resnet*")
        ['resnet101', 'resnet152', 'resnet18', 'resnet34', 'resnet50']
    """
    named = {n for n, build in BUILTIN_MODELS.items() if module is None or build.__module__.rpartition(".")[0] == module.__name__}
    found = {n for p in patterns(include) for n in matching(named, p)} if include else named
    return sorted(found.difference(*(matching(found, p) for p in patterns(exclude))))


def patterns(given: Iterable[str] | str | None) -> Iterable[str]:
    return [given] if isinstance(given, str) else given or ()


def get_model_weights(name: Callable | str) -> type[WeightsEnum]:
    """The enum of the weights for a model, by its name or its function; ValueError if it has none.

    Example:
        >>> list(get_model_weights("resnet50"))
        [ResNet50_Weights.IMAGENET1K_V1, ResNet50_Weights.IMAGENET1K_V2]
    """
    parameter = inspect.signature(get_model_builder(name) if isinstance(name, str) else name).parameters.get("weights")
    if parameter is None:
        raise ValueError("The method is missing the 'weights' argument.")
    for kind in (parameter.annotation, *get_args(parameter.annotation)):
        if isinstance(kind, type) and issubclass(kind, WeightsEnum):
            return kind
    raise ValueError("The WeightsEnum class for the specific method couldn't be retrieved. Make sure the typing info is correct.")


def get_weight(name: str) -> WeightsEnum:
    """The member that a full name says, as in "ResNet50_Weights.IMAGENET1K_V1"; ValueError if the name is not of that kind.

    Example:
        >>> get_weight("ResNet18_Weights.DEFAULT")
        ResNet18_Weights.IMAGENET1K_V1
    """
    from chainrule.vision import models

    enum, dot, member = name.partition(".")
    if not dot or "." in member:
        raise ValueError(f"Invalid weight name provided: '{name}'.")
    kind = getattr(models, enum, None)
    if not (isinstance(kind, type) and issubclass(kind, WeightsEnum)):
        raise ValueError(f"The weight enum '{enum}' for the specific method couldn't be retrieved.")
    return kind[member]
