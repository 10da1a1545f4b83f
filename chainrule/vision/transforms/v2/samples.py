"""Whole samples, `(picture, label, ...)` in any nesting: which of their parts a transform changes, and how `transforms` learns to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule import functions, random
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor
from chainrule.utils._pytree import tree_flatten, tree_unflatten
from chainrule.vision.transforms.functional import is_picture

__all__ = ["Compose", "Identity", "Lambda", "RandomApply", "RandomChoice", "RandomOrder", "ToPureTensor", "Transform", "of_samples"]


def bare(inputs: tuple) -> Any:
    """What a transform was called with: one sample, or its parts."""
    return inputs if len(inputs) > 1 else inputs[0]


def chosen(parts: list) -> list[int]:
    """The places of Pillow's pictures; if there are none, of the first tensor, which is the picture."""
    found = [i for i, part in enumerate(parts) if is_picture(part)]
    return found or [i for i, part in enumerate(parts) if isinstance(part, Tensor)][:1]


class Transform(Module):
    """A transform of one's own: `make_params` draws once for a sample, `transform` changes each of its pictures alike."""

    def check_inputs(self, flat_inputs: list) -> None:
        """Raise for samples that cannot be transformed."""

    def make_params(self, flat_inputs: list) -> dict[str, Any]:
        """What is drawn for a sample, given its pictures."""
        return {}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """One picture changed."""
        raise NotImplementedError

    def forward(self, *inputs: Any) -> Any:
        parts, spec = tree_flatten(bare(inputs))
        self.check_inputs(parts)
        places = self.places(parts)
        params = self.make_params([parts[i] for i in places])
        for i in places:
            parts[i] = self.transform(parts[i], params)
        return tree_unflatten(parts, spec)

    def places(self, parts: list) -> list[int]:
        return chosen(parts)


def of_samples(kind: type, module: str) -> type:
    """A transform of `transforms` for samples: what it draws for one picture of a sample it draws for all of them."""

    def forward(self: Any, *inputs: Any) -> Any:
        parts, spec = tree_flatten(bare(inputs))
        places = [i for i, part in enumerate(parts) if hasattr(part, "__array__")][:1] if wide else chosen(parts)
        before = random.get_rng_state() if len(places) > 1 else None
        for n, i in enumerate(places):
            if n and before is not None:
                random.set_rng_state(before)
            parts[i] = change(self, parts[i])
        return tree_unflatten(parts, spec)

    wide = kind.__name__ in ("ToTensor", "ToPILImage")  # which arrays may be given to, too
    way = "forward" if issubclass(kind, Module) else "__call__"
    change: Callable = getattr(kind, way)
    return type(
        kind.__name__, (kind,), {way: forward, "__module__": module, "__doc__": (kind.__doc__ or "").partition("Example:")[0].rstrip()}
    )


class Identity(Transform):
    """Samples as they are."""

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return inpt


class Lambda(Transform):
    """`lambd` of each part of a sample, or of those that are of the given types; of tensors only of its picture.

    Example: `Lambda(lambda x: x + 1)(ones(1), 5)` is `(tensor([2.]), 6)`.
    """

    def __init__(self, lambd: Callable[[Any], Any], *types: type) -> None:
        super().__init__()
        self.lambd, self.types = lambd, types or (object,)

    def places(self, parts: list) -> list[int]:
        pictures = chosen(parts)
        return [i for i, part in enumerate(parts) if isinstance(part, self.types) and (i in pictures or not isinstance(part, Tensor))]

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self.lambd(inpt)

    def extra_repr(self) -> str:
        name = getattr(self.lambd, "__name__", "")
        return f"{name}{', ' if name else ''}types={[kind.__name__ for kind in self.types]}"


class ToPureTensor(Identity):
    """Samples as they are: every tensor here is a plain one."""


class Several(Module):
    """Transforms of which some are made."""

    def __init__(self, transforms: Any) -> None:
        super().__init__()
        self.transforms = transforms

    def order(self) -> list[int]:
        """Which are made, one after the other."""
        return list(range(len(self.transforms)))

    def forward(self, *inputs: Any) -> Any:
        sample = bare(inputs)
        for i in self.order():
            sample = self.transforms[i](*(sample if isinstance(sample, tuple) and len(inputs) > 1 else (sample,)))
        return sample

    def extra_repr(self) -> str:
        return "\n".join(f"    {t}" for t in self.transforms)


class Compose(Several):
    """One transform after the other; ValueError for an empty list.

    Example:
        >>> image, label = Compose([Resize(8), RandomHorizontalFlip()])(rand(3, 16, 16), 5)
        >>> image.shape, label
        (torch.Size([3, 8, 8]), 5)
    """

    def __init__(self, transforms: Any) -> None:
        if not isinstance(transforms, (list, tuple)):
            raise TypeError("Argument transforms should be a sequence of callables")
        if not transforms:
            raise ValueError("Pass at least one transform")
        super().__init__(transforms)


class RandomApply(Several):
    """All of the transforms with probability `p`, else none."""

    def __init__(self, transforms: Any, p: float = 0.5) -> None:
        if not 0.0 <= p <= 1.0:
            raise ValueError("`p` should be a floating point value in the interval [0.0, 1.0].")
        super().__init__(transforms)
        self.p = p

    def order(self) -> list[int]:
        return super().order() if functions.rand(1) < self.p else []


class RandomChoice(Several):
    """One of the transforms, by the probabilities `p` or each as likely."""

    def __init__(self, transforms: Any, p: list[float] | None = None) -> None:
        p = [1.0] * len(transforms) if p is None else p
        if len(p) != len(transforms):
            raise ValueError(f"Length of p doesn't match the number of transforms: {len(p)} != {len(transforms)}")
        super().__init__(transforms)
        self.p = [share / sum(p) for share in p]

    def order(self) -> list[int]:
        return [int(functions.multinomial(functions.tensor(self.p), 1))]


class RandomOrder(Several):
    """All of the transforms, in an order that is drawn."""

    def order(self) -> list[int]:
        return functions.randperm(len(self.transforms)).tolist()
