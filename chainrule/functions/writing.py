"""Writing all of a tensor: `fill_`, `zero_`, `copy_`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.functions import creation
from chainrule.functions.arguments import require_tensor
from chainrule.functions.shape import pair_shape
from chainrule.ops import placing as ops
from chainrule.ops.inplace import check_writable, overwrite, snapshot
from chainrule.ops.overrides import public
from chainrule.ops.pointwise_form import cast_array
from chainrule.tensor import Tensor, wrap


def write(target: Tensor, op: Callable, value: Any = None) -> Tensor:
    """Overwrite `target` with `op(target)` or `op(target, value)`, without a copy if nothing is recorded."""
    recording = modes.grad_enabled()
    check_writable(target, recording, not isinstance(value, Tensor))
    if (recording and (target.requires_grad or (isinstance(value, Tensor) and value.requires_grad))) or modes.state.busy:
        return overwrite(target, op(snapshot(target)) if value is None else op(snapshot(target), value))
    a = target._data
    a[...] = 0 if value is None else value if not isinstance(value, Tensor) else cast_array(value._data, a.dtype)
    target._versions[0] += 1
    return target


@public
def zero_(input: Tensor) -> Tensor:
    """Make all elements zero. Returns the tensor itself."""
    require_tensor("zero_", input)
    return write(input, ops.zero)


def filling(input: Tensor, value: Any) -> Any:
    """What a tensor is filled with: a number of its type, or a 0-dim tensor."""
    if not isinstance(value, Tensor):
        return creation.fill("fill_", value, input.dtype, 2)[0]
    if value._data.ndim:
        raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {value._data.ndim} dimensions.")
    return value


@public
def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like `input` with `value`, a number or a 0-dim tensor, in all places. Example: `fill(ones(2), 3)` is `tensor([3., 3.])`."""
    require_tensor("fill", input)
    value = filling(input, value)
    return (ops.fill_with if isinstance(value, Tensor) else ops.fill)(input, value)


@public
def fill_(input: Tensor, value: Any) -> Tensor:
    """Put `value`, a number or a 0-dim tensor, in all places. Returns the tensor itself."""
    require_tensor("fill_", input)
    value = filling(input, value)
    return write(input, ops.fill_with_in_place if isinstance(value, Tensor) else ops.fill_in_place, value)


@public
def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Copy the elements of `src`, which is broadcast and cast to this tensor's shape and type. Returns the tensor itself.

    Raises RuntimeError if `src` does not broadcast to the shape of this tensor.
    """
    if not isinstance(src, Tensor):
        src = wrap(np.asarray(creation.fill("copy_", src, None, 1)[0]))
    shape = self._data.shape
    if src._data.shape != shape:
        both = pair_shape(shape, src._data.shape)
        if both != shape:
            raise RuntimeError(f"output with shape {list(shape)} doesn't match the broadcast shape {list(both)}")
    return write(self, ops.copy, src)


__all__ = ["fill", "fill_", "zero_"]
METHODS = ["copy_", "fill_", "zero_"]
