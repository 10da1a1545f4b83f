"""What `transforms.v2` has and `transforms` has not: types of tensors, noise, mixtures of pictures and of their labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from chainrule import functions
from chainrule._core.dtypes import dtype as Dtype
from chainrule.nn.functional import one_hot
from chainrule.tensor import Tensor
from chainrule.utils._pytree import tree_flatten, tree_unflatten
from chainrule.vision.transforms.functional import is_picture
from chainrule.vision.transforms.v2 import functional as F
from chainrule.vision.transforms.v2.samples import Transform, bare

__all__ = ["CutMix", "GaussianNoise", "MixUp", "RandomChannelPermutation", "ToDtype", "ToImage"]


class ToImage(Transform):
    """`functional.to_image`: pictures and arrays as tensors (C, H, W) of their own numbers."""

    def places(self, parts: list) -> list[int]:
        return [i for i, part in enumerate(parts) if is_picture(part) or (hasattr(part, "__array__") and not isinstance(part, Tensor))]

    def transform(self, inpt: Any, params: dict[str, Any]) -> Tensor:
        return F.to_image(inpt)


class ToDtype(Transform):
    """`functional.to_dtype` of a sample's picture, once it is a tensor."""

    def __init__(self, dtype: Dtype | dict, scale: bool = False) -> None:
        super().__init__()
        if not isinstance(dtype, (dict, Dtype)):
            raise ValueError(f"dtype must be a dict or a torch.dtype, got {type(dtype)} instead")
        self.dtype, self.scale = dtype, scale

    def places(self, parts: list) -> list[int]:
        return [i for i in super().places(parts) if isinstance(parts[i], Tensor)]

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        dtype = self.dtype.get(Tensor, self.dtype.get("others")) if isinstance(self.dtype, dict) else self.dtype
        return inpt if dtype is None else F.to_dtype(inpt, dtype, self.scale)

    def extra_repr(self) -> str:
        return f"scale={self.scale}"


class GaussianNoise(Transform):
    """`functional.gaussian_noise`."""

    def __init__(self, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> None:
        super().__init__()
        self.mean, self.sigma, self.clip = mean, sigma, clip

    def transform(self, inpt: Any, params: dict[str, Any]) -> Tensor:
        return F.gaussian_noise(inpt, self.mean, self.sigma, self.clip)

    def extra_repr(self) -> str:
        return f"mean={self.mean}, sigma={self.sigma}, clip={self.clip}"


class RandomChannelPermutation(Transform):
    """The channels in an order that is drawn."""

    def make_params(self, flat_inputs: list) -> dict[str, Any]:
        return {"permutation": functions.randperm(F.get_num_channels(flat_inputs[0])).tolist()}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return F.permute_channels(inpt, params["permutation"])


class Mixing(Transform):
    """Each picture of a batch (N, C, H, W) mixed with the one before it, and so their labels: (N,) or shares (N, num_classes).

    Args:
        alpha: shares are drawn from Beta(alpha, alpha)
        num_classes: needed for labels (N,)
        labels_getter: finds the labels in a sample; "default" takes the second part, or in a dict what is called labels
    """

    def __init__(self, *, alpha: float = 1.0, num_classes: int | None = None, labels_getter: Callable | str | None = "default") -> None:
        from chainrule.distributions import Beta

        super().__init__()
        self.alpha, self.num_classes = float(alpha), num_classes
        self._shares = Beta(functions.tensor([alpha]), functions.tensor([alpha]))
        if labels_getter is not None and labels_getter != "default" and not callable(labels_getter):
            raise ValueError(f"labels_getter should either be 'default', a callable, or None, but got {labels_getter}.")
        self._labels_of = default_labels if labels_getter == "default" else labels_getter or (lambda sample: None)

    def forward(self, *inputs: Any) -> Any:
        sample = bare(inputs)
        parts, spec = tree_flatten(sample)
        if any(is_picture(part) for part in parts):
            raise ValueError(f"{type(self).__name__}() does not support PIL images, bounding boxes, keypoints and masks.")
        labels = self._labels_of(sample)  # type: ignore[operator]
        self.need_labels(labels)
        places = self.places(parts)
        for i in places:
            self.need_batch(parts[i], len(labels))
        params = self.make_params([parts[i] for i in places])
        for i, part in enumerate(parts):
            if part is labels:
                parts[i] = self.mixed(one_hot(part, self.num_classes) if part.ndim == 1 else part, params["kept"])  # type: ignore[arg-type]
            elif i in places:
                parts[i] = self.transform(part, params)
        return tree_unflatten(parts, spec)

    def need_labels(self, labels: Any) -> None:
        if not isinstance(labels, Tensor):
            raise ValueError(f"The labels must be a tensor, but got {type(labels)} instead.")
        if labels.ndim not in (1, 2):
            raise ValueError(
                "labels should be index based with shape (batch_size,) or probability based with shape (batch_size, num_classes), "
                f"but got a tensor of shape {labels.shape} instead."
            )
        if labels.ndim == 2 and self.num_classes not in (None, labels.shape[-1]):
            raise ValueError(
                "When passing 2D labels, the number of elements in last dimension must match num_classes: "
                f"{labels.shape[-1]} != {self.num_classes}. You can Leave num_classes to None."
            )
        if labels.ndim == 1 and self.num_classes is None:
            raise ValueError("num_classes must be passed if the labels are index-based (1D)")

    def need_batch(self, pictures: Tensor, batch: int) -> None:
        if pictures.ndim != 4:
            raise ValueError(f"Expected a batched input with 4 dims, but got {pictures.ndim} dimensions instead.")
        if len(pictures) != batch:
            raise ValueError(
                f"The batch size of the image or video does not match the batch size of the labels: {len(pictures)} != {batch}."
            )

    def share(self) -> float:
        return float(self._shares.sample(()))

    def mixed(self, x: Tensor, kept: float) -> Tensor:
        x = x if x.is_floating_point() else x.float()
        return x.roll(1, 0).mul_(1.0 - kept).add_(x.mul(kept))

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}" + ("" if self.num_classes is None else f", num_classes={self.num_classes}")


class MixUp(Mixing):
    __doc__ = f"""Mixtures of all pixels (Zhang et al. 2018). {Mixing.__doc__}
    Example: `MixUp(num_classes=3)(rand(2, 3, 8, 8), tensor([0, 2]))[1].shape` is `torch.Size([2, 3])`.
    """

    def make_params(self, flat_inputs: list) -> dict[str, Any]:
        return {"kept": self.share()}

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        return self.mixed(inpt, params["kept"])


class CutMix(Mixing):
    __doc__ = f"""A rectangle of the other picture (Yun et al. 2019). {Mixing.__doc__}
    Example: `CutMix(num_classes=3)(rand(2, 3, 8, 8), tensor([0, 2]))[1].shape` is `torch.Size([2, 3])`.
    """

    def make_params(self, flat_inputs: list) -> dict[str, Any]:
        side = 0.5 * math.sqrt(1.0 - self.share())
        height, width = flat_inputs[0].shape[-2:]
        x, y = functions.randint(width, (1,)).item(), functions.randint(height, (1,)).item()
        half_w, half_h = int(side * width), int(side * height)
        left, right, top, bottom = max(x - half_w, 0), min(x + half_w, width), max(y - half_h, 0), min(y + half_h, height)
        return {"box": (left, top, right, bottom), "kept": 1.0 - (right - left) * (bottom - top) / (width * height)}

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        left, top, right, bottom = params["box"]
        pasted = inpt.clone()
        pasted[..., top:bottom, left:right] = inpt.roll(1, 0)[..., top:bottom, left:right]
        return pasted


def default_labels(sample: Any) -> Any:
    """The second part of a sample; of a dict what is called labels, or something like it."""
    if isinstance(sample, (tuple, list)):
        sample = sample[1]
    if isinstance(sample, Tensor):
        return sample
    if not isinstance(sample, Mapping):
        raise ValueError(
            "When using the default labels_getter, the input passed to forward must be a dictionary or a two-tuple whose second item is a "
            f"dictionary or a tensor, but got {sample} instead."
        )
    names = [key for key in sample if str(key).lower() == "labels"] or [key for key in sample if "label" in str(key).lower()]
    if not names:
        raise ValueError(
            "Could not infer where the labels are in the sample. Try passing a callable as the labels_getter parameter?"
            "If there are no labels in the sample by design, pass labels_getter=None."
        )
    return sample[names[0]]
