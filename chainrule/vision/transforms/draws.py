"""What random transforms share: draws from chainrule's generator, in torchvision's order, and checks of their arguments."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Number
from typing import Any

from chainrule import functions
from chainrule.tensor import Tensor
from chainrule.vision.transforms import functional as F

# Draws


def uniform(low: float, high: float) -> float:
    return functions.empty(1).uniform_(float(low), float(high)).item()


def integer(low: int, high: int) -> int:
    """One of `low` to `high` - 1."""
    return functions.randint(low, high, (1,)).item()


def chance(p: float) -> bool:
    return bool(functions.rand(1) < p)


def aspect(ratio: Sequence[float]) -> float:
    """A ratio of sides, as likely r as 1 / r."""
    low, high = functions.log(functions.tensor(ratio)).tolist()
    return functions.exp(functions.empty(1).uniform_(low, high)).item()


# Arguments


def need_sequence(value: Any, name: str, lengths: Sequence[int]) -> None:
    message = f"{name} should be a sequence of length {' or '.join(map(str, lengths))}."
    if not isinstance(value, Sequence):
        raise TypeError(message)
    if len(value) not in lengths:
        raise ValueError(message)


def angles(value: Any, name: str, lengths: Sequence[int] = (2,)) -> list[float]:
    """[-v, v] for a number, else the sequence as floats."""
    if isinstance(value, Number):
        if value < 0:  # type: ignore[operator]
            raise ValueError(f"If {name} is a single number, it must be positive.")
        value = [-value, value]  # type: ignore[operator]
    else:
        need_sequence(value, name, lengths)
    return [float(v) for v in value]


def need_fill(fill: Any) -> Any:
    if fill is not None and not isinstance(fill, (Sequence, Number)):
        raise TypeError("Fill should be either a sequence or a number.")
    return 0 if fill is None else fill


def fill_for(img: Any, fill: Any) -> Any:
    """For a tensor a number a channel."""
    if not isinstance(img, Tensor):
        return fill
    return [float(fill)] * F.get_dimensions(img)[0] if isinstance(fill, (int, float)) else [float(v) for v in fill]


def need_ranges(scale: Any, ratio: Any) -> None:
    if not isinstance(scale, Sequence):
        raise TypeError("Scale should be a sequence")
    if not isinstance(ratio, Sequence):
        raise TypeError("Ratio should be a sequence")
    if scale[0] > scale[1] or ratio[0] > ratio[1]:
        warnings.warn("Scale and ratio should be of kind (min, max)", stacklevel=3)
