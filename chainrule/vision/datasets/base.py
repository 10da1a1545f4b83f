"""What data sets of pictures share: a folder, transforms, and how they print."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from chainrule.utils.data.dataset import Dataset

__all__ = ["StandardTransform", "VisionDataset"]


def under(head: str, thing: Any) -> list[str]:
    """The lines of a printed thing after `head`, indented as far."""
    first, *rest = repr(thing).splitlines()
    return [head + first, *(" " * len(head) + line for line in rest)]


class StandardTransform:
    """`transform` for the picture, `target_transform` for what is known of it; None does nothing."""

    def __init__(self, transform: Callable | None = None, target_transform: Callable | None = None) -> None:
        self.transform, self.target_transform = transform, target_transform

    def __call__(self, input: Any, target: Any) -> tuple[Any, Any]:
        if self.transform is not None:
            input = self.transform(input)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return input, target

    def __repr__(self) -> str:
        lines = [type(self).__name__]
        lines += [] if self.transform is None else under("Transform: ", self.transform)
        lines += [] if self.target_transform is None else under("Target transform: ", self.target_transform)
        return "\n".join(lines)


class VisionDataset(Dataset):
    """A data set in the folder `root`: give it `__len__` and `__getitem__`.

    Args:
        root: the folder
        transforms: called on picture and target; or
        transform, target_transform: called on one each (ValueError with both kinds)
    """

    def __init__(
        self, root: str | os.PathLike | None = None, transforms: Callable | None = None, transform: Callable | None = None,
        target_transform: Callable | None = None,
    ) -> None:  # fmt: skip
        self.root = os.path.expanduser(root) if isinstance(root, str) else root
        apart = transform is not None or target_transform is not None
        if apart and transforms is not None:
            raise ValueError("Only transforms or transform/target_transform can be passed as argument")
        self.transform, self.target_transform = transform, target_transform
        self.transforms = StandardTransform(transform, target_transform) if apart else transforms

    def transformed(self, picture: Any, target: Any) -> tuple[Any, Any]:
        return StandardTransform(self.transform, self.target_transform)(picture, target)

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def __repr__(self) -> str:
        lines = [f"Number of datapoints: {len(self)}"]
        lines += [] if self.root is None else [f"Root location: {self.root}"]
        lines += self.extra_repr().splitlines()
        lines += [] if self.transforms is None else [repr(self.transforms)]
        return "\n".join([f"Dataset {type(self).__name__}", *(f"    {line}" for line in lines)])

    def extra_repr(self) -> str:
        """More lines for `repr`."""
        return ""
