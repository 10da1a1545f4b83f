"""Pooling: the maximum, mean or power mean of windows."""

from __future__ import annotations

from typing import Any

from chainrule.nn import functional as F
from chainrule.nn.modules.layer import by_dimension, layer, tuple_of
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor

__all__ = [
    "MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d",
    "FractionalMaxPool2d", "FractionalMaxPool3d", "LPPool1d", "LPPool2d", "LPPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d", "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d",
]  # fmt: skip


class _Pool(Module):
    """A pooling over windows; `stride` is the window's size unless given."""

    _spatial = 0
    _function: Any

    def _settle(self) -> None:
        if self.stride is None:
            self.stride = self.kernel_size


@layer("kernel_size stride padding dilation ceil_mode")
class _MaxPoolNd(_Pool):
    """The maximum of each window over {n} spatial dimensions; with `return_indices` also where it was (for MaxUnpool{n}d).

    Shape: (N, C, *size) or (C, *size) to the same with smaller sizes.
    """

    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    dilation: Any = 1
    return_indices: bool = False
    ceil_mode: bool = False

    def forward(self, input: Tensor) -> Any:
        return self._function(
            input, self.kernel_size, self.stride, self.padding, self.dilation, ceil_mode=self.ceil_mode, return_indices=self.return_indices
        )


@layer("kernel_size stride padding")
class _MaxUnpoolNd(_Pool):
    """Puts the values that MaxPool{n}d gave back to where its indices say, zeros elsewhere."""

    kernel_size: Any
    stride: Any = None
    padding: Any = 0

    def _settle(self) -> None:
        super()._settle()
        self.kernel_size, self.stride, self.padding = [tuple_of(self._spatial, v) for v in (self.kernel_size, self.stride, self.padding)]

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return self._function(input, indices, self.kernel_size, self.stride, self.padding, output_size)


@layer("kernel_size stride padding")
class _AvgPoolNd(_Pool):
    """The mean of each window over {n} spatial dimensions; `divisor_override` divides the sum by another number.

    Shape: (N, C, *size) or (C, *size) to the same with smaller sizes.
    """

    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None

    def forward(self, input: Tensor) -> Tensor:
        return self._function(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override
        )


@layer("kernel_size stride padding")
class AvgPool1d(_Pool):
    """The mean of each window. Shape: (N, C, L) or (C, L) to the same with smaller L."""

    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    ceil_mode: bool = False
    count_include_pad: bool = True

    def _settle(self) -> None:
        super()._settle()
        self.kernel_size, self.stride, self.padding = [tuple_of(1, v) for v in (self.kernel_size, self.stride, self.padding)]

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


@layer("norm_type kernel_size stride ceil_mode")
class _LPPoolNd(Module):
    """(sum of x ** norm_type) ** (1 / norm_type) of each window over {n} spatial dimensions."""

    _function: Any
    norm_type: float
    kernel_size: Any
    stride: Any = None
    ceil_mode: bool = False

    def forward(self, input: Tensor) -> Tensor:
        return self._function(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


@layer("output_size")
class _AdaptiveMaxPoolNd(Module):
    """Maxima of windows chosen so that the output has `output_size` in {n} spatial dimensions (None: as the input)."""

    output_size: Any
    return_indices: bool = False

    def forward(self, input: Tensor) -> Any:
        return self._function(input, self.output_size, self.return_indices)


@layer("output_size")
class _AdaptiveAvgPoolNd(Module):
    """Means of windows chosen so that the output has `output_size` in {n} spatial dimensions (None: as the input)."""

    output_size: Any

    def forward(self, input: Tensor) -> Tensor:
        return self._function(input, self.output_size)


class _FractionalMaxPoolNd(Module):
    """Maxima of {n}d windows of `kernel_size` at pseudo-random places, for an output of `output_size` or `output_ratio` of the input."""

    _spatial = 0
    _function: Any

    def __init__(
        self, kernel_size: Any, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False, _random_samples: Any = None
    ) -> None:
        super().__init__()
        n, name = self._spatial, type(self).__name__
        self.kernel_size = tuple_of(n, kernel_size)
        if n == 3 and not all([k > 0 for k in self.kernel_size]):
            raise ValueError(f"kernel_size must be greater than 0, but got {kernel_size}")
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else tuple_of(n, output_size)
        self.output_ratio = None if output_ratio is None else tuple_of(n, output_ratio)
        if output_size is None and output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output size, or a pooling ratio")
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        if self.output_ratio is not None and not all([0 < ratio < 1 for ratio in self.output_ratio]):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input: Tensor) -> Any:
        return self._function(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, _random_samples=self._random_samples
        )


MaxPool1d, MaxPool2d, MaxPool3d = by_dimension(_MaxPoolNd, "MaxPool{}d", lambda n: getattr(F, f"max_pool{n}d"))
MaxUnpool1d, MaxUnpool2d, MaxUnpool3d = by_dimension(_MaxUnpoolNd, "MaxUnpool{}d", lambda n: getattr(F, f"max_unpool{n}d"))
_, AvgPool2d, AvgPool3d = by_dimension(_AvgPoolNd, "AvgPool{}d", lambda n: getattr(F, f"avg_pool{n}d"))
LPPool1d, LPPool2d, LPPool3d = by_dimension(_LPPoolNd, "LPPool{}d", lambda n: getattr(F, f"lp_pool{n}d"))
AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d = by_dimension(
    _AdaptiveMaxPoolNd, "AdaptiveMaxPool{}d", lambda n: getattr(F, f"adaptive_max_pool{n}d")
)
AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d = by_dimension(
    _AdaptiveAvgPoolNd, "AdaptiveAvgPool{}d", lambda n: getattr(F, f"adaptive_avg_pool{n}d")
)
_, FractionalMaxPool2d, FractionalMaxPool3d = by_dimension(
    _FractionalMaxPoolNd, "FractionalMaxPool{}d", lambda n: getattr(F, f"fractional_max_pool{n}d", None)
)
