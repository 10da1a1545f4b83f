"""The handwritten digits that come with the package."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Digits"]

HELD_OUT = 36  # test images of each digit


class Digits:
    """1797 handwritten digits, 8x8, UCI (Alpaydin and Kaynak 1998): 1437 to train on, 360 to test on.

    The test set is the last 36 images of each digit in the order of the original file, which runs writer after writer: most of its
    hands were never seen in training, so its accuracy is some points below that of a shuffled split.

    Args:
        train: the 1437 training images if true, else the 360 test images
        transform: called on each image (uint8 Tensor of shape (8, 8), 0 paper to 16 ink) as it is indexed
        target_transform: called on each label (int) as it is indexed

    Attributes:
        data: uint8 Tensor of shape (N, 8, 8)
        targets: int64 Tensor of shape (N,)
        classes: the ten names, "0" to "9"

    Example:
        >>> from chainrule.vision.datasets import Digits
        >>> digits = Digits(train=True, transform=lambda image: image.float() / 16)
        >>> image, label = digits[0]
        >>> len(digits), image.shape, label
        (1437, torch.Size([8, 8]), 0)
    """

    classes = [str(digit) for digit in range(10)]

    def __init__(
        self,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
    ) -> None:
        from chainrule import tensor

        images, labels = split(train)
        self.train, self.transform, self.target_transform = train, transform, target_transform
        self.data, self.targets = tensor(images), tensor(labels)  # type: ignore[operator]  # the function, not the module so named

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = self.data[index], int(self.targets[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label


@cache
def split(train: bool) -> tuple[np.ndarray, np.ndarray]:
    """The (N, 8, 8) uint8 images and (N,) int64 labels of one side, read once."""
    with np.load(Path(__file__).parent.parent / "_data" / "digits.npz") as file:
        images, labels = file["images"], file["labels"].astype(np.int64)
    held_out = np.concatenate([np.flatnonzero(labels == digit)[-HELD_OUT:] for digit in range(10)])
    rows = np.delete(np.arange(len(labels)), held_out) if train else np.sort(held_out)
    return images[rows], labels[rows]
