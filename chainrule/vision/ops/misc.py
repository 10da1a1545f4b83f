"""Blocks that several networks share: a convolution with its normalisation and activation, squeeze-and-excitation, an MLP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule import functions, nn
from chainrule.nn.modules.container import Sequential
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor

__all__ = [
    "MLP", "Conv2dNormActivation", "Conv3dNormActivation", "FrozenBatchNorm2d", "Permute", "SqueezeExcitation", "StochasticDepth",
    "stochastic_depth",
]  # fmt: skip

Layer = Callable[..., Module]


def alone(size: int | tuple[int, ...], dilation: int | tuple[int, ...]) -> int | tuple[int, ...]:
    """The padding with which a convolution of stride 1 keeps the shape."""
    if isinstance(size, int) and isinstance(dilation, int):
        return (size - 1) // 2 * dilation
    n = len(size) if not isinstance(size, int) else len(dilation)  # type: ignore[arg-type]
    sizes, dilations = ([v] * n if isinstance(v, int) else v for v in (size, dilation))
    return tuple((s - 1) // 2 * d for s, d in zip(sizes, dilations))


class ConvNormActivation(Sequential):
    """A convolution, then `norm_layer(out_channels)` and `activation_layer(inplace=...)` unless they are None.

    Args:
        in_channels, out_channels, kernel_size, stride, groups, dilation: of the convolution
        padding: None keeps the height and width at stride 1
        inplace: handed to the activation unless None
        bias: by default only without a normalisation
    """

    conv: Layer

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int | tuple[int, ...] = 3, stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str | None = None, groups: int = 1, norm_layer: Layer | None = nn.BatchNorm2d,
        activation_layer: Layer | None = nn.ReLU, dilation: int | tuple[int, ...] = 1, inplace: bool | None = True,
        bias: bool | None = None,
    ) -> None:  # fmt: skip
        if padding is None:
            padding = alone(kernel_size, dilation)
        bias = norm_layer is None if bias is None else bias
        conv = type(self).conv
        layers = [conv(in_channels, out_channels, kernel_size, stride, padding, dilation=dilation, groups=groups, bias=bias)]
        if norm_layer is not None:
            layers.append(norm_layer(out_channels))
        if activation_layer is not None:
            layers.append(activation_layer(**options(inplace)))
        super().__init__(*layers)
        self.out_channels = out_channels


class Conv2dNormActivation(ConvNormActivation):
    __doc__ = f"""{ConvNormActivation.__doc__}
    Example:
        >>> Conv2dNormActivation(3, 8, stride=2)(rand(1, 3, 32, 32)).shape
        torch.Size([1, 8, 16, 16])
    """
    conv = nn.Conv2d


class Conv3dNormActivation(ConvNormActivation):
    """`Conv2dNormActivation` for volumes; give `norm_layer=BatchNorm3d`."""

    conv = nn.Conv3d


def options(inplace: bool | None) -> dict[str, Any]:
    return {} if inplace is None else {"inplace": inplace}


class FrozenBatchNorm2d(Module):
    """A batch normalisation (N, C, H, W) whose statistics and parameters are buffers that never change.

    Example: `FrozenBatchNorm2d(3)(randn(2, 3, 4, 4)).shape` is `torch.Size([2, 3, 4, 4])`.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, functions.full((num_features,), value))

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        state_dict.pop(f"{prefix}num_batches_tracked", None)  # of a batch normalisation that was trained
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x: Tensor) -> Tensor:
        w, b, mean, var = [v.reshape(1, -1, 1, 1) for v in (self.weight, self.bias, self.running_mean, self.running_var)]
        scale = w * (var + self.eps).rsqrt()
        return x * scale + (b - mean * scale)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.weight.shape[0]}, eps={self.eps})"


class SqueezeExcitation(Module):
    """Scale each channel of (N, C, H, W) by a number from 0 to 1 that all channels' means decide.

    Args:
        input_channels: C
        squeeze_channels: the width between its two 1x1 convolutions
        activation, scale_activation: make the modules after the first and after the second
    """

    def __init__(
        self, input_channels: int, squeeze_channels: int, activation: Layer = nn.ReLU, scale_activation: Layer = nn.Sigmoid
    ) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)
        self.activation = activation()
        self.scale_activation = scale_activation()

    def forward(self, input: Tensor) -> Tensor:
        return self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(input))))) * input


class MLP(Sequential):
    """Linear layers of the widths `hidden_channels`, with a normalisation, activation and dropout after each but the last.

    Args:
        in_channels: width of the input
        hidden_channels: width of each layer's result
        norm_layer, activation_layer: make modules; a normalisation is given the width
        inplace: handed to the activations and dropouts unless None
        bias: of the linear layers
        dropout: probability, after the last layer too
    """

    def __init__(
        self, in_channels: int, hidden_channels: list[int], norm_layer: Layer | None = None, activation_layer: Layer = nn.ReLU,
        inplace: bool | None = None, bias: bool = True, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        layers: list[Module] = []
        for width, wider in zip([in_channels, *hidden_channels], hidden_channels):
            if layers:
                layers += [] if norm_layer is None else [norm_layer(width)]
                layers += [activation_layer(**options(inplace)), nn.Dropout(dropout, **options(inplace))]
            layers.append(nn.Linear(width, wider, bias=bias))
        super().__init__(*layers, nn.Dropout(dropout, **options(inplace)))


class Permute(Module):
    """The input with its dimensions in the order `dims`."""

    def __init__(self, dims: list[int]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return functions.permute(x, self.dims)


def stochastic_depth(input: Tensor, p: float, mode: str, training: bool = True) -> Tensor:
    """`input` with whole samples (`mode="row"`), or all of it (`"batch"`), zeroed with probability `p`; what is left is scaled up.

    Raises ValueError for a `p` outside 0 to 1 or another mode.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}")
    if mode not in ("batch", "row"):
        raise ValueError(f"mode has to be either 'batch' or 'row', but got {mode}")
    if not training or p == 0.0:
        return input
    shape = [input.shape[0] if mode == "row" else 1] + [1] * (input.ndim - 1)
    noise = functions.empty(shape, dtype=input.dtype).bernoulli_(1.0 - p)
    return input * (noise.div_(1.0 - p) if p < 1.0 else noise)


class StochasticDepth(Module):
    """`stochastic_depth` in training, nothing in evaluation."""

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p, self.mode = p, mode

    def forward(self, input: Tensor) -> Tensor:
        return stochastic_depth(input, self.p, self.mode, self.training)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p}, mode={self.mode})"
