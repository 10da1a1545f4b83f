"""Products of matrices: by NumPy, or by the threads of compiled kernels where these are in use.

NumPy's BLAS has threads of its own, which go on looking for work after each product, on the cores that the helpers of a compiled
kernel then have to share with them, and in a batch they share out every small product. So from the first kernel on large products
are shared out among the helpers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.kernels.compiled import one_blas_thread, pool, share
from chainrule.kernels.desk import Desk
from chainrule.kernels.memory import keep_freed

TYPES = (np.dtype(np.float32), np.dtype(np.float64))
SMALL = 1 << 12  # numbers; a product of smaller matrices is not large
LARGE, WORTH = 1 << 22, 1 << 24  # multiplications from which to share, and from which to wake a helper
WIDE = 256  # rows or columns to a piece that may be several to a thread: BLAS copies the other factor for each

Factor = tuple[bool, int, np.ndarray]  # as the kernels take one


def product(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None) -> Any:
    """a (m, k) @ b (k, n) + bias (n), new.

    Example:
        >>> product(np.eye(2), np.ones((2, 3)), np.arange(3.0))
        array([[1., 2., 3.],
               [1., 2., 3.]])
    """
    if (factors := shareable(a, b)) and (bias is None or (bias.dtype == a.dtype and bias.flags.c_contiguous)):
        (m, k), n = a.shape, b.shape[1]
        y = np.empty((m, n), a.dtype)
        tall, wide = (piece(m), n) if m >= n else (m, piece(n))
        flat = y.reshape(-1)
        run("multiply", m * n * k, *factors, flat[:0] if bias is None else bias, flat, m, n, k, tall, wide, -(-m // tall) * -(-n // wide))
        return y
    y = np.dot(a, b)
    if bias is not None:
        y += bias
    return y


def products(a: np.ndarray, b: np.ndarray) -> Any:
    """a (..., m, k) @ b (..., k, n), new; batches broadcast.

    Example:
        >>> products(np.ones((3, 1, 2)), np.ones((3, 2, 1))).ravel()
        array([2., 2., 2.])
    """
    if a.shape[:-2] == b.shape[:-2] and (factors := shareable(a, b)):
        *batch, m, k = a.shape
        n = b.shape[-1]
        y = np.empty((*batch, m, n), a.dtype)
        count = y.size // (m * n)
        group = max(1, min(LARGE // (m * n * k), count // (2 * pool.threads)))
        run("multiply_each", y.size * k, *factors, places(a), places(b), y.reshape(-1), m, n, k, group, -(-count // group))
        return y
    return np.matmul(a, b)


def shareable(a: np.ndarray, b: np.ndarray) -> tuple | None:
    """Both factors as the kernels take them; None if their product is NumPy's business."""
    if Desk.room is None or pool.threads == 1 or a.size * b.shape[-1] < LARGE or a.dtype != b.dtype or a.dtype not in TYPES:
        return None
    first, second = factor(a), factor(b)
    return first and second and (*first, *second)


def factor(a: np.ndarray) -> Factor | None:
    """How the matrices in a lie in memory: whether transposed, the step from row to row, and the first element of the first."""
    size = a.itemsize
    (rows, columns), (down, across) = a.shape[-2:], a.strides[-2:]
    if not a.flags.aligned:
        return None
    flip = across != size
    if flip:
        rows, columns, down, across = columns, rows, across, down
    if across != size or down % size or down < columns * size:
        return None
    return flip, down // size, a[(0,) * (a.ndim - 1)][:1]


def places(a: np.ndarray) -> np.ndarray:
    """Where each of the matrices in a begins, counted in numbers from the first."""
    found = np.zeros(1, np.int64)
    for length, step in zip(a.shape[:-2], a.strides[:-2], strict=True):
        found = np.add.outer(found, np.arange(length) * (step // a.itemsize)).reshape(-1)
    return found


def run(name: str, multiplications: int, *args: Any) -> None:
    """A kernel, which does so many multiplications."""
    from chainrule.kernels import products_numba

    keep_freed()
    with one_blas_thread():
        share(getattr(products_numba, name), *args, alone=multiplications < WORTH)


def piece(count: int) -> int:
    """How many of so many rows, or columns, to a piece: a multiple of 16, one piece for each thread, two if that leaves them wide."""
    parts = pool.threads * (2 if count >= 2 * WIDE * pool.threads else 1)
    return -(-count // (16 * parts)) * 16


__all__ = ["SMALL", "product", "products"]
