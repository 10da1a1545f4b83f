"""Padding: a border of zeros, of a constant, of reflections, of the edge or of the other side."""

from __future__ import annotations

from typing import Any

from chainrule.nn import functional as F
from chainrule.nn.modules.layer import Spatial, check_rank, tuple_of
from chainrule.tensor import Tensor

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d", "ReflectionPad1d",
    "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _PadNd(Spatial):
    """A border around the last dimensions; `padding` gives its width, last dimension first, both sides."""

    _mode = "constant"

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = tuple_of(2 * self._spatial, padding)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _CircularPadNd(_PadNd):
    """A border that repeats the other side. Shape: (N, C, *size) or (C, *size)."""

    _mode = "circular"

    def _check_input_dim(self, input: Tensor) -> None:
        check_rank(input, (self._spatial + 1, self._spatial + 2))

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        return super().forward(input)


class _ReflectionPadNd(_PadNd):
    """A border that mirrors what is inside, without the edge. Shape: (N, C, *size) or (C, *size)."""

    _mode = "reflect"


class _ReplicationPadNd(_PadNd):
    """A border that repeats the edge. Shape: (N, C, *size) or (C, *size)."""

    _mode = "replicate"


class _ConstantPadNd(_PadNd):
    """A border filled with `value`. Shape: any with at least {n} dimensions."""

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


def _zero_init(self: Any, padding: Any) -> None:
    _ConstantPadNd.__init__(self, padding, 0.0)


class CircularPad1d(_CircularPadNd, spatial=1):
    """A border that repeats the other side. Shape: (N, C, L) or (C, L)."""


class CircularPad2d(_CircularPadNd, spatial=2):
    """A border that repeats the other side. Shape: (N, C, H, W) or (C, H, W)."""


class CircularPad3d(_CircularPadNd, spatial=3):
    """A border that repeats the other side. Shape: (N, C, D, H, W) or (C, D, H, W)."""


class ReflectionPad1d(_ReflectionPadNd, spatial=1):
    """A border that mirrors what is inside, without the edge. Shape: (N, C, L) or (C, L)."""


class ReflectionPad2d(_ReflectionPadNd, spatial=2):
    """A border that mirrors what is inside, without the edge. Shape: (N, C, H, W) or (C, H, W)."""


class ReflectionPad3d(_ReflectionPadNd, spatial=3):
    """A border that mirrors what is inside, without the edge. Shape: (N, C, D, H, W) or (C, D, H, W)."""


class ReplicationPad1d(_ReplicationPadNd, spatial=1):
    """A border that repeats the edge. Shape: (N, C, L) or (C, L)."""


class ReplicationPad2d(_ReplicationPadNd, spatial=2):
    """A border that repeats the edge. Shape: (N, C, H, W) or (C, H, W)."""


class ReplicationPad3d(_ReplicationPadNd, spatial=3):
    """A border that repeats the edge. Shape: (N, C, D, H, W) or (C, D, H, W)."""


class ConstantPad1d(_ConstantPadNd, spatial=1):
    """A border of `value` around the last 1 dimensions."""


class ConstantPad2d(_ConstantPadNd, spatial=2):
    """A border of `value` around the last 2 dimensions."""


class ConstantPad3d(_ConstantPadNd, spatial=3):
    """A border of `value` around the last 3 dimensions."""


class ZeroPad1d(ConstantPad1d):
    """A border of zeros around the last 1 dimensions."""

    __init__ = _zero_init  # type: ignore[assignment]
    extra_repr = _PadNd.extra_repr


class ZeroPad2d(ConstantPad2d):
    """A border of zeros around the last 2 dimensions."""

    __init__ = _zero_init  # type: ignore[assignment]
    extra_repr = _PadNd.extra_repr


class ZeroPad3d(ConstantPad3d):
    """A border of zeros around the last 3 dimensions."""

    __init__ = _zero_init  # type: ignore[assignment]
    extra_repr = _PadNd.extra_repr
