"""RegNet (Radosavovic et al. 2020): residual bottlenecks whose widths grow along a straight line, quantised to few stages."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.nn.modules.container import Sequential
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor
from chainrule.vision.models.weights import WeightsEnum, builder, make_divisible, published
from chainrule.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation

__all__ = ["RegNet"]  # and what VARIANTS names

Layer = Callable[..., Module]


class SimpleStemIN(Conv2dNormActivation):
    """The first convolution, which halves the sides."""

    def __init__(self, width_in: int, width_out: int, norm_layer: Layer, activation_layer: Layer) -> None:
        super().__init__(width_in, width_out, 3, 2, norm_layer=norm_layer, activation_layer=activation_layer)


class BottleneckTransform(Sequential):
    """1x1, 3x3 in groups, perhaps squeeze-and-excitation, 1x1."""

    def __init__(
        self, width_in: int, width_out: int, stride: int, norm_layer: Layer, activation_layer: Layer, group_width: int,
        bottleneck_multiplier: float, se_ratio: float | None,
    ) -> None:  # fmt: skip
        width = round(width_out * bottleneck_multiplier)
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer)
        layers: OrderedDict[str, Module] = OrderedDict()
        layers["a"] = conv(width_in, width, 1, 1, activation_layer=activation_layer)
        layers["b"] = conv(width, width, 3, stride, groups=width // group_width, activation_layer=activation_layer)
        if se_ratio:
            layers["se"] = SqueezeExcitation(width, round(se_ratio * width_in), activation=activation_layer)
        layers["c"] = conv(width, width_out, 1, 1, activation_layer=None)
        super().__init__(layers)


class ResBottleneckBlock(Module):
    """A `BottleneckTransform` added to its input, which is projected if the shapes differ."""

    def __init__(
        self, width_in: int, width_out: int, stride: int, norm_layer: Layer, activation_layer: Layer, group_width: int = 1,
        bottleneck_multiplier: float = 1.0, se_ratio: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.proj = None
        if width_in != width_out or stride != 1:
            self.proj = Conv2dNormActivation(width_in, width_out, 1, stride, norm_layer=norm_layer, activation_layer=None)
        self.f = BottleneckTransform(
            width_in, width_out, stride, norm_layer, activation_layer, group_width, bottleneck_multiplier, se_ratio
        )
        self.activation = activation_layer(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation((x if self.proj is None else self.proj(x)) + self.f(x))


class AnyStage(Sequential):
    """Blocks of one width; the first has the stride."""

    def __init__(
        self, width_in: int, width_out: int, stride: int, depth: int, block_constructor: Layer, norm_layer: Layer,
        activation_layer: Layer, group_width: int, bottleneck_multiplier: float, se_ratio: float | None = None, stage_index: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        for i in range(depth):
            channels, step = (width_out, 1) if i else (width_in, stride)
            block = block_constructor(channels, width_out, step, norm_layer, activation_layer, group_width, bottleneck_multiplier, se_ratio)
            self.add_module(f"block{stage_index}-{i}", block)


class BlockParams:
    """What the stages are made of: a list of a number a stage for each property."""

    def __init__(
        self, depths: list[int], widths: list[int], group_widths: list[int], bottleneck_multipliers: list[float], strides: list[int],
        se_ratio: float | None = None,
    ) -> None:  # fmt: skip
        self.depths, self.widths, self.group_widths = depths, widths, group_widths
        self.bottleneck_multipliers, self.strides, self.se_ratio = bottleneck_multipliers, strides, se_ratio

    @classmethod
    def from_init_params(
        cls, depth: int, w_0: int, w_a: float, w_m: float, group_width: int, bottleneck_multiplier: float = 1.0,
        se_ratio: float | None = None, **kwargs: Any,
    ) -> BlockParams:  # fmt: skip
        """The stages of a network of `depth` blocks whose widths are w_0 + w_a * i, each moved to the nearest w_0 * w_m**k, and that to a
        multiple of 8: blocks of one width are a stage. ValueError for widths that do not grow so."""
        if w_a < 0 or w_0 <= 0 or w_m <= 1 or w_0 % 8 != 0:
            raise ValueError("Invalid RegNet settings")
        steps = np.round(np.log((np.arange(depth) * w_a + w_0) / w_0) / math.log(w_m))
        widths = (np.round(w_0 * w_m**steps / 8) * 8).astype(int).tolist()
        stages = [(width, len(list(blocks))) for width, blocks in groupby(widths)]
        groups = [min(group_width, int(width * bottleneck_multiplier)) for width, _ in stages]
        fitting = [
            int(make_divisible(int(width * bottleneck_multiplier), group) / bottleneck_multiplier)
            for (width, _), group in zip(stages, groups)
        ]
        n = len(stages)
        return cls([depth for _, depth in stages], fitting, groups, [bottleneck_multiplier] * n, [2] * n, se_ratio)

    def stages(self) -> Iterator[tuple]:
        """For each stage its width, stride, depth, group width and bottleneck multiplier."""
        return zip(self.widths, self.strides, self.depths, self.group_widths, self.bottleneck_multipliers)


class RegNet(Module):
    """Images (N, 3, H, W) to logits (N, num_classes).

    Args:
        block_params: the stages
        stem_width: channels of the first convolution
        stem_type, block_type, norm_layer, activation: make modules
    """

    def __init__(
        self, block_params: BlockParams, num_classes: int = 1000, stem_width: int = 32, stem_type: Layer | None = None,
        block_type: Layer | None = None, norm_layer: Layer | None = None, activation: Layer | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        norm, relu = norm_layer or nn.BatchNorm2d, activation or nn.ReLU
        self.stem = (stem_type or SimpleStemIN)(3, stem_width, norm, relu)
        channels, stages = stem_width, OrderedDict()
        for i, (width, stride, depth, group_width, multiplier) in enumerate(block_params.stages(), 1):
            stages[f"block{i}"] = AnyStage(
                channels, width, stride, depth, block_type or ResBottleneckBlock, norm, relu, group_width, multiplier,
                block_params.se_ratio, i,
            )  # fmt: skip
            channels = width
        self.trunk_output = nn.Sequential(stages)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.normal_(m.weight, std=math.sqrt(2.0 / (m.kernel_size[0] * m.kernel_size[1] * m.out_channels)))
            elif isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, std=0.01)
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.avgpool(self.trunk_output(self.stem(x))).flatten(1))


def regnet(name: str, weights: type[WeightsEnum], depth: int, w_0: int, w_a: float, w_m: float, group: int) -> Callable[..., RegNet]:
    """The function for one size; those called Y have squeeze-and-excitation."""
    ratio = 0.25 if name.startswith("regnet_y") else None

    def construct(**kwargs: Any) -> RegNet:
        params = BlockParams.from_init_params(**{"depth": depth, "w_0": w_0, "w_a": w_a, "w_m": w_m, "group_width": group}, **kwargs)
        params.se_ratio = ratio
        norm = kwargs.pop("norm_layer", partial(nn.BatchNorm2d, eps=1e-05, momentum=0.1))
        return RegNet(params, norm_layer=norm, **kwargs)

    return builder(__name__, name, weights, construct)


VARIANTS = {
    "Y_400MF": (16, 48, 27.89, 2.09, 8), "Y_800MF": (14, 56, 38.84, 2.4, 16), "Y_1_6GF": (27, 48, 20.71, 2.65, 24),
    "Y_3_2GF": (21, 80, 42.63, 2.66, 24), "Y_8GF": (17, 192, 76.82, 2.19, 56), "Y_16GF": (18, 200, 106.23, 2.48, 112),
    "Y_32GF": (20, 232, 115.89, 2.53, 232), "Y_128GF": (27, 456, 160.83, 2.52, 264),
    "X_400MF": (22, 24, 24.48, 2.54, 16), "X_800MF": (16, 56, 35.73, 2.28, 16), "X_1_6GF": (18, 80, 34.01, 2.25, 24),
    "X_3_2GF": (25, 88, 26.31, 2.25, 48), "X_8GF": (23, 80, 49.56, 2.88, 120), "X_16GF": (22, 216, 55.59, 2.1, 128),
    "X_32GF": (23, 320, 69.86, 2.0, 168),
}  # fmt: skip
for _size, _numbers in VARIANTS.items():
    _weights = published(f"RegNet_{_size}_Weights", __name__)
    _build = regnet(f"regnet_{_size.lower()}", _weights, *_numbers)
    globals().update({_weights.__name__: _weights, _build.__name__: _build})
    __all__ += [_weights.__name__, _build.__name__]
