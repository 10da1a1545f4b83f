"""Padding: constants around, or the input's own elements at places beyond its edges; and the transposes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from chainrule.kernels.elementwise import MANY, copy, is_zero
from chainrule.ops.index import rows
from chainrule.ops.primitive import Primitive, linear

Sides = tuple[tuple[int, int], ...]


@linear(a=lambda g, sides: crop(g, sides), jvp=lambda t, sides: constant_pad(t, sides, 0), node="ConstantPadNdBackward0")
def constant_pad(a: Any, sides: Sides, value: Any) -> Any:
    """(before, behind) elements of `value` around each dimension; negative numbers cut elements away."""
    shape, target, source = places_of(a.shape, sides)
    if a.size >= MANY:
        y = np.empty(shape, a.dtype)
        for d, place in enumerate(target):  # what is around
            y[(*target[:d], slice(place.start))] = y[(*target[:d], slice(place.stop, None))] = value
        copy(a[source], y[target])
        return y
    y = np.zeros(shape, a.dtype) if is_zero(value) else np.full(shape, value, a.dtype)
    y[target] = a[source]
    return y


@lru_cache(256)
def places_of(shape: tuple, sides: Sides) -> tuple[tuple, tuple, tuple]:
    """The shape with `sides` around it, where in there the elements go, and which ones do."""
    pairs = list(zip(shape, sides, strict=True))
    target = tuple([slice(max(p, 0), n + p + min(q, 0)) for n, (p, q) in pairs])
    return tuple([n + p + q for n, (p, q) in pairs]), target, tuple([slice(max(-p, 0), n + min(q, 0)) for n, (p, q) in pairs])


def sides_of(pad: Sequence[int], rank: int) -> Sides:
    """`pad`, (before, behind) of the last dimension, then of the one before it, ..., for each of `rank` dimensions."""
    return ((0, 0),) * (rank - len(pad) // 2) + tuple(zip(pad[-2::-2], pad[::-2], strict=True))


@linear(a=lambda g, sides: constant_pad(g, sides, 0), node="ConstantPadNdBackward0")
def crop(a: Any, sides: Sides) -> Any:
    """What `constant_pad` put its input into, zeros where it had cut: its transpose."""
    return constant_pad.kernel(a, tuple([(-p, -q) for p, q in sides]), 0)


def padding_by(node: str) -> Primitive:
    """The primitive that reads, under PyTorch's name for it, each of the last dimensions at given places."""

    @linear(a=lambda g, places, a_shape: gather_back(g, places, a_shape[len(a_shape) - len(places) :]), node=node)
    def pad(a: Any, places: tuple) -> Any:
        lead = a.ndim - len(places)
        for i, along in enumerate(places):
            if along is not None:
                a = a.take(along, lead + i)
        return a

    return pad


@linear(a=lambda g, places: reread(g, places), node="ReflectionPad1DBackwardBackward0")
def gather_back(a: Any, places: tuple, sizes: tuple) -> Any:
    """Each element added where it was read from: the transpose of reading."""
    lead = a.ndim - len(places)
    for i, (along, n) in enumerate(zip(places, sizes, strict=True)):
        if along is not None:
            a = rows.kernel(a, along, (*a.shape[: lead + i], n, *a.shape[lead + i + 1 :]), lead + i)
    return a


reread = padding_by("IndexBackward0")
MODES: dict[str, dict[int, Primitive]] = {
    "reflect": {d: padding_by(f"ReflectionPad{d}DBackward0") for d in (1, 2, 3)},
    "replicate": {d: padding_by(f"ReplicationPad{d}DBackward0") for d in (1, 2, 3)},
    "circular": {d: padding_by("CatBackward0") for d in (1, 2, 3)},
}
