"""Pruning: some values of a parameter are held at zero by a mask.

The parameter moves to `weight_orig`, the mask is the buffer `weight_mask`, and a hook sets `weight` to their product before each forward.
"""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from chainrule._core.types import contiguous_format
from chainrule.functions import kthvalue, norm, ones_like, rand, rand_like, topk, zeros_like
from chainrule.nn.utils.convert_parameters import parameters_to_vector
from chainrule.tensor import Tensor

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "PruningContainer", "RandomStructured",
    "RandomUnstructured", "custom_from_mask", "global_unstructured", "identity", "is_pruned", "l1_unstructured", "ln_structured",
    "random_structured", "random_unstructured", "remove",
]  # fmt: skip


class BasePruningMethod(ABC):
    """A hook that masks one parameter of a module. Subclasses say with `compute_mask` which values go.

    PRUNING_TYPE is "unstructured" (single values), "structured" (slices along `dim`) or "global" (values wherever they are); it tells
    what a second pruning of the same parameter looks at: what the first left.
    """

    _tensor_name: str
    PRUNING_TYPE: str

    def __call__(self, module: Any, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """A mask of t's shape: 1 keeps, 0 prunes; what `default_mask` prunes stays pruned."""

    def apply_mask(self, module: Any) -> Tensor:
        """The pruned parameter."""
        orig = getattr(module, f"{self._tensor_name}_orig")
        return getattr(module, f"{self._tensor_name}_mask").to(dtype=orig.dtype) * orig

    @classmethod
    def apply(cls, module: Any, name: str, *args: Any, importance_scores: Tensor | None = None, **kwargs: Any) -> BasePruningMethod:
        """Prune the parameter `name` of a module by `cls(*args, **kwargs)`, after what pruned it before; gives the hook."""
        before = hooks(module, name)
        if len(before) > 1:
            raise AssertionError(
                f"Avoid adding multiple pruning hooks to the same tensor {name} of module {module}. Use a PruningContainer."
            )
        for key in before:
            del module._forward_pre_hooks[key]
        method = joined(next(iter(before.values()), None), cls(*args, **kwargs), name)
        orig = getattr(module, name)
        scores = orig if importance_scores is None else importance_scores
        if scores.shape != orig.shape:
            raise AssertionError(
                f"importance_scores should have the same shape as parameter {name} of {module}, got {scores.shape} vs {orig.shape}"
            )
        if before:
            default_mask = getattr(module, f"{name}_mask").detach().clone(memory_format=contiguous_format)
        else:
            module.register_parameter(f"{name}_orig", orig)
            del module._parameters[name]
            default_mask = ones_like(orig)
        try:
            module.register_buffer(f"{name}_mask", method.compute_mask(scores, default_mask=default_mask))
            setattr(module, name, method.apply_mask(module))
            module.register_forward_pre_hook(method)
        except Exception:
            if not before:
                module.register_parameter(name, module._parameters.pop(f"{name}_orig"))
            raise
        return method

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None) -> Tensor:
        """t pruned, without a module."""
        scores = t if importance_scores is None else importance_scores
        if scores.shape != t.shape:
            raise AssertionError(f"importance_scores should have the same shape as tensor t, got {scores.shape} vs {t.shape}")
        return t * self.compute_mask(scores, default_mask=ones_like(t) if default_mask is None else default_mask)

    def remove(self, module: Any) -> None:
        """Make the pruned values the parameter's own; what is pruned stays zero, but nothing holds it there."""
        name, weight = self._tensor_name, self.apply_mask(module)
        if hasattr(module, name):
            delattr(module, name)
        orig = module._parameters.pop(f"{name}_orig")
        del module._buffers[f"{name}_mask"]
        orig.data = weight.data
        setattr(module, name, orig)


def hooks(module: Any, name: str) -> dict[int, BasePruningMethod]:
    """The hooks that prune a parameter, by their keys."""
    return {k: h for k, h in module._forward_pre_hooks.items() if isinstance(h, BasePruningMethod) and h._tensor_name == name}


def joined(before: BasePruningMethod | None, method: BasePruningMethod, name: str) -> BasePruningMethod:
    """A method that prunes after another one."""
    method._tensor_name = name
    if before is None:
        return method
    container = before if isinstance(before, PruningContainer) else PruningContainer(before)
    container.add_pruning_method(method)
    return container


class PruningContainer(BasePruningMethod):
    """Methods that prune one parameter, one after the other: each prunes among what those before it left."""

    def __init__(self, *args: BasePruningMethod) -> None:
        self._pruning_methods: tuple = ()
        if len(args) == 1:
            self._tensor_name = args[0]._tensor_name
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod | None) -> None:
        """Add a method for the same parameter."""
        if not isinstance(method, BasePruningMethod) and method is not None:
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method is not None and self._tensor_name != method._tensor_name:
            raise ValueError(
                f"Can only add pruning methods acting on the parameter named '{self._tensor_name}' to PruningContainer {self}. "
                f"Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, idx: Any) -> Any:
        return self._pruning_methods[idx]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask so far, and of what it keeps that which the last method keeps."""
        method = self._pruning_methods[-1]
        where = self.remaining(method, t, default_mask)
        mask: Any = default_mask.to(dtype=t.dtype).clone()
        mask[where] = method.compute_mask(t[where], default_mask=default_mask[where]).to(dtype=mask.dtype)
        return mask

    @staticmethod
    def remaining(method: Any, t: Tensor, mask: Any) -> Any:
        """An index of what a method may still prune."""
        if method.PRUNING_TYPE == "unstructured":
            return mask == 1
        if method.PRUNING_TYPE == "global":
            return (slice(None),) * t.dim()
        if method.PRUNING_TYPE != "structured":
            raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
        if not hasattr(method, "dim"):
            raise AttributeError('Pruning methods of PRUNING_TYPE "structured" need to have the attribute `dim` defined.')
        dim = method.dim + t.dim() if method.dim < 0 else method.dim
        if dim < 0:
            raise IndexError(f"Index is out of bounds for tensor with dimensions {t.dim()}")
        return along(t, dim, mask.sum(dim=[d for d in range(t.dim()) if d != dim]) != 0)


def along(t: Tensor, dim: int, index: Any) -> tuple:
    """An index that picks slices of t along a dimension."""
    picked: list = [slice(None)] * t.dim()
    picked[dim] = index
    return tuple(picked)


class Amount:
    """How much to prune: an int, or a float for a share of what there is."""

    def __init__(self, amount: Any) -> None:
        if not isinstance(amount, numbers.Real):
            raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
        if amount < 0 or (not isinstance(amount, numbers.Integral) and float(amount) > 1.0):
            raise ValueError(f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer")
        self.amount = amount

    def of(self, size: int) -> int:
        """How many of `size` to prune; raises ValueError for more than there are."""
        count = int(self.amount) if isinstance(self.amount, numbers.Integral) else round(float(self.amount) * size)
        if count > size:
            raise ValueError(f"amount={count} should be smaller than the number of parameters to prune={size}")
        return count

    def slices(self, t: Tensor, dim: int) -> int:
        """How many slices of t along a dimension to prune; raises ValueError for a vector, IndexError for a dimension t lacks."""
        if t.dim() <= 1:
            raise ValueError(
                "Structured pruning can only be applied to multidimensional tensors. "
                f"Found tensor of shape {t.shape} with {t.dim()} dims"
            )
        if dim >= t.dim():
            raise IndexError(f"Invalid index {dim} for tensor of size {t.shape}")
        return self.of(t.shape[dim])


class Identity(BasePruningMethod):
    """Prunes nothing, but sets everything up for pruning."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask


class RandomUnstructured(BasePruningMethod, Amount):
    """Prunes `amount` values at random."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        count, mask = self.of(t.numel()), default_mask.clone(memory_format=contiguous_format)
        if count:
            mask.view(-1)[topk(rand_like(t).view(-1), k=count).indices] = 0
        return mask


class L1Unstructured(BasePruningMethod, Amount):
    """Prunes the `amount` values nearest to zero."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        count, mask = self.of(t.numel()), default_mask.clone(memory_format=contiguous_format)
        if count:
            mask.view(-1)[topk(t.abs().view(-1), k=count, largest=False).indices] = 0
        return mask


class Structured(BasePruningMethod, Amount):
    """Prunes whole slices along a dimension."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: Any, dim: int = -1) -> None:
        Amount.__init__(self, amount)
        self.dim = dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        count = self.slices(t, self.dim)
        if not count:
            return default_mask
        mask: Any = zeros_like(t)
        mask[along(t, self.dim, self.kept(t, count))] = 1
        mask *= default_mask.to(dtype=mask.dtype)
        return mask

    @abstractmethod
    def kept(self, t: Tensor, count: int) -> Tensor:
        """An index of the slices that stay when `count` go."""


class RandomStructured(Structured):
    """Prunes `amount` slices along `dim` at random."""

    def kept(self, t: Tensor, count: int) -> Tensor:
        draw = rand(t.shape[self.dim])
        return draw > kthvalue(draw, k=count).values


class LnStructured(Structured):
    """Prunes the `amount` slices along `dim` with the smallest n-norm."""

    def __init__(self, amount: Any, n: Any, dim: int = -1) -> None:
        super().__init__(amount, dim)
        self.n = n

    def kept(self, t: Tensor, count: int) -> Tensor:
        own = self.dim % t.dim()
        norms = norm(t, p=self.n, dim=[d for d in range(t.dim()) if d != own])
        return topk(norms, k=t.shape[self.dim] - count, largest=True).indices


class CustomFromMask(BasePruningMethod):
    """Prunes what a given mask says."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if default_mask.shape != self.mask.shape:
            raise AssertionError(f"default_mask shape {default_mask.shape} must match self.mask shape {self.mask.shape}")
        return default_mask * self.mask.to(dtype=default_mask.dtype)


# What one calls


def identity(module: Any, name: str) -> Any:
    """Set a parameter up for pruning without pruning anything; returns the module."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Any, name: str, amount: Any) -> Any:
    """Prune `amount` (a number, or a share as a float) random values of a parameter; returns the module.

    Example:
        >>> m = random_unstructured(Linear(2, 3), "weight", amount=1)
        >>> int((m.weight_mask == 0).sum())
        1
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: Any, name: str, amount: Any, importance_scores: Tensor | None = None) -> Any:
    """Prune the `amount` values of a parameter nearest to zero (or lowest by the scores); returns the module.

    Example:
        >>> m = l1_unstructured(Linear(2, 3), "weight", amount=0.5)
        >>> sorted(m.state_dict())
        ['bias', 'weight_mask', 'weight_orig']
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: Any, name: str, amount: Any, dim: int) -> Any:
    """Prune `amount` random slices of a parameter along `dim`; returns the module."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(module: Any, name: str, amount: Any, n: Any, dim: int, importance_scores: Tensor | None = None) -> Any:
    """Prune the `amount` slices of a parameter along `dim` with the smallest n-norm; returns the module."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def global_unstructured(parameters: Any, pruning_method: Any, importance_scores: dict | None = None, **kwargs: Any) -> None:
    """Prune parameters, given as (module, name) pairs, as if they were one: `pruning_method(**kwargs)` chooses among all values.

    Raises TypeError for a method that is not unstructured.
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    if importance_scores is not None and not isinstance(importance_scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    scores = importance_scores or {}
    pairs = list(parameters)
    values = [getattr(module, name) for module, name in pairs]
    masks = [getattr(module, f"{name}_mask", ones_like(value)) for (module, name), value in zip(pairs, values)]
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. '
            f"Found method {pruning_method} of type {method.PRUNING_TYPE}"
        )
    method._tensor_name = "temp"
    together = parameters_to_vector([scores.get(pair, value) for pair, value in zip(pairs, values)])
    mask = PruningContainer(method).compute_mask(together, parameters_to_vector(masks))
    for (module, name), value, own in zip(pairs, values, mask.split([v.numel() for v in values])):
        custom_from_mask(module, name, mask=own.view_as(value))


def custom_from_mask(module: Any, name: str, mask: Tensor) -> Any:
    """Prune the values of a parameter where `mask` is 0; returns the module."""
    CustomFromMask.apply(module, name, mask)
    return module


def remove(module: Any, name: str) -> Any:
    """Make pruning permanent: the pruned values become the parameter; returns the module. Raises ValueError if it is not pruned."""
    for key, hook in hooks(module, name).items():
        hook.remove(module)
        del module._forward_pre_hooks[key]
        return module
    raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")


def is_pruned(module: Any) -> bool:
    """Whether a parameter of a module, or of one below it, is pruned."""
    return any([isinstance(hook, BasePruningMethod) for _, m in module.named_modules() for hook in m._forward_pre_hooks.values()])
