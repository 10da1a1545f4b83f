"""The rules of NumPy's functions on batched arrays: `FUNCTIONS[function](level, function, args, kwargs)`.

Most need only be told of the dimension in front: those that broadcast, that work along an axis, that change the shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.kernels.batched import (
    DYNAMIC,
    FUNCTIONS,
    WRITES_MORE,
    Batched,
    Level,
    NotBatched,
    aligned,
    along_axis,
    elementwise,
    front,
    inner,
    is_mapped,
    matmul,
    memory,
    one_by_one,
    rank_of,
    shifted,
    take_at,
    top,
    wrapped,
)  # fmt: skip


def broadcasting(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    return elementwise(level, function, args, kwargs.pop("out", None), kwargs)


def each(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    """Functions that look at elements, or at the last dimensions, of their first argument."""
    a = args[0]
    return wrapped(function(a.array, *args[1:], **kwargs), level, a.mapped)


def verdict(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    """any and all; without an axis kernels branch on them, and what they then ask is about all examples."""
    if len(args) == 1 and not kwargs:
        return bool(function(memory(args[0])))
    return along_axis(level, function, args, kwargs)


def last_axis(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    """Functions along `axis`, by default the last."""
    if len(args) < 2:
        kwargs = {"axis": -1, **kwargs}
    return along_axis(level, function, args, kwargs)


def axis_after(count: int) -> Callable:
    """Functions of an array, `count` other arguments that are no arrays, and `axis`, by default the last or none."""

    def rule(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
        a, *rest = args
        kwargs = dict(kwargs)
        if top(rest) is not None or a.__class__ is not Batched:
            return one_by_one(level, function, args, kwargs)
        others, axis = rest[:count], kwargs.pop("axis", rest[count] if len(rest) > count else None)
        if axis is None and function is not np.diff and function is not np.flip:
            flat = a.reshape(-1)
            y = wrapped(function(flat.array, *others, axis=shifted(0, a), **kwargs), level, a.mapped)
            return y.reshape(a.shape) if function is np.roll else y
        if axis is None:
            axis = -1 if function is np.diff else tuple(range(a.ndim))
        return wrapped(function(a.array, *others, axis=shifted(axis, a), **kwargs), level, a.mapped)

    return rule


def two_along(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    """take_along_axis."""
    a, index, *rest = args
    axis = kwargs.get("axis", rest[0] if rest else -1)
    rank = rank_of((a, index))
    if axis is None:
        return function(a.reshape(-1), index, 0)
    axis = axis % rank + 1
    return wrapped(function(front(a, level), front(index, level), axis), level)


def put_along(level: Level, function: Callable, args: tuple, kwargs: dict) -> None:
    a, index, values, *rest = args
    axis = kwargs.get("axis", rest[0] if rest else -1)
    if not is_mapped(a, level):
        raise NotBatched(WRITES_MORE)
    values = aligned(values, level, a.ndim)
    function(a.array, front(index, level), values, axis % a.ndim + 1)


def moveaxis(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    a, *axes = args
    axes = axes or [kwargs["source"], kwargs["destination"]]
    ends = [tuple(d) if isinstance(d, (tuple, list)) else (d,) for d in axes]
    source, target = [tuple([d % a.ndim + a.mapped for d in end]) for end in ends]
    return wrapped(np.moveaxis(a.array, source, target), level, a.mapped)


def expand_dims(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    a, axis = args[0], kwargs.get("axis", args[1] if len(args) > 1 else None)
    return wrapped(np.expand_dims(a.array, shifted(axis, a)), level, a.mapped)


def broadcast_to(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    a, shape = args[0], kwargs.get("shape", args[1] if len(args) > 1 else None)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if not a.mapped:
        return wrapped(np.broadcast_to(a.array, shape), level, False)
    return wrapped(np.broadcast_to(aligned(a, level, len(shape)), (level.size, *shape)), level)


def join(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    """concatenate and stack."""
    arrays, axis = args[0], kwargs.get("axis", args[1] if len(args) > 1 else 0)
    if kwargs.get("out") is not None:
        raise NotBatched("out= of a batched array")
    if not any([is_mapped(a, level) for a in arrays]):
        return wrapped(function([inner(a, level) for a in arrays], axis), level, False)
    return wrapped(function([front(a, level) for a in arrays], axis + 1 if axis >= 0 else axis), level)


def by_method(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    """Functions that are a method of their first argument."""
    return getattr(args[0], function.__name__)(*args[1:], **kwargs)


def like(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    """zeros_like and others: memory of its own for each example."""
    a, *rest = args
    kwargs = dict(kwargs)
    shape = kwargs.pop("shape", None)
    if a.__class__ is not Batched:  # the fill value is
        y = Batched(np.empty((level.size, *np.shape(a)), kwargs.get("dtype", a.dtype)), level)
        y[...] = rest[0]
        return y
    if a.mapped:
        shape = None if shape is None else (level.size, *((shape,) if isinstance(shape, int) else shape))
        return wrapped(function(a.array, *rest, **({} if shape is None else {"shape": shape}), **kwargs), level)
    shape = a.shape if shape is None else shape
    return wrapped(function(a.array, *rest, shape=(level.size, *shape), **kwargs), level)


def copyto(level: Level, function: Callable, args: tuple, kwargs: dict) -> None:
    target, value = args
    if target.__class__ is not Batched:
        shapes = list(target.shape), [level.size, *value.shape]
        raise NotBatched(f"output with shape {shapes[0]} doesn't match the broadcast shape {shapes[1]}")
    target[...] = value


def dot(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    a, b = args
    if max(a.ndim, b.ndim) > 2 or min(a.ndim, b.ndim) < 1:
        return one_by_one(level, function, args, kwargs)
    return matmul(level, a, b)


def tri(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    a = args[0]
    if a.ndim < 2:
        return one_by_one(level, function, args, kwargs)
    return each(level, function, args, kwargs)


def solve(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    a, b = args
    vector = b.ndim == 1
    if vector:
        b = b.reshape(-1, 1)
    rank = max(a.ndim, b.ndim)
    y = wrapped(function(*[aligned(v, level, rank) for v in (a, b)]), level, is_mapped(a, level) or is_mapped(b, level))
    return y.reshape(y.shape[:-1]) if vector else y


def trace(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    a, *rest = args
    offset, axis1, axis2 = (*rest, *(0, 0, 1)[len(rest) :])[:3]
    dtype = kwargs.get("dtype")
    return np.sum(a.diagonal(kwargs.get("offset", offset), kwargs.get("axis1", axis1), kwargs.get("axis2", axis2)), -1, dtype=dtype)


def rot90(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    a, *rest = args
    k, axes = (*rest, *(1, (0, 1))[len(rest) :])[:2]
    return wrapped(np.rot90(a.array, kwargs.get("k", k), shifted(kwargs.get("axes", axes), a)), level, a.mapped)


def take(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    a, index, *rest = args
    axis = kwargs.get("axis", rest[0] if rest else None)
    if axis is None:
        a, axis = a.reshape(-1), 0
    return take_at(a, (*(slice(None),) * (axis % a.ndim), index))


def cross(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    a, b = args[:2]
    rank = rank_of((a, b))
    axis = kwargs.get("axis", -1)
    a, b = [np.moveaxis(as_any(v), axis if axis < 0 else axis - rank, -1) for v in (a, b)]
    y = wrapped(np.cross(*[aligned(v, level, rank) for v in (a, b)]), level, is_mapped(a, level) or is_mapped(b, level))
    return np.moveaxis(y, -1, axis)


def as_any(v: Any) -> Any:
    return v if isinstance(v, Batched) else np.asarray(v)


def einsum(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    """In the form with lists of labels, the examples have a label of their own."""
    if isinstance(args[0], str) or "out" in kwargs:
        return one_by_one(level, function, args, kwargs)
    pairs, output = list(zip(args[0::2], args[1::2], strict=False)), args[-1] if len(args) % 2 else None
    if output is None:
        return one_by_one(level, function, args, kwargs)
    label = 1 + max([k for _, labels in pairs for k in labels if k is not Ellipsis] + [-1])
    given = [v for a, labels in pairs for v in (inner(a, level), [label, *labels] if is_mapped(a, level) else list(labels))]
    mapped = any([is_mapped(a, level) for a, _ in pairs])
    return wrapped(function(*given, [label, *output] if mapped else list(output), **kwargs), level, mapped)


def shares(level: Level, function: Callable, args: tuple, kwargs: dict) -> bool:
    return function(*[memory(a) for a in args], **kwargs)


def dynamic(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    raise NotBatched(DYNAMIC.format(f"aten::{function.__name__}"))


LINALG = np.linalg
RULES: dict[Any, Callable] = {
    **dict.fromkeys(
        (np.where, np.clip, np.isclose, np.isneginf, np.isposinf, np.nan_to_num),
        broadcasting,
    ),
    **dict.fromkeys((np.real, np.imag, np.angle, np.sinc, np.i0, np.round, np.real_if_close), each),
    **dict.fromkeys(
        (np.sum, np.prod, np.mean, np.max, np.min, np.argmax, np.argmin, np.count_nonzero, np.var, np.std, np.cumsum,
         np.cumprod, np.median, np.nansum, np.nanmax, np.nanmin, np.nanmean, np.amax, np.amin),
        along_axis,
    ),
    **dict.fromkeys((np.any, np.all), verdict),
    **dict.fromkeys((np.sort, np.argsort), last_axis),
    **dict.fromkeys((np.diff, np.roll, np.repeat, np.argpartition, np.partition), axis_after(1)),
    np.flip: axis_after(0),
    np.take_along_axis: two_along,
    np.put_along_axis: put_along,
    np.moveaxis: moveaxis,
    np.expand_dims: expand_dims,
    np.broadcast_to: broadcast_to,
    **dict.fromkeys((np.concatenate, np.stack), join),
    **dict.fromkeys((np.reshape, np.transpose, np.swapaxes, np.squeeze, np.ravel, np.diagonal, np.copy), by_method),
    **dict.fromkeys((np.zeros_like, np.ones_like, np.empty_like, np.full_like), like),
    np.copyto: copyto,
    np.take: take,
    np.dot: dot,
    np.cross: cross,
    np.einsum: einsum,
    np.trace: trace,
    np.rot90: rot90,
    **dict.fromkeys((np.tril, np.triu), tri),
    **dict.fromkeys(
        (LINALG.det, LINALG.slogdet, LINALG.inv, LINALG.cholesky, LINALG.eigh, LINALG.eigvalsh, LINALG.eig, LINALG.eigvals, LINALG.svd,
         LINALG.qr, LINALG.pinv),
        each,
    ),
    LINALG.solve: solve,
    **dict.fromkeys((np.shares_memory, np.may_share_memory), shares),
    **dict.fromkeys((np.nonzero, np.argwhere, np.unique), dynamic),
    np.flatnonzero: lambda level, function, args, kwargs: np.flatnonzero(memory(args[0])),  # where something is wrong
    np.shape: lambda level, function, args, kwargs: args[0].shape,
    np.ndim: lambda level, function, args, kwargs: args[0].ndim,
    np.size: lambda level, function, args, kwargs: args[0].size,
    np.iscomplexobj: lambda level, function, args, kwargs: args[0].dtype.kind == "c",
    np.result_type: lambda level, function, args, kwargs: np.result_type(*[memory(a) for a in args]),
}  # fmt: skip
FUNCTIONS.update(RULES)
