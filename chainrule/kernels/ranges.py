"""Evenly spaced numbers, with PyTorch's roundings.

PyTorch fills ranges block by block with vector instructions, and each type has its own order of roundings; these give the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core.dtypes import bfloat16
from chainrule.kernels.random_exact import fma

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
SMALL = {np.dtype(np.float16), bfloat16.numpy}
LANES = {F32: 8, F64: 4}


def arange(start: Any, step: Any, count: int, dtype: np.dtype) -> np.ndarray:
    """`count` numbers from `start` by `step`.

    Example: `arange(0, 2, 3, np.dtype("int64"))` is `[0, 2, 4]`.
    """
    if dtype.kind in "iu":
        if isinstance(start, int) and isinstance(step, int):
            return np.arange(start, start + count * step, step, np.int64).astype(dtype)
        return (int(start) + int(step) * np.arange(count)).astype(dtype)
    index = np.arange(count, dtype=F64)
    start, step = float(start), float(step)
    values = fma(index, step, start)
    lanes = LANES.get(dtype)
    if lanes is None or count < 2 * lanes:
        return values.astype(F32).astype(dtype) if dtype in SMALL else values.astype(dtype)
    # Whole double vectors start from a number rounded to the type and go on from there.
    whole = count - count % (2 * lanes)
    bases = values[:whole:lanes].astype(dtype).astype(F64)[:, None]
    values[:whole] = (bases + np.arange(lanes) * step).reshape(-1)
    return values.astype(dtype)


def linspace(start: Any, end: Any, count: int, dtype: np.dtype) -> np.ndarray:
    """`count` numbers from `start` to `end` inclusive, computed from the nearer end.

    Example: `linspace(0, 1, 3, np.dtype("float32"))` is `[0, 0.5, 1]`.
    """
    if count == 1:
        return np.full(1, start).astype(dtype)
    if dtype.kind == "c":
        start, end = dtype.type(start), dtype.type(end)
        step = (end - start) / max(count - 1, 1)
        index = np.arange(count)
        return np.where(index < count // 2, start + step * index, end - step * (count - 1 - index)).astype(dtype)
    if dtype.kind in "iu":
        start, end = int(start), int(end)
        return (
            np.trunc(_symmetric(float(start), float(end), (float(end) - float(start)) / max(count - 1, 1), count, F64))
            .astype(np.int64)
            .astype(dtype)
        )
    first, last = dtype.type(start), dtype.type(end)
    step = (last - first) / dtype.type(max(count - 1, 1))
    return _symmetric(first, last, step, count, dtype)


def _symmetric(first: Any, last: Any, step: Any, count: int, dtype: np.dtype) -> np.ndarray:
    """first + i * step in the lower half, last - j * step in the upper one, each rounded once."""
    work = dtype if dtype in LANES else F32
    index = np.arange(count, dtype=work)
    half = count // 2
    lower = fma(index[:half], float(step), float(first))
    upper = fma(index[: count - half][::-1], -float(step), float(last))
    return np.concatenate([lower, upper]).astype(dtype)


def logspace(start: Any, end: Any, count: int, base: float, dtype: np.dtype) -> np.ndarray:
    """base ** linspace(start, end). Example: `logspace(0, 2, 3, 10.0, np.dtype("float32"))` is `[1, 10, 100]`."""
    if dtype.kind in "iu" and count != 1:
        start, end, index = int(start), int(end), np.arange(count)
        step = (end - start) / max(count - 1, 1)
        exponents = np.where(index < count // 2, start + step * index, end - step * (count - 1 - index))
        return np.power(float(base), exponents).astype(dtype)
    if count == 1:
        return np.power(base, np.full(1, start, F64 if dtype.kind != "c" else np.complex128)).astype(dtype)
    if dtype.kind == "c":
        return np.power(dtype.type(base), linspace(start, end, count, dtype))
    work = dtype if dtype in LANES else F32
    return np.power(work.type(base), linspace(start, end, count, work)).astype(dtype)
