"""GoogLeNet (Szegedy et al. 2014): layers of convolutions of several sizes side by side, and two classifiers on the way."""

from __future__ import annotations

import warnings
from collections import namedtuple
from collections.abc import Callable
from typing import Any

from chainrule import functions, nn
from chainrule.nn import functional as F
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor
from chainrule.vision.models.weights import WeightsEnum, builder, demand, published

__all__ = ["GoogLeNet", "GoogLeNetOutputs", "GoogLeNet_Weights", "_GoogLeNetOutputs", "googlenet"]

GoogLeNetOutputs = namedtuple("GoogLeNetOutputs", ["logits", "aux_logits2", "aux_logits1"])
_GoogLeNetOutputs = GoogLeNetOutputs
Layer = Callable[..., Module]
MIXED = {  # input, 1x1, before 3x3, 3x3, before the second 3x3, the second 3x3, after the pooling
    "inception3a": (192, 64, 96, 128, 16, 32, 32),
    "inception3b": (256, 128, 128, 192, 32, 96, 64),
    "inception4a": (480, 192, 96, 208, 16, 48, 64),
    "inception4b": (512, 160, 112, 224, 24, 64, 64),
    "inception4c": (512, 128, 128, 256, 24, 64, 64),
    "inception4d": (512, 112, 144, 288, 32, 64, 64),
    "inception4e": (528, 256, 160, 320, 32, 128, 128),
    "inception5a": (832, 256, 160, 320, 32, 128, 128),
    "inception5b": (832, 384, 192, 384, 48, 128, 128),
}
POOLED_AFTER = {"inception3b": ("maxpool3", 3), "inception4e": ("maxpool4", 2)}
JUDGED_AFTER = {"inception4a": "aux1", "inception4d": "aux2"}


class BasicConv2d(Module):
    """A convolution, its batch normalisation, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(Module):
    """Four branches, their channels put together: 1x1, 3x3, another 3x3 (5x5 in the paper), pooling."""

    def __init__(
        self, in_channels: int, ch1x1: int, ch3x3red: int, ch3x3: int, ch5x5red: int, ch5x5: int, pool_proj: int,
        conv_block: Layer | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1 = conv(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(conv(in_channels, ch3x3red, kernel_size=1), conv(ch3x3red, ch3x3, kernel_size=3, padding=1))
        self.branch3 = nn.Sequential(conv(in_channels, ch5x5red, kernel_size=1), conv(ch5x5red, ch5x5, kernel_size=3, padding=1))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), conv(in_channels, pool_proj, kernel_size=1))

    def forward(self, x: Tensor) -> Tensor:
        return functions.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class InceptionAux(Module):
    """A classifier of what the middle of the network has found."""

    def __init__(self, in_channels: int, num_classes: int, conv_block: Layer | None = None, dropout: float = 0.7) -> None:
        super().__init__()
        self.conv = (conv_block or BasicConv2d)(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = functions.flatten(self.conv(F.adaptive_avg_pool2d(x, (4, 4))), 1)
        return self.fc2(self.dropout(F.relu(self.fc1(x), inplace=True)))


def as_in_tensorflow(x: Tensor) -> Tensor:
    """Pictures normalised as torchvision does, normalised to a mean and deviation of 0.5 instead."""
    scale = functions.tensor([0.229, 0.224, 0.225], dtype=x.dtype).reshape(3, 1, 1) / 0.5
    shift = (functions.tensor([0.485, 0.456, 0.406], dtype=x.dtype).reshape(3, 1, 1) - 0.5) / 0.5
    return x * scale + shift


def initialised(kind: str, init_weights: bool | None) -> bool:
    """Whether to draw the weights anew; a warning if the caller did not say."""
    if init_weights is None:
        warnings.warn(
            f"The default weight initialization of {kind} will be changed in future releases of torchvision. If you wish to keep the old "
            "behavior (which leads to long initialization times due to scipy/scipy#11299), please set init_weights=True.",
            FutureWarning,
            stacklevel=3,
        )
    return init_weights is None or init_weights


class GoogLeNet(Module):
    """Images (N, 3, H, W) to logits (N, num_classes); in training with `aux_logits` to `GoogLeNetOutputs`, the three classifiers' logits.

    Args:
        transform_input: the weights are TensorFlow's, which want pictures normalised in another way
        init_weights: draw the weights from a normal distribution (True if None)
        blocks: make convolutions, mixed layers and classifiers
        dropout, dropout_aux: probabilities, of the last classifier and the others
    """

    def __init__(
        self, num_classes: int = 1000, aux_logits: bool = True, transform_input: bool = False, init_weights: bool | None = None,
        blocks: list[Layer] | None = None, dropout: float = 0.2, dropout_aux: float = 0.7,
    ) -> None:  # fmt: skip
        super().__init__()
        blocks = [BasicConv2d, Inception, InceptionAux] if blocks is None else blocks
        drawn = initialised("GoogleNet", init_weights)
        if len(blocks) != 3:
            raise ValueError(f"blocks length should be 3 instead of {len(blocks)}")
        conv, mixed, aux = blocks
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.conv1 = conv(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = conv(64, 64, kernel_size=1)
        self.conv3 = conv(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        for name, widths in MIXED.items():
            setattr(self, name, mixed(*widths))
            if name in POOLED_AFTER:
                pool, size = POOLED_AFTER[name]
                setattr(self, pool, nn.MaxPool2d(size, stride=2, ceil_mode=True))
        self.aux1 = aux(512, num_classes, dropout=dropout_aux) if aux_logits else None
        self.aux2 = aux(528, num_classes, dropout=dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(1024, num_classes)
        for m in self.modules() if drawn else ():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(m.weight, mean=0.0, std=0.01, a=-2, b=2)

    def forward(self, x: Tensor) -> Any:
        x = as_in_tensorflow(x) if self.transform_input else x
        x = self.maxpool2(self.conv3(self.conv2(self.maxpool1(self.conv1(x)))))
        judged = {}
        for name in MIXED:
            x = getattr(self, name)(x)
            if name in POOLED_AFTER:
                x = getattr(self, POOLED_AFTER[name][0])(x)
            judge = getattr(self, JUDGED_AFTER[name]) if name in JUDGED_AFTER else None
            if judge is not None and self.training:
                judged[JUDGED_AFTER[name]] = judge(x)
        x = self.fc(self.dropout(functions.flatten(self.avgpool(x), 1)))
        return GoogLeNetOutputs(x, judged.get("aux2"), judged.get("aux1")) if self.training and self.aux_logits else x


def fit(weights: WeightsEnum, kwargs: dict[str, Any]) -> None:
    """What a GoogLeNet or Inception for published weights is built with."""
    kwargs.setdefault("transform_input", True)
    demand(kwargs, "aux_logits", True)
    demand(kwargs, "init_weights", False)


def finish(model: GoogLeNet, asked: dict[str, Any]) -> None:
    """The published file has no weights for the classifiers on the way that would be worth keeping."""
    if asked.get("aux_logits"):
        warnings.warn("auxiliary heads in the pretrained googlenet model are NOT pretrained, so make sure to train them", stacklevel=3)
    else:
        model.aux_logits, model.aux1, model.aux2 = False, None, None


GoogLeNet_Weights = published("GoogLeNet_Weights", __name__)
googlenet = builder(__name__, "googlenet", GoogLeNet_Weights, GoogLeNet, fit, finish=finish)
