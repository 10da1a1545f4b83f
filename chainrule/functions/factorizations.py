"""Matrices as products of simpler ones: Cholesky, QR, SVD, eigenvalues, LU, LDL."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import return_types as named
from chainrule._core import modes
from chainrule.functions.arguments import require_tensor
from chainrule.functions.matrix_checks import (
    INDEFINITE,
    LinAlgError,
    check_info,
    finish,
    require_float,
    require_matrix,
    require_square,
)
from chainrule.kernels import linalg as kernels
from chainrule.ops import linalg as ops
from chainrule.ops.overrides import public
from chainrule.tensor import Tensor, wrap

# Cholesky


@public
def cholesky(input: Tensor, *, upper: bool = False, out: Tensor | None = None) -> Tensor:
    """The lower triangular L with L @ L.mH = input of positive definite matrices (..., n, n); L.mH if `upper`.

    Raises LinAlgError for a matrix that is not positive definite.

    Example:
        >>> cholesky(tensor([[4., 2.], [2., 2.]]))
        tensor([[2., 0.],
                [1., 1.]])
    """
    require_square("linalg.cholesky", input)
    require_float("linalg.cholesky", input)
    factor, info = ops.cholesky_ex(input, upper)
    check_info("linalg.cholesky", info, INDEFINITE)
    return finish("linalg_cholesky", factor, out)


@public
def cholesky_ex(input: Tensor, *, upper: bool = False, check_errors: bool = False, out: Any = None) -> Any:
    """As `cholesky`, giving (L, info): info says which leading minor is not positive definite, 0 if all are."""
    require_square("linalg.cholesky", input)
    require_float("linalg.cholesky", input)
    result = named.linalg_cholesky_ex(*ops.cholesky_ex(input, upper))
    if check_errors:
        check_info("linalg.cholesky_ex", result.info, INDEFINITE)
    return finish("linalg_cholesky_ex", result, out)


# Orthogonal times triangular


@public
def qr(A: Tensor, mode: str = "reduced", *, out: Any = None) -> Any:
    """(Q, R) with Q @ R = A, Q's columns orthonormal and R upper triangular.

    Mode "reduced" gives Q (..., m, k), R (..., k, n), k being the smaller of m and n; "complete" a square Q; "r" no Q.

    Example: `Q, R = qr(rand(3, 2)); Q.shape, R.shape` is `(torch.Size([3, 2]), torch.Size([2, 2]))`.
    """
    require_matrix("linalg.qr", A)
    require_float("linalg.qr", A)
    if mode not in ("reduced", "r", "complete"):
        raise RuntimeError(f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'")
    return finish("linalg_qr", named.linalg_qr(*ops.qr(A, mode)), out)


@public
def geqrf(input: Tensor, *, out: Any = None) -> Any:
    """LAPACK's form of QR, (a, tau): R, below it the reflectors whose product is Q, and their scales."""
    require_matrix("torch.geqrf", input, "input")
    require_float("torch.geqrf", input)
    return finish("geqrf", named.geqrf(*[wrap(x) for x in kernels.reflectors(input._data)]), out)


@public
def householder_product(input: Tensor, tau: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The first n columns of the product of the reflectors 1 - tau v v.mH, whose v are the columns of input (..., m, n), 1 on the diagonal.

    Example: `a, tau = geqrf(x); Q = householder_product(a, tau)`.
    """
    name = "torch.linalg.householder_product"
    require_tensor(name, input)
    require_tensor(name, tau, "tau", 2)
    require_float(name, input)
    m, n = input._data.shape[-2:] if input._data.ndim > 1 else (0, 0)
    if input._data.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if m < n:
        raise RuntimeError(f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]")
    if n < tau._data.shape[-1]:
        raise RuntimeError(f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    if input.dtype is not tau.dtype:
        raise RuntimeError(f"{name}: tau dtype {tau.dtype.name} does not match input dtype {input.dtype.name}")
    start: Any = wrap(np.broadcast_to(np.eye(m, n, dtype=input._data.dtype), input._data.shape).copy())
    if not tau._data.shape[-1]:
        start = start + input * 0  # type: ignore[operator]
    return finish("linalg_householder_product", reflect(input, tau, start, False, True), out)


def reflect(A: Tensor, tau: Tensor, other: Tensor, adjoint: bool, from_last: bool) -> Tensor:
    """`other` multiplied from the left by reflectors, one after the other."""
    lower = ops.unit_lower(A)
    count = tau._data.shape[-1]
    for i in reversed(range(count)) if from_last else range(count):
        v = ops.columns(lower, i, i + 1)
        scale = ops.columns(tau, i, i + 1)
        scale = ops.conj(scale) if adjoint else scale
        other = other - (v * ops.column(scale)) @ (ops.T(v) @ other)  # type: ignore[operator]
    return other


@public
def ormqr(
    input: Tensor, input2: Tensor, input3: Tensor, left: bool = True, transpose: bool = False, *, out: Tensor | None = None
) -> Tensor:
    """Q @ input3, or input3 @ Q if not `left`, for the Q (..., m, m) of `geqrf`'s (input, input2); Q.mH if `transpose`."""
    for position, (name, t) in enumerate((("input", input), ("input2", input2), ("input3", input3)), 1):
        require_tensor("ormqr", t, name, position)
    require_float("torch.ormqr", input)
    if input._data.ndim < 2 or input3._data.ndim < 2:
        raise RuntimeError("torch.ormqr: input must have at least 2 dimensions.")
    size = input3._data.shape[-2 if left else -1]
    if size < input2._data.shape[-1]:
        raise RuntimeError(f"torch.ormqr: other.shape[{-2 if left else -1}] must be greater than or equal to tau.shape[-1]")
    if size != input._data.shape[-2]:
        raise RuntimeError(f"torch.ormqr: other.shape[{-2 if left else -1}] must be equal to input.shape[-2]")
    if input2._data.shape[-1] > min(input._data.shape[-2:]):
        raise RuntimeError("torch.ormqr: tau.shape[-1] must be equal to min(input.shape[-2], input.shape[-1])")
    if left:
        result = reflect(input, input2, input3, transpose, not transpose)
    else:
        result = ops.T(reflect(input, input2, ops.T(input3), not transpose, transpose))
    return finish("ormqr", result, out)


# Singular values


@public
def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None, out: Any = None) -> Any:
    """(U, S, Vh) with U @ diag(S) @ Vh = A; U and Vh are square unless `full_matrices` is False. S falls.

    Example: `svd(eye(2)).S` is `tensor([1., 1.])`.
    """
    require_matrix("linalg.svd", A)
    require_float("linalg.svd", A)
    if driver is not None:
        raise RuntimeError("torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend.")
    return finish("linalg_svd", named.linalg_svd(*svd_parts(A, full_matrices)), out)


def svd_parts(A: Tensor, full: bool) -> tuple:
    """(U, S, Vh), LinAlgError for what has none."""
    try:
        return ops.svd(A, full)
    except np.linalg.LinAlgError:
        raise LinAlgError("linalg.svd: The algorithm failed to converge because the input matrix contained non-finite values.") from None


@public
def svdvals(A: Tensor, *, driver: str | None = None, out: Tensor | None = None) -> Tensor:
    """The singular values, falling, (..., k). Example: `svdvals(eye(2) * 3)` is `tensor([3., 3.])`."""
    require_matrix("linalg.svd", A)
    require_float("linalg.svd", A)
    if not recorded(A):
        return finish("linalg_svdvals", wrap(np.linalg.svd(A._data, compute_uv=False)), out)
    return finish("linalg_svdvals", svd_parts(A, False)[1], out)


def recorded(t: Tensor) -> bool:
    """Whether an op on t would leave a record, or a mode looks on."""
    return t.requires_grad or bool(modes.state.busy)


# Eigenvalues


def check_uplo(uplo: str) -> str:
    upper = uplo.upper()
    if upper not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {uplo}")
    return upper


@public
def eigh(input: Tensor, UPLO: str = "L", *, out: Any = None) -> Any:
    """(eigenvalues, eigenvectors) of symmetric or Hermitian matrices, of which the lower ("L") or upper triangle is read.

    The eigenvalues are real and rise; A @ V = V @ diag(L).

    Example: `eigh(diag(tensor([2., 1.]))).eigenvalues` is `tensor([1., 2.])`.
    """
    require_square("linalg.eigh", input)
    require_float("linalg.eigh", input)
    return finish("linalg_eigh", named.linalg_eigh(*eigh_parts(input, check_uplo(UPLO))), out)


def eigh_parts(A: Tensor, uplo: str) -> tuple:
    try:
        return ops.eigh(A, uplo)
    except np.linalg.LinAlgError:
        raise LinAlgError(
            "linalg.eigh: The algorithm failed to converge because the input matrix is ill-conditioned or has too many repeated "
            "eigenvalues."
        ) from None


@public
def eigvalsh(input: Tensor, UPLO: str = "L", *, out: Tensor | None = None) -> Tensor:
    """The eigenvalues of symmetric or Hermitian matrices, rising. Example: `eigvalsh(eye(2))` is `tensor([1., 1.])`."""
    require_square("linalg.eigvalsh", input)
    require_float("linalg.eigvalsh", input)
    uplo = check_uplo(UPLO)
    values = eigh_parts(input, uplo)[0] if recorded(input) else wrap(np.linalg.eigvalsh(input._data, uplo))
    return finish("linalg_eigvalsh", values, out)


@public
def eig(input: Tensor, *, out: Any = None) -> Any:
    """(eigenvalues, eigenvectors), complex; each column of the eigenvectors has length 1.

    Example: `eig(diag(tensor([2., 1.]))).eigenvalues` is `tensor([2.+0.j, 1.+0.j])`.
    """
    check_eig("linalg.eig", input)
    return finish("linalg_eig", named.linalg_eig(*ops.eig(input)), out)


def check_eig(function: str, A: Any) -> None:
    require_square(function, A)
    require_float(function, A)
    if not np.isfinite(A._data).all():
        raise RuntimeError("torch.linalg.eig: input tensor should not contain infs or NaNs.")


@public
def eigvals(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The eigenvalues, complex. Example: `eigvals(eye(2))` is `tensor([1.+0.j, 1.+0.j])`."""
    check_eig("linalg.eigvals", input)
    return finish("linalg_eigvals", ops.eig(input)[0], out)


# LU


def check_pivot(function: str, pivot: bool) -> None:
    if not pivot:
        raise RuntimeError(f"{function}: LU without pivoting is not implemented on the CPU")


@public
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False, out: Any = None) -> Any:
    """As `lu_factor`, giving (LU, pivots, info): info says which element of U's diagonal is 0, 0 if none is."""
    require_matrix("linalg.lu_factor_ex", A)
    require_float("linalg.lu_factor_ex", A)
    check_pivot("linalg.lu_factor_ex", pivot)
    result = named.linalg_lu_factor_ex(*ops.lu_factor_ex(A))
    if check_errors:
        check_info("torch.linalg.lu_factor_ex", result.info, ZERO_PIVOT)
    return finish("linalg_lu_factor_ex", result, out)


ZERO_PIVOT = "U[{0},{0}] is zero and using it on lu_solve would result in a division by zero."


@public
def lu_factor(A: Tensor, *, pivot: bool = True, out: Any = None) -> Any:
    """(LU, pivots): L (below the diagonal, ones on it) and U in one matrix, and which row was exchanged with row i, counted from 1.

    Raises RuntimeError for a singular matrix.

    Example: `lu_solve(*lu_factor(A), B)` solves A @ X = B.
    """
    require_matrix("linalg.lu_factor", A)
    require_float("linalg.lu_factor", A)
    check_pivot("linalg.lu_factor", pivot)
    packed, pivots, info = ops.lu_factor_ex(A)
    bad = info._data[info._data != 0]
    if bad.size:
        k = bad.reshape(-1)[0]
        raise RuntimeError(
            f"torch.linalg.lu_factor: U[{k},{k}] is zero and using it on lu_solve would result in a division by zero. If you still want to "
            "perform the factorization, consider calling linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)"
        )
    return finish("linalg_lu_factor", named.linalg_lu_factor(packed, pivots), out)


@public
def lu(A: Tensor, *, pivot: bool = True, out: Any = None) -> Any:
    """(P, L, U) with P @ L @ U = A: a permutation, a lower triangular matrix with ones on its diagonal, an upper triangular one.

    Example: `lu(eye(2)).U` is `eye(2)`.
    """
    require_matrix("linalg.lu", A)
    require_float("linalg.lu", A)
    check_pivot("linalg.lu", pivot)
    lower, upper, pivots = ops.lu(A)
    order = kernels.permutation_matrix(pivots._data, A._data.shape[-2], A._data.dtype)
    return finish("linalg_lu", named.linalg_lu(wrap(order), lower, upper), out)


def unpacked(packed: Tensor, pivots: Tensor) -> tuple:
    """(P, L, U)."""
    order = kernels.permutation_matrix(pivots._data, packed._data.shape[-2], packed._data.dtype)
    return wrap(order), *ops.lu_unpack(packed)


@public
def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True, *, out: Any = None) -> Any:
    """(P, L, U) of the result of `lu_factor`; empty tensors for what is not wanted."""
    require_tensor("lu_unpack", LU_data, "LU_data")
    require_tensor("lu_unpack", LU_pivots, "LU_pivots", 2)
    if unpack_pivots and LU_pivots._data.dtype != np.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype. Note: this function is intended to "
            "be used with the output produced by torch.linalg.lu_factor"
        )
    nothing = np.empty(0, LU_data._data.dtype)
    lower, upper = ops.lu_unpack(LU_data) if unpack_data else (wrap(nothing), wrap(nothing.copy()))
    order = kernels.permutation_matrix(LU_pivots._data, LU_data._data.shape[-2], nothing.dtype) if unpack_pivots else nothing.copy()
    return finish("lu_unpack", named.lu_unpack(wrap(order), lower, upper), out)


# LDL


@public
def ldl_factor_ex(input: Tensor, *, hermitian: bool = False, check_errors: bool = False, out: Any = None) -> Any:
    """As `ldl_factor`, giving (LD, pivots, info)."""
    require_square("torch.linalg.ldl_factor_ex", input)
    require_float("torch.linalg.ldl_factor_ex", input)
    result = named.linalg_ldl_factor_ex(*[wrap(x) for x in kernels.ldl(input._data, hermitian)])
    if check_errors:
        check_info("torch.linalg.ldl_factor_ex", result.info, LDL_ZERO)
    return finish("linalg_ldl_factor_ex", result, out)


LDL_ZERO = "the factorization has a zero in D at {}"


@public
def ldl_factor(input: Tensor, *, hermitian: bool = False, out: Any = None) -> Any:
    """(LD, pivots) of symmetric (or Hermitian) matrices, LAPACK's compact form. Example: `ldl_solve(*ldl_factor(A), B)`."""
    require_square("torch.linalg.ldl_factor", input)
    require_float("torch.linalg.ldl_factor", input)
    packed, pivots, info = [wrap(x) for x in kernels.ldl(input._data, hermitian)]
    check_info("torch.linalg.ldl_factor", info, LDL_ZERO)
    return finish("linalg_ldl_factor", named.linalg_ldl_factor(packed, pivots), out)
