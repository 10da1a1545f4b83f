"""Pictures in a folder for each class: `root/cat/1.png`, `root/dog/2.png`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from chainrule.vision.datasets.base import VisionDataset

__all__ = ["DatasetFolder", "ImageFolder"]

Path = str | os.PathLike[str]
IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def has_file_allowed_extension(filename: str, extensions: str | tuple[str, ...]) -> bool:
    """Whether a name ends so, in capitals or not."""
    return filename.lower().endswith(extensions if isinstance(extensions, str) else tuple(extensions))


def is_image_file(filename: str) -> bool:
    """Whether a name ends as those of pictures do."""
    return has_file_allowed_extension(filename, IMG_EXTENSIONS)


def find_classes(directory: Path) -> tuple[list[str], dict[str, int]]:
    """The folders in a folder, sorted, and their numbers; FileNotFoundError if there are none."""
    classes = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
    if not classes:
        raise FileNotFoundError(f"Couldn't find any class folder in {directory}.")
    return classes, {name: i for i, name in enumerate(classes)}


def make_dataset(
    directory: Path, class_to_idx: dict[str, int] | None = None, extensions: str | tuple[str, ...] | None = None,
    is_valid_file: Callable[[str], bool] | None = None, allow_empty: bool = False,
) -> list[tuple[str, int]]:  # fmt: skip
    """(path, class) for each file with one of the `extensions`, or for which `is_valid_file` is true, sorted, from folders within too.

    Raises ValueError unless one of those two is given, FileNotFoundError for classes without files unless `allow_empty`.
    """
    folder = os.path.expanduser(directory)
    if class_to_idx is None:
        _, class_to_idx = find_classes(folder)
    elif not class_to_idx:
        raise ValueError("'class_to_index' must have at least one entry to collect any samples.")
    if (extensions is None) == (is_valid_file is None):
        raise ValueError("Both extensions and is_valid_file cannot be None or not None at the same time")
    valid = is_valid_file or (lambda path: has_file_allowed_extension(path, extensions))  # type: ignore[arg-type]
    samples, empty = [], []
    for name in sorted(class_to_idx):
        before = len(samples)
        for root, _, files in sorted(os.walk(os.path.join(folder, name), followlinks=True)):
            paths = (os.path.join(root, file) for file in sorted(files))
            samples += [(path, class_to_idx[name]) for path in paths if valid(path)]
        empty += [name] if len(samples) == before else []
    if empty and not allow_empty:
        message = f"Found no valid file for the classes {', '.join(empty)}. "
        if extensions is not None:
            message += f"Supported extensions are: {extensions if isinstance(extensions, str) else ', '.join(extensions)}"
        raise FileNotFoundError(message)
    return samples


class DatasetFolder(VisionDataset):
    """Files of any kind in a folder for each class, as (what `loader` makes of the path, class).

    Args:
        root: the folder of folders
        loader: path -> sample
        extensions, is_valid_file: which files, as of `make_dataset`
        transform, target_transform: called on each sample, each class
        allow_empty: whether a class may have no files

    Attributes:
        classes, class_to_idx: names by number, numbers by name
        samples: (path, class) of each
        targets: class of each
    """

    def __init__(
        self, root: Path, loader: Callable[[str], Any], extensions: tuple[str, ...] | None = None, transform: Callable | None = None,
        target_transform: Callable | None = None, is_valid_file: Callable[[str], bool] | None = None, allow_empty: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader, self.extensions = loader, extensions
        self.classes, self.class_to_idx = self.find_classes(self.root)  # type: ignore[arg-type]
        self.samples = self.make_dataset(self.root, self.class_to_idx, extensions, is_valid_file, allow_empty)  # type: ignore[arg-type]
        self.targets = [target for _, target in self.samples]

    @staticmethod
    def make_dataset(
        directory: Path, class_to_idx: dict[str, int], extensions: tuple[str, ...] | None = None,
        is_valid_file: Callable[[str], bool] | None = None, allow_empty: bool = False,
    ) -> list[tuple[str, int]]:  # fmt: skip
        """As the function of that name; a subclass may find its files elsewhere."""
        if class_to_idx is None:
            raise ValueError("The class_to_idx parameter cannot be None.")
        return make_dataset(directory, class_to_idx, extensions, is_valid_file, allow_empty)

    def find_classes(self, directory: Path) -> tuple[list[str], dict[str, int]]:
        """As the function of that name; a subclass may name its classes otherwise."""
        return find_classes(directory)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        return self.transformed(self.loader(path), target)


def default_loader(path: Path) -> Any:
    """Pillow's picture in a file, in RGB; ImportError, saying what to install, without Pillow."""
    from chainrule.vision.transforms.functional import pictures

    with open(path, "rb") as file:
        return pictures().Image.open(file).convert("RGB")


class ImageFolder(DatasetFolder):
    """Pictures in a folder for each class, in RGB; arguments and attributes as of `DatasetFolder`, `imgs` is `samples`.

    Example:
        >>> train = ImageFolder("pets", transforms.Compose([transforms.Resize((64, 64)), transforms.ToTensor()]))
        >>> train.classes
        ['cat', 'dog']
    """

    def __init__(
        self, root: Path, transform: Callable | None = None, target_transform: Callable | None = None,
        loader: Callable[[str], Any] = default_loader, is_valid_file: Callable[[str], bool] | None = None, allow_empty: bool = False,
    ) -> None:  # fmt: skip
        extensions = IMG_EXTENSIONS if is_valid_file is None else None
        super().__init__(root, loader, extensions, transform, target_transform, is_valid_file, allow_empty)
        self.imgs = self.samples
