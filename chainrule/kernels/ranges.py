"""Evenly spaced numbers, with PyTorch's roundings.

PyTorch fills ranges block by block with vector instructions, and each type has its own order of roundings; these give the same bits.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from chainrule._core.dtypes import bfloat16
from chainrule.kernels.random_exact import fma

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
SMALL = {np.dtype(np.float16), bfloat16.numpy}
LANES = {F32: 8, F64: 4, **dict.fromkeys(SMALL, 16)}


def arange(start: Any, step: Any, count: int, dtype: np.dtype) -> np.ndarray:
    """`count` numbers from `start` by `step`.

    Example: `arange(0, 2, 3, np.dtype("int64"))` is `[0, 2, 4]`.
    """
    if dtype.kind in "iu":
        if isinstance(start, int) and isinstance(step, int):
            return np.arange(start, start + count * step, step, np.int64).astype(dtype)
        return (int(start) + int(step) * np.arange(count)).astype(dtype)
    work = F32 if dtype in SMALL else F64
    start, step = work.type(start), work.type(step)
    values = fma(np.arange(count, dtype=work), step, start)
    lanes = LANES.get(dtype, count)
    whole = count - count % (2 * lanes) if lanes else 0
    if dtype.kind == "f" or dtype in SMALL:
        # Whole double vectors start from a number rounded to the type and go on from there.
        bases = values[:whole:lanes].astype(dtype).astype(work)
        values[:whole] = np.stack([fused(bases, k, step) for k in range(lanes)], 1).reshape(-1)[:whole] if whole else values[:0]
    return values.astype(dtype)


def fused(a: np.ndarray, k: int, step: Any) -> np.ndarray:
    """a + k * step, rounded once."""
    high = k * step
    low = step.dtype.type(Fraction(k) * Fraction(float(step)) - Fraction(float(high)))
    total = a + high
    part = total - a
    return total + (((a - (total - part)) + (high - part)) + low)


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
    """first + i * step in the lower half, last - j * step in the upper one: rounded once, or, of 2-byte types, at every step."""
    index = np.arange(count, dtype=dtype)
    half = count // 2
    lower, upper = index[:half], index[: count - half][::-1]
    if dtype in SMALL:
        return np.concatenate([first + step * lower, last - step * upper]).astype(dtype)
    return np.concatenate([fma(lower, float(step), float(first)), fma(upper, -float(step), float(last))]).astype(dtype)


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
    work = F32 if dtype in SMALL else dtype
    return np.power(work.type(base), linspace(start, end, count, work)).astype(dtype)
