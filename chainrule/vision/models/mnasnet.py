"""MNASNet (Tan et al. 2019), the variant B1: inverted residuals whose kernels and widths a search chose for phones."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from chainrule import nn
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor
from chainrule.vision.models.weights import WeightsEnum, builder, make_divisible, published

__all__ = [
    "MNASNet", "MNASNet0_5_Weights", "MNASNet0_75_Weights", "MNASNet1_0_Weights", "MNASNet1_3_Weights", "mnasnet0_5", "mnasnet0_75",
    "mnasnet1_0", "mnasnet1_3",
]  # fmt: skip

MOMENTUM = 1 - 0.9997
WIDTHS = (32, 16, 24, 40, 80, 96, 192, 320)
STAGES = ((3, 2, 3, 3), (5, 2, 3, 3), (5, 2, 6, 3), (3, 1, 6, 2), (5, 2, 6, 4), (3, 1, 6, 1))  # kernel, stride, expansion, blocks
LAST = 1280


class _InvertedResidual(Module):
    """Widen, convolve each channel alone, narrow; the input is added if the shapes are the same."""

    def __init__(self, in_ch: int, out_ch: int, kernel_size: int, stride: int, expansion_factor: int, bn_momentum: float = 0.1) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"stride should be 1 or 2 instead of {stride}")
        if kernel_size not in (3, 5):
            raise ValueError(f"kernel_size should be 3 or 5 instead of {kernel_size}")
        wide = in_ch * expansion_factor
        self.apply_residual = in_ch == out_ch and stride == 1
        self.layers = nn.Sequential(
            nn.Conv2d(in_ch, wide, 1, bias=False), nn.BatchNorm2d(wide, momentum=bn_momentum), nn.ReLU(inplace=True),
            nn.Conv2d(wide, wide, kernel_size, stride, kernel_size // 2, groups=wide, bias=False),
            nn.BatchNorm2d(wide, momentum=bn_momentum), nn.ReLU(inplace=True),
            nn.Conv2d(wide, out_ch, 1, bias=False), nn.BatchNorm2d(out_ch, momentum=bn_momentum),
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        return self.layers(input) + input if self.apply_residual else self.layers(input)


def stack(channels: int, out: int, kernel: int, stride: int, expansion: int, repeats: int) -> Module:
    first = _InvertedResidual(channels, out, kernel, stride, expansion, MOMENTUM)
    return nn.Sequential(first, *[_InvertedResidual(out, out, kernel, 1, expansion, MOMENTUM) for _ in range(repeats - 1)])


def stem(first: int, out: int) -> list[Module]:
    """A convolution, then one of each channel alone and one of each pixel."""
    return [
        nn.Conv2d(3, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first, momentum=MOMENTUM), nn.ReLU(inplace=True),
        nn.Conv2d(first, first, 3, 1, 1, groups=first, bias=False), nn.BatchNorm2d(first, momentum=MOMENTUM), nn.ReLU(inplace=True),
        nn.Conv2d(first, out, 1, bias=False), nn.BatchNorm2d(out, momentum=MOMENTUM),
    ]  # fmt: skip


class MNASNet(Module):
    """Images (N, 3, H, W) to logits (N, num_classes); `alpha` scales the widths.

    Example: `MNASNet(0.5, num_classes=10)(rand(1, 3, 32, 32)).shape` is `torch.Size([1, 10])`.
    """

    _version = 2

    def __init__(self, alpha: float, num_classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        if alpha <= 0.0:
            raise ValueError(f"alpha should be greater than 0.0 instead of {alpha}")
        self.alpha, self.num_classes = alpha, num_classes
        first, *widths = [make_divisible(width * alpha, 8) for width in WIDTHS]
        stages = [stack(channels, out, *stage) for channels, out, stage in zip(widths, widths[1:], STAGES)]
        last = nn.Conv2d(widths[-1], LAST, 1, bias=False), nn.BatchNorm2d(LAST, momentum=MOMENTUM), nn.ReLU(inplace=True)
        self.layers = nn.Sequential(*stem(first, widths[0]), *stages, *last)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(LAST, num_classes))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, nn.Linear):
                nn.init.kaiming_uniform_(m.weight, mode="fan_out", nonlinearity="sigmoid")
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.layers(x).mean([2, 3]))

    def _load_from_state_dict(self, state_dict: dict, prefix: str, local_metadata: dict, *args: Any) -> None:
        version = local_metadata.get("version")
        if version not in (1, 2):
            raise ValueError(f"version should be set to 1 or 2 instead of {version}")
        if version == 1 and self.alpha != 1.0:  # whose first layers had one width
            after = make_divisible(WIDTHS[2] * self.alpha, 8)
            for i, layer in enumerate([*stem(WIDTHS[0], WIDTHS[1]), stack(WIDTHS[1], after, *STAGES[0])]):
                self.layers[i] = layer
            self._version = 1
            warnings.warn(
                "A new version of MNASNet model has been implemented. Your checkpoint was saved using the previous version. This "
                "checkpoint will load and work as before, but you may want to upgrade by training a newer model or transfer learning from "
                "an updated ImageNet checkpoint.",
                UserWarning,
            )
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


def mnasnet(name: str, weights: type[WeightsEnum], alpha: float) -> Callable[..., MNASNet]:
    return builder(__name__, name, weights, partial(MNASNet, alpha))


MNASNet0_5_Weights = published("MNASNet0_5_Weights", __name__)
MNASNet0_75_Weights = published("MNASNet0_75_Weights", __name__)
MNASNet1_0_Weights = published("MNASNet1_0_Weights", __name__)
MNASNet1_3_Weights = published("MNASNet1_3_Weights", __name__)
mnasnet0_5 = mnasnet("mnasnet0_5", MNASNet0_5_Weights, 0.5)
mnasnet0_75 = mnasnet("mnasnet0_75", MNASNet0_75_Weights, 0.75)
mnasnet1_0 = mnasnet("mnasnet1_0", MNASNet1_0_Weights, 1.0)
mnasnet1_3 = mnasnet("mnasnet1_3", MNASNet1_3_Weights, 1.3)
