"""Padding: a border of zeros, of a constant, of reflections, of the edge or of the other side."""

from __future__ import annotations

from typing import Any

from chainrule.nn import functional as F
from chainrule.nn.modules.layer import by_dimension, check_rank, tuple_of
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d", "ReflectionPad1d",
    "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _PadNd(Module):
    """A border around the last dimensions; `padding` gives its width, last dimension first, both sides."""

    _spatial = 0
    _mode = "constant"

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = tuple_of(2 * self._spatial, padding)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _CircularPadNd(_PadNd):
    """A border around {n} dimensions that repeats the other side. Shape: (N, C, *size) or (C, *size)."""

    _mode = "circular"

    def _check_input_dim(self, input: Tensor) -> None:
        check_rank(input, (self._spatial + 1, self._spatial + 2))

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        return super().forward(input)


class _ReflectionPadNd(_PadNd):
    """A border around {n} dimensions that mirrors what is inside, without the edge. Shape: (N, C, *size) or (C, *size)."""

    _mode = "reflect"


class _ReplicationPadNd(_PadNd):
    """A border around {n} dimensions that repeats the edge. Shape: (N, C, *size) or (C, *size)."""

    _mode = "replicate"


class _ConstantPadNd(_PadNd):
    """A border around {n} dimensions filled with `value`. Shape: any with at least {n} dimensions."""

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


CircularPad1d, CircularPad2d, CircularPad3d = by_dimension(_CircularPadNd, "CircularPad{}d")
ReflectionPad1d, ReflectionPad2d, ReflectionPad3d = by_dimension(_ReflectionPadNd, "ReflectionPad{}d")
ReplicationPad1d, ReplicationPad2d, ReplicationPad3d = by_dimension(_ReplicationPadNd, "ReplicationPad{}d")
ConstantPad1d, ConstantPad2d, ConstantPad3d = by_dimension(_ConstantPadNd, "ConstantPad{}d")


class ZeroPad1d(ConstantPad1d):
    """A border of zeros around the last dimension."""

    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    extra_repr = _PadNd.extra_repr


class ZeroPad2d(ConstantPad2d):
    """A border of zeros around the last two dimensions."""

    __init__, extra_repr = ZeroPad1d.__init__, _PadNd.extra_repr


class ZeroPad3d(ConstantPad3d):
    """A border of zeros around the last three dimensions."""

    __init__, extra_repr = ZeroPad1d.__init__, _PadNd.extra_repr
