"""The public functions along one dimension: softmax."""

from __future__ import annotations

from typing import Any

from chainrule.functions.arguments import require_tensor, wrap_dim
from chainrule.ops import softmax as soft
from chainrule.ops.overrides import public
from chainrule.ops.shape import cast


@public
def softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    require_tensor("softmax", input)
    if dtype is not None:
        input = cast(input, dtype)
    return soft.softmax(input, (wrap_dim(dim, input.ndim),) if input.ndim else ())


@public
def log_softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    require_tensor("log_softmax", input)
    if dtype is not None:
        input = cast(input, dtype)
    return soft.log_softmax(input, (wrap_dim(dim, input.ndim),) if input.ndim else ())


__all__ = ["log_softmax", "softmax"]
METHODS = __all__
