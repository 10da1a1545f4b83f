"""Affine maps: `linear`, `bilinear`."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.autograd.node import next_sequence
from chainrule.functions.arguments import require_tensor
from chainrule.kernels.products import SMALL, product
from chainrule.kernels.random import CPP
from chainrule.ops import matmul as ops
from chainrule.ops.inplace import write_out
from chainrule.ops.overrides import public
from chainrule.tensor import Tensor, sync

state = modes.state
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
ndarray, _new, _dot, _add = np.ndarray, object.__new__, np.dot, np.add.reduce
General = ops.affine.node


class Affine(General):  # type: ignore[misc, valid-type]
    """The node of the eager path: real matrices and a bias of one row."""

    __slots__ = ()

    def vjp(self, g: Any, saved: Any) -> tuple:
        if g.__class__ is not ndarray:
            return General.vjp(self, g, saved)
        a, w = saved
        to_bias, to_input, to_weight = self.edges
        return (
            None if to_bias is None else _add(g, 0),
            None if to_input is None else _dot(g, w) if g.size < SMALL or w.size < SMALL else product(g, w),
            None if to_weight is None else _dot(g.T, a) if g.size < SMALL or a.size < SMALL else product(g.T, a),
        )

    def unpack(self, tracked: bool) -> tuple:
        if not tracked and self.extra is None:
            guards = self.guards
            if guards[0][0] == guards[1] and guards[-2][0] == guards[-1]:
                return self.saved
        return General.unpack(self, tracked)


Affine.__name__ = Affine.__qualname__ = General.__name__
Affine.__module__ = General.__module__


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None, *, out: Tensor | None = None) -> Tensor:
    """`input @ weight.T + bias`: shapes (..., in), (out, in) and (out,) give (..., out).

    Raises RuntimeError for shapes that do not fit and for unequal types.

    Example:
        >>> linear(tensor([[1., 2.]]), tensor([[1., 0.], [0., 1.], [1., 1.]]), zeros(3))
        tensor([[1., 2., 3.]])
    """
    if out is not None:
        return write_out("linear", out, linear_any(input, weight, bias))
    if state.busy or not isinstance(bias, Tensor) or not isinstance(input, Tensor) or not isinstance(weight, Tensor):
        return linear_any(input, weight, bias)
    a, w, c = input._data, weight._data, bias._data
    dtype = a.dtype
    if (
        a.ndim != 2 or (dtype is not F32 and dtype is not F64) or w.dtype is not dtype or c.dtype is not dtype or w.ndim != 2
        or c.shape != w.shape[:1] or a.shape[1] != w.shape[1]
    ):  # fmt: skip
        return linear_any(input, weight, bias)
    if a.size < SMALL or w.size < SMALL:
        y = _dot(a, w.T)
        y += c
    else:
        y = product(a, w.T, c)
    t = _new(Tensor)
    t._data, t._versions, t._base, t._grad = y, [0, 0], None, None
    for operand in (input, weight, bias):
        if operand._base is not None:
            sync(operand)
    ta, tw, tc = input._tracked, weight._tracked, bias._tracked
    if ta or tw or tc:
        node = _new(Affine)
        node.fix = node.extra = None
        node.made = y.shape
        node.sequence = next_sequence()
        node.edges = (
            (bias._edge or bias) if tc else None,
            (input._edge or input) if ta else None,
            (weight._edge or weight) if tw else None,
        )
        va, vw = input._versions, weight._versions
        if tw:
            node.saved = (a, w if ta else None)
            node.guards = (va, va[0], vw, vw[0]) if ta else (va, va[0])
        elif ta:
            node.saved, node.guards = (None, w), (vw, vw[0])
        else:
            node.saved, node.guards = (None, None), ()
        t._tracked, t._edge = True, node
    else:
        t._tracked, t._edge = False, None
    return t


@public
def linear_any(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    require_tensor("linear", input)
    require_tensor("linear", weight, "weight", 2)
    a, w = input._data, weight._data
    if not a.ndim or not w.ndim:
        raise RuntimeError(f"both arguments to linear need to be at least 1D, but they are {a.ndim}D and {w.ndim}D")
    if w.ndim != 2 and bias is not None:
        raise RuntimeError(f"mat2 must be a matrix, got {w.ndim}-D tensor")
    if a.shape[-1] != w.shape[-1]:
        rows = a.size // a.shape[-1] if a.shape[-1] else 0
        one = f"{rows}x{a.shape[-1]}"
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({one} and {'x'.join(map(str, w.shape[::-1]))})")
    if a.dtype != w.dtype or (bias is not None and bias._data.dtype != a.dtype):
        names = [CPP[t.dtype.name] for t in (input, weight)]
        if bias is None:
            raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {names[0]} != {names[1]}")
        name, first = ("mat1", input) if weight._data.dtype == bias._data.dtype else ("self", bias)
        kinds = [ops.dtypes.LEGACY[t.dtype] for t in (first, weight)]
        raise RuntimeError(f"{name} and mat2 must have the same dtype, but got {kinds[0]} and {kinds[1]}")
    if a.dtype == bool:
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")
    if w.ndim == 1:
        return ops.fold_mv(input, weight) if a.ndim > 2 else ops.mv(input, weight) if a.ndim == 2 else ops.dot(input, weight)
    if bias is None:
        return ops.times_transposed(input, weight) if a.ndim == 2 else ops.fold_times_transposed(input, weight)
    if bias._data.ndim and bias._data.shape[-1] not in (1, len(w)):
        raise RuntimeError(
            f"The expanded size of the tensor ({len(w)}) must match the existing size ({bias._data.shape[-1]}) at non-singleton dimension "
            f"{a.ndim - 1}.  Target sizes: {[*a.shape[:-1], len(w)]}.  Tensor sizes: {list(bias._data.shape)}"
        )
    if bias._data.shape == w.shape[:1]:
        return ops.affine(bias, input, weight) if a.ndim == 2 else ops.fold_affine(bias, input, weight)
    return linear_any(input, weight) + bias  # type: ignore[operator]


linear_any.shown = linear


__all__ = ["linear"]
