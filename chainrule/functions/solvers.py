"""Linear equations: inverses, solutions, least squares, pseudoinverses."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from chainrule import return_types as named
from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor, wrap_dim
from chainrule.functions.factorizations import unpacked
from chainrule.functions.matrix_checks import (
    SINGULAR,
    LinAlgError,
    check_info,
    finish,
    require_float,
    require_matrix,
    require_pair,
    require_square,
)
from chainrule.kernels import linalg as kernels
from chainrule.ops import linalg as ops
from chainrule.ops.overrides import public
from chainrule.ops.pointwise_form import broadcast_error
from chainrule.ops.primitive import as_array
from chainrule.ops.shape import reshape
from chainrule.tensor import Tensor, wrap

# Inverses


def inverse_of(function: str, A: Any) -> tuple:
    require_square(function, A)
    require_float(function, A)
    return ops.inv_ex(A)


@public
def inv(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverse of square matrices (..., n, n); LinAlgError for a singular one. Example: `inv(eye(2) * 2)` is `eye(2) / 2`."""
    result, info = inverse_of("linalg.inv", A)
    check_info("linalg.inv", info, SINGULAR)
    return finish("linalg_inv", result, out)


@public
def inv_ex(A: Tensor, *, check_errors: bool = False, out: Any = None) -> Any:
    """As `inv`, giving (inverse, info): info says which pivot is 0, 0 if none is."""
    result = named.linalg_inv_ex(*inverse_of("linalg.inv", A))
    if check_errors:
        check_info("linalg.inv_ex", result.info, SINGULAR)
    return finish("linalg_inv_ex", result, out)


# Solutions


def solution(function: str, A: Any, B: Any, left: bool) -> tuple:
    """(x, info) of A @ x = B or x @ A = B; B may be a vector (or a batch of them, one for each matrix)."""
    require_square(function, A)
    require_tensor(function, B, "B", 2)
    require_float(function, A)
    one, two = A._data.shape, B._data.shape
    vector = len(two) == 1 or (len(one) - 1 == len(two) and one[:-1] == two)
    b = ops.column(B) if vector else B
    if not vector and len(two) < 2:
        raise RuntimeError(f"{function}: The input tensor B must have at least 2 dimensions.")
    if vector and not left:
        raise RuntimeError(
            f"{function}: Vector broadcasting of the left hand side is not supported for left=False. In this case {function} is "
            "equivalent to "
            "B / A.squeeze(-1)"
        )
    require_pair(function, A, b, left)
    check_batches(A, b)
    x, info = ops.solve_ex(A, b) if left else ops.solve_ex(A.mT, b.mT)  # type: ignore[attr-defined]
    if vector:
        return reshape(x, x._data.shape[:-1]), info
    return (x if left else x.mT), info


def check_batches(a: Tensor, b: Tensor) -> tuple:
    """The batch that two batches of matrices broadcast to."""
    try:
        return np.broadcast_shapes(a._data.shape[:-2], b._data.shape[:-2])
    except ValueError:
        raise broadcast_error(a._data[..., 0, 0], b._data[..., 0, 0]) from None


@public
def solve(A: Tensor, B: Tensor, *, left: bool = True, out: Tensor | None = None) -> Tensor:
    """X with A @ X = B (X @ A = B if not `left`) for square matrices A (..., n, n), B (..., n, k) or (..., n).

    Raises LinAlgError for a singular matrix.

    Example: `solve(eye(2) * 2, ones(2))` is `tensor([0.5000, 0.5000])`.
    """
    x, info = solution("linalg.solve", A, B, left)
    if info._data.any():
        where = f"(Batch element {np.flatnonzero(info._data)[0]}): " if info._data.ndim else ""
        raise LinAlgError(f"torch.linalg.solve: {where}The solver failed because the input matrix is singular.")
    return finish("linalg_solve", x, out)


@public
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False, out: Any = None) -> Any:
    """As `solve`, giving (result, info): info says which pivot is 0, 0 if none is."""
    result = named.linalg_solve_ex(*solution("linalg.solve", A, B, left))
    if check_errors and result.info._data.any():
        raise LinAlgError("torch.linalg.solve_ex: The solver failed because the input matrix is singular.")
    return finish("linalg_solve_ex", result, out)


@public
def solve_triangular(
    input: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False, out: Tensor | None = None
) -> Tensor:
    """As `solve` for triangular matrices, of which only one triangle is read (and not the diagonal, taken as ones, if `unitriangular`).

    Example: `solve_triangular(eye(2), ones(2, 1), upper=True)` is `ones(2, 1)`.
    """
    name = "linalg.solve_triangular"
    require_square(name, input)
    require_matrix(name, B, "B", 2)
    require_pair(name, input, B, left)
    require_float(name, input)
    check_batches(input, B)
    return finish("linalg_solve_triangular", triangular(input, B, upper, left, unitriangular), out)


def triangular(A: Tensor, B: Tensor, upper: bool, left: bool = True, unit: bool = False) -> Tensor:
    if left:
        return ops.solve_triangular(A, B, upper, unit)
    return ops.solve_triangular(A.mT, B.mT, not upper, unit).mT  # type: ignore[attr-defined]


@public
def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False, out: Tensor | None = None) -> Tensor:
    """X with A @ X = B (X @ A = B if not `left`; A.mH if `adjoint`), of the `lu_factor` of A."""
    name = "linalg.lu_solve"
    require_square(name, LU, "LU")
    require_matrix(name, B, "B", 3)
    require_tensor(name, pivots, "pivots", 2)
    require_float(name, LU)
    if pivots._data.dtype != np.int32:
        raise RuntimeError(f"{name}: pivots should be a Tensor of scalar type torch.int32. Got {dtypes.LEGACY[pivots.dtype]}")
    if LU.dtype is not B.dtype:
        raise RuntimeError(
            f"{name}: Expected LU and B to have the same dtype, but found LU of type {dtypes.LEGACY[LU.dtype]} and B of type "
            f"{dtypes.LEGACY[B.dtype]} instead"
        )
    require_pair(name, LU, B, left)
    if pivots._data.shape[-1:] != LU._data.shape[-1:]:
        raise RuntimeError(f"{name}: Number of pivots per batch should be same as the dimension of the matrix")
    if pivots._data.shape[:-1] != LU._data.shape[:-2]:
        raise RuntimeError(
            f"{name}: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots with shape {list(pivots._data.shape)}"
        )
    check_batches(LU, B)
    return finish("linalg_lu_solve", lu_solution(LU, pivots, B, left, adjoint), out)


def lu_solution(LU: Tensor, pivots: Tensor, B: Tensor, left: bool, adjoint: bool) -> Tensor:
    if not left:
        return ops.T(lu_solution(LU, pivots, ops.T(B), True, not adjoint))
    order, lower, upper = unpacked(LU, pivots)
    if adjoint:
        inner = ops.solve_triangular(ops.T(upper), B, False, False)
        return order @ ops.solve_triangular(ops.T(lower), inner, True, True)
    return ops.solve_triangular(upper, ops.solve_triangular(lower, order.mT @ B, False, True), True, False)


@public
def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False, out: Tensor | None = None) -> Tensor:
    """X with A @ X = B, of the `ldl_factor` of A."""
    require_square("torch.linalg.ldl_solve", LD, "LD")
    require_matrix("torch.linalg.ldl_solve", B, "B", 3)
    require_pair("torch.linalg.ldl_solve", LD, B)
    if pivots._data.dtype.kind not in "iu":
        raise RuntimeError(f"torch.linalg.ldl_solve: Expected pivots to be integers. Got {dtypes.LEGACY[pivots.dtype]}")
    return finish("linalg_ldl_solve", wrap(kernels.ldl_solve(LD._data, pivots._data, B._data, hermitian)), out)


# Least squares and pseudoinverses


def cutoff(atol: Any, rtol: Any, rank: tuple, eps: float) -> Any:
    """largest singular value -> the one up to which they count as 0: max(atol, largest * rtol)."""
    absolute = 0.0 if atol is None else atol._data[..., None] if isinstance(atol, Tensor) else atol
    if isinstance(rtol, Tensor):
        relative: Any = rtol._data[..., None]
    elif rtol is not None:
        relative = rtol
    elif isinstance(absolute, np.ndarray):
        relative = np.where(absolute > 0, 0, max(rank) * eps)
    else:
        relative = 0.0 if absolute > 0 else max(rank) * eps
    return lambda largest: np.maximum(absolute, largest * relative)


@public
def pinv(
    input: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None, out: Tensor | None = None
) -> Tensor:
    """The pseudoinverse (..., n, m) of matrices (..., m, n). Singular values up to max(atol, rtol * the largest) count as 0.

    Example: `pinv(ones(1, 2))` is `tensor([[0.5000], [0.5000]])`.
    """
    require_matrix("linalg.pinv", input)
    require_float("linalg.pinv", input)
    if hermitian:
        require_square("linalg.pinv", input)
    rtol = rcond if rtol is None else rtol
    m, n = input._data.shape[-2:]
    if not input._data.size:
        return finish("linalg_pinv", ops.T(input) * 1, out)
    return finish("linalg_pinv", ops.pinv(input, cutoff(atol, rtol, (m, n), np.finfo(input._data.dtype).eps.item()), hermitian), out)


@public
def matrix_rank(
    input: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None, out: Tensor | None = None
) -> Tensor:
    """How many singular values (of Hermitian matrices: eigenvalues) are larger than max(atol, rtol * the largest).

    Example: `matrix_rank(ones(3, 3))` is `tensor(1)`.
    """
    require_matrix("linalg.matrix_rank", input)
    require_float("linalg.matrix_rank", input)
    if hermitian:
        require_square("linalg.matrix_rank", input)
    if tol is not None:
        atol, rtol = tol, 0.0
    for name, t in (("atol", atol), ("rtol", rtol)):
        if isinstance(t, Tensor) and t.dtype.is_complex:
            raise RuntimeError(f"linalg.matrix_rank: {name} tensor of complex type is not supported.")
    a = input._data
    if not a.size:
        return finish("linalg_matrix_rank", wrap(np.zeros(a.shape[:-2], np.int64)), out)
    values = np.abs(np.linalg.eigvalsh(a)) if hermitian else np.linalg.svd(a, compute_uv=False)
    limit = cutoff(atol, rtol, a.shape[-2:], np.finfo(a.dtype).eps.item())(values.max(-1, keepdims=True))
    return finish("linalg_matrix_rank", wrap(as_array((values > limit).sum(-1))), out)


DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


@public
def lstsq(input: Tensor, b: Tensor, rcond: float | None = None, *, driver: str | None = None, out: Any = None) -> Any:
    """(solution, residuals, rank, singular_values) of the X for which input @ X is closest to b, of least norm if there are many.

    Residuals (the squared distances) come from drivers other than "gelsy" (the default) for matrices of full rank with more rows than
    columns, singular values from "gelsd" and "gelss"; what does not come is empty.

    Example: `lstsq(ones(2, 1), tensor([[1.], [3.]])).solution` is `tensor([[2.]])`.
    """
    name = "torch.linalg.lstsq"
    require_tensor(name, input, "input")
    require_tensor(name, b, "other", 2)
    require_float(name, input)
    one, two = input._data.shape, b._data.shape
    if len(one) < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if len(two) < 1:
        raise RuntimeError(f"{name}: other must have at least 1 dimension.")
    if input.dtype is not b.dtype:
        raise RuntimeError(
            f"{name}: Expected input and other to have the same dtype, but got input's dtype {input.dtype.name} and other's dtype "
            f"{b.dtype.name}"
        )
    vector = len(one) - 1 == len(two) and one[:-1] == two
    rows = two[-1] if vector else two[-2] if len(two) > 1 else -1
    if rows != one[-2]:
        raise RuntimeError(f"{name}: input.size(-2) should match other.size(-{1 if vector else 2})")
    if driver is not None and driver not in DRIVERS:
        raise RuntimeError(f"{name}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)")
    driver = driver or "gelsy"
    b = ops.column(b) if vector else b
    check_batches(input, b)
    m, n = one[-2:]
    eps = np.finfo(input._data.dtype).eps.item()
    relative = 0.0 if driver == "gels" else eps * max(m, n) if rcond is None else rcond
    cut, rank = cutoff(None, relative, (m, n), eps), None
    if m * n == 0:
        x: Any = wrap(np.zeros((*check_batches(input, b), n, b._data.shape[-1]), input._data.dtype))
        values = np.zeros((*one[:-2], min(m, n)), input._data.real.dtype)
    else:
        x, found = ops.lstsq(input, b, cut, relative if driver == "gelsy" and relative.__class__ is float else None)
        if found._data.dtype == np.int64:
            own = [slice(1 if n == 1 else None) for n in one[:-2]]  # one rank for each matrix, though b may have more batches
            rank, values = found._data[(0,) * (found._data.ndim - len(own)) + tuple(own)], np.empty(0, input._data.real.dtype)
        else:
            values = found._data
    if rank is None:
        rank = as_array((values > cut(values.max(-1, keepdims=True))).sum(-1)) if values.size else np.zeros(one[:-2], np.int64)
    residuals = reshape(x, (x._data.size,)).real[:0]
    if m > n and driver != "gelsy" and (rank == n).all():
        apart = input @ x - b  # type: ignore[operator]
        residuals = (apart.abs() ** 2).sum(-2)
    result = named.linalg_lstsq(
        reshape(x, x._data.shape[:-1]) if vector else x,
        residuals,
        wrap(rank if driver != "gels" else np.empty(0, np.int64)),
        wrap(values if driver in ("gelsd", "gelss") else np.empty(0, values.dtype)),
    )
    return finish("linalg_lstsq", result, out)


# Equations between tensors of more dimensions


@public
def tensorinv(input: Tensor, ind: int = 2, *, out: Tensor | None = None) -> Tensor:
    """The inverse of a tensor as a map from its last dimensions to its first `ind`, whose sizes have equal products.

    Example: `tensorinv(eye(6).reshape(2, 3, 6), ind=2).shape` is `torch.Size([6, 2, 3])`.
    """
    require_tensor("linalg.tensorinv", input)
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    shape = input._data.shape
    first, last = shape[:ind], shape[ind:]
    if prod(first) != prod(last):
        raise RuntimeError(
            f"Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got {prod(last)} != "
            f"{prod(first)}"
        )
    result, info = inverse_of("linalg.inv", reshape(input, (prod(first), prod(last))))
    check_info("inv", info, SINGULAR)
    return finish("linalg_tensorinv", reshape(result, (*last, *first)), out)


@public
def tensorsolve(input: Tensor, other: Tensor, dims: Any = None, *, out: Tensor | None = None) -> Tensor:
    """X with tensordot(input, X, X.ndim) = other; the dimensions `dims` of input are moved to its end first.

    Example: `tensorsolve(eye(6).reshape(2, 3, 6), ones(2, 3))` is `ones(6)`.
    """
    require_tensor("linalg.tensorsolve", input)
    require_tensor("linalg.tensorsolve", other, "other", 2)
    if dims is not None:
        order = [wrap_dim(d, input._data.ndim) for d in dims]
        input = input.permute([d for d in range(input._data.ndim) if d not in order] + order)  # type: ignore[attr-defined]
    shape = input._data.shape[other._data.ndim :]
    n = prod(other._data.shape)
    if prod(shape) != n:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), but got "
            f"{prod(shape)} != {prod(input._data.shape[: other._data.ndim])}"
        )
    result = solve(reshape(input, (n, n)), reshape(other, (n,)))
    return finish("linalg_tensorsolve", reshape(result, shape), out)
