"""MNIST and the sets that came after it in its format: greyscale pictures of 28x28 in ten classes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import functions
from chainrule.tensor import Tensor
from chainrule.vision.datasets.base import VisionDataset
from chainrule.vision.datasets.utils import check_integrity, from_mirrors

__all__ = ["MNIST", "FashionMNIST", "KMNIST"]

IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
FILES = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")


def listed(*sums: str) -> list[tuple[str, str]]:
    return list(zip(FILES, sums))


class MNIST(VisionDataset):
    """Handwritten digits (LeCun, Cortes and Burges): 60,000 to train on, 10,000 to test on.

    Indexing gives (Pillow's picture, int), or what the transforms make of them; `data` and `targets` need no Pillow.

    Args:
        root: the folder above `MNIST/raw`, where the files are or will be
        train: which of the two sets
        transform: called on each picture as it is indexed
        target_transform: called on each label as it is indexed
        download: fetch the files unless they are there

    Attributes:
        data: uint8 Tensor (N, 28, 28), 0 paper to 255 ink
        targets: int64 Tensor (N,)
        classes, class_to_idx: names by label, labels by name

    Raises RuntimeError where the files are not there, or no mirror has them.

    Example:
        >>> train = MNIST("data", download=True, transform=transforms.ToTensor())
        >>> image, label = train[0]
        >>> image.shape, label
        (torch.Size([1, 28, 28]), 5)
    """

    mirrors = ["https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"]
    resources = listed(
        "f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432", "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    )  # fmt: skip
    classes = [
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine",
    ]  # fmt: skip

    def __init__(
        self, root: str | os.PathLike, train: bool = True, transform: Callable | None = None, target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        if download:
            self.download()
        if not self._check_exists():
            raise RuntimeError("Dataset not found. You can use download=True to download it")
        side = os.path.join(self.raw_folder, "train" if train else "t10k")
        self.data, self.targets = read_images(f"{side}-images-idx3-ubyte"), read_labels(f"{side}-labels-idx1-ubyte")

    @property
    def raw_folder(self) -> str:
        """Where the files are."""
        return os.path.join(self.root, type(self).__name__, "raw")  # type: ignore[arg-type]

    @property
    def class_to_idx(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.classes)}

    def _check_exists(self) -> bool:
        return all(check_integrity(os.path.join(self.raw_folder, file.removesuffix(".gz"))) for file, _ in self.resources)

    def download(self) -> None:
        """Fetch the files, unless they are there."""
        if not self._check_exists():
            for file, md5 in self.resources:
                from_mirrors(self.mirrors, file, self.raw_folder, md5)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        from chainrule.vision.transforms.functional import pictures

        return self.transformed(pictures().from_array(self.data[index].numpy(), "L"), int(self.targets[index]))

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


class FashionMNIST(MNIST):
    """Articles of clothing (Xiao, Rasul and Vollgraf 2017), in MNIST's format and numbers; arguments as of `MNIST`."""

    mirrors = ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"]
    resources = listed(
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe", "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    )  # fmt: skip
    classes = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


class KMNIST(MNIST):
    """Cursive Japanese characters (Clanuwat et al. 2018), in MNIST's format and numbers; arguments as of `MNIST`."""

    mirrors = ["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"]
    resources = listed(
        "bdb82020997e1d708af4cf47b453dcf7", "e144d726b3acfaa3e44228e80efcd344", "5c965bf0a639b31b8f53240b1b52f4d7",
        "7320c461ea6c1c855c0b718fb2a4b134",
    )  # fmt: skip
    classes = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]


# The idx format: two zeros, a type, the number of dimensions, their sizes, the numbers, all with the first byte first.


def read_idx(path: str) -> np.ndarray:
    """The array in an idx file; ValueError if it is none, or is cut off."""
    with open(path, "rb") as file:
        head = file.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in IDX_TYPES or not 1 <= head[3] <= 3:
            raise ValueError(f"{path} is not in the idx format: it begins with {head.hex()}")
        dtype, ndim = np.dtype(IDX_TYPES[head[2]]), head[3]
        sizes = file.read(4 * ndim)
        shape = tuple(int.from_bytes(sizes[i : i + 4], "big") for i in range(0, len(sizes), 4))
        body = file.read()
    expected = int(np.prod([*shape, dtype.itemsize], dtype=object))
    if len(shape) != ndim or len(body) != expected:
        raise ValueError(f"{path} has {len(body)} bytes of numbers where its shape {shape} needs {expected}")
    return np.frombuffer(body, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def read_labels(path: str) -> Tensor:
    array = read_idx(path)
    if array.dtype != np.uint8:
        raise TypeError(f"x should be of dtype torch.uint8 instead of torch.{array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"x should have 1 dimension instead of {array.ndim}")
    return functions.from_numpy(array.astype(np.int64))


def read_images(path: str) -> Tensor:
    array = read_idx(path)
    if array.dtype != np.uint8:
        raise TypeError(f"x should be of dtype torch.uint8 instead of torch.{array.dtype}")
    if array.ndim != 3:
        raise ValueError(f"x should have 3 dimension instead of {array.ndim}")
    return functions.from_numpy(array)
