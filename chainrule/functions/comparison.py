"""The public comparisons of whole tensors, and those that allow for rounding."""

from __future__ import annotations

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor
from chainrule.ops.overrides import public
from chainrule.ops.pointwise_form import BFLOAT16, broadcast_error
from chainrule.ops.primitive import as_array
from chainrule.tensor import Tensor, wrap


@public
def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Which elements satisfy |input - other| <= atol + rtol * |other|; both have one type.

    Example:
        >>> isclose(tensor([1., 2.]), tensor([1., 2.1]))
        tensor([ True, False])
    """
    require_tensor("isclose", input)
    require_tensor("isclose", other, "other", 2)
    if input.dtype is not other.dtype:
        raise RuntimeError(f"{dtypes.LEGACY[input.dtype]} did not match {dtypes.LEGACY[other.dtype]}")
    for name, v in (("rtol", rtol), ("atol", atol)):
        if v < 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {v:g}")
    a, b = input._data, other._data
    if a.dtype is BFLOAT16:
        a, b = a.astype(np.float32), b.astype(np.float32)
    with np.errstate(all="ignore"):
        try:
            close = a == b
        except ValueError:
            raise broadcast_error(a, b) from None
        if equal_nan:
            close = close | ((a != a) & (b != b))
        if rtol or atol:
            if a.dtype.kind in "biu":
                a, b = a.astype(np.float64), b.astype(np.float64)
            error = np.abs(a - b)
            close = close | (np.isfinite(error) & (error <= atol + np.abs(rtol * b)))
    return wrap(as_array(close))


@public
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether `isclose` holds everywhere."""
    return bool(isclose(input, other, rtol, atol, equal_nan)._data.all())


@public
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether shapes and all elements are equal."""
    require_tensor("equal", input)
    require_tensor("equal", other, "other", 2)
    return input._data.shape == other._data.shape and bool((input._data == other._data).all())


@public
def is_nonzero(input: Tensor) -> bool:
    """Whether the only element is not zero."""
    return bool(input)


@public
def isreal(input: Tensor) -> Tensor:
    """Which elements have no imaginary part."""
    data = input._data
    return wrap(as_array(data.imag == 0) if data.dtype.kind == "c" else np.ones(data.shape, np.bool_))


__all__ = ["allclose", "equal", "is_nonzero", "isclose", "isreal"]
METHODS = __all__
