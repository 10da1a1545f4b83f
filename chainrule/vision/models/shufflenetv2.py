"""ShuffleNetV2 (Ma et al. 2018): blocks that work on half the channels, and shuffle them between."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from chainrule import functions, nn
from chainrule.nn import functional as F
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor
from chainrule.vision.models.weights import WeightsEnum, builder, published

__all__ = [
    "ShuffleNetV2", "ShuffleNet_V2_X0_5_Weights", "ShuffleNet_V2_X1_0_Weights", "ShuffleNet_V2_X1_5_Weights",
    "ShuffleNet_V2_X2_0_Weights", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0",
]  # fmt: skip


def pixelwise(inp: int, oup: int) -> list[Module]:
    return [nn.Conv2d(inp, oup, 1, bias=False), nn.BatchNorm2d(oup), nn.ReLU(inplace=True)]


def depthwise(channels: int, stride: int) -> list[Module]:
    return [nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False), nn.BatchNorm2d(channels)]


class InvertedResidual(Module):
    """(N, inp, H, W) to (N, oup, H / stride, W / stride); with a stride of 1 half the channels pass as they are."""

    def __init__(self, inp: int, oup: int, stride: int) -> None:
        super().__init__()
        if not 1 <= stride <= 3:
            raise ValueError("illegal stride value")
        half = oup // 2
        if stride == 1 and inp != 2 * half:
            raise ValueError(
                f"Invalid combination of stride {stride}, inp {inp} and oup {oup} values. "
                "If stride == 1 then inp should be equal to oup // 2 << 1."
            )
        self.stride = stride
        self.branch1 = nn.Sequential(*([] if stride == 1 else depthwise(inp, stride) + pixelwise(inp, half)))
        self.branch2 = nn.Sequential(*pixelwise(half if stride == 1 else inp, half), *depthwise(half, stride), *pixelwise(half, half))

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, 1) if self.stride == 1 else (self.branch1(x), x)
        return F.channel_shuffle(functions.cat([first, self.branch2(second)], 1), 2)


class ShuffleNetV2(Module):
    """Images (N, 3, H, W) to logits (N, num_classes).

    Args:
        stages_repeats: blocks in each of the three stages
        stages_out_channels: channels of the first convolution, the stages and the last convolution
        inverted_residual: makes the blocks
    """

    def __init__(
        self, stages_repeats: list[int], stages_out_channels: list[int], num_classes: int = 1000,
        inverted_residual: Callable[..., Module] = InvertedResidual,
    ) -> None:  # fmt: skip
        super().__init__()
        if len(stages_repeats) != 3:
            raise ValueError("expected stages_repeats as list of 3 positive ints")
        if len(stages_out_channels) != 5:
            raise ValueError("expected stages_out_channels as list of 5 positive ints")
        first, *widths, last = stages_out_channels
        self.conv1 = nn.Sequential(nn.Conv2d(3, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU(inplace=True))
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        for i, (repeats, channels, out) in enumerate(zip(stages_repeats, [first, *widths], widths), 2):
            blocks = [inverted_residual(channels, out, 2)]
            for _ in range(repeats - 1):
                blocks.append(inverted_residual(out, out, 1))
            setattr(self, f"stage{i}", nn.Sequential(*blocks))
        self.conv5 = nn.Sequential(*pixelwise(widths[-1], last))
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage4(self.stage3(self.stage2(self.maxpool(self.conv1(x)))))
        return self.fc(self.conv5(x).mean([2, 3]))


def shufflenet(name: str, weights: type[WeightsEnum], *channels: int) -> Callable[..., ShuffleNetV2]:
    return builder(__name__, name, weights, partial(ShuffleNetV2, [4, 8, 4], [24, *channels]))


ShuffleNet_V2_X0_5_Weights = published("ShuffleNet_V2_X0_5_Weights", __name__)
ShuffleNet_V2_X1_0_Weights = published("ShuffleNet_V2_X1_0_Weights", __name__)
ShuffleNet_V2_X1_5_Weights = published("ShuffleNet_V2_X1_5_Weights", __name__)
ShuffleNet_V2_X2_0_Weights = published("ShuffleNet_V2_X2_0_Weights", __name__)
shufflenet_v2_x0_5 = shufflenet("shufflenet_v2_x0_5", ShuffleNet_V2_X0_5_Weights, 48, 96, 192, 1024)
shufflenet_v2_x1_0 = shufflenet("shufflenet_v2_x1_0", ShuffleNet_V2_X1_0_Weights, 116, 232, 464, 1024)
shufflenet_v2_x1_5 = shufflenet("shufflenet_v2_x1_5", ShuffleNet_V2_X1_5_Weights, 176, 352, 704, 1024)
shufflenet_v2_x2_0 = shufflenet("shufflenet_v2_x2_0", ShuffleNet_V2_X2_0_Weights, 244, 488, 976, 2048)
