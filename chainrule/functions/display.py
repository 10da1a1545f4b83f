"""How a tensor shows itself: `repr`, and the print options."""

from __future__ import annotations

from chainrule._core.dtypes import get_default_dtype
from chainrule._core.printing import get_printoptions, implied_dtypes, printoptions, set_printoptions, tensor_str
from chainrule.tensor import Tensor

__all__ = ["get_printoptions", "printoptions", "set_printoptions"]


def tensor_repr(t: Tensor, *, contents: str | None = None) -> str:
    """The text of `repr(t)`, PyTorch's to the character; a Parameter says so, any other subclass gives its name as prefix."""
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
        contents=contents,
    )
