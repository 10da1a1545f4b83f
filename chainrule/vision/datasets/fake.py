"""Noise for pictures, to try a program without data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule import functions
from chainrule.vision.datasets.base import VisionDataset

__all__ = ["FakeData"]


class FakeData(VisionDataset):
    """`size` pictures of noise with drawn labels; sample i is drawn from the seed i + `random_offset`, so it stays the same.

    Indexing gives (Pillow's picture, int), or what the transforms make of them.

    Example:
        >>> FakeData(4, (3, 32, 32), num_classes=2, transform=transforms.ToTensor())[0][0].shape
        torch.Size([3, 32, 32])
    """

    def __init__(
        self, size: int = 1000, image_size: tuple[int, int, int] = (3, 224, 224), num_classes: int = 10, transform: Callable | None = None,
        target_transform: Callable | None = None, random_offset: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(transform=transform, target_transform=target_transform)
        self.size, self.image_size, self.num_classes, self.random_offset = size, image_size, num_classes, random_offset

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        from chainrule.vision.transforms.functional import to_pil_image

        if index >= self.size:
            raise IndexError(f"{type(self).__name__} index out of range")
        generator = functions.Generator().manual_seed(index + self.random_offset)
        picture = to_pil_image(functions.randn(*self.image_size, generator=generator))
        target = functions.randint(0, self.num_classes, (1,), generator=generator)[0]
        picture, target = self.transformed(picture, target)
        return picture, target.item()
