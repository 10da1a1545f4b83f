"""EfficientNet (Tan and Le 2019, 2021): one network, scaled in width, depth and pixels together; V2 fuses its first convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

from chainrule import nn
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor
from chainrule.vision.models.weights import WeightsEnum, builder, make_divisible, published
from chainrule.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation, StochasticDepth

__all__ = [
    "EfficientNet", "EfficientNet_B0_Weights", "EfficientNet_B1_Weights", "EfficientNet_B2_Weights", "EfficientNet_B3_Weights",
    "EfficientNet_B4_Weights", "EfficientNet_B5_Weights", "EfficientNet_B6_Weights", "EfficientNet_B7_Weights",
    "EfficientNet_V2_L_Weights", "EfficientNet_V2_M_Weights", "EfficientNet_V2_S_Weights", "efficientnet_b0", "efficientnet_b1",
    "efficientnet_b2", "efficientnet_b3", "efficientnet_b4", "efficientnet_b5", "efficientnet_b6", "efficientnet_b7",
    "efficientnet_v2_l", "efficientnet_v2_m", "efficientnet_v2_s",
]  # fmt: skip

# For each stage: times to widen, kernel, stride of the first block, channels in, out, blocks.
STAGES = [
    (1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 2), (6, 5, 2, 24, 40, 2), (6, 3, 2, 40, 80, 3), (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4), (6, 3, 1, 192, 320, 1),
]  # fmt: skip
STAGES_V2 = {  # the first three are fused
    "s": [(1, 3, 1, 24, 24, 2), (4, 3, 2, 24, 48, 4), (4, 3, 2, 48, 64, 4), (4, 3, 2, 64, 128, 6), (6, 3, 1, 128, 160, 9),
          (6, 3, 2, 160, 256, 15)],
    "m": [(1, 3, 1, 24, 24, 3), (4, 3, 2, 24, 48, 5), (4, 3, 2, 48, 80, 5), (4, 3, 2, 80, 160, 7), (6, 3, 1, 160, 176, 14),
          (6, 3, 2, 176, 304, 18), (6, 3, 1, 304, 512, 5)],
    "l": [(1, 3, 1, 32, 32, 4), (4, 3, 2, 32, 64, 7), (4, 3, 2, 64, 96, 7), (4, 3, 2, 96, 192, 10), (6, 3, 1, 192, 224, 19),
          (6, 3, 2, 224, 384, 25), (6, 3, 1, 384, 640, 7)],
}  # fmt: skip


@dataclass
class StageConfig:
    """One stage: its first block has `input_channels` and `stride`, the others keep the shape."""

    expand_ratio: float
    kernel: int
    stride: int
    input_channels: int
    out_channels: int
    num_layers: int
    block: Callable[..., Module]

    @property
    def expanded(self) -> int:
        return make_divisible(self.input_channels * self.expand_ratio, 8)


class Residual(Module):
    """The layers of a block and, where the shape stays, a way around them."""

    def __init__(self, cnf: StageConfig, stochastic_depth_prob: float, layers: list[Module]) -> None:
        super().__init__()
        if cnf.stride not in (1, 2):
            raise ValueError("illegal stride value")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.out_channels = cnf.out_channels

    def forward(self, input: Tensor) -> Tensor:
        result = self.block(input)
        if self.use_res_connect:
            result = self.stochastic_depth(result)
            result += input
        return result


class MBConv(Residual):
    """Widen, convolve each channel alone, squeeze-and-excite, narrow."""

    def __init__(
        self, cnf: StageConfig, stochastic_depth_prob: float, norm_layer: Callable[..., Module],
        se_layer: Callable[..., Module] = SqueezeExcitation,
    ) -> None:  # fmt: skip
        conv, wide = partial(Conv2dNormActivation, norm_layer=norm_layer), cnf.expanded
        layers: list[Module] = []
        if wide != cnf.input_channels:
            layers.append(conv(cnf.input_channels, wide, 1, activation_layer=nn.SiLU))
        layers.append(conv(wide, wide, cnf.kernel, cnf.stride, groups=wide, activation_layer=nn.SiLU))
        layers.append(se_layer(wide, max(1, cnf.input_channels // 4), activation=partial(nn.SiLU, inplace=True)))
        layers.append(conv(wide, cnf.out_channels, 1, activation_layer=None))
        super().__init__(cnf, stochastic_depth_prob, layers)


class FusedMBConv(Residual):
    """Widen by a full convolution, narrow; one convolution does where nothing is widened."""

    def __init__(self, cnf: StageConfig, stochastic_depth_prob: float, norm_layer: Callable[..., Module]) -> None:
        conv, wide = partial(Conv2dNormActivation, norm_layer=norm_layer), cnf.expanded
        if wide == cnf.input_channels:
            layers = [conv(cnf.input_channels, cnf.out_channels, cnf.kernel, cnf.stride, activation_layer=nn.SiLU)]
        else:
            layers = [
                conv(cnf.input_channels, wide, cnf.kernel, cnf.stride, activation_layer=nn.SiLU),
                conv(wide, cnf.out_channels, 1, activation_layer=None),
            ]
        super().__init__(cnf, stochastic_depth_prob, layers)


class MBConvConfig(StageConfig):
    """A stage of `MBConv` blocks, with its channels times `width_mult` and its blocks times `depth_mult`."""

    def __init__(
        self, expand_ratio: float, kernel: int, stride: int, input_channels: int, out_channels: int, num_layers: int,
        width_mult: float = 1.0, depth_mult: float = 1.0, block: Callable[..., Module] | None = None,
    ) -> None:  # fmt: skip
        inside, outside = (make_divisible(c * width_mult, 8) for c in (input_channels, out_channels))
        super().__init__(expand_ratio, kernel, stride, inside, outside, math.ceil(num_layers * depth_mult), block or MBConv)


class FusedMBConvConfig(StageConfig):
    """A stage of `FusedMBConv` blocks."""

    def __init__(
        self, expand_ratio: float, kernel: int, stride: int, input_channels: int, out_channels: int, num_layers: int,
        block: Callable[..., Module] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(expand_ratio, kernel, stride, input_channels, out_channels, num_layers, block or FusedMBConv)


class EfficientNet(Module):
    """Images (N, 3, H, W) to logits (N, num_classes).

    Args:
        inverted_residual_setting: an `MBConvConfig` or `FusedMBConvConfig` for each stage
        dropout: before the last layer
        stochastic_depth_prob: with which the last block is left out of a sample in training; earlier ones with less
        norm_layer: channels -> normalisation (BatchNorm2d)
        last_channel: width before the last layer, by default 4 times the last stage's
    """

    def __init__(
        self, inverted_residual_setting: Sequence[StageConfig], dropout: float, stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000, norm_layer: Callable[..., Module] | None = None, last_channel: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        stages = inverted_residual_setting
        if not stages:
            raise ValueError("The inverted_residual_setting should not be empty")
        if not isinstance(stages, Sequence) or not all(isinstance(s, StageConfig) for s in stages):
            raise TypeError("The inverted_residual_setting should be List[MBConvConfig]")
        norm = norm_layer or nn.BatchNorm2d
        conv = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.SiLU)
        layers: list[Module] = [conv(3, stages[0].input_channels, stride=2)]
        total, made = sum(stage.num_layers for stage in stages), 0
        for stage in stages:
            cnf, blocks = copy(stage), []
            for _ in range(stage.num_layers):
                blocks.append(cnf.block(cnf, stochastic_depth_prob * made / total, norm))
                cnf, made = copy(cnf), made + 1
                cnf.input_channels, cnf.stride = cnf.out_channels, 1
            layers.append(nn.Sequential(*blocks))
        last = last_channel or 4 * stages[-1].out_channels
        layers.append(conv(stages[-1].out_channels, last, 1))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout, inplace=True), nn.Linear(last, num_classes))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out")
            elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.ones_(m.weight)
            elif isinstance(m, nn.Linear):
                bound = 1.0 / math.sqrt(m.out_features)
                nn.init.uniform_(m.weight, -bound, bound)
            if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.GroupNorm, nn.Linear)) and m.bias is not None:
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def efficientnet(name: str, weights: type[WeightsEnum], width: float, depth: float, dropout: float, **norm: float) -> Callable[..., Any]:
    def construct(**kwargs: Any) -> EfficientNet:
        stages = [MBConvConfig(*stage, width, depth) for stage in STAGES]  # type: ignore[misc]
        return EfficientNet(stages, **options(dropout, norm) | kwargs)

    return builder(__name__, name, weights, construct)


def efficientnet_v2(name: str, weights: type[WeightsEnum], size: str, dropout: float) -> Callable[..., Any]:
    def construct(**kwargs: Any) -> EfficientNet:
        stages = [(FusedMBConvConfig if i < 3 else MBConvConfig)(*stage) for i, stage in enumerate(STAGES_V2[size])]
        return EfficientNet(stages, **options(dropout, {"eps": 1e-3}) | {"last_channel": 1280} | kwargs)

    return builder(__name__, name, weights, construct)


def options(dropout: float, norm: dict[str, float]) -> dict[str, Any]:
    return {"dropout": dropout} | ({"norm_layer": partial(nn.BatchNorm2d, **norm)} if norm else {})


EfficientNet_B0_Weights = published("EfficientNet_B0_Weights", __name__)
EfficientNet_B1_Weights = published("EfficientNet_B1_Weights", __name__)
EfficientNet_B2_Weights = published("EfficientNet_B2_Weights", __name__)
EfficientNet_B3_Weights = published("EfficientNet_B3_Weights", __name__)
EfficientNet_B4_Weights = published("EfficientNet_B4_Weights", __name__)
EfficientNet_B5_Weights = published("EfficientNet_B5_Weights", __name__)
EfficientNet_B6_Weights = published("EfficientNet_B6_Weights", __name__)
EfficientNet_B7_Weights = published("EfficientNet_B7_Weights", __name__)
EfficientNet_V2_S_Weights = published("EfficientNet_V2_S_Weights", __name__)
EfficientNet_V2_M_Weights = published("EfficientNet_V2_M_Weights", __name__)
EfficientNet_V2_L_Weights = published("EfficientNet_V2_L_Weights", __name__)

efficientnet_b0 = efficientnet("efficientnet_b0", EfficientNet_B0_Weights, 1.0, 1.0, 0.2)
efficientnet_b1 = efficientnet("efficientnet_b1", EfficientNet_B1_Weights, 1.0, 1.1, 0.2)
efficientnet_b2 = efficientnet("efficientnet_b2", EfficientNet_B2_Weights, 1.1, 1.2, 0.3)
efficientnet_b3 = efficientnet("efficientnet_b3", EfficientNet_B3_Weights, 1.2, 1.4, 0.3)
efficientnet_b4 = efficientnet("efficientnet_b4", EfficientNet_B4_Weights, 1.4, 1.8, 0.4)
efficientnet_b5 = efficientnet("efficientnet_b5", EfficientNet_B5_Weights, 1.6, 2.2, 0.4, eps=0.001, momentum=0.01)
efficientnet_b6 = efficientnet("efficientnet_b6", EfficientNet_B6_Weights, 1.8, 2.6, 0.5, eps=0.001, momentum=0.01)
efficientnet_b7 = efficientnet("efficientnet_b7", EfficientNet_B7_Weights, 2.0, 3.1, 0.5, eps=0.001, momentum=0.01)
efficientnet_v2_s = efficientnet_v2("efficientnet_v2_s", EfficientNet_V2_S_Weights, "s", 0.2)
efficientnet_v2_m = efficientnet_v2("efficientnet_v2_m", EfficientNet_V2_M_Weights, "m", 0.3)
efficientnet_v2_l = efficientnet_v2("efficientnet_v2_l", EfficientNet_V2_L_Weights, "l", 0.4)
