"""`Variable`, the name that tensors with gradients once had: `Variable(data, requires_grad=True)` is a Tensor."""

from __future__ import annotations

from typing import Any

from chainrule.tensor import Tensor


class _VariableMeta(type):
    def __instancecheck__(cls, other: object) -> bool:
        return isinstance(other, Tensor)


class Variable(metaclass=_VariableMeta):
    """Deprecated; gives a Tensor that shares `data`'s memory."""

    def __new__(cls, data: Tensor, requires_grad: bool = False) -> Any:
        return data.detach().requires_grad_(requires_grad)  # type: ignore[attr-defined]
