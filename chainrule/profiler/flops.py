"""How many floating-point operations an op makes, for `with_flops=True`: PyTorch's counts, for the same few ops."""

from __future__ import annotations

from math import prod
from typing import Any

PRODUCTS = {"aten::mm": (0, 1), "aten::bmm": (0, 1), "aten::addmm": (1, 2), "aten::baddbmm": (1, 2)}  # where the factors are
ELEMENTWISE = ("aten::add", "aten::mul")


def flops(name: str, given: tuple, result: Any) -> int:
    """The count for the op `name` with the arguments `given`; 0 where none is known.

    Example:
        >>> flops("aten::mm", (ones(4, 5), ones(5, 6)), ones(4, 6))
        240
    """
    shape = getattr(result, "shape", ())
    if name in ELEMENTWISE:
        return prod(shape)
    if name in PRODUCTS:
        inner = [v.shape[-1] for v in given if len(getattr(v, "shape", ())) > 1][:1]
        return 2 * prod(shape) * inner[0] if inner else 0
    if name == "aten::conv2d":  # each of the results is a sum over channels of a group and the window
        return 2 * prod(shape) * prod(given[1].shape[1:])
    return 0
