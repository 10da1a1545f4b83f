"""Softmax of the rows of a matrix, and back: contiguous (n, d) arrays of float32 or float64, nothing empty.

Sums of rows are matrix-vector products, which BLAS does several times faster than NumPy's reductions. Exponentials are taken
without subtracting the row's maximum first, which costs more than all the rest, as long as their sums show that nothing was lost
by that; else they are taken again with it. Many float32 go to the compiled twins in `rows_numba`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core.silence import restore, silence
from chainrule.kernels import compiled as compiled_kernels, small
from chainrule.kernels.memory import keep_freed
from chainrule.kernels.threads import in_blocks

F32 = np.dtype(np.float32)
WORTH, SHARED = 1 << 14, 1 << 17  # elements from which Numba is worth its import, and waking other threads
_max, _min, _dot = np.maximum.reduce, np.minimum.reduce, np.dot
_ones: dict[bool, dict] = {True: {}, False: {}}  # whether of float32, and of which length


def ones(n: int, dtype: np.dtype) -> np.ndarray:
    """A vector of ones, kept for the next time; not to be written to."""
    kept = _ones[dtype is F32]
    found = kept.get(n)
    if found is None or found.dtype is not dtype:
        found = np.ones(n, dtype)
        if n <= 1 << 16:
            kept[n] = found
    return found


def sums(a: np.ndarray) -> np.ndarray:
    """The sum of each row; BLAS gets no matrix that it would share out among threads of its own."""
    return _dot(a, ones(a.shape[1], a.dtype)) if a.size <= 1 << 13 else np.einsum("ij->i", a)


def block(d: int) -> int:
    """The elements of a block, so few of short rows that BLAS does each in one thread."""
    return 1 << 13 if d < 64 else 1 << 16


def in_rows(work: Callable[[slice], Any], a: np.ndarray) -> None:
    """`work` for the rows of a, in blocks."""
    in_blocks(work, a.shape[0], a.shape[1], block(a.shape[1]))


def compiled(a: np.ndarray) -> bool:
    """Whether to take the compiled twins."""
    return a.size >= WORTH and a.dtype is F32


def run(name: str, *arrays: Any) -> None:
    """A compiled twin, in all threads if the first array is large."""
    from chainrule.kernels import rows_numba

    keep_freed()
    compiled_kernels.share(getattr(rows_numba, name), *arrays, alone=arrays[0].size < SHARED)


def softmax(a: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
    """exp(a) divided by its sum over the row."""
    if y is None and a.size >= WORTH:
        y = np.empty_like(a)
        if compiled(a):
            run("softmax", a, y)
        else:
            in_rows(lambda s: softmax(a[s], y[s]), a)
        return y
    token = silence()
    try:
        y = np.exp(a, y)
        if not scaled(y):
            np.subtract(a, _max(a, 1, None, None, True), y)
            np.exp(y, y)
            y /= sums(y)[:, None]
    finally:
        restore(token)
    return y


def plain(a: np.ndarray) -> bool:
    """Whether the small kernels take it."""
    return a.dtype is F32 and a.__class__ is np.ndarray and a.flags.c_contiguous


def scaled(y: np.ndarray) -> bool:
    """Divide exponentials by the sums of their rows, if these show that nothing was lost; else y is spoiled."""
    if plain(y):
        return small.scale_exponentials(y)
    total = sums(y)
    if not small.between(total, small.LEAST, small.MOST):
        return False
    y /= total[:, None]
    return True


def unsoftmax(g: np.ndarray, y: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """The cotangent of softmax's input, given that of its result y: y * (g - sum(g * y))."""
    if out is None and y.size >= WORTH:
        out = np.empty_like(y)
        if compiled(y):
            run("unsoftmax", np.ascontiguousarray(g), y, out)
        else:
            in_rows(lambda s: unsoftmax(g[s], y[s], out[s]), y)
        return out
    if plain(y) and plain(g):
        out = np.empty_like(y)
        small.unsoftmax(g, y, out)
        return out
    out = np.subtract(g, np.vecdot(g, y)[:, None], out)
    out *= y
    return out


def log_softmax(a: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
    """The logarithm of `softmax`."""
    if y is None and a.size >= WORTH:
        y = np.empty_like(a)
        if compiled(a):
            run("log_softmax", a, y)
        else:
            in_rows(lambda s: log_softmax(a[s], y[s]), a)
        return y
    token = silence()
    try:
        y = np.exp(a, y)
        if not without_logs(a, y):
            np.subtract(a, _max(a, 1, None, None, True), y)
            y -= np.log(sums(np.exp(y)))[:, None]
    finally:
        restore(token)
    return y


def without_logs(a: np.ndarray, y: np.ndarray) -> bool:
    """Make y, the exponentials of a, a less the logarithms of their sums, if these show that nothing was lost; else y is spoiled."""
    if plain(y) and plain(a):
        return small.subtract_logs(a, y)
    logs = np.log(sums(y))
    if not small.between(logs, small.LOG_LEAST, small.LOG_MOST):
        return False
    np.subtract(a, logs[:, None], y)
    return True


def logsumexp(a: np.ndarray) -> np.ndarray | None:
    """log(sum(exp(a))) of each row of many float32; None if these are not."""
    if not compiled(a):
        return None
    y = np.empty(len(a), F32)
    run("logsumexp", a, y)
    return y


def unlog_softmax(g: np.ndarray, y: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """The cotangent of log_softmax's input, given that of its result y: g - exp(y) * sum(g)."""
    if out is None and y.size >= WORTH:
        out = np.empty_like(y)
        if compiled(y):
            run("unlog_softmax", np.ascontiguousarray(g), y, out)
        else:
            in_rows(lambda s: unlog_softmax(g[s], y[s], out[s]), y)
        return out
    out = np.exp(y, out)
    if plain(out) and plain(g):
        small.unlog_softmax(g, out)
        return out
    out *= sums(g)[:, None]
    return np.subtract(g, out, out)


__all__ = ["WORTH", "block", "compiled", "log_softmax", "logsumexp", "ones", "run", "softmax", "sums", "unlog_softmax", "unsoftmax"]
