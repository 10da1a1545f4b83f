"""Checks and normal forms of arguments that the functions of `nn.functional` share."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor
from chainrule.tensor import Tensor

NARROW = frozenset((dtypes.float16.numpy, dtypes.bfloat16.numpy))
REDUCTIONS = ("none", "mean", "sum")


def legacy(t: Tensor) -> str:
    """The name that error messages use for t's type, such as Float."""
    return dtypes.LEGACY[t.dtype]


def require_floating(function: str, kernel: str, t: Any, *, complex: bool = False) -> None:
    """Raise unless t is a tensor of a floating type (or a complex one, if allowed); `kernel` is what PyTorch's message names."""
    require_tensor(function, t)
    category = t.dtype.category
    if category != dtypes.FLOATING and not (complex and category == dtypes.COMPLEX):
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{legacy(t)}'")


def check_reduction(reduction: str, size_average: bool | None = None, reduce: bool | None = None) -> str:
    """The reduction, from PyTorch's old arguments if they are given (with its warning)."""
    if size_average is not None or reduce is not None:
        averaged, reduced = size_average is not False, reduce is not False
        reduction = "none" if not reduced else "mean" if averaged else "sum"
        warnings.warn(f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.", stacklevel=4)
    if reduction == "elementwise_mean":
        warnings.warn("reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead.", stacklevel=4)
        return "mean"
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def reduce_loss(loss: Any, reduction: str) -> Any:
    """The mean, the sum or all of the element losses."""
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def ints(value: Any, count: int, function: str, name: str, position: int = 3) -> tuple[int, ...]:
    """`count` ints, from one int for all of them or from a sequence of one or `count` ints."""
    if hasattr(value, "__index__") and not isinstance(value, bool):
        return (value.__index__(),) * count
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError(f"{function}(): argument '{name}' (position {position}) must be tuple of ints, not {type(value).__name__}")
    many = []
    for i, v in enumerate(value):
        if not hasattr(v, "__index__"):
            raise TypeError(
                f"{function}(): argument '{name}' (position {position}) must be tuple of ints, but found element of type "
                f"{type(v).__name__} at pos {i}"
            )
        many.append(v.__index__())
    if len(many) == 1:
        return tuple(many) * count
    return tuple(many)


__all__ = ["NARROW", "check_reduction", "ints", "legacy", "reduce_loss", "require_floating"]
