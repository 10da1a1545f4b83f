"""DenseNet (Huang et al. 2016): in a block each layer sees what all layers before it computed."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from chainrule import functions, nn
from chainrule.nn import functional as F
from chainrule.nn.modules.container import ModuleDict, Sequential
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor
from chainrule.vision.models.weights import WeightsEnum, builder, published

__all__ = [
    "DenseNet", "DenseNet121_Weights", "DenseNet161_Weights", "DenseNet169_Weights", "DenseNet201_Weights", "densenet121", "densenet161",
    "densenet169", "densenet201",
]  # fmt: skip

OLD_NAME = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.\w+)")  # denselayer1.norm.1.weight is now denselayer1.norm1.weight


class _DenseLayer(Module):
    """`growth_rate` new channels from all channels so far, through `bn_size * growth_rate` of them."""

    def __init__(
        self, num_input_features: int, growth_rate: int, bn_size: int, drop_rate: float, memory_efficient: bool = False
    ) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(num_input_features)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(num_input_features, bn_size * growth_rate, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(bn_size * growth_rate)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(bn_size * growth_rate, growth_rate, 3, padding=1, bias=False)
        self.drop_rate = float(drop_rate)
        self.memory_efficient = memory_efficient

    def narrow(self, *features: Tensor) -> Tensor:
        return self.conv1(self.relu1(self.norm1(functions.cat(features, 1))))

    def forward(self, input: Tensor | list[Tensor]) -> Tensor:
        features = [input] if isinstance(input, Tensor) else input
        if self.memory_efficient and any(f.requires_grad for f in features):
            from chainrule.utils.checkpoint import checkpoint

            narrowed = checkpoint(self.narrow, *features, use_reentrant=False)
        else:
            narrowed = self.narrow(*features)
        made = self.conv2(self.relu2(self.norm2(narrowed)))
        return F.dropout(made, self.drop_rate, self.training) if self.drop_rate > 0 else made


class _DenseBlock(ModuleDict):
    def __init__(
        self, num_layers: int, num_input_features: int, bn_size: int, growth_rate: int, drop_rate: float, memory_efficient: bool = False
    ) -> None:
        super().__init__()
        for i in range(num_layers):
            layer = _DenseLayer(num_input_features + i * growth_rate, growth_rate, bn_size, drop_rate, memory_efficient)
            self.add_module(f"denselayer{i + 1}", layer)

    def forward(self, init_features: Tensor) -> Tensor:
        features = [init_features]
        for layer in self.values():
            features.append(layer(features))
        return functions.cat(features, 1)


class _Transition(Sequential):
    """Half the pixels a side, and other channels."""

    def __init__(self, num_input_features: int, num_output_features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(num_input_features)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(num_input_features, num_output_features, 1, bias=False)
        self.pool = nn.AvgPool2d(2, stride=2)


class DenseNet(Module):
    """Images (N, 3, H, W), 29 pixels or more a side, to logits (N, num_classes).

    Args:
        growth_rate: channels that each layer adds
        block_config: layers in each of the four blocks
        num_init_features: channels of the first convolution
        bn_size: the narrow part of a layer is so many times `growth_rate` wide
        drop_rate: dropout after each layer
        memory_efficient: compute the narrow parts again in backward
    """

    def __init__(
        self, growth_rate: int = 32, block_config: tuple[int, int, int, int] = (6, 12, 24, 16), num_init_features: int = 64,
        bn_size: int = 4, drop_rate: float = 0, num_classes: int = 1000, memory_efficient: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        channels = num_init_features
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False))
        self.features.add_module("norm0", nn.BatchNorm2d(channels))
        self.features.add_module("relu0", nn.ReLU(inplace=True))
        self.features.add_module("pool0", nn.MaxPool2d(3, stride=2, padding=1))
        for i, layers in enumerate(block_config, 1):
            self.features.add_module(
                f"denseblock{i}", _DenseBlock(layers, channels, bn_size, growth_rate, drop_rate, memory_efficient)
            )
            channels += layers * growth_rate
            if i < len(block_config):
                self.features.add_module(f"transition{i}", _Transition(channels, channels // 2))
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.classifier = nn.Linear(channels, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)
            elif isinstance(m, nn.BatchNorm2d):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)
            elif isinstance(m, nn.Linear):
                nn.init.constant_(m.bias, 0)

    def forward(self, x: Tensor) -> Tensor:
        features = F.relu(self.features(x), inplace=True)
        return self.classifier(F.adaptive_avg_pool2d(features, (1, 1)).flatten(1))


def renamed(state: dict[str, Any]) -> dict[str, Any]:
    return {OLD_NAME.sub(r"\1\2", key): value for key, value in state.items()}


def densenet(name: str, weights: type[WeightsEnum], *fixed: Any) -> Callable[..., DenseNet]:
    return builder(__name__, name, weights, partial(DenseNet, *fixed), translate=renamed)


DenseNet121_Weights = published("DenseNet121_Weights", __name__)
DenseNet161_Weights = published("DenseNet161_Weights", __name__)
DenseNet169_Weights = published("DenseNet169_Weights", __name__)
DenseNet201_Weights = published("DenseNet201_Weights", __name__)
densenet121 = densenet("densenet121", DenseNet121_Weights, 32, (6, 12, 24, 16), 64)
densenet161 = densenet("densenet161", DenseNet161_Weights, 48, (6, 12, 36, 24), 96)
densenet169 = densenet("densenet169", DenseNet169_Weights, 32, (6, 12, 32, 32), 64)
densenet201 = densenet("densenet201", DenseNet201_Weights, 32, (6, 12, 48, 32), 64)
