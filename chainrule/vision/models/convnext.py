"""ConvNeXt (Liu et al. 2022): convolutions in the shape of a transformer's blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from chainrule import functions, nn
from chainrule.nn.modules.module import Module
from chainrule.nn.modules.normalization import LayerNorm
from chainrule.tensor import Tensor
from chainrule.vision.models.weights import WeightsEnum, builder, published
from chainrule.vision.ops.misc import Conv2dNormActivation, Permute, StochasticDepth

__all__ = [
    "ConvNeXt", "ConvNeXt_Base_Weights", "ConvNeXt_Large_Weights", "ConvNeXt_Small_Weights", "ConvNeXt_Tiny_Weights", "convnext_base",
    "convnext_large", "convnext_small", "convnext_tiny",
]  # fmt: skip


class LayerNorm2d(LayerNorm):
    """Each pixel of (N, C, H, W) normalised over its channels."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class CNBlock(Module):
    """Each channel convolved alone, then for each pixel two linear layers with GELU between; scaled, and added to the input."""

    def __init__(
        self, dim: int, layer_scale: float, stochastic_depth_prob: float, norm_layer: Callable[..., Module] | None = None
    ) -> None:
        super().__init__()
        norm = norm_layer or partial(nn.LayerNorm, eps=1e-6)
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, 7, padding=3, groups=dim), Permute([0, 2, 3, 1]), norm(dim),
            nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim), Permute([0, 3, 1, 2]),
        )  # fmt: skip
        self.layer_scale = nn.Parameter(functions.ones(dim, 1, 1) * layer_scale)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, input: Tensor) -> Tensor:
        result = self.stochastic_depth(self.layer_scale * self.block(input))
        result += input
        return result


class CNBlockConfig:
    """A stage: its channels, those of the next stage or None, and its blocks."""

    def __init__(self, input_channels: int, out_channels: int | None, num_layers: int) -> None:
        self.input_channels, self.out_channels, self.num_layers = input_channels, out_channels, num_layers

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in vars(self).items())})"


class ConvNeXt(Module):
    """Images (N, 3, H, W), 32 pixels or more a side, to logits (N, num_classes).

    Args:
        block_setting: a `CNBlockConfig` for each stage
        stochastic_depth_prob: with which the last block is left out of a sample in training; earlier ones with less
        layer_scale: what the blocks' results are scaled by at the start
        block, norm_layer: make the blocks, the normalisations between stages
    """

    def __init__(
        self, block_setting: Sequence[CNBlockConfig], stochastic_depth_prob: float = 0.0, layer_scale: float = 1e-6,
        num_classes: int = 1000, block: Callable[..., Module] | None = None, norm_layer: Callable[..., Module] | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        stages = block_setting
        if not stages:
            raise ValueError("The block_setting should not be empty")
        if not isinstance(stages, Sequence) or not all(isinstance(s, CNBlockConfig) for s in stages):
            raise TypeError("The block_setting should be List[CNBlockConfig]")
        block, norm = block or CNBlock, norm_layer or partial(LayerNorm2d, eps=1e-6)
        channels = stages[0].input_channels
        layers: list[Module] = [Conv2dNormActivation(3, channels, 4, 4, 0, norm_layer=norm, activation_layer=None, bias=True)]
        total, made = sum(stage.num_layers for stage in stages), 0
        for stage in stages:
            channels, blocks = stage.input_channels, []
            for _ in range(stage.num_layers):
                blocks.append(block(channels, layer_scale, stochastic_depth_prob * made / (total - 1.0)))
                made += 1
            layers.append(nn.Sequential(*blocks))
            if stage.out_channels is not None:
                layers.append(nn.Sequential(norm(channels), nn.Conv2d(channels, stage.out_channels, 2, stride=2)))
                channels = stage.out_channels
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(norm(channels), nn.Flatten(1), nn.Linear(channels, num_classes))
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(m.weight, std=0.02)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)))


def convnext(name: str, weights: type[WeightsEnum], width: int, deep: int, prob: float) -> Callable[..., ConvNeXt]:
    """Four stages that double the channels from `width` on; the third has `deep` blocks, the others 3."""

    def construct(**kwargs: Any) -> ConvNeXt:
        widths = [width, 2 * width, 4 * width, 8 * width]
        stages = [CNBlockConfig(*stage) for stage in zip(widths, [*widths[1:], None], [3, 3, deep, 3])]
        return ConvNeXt(stages, **{"stochastic_depth_prob": prob} | kwargs)

    return builder(__name__, name, weights, construct)


ConvNeXt_Tiny_Weights = published("ConvNeXt_Tiny_Weights", __name__)
ConvNeXt_Small_Weights = published("ConvNeXt_Small_Weights", __name__)
ConvNeXt_Base_Weights = published("ConvNeXt_Base_Weights", __name__)
ConvNeXt_Large_Weights = published("ConvNeXt_Large_Weights", __name__)
convnext_tiny = convnext("convnext_tiny", ConvNeXt_Tiny_Weights, 96, 9, 0.1)
convnext_small = convnext("convnext_small", ConvNeXt_Small_Weights, 96, 27, 0.4)
convnext_base = convnext("convnext_base", ConvNeXt_Base_Weights, 128, 27, 0.5)
convnext_large = convnext("convnext_large", ConvNeXt_Large_Weights, 192, 27, 0.5)
