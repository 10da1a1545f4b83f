"""`Unfold` and `Fold`: windows of an image as columns, and back."""

from __future__ import annotations

from typing import Any

from chainrule.nn import functional as F
from chainrule.nn.modules.layer import layer
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor

__all__ = ["Fold", "Unfold"]


@layer("output_size kernel_size dilation padding stride")
class Fold(Module):
    """Sums columns (N, C * prod(kernel_size), L) into an image (N, C, *output_size): the transpose of Unfold."""

    output_size: Any
    kernel_size: Any
    dilation: Any = 1
    padding: Any = 0
    stride: Any = 1

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)


@layer("kernel_size dilation padding stride")
class Unfold(Module):
    """The windows of an image (N, C, H, W) as columns (N, C * prod(kernel_size), L)."""

    kernel_size: Any
    dilation: Any = 1
    padding: Any = 0
    stride: Any = 1

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)
