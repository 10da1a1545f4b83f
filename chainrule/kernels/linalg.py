"""Matrices by LAPACK: factorizations, solutions, exponentials, of one matrix or of batches (..., m, n).

NumPy has most of it for whole batches. What only SciPy has (LU with its pivots, triangular solutions, LDL) takes one matrix at a time,
so many small ones go through a NumPy loop over columns instead. `info` is LAPACK's: 0, or which pivot (from 1) stopped it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from chainrule.kernels.batched import leading
from chainrule.kernels.compiled import one_blas_thread

Arrays = tuple[np.ndarray, ...]


def each(function: Callable, *arrays: np.ndarray) -> list[Any]:
    """The results of a function of one matrix, stacked over the batch, which all arrays have."""
    batch = arrays[0].shape[:-2]
    if not batch:
        return [np.asarray(part) for part in function(*arrays)]
    rows = [function(*[a[i] for a in arrays]) for i in np.ndindex(*batch)]
    return [np.stack([np.asarray(r[k]) for r in rows]).reshape((*batch, *np.shape(rows[0][k]))) for k in range(len(rows[0]))]


def spread(a: np.ndarray, b: np.ndarray) -> Arrays:
    """Two arrays with their batches broadcast."""
    if a.shape[:-2] == b.shape[:-2]:
        return a, b
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return np.broadcast_to(a, (*batch, *a.shape[-2:])), np.broadcast_to(b, (*batch, *b.shape[-2:]))


def fine(a: np.ndarray) -> np.ndarray:
    """The info of matrices with which all went well."""
    return np.zeros(a.shape[:-2], np.int32)


def lapack(name: str, dtype: np.dtype) -> Any:
    from scipy.linalg import lapack as library

    return getattr(library, "sdcz"["fdFD".index(dtype.char)] + name)


# Inverses and solutions


def least_squares(a: np.ndarray, b: np.ndarray, relative: float) -> Arrays:
    """(x, rank): x of least norm with a @ x closest to b, by QR with pivots; `relative` is LAPACK's bound of a condition number."""
    a, b = spread(a, b)
    m, n = a.shape[-2:]
    find, size = lapack("gelsy", a.dtype), lapack("gelsy_lwork", a.dtype)
    work = int(np.real(size(m, n, b.shape[-1], relative)[0]))

    def one(a: np.ndarray, b: np.ndarray) -> Arrays:
        tall = np.zeros((max(m, n), b.shape[-1]), a.dtype)
        tall[:m] = b
        _, x, _, rank, _ = find(a, tall, np.zeros(n, np.int32), relative, work)
        return x[:n], rank

    with one_blas_thread():  # the other one waits longer for work than there is of it
        x, rank = each(one, a, b)
    return np.ascontiguousarray(x), rank.astype(np.int64)


def inverse(a: np.ndarray) -> Arrays:
    """(inverse, info); NaN for singular matrices."""
    try:
        return np.linalg.inv(a), fine(a)
    except np.linalg.LinAlgError:
        info = lu(a)[2]
        good = np.where((info == 0)[..., None, None], a, np.eye(a.shape[-1], dtype=a.dtype))
        return np.where((info == 0)[..., None, None], np.linalg.inv(good), np.nan).astype(a.dtype), info


def solve(a: np.ndarray, b: np.ndarray) -> Arrays:
    """(x, info) with a @ x = b; NaN for singular matrices."""
    try:
        return np.linalg.solve(a, b), fine(a)
    except np.linalg.LinAlgError:
        info = lu(a)[2]
        good = np.where((info == 0)[..., None, None], a, np.eye(a.shape[-1], dtype=a.dtype))
        return np.where((info == 0)[..., None, None], np.linalg.solve(good, b), np.nan).astype(a.dtype), info


def solve_triangular(a: np.ndarray, b: np.ndarray, upper: bool, unit: bool) -> np.ndarray:
    """x with a @ x = b, of a only one triangle being read (without its diagonal, which is ones, if `unit`)."""
    a, b = spread(a, b)
    n, count = a.shape[-1], prod(a.shape[:-2])
    if not b.size:
        return np.zeros(b.shape, b.dtype)
    if count <= n:
        from scipy.linalg import blas

        trsm = getattr(blas, "sdcz"["fdFD".index(a.dtype.char)] + "trsm")
        # Transposed, rows are what BLAS takes for columns: no copy of a is made.
        return each(lambda m, v: (np.ascontiguousarray(trsm(1, m.T, v, lower=upper, trans_a=1, diag=unit)),), a, b)[0]
    x = np.empty(b.shape, b.dtype)
    with np.errstate(all="ignore"):
        for i in reversed(range(n)) if upper else range(n):
            known = slice(i + 1, n) if upper else slice(0, i)
            row = b[..., i, :] - np.matmul(a[..., i : i + 1, known], x[..., known, :])[..., 0, :]
            x[..., i, :] = row if unit else row / a[..., i, i, None]
    return x


# Factorizations


@leading
def lu(a: np.ndarray) -> Arrays:
    """(L and U in one matrix, pivots, info): row i was exchanged with row pivots[i] (from 1), for each i in turn."""
    m, n = a.shape[-2:]
    k = min(m, n)
    if not a.size:
        return a.copy(), np.zeros((*a.shape[:-2], k), np.int32), fine(a)
    if prod(a.shape[:-2]) <= k:
        getrf = lapack("getrf", a.dtype)
        packed, pivots, info = each(getrf, a)
        return packed, pivots.astype(np.int32) + 1, info.astype(np.int32)
    return eliminate(a.reshape(-1, m, n).copy(), a.shape[:-2])


def eliminate(a: np.ndarray, batch: tuple) -> Arrays:
    """Gauss's elimination of a batch of small matrices at once, overwriting them."""
    count, m, n = a.shape
    k = min(m, n)
    pivots, info, every = np.empty((count, k), np.int32), np.zeros(count, np.int32), np.arange(count)
    with np.errstate(all="ignore"):
        for j in range(k):
            column = a[:, j:, j]
            size = np.abs(column) if a.dtype.kind != "c" else np.abs(column.real) + np.abs(column.imag)
            chosen = size.argmax(1) + j
            pivots[:, j] = chosen + 1
            a[:, j], a[every, chosen] = a[every, chosen], a[:, j].copy()
            pivot = a[:, j, j, None]
            info[(pivot[:, 0] == 0) & (info == 0)] = j + 1
            a[:, j + 1 :, j] /= np.where(pivot == 0, a.dtype.type(1), pivot)
            a[:, j + 1 :, j + 1 :] -= a[:, j + 1 :, j, None] * a[:, j, None, j + 1 :]
    return a.reshape((*batch, m, n)), pivots.reshape((*batch, k)), info.reshape(batch)


def permutation(pivots: np.ndarray, m: int) -> np.ndarray:
    """The order (..., m) in which the exchanges `pivots` leave the rows."""
    if pivots.ndim == 1:
        rows = list(range(m))
        for i, other in enumerate(pivots.tolist()):
            rows[i], rows[other - 1] = rows[other - 1], rows[i]
        return np.array(rows)
    order = np.broadcast_to(np.arange(m), (*pivots.shape[:-1], m)).copy()
    for i in range(pivots.shape[-1]):
        other = pivots[..., i, None].astype(np.int64) - 1
        there = np.take_along_axis(order, other, -1)
        np.put_along_axis(order, other, order[..., i, None], -1)
        order[..., i, None] = there
    return order


@leading
def permutation_matrix(pivots: np.ndarray, m: int, dtype: np.dtype) -> np.ndarray:
    """P with P @ L @ U the matrix that was factorized."""
    return (np.arange(m)[:, None] == permutation(pivots, m)[..., None, :]).astype(dtype)


def cholesky(a: np.ndarray, upper: bool) -> Arrays:
    """(factor, info); of a matrix that is not positive definite, what LAPACK had done before it stopped."""
    try:
        return np.linalg.cholesky(a, upper=upper), fine(a)
    except np.linalg.LinAlgError:
        potrf = lapack("potrf", a.dtype)
        factor, info = each(lambda m: potrf(m, lower=not upper, clean=True), a)
        return factor, info.astype(np.int32)


def qr(a: np.ndarray, mode: str) -> Arrays:
    """(Q, R) of mode "reduced" or "complete"; Q is empty for mode "r"."""
    if mode == "r":
        return np.empty(0, a.dtype), np.asarray(np.linalg.qr(a, "r"))
    q, r = np.linalg.qr(a, mode)  # type: ignore[call-overload]
    return q, r


@leading
def reflectors(a: np.ndarray) -> Arrays:
    """(R and below it the reflectors that make Q, their scales)."""
    packed, tau = np.linalg.qr(a, "raw")
    return np.ascontiguousarray(packed.swapaxes(-1, -2)), tau


def svd(a: np.ndarray, full: bool) -> Arrays:
    """(U, S, Vh)."""
    u, s, vh = np.linalg.svd(a, full)
    return u, s, vh


@leading
def eig(a: np.ndarray) -> Arrays:
    """(eigenvalues, eigenvectors), complex always."""
    w, v = np.linalg.eig(a)
    complex_type = np.result_type(a.dtype, np.complex64)
    return w.astype(complex_type, copy=False), v.astype(complex_type, copy=False)


@leading
def ldl(a: np.ndarray, hermitian: bool) -> Arrays:
    """(L and D in one matrix, pivots, info) of the lower triangle of a symmetric (or Hermitian) matrix."""
    if not a.size:
        return a.copy(), np.zeros(a.shape[:-1], np.int32), fine(a)
    trf = lapack("hetrf" if hermitian and a.dtype.kind == "c" else "sytrf", a.dtype)
    packed, pivots, info = each(lambda m: trf(m, lower=True), a)
    return np.tril(packed), pivots.astype(np.int32), info.astype(np.int32)


def ldl_solve(packed: np.ndarray, pivots: np.ndarray, b: np.ndarray, hermitian: bool) -> np.ndarray:
    """x with a @ x = b, of the `ldl` of a."""
    packed, b = spread(packed, b)
    if not b.size:
        return b.copy()
    trs = lapack("hetrs" if hermitian and packed.dtype.kind == "c" else "sytrs", packed.dtype)
    pivots = np.broadcast_to(pivots, (*packed.shape[:-2], pivots.shape[-1]))[..., None]
    return each(lambda m, p, v: trs(m, p[:, 0], v, lower=True)[:1], packed, pivots, b)[0]


def matrix_exp(a: np.ndarray) -> np.ndarray:
    """The exponential of square matrices."""
    if not a.size:
        return a.copy()
    from scipy.linalg import expm

    return expm(a).astype(a.dtype, copy=False)
