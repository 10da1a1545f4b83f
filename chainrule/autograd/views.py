"""Views and in-place changes: how a base's history learns that a part of it was overwritten, and a view's that its base was.

Writing to a view makes the base the result of `copy_slices(base before, written values)`; the views then read their part of the
new base (`as_strided`). Both go by geometry, where in the base's memory a view looks, so any chain of views costs one step.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import numpy as np

from chainrule._core import modes
from chainrule.autograd.node import Node, Output
from chainrule.kernels.batched import memory
from chainrule.kernels.elementwise import copy
from chainrule.ops.primitive import edge_of, general, linear
from chainrule.tensor import Tensor


class Geometry(NamedTuple):
    """Where a view looks in its base's memory; strides and the offset from the base's first element in bytes."""

    base_shape: tuple
    base_strides: tuple
    base_dtype: np.dtype
    shape: tuple
    strides: tuple
    dtype: np.dtype
    offset: int


def geometry(base: np.ndarray, view: np.ndarray) -> Geometry:
    """The geometry of an array that looks into another's memory."""
    offset = memory(view).__array_interface__["data"][0] - memory(base).__array_interface__["data"][0]
    return Geometry(base.shape, base.strides, base.dtype, view.shape, view.strides, view.dtype, offset)


def blank(where: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Zeros laid out as the base, and the view into them."""
    spans = [(n - 1) * s for n, s in zip(where.base_shape, where.base_strides, strict=True) if n]
    low = -sum(s for s in spans if s < 0)
    memory = np.zeros(low + sum(s for s in spans if s > 0) + where.base_dtype.itemsize, np.uint8)
    base = np.ndarray(where.base_shape, where.base_dtype, memory, low, where.base_strides)
    if 0 in where.shape:
        return base, np.empty(where.shape, where.dtype)
    return base, np.ndarray(where.shape, where.dtype, memory, low + where.offset, where.strides)


@linear(a=lambda g: g, node="CopyBackwards")
def laid_as(a: Any, model: np.ndarray) -> Any:
    """A copy laid out in memory as `model` is."""
    return copy(a, np.empty_like(model, dtype=a.dtype))


@linear(a=lambda g, where: put_view(g, where), node="AsStridedBackward0")
def take_view(a: Any, where: Geometry) -> Any:
    """What the view sees of `a`, which has the base's shape (and perhaps another layout)."""
    view = look(a, where)
    if view is None:
        base, view = blank(where)
        base[...] = a
    return copy(view, np.empty(where.shape, where.dtype))


def look(a: Any, where: Geometry) -> np.ndarray | None:
    """The view into `a`, if that is laid out as the base."""
    if a.__class__ is not np.ndarray or a.strides != where.base_strides or not a.flags.c_contiguous or where.dtype is not a.dtype:
        return None
    return np.ndarray(where.shape, a.dtype, a, where.offset, where.strides) if a.size and 0 not in where.shape else None


@linear(a=lambda g, where: without_view(g, where))
def without_view(a: Any, where: Geometry) -> Any:
    """`a`, which has the base's shape, with zeros where the view looks."""
    y = copy(a, np.empty(where.base_shape, a.dtype))
    view = look(y, where)
    if view is None:
        return a - put_view.kernel(take_view.kernel(a, where), where)
    view[...] = 0
    return y


@linear(a=lambda g, where: take_view(g, where))
def put_view(a: Any, where: Geometry) -> Any:
    """Zeros of the base's shape with `a` added where the view looks: the transpose of `take_view`."""
    from chainrule.ops.shape import Layout, address, overlaps

    base, view = blank(where)
    repeated = tuple([i for i, (n, s) in enumerate(zip(where.shape, where.strides, strict=True)) if s == 0 and n > 1])
    if repeated:
        a = np.add.reduce(a, repeated, keepdims=True)
        view = view[tuple([slice(1) if i in repeated else slice(None) for i in range(len(where.shape))])]
    if view.size and overlaps(view.shape, view.strides):
        memory = view.base
        layout = Layout(view.shape, tuple([s // view.itemsize for s in view.strides]), (address(view) - address(memory)) // view.itemsize)
        np.add.at(np.ndarray(memory.size // view.itemsize, view.dtype, memory), layout.places(), a)
    else:
        view[...] = a
    return base


@general(a=lambda g, where: without_view(g, where), b=lambda g, where: take_view(g, where), node="CopySlices")
def copy_slices(a: Any, b: Any, where: Geometry) -> Any:
    """`a` with the view's part replaced by `b`."""
    raise NotImplementedError("in-place ops write the memory themselves; this primitive only gives the history its rule")


def rebase(target: Tensor, edge: Any) -> None:
    """Make `edge` the history of `target`, whose memory an in-place op has just written."""
    base = target._base
    if base is None:
        before, target._edge, target._tracked = target._edge, edge, edge is not None
        target._versions[1] += 1
        target._versions[2:] = [(edge.node if type(edge) is Output else edge).__class__]  # for the error of who saved the old values
        keep_retaining(target, before)
        return
    where = geometry(base._data, target._data)
    edges = [edge_of(base), edge]
    if edges == [None, None]:
        return
    before = base._edge
    copy_slices.make_node(edges, (base, base), (base._data, base._data), (where,), [base], False)
    base._versions[1] += 1
    base._versions[2:] = [copy_slices.node]
    keep_retaining(base, before)


def keep_retaining(t: Tensor, before: Any) -> None:
    """`retain_grad` goes with the tensor to its new history."""
    if not t._retains:
        return
    node, index = (before.node, before.index) if type(before) is Output else (before, 0)
    if isinstance(node, Node) and node.extra is not None:
        node.extra.retain.pop(index, None)
    node = t._edge.node if type(t._edge) is Output else t._edge
    if node is not None:
        node.ensure_extra().retain[t._edge.index if type(t._edge) is Output else 0] = weakref.ref(t)


def regenerate(view: Tensor) -> None:
    """Give a view the history of its part of the base as it is now."""
    base = view._base
    if base._tracked and view._restriction in ("multiple", "no_grad") and modes.grad_enabled():
        from chainrule.ops.inplace import refusal

        raise refusal(view, "its base or another view of its base has been modified inplace")
    view._epoch = view._versions[1]
    if base._tracked:
        before = modes.set_grad(True)
        try:
            old, view._edge = view._edge, take_view(base, geometry(base._data, view._data))._edge
        finally:
            modes.set_grad(before)
        view._tracked = True
        keep_retaining(view, old)
