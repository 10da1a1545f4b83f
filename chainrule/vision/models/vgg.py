"""VGG (Simonyan and Zisserman 2014): 3x3 convolutions between poolings, then three wide linear layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule import nn
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor
from chainrule.vision.models.weights import WeightsEnum, builder, published

__all__ = [
    "VGG", "VGG11_BN_Weights", "VGG11_Weights", "VGG13_BN_Weights", "VGG13_Weights", "VGG16_BN_Weights", "VGG16_Weights",
    "VGG19_BN_Weights", "VGG19_Weights", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn",
]  # fmt: skip

WIDTHS = (64, 128, 256, 512, 512)


class VGG(Module):
    """Images (N, 3, H, W), 32 pixels or more a side, to logits (N, num_classes).

    Args:
        features: (N, 3, H, W) to (N, 512, h, w), as `make_layers` gives
        init_weights: draw them as the paper does, else leave the layers' own
        dropout: after the first two linear layers
    """

    def __init__(self, features: Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(True), nn.Dropout(dropout),
            nn.Linear(4096, 4096), nn.ReLU(True), nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )  # fmt: skip
        for m in self.modules() if init_weights else ():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, nn.BatchNorm2d):
                nn.init.constant_(m.weight, 1)
            elif isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, 0, 0.01)
            if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.Linear)) and m.bias is not None:
                nn.init.constant_(m.bias, 0)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def make_layers(depths: tuple[int, ...], batch_norm: bool = False) -> Module:
    """So many convolutions in each of the five stages, each stage ended by a pooling."""
    layers: list[Module] = []
    channels = 3
    for depth, width in zip(depths, WIDTHS):
        for _ in range(depth):
            layers.append(nn.Conv2d(channels, width, 3, padding=1))
            layers += [nn.BatchNorm2d(width)] if batch_norm else []
            layers.append(nn.ReLU(inplace=True))
            channels = width
        layers.append(nn.MaxPool2d(2, stride=2))
    return nn.Sequential(*layers)


def vgg(name: str, weights: type[WeightsEnum], depths: tuple[int, ...]) -> Callable[..., VGG]:
    construct = lambda **kwargs: VGG(make_layers(depths, name.endswith("_bn")), **kwargs)
    return builder(__name__, name, weights, construct, fit=as_loaded)


def as_loaded(weights: WeightsEnum, kwargs: dict[str, Any]) -> None:
    kwargs["init_weights"] = False


VGG11_Weights = published("VGG11_Weights", __name__)
VGG11_BN_Weights = published("VGG11_BN_Weights", __name__)
VGG13_Weights = published("VGG13_Weights", __name__)
VGG13_BN_Weights = published("VGG13_BN_Weights", __name__)
VGG16_Weights = published("VGG16_Weights", __name__)
VGG16_BN_Weights = published("VGG16_BN_Weights", __name__)
VGG19_Weights = published("VGG19_Weights", __name__)
VGG19_BN_Weights = published("VGG19_BN_Weights", __name__)

vgg11 = vgg("vgg11", VGG11_Weights, (1, 1, 2, 2, 2))
vgg11_bn = vgg("vgg11_bn", VGG11_BN_Weights, (1, 1, 2, 2, 2))
vgg13 = vgg("vgg13", VGG13_Weights, (2, 2, 2, 2, 2))
vgg13_bn = vgg("vgg13_bn", VGG13_BN_Weights, (2, 2, 2, 2, 2))
vgg16 = vgg("vgg16", VGG16_Weights, (2, 2, 3, 3, 3))
vgg16_bn = vgg("vgg16_bn", VGG16_BN_Weights, (2, 2, 3, 3, 3))
vgg19 = vgg("vgg19", VGG19_Weights, (2, 2, 4, 4, 4))
vgg19_bn = vgg("vgg19_bn", VGG19_BN_Weights, (2, 2, 4, 4, 4))
