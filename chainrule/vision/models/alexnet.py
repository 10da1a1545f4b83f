"""AlexNet (Krizhevsky 2014): five convolutions and three linear layers."""

from __future__ import annotations

from chainrule import nn
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor
from chainrule.vision.models.weights import builder, published

__all__ = ["AlexNet", "AlexNet_Weights", "alexnet"]


class AlexNet(Module):
    """Images (N, 3, H, W), 63 pixels or more a side, to logits (N, num_classes); `dropout` is before the first two linear layers."""

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        pool, act = lambda: nn.MaxPool2d(3, stride=2), lambda: nn.ReLU(inplace=True)
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2), act(), pool(),
            nn.Conv2d(64, 192, 5, padding=2), act(), pool(),
            nn.Conv2d(192, 384, 3, padding=1), act(),
            nn.Conv2d(384, 256, 3, padding=1), act(),
            nn.Conv2d(256, 256, 3, padding=1), act(), pool(),
        )  # fmt: skip
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(256 * 6 * 6, 4096), act(),
            nn.Dropout(dropout), nn.Linear(4096, 4096), act(),
            nn.Linear(4096, num_classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


AlexNet_Weights = published("AlexNet_Weights", __name__)
alexnet = builder(__name__, "alexnet", AlexNet_Weights, AlexNet)
