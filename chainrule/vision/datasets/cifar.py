"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): 32x32 pictures in colour, in Python pickles, which are read without running them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.serialization.safe import Machine
from chainrule.vision.datasets.base import VisionDataset
from chainrule.vision.datasets.utils import check_integrity, download_and_extract_archive

__all__ = ["CIFAR10", "CIFAR100"]


class CIFAR10(VisionDataset):
    """Ten classes: 50,000 pictures to train on, 10,000 to test on.

    Indexing gives (Pillow's picture, int), or what the transforms make of them; `data` and `targets` need no Pillow.

    Args:
        root: the folder above `cifar-10-batches-py`, where the files are or will be
        train: which of the two sets
        transform: called on each picture as it is indexed
        target_transform: called on each label as it is indexed
        download: fetch the files unless they are there

    Attributes:
        data: uint8 array (N, 32, 32, 3)
        targets: list of N ints
        classes, class_to_idx: names by label, labels by name

    Raises RuntimeError where files are not there or are not the published ones.

    Example:
        >>> test = CIFAR10("data", train=False, download=True, transform=transforms.ToTensor())
        >>> test[0][0].shape
        torch.Size([3, 32, 32])
    """

    base_folder = "cifar-10-batches-py"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    filename = "cifar-10-python.tar.gz"
    tgz_md5 = "c58f30108f718f92721af3b95e74349a"
    train_list = [
        ["data_batch_1", "c99cafc152244af753f735de768cd75f"],
        ["data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"],
        ["data_batch_3", "54ebc095f3ab1f0389bbae665268c751"],
        ["data_batch_4", "634d18415352ddfa80567beed471001a"],
        ["data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"],
    ]
    test_list = [["test_batch", "40351d587109b95175f43aff81a1287e"]]
    meta = {"filename": "batches.meta", "key": "label_names", "md5": "5ff9c542aee3614f3951f8cda6e48888"}
    labels = "labels"

    def __init__(
        self, root: str | os.PathLike, train: bool = True, transform: Callable | None = None, target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        if download:
            self.download()
        if not self._check_integrity():
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        if not check_integrity(self.path(self.meta["filename"]), self.meta["md5"]):
            raise RuntimeError("Dataset metadata file not found or corrupted. You can use download=True to download it")
        batches = [read_pickle(self.path(name)) for name, _ in (self.train_list if train else self.test_list)]
        rows = np.concatenate([batch["data"].array for batch in batches])
        self.data = rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        self.targets = [label for batch in batches for label in batch[self.labels]]
        self.classes = read_pickle(self.path(self.meta["filename"]))[self.meta["key"]]
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}

    def path(self, name: str) -> str:
        return os.path.join(self.root, self.base_folder, name)  # type: ignore[arg-type]

    def _check_integrity(self) -> bool:
        return all(check_integrity(self.path(name), md5) for name, md5 in self.train_list + self.test_list)

    def download(self) -> None:
        """Fetch and unpack the archive, unless its files are there."""
        if not self._check_integrity():
            download_and_extract_archive(self.url, self.root, filename=self.filename, md5=self.tgz_md5)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        from chainrule.vision.transforms.functional import pictures

        return self.transformed(pictures().from_array(self.data[index], "RGB"), self.targets[index])

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


class CIFAR100(CIFAR10):
    """A hundred classes: 50,000 pictures to train on, 10,000 to test on; arguments and attributes as of `CIFAR10`."""

    base_folder = "cifar-100-python"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    filename = "cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    train_list = [["train", "16019d7e3df5f24257cddd939b257f8d"]]
    test_list = [["test", "f0ef6b0ae62326f3e7ffdfab6717acfc"]]
    meta = {"filename": "meta", "key": "fine_label_names", "md5": "7973b15100ade9c7d40fb424638fde48"}
    labels = "fine_labels"


# The batches are dictionaries with an array of bytes, which Python 2 pickled. Stand-ins of ours take the place of NumPy's functions.


class Bytes:
    """An array of bytes as a pickle describes it."""

    array: np.ndarray

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, DType) or dtype.name not in ("u1", "|u1", "B", "uint8") or not isinstance(raw, (str, bytes)):
            raise ValueError("a batch holds an array of bytes and nothing else")
        body = raw.encode("latin1") if isinstance(raw, str) else raw
        self.array = np.frombuffer(body, np.uint8).reshape(shape, order="F" if fortran else "C")


class DType:
    """A type of numbers as a pickle describes it."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name = name

    def __setstate__(self, state: Any) -> None:
        """Its byte order says nothing of bytes."""


STAND_INS: dict[str, Any] = {
    "numpy.dtype": DType,
    "numpy.ndarray": Bytes,
    "numpy.core.multiarray._reconstruct": lambda *_: Bytes(),
    "numpy._core.multiarray._reconstruct": lambda *_: Bytes(),
}


class Reader(Machine):
    """Reads plain data and the stand-ins, whose state it may set."""

    def build(self, instance: Any, state: Any) -> Any:
        if not isinstance(instance, (Bytes, DType)):
            return super().build(instance, state)
        instance.__setstate__(state)
        return instance


def read_pickle(path: str | os.PathLike) -> dict[str, Any]:
    """The dictionary in a batch; UnpicklingError for one that holds more than arrays of bytes and plain data."""
    with open(path, "rb") as file:
        return Reader(names=STAND_INS.get, persistent=lambda key: None).read(file)
