"""Trained weights by name, and the functions that build a model with them.

`_data/weights.json` lists the files that PyTorch publishes, with the pictures they want and how well they do; each family of models makes
its enums from it with `published` and its functions with `builder`.
"""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, EnumMeta
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from chainrule import hub
from chainrule.vision.transforms.functional import InterpolationMode
from chainrule.vision.transforms.presets import ImageClassification

__all__ = ["Weights", "WeightsEnum", "builder", "make_divisible", "published"]

SITE = "https://download.pytorch.org/models/"
DATA = Path(__file__).parent.parent / "_data"
LEGACY = "IMAGENET1K_V1"  # what `pretrained=True` meant

M = TypeVar("M")


@dataclass
class Weights:
    """A file of trained weights.

    Attributes:
        url: where it is
        transforms: makes the function that prepares a picture for it
        meta: num_params, min_size, categories, recipe, _metrics, ...
    """

    url: str
    transforms: Callable[..., Any]
    meta: dict[str, Any]


class ByName(EnumMeta):
    """Tells type checkers that an enum has members, which come from a table."""

    if TYPE_CHECKING:

        def __getattr__(cls, name: str) -> WeightsEnum: ...


class WeightsEnum(Enum, metaclass=ByName):
    """The weights there are for one model; `DEFAULT` is the best of them.

    Example:
        >>> weights = ResNet18_Weights.DEFAULT
        >>> weights, weights.meta["num_params"], weights.url.rpartition("/")[2]
        (ResNet18_Weights.IMAGENET1K_V1, 11689512, 'resnet18-f37072fd.pth')
    """

    @classmethod
    def verify(cls, obj: Any) -> Any:
        """A member for a member, its name or None; TypeError for anything else."""
        if isinstance(obj, str):
            return cls[obj.replace(cls.__name__ + ".", "")]
        if obj is not None and not isinstance(obj, cls):
            raise TypeError(f"Invalid Weight class provided; expected {cls.__name__} but received {type(obj).__name__}.")
        return obj

    def get_state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The weights, downloaded unless they are there; arguments as of `hub.load_state_dict_from_url`."""
        return hub.load_state_dict_from_url(self.url, *args, **kwargs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    def __reduce_ex__(self, protocol: object) -> tuple:
        return getattr, (type(self), self.name)

    @property
    def url(self) -> str:
        return self.value.url

    @property
    def transforms(self) -> Callable[..., Any]:
        return self.value.transforms

    @property
    def meta(self) -> dict[str, Any]:
        return self.value.meta


@cache
def table() -> dict[str, dict[str, Any]]:
    return json.loads((DATA / "weights.json").read_text())


@cache
def categories() -> list[str]:
    """The thousand classes of ImageNet, by label."""
    return (DATA / "imagenet.txt").read_text().splitlines()


def published(name: str, module: str) -> type[WeightsEnum]:
    """The enum `name` of `_data/weights.json`, as a class of the module `module`."""
    members = {}
    for member, entry in table()[name].items():
        if isinstance(entry, str):
            members[member] = members[entry]
            continue
        preset = {key: tuple(v) if isinstance(v, list) else v for key, v in entry["preset"].items()}
        if "interpolation" in preset:
            preset["interpolation"] = InterpolationMode(preset["interpolation"])
        meta = entry["meta"] | {"min_size": tuple(entry["meta"]["min_size"])}
        meta.setdefault("categories", categories())
        members[member] = Weights(SITE + entry["file"], partial(ImageClassification, **preset), meta)
    return WeightsEnum(name, members, module=module)  # type: ignore[call-arg, return-value]


def builder(
    module: str, name: str, weights: type[WeightsEnum], construct: Callable[..., M],
    fit: Callable[[WeightsEnum, dict[str, Any]], None] = lambda weights, kwargs: None,
    translate: Callable[[dict[str, Any]], dict[str, Any]] = lambda state: state,
    finish: Callable[[Any, dict[str, Any]], None] = lambda model, kwargs: None,
) -> Callable[..., M]:  # fmt: skip
    """The function `name` of `module`: `construct` with its keyword arguments, then load weights if they are asked for.

    Args:
        fit: adds what a model for certain weights must be built with to the keyword arguments
        translate: gives old names in a weight file their new ones
        finish: changes the model once its weights are there, as the caller's keyword arguments say
    """

    def build(*args: Any, **kwargs: Any) -> M:
        chosen, progress = asked_for(name, weights, args, kwargs)
        if chosen is None:
            return construct(**kwargs)
        asked = dict(kwargs)
        if chosen.meta["categories"] is not None:
            demand(kwargs, "num_classes", len(chosen.meta["categories"]))
        fit(chosen, kwargs)
        model: Any = construct(**kwargs)
        model.load_state_dict(translate(chosen.get_state_dict(progress=progress, check_hash=True)))
        finish(model, asked)
        return model

    build.__name__ = build.__qualname__ = name
    build.__module__ = module
    build.__signature__ = inspect.Signature([  # type: ignore[attr-defined]
        inspect.Parameter("weights", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=weights | None),
        inspect.Parameter("progress", inspect.Parameter.KEYWORD_ONLY, default=True, annotation=bool),
        inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
    ])  # fmt: skip
    build.__doc__ = f"""A {name}: with trained weights (a member of `{weights.__name__}` or its name), else initialised at random.

    `progress` shows the download. Other keyword arguments go to the model: `num_classes=10` sets how many logits it gives.

    Example:
        >>> model = {name}(num_classes=10)
        >>> model = {name}(weights="DEFAULT").eval()  # downloads a file once
    """
    return build


def asked_for(name: str, weights: type[WeightsEnum], args: tuple, kwargs: dict[str, Any]) -> tuple[Any, bool]:
    """The weights and `progress` of a call, which may be in the style of before 0.13; taken out of `kwargs`."""
    if args:
        given = dict(zip(("weights", "progress"), args))
        if len(args) > len(given):
            raise TypeError(f"{name}() takes 0 positional arguments but {len(args)} were given")
        named = " and ".join(f"'{key}'" for key in given)
        warnings.warn(
            f"Using {named} as positional parameter(s) is deprecated since 0.13 and may be removed in the future. "
            f"Please use keyword parameter(s) instead.",
            stacklevel=3,
        )
        kwargs.update(given)
    chosen, progress = kwargs.pop("weights", None), kwargs.pop("progress", True)
    pretrained = chosen
    if by_name := chosen is None and "pretrained" in kwargs:
        pretrained = bool(kwargs.pop("pretrained"))
    if pretrained is not None and (pretrained == "legacy" or not isinstance(pretrained, (str, WeightsEnum))):
        chosen = legacy(name, weights, bool(pretrained), by_name)
    return weights.verify(chosen), progress


def legacy(name: str, weights: type[WeightsEnum], pretrained: bool, by_name: bool) -> WeightsEnum | None:
    """What `pretrained` meant, with torchvision's warnings."""
    meant = weights.__members__.get(LEGACY) if pretrained else None
    if pretrained and meant is None:
        raise ValueError(f"No weights available for model {name}")
    if by_name:
        warnings.warn(
            "The parameter 'pretrained' is deprecated since 0.13 and may be removed in the future, please use 'weights' instead.",
            stacklevel=4,
        )
    message = (
        f"Arguments other than a weight enum or `None` for 'weights' are deprecated since 0.13 and may be removed in the future. "
        f"The current behavior is equivalent to passing `weights={meant}`."
    )
    if pretrained:
        message += f" You can also use `weights={weights.__name__}.DEFAULT` to get the most up-to-date weights."
    warnings.warn(message, stacklevel=4)
    return meant


def demand(kwargs: dict[str, Any], name: str, value: Any) -> None:
    """Set a keyword argument; ValueError if the caller asked for another value."""
    if kwargs.setdefault(name, value) != value:
        raise ValueError(f"The parameter '{name}' expected value {value} but got {kwargs[name]} instead.")


def make_divisible(v: float, divisor: int, min_value: int | None = None) -> int:
    """The multiple of `divisor` nearest to `v` that is not below 0.9 `v`, nor below `min_value`."""
    rounded = max(divisor if min_value is None else min_value, int(v + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * v else rounded
