"""Data sets of pictures with torchvision's names, and `Digits`, which come with the package.

Index one for (picture, label), or take `.data` and `.targets`; pictures need the extra "vision".
"""

from chainrule.vision.datasets.base import StandardTransform, VisionDataset
from chainrule.vision.datasets.cifar import CIFAR10, CIFAR100
from chainrule.vision.datasets.digits import Digits
from chainrule.vision.datasets.fake import FakeData
from chainrule.vision.datasets.folder import DatasetFolder, ImageFolder
from chainrule.vision.datasets.mnist import KMNIST, MNIST, FashionMNIST

__all__ = [
    "CIFAR10", "CIFAR100", "DatasetFolder", "Digits", "FakeData", "FashionMNIST", "ImageFolder", "KMNIST", "MNIST", "StandardTransform",
    "VisionDataset",
]  # fmt: skip
