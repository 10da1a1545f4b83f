"""`Flatten` and `Unflatten`: dimensions joined and split."""

from __future__ import annotations

from typing import Any

from chainrule.nn.modules.layer import layer
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor

__all__ = ["Flatten", "Unflatten"]


@layer("start_dim end_dim")
class Flatten(Module):
    """Joins the dimensions from start_dim to end_dim into one.

    Example:
        >>> Flatten()(zeros(32, 1, 5, 5)).shape
        torch.Size([32, 25])
    """

    start_dim: int = 1
    end_dim: int = -1

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)


@layer("dim unflattened_size")
class Unflatten(Module):
    """Splits dimension `dim` into `unflattened_size`.

    Example:
        >>> Unflatten(1, (2, 5))(zeros(3, 10)).shape
        torch.Size([3, 2, 5])
    """

    dim: int
    unflattened_size: Any

    def _settle(self) -> None:
        size = self.unflattened_size
        if not isinstance(size, (tuple, list)):
            raise TypeError(f"unflattened_size must be a tuple of ints, but found type {type(size).__name__}")
        for i, n in enumerate(size):
            if not isinstance(n, int):
                raise TypeError(f"unflattened_size must be tuple of ints, but found element of type {type(n).__name__} at pos {i}")

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)
