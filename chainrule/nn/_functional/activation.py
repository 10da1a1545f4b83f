"""Activation functions. With `inplace=True` they write over their input and return it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.arguments import as_dtype, require_tensor, wrap_dim
from chainrule.nn._functional.arguments import legacy, require_floating
from chainrule.ops import activation as ops, softmax as soft
from chainrule.ops.inplace import inplace as overwriting
from chainrule.ops.overrides import public
from chainrule.ops.shape import cast
from chainrule.tensor import Tensor

relu_function = ops.relu.function


def applied(name: str, inplace: bool, function: Callable, input: Tensor, *settings: Any) -> Tensor:
    """`function(input, *settings)`, written over input if `inplace`."""
    return overwriting(function, f"{name}_")(input, *settings) if inplace else function(input, *settings)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0), element by element.

    Example:
        >>> relu(tensor([-1., 2.]))
        tensor([0., 2.])
    """
    if inplace:
        return overwriting(relu_function, "relu_")(input)
    return relu_function(input)


# Softmax and its kin


def softmax_dim(name: str, ndim: int, stacklevel: int) -> int:
    warnings.warn(f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.", stacklevel=stacklevel)
    return 0 if ndim in (0, 1, 3) else 1


def along(name: str, kernel: Callable, input: Tensor, dim: Any, stacklevel: int, dtype: Any) -> Tensor:
    require_tensor(name, input)
    if dim is None:
        dim = softmax_dim(name, input._data.ndim, stacklevel + 2)
    wanted = as_dtype(dtype)
    if wanted is not None and wanted is not input.dtype:
        input = cast(input, wanted)
    dim = wrap_dim(dim, input._data.ndim)
    if input.dtype.category != dtypes.FLOATING:
        where = "lastdim_kernel_impl" if dim == input._data.ndim - 1 else "kernel_impl"
        raise NotImplementedError(f"\"{name}_{where}\" not implemented for '{legacy(input)}'")
    return kernel(input, (dim,) if input._data.ndim else ())


@public
def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """exp(x) scaled to sum to 1 along `dim`; `dtype` is the type to compute in.

    Example:
        >>> softmax(zeros(2), 0)
        tensor([0.5000, 0.5000])
    """
    return along("softmax", soft.softmax, input, dim, _stacklevel, dtype)


@public
def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """`softmax(-input)`."""
    require_tensor("softmin", input)
    return along("softmin", soft.softmax, -input, dim, _stacklevel, dtype)  # type: ignore[operator]


@public
def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """log(softmax(x)) along `dim`, computed without overflow.

    Example:
        >>> log_softmax(zeros(2), 0)
        tensor([-0.6931, -0.6931])
    """
    return along("log_softmax", soft.log_softmax, input, dim, _stacklevel, dtype)


__all__ = ["log_softmax", "relu", "softmax", "softmin"]
