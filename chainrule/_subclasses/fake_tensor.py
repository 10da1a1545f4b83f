"""Fake tensors have shapes and no values; PyTorch's compiler makes them. chainrule has none, so that no tensor is one."""

from __future__ import annotations

from typing import Any

from chainrule.tensor import Tensor

__all__ = ["FakeTensor", "is_fake"]


class FakeTensor(Tensor):
    """For `isinstance`."""


def is_fake(x: Any) -> bool:
    """False."""
    return False
