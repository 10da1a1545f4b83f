"""Forward mode: dual tensors, which carry a tangent, and the public ways to make and unpack them.

A tensor holds one tangent a level (`_tangents`, a dict). `torch.autograd.forward_ad` knows one level; `func.jvp` nests more. The
tangent of a view is a view of its base's tangent, so in-place changes of either reach both. How ops hand tangents on is said in
`chainrule.autograd.pushforward`.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import numpy as np

from chainrule._core import modes
from chainrule.autograd.grad_mode import Mode
from chainrule.autograd.node import Extra
from chainrule.autograd.views import geometry, laid_as, take_view
from chainrule.kernels.batched import Batched
from chainrule.ops import shape as ops
from chainrule.ops.primitive import INEXACT, linear, mark_view
from chainrule.tensor import Tensor, adopt

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual"]

local = modes.local


class UnpackedDualTensor(NamedTuple):
    """What `unpack_dual` gives: the value and the tangent, None if there is none."""

    primal: Tensor
    tangent: Tensor | None


# Levels


def enter_level() -> int:
    """Start a further level; ops then push its tangents forward."""
    level = len(local.duals)
    local.duals = (*local.duals, [1000])
    local.dual_level = level
    modes.occupy(1)
    return level


def exit_level() -> None:
    """End the last level: its tangents go."""
    *rest, holders = local.duals
    level = local.dual_level = len(rest) - 1
    local.duals = tuple(rest)
    modes.occupy(-1)
    for reference in holders[1:]:
        holder = reference()
        if isinstance(holder, Extra):
            forget(holder, level + 1)
        elif holder is not None and holder._tangents is not None:
            holder._tangents.pop(level + 1, None)
            if not holder._tangents:
                holder._tangents = None


def forget(extra: Extra, level: int) -> None:
    """Let go of the tangents that a node keeps of what it saved: their history may lead to it."""
    for kept in extra.tangents or ():
        for tangents in kept if isinstance(kept, tuple) else (kept,):
            tangents.pop(level, None)


def enter_dual_level() -> int:
    """Start forward mode; returns the level. RuntimeError if it is on already."""
    if local.duals:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    return enter_level()


def exit_dual_level(*, level: int | None = None) -> None:
    """End forward mode; the tangents of all dual tensors go."""
    if level is not None and level != local.dual_level:
        raise RuntimeError("Trying to exit a forward AD level that was not the last one that was created. This is not supported.")
    if not local.duals:
        raise RuntimeError("Dual level must be a positive number.")
    exit_level()


class dual_level(Mode):
    """Forward mode inside; tangents do not outlive it. Context manager and decorator.

    Example:
        >>> with dual_level():
        ...     x = make_dual(tensor(3.), tensor(1.))
        ...     unpack_dual(x ** 2).tangent
        tensor(6.)
    """

    def __enter__(self) -> int:  # type: ignore[override]
        return enter_dual_level()

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        exit_dual_level()


class _set_fwd_grad_enabled(Mode):
    """Inside, ops push tangents or not, as `mode` says. Context manager and decorator."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode

    def __enter__(self) -> None:
        self.prev, local.forward = local.forward, self.mode

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        local.forward = self.prev


# Duals


@linear(a=lambda g: g, view=True, node="Identity")
def primal_of(a: Any) -> Any:
    """The value of a dual tensor."""
    return a[...]


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A view of `tensor` that carries `tangent` (of its shape), which is kept as it is unless it is laid out otherwise.

    ValueError for integers; RuntimeError outside of a level, for shapes that differ, and for tensors that are dual already.

    Example:
        >>> with dual_level():
        ...     make_dual(tensor(3.), tensor(1.))
        tensor(3., tangent=1.0)
    """
    level = local.dual_level if level is None else level
    if level < 0:
        raise RuntimeError("Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first.")
    for what, t in (("primal", tensor), ("tangent", tangent)):
        if t.__class__ is not Tensor and not t.is_floating_point() and not t.is_complex() or t._data.dtype not in INEXACT:
            raise ValueError(f"Expected {what} to be floating point or complex, but got: {t.dtype}")
    if tangent_of(tensor, level) is not None:
        raise RuntimeError(
            f"Making a dual Tensor based on a Tensor that already has a forward gradient at the same level {level} is not supported."
        )
    if is_simple(tensor, level):
        dual = seen(tensor)
    else:
        with below(level):
            dual = ops.view(tensor, tensor._data.shape)
    attach(dual, level, tangent)
    return dual


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The value of a dual tensor, as a view without tangent, and the tangent (None if it has none, or outside of a level)."""
    level = local.dual_level if level is None else level
    if level < 0:
        return UnpackedDualTensor(tensor, None)
    if not isinstance(tensor, Tensor):
        raise TypeError(f"_unpack_dual(): argument 'dual' (position 1) must be Tensor, not {type(tensor).__name__}")
    if is_simple(tensor, level):
        primal = seen(tensor)
    else:
        with below(level):
            primal = primal_of(tensor)
    hold(primal, level, None)
    return UnpackedDualTensor(primal, tangent_of(tensor, level))


def is_simple(t: Tensor, level: int) -> bool:
    """Whether a view of t needs no op: no history and no level below has to learn of it."""
    return level == 0 and type(t) is Tensor and not t.requires_grad and not modes.state.levels and local.watch is None


def seen(t: Tensor) -> Tensor:
    """A view of a tensor without history."""
    view = adopt(Tensor, t._data[...])
    mark_view(view, t, False, local.grad)
    return view


# Tangents


class below:
    """Inside, ops see only the levels below `level`."""

    __slots__ = ("level", "before")

    def __init__(self, level: int) -> None:
        self.level = level

    def __enter__(self) -> None:
        self.before = local.dual_level
        local.dual_level = self.level - 1

    def __exit__(self, *exc: object) -> None:
        local.dual_level = self.before


def hold(t: Tensor, level: int, tangent: Tensor | None) -> None:
    """Keep `tangent` until the level ends; None says that t has none, whatever it is a view of."""
    if t._tangents is None:
        t._tangents = {}
    t._tangents[level] = tangent
    note(t, level)


def attach(t: Tensor, level: int, tangent: Tensor) -> None:
    """Give t a tangent, laid out as t is."""
    if tangent_of(tangent, level) is not None:
        raise RuntimeError(f"Setting a forward grad that itself has a forward gradient at the same level{level} is not supported.")
    if tangent._data.dtype not in INEXACT:
        raise RuntimeError("Expected both tensor and its forward grad to be floating point or complex")
    if tangent._data.shape != t._data.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not supported. "
            f"Tensor is of size {list(t._data.shape)} while the given forward gradient is of size {list(tangent._data.shape)}."
        )
    hold(t, level, laid_out(tangent, t._data, level))


def laid_out(tangent: Tensor, model: np.ndarray, level: int) -> Tensor:
    """The tangent itself if its strides are as they should be, else a copy."""
    a = tangent._data
    if isinstance(a, Batched) or isinstance(model, Batched):
        return tangent
    wanted = [s * a.itemsize // model.itemsize for s in model.strides]
    if all([n < 2 or s == w for n, s, w in zip(a.shape, a.strides, wanted)]) or a.size < 2:
        return tangent
    with below(level):
        return laid_as(tangent, model)


def note(holder: Any, level: int) -> None:
    """Have a tensor, or what belongs to a node, let its tangents go when the level ends."""
    holders = local.duals[level]
    holders.append(weakref.ref(holder))
    if len(holders) > holders[0]:  # most are gone
        holders[1:] = [r for r in holders[1:] if r() is not None]
        holders[0] = 2 * len(holders) + 1000


def tangent_of(t: Tensor, level: int) -> Tensor | None:
    """t's tangent; that of a view is its part of its base's."""
    own = t._tangents
    if own is not None and level in own:
        return own[level]
    base = t._base
    if base is None or base._tangents is None:
        return None
    whole = base._tangents.get(level)
    if whole is None:
        return None
    with below(level):
        part = part_of(whole, base._data, t._data)
    hold(t, level, part)
    return part


def part_of(whole: Tensor, base: np.ndarray, view: np.ndarray) -> Tensor:
    """Where `whole` stands for `base`, what stands for `view`."""
    where = geometry(base, view)
    same = whole._data.dtype == base.dtype == view.dtype and whole._data.strides == base.strides
    if not same:
        return take_view(whole, where)
    source, size = ops.layout_of(whole._data), base.itemsize
    target = ops.Layout(where.shape, tuple([s // size for s in where.strides]), source.offset + where.offset // size)
    return ops.as_strided(whole, source, target)


def tangents_of(t: Any) -> dict:
    """All of t's tangents that are in use, by level, each with a token of its level."""
    if not isinstance(t, Tensor):
        return {}
    found = {level: (holders, tangent_of(t, level)) for level, holders in enumerate(local.duals)}
    return {level: pair for level, pair in found.items() if pair[1] is not None}


def revive(value: Any, tangents: Any) -> Any:
    """A saved value with the tangents that it had, as far as their levels have not ended."""
    if value is None:
        return None
    if isinstance(tangents, tuple):
        return tuple([revive(v, t) for v, t in zip(value, tangents, strict=True)])
    for level, (holders, tangent) in tangents.items():
        if level < len(local.duals) and local.duals[level] is holders and tangent_of(value, level) is None:
            hold(value, level, tangent)
    return value
