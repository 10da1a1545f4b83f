"""How a tensor shows itself: `repr`, and the print options."""

from __future__ import annotations

import numpy as np

from chainrule._core import modes
from chainrule._core.dtypes import get_default_dtype
from chainrule._core.printing import get_printoptions, implied_dtypes, printoptions, set_printoptions, tensor_str
from chainrule.kernels.batched import Batched, chain
from chainrule.tensor import Tensor, wrap

local = modes.local
__all__ = ["get_printoptions", "printoptions", "set_printoptions"]


def tensor_repr(t: Tensor, *, contents: str | None = None) -> str:
    """The text of `repr(t)`, PyTorch's to the character; a Parameter says so, any other subclass gives its name as prefix."""
    if isinstance(t._data, Batched):
        return batched_repr(t)
    kind = type(t)
    parameter = getattr(t, "_is_param", False)
    if kind is Tensor:
        prefix = "tensor("
    else:
        prefix = "Parameter containing:\ntensor(" if parameter else f"{kind.__name__}("
    node = t.grad_fn
    return tensor_str(
        t._data,
        dtype_name=t.dtype.name,
        default_dtypes=implied_dtypes(get_default_dtype().name),
        requires_grad=t.requires_grad,
        grad_fn_name=None if node is None else node.name(),
        prefix=prefix,
        tangent=shown_tangent(t),
        contents=contents,
    )


def shown_tangent(t: Tensor) -> Tensor | None:
    """The tangent of a dual tensor, in forward mode."""
    if local.dual_level < 0:
        return None
    from chainrule.autograd.forward_ad import tangent_of

    return tangent_of(t, local.dual_level)


def batched_repr(t: Tensor) -> str:
    """A tensor inside `vmap`: what it holds for all examples."""
    data = t._data
    dim = getattr(data, "dim", 0)
    held = tensor_repr(wrap(np.moveaxis(data.array, 0, dim) if dim else data.array)).replace("\n", "\n    ")
    return f"BatchedTensor(lvl={len(chain(data))}, bdim={dim if data.mapped else None}, value=\n    {held}\n)"
