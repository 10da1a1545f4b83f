"""The linear algebra that PyTorch keeps outside of `linalg`: older names and argument orders, Tensor methods, low-rank approximations."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from chainrule import return_types as named
from chainrule._core.warn import warn_once
from chainrule.functions import factorizations, matrices, solvers
from chainrule.functions.arguments import require_tensor
from chainrule.functions.factorizations import geqrf, householder_product, lu_unpack, ormqr
from chainrule.functions.matrices import matrix_exp, matrix_power
from chainrule.functions.matrix_checks import finish, require_float, require_kernel, require_matrix, require_pair, require_square
from chainrule.functions.random import randn
from chainrule.functions.solvers import inv, pinv, triangular
from chainrule.ops import linalg as ops
from chainrule.ops.overrides import public
from chainrule.ops.pointwise import log, where
from chainrule.tensor import Tensor, wrap


def deprecate(old: str, text: str) -> None:
    warn_once(f"torch.{old} is deprecated in favor of torch.linalg.{text}")


# Inverses and determinants


@public
def inverse(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """As `linalg.inv`."""
    return inv(input, out=out)


@public
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """As `linalg.pinv`, by its `rcond`."""
    return pinv(input, rcond)


@public
def det(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """As `linalg.det`."""
    return matrices.det(input, out=out)


@public
def slogdet(input: Tensor, *, out: Any = None) -> Any:
    """As `linalg.slogdet`."""
    return finish("slogdet", named.slogdet(*matrices.slogdet(input)), out)


@public
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant; NaN if that is negative. Example: `logdet(eye(2))` is `tensor(0.)`."""
    require_square("logdet", input)
    require_float("logdet", input)
    sign, size = ops.slogdet(input)
    if input.dtype.is_complex:
        return log(sign) + size
    return where(sign == -1, float("nan"), size)


# Cholesky


@public
def cholesky(input: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """Deprecated: as `linalg.cholesky`."""
    deprecate(
        "cholesky",
        "cholesky and will be removed in a future PyTorch release.\nL = torch.cholesky(A)\nshould be replaced with\n"
        "L = torch.linalg.cholesky(A)\nand\nU = torch.cholesky(A, upper=True)\nshould be replaced with\n"
        "U = torch.linalg.cholesky(A).mH\nThis transform will produce equivalent results for all valid (symmetric positive definite) "
        "inputs.",
    )
    require_square("cholesky", input)
    return factorizations.cholesky(input, upper=upper, out=out)


@public
def cholesky_solve(input: Tensor, input2: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """X with A @ X = input, of the Cholesky factor input2 of A (an upper one if `upper`).

    Example: `cholesky_solve(B, linalg.cholesky(A))`.
    """
    require_matrix("cholesky_solve", input, "b")
    require_matrix("cholesky_solve", input2, "u", 2)
    if input._data.ndim < 2 or input2._data.ndim < 2:
        raise RuntimeError("b should have at least 2 dimensions, but has less")
    require_square("cholesky_solve", input2)
    require_pair("cholesky_solve", input2, input)
    solvers.check_batches(input2, input)
    require_kernel("cholesky_solve_cpu", input)
    factor = ops.T(input2) if upper else input2
    inner = ops.solve_triangular(factor, input, False, False)
    return finish("cholesky_solve", ops.solve_triangular(ops.T(factor), inner, True, False), out)


@public
def cholesky_inverse(input: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The inverse of the matrix whose Cholesky factor is L. Example: `cholesky_inverse(linalg.cholesky(A))` is `inverse(A)`."""
    require_square("cholesky_inverse", input)
    require_float("cholesky_inverse", input)
    identity = wrap(np.broadcast_to(np.eye(input._data.shape[-1], dtype=input._data.dtype), input._data.shape))
    return cholesky_solve(identity, input, upper, out=out)


# QR, SVD, LU


@public
def qr(input: Tensor, some: bool = True, *, out: Any = None) -> Any:
    """Deprecated: as `linalg.qr`, "complete" unless `some`."""
    deprecate(
        "qr",
        "qr and will be removed in a future PyTorch release.\nThe boolean parameter 'some' has been replaced with a string parameter "
        "'mode'.\nQ, R = torch.qr(A, some)\nshould be replaced with\nQ, R = torch.linalg.qr(A, 'reduced' if some else 'complete')",
    )
    return finish("qr", named.qr(*factorizations.qr(input, "reduced" if some else "complete")), out)


@public
def orgqr(input: Tensor, input2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """As `linalg.householder_product`."""
    return householder_product(input, input2, out=out)


@public
def svd(input: Tensor, some: bool = True, compute_uv: bool = True, *, out: Any = None) -> Any:
    """(U, S, V) with U @ diag(S) @ V.mH = input, reduced if `some`; zeros for U and V unless `compute_uv`."""
    require_matrix("linalg.svd", input, "input")
    require_float("linalg.svd", input)
    if compute_uv:
        u, s, vh = factorizations.svd_parts(input, not some)
        result = named.svd(u, s, ops.T(vh))
    else:
        a = input._data
        zeros = [wrap(np.zeros((*a.shape[:-2], n, n), a.dtype)) for n in a.shape[-2:]]
        result = named.svd(zeros[0], factorizations.svdvals(input), zeros[1])
    return finish("svd", result, out)


@public
def lu(A: Tensor, pivot: bool = True, get_infos: bool = False, out: Any = None) -> Any:
    """Deprecated: as `linalg.lu_factor_ex`, a tuple (LU, pivots), with infos if `get_infos`."""
    deprecate(
        "lu",
        "lu_factor / torch.linalg.lu_factor_ex and will be removed in a future PyTorch release.\nLU, pivots = torch.lu(A, compute_pivots)\n"
        "should be replaced with\nLU, pivots = torch.linalg.lu_factor(A, compute_pivots)\nand\n"
        "LU, pivots, info = torch.lu(A, compute_pivots, get_infos=True)\nshould be replaced with\n"
        "LU, pivots, info = torch.linalg.lu_factor_ex(A, compute_pivots)",
    )
    result = tuple(factorizations.lu_factor_ex(A, pivot=pivot, check_errors=not get_infos))
    return finish("lu", named._lu_with_info(*result) if get_infos else result[:2], out)


@public
def lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Deprecated: as `linalg.lu_solve`, the right side first."""
    deprecate(
        "lu_solve",
        "lu_solveand will be removed in a future PyTorch release.\nNote that torch.linalg.lu_solve has its arguments reversed.\n"
        "X = torch.lu_solve(B, LU, pivots)\nshould be replaced with\nX = torch.linalg.lu_solve(LU, pivots, B)",
    )
    return solvers.lu_solve(LU_data, LU_pivots, input, out=out)


@public
def triangular_solve(
    input: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False, *, out: Any = None
) -> Any:
    """Deprecated: (solution, cloned_coefficient), the X with A @ X = input for a triangular A (A.mT if `transpose`), and A."""
    deprecate(
        "triangular_solve",
        "solve_triangularand will be removed in a future PyTorch release.\ntorch.linalg.solve_triangular has its arguments reversed and "
        "does not return a copy of one of the inputs.\nX = torch.triangular_solve(B, A).solution\nshould be replaced with\n"
        "X = torch.linalg.solve_triangular(A, B).",
    )
    for name, t in (("b", input), ("A", A)):
        require_tensor("triangular_solve", t, name)
        if t._data.ndim < 2:
            raise RuntimeError(
                f"torch.triangular_solve: Expected {name} to have at least 2 dimensions, but it has {t._data.ndim} dimensions instead"
            )
    require_square("triangular_solve", A)
    require_pair("triangular_solve", A, input)
    solvers.check_batches(A, input)
    require_kernel("triangular_solve_cpu", input)
    x = triangular(A.mT if transpose else A, input, upper != transpose, True, unitriangular)
    batch = x._data.shape[:-2]
    coefficient = A.expand((*batch, *A._data.shape[-2:])).clone()  # type: ignore[attr-defined]
    return finish("triangular_solve", named.triangular_solve(x, coefficient), out)


@public
def nuclear_norm(input: Tensor, dim: Any = (-2, -1), keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """Deprecated: as `linalg.matrix_norm(input, "nuc", dim, keepdim)`."""
    warn_once(
        "at::nuclear_norm is deprecated and it is just left for JIT compatibility. It will be removed in a future PyTorch release. Please "
        "use `linalg.matrix_norm(A, 'nuc', dim, keepdim)` instead",
    )
    return matrices.matrix_norm(input, "nuc", dim, keepdim, out=out)


@public
def frobenius_norm(input: Tensor, dim: Any, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """As `linalg.vector_norm(input, 2, dim, keepdim)`."""
    return matrices.vector_norm(input, 2, dim, keepdim, out=out)


# Low rank


def approximate_basis(A: Tensor, q: int, niter: int | None = 2, M: Tensor | None = None) -> Tensor:
    """Q (..., m, q) with orthonormal columns that nearly spans the columns of A (less M), by a random start and power iterations."""
    steps = 2 if niter is None else niter
    dtype = A.dtype
    x = randn(A._data.shape[-1], q, dtype=dtype)

    def times(v: Any) -> Any:
        return A @ v if M is None else A @ v - M @ v  # type: ignore[operator]

    def times_adjoint(v: Any) -> Any:
        return ops.T(A) @ v if M is None else ops.T(A) @ v - ops.T(M) @ v

    basis = factorizations.qr(times(x)).Q
    for _ in range(steps):
        basis = factorizations.qr(times_adjoint(basis)).Q
        basis = factorizations.qr(times(basis)).Q
    return basis


@public
def svd_lowrank(A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """(U, S, V) of rank q near A (less M), for matrices whose rank is small. Example: `U, S, V = svd_lowrank(A, q=3)`."""
    q = 6 if q is None else q
    m, n = A._data.shape[-2:]
    if M is not None:
        M = M.broadcast_to(A._data.shape)  # type: ignore[attr-defined]
    if m < n:
        A, M = ops.T(A), None if M is None else ops.T(M)
    basis = approximate_basis(A, q, niter, M)
    small = ops.T(basis) @ A
    if M is not None:
        small = small - ops.T(basis) @ M
    u, s, vh = factorizations.svd_parts(small, False)
    u, v = basis @ u, ops.T(vh)  # type: ignore[operator]
    return (v, s, u) if m < n else (u, s, v)


@public
def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """(U, S, V): V's columns are nearly the first q principal directions of the rows of A (..., m, n)."""
    m, n = A._data.shape[-2:]
    if q is None:
        q = min(6, m, n)
    elif not 0 <= q <= min(m, n):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    if not (A.dtype.is_floating_point or A.dtype.is_complex):
        raise ValueError(f"pca_lowrank expected floating point or complex tensor but got {A.dtype}")
    return svd_lowrank(A - A.mean(dim=(-2,), keepdim=True) if center else A, q, niter)  # type: ignore[attr-defined]


@public
def lobpcg(
    A: Tensor, k: int | None = None, B: Tensor | None = None, X: Tensor | None = None, n: int | None = None, iK: Tensor | None = None,
    niter: int | None = None, tol: float | None = None, largest: bool | None = None, method: str | None = None, tracker: Any = None,
    ortho_iparams: dict | None = None, ortho_fparams: dict | None = None, ortho_bparams: dict | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(E, X): the `k` (1) largest eigenvalues, or smallest if not `largest`, of symmetric A (..., m, m), and vectors (..., m, k).

    With a positive definite B they solve A x = e B x. Tensors being dense here, the eigenproblem is solved as a whole, exactly, whatever
    the iteration's parameters (`X`, `iK`, `niter`, `tol`, `method`, ...) are.

    Example: `lobpcg(diag(tensor([1., 5., 3.])))[0]` is `tensor([5.])`.
    """
    require_square("lobpcg", A)
    require_float("lobpcg", A)
    m = A._data.shape[-1]
    k = (1 if X is None else X._data.shape[-1]) if k is None else k
    n = (k if n is None else n) if X is None else X._data.shape[-1]
    if m < 3 * n:
        raise ValueError(
            f"LOBPCG algorithm is not applicable when the number of A rows (={m}) is smaller than 3 x the number of requested "
            f"eigenpairs (={n})"
        )
    for _ in range(prod(A._data.shape[:-2]) if X is None else 0):
        randn(m, n, dtype=A.dtype)  # PyTorch's first guesses: the random stream goes on as there
    factor = None
    if B is not None:
        factor = factorizations.cholesky(B)
        A = ops.over_triangular(ops.solve_triangular(factor, A, False, False), ops.T(factor), True)
    values, vectors = ops.eigh(A, "L")
    first = slice(None, k) if largest is False else slice(-1, -k - 1, -1)
    order = wrap(np.arange(m)[first].copy())
    values, vectors = values.index_select(-1, order), vectors.index_select(-1, order)
    if factor is not None:
        vectors = ops.solve_triangular(ops.T(factor), vectors, True, False)
    return values, vectors


# What PyTorch no longer has, and where its work is done now


def removed(name: str, instead: str) -> Callable:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"This function was deprecated since version 1.9 and is now removed: use {instead} in place of torch.{name}.")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = f"Removed: raises RuntimeError; use `{instead}`."
    return refuse


REMOVED = {
    "eig": "torch.linalg.eig(A), which gives complex tensors,", "lstsq": "torch.linalg.lstsq(A, B), with its arguments reversed,",
    "matrix_rank": "torch.linalg.matrix_rank(A)", "solve": "torch.linalg.solve(A, B), with its arguments reversed,",
    "symeig": "torch.linalg.eigh(A) or torch.linalg.eigvalsh(A)",
}  # fmt: skip
globals().update({name: removed(name, instead) for name, instead in REMOVED.items()})

__all__ = [
    "cholesky", "cholesky_inverse", "cholesky_solve", "det", "frobenius_norm", "geqrf", "inverse", "lobpcg", "logdet", "lu", "lu_solve",
    "lu_unpack", "matrix_exp", "matrix_power", "nuclear_norm", "orgqr", "ormqr", "pca_lowrank", "pinverse", "qr", "slogdet", "svd",
    "svd_lowrank", "triangular_solve", *REMOVED,
]  # fmt: skip
METHODS = [
    n for n in __all__
    if n not in ("frobenius_norm", "lobpcg", "lu_unpack", "matrix_rank", "nuclear_norm", "pca_lowrank", "svd_lowrank")
]  # fmt: skip
