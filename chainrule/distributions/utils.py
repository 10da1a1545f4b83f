"""What the families share: broadcasting of parameters, probabilities and their logits, triangles as vectors, lazy properties."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any

import numpy as np

import chainrule as torch
from chainrule.kernels.batched import memory
from chainrule.nn import functional as F
from chainrule.overrides import is_tensor_like
from chainrule.tensor import Tensor

__all__ = [
    "broadcast_all", "clamp_probs", "lazy_property", "logits_to_probs", "probs_to_logits", "tril_matrix_to_vec", "vec_to_tril_matrix",
]  # fmt: skip

euler_constant = 0.57721566490153286060
NUMBERS = (int, float, bool)


def all_true(condition: Tensor) -> bool:
    """Whether all elements are true; inside `vmap`, those of all examples."""
    return bool(np.all(memory(condition._data)))


def broadcast_all(*values: Any) -> tuple:
    """The values as tensors of one shape; numbers take the dtype of the first tensor, or the default one.

    Raises ValueError for what is neither a number nor a tensor. Example: `broadcast_all(0.0, zeros(2))` is two tensors of shape (2,).
    """
    tensors = [is_tensor_like(v) for v in values]
    if not all(t or isinstance(v, NUMBERS) for t, v in zip(tensors, values, strict=True)):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__."
        )
    if not all(tensors):
        dtype = next((v.dtype for v in values if isinstance(v, Tensor)), torch.get_default_dtype())
        values = tuple([v if t else torch.tensor(v, dtype=dtype) for t, v in zip(tensors, values, strict=True)])
    return torch.broadcast_tensors(*values)


def _standard_normal(shape: Sequence[int], dtype: Any, device: Any = None) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=device).normal_()


def _sum_rightmost(value: Tensor, dim: int) -> Tensor:
    """The sum over the last `dim` dimensions."""
    return value.reshape(value.shape[:-dim] + (-1,)).sum(-1) if dim else value


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities from logits: of a Bernoulli each, or of the categories along the last dimension."""
    return torch.sigmoid(logits) if is_binary else F.softmax(logits, dim=-1)


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities that are neither 0 nor 1, so that their logarithms are finite."""
    eps = torch.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """The inverse of `logits_to_probs`."""
    p = clamp_probs(probs)
    return p.log() - (-p).log1p() if is_binary else p.log()


class lazy_property:
    """A property that is computed, with gradients, when it is first read, and kept.

    Example:
        >>> class A:
        ...     @lazy_property
        ...     def b(self): return ones(1)
    """

    def __init__(self, wrapped: Callable) -> None:
        self.wrapped = wrapped
        update_wrapper(self, wrapped)  # type: ignore[arg-type]

    def __get__(self, instance: Any, obj_type: Any = None) -> Any:
        if instance is None:
            return _lazy_property_and_property(self.wrapped)
        with torch.enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


class _lazy_property_and_property(lazy_property, property):
    """What a lazy property is on its class: a property, for documentation tools."""

    def __init__(self, wrapped: Callable) -> None:
        property.__init__(self, wrapped)


def lower_mask(n: int, diag: int) -> Tensor:
    """True on and below the given diagonal of an (n, n) matrix."""
    return torch.ones(n, n, dtype=torch.bool).tril(diag)


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The elements on and below a diagonal of (..., n, n) matrices, row by row. Raises ValueError for a diagonal outside of them.

    Example: `tril_matrix_to_vec(eye(2))` is `tensor([1., 0., 1.])`.
    """
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    return mat[..., lower_mask(n, diag)]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """The inverse of `tril_matrix_to_vec`. Raises ValueError if no square matrix has that many elements there.

    Example: `vec_to_tril_matrix(ones(3)).tolist()` is `[[1.0, 0.0], [1.0, 1.0]]`.
    """
    count = vec.shape[-1]
    odd = 1 + 2 * diag  # count = n (n + odd) / 2 - |diag| (diag + 1) / 2
    n = (-odd + (odd**2 + 8 * count + 4 * abs(diag) * (diag + 1)) ** 0.5) / 2
    if round(n) - n > torch.finfo(vec.dtype).eps:
        raise ValueError(
            f"The size of last dimension is {count} which cannot be expressed as "
            "the lower triangular part of a square D x D matrix."
        )
    size = round(n)
    mat = vec.new_zeros(vec.shape[:-1] + (size, size))
    mat[..., lower_mask(size, diag)] = vec
    return mat
