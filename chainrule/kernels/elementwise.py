"""Elementwise work on large arrays: in blocks that fit the cache, on all threads.

A formula like `a / (1 + exp(-a))` passes over memory once for each operation in it. Block by block, what it makes on the way stays
in the cache, and while NumPy computes one block, which it does without the GIL, the other threads compute others.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from math import copysign
from typing import Any

import numpy as np

from chainrule._core.silence import restore, silence
from chainrule.kernels.compiled import helper_awake, share
from chainrule.kernels.memory import keep_freed
from chainrule.kernels.reductions import count, transposed as transposed_copy
from chainrule.kernels.threads import MANY, in_blocks

try:
    from numpy._core.umath import clip
except ImportError:

    def clip(a: Any, low: Any, high: Any) -> Any:
        """a bounded by low and high."""
        return np.minimum(np.maximum(a, low), high)


ndarray, ufunc = np.ndarray, np.ufunc
F32 = np.dtype(np.float32)
ONES = {d: np.ones((), d) for d in (F32, np.dtype(np.float64))}  # faster operands than Python's numbers
BLOCK = 1 << 17  # elements; smaller blocks have the threads wait for the GIL more than they save


def blockwise(kernel: Callable, *operands: Any) -> Any:
    """kernel(*operands), which is elementwise in those of them that are arrays; these may broadcast."""
    arrays = [v for v in operands if v.__class__ is ndarray and v.ndim]
    shape = common_shape(arrays)
    size = count(shape)
    if size < MANY:
        return kernel(*operands)
    if getattr(kernel, "whole", False) and arrays[0].dtype is F32 and arrays[0].flags.c_contiguous:
        keep_freed()
        return kernel(*operands)
    if not all([v.flags.c_contiguous or not any(v.strides) for v in arrays]):
        return transposed(kernel, operands, arrays, shape)
    if all([v.flags.c_contiguous and v.shape == shape for v in arrays]):  # one row
        operands = tuple([v.reshape(-1) if v.__class__ is ndarray and v.ndim else v for v in operands])
        inner = (size,)
    else:
        inner = shape
    cut = [v.__class__ is ndarray and v.ndim == len(inner) and v.shape[0] == inner[0] for v in operands]
    sample = np.asarray(kernel(*[v[:1] if c else v for v, c in zip(operands, cut, strict=True)]))
    if sample.shape != (1, *inner[1:]):
        return kernel(*operands)
    keep_freed()
    result = np.empty(shape, sample.dtype)  # and no view of anything, so that it can become a gradient as it is
    y = result.reshape(inner)
    direct: Any = kernel if kernel.__class__ is ufunc else getattr(kernel, "ufunc", None)

    def into(place: slice) -> None:
        direct(*[v[place] if c else v for v, c in zip(operands, cut, strict=True)], out=y[place])

    def copied(place: slice) -> None:
        y[place] = kernel(*[v[place] if c else v for v, c in zip(operands, cut, strict=True)])

    if direct is not None and sample.dtype.kind == "f":  # nothing is made on the way, so blocks may be larger
        token = silence()
        try:
            in_blocks(into, inner[0], size // inner[0], max(BLOCK, size // 8))
        finally:
            restore(token)
    else:
        in_blocks(copied, inner[0], size // inner[0], BLOCK)
    return result


def transposed(kernel: Callable, operands: tuple, arrays: list, shape: tuple) -> Any:
    """`blockwise` where all arrays lie in the same order, but not in C's."""
    first = arrays[0]
    order = sorted(range(first.ndim), key=lambda d: -first.strides[d])
    turned = tuple([v.transpose(order) if v.__class__ is ndarray and v.shape == shape else v for v in operands])
    if not all([v.shape == shape and v.transpose(order).flags.c_contiguous for v in arrays]):
        return kernel(*operands)
    return blockwise(kernel, *turned).transpose(sorted(range(len(order)), key=order.__getitem__))


SCATTERED = 1 << 11  # elements from which a choice element by element costs more than arithmetic on bits
MASKS = {1: np.dtype(np.int8), 2: np.dtype(np.int16), 4: np.dtype(np.int32), 8: np.dtype(np.int64)}


def select(mask: Any, a: Any, b: Any) -> Any:
    """np.where(mask, a, b), mask being bools; a Python number takes the type of the other, which is an array."""
    if mask is False and a.__class__ is ndarray and is_zero(b):
        return np.zeros_like(a)
    few = mask.__class__ is not ndarray or mask.size < SCATTERED
    if few and a.__class__ is ndarray and (b.__class__ is ndarray or a.dtype is F32):
        return np.where(mask, a, b)
    if not hasattr(a, "dtype"):
        dtype = b.dtype
    elif hasattr(b, "dtype") and b.dtype is not a.dtype:
        return np.where(mask, a, b)
    else:
        dtype = a.dtype
    word = MASKS.get(dtype.itemsize)
    if few or word is None:
        return np.where(mask, *[v if hasattr(v, "dtype") else np.asarray(v, dtype) for v in (a, b)])
    keep = mask.view(np.int8)
    if is_zero(b):
        return (np.negative(keep).astype(word) & a.view(word)).view(dtype)
    if is_zero(a):
        return ((keep - 1).astype(word) & b.view(word)).view(dtype)
    a, b = [(v if hasattr(v, "dtype") else np.asarray(v, dtype)).view(word) for v in (a, b)]
    y = a ^ b
    return ((y & np.negative(keep).astype(word)) ^ b).view(dtype)


def is_zero(v: Any) -> bool:
    """Whether v is a Python number whose bits are all 0."""
    return (v.__class__ is int or v.__class__ is float) and v == 0 and copysign(1, v) > 0


def whole(kernel: Callable) -> Callable:
    """Say that a kernel uses `compiled`, so that it need not be called block by block."""
    kernel.whole = True  # type: ignore[attr-defined]
    return kernel


COMPILED = 1 << 13  # elements from which a compiled kernel is worth it


def compiled(name: str, a: Any, low: float = 0.0, high: float = 0.0) -> np.ndarray | None:
    """The formula of that name in `elementwise_numba`, of many float32; None if these are not.

    It shares its work itself, except for that of a block, of which the other threads have their own.
    """
    if a.__class__ is not ndarray or a.size < COMPILED or a.dtype is not F32 or not a.flags.c_contiguous:
        return None
    formulas = room()
    keep_freed()
    y = np.empty_like(a)
    share(formulas.apply, formulas.FORMULAS[name], a.ravel(), y.ravel(), low, high, alone=a.size < MANY)
    return y


@cache
def room() -> Any:
    """The compiled kernels."""
    from chainrule.kernels import elementwise_numba

    return elementwise_numba


def one_pass(name: str, rule: Callable) -> Callable:
    """Say that `in_one_pass` knows the rule of a pointwise op under this name."""
    rule.one_pass = name  # type: ignore[attr-defined]
    return rule


def in_one_pass(name: str, kernel: Callable, *operands: Any) -> Any:
    """`blockwise(kernel, *operands)`, by the compiled formula of that name if the operands are two or three arrays of float32 alike."""
    y = combined(name, *operands)
    return blockwise(kernel, *operands) if y is None else y


def combined(name: str, *operands: Any) -> np.ndarray | None:
    """The formula of that name in `elementwise_numba` of arrays, and last of a number; None if these are not many float32 alike."""
    formulas = room()
    which, count, wanted = formulas.PAIRS[name]
    settings = operands[count:]
    if wanted is not None and settings != wanted:
        return None
    first = operands[0]
    shape, flat = first.shape, []
    for v in operands[:count]:
        if v.__class__ is not ndarray or v.dtype is not F32 or v.shape != shape or not v.flags.c_contiguous:
            return None
        flat.append(v.ravel())
    keep_freed()
    y = np.empty_like(first)
    setting = float(settings[0]) if settings else 0.0
    share(formulas.combine, which, flat[0], flat[1], flat[-1], y.ravel(), setting, alone=y.size < MANY)
    return y


def within(g: Any, a: Any, low: float, high: float) -> np.ndarray | None:
    """g where a lies between the bounds, else 0; None if these are not many float32 alike."""
    if a.__class__ is not ndarray or g.__class__ is not ndarray or a.size < COMPILED or a.dtype is not F32 or g.dtype is not F32:
        return None
    if g.shape != a.shape or not (a.flags.c_contiguous and g.flags.c_contiguous):
        return None
    keep_freed()
    y = np.empty_like(a)
    share(room().within, g.ravel(), a.ravel(), y.ravel(), float(low), float(high), alone=a.size < MANY)
    return y


SPREAD = 1 << 15  # elements from which a helper who is awake saves time
SPREADABLE = frozenset((np.sqrt, np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum))


def way_of_many(kernel: Callable) -> tuple[int, Callable]:
    """From how many elements on an elementwise kernel is not just called, and what calls it then, with the kernel and its operands."""
    plain = kernel if kernel.__class__ is ufunc else getattr(kernel, "ufunc", None)
    return (SPREAD, partial(spread, plain.__name__)) if plain in SPREADABLE else (MANY, blockwise)


def spread(name: str, kernel: Callable, *operands: Any) -> Any:
    """kernel(*operands), a ufunc for which there is a formula of that name, too, which shares less work than `blockwise` does."""
    if operands[0].size >= MANY:
        return blockwise(kernel, *operands)
    y = None
    if helper_awake():
        y = compiled(name, *operands) if len(operands) == 1 else combined(name, *operands)
    return kernel(*operands) if y is None else y


def copy(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    """y, all of it overwritten by a, which may broadcast."""
    if transposed_copy(a, y):
        return y
    if y.size < MANY or not y.ndim:
        y[...] = a
    else:
        a = np.broadcast_to(a, y.shape)
        in_blocks(lambda place: np.copyto(y[place], a[place]), len(y), y.size // len(y), BLOCK)
    return y


def common_shape(arrays: list) -> tuple:
    """The shape that arrays broadcast to."""
    shapes = [v.shape for v in arrays]
    return shapes[0] if shapes and all([s == shapes[0] for s in shapes]) else np.broadcast_shapes(*shapes)

