"""Pooling: the maximum, mean or power mean of windows."""

from __future__ import annotations

from typing import Any

from chainrule.nn import functional as F
from chainrule.nn.modules.layer import Spatial, layer, tuple_of
from chainrule.tensor import Tensor

__all__ = [
    "MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d",
    "FractionalMaxPool2d", "FractionalMaxPool3d", "LPPool1d", "LPPool2d", "LPPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d", "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d",
]  # fmt: skip


class _Pool(Spatial):
    """A pooling over windows; `stride` is the window's size unless given."""

    def _settle(self) -> None:
        if self.stride is None:
            self.stride = self.kernel_size


@layer("kernel_size stride padding dilation ceil_mode")
class _MaxPoolNd(_Pool):
    """The maximum of each window; with `return_indices` also where it was (for the unpooling).

    Shape: (N, C, *size) or (C, *size) to the same with smaller sizes.
    """

    _function = "max_pool{}d"

    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    dilation: Any = 1
    return_indices: bool = False
    ceil_mode: bool = False

    def forward(self, input: Tensor) -> Any:
        return getattr(F, self._function)(
            input, self.kernel_size, self.stride, self.padding, self.dilation, ceil_mode=self.ceil_mode, return_indices=self.return_indices
        )


@layer("kernel_size stride padding")
class _MaxUnpoolNd(_Pool):
    """Puts the values that the pooling gave back to where its indices say, zeros elsewhere."""

    _function = "max_unpool{}d"

    kernel_size: Any
    stride: Any = None
    padding: Any = 0

    def _settle(self) -> None:
        super()._settle()
        self.kernel_size, self.stride, self.padding = [tuple_of(self._spatial, v) for v in (self.kernel_size, self.stride, self.padding)]

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return getattr(F, self._function)(input, indices, self.kernel_size, self.stride, self.padding, output_size)


@layer("kernel_size stride padding")
class _AvgPoolNd(_Pool):
    """The mean of each window; `divisor_override` divides the sum by another number.

    Shape: (N, C, *size) or (C, *size) to the same with smaller sizes.
    """

    _function = "avg_pool{}d"

    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None

    def forward(self, input: Tensor) -> Tensor:
        return getattr(F, self._function)(
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
class _LPPoolNd(Spatial):
    """(sum of x ** norm_type) ** (1 / norm_type) of each window."""

    _function = "lp_pool{}d"

    norm_type: float
    kernel_size: Any
    stride: Any = None
    ceil_mode: bool = False

    def forward(self, input: Tensor) -> Tensor:
        return getattr(F, self._function)(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


@layer("output_size")
class _AdaptiveMaxPoolNd(Spatial):
    """Maxima of windows chosen so that the output has `output_size` (None: as the input)."""

    _function = "adaptive_max_pool{}d"

    output_size: Any
    return_indices: bool = False

    def forward(self, input: Tensor) -> Any:
        return getattr(F, self._function)(input, self.output_size, self.return_indices)


@layer("output_size")
class _AdaptiveAvgPoolNd(Spatial):
    """Means of windows chosen so that the output has `output_size` (None: as the input)."""

    _function = "adaptive_avg_pool{}d"

    output_size: Any

    def forward(self, input: Tensor) -> Tensor:
        return getattr(F, self._function)(input, self.output_size)


class _FractionalMaxPoolNd(Spatial):
    """Maxima of windows of `kernel_size` at pseudo-random places, for an output of `output_size` or `output_ratio` of the input."""

    _function = "fractional_max_pool{}d"

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
        return getattr(F, self._function)(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, _random_samples=self._random_samples
        )


class MaxPool1d(_MaxPoolNd, spatial=1):
    """The maximum of each window of (N, C, L) or (C, L)."""


class MaxPool2d(_MaxPoolNd, spatial=2):
    """The maximum of each window of (N, C, H, W) or (C, H, W)."""


class MaxPool3d(_MaxPoolNd, spatial=3):
    """The maximum of each window of (N, C, D, H, W) or (C, D, H, W)."""


class MaxUnpool1d(_MaxUnpoolNd, spatial=1):
    """The inverse of MaxPool1d, given its indices; what was not a maximum is 0."""


class MaxUnpool2d(_MaxUnpoolNd, spatial=2):
    """The inverse of MaxPool2d, given its indices; what was not a maximum is 0."""


class MaxUnpool3d(_MaxUnpoolNd, spatial=3):
    """The inverse of MaxPool3d, given its indices; what was not a maximum is 0."""


class AvgPool2d(_AvgPoolNd, spatial=2):
    """The mean of each window of (N, C, H, W) or (C, H, W)."""


class AvgPool3d(_AvgPoolNd, spatial=3):
    """The mean of each window of (N, C, D, H, W) or (C, D, H, W)."""


class LPPool1d(_LPPoolNd, spatial=1):
    """The power mean of each window of (N, C, L) or (C, L)."""


class LPPool2d(_LPPoolNd, spatial=2):
    """The power mean of each window of (N, C, H, W) or (C, H, W)."""


class LPPool3d(_LPPoolNd, spatial=3):
    """The power mean of each window of (N, C, D, H, W) or (C, D, H, W)."""


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd, spatial=1):
    """Maxima of (N, C, L) or (C, L), `output_size` of them in each spatial dimension."""


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd, spatial=2):
    """Maxima of (N, C, H, W) or (C, H, W), `output_size` of them in each spatial dimension."""


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd, spatial=3):
    """Maxima of (N, C, D, H, W) or (C, D, H, W), `output_size` of them in each spatial dimension."""


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd, spatial=1):
    """Means of (N, C, L) or (C, L), `output_size` of them in each spatial dimension."""


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd, spatial=2):
    """Means of (N, C, H, W) or (C, H, W), `output_size` of them in each spatial dimension."""


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd, spatial=3):
    """Means of (N, C, D, H, W) or (C, D, H, W), `output_size` of them in each spatial dimension."""


class FractionalMaxPool2d(_FractionalMaxPoolNd, spatial=2):
    """Maxima of windows at pseudo-random places of (N, C, H, W) or (C, H, W)."""


class FractionalMaxPool3d(_FractionalMaxPoolNd, spatial=3):
    """Maxima of windows at pseudo-random places of (N, C, D, H, W) or (C, D, H, W)."""
