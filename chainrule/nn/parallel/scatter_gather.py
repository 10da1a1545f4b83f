"""Cutting nested containers of tensors into a part for each device, and joining the results; all devices here are the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.functions import cat, chunk, stack
from chainrule.tensor import Tensor

__all__ = ["gather", "scatter", "scatter_kwargs"]


def scatter(inputs: Any, target_gpus: Sequence, dim: int = 0) -> list:
    """A part of `inputs` for each device: tensors are cut along `dim`, containers are cut inside, all else is shared.

    Example: `scatter(arange(4), [0, 1])` is `[tensor([0, 1]), tensor([2, 3])]`.
    """
    n = len(target_gpus)
    if isinstance(inputs, Tensor):
        return list(chunk(inputs, n, dim))
    if isinstance(inputs, (tuple, list, dict)) and inputs:
        items = inputs.items() if isinstance(inputs, dict) else inputs
        return [rebuilt(inputs, parts) for parts in zip(*[scatter(item, target_gpus, dim) for item in items], strict=False)]
    return [inputs] * n


def rebuilt(container: Any, parts: Any) -> Any:
    """The parts in a container of the same type."""
    return type(container)(*parts) if hasattr(container, "_fields") else type(container)(parts)


def scatter_kwargs(inputs: tuple, kwargs: dict[str, Any] | None, target_gpus: Sequence, dim: int = 0) -> tuple[tuple, tuple]:
    """Arguments and keyword arguments for each device, as many of the ones as of the others."""
    parts = scatter(inputs, target_gpus, dim) if inputs else []
    named = scatter(kwargs, target_gpus, dim) if kwargs else []
    count = max(len(parts), len(named))
    return (*parts, *[()] * (count - len(parts))), (*named, *[{} for _ in range(count - len(named))])


def gather(outputs: Sequence, target_device: Any, dim: int = 0) -> Any:
    """The results of all devices joined: tensors along `dim`, numbers (0-dim tensors) to a vector, containers inside."""
    first = outputs[0]
    if isinstance(first, Tensor):
        return cat(list(outputs), dim) if first.dim() else stack(list(outputs))
    if isinstance(first, dict):
        return type(first)((key, gather([out[key] for out in outputs], target_device, dim)) for key in first)
    if isinstance(first, (tuple, list)):
        return rebuilt(first, [gather(parts, target_device, dim) for parts in zip(*outputs, strict=True)])
    return first
