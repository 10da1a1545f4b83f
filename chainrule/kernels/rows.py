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
from chainrule.kernels import compiled as compiled_kernels
from chainrule.kernels.compiled import loose
from chainrule.kernels.memory import keep_freed
from chainrule.kernels.threads import in_blocks

F32 = np.dtype(np.float32)
WORTH, SHARED = 1 << 14, 1 << 17  # elements from which Numba is worth its import, and waking other threads
_max, _min, _dot = np.maximum.reduce, np.minimum.reduce, np.dot
LOWEST, HIGHEST = -7.0, 9.0  # logarithms of sums between which float32 keeps the last bits of a log-probability
_ones: dict[bool, dict] = {True: {}, False: {}}  # whether of float32, and of which length
FEW, LEAST, MOST = 64, 1e-15, 1e15  # rows up to which lists are faster; sums of exponentials from which softmax loses nothing


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


def between(a: np.ndarray, low: float, high: float) -> bool:
    """Whether all of a few numbers are; where a NaN is among them, either answer will do."""
    if a.size > FEW:
        return bool(_min(a) > low and _max(a) < high)
    numbers = a.tolist()
    return low < min(numbers) and max(numbers) < high


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
            run("softmax", a, loose(y))
        else:
            in_rows(lambda s: softmax(a[s], y[s]), a)
        return y
    token = silence()
    try:
        y = np.exp(a, y)
        total = sums(y)
        if not between(total, LEAST, MOST):
            np.subtract(a, _max(a, 1, None, None, True), y)
            np.exp(y, y)
            total = sums(y)
        y /= total[:, None]
    finally:
        restore(token)
    return y


def unsoftmax(g: np.ndarray, y: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """The cotangent of softmax's input, given that of its result y: y * (g - sum(g * y))."""
    if out is None and y.size >= WORTH:
        out = np.empty_like(y)
        if compiled(y):
            run("unsoftmax", np.ascontiguousarray(g), y, loose(out))
        else:
            in_rows(lambda s: unsoftmax(g[s], y[s], out[s]), y)
        return out
    out = np.subtract(g, np.vecdot(g, y)[:, None], out)
    out *= y
    return out


def log_sums(a: np.ndarray, y: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """log(sum(exp(a))) of each row, and what was subtracted from the row before (a column; None: nothing). y is room for a copy.

    Callers silence NumPy's warnings.
    """
    y = np.exp(a, y)
    logs = np.log(sums(y))
    if between(logs, LOWEST, HIGHEST):
        return logs, None
    top = _max(a, 1, None, None, True)
    np.subtract(a, top, y)
    np.exp(y, y)
    return np.log(sums(y)), top


def log_softmax(a: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
    """The logarithm of `softmax`."""
    if y is None and a.size >= WORTH:
        y = np.empty_like(a)
        if compiled(a):
            run("log_softmax", a, loose(y))
        else:
            in_rows(lambda s: log_softmax(a[s], y[s]), a)
        return y
    y = np.empty_like(a) if y is None else y
    token = silence()
    try:
        logs, top = log_sums(a, y)
        if top is not None:
            a = np.subtract(a, top, y)
        return np.subtract(a, logs[:, None], y)
    finally:
        restore(token)


def picked_losses(a: np.ndarray, places: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The logarithms of `softmax` at `places`, one in each row, without the others."""
    if a.size >= WORTH:
        return log_softmax(a)[places]
    token = silence()
    try:
        logs, top = log_sums(a)
        found = a[places] - logs
        return found if top is None else found - top[:, 0]
    finally:
        restore(token)


def unlog_softmax(g: np.ndarray, y: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """The cotangent of log_softmax's input, given that of its result y: g - exp(y) * sum(g)."""
    if out is None and y.size >= WORTH:
        out = np.empty_like(y)
        if compiled(y):
            run("unlog_softmax", np.ascontiguousarray(g), y, loose(out))
        else:
            in_rows(lambda s: unlog_softmax(g[s], y[s], out[s]), y)
        return out
    out = np.exp(y, out)
    out *= sums(g)[:, None]
    return np.subtract(g, out, out)


__all__ = ["WORTH", "block", "compiled", "log_softmax", "ones", "picked_losses", "run", "softmax", "sums", "unlog_softmax", "unsoftmax"]
