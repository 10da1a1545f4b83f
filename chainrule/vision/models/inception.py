"""Inception v3 (Szegedy et al. 2015): branches of convolutions side by side, the large ones as chains of narrow ones."""

from __future__ import annotations

from collections import namedtuple
from typing import Any, ClassVar

from chainrule import functions, nn
from chainrule.nn import functional as F
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor
from chainrule.vision.models.googlenet import BasicConv2d, Layer, as_in_tensorflow, fit, initialised
from chainrule.vision.models.weights import builder, published

__all__ = ["Inception3", "InceptionOutputs", "Inception_V3_Weights", "_InceptionOutputs", "inception_v3"]

InceptionOutputs = namedtuple("InceptionOutputs", ["logits", "aux_logits"])
_InceptionOutputs = InceptionOutputs
POOLINGS = {"mean": lambda x: F.avg_pool2d(x, 3, 1, 1), "max": lambda x: F.max_pool2d(x, 3, 2)}


class Branches(Module):
    """Branches of (N, C, H, W), their channels put together.

    A subclass says what each is: the names of its convolutions, or poolings, in order; several names in one place work side by side.
    """

    branches: ClassVar[tuple[tuple[str | tuple[str, ...], ...], ...]]

    def add(self, conv: Layer | None, **convolutions: tuple) -> None:
        """Make convolutions of (input channels, output channels, kernel, stride, padding)."""
        for name, (channels, out, kernel, stride, padding) in convolutions.items():
            setattr(self, name, (conv or BasicConv2d)(channels, out, kernel_size=kernel, stride=stride, padding=padding))

    def forward(self, x: Tensor) -> Tensor:
        return functions.cat([self.follow(branch, x) for branch in self.branches], 1)

    def follow(self, branch: tuple, x: Tensor) -> Tensor:
        for step in branch:
            if isinstance(step, tuple):
                x = functions.cat([getattr(self, name)(x) for name in step], 1)
            else:
                x = POOLINGS[step](x) if step in POOLINGS else getattr(self, step)(x)
        return x


class InceptionA(Branches):
    branches = (
        ("branch1x1",), ("branch5x5_1", "branch5x5_2"), ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"), ("mean", "branch_pool"),
    )  # fmt: skip

    def __init__(self, in_channels: int, pool_features: int, conv_block: Layer | None = None) -> None:
        super().__init__()
        self.add(
            conv_block, branch1x1=(in_channels, 64, 1, 1, 0),
            branch5x5_1=(in_channels, 48, 1, 1, 0), branch5x5_2=(48, 64, 5, 1, 2),
            branch3x3dbl_1=(in_channels, 64, 1, 1, 0), branch3x3dbl_2=(64, 96, 3, 1, 1), branch3x3dbl_3=(96, 96, 3, 1, 1),
            branch_pool=(in_channels, pool_features, 1, 1, 0),
        )  # fmt: skip


class InceptionB(Branches):
    branches = ("branch3x3",), ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"), ("max",)

    def __init__(self, in_channels: int, conv_block: Layer | None = None) -> None:
        super().__init__()
        self.add(
            conv_block, branch3x3=(in_channels, 384, 3, 2, 0),
            branch3x3dbl_1=(in_channels, 64, 1, 1, 0), branch3x3dbl_2=(64, 96, 3, 1, 1), branch3x3dbl_3=(96, 96, 3, 2, 0),
        )  # fmt: skip


class InceptionC(Branches):
    branches = (
        ("branch1x1",), ("branch7x7_1", "branch7x7_2", "branch7x7_3"),
        ("branch7x7dbl_1", "branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4", "branch7x7dbl_5"), ("mean", "branch_pool"),
    )  # fmt: skip

    def __init__(self, in_channels: int, channels_7x7: int, conv_block: Layer | None = None) -> None:
        super().__init__()
        c, row, column = channels_7x7, ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))
        self.add(
            conv_block, branch1x1=(in_channels, 192, 1, 1, 0),
            branch7x7_1=(in_channels, c, 1, 1, 0), branch7x7_2=(c, c, *row), branch7x7_3=(c, 192, *column),
            branch7x7dbl_1=(in_channels, c, 1, 1, 0), branch7x7dbl_2=(c, c, *column), branch7x7dbl_3=(c, c, *row),
            branch7x7dbl_4=(c, c, *column), branch7x7dbl_5=(c, 192, *row),
            branch_pool=(in_channels, 192, 1, 1, 0),
        )  # fmt: skip


class InceptionD(Branches):
    branches = ("branch3x3_1", "branch3x3_2"), ("branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3", "branch7x7x3_4"), ("max",)

    def __init__(self, in_channels: int, conv_block: Layer | None = None) -> None:
        super().__init__()
        self.add(
            conv_block, branch3x3_1=(in_channels, 192, 1, 1, 0), branch3x3_2=(192, 320, 3, 2, 0),
            branch7x7x3_1=(in_channels, 192, 1, 1, 0), branch7x7x3_2=(192, 192, (1, 7), 1, (0, 3)),
            branch7x7x3_3=(192, 192, (7, 1), 1, (3, 0)), branch7x7x3_4=(192, 192, 3, 2, 0),
        )  # fmt: skip


class InceptionE(Branches):
    branches = (
        ("branch1x1",), ("branch3x3_1", ("branch3x3_2a", "branch3x3_2b")),
        ("branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b")), ("mean", "branch_pool"),
    )  # fmt: skip

    def __init__(self, in_channels: int, conv_block: Layer | None = None) -> None:
        super().__init__()
        row, column = (384, 384, (1, 3), 1, (0, 1)), (384, 384, (3, 1), 1, (1, 0))
        self.add(
            conv_block, branch1x1=(in_channels, 320, 1, 1, 0),
            branch3x3_1=(in_channels, 384, 1, 1, 0), branch3x3_2a=row, branch3x3_2b=column,
            branch3x3dbl_1=(in_channels, 448, 1, 1, 0), branch3x3dbl_2=(448, 384, 3, 1, 1), branch3x3dbl_3a=row, branch3x3dbl_3b=column,
            branch_pool=(in_channels, 192, 1, 1, 0),
        )  # fmt: skip


class InceptionAux(Module):
    """A classifier of what the middle of the network has found."""

    def __init__(self, in_channels: int, num_classes: int, conv_block: Layer | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.conv0 = conv(in_channels, 128, kernel_size=1)
        self.conv1 = conv(128, 768, kernel_size=5)
        self.conv1.stddev = 0.01  # type: ignore[assignment]
        self.fc = nn.Linear(768, num_classes)
        self.fc.stddev = 0.001  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(self.conv0(F.avg_pool2d(x, kernel_size=5, stride=3)))
        return self.fc(functions.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class Inception3(Module):
    """Images (N, 3, H, W) of 75 pixels or more a side to logits (N, num_classes); in training with `aux_logits` to `InceptionOutputs`.

    Args:
        transform_input: the weights are TensorFlow's, which want pictures normalised in another way
        inception_blocks: make convolutions, the five kinds of branches and the classifier on the way
        init_weights: draw the weights from a normal distribution (True if None)
        dropout: probability before the last layer
    """

    def __init__(
        self, num_classes: int = 1000, aux_logits: bool = True, transform_input: bool = False, inception_blocks: list[Layer] | None = None,
        init_weights: bool | None = None, dropout: float = 0.5,
    ) -> None:  # fmt: skip
        super().__init__()
        blocks = inception_blocks
        if blocks is None:
            blocks = [BasicConv2d, InceptionA, InceptionB, InceptionC, InceptionD, InceptionE, InceptionAux]
        drawn = initialised("inception_v3", init_weights)
        if len(blocks) != 7:
            raise ValueError(f"length of inception_blocks should be 7 instead of {len(blocks)}")
        conv, a, b, c, d, e, aux = blocks
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.Conv2d_1a_3x3 = conv(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Mixed_5b = a(192, pool_features=32)
        self.Mixed_5c = a(256, pool_features=64)
        self.Mixed_5d = a(288, pool_features=64)
        self.Mixed_6a = b(288)
        self.Mixed_6b = c(768, channels_7x7=128)
        self.Mixed_6c = c(768, channels_7x7=160)
        self.Mixed_6d = c(768, channels_7x7=160)
        self.Mixed_6e = c(768, channels_7x7=192)
        self.AuxLogits = aux(768, num_classes) if aux_logits else None
        self.Mixed_7a = d(768)
        self.Mixed_7b = e(1280)
        self.Mixed_7c = e(2048)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(2048, num_classes)
        for m in self.modules() if drawn else ():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(m.weight, mean=0.0, std=float(getattr(m, "stddev", 0.1)), a=-2, b=2)

    def forward(self, x: Tensor) -> Any:
        x = as_in_tensorflow(x) if self.transform_input else x
        x = self.maxpool1(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = self.maxpool2(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        judged = self.AuxLogits(x) if self.training and self.AuxLogits is not None else None
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        x = self.fc(functions.flatten(self.dropout(self.avgpool(x)), 1))
        return InceptionOutputs(x, judged) if self.training and self.aux_logits else x


Inception_V3_Weights = published("Inception_V3_Weights", __name__)
inception_v3 = builder(__name__, "inception_v3", Inception_V3_Weights, Inception3, fit)
