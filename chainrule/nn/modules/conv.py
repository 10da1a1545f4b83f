"""Convolutions and transposed convolutions over 1, 2 and 3 spatial dimensions."""

from __future__ import annotations

from typing import Any

from chainrule.autograd.grad_mode import no_grad
from chainrule.nn import functional as F
from chainrule.nn.modules.layer import Spatial, tuple_of
from chainrule.nn.modules.lazy import LazyModuleMixin
from chainrule.nn.modules.linear import parameter, uniform_by_fan
from chainrule.nn.parameter import UninitializedParameter
from chainrule.tensor import Tensor

__all__ = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "LazyConv1d", "LazyConv2d", "LazyConv3d",
    "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d",
]  # fmt: skip
PADDINGS = "same", "valid"
BIAS = 4  # the place of `bias` among the arguments after kernel_size
PADDING_MODES = "zeros", "reflect", "replicate", "circular"


class _ConvNd(Spatial):
    """Settings, weight and bias of a convolution or transposed convolution."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: tuple, stride: tuple, padding: Any, dilation: tuple, transposed: bool,
        output_padding: tuple, groups: int, bias: bool, padding_mode: str, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        if isinstance(padding, str):
            if padding not in PADDINGS:
                raise ValueError(f"Invalid padding string {padding!r}, should be one of {set(PADDINGS)}")
            if padding == "same" and any([s != 1 for s in stride]):
                raise ValueError("padding='same' is not supported for strided convolutions")
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {set(PADDING_MODES)}, but got padding_mode='{padding_mode}'")
        self.in_channels, self.out_channels, self.kernel_size, self.stride = in_channels, out_channels, kernel_size, stride
        self.padding, self.dilation, self.transposed = padding, dilation, transposed
        self.output_padding, self.groups, self.padding_mode = output_padding, groups, padding_mode
        self._reversed_padding_repeated_twice = self._border()
        self.weight = parameter(self._weight_shape(), device, dtype)
        self.register_parameter("bias", parameter((out_channels,), device, dtype) if bias else None)
        self.reset_parameters()

    def _weight_shape(self) -> tuple:
        first, second = (self.in_channels, self.out_channels) if self.transposed else (self.out_channels, self.in_channels)
        return first, second // self.groups, *self.kernel_size

    def _border(self) -> list:
        """What F.pad needs to pad as the convolution would: last dimension first, both sides."""
        border: list = []
        for i in reversed(range(len(self.kernel_size))):
            if isinstance(self.padding, str):
                total = self.dilation[i] * (self.kernel_size[i] - 1) if self.padding == "same" else 0
                border += [total // 2, total - total // 2]
            else:
                border += [self.padding[i]] * 2
        return border

    def reset_parameters(self) -> None:
        """Draw weight and bias again."""
        uniform_by_fan(self.weight, self.bias)

    def extra_repr(self) -> str:
        n = len(self.kernel_size)
        shown = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, usual in (("padding", (0,) * n), ("dilation", (1,) * n), ("output_padding", (0,) * n), ("groups", 1)):
            value = getattr(self, name)
            if value != usual:
                shown += f", {name}={value}"
        if self.bias is None:
            shown += ", bias=False"
        if self.padding_mode != "zeros":
            shown += f", padding_mode={self.padding_mode}"
        return shown

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("padding_mode", "zeros")


class _Conv(_ConvNd):
    """Cross-correlation with a learned kernel, in `groups` of channels that do not mix.

    `padding` is a number a dimension, "same" or "valid"; `padding_mode` says what stands in the border.
    Shape: (N, in_channels, *size) or (in_channels, *size) to (N, out_channels, *size'); weight is
    (out_channels, in_channels / groups, *kernel_size).
    """

    _function = "conv{}d"

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
        bias: bool = True, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        n = self._spatial
        padding = padding if isinstance(padding, str) else tuple_of(n, padding)
        super().__init__(
            in_channels, out_channels, tuple_of(n, kernel_size), tuple_of(n, stride), padding, tuple_of(n, dilation), False, (0,) * n,
            groups, bias, padding_mode, device, dtype,
        )  # fmt: skip

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = (0,) * self._spatial
        return getattr(F, self._function)(input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)


class _ConvTransposeNd(_ConvNd):
    """The transpose of a convolution: what its gradient does to the size, with a learned kernel.

    `output_padding` (or `output_size` at the call) chooses among the sizes that the convolution would shrink to the input's.
    Shape: (N, in_channels, *size) or (in_channels, *size) to (N, out_channels, *size'); weight is
    (in_channels, out_channels / groups, *kernel_size).
    """

    _function = "conv_transpose{}d"

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
        groups: int = 1, bias: bool = True, dilation: Any = 1, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        n = self._spatial
        super().__init__(
            in_channels, out_channels, tuple_of(n, kernel_size), tuple_of(n, stride), tuple_of(n, padding), tuple_of(n, dilation), True,
            tuple_of(n, output_padding), groups, bias, padding_mode, device, dtype,
        )  # fmt: skip

    def _output_padding(self, input: Tensor, output_size: Any) -> tuple:
        """How much larger than the smallest possible the output shall be."""
        if output_size is None:
            return self.output_padding
        n = self._spatial
        outer = 2 if input.dim() == n + 2 else 1
        wanted = list(output_size)[outer:] if len(output_size) == outer + n else list(output_size)
        if len(wanted) != n:
            raise ValueError(
                f"ConvTranspose{n}D: for {input.dim()}D input, output_size must have {n} or {outer + n} elements (got {len(wanted)})"
            )
        least = [
            (size - 1) * s - 2 * p + d * (k - 1) + 1
            for size, s, p, d, k in zip(input.shape[outer:], self.stride, self.padding, self.dilation, self.kernel_size)
        ]
        most = [low + s - 1 for low, s in zip(least, self.stride)]
        if any([not low <= size <= high for low, size, high in zip(least, wanted, most)]):
            raise ValueError(
                f"requested an output size of {output_size}, but valid sizes range from {least} to {most} (for an input of "
                f"{input.size()[2:]})"
            )
        return tuple([size - low for size, low in zip(wanted, least)])

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        output_padding = self._output_padding(input, output_size)
        return getattr(F, self._function)(
            input, self.weight, self.bias, self.stride, self.padding, output_padding, self.groups, self.dilation
        )


class Conv1d(_Conv, spatial=1):
    """Convolution of (N, C, L) or (C, L)."""


class Conv2d(_Conv, spatial=2):
    """Convolution of (N, C, H, W) or (C, H, W)."""


class Conv3d(_Conv, spatial=3):
    """Convolution of (N, C, D, H, W) or (C, D, H, W)."""


class ConvTranspose1d(_ConvTransposeNd, spatial=1):
    """Transposed convolution of (N, C, L) or (C, L)."""


class ConvTranspose2d(_ConvTransposeNd, spatial=2):
    """Transposed convolution of (N, C, H, W) or (C, H, W)."""


class ConvTranspose3d(_ConvTransposeNd, spatial=3):
    """Transposed convolution of (N, C, D, H, W) or (C, D, H, W)."""


class _LazyConv(LazyModuleMixin):
    """As `cls_to_become`, with `in_channels` taken from the first input."""

    def __init__(self: Any, out_channels: int, kernel_size: Any, *args: Any, bias: bool = True, **kwargs: Any) -> None:
        if len(args) > BIAS:
            bias, args = args[BIAS], (*args[:BIAS], False, *args[BIAS + 1 :])
        else:
            kwargs["bias"] = False
        super().__init__(0, 0, kernel_size, *args, **kwargs)
        own = {name: kwargs.get(name) for name in ("device", "dtype")}
        self.weight = UninitializedParameter(**own)
        self.out_channels = out_channels
        if bias:
            self.bias = UninitializedParameter(**own)

    def reset_parameters(self: Any) -> None:
        """Draw weight and bias again, once they have a shape."""
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self: Any, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Take in_channels from the input."""
        if not self.has_uninitialized_params():
            return
        self.in_channels = self._get_in_channels(input)
        if self.in_channels % self.groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        with no_grad():
            self.weight.materialize(self._weight_shape())
            if self.bias is not None:
                self.bias.materialize((self.out_channels,))
            self.reset_parameters()

    def _get_in_channels(self: Any, input: Tensor) -> int:
        n = self._spatial
        if input.dim() not in (n + 1, n + 2):
            raise RuntimeError(
                f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {type(self).__name__}, but got input of size: {input.shape}"
            )
        return input.shape[-n - 1]


class LazyConv1d(_LazyConv, Conv1d):
    """Conv1d that takes `in_channels` from its first input."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """Conv2d that takes `in_channels` from its first input."""

    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """Conv3d that takes `in_channels` from its first input."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyConv, ConvTranspose1d):
    """ConvTranspose1d that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConv, ConvTranspose2d):
    """ConvTranspose2d that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConv, ConvTranspose3d):
    """ConvTranspose3d that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose3d
