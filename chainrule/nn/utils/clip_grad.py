"""Gradients held within bounds: `clip_grad_norm_`, `clip_grad_value_`."""

from __future__ import annotations

import types
import warnings
from collections.abc import Iterable
from typing import Any

from chainrule.autograd.grad_mode import no_grad
from chainrule.functions import clamp, stack, tensor
from chainrule.tensor import Tensor

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]

NON_FINITE = (
    "The total norm of order {} for gradients from `parameters` is non-finite, so it cannot be clipped. To disable this error and scale "
    "the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
)
Tensors = Tensor | Iterable[Tensor]


def as_list(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


@no_grad()
def get_total_norm(tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None) -> Tensor:
    """The norm of all tensors' elements together, as if they were one vector.

    Example: `get_total_norm([tensor([3.]), tensor([4.])])` is `tensor(5.)`.
    """
    from chainrule.linalg import vector_norm

    tensors, norm_type = as_list(tensors), float(norm_type)
    if not tensors:
        return tensor(0.0)
    total = vector_norm(stack([vector_norm(t, norm_type) for t in tensors]), norm_type)
    if error_if_nonfinite and (total.isnan() or total.isinf()):
        raise RuntimeError(NON_FINITE.format(norm_type))
    return total


@no_grad()
def clip_grads_with_norm_(parameters: Tensors, max_norm: float, total_norm: Tensor, foreach: bool | None = None) -> None:
    """Scale the parameters' gradients, in place, by max_norm / total_norm if that makes them smaller."""
    grads = [p.grad for p in as_list(parameters) if p.grad is not None]
    if not grads:
        return
    factor = clamp(float(max_norm) / (total_norm + 1e-6), max=1.0)
    for g in grads:
        g.mul_(factor)


@no_grad()
def clip_grad_norm_(
    parameters: Tensors, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """Scale the parameters' gradients, in place, so that their norm together is at most `max_norm`; returns the norm before."""
    generator = isinstance(parameters, types.GeneratorType)
    parameters = as_list(parameters)
    if generator and not parameters:
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=3)
    total = get_total_norm([p.grad for p in parameters if p.grad is not None], norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(parameters, max_norm, total, foreach)
    return total


def clip_grad_norm(*args: Any, **kwargs: Any) -> Tensor:
    """Deprecated: use `clip_grad_norm_`."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of `torch.nn.utils.clip_grad_norm_`.",
        category=FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(*args, **kwargs)


@no_grad()
def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Hold every element of the parameters' gradients between -clip_value and clip_value, in place."""
    bound = float(clip_value)
    for p in as_list(parameters):
        if p.grad is not None:
            p.grad.clamp_(min=-bound, max=bound)
