"""What linear algebra asks of its arguments, and its errors, in PyTorch's words."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor
from chainrule.ops.inplace import write_out
from chainrule.tensor import Tensor

LOW = (dtypes.float16, dtypes.bfloat16)


class LinAlgError(RuntimeError):
    """A matrix that the function cannot do: singular, not positive definite, not convergent."""


LinAlgError.__name__ = LinAlgError.__qualname__ = "_LinAlgError"


def finish(function: str, result: Any, out: Any) -> Any:
    """The result, written to `out=` if there is one."""
    return result if out is None else write_out(function, out, result)


def require_matrix(function: str, t: Any, name: str = "A", position: int = 1) -> None:
    """TypeError or RuntimeError unless t is a tensor of at least two dimensions."""
    require_tensor(function, t, name, position)
    if t._data.ndim < 2:
        raise RuntimeError(f"{function}: The input tensor {name} must have at least 2 dimensions.")


def require_float(function: str, t: Tensor, low_ok: bool = False) -> None:
    """RuntimeError unless t is of a floating or complex type (of 4 bytes or more, but for `low_ok`)."""
    d = t.dtype
    if d.category < dtypes.FLOATING:
        raise RuntimeError(f"{function}: Expected a floating point or complex tensor as input. Got {dtypes.LEGACY[d]}")
    if d in LOW and not low_ok:
        raise RuntimeError(f"{function}: Low precision dtypes not supported. Got {dtypes.LEGACY[d]}")


def require_kernel(kernel: str, t: Tensor) -> None:
    """NotImplementedError, by the kernel's name, unless t is of a floating or complex type of 4 bytes or more."""
    if t.dtype.category < dtypes.FLOATING or t.dtype in LOW:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{dtypes.LEGACY[t.dtype]}'")


def require_square(function: str, t: Any, name: str = "A") -> None:
    """RuntimeError unless t holds square matrices."""
    require_matrix(function, t, name)
    m, n = t._data.shape[-2:]
    if m != n:
        raise RuntimeError(f"{function}: {name} must be batches of square matrices, but they are {m} by {n} matrices")


def require_pair(function: str, a: Tensor, b: Tensor, left: bool = True) -> None:
    """RuntimeError unless a and b are of one type, and shapes for the equation AX = B (XA = B)."""
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{function}: Expected A and B to have the same dtype, but found A of type {dtypes.LEGACY[a.dtype]} and B of type "
            f"{dtypes.LEGACY[b.dtype]} instead"
        )
    one, two = a._data.shape, b._data.shape
    if one[-2] != two[-2 if left else -1]:
        raise RuntimeError(
            f"{function}: Incompatible shapes of A and B for the equation {'AX' if left else 'XA'} = B ({one[-2]}x{one[-1]} and "
            f"{two[-2]}x{two[-1]})"
        )


def check_info(function: str, info: Tensor, problem: str) -> None:
    """LinAlgError with `problem`, in which {} is the pivot, for the first matrix whose info is not 0."""
    bad = np.flatnonzero(info._data)
    if bad.size:
        where = f"(Batch element {bad[0]}): " if info._data.ndim else ""
        raise LinAlgError(f"{function}: {where}{problem.format(info._data.reshape(-1)[bad[0]])}")


SINGULAR = "The diagonal element {} is zero, the inversion could not be completed because the input matrix is singular."
INDEFINITE = (
    "The factorization could not be completed because the input is not positive-definite (the leading minor of order {} is not "
    "positive-definite)."
)
