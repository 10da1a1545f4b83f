"""MobileNetV3 (Howard et al. 2019): MobileNetV2's blocks with squeeze-and-excitation and cheaper activations, found by search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from chainrule import nn
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor
from chainrule.vision.models.mobilenetv2 import init_mobile
from chainrule.vision.models.weights import builder, make_divisible, published
from chainrule.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation

__all__ = ["MobileNetV3", "MobileNet_V3_Large_Weights", "MobileNet_V3_Small_Weights", "mobilenet_v3_large", "mobilenet_v3_small"]

# In, kernel, widened, out, squeeze-and-excitation, activation, stride; the last three blocks are the tail that may be reduced or dilated.
BLOCKS: dict[str, list[tuple[int, int, int, int, bool, str, int]]] = {
    "large": [
        (16, 3, 16, 16, False, "RE", 1), (16, 3, 64, 24, False, "RE", 2), (24, 3, 72, 24, False, "RE", 1), (24, 5, 72, 40, True, "RE", 2),
        (40, 5, 120, 40, True, "RE", 1), (40, 5, 120, 40, True, "RE", 1), (40, 3, 240, 80, False, "HS", 2),
        (80, 3, 200, 80, False, "HS", 1), (80, 3, 184, 80, False, "HS", 1), (80, 3, 184, 80, False, "HS", 1),
        (80, 3, 480, 112, True, "HS", 1), (112, 3, 672, 112, True, "HS", 1), (112, 5, 672, 160, True, "HS", 2),
        (160, 5, 960, 160, True, "HS", 1), (160, 5, 960, 160, True, "HS", 1),
    ],
    "small": [
        (16, 3, 16, 16, True, "RE", 2), (16, 3, 72, 24, False, "RE", 2), (24, 3, 88, 24, False, "RE", 1), (24, 5, 96, 40, True, "HS", 2),
        (40, 5, 240, 40, True, "HS", 1), (40, 5, 240, 40, True, "HS", 1), (40, 5, 120, 48, True, "HS", 1), (48, 5, 144, 48, True, "HS", 1),
        (48, 5, 288, 96, True, "HS", 2), (96, 5, 576, 96, True, "HS", 1), (96, 5, 576, 96, True, "HS", 1),
    ],
}  # fmt: skip
LAST = {"large": 1280, "small": 1024}
hard_squeeze = partial(SqueezeExcitation, scale_activation=nn.Hardsigmoid)


class InvertedResidualConfig:
    """One block: channels in, kernel, channels within and out, squeeze-and-excitation, "RE" or "HS" activation, stride, dilation."""

    def __init__(
        self, input_channels: int, kernel: int, expanded_channels: int, out_channels: int, use_se: bool, activation: str, stride: int,
        dilation: int, width_mult: float,
    ) -> None:  # fmt: skip
        adjust = partial(self.adjust_channels, width_mult=width_mult)
        self.input_channels, self.expanded_channels, self.out_channels = map(adjust, (input_channels, expanded_channels, out_channels))
        self.kernel, self.stride, self.dilation = kernel, stride, dilation
        self.use_se, self.use_hs = use_se, activation == "HS"

    @staticmethod
    def adjust_channels(channels: int, width_mult: float) -> int:
        return make_divisible(channels * width_mult, 8)


class InvertedResidual(Module):
    """The block that `cnf` describes."""

    def __init__(
        self, cnf: InvertedResidualConfig, norm_layer: Callable[..., Module], se_layer: Callable[..., Module] = hard_squeeze
    ) -> None:
        super().__init__()
        if cnf.stride not in (1, 2):
            raise ValueError("illegal stride value")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        conv, width = partial(Conv2dNormActivation, norm_layer=norm_layer), cnf.expanded_channels
        act = nn.Hardswish if cnf.use_hs else nn.ReLU
        layers: list[Module] = []
        if width != cnf.input_channels:
            layers.append(conv(cnf.input_channels, width, 1, activation_layer=act))
        stride = 1 if cnf.dilation > 1 else cnf.stride
        layers.append(conv(width, width, cnf.kernel, stride, dilation=cnf.dilation, groups=width, activation_layer=act))
        if cnf.use_se:
            layers.append(se_layer(width, make_divisible(width // 4, 8)))
        self.block = nn.Sequential(*layers, conv(width, cnf.out_channels, 1, activation_layer=None))
        self.out_channels = cnf.out_channels

    def forward(self, input: Tensor) -> Tensor:
        result = self.block(input)
        if self.use_res_connect:
            result += input
        return result


class MobileNetV3(Module):
    """Images (N, 3, H, W) to logits (N, num_classes).

    Args:
        inverted_residual_setting: an `InvertedResidualConfig` for each block
        last_channel: the width before the last layer
        block, norm_layer: make the blocks, the normalisations
        dropout: before the last layer
    """

    def __init__(
        self, inverted_residual_setting: Sequence[InvertedResidualConfig], last_channel: int, num_classes: int = 1000,
        block: Callable[..., Module] | None = None, norm_layer: Callable[..., Module] | None = None, dropout: float = 0.2, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        blocks = inverted_residual_setting
        if not blocks:
            raise ValueError("The inverted_residual_setting should not be empty")
        if not isinstance(blocks, Sequence) or not all(isinstance(b, InvertedResidualConfig) for b in blocks):
            raise TypeError("The inverted_residual_setting should be List[InvertedResidualConfig]")
        block, norm = block or InvertedResidual, norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        conv = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.Hardswish)
        last = blocks[-1].out_channels
        layers = [conv(3, blocks[0].input_channels, stride=2), *(block(b, norm) for b in blocks), conv(last, 6 * last, 1)]
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * last, last_channel), nn.Hardswish(inplace=True), nn.Dropout(dropout, inplace=True),
            nn.Linear(last_channel, num_classes),
        )  # fmt: skip
        init_mobile(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def mobilenet_v3(
    size: str, width_mult: float = 1.0, reduced_tail: bool = False, dilated: bool = False, **kwargs: Any
) -> MobileNetV3:
    """`size` is "large" or "small"; `reduced_tail` halves the last blocks, `dilated` keeps their pixels."""
    blocks, divide = [], 2 if reduced_tail else 1
    tail = len(BLOCKS[size]) - 3
    for i, (channels, kernel, width, out, use_se, activation, stride) in enumerate(BLOCKS[size]):
        if i >= tail:
            out //= divide
        if i > tail:
            channels, width = channels // divide, width // divide
        dilation = 2 if dilated and i >= tail else 1
        blocks.append(InvertedResidualConfig(channels, kernel, width, out, use_se, activation, stride, dilation, width_mult))
    last = InvertedResidualConfig.adjust_channels(LAST[size] // divide, width_mult)
    return MobileNetV3(blocks, last, **kwargs)


MobileNet_V3_Large_Weights = published("MobileNet_V3_Large_Weights", __name__)
MobileNet_V3_Small_Weights = published("MobileNet_V3_Small_Weights", __name__)
mobilenet_v3_large = builder(__name__, "mobilenet_v3_large", MobileNet_V3_Large_Weights, partial(mobilenet_v3, "large"))
mobilenet_v3_small = builder(__name__, "mobilenet_v3_small", MobileNet_V3_Small_Weights, partial(mobilenet_v3, "small"))
