"""Batched arrays: what is written for one example runs on many at once.

A `Batched` looks like the array of one example; the array that it holds has a further dimension, in front, for the examples of one
`vmap` (its `level`). It is no ndarray, so nothing can overlook it: operators and NumPy's functions reach the rules below by NumPy's
own protocols, and what has no rule goes example by example. Levels nest; the innermost `vmap` is outermost here.

A Batched that is not `mapped` holds the same array for all examples; it says only that it was made inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np

from chainrule._core import modes

next_rank = count().__next__
FUNCTIONS: dict[Any, Callable] = {}  # the rules of NumPy's functions, which `batched_numpy` states

ITEM = (
    "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over calling .item() on a Tensor, please try to "
    "rewrite what you're doing with other operations. If error is occurring somewhere inside PyTorch internals, please file a bug report."
)
BRANCH = (
    "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow. We don't support that yet, please file "
    "an issue at https://github.com/pytorch/pytorch/issues ."
)
NO_STORAGE = "Cannot access data pointer of Tensor that doesn't have storage"
DYNAMIC = (
    "vmap: We do not support batching operators that can output dynamic shape. Attempted to vmap over {}. Please file an issue at "
    "https://github.com/pytorch/pytorch/issues if you need this feature."
)
MASK = (
    "vmap: We do not support batching operators that can support dynamic shape. Attempting to batch over indexing with a boolean mask."
)
WRITES_MORE = (
    "vmap: inplace arithmetic(self, *extra_args) is not possible because there exists a Tensor `other` in extra_args that has more "
    "elements than `self`. This happened due to `other` being vmapped over but `self` not being vmapped over in a vmap. Please try to use "
    "out-of-place operators instead of inplace arithmetic. If said operator is being called inside the PyTorch framework, please file a "
    "bug report instead."
)


class Level:
    """One call of `vmap`: how many examples it has, and what it does about random numbers. Inner calls have higher ranks."""

    __slots__ = ("size", "rank", "randomness", "__weakref__")

    def __init__(self, size: int, randomness: str = "error") -> None:
        self.size, self.randomness, self.rank = size, randomness, next_rank()
        modes.count_level(1)

    def __del__(self, count: Callable = modes.count_level) -> None:
        count(-1)


class NotBatched(RuntimeError):
    """A kernel asked for the memory, or for the one value, of a Batched: it has to go example by example."""


class Batched(np.lib.mixins.NDArrayOperatorsMixin):
    """The array of one example; `array` holds those of all, if `mapped` in a further dimension in front.

    `dim` is set for what has just been entered: where that dimension was.
    """

    __slots__ = ("array", "level", "mapped", "dim")

    def __init__(self, array: Any, level: Level, mapped: bool = True) -> None:
        self.array, self.level, self.mapped = array, level, mapped

    # What it looks like

    @property
    def shape(self) -> tuple:
        return self.array.shape[1:] if self.mapped else self.array.shape

    @property
    def strides(self) -> tuple:
        return self.array.strides[1:] if self.mapped else self.array.strides

    @property
    def ndim(self) -> int:
        return self.array.ndim - self.mapped

    @property
    def size(self) -> int:
        n = 1
        for k in self.shape:
            n *= k
        return n

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def itemsize(self) -> int:
        return self.array.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def flags(self) -> Any:
        dense = [contiguous(self.shape, self.strides, self.itemsize, order) for order in (1, -1)]
        return SimpleNamespace(c_contiguous=dense[0], f_contiguous=dense[1], writeable=writeable(self), contiguous=dense[0])

    @property
    def base(self) -> Any:
        return None

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Batched(rank={self.level.rank}, mapped={self.mapped}, {self.array!r})"

    # What it cannot be

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise NotBatched("the memory of a batched array was asked for")

    def __bool__(self) -> bool:
        raise NotBatched(BRANCH)

    def item(self, *args: Any) -> Any:
        raise NotBatched(ITEM)

    __int__ = __float__ = __complex__ = __index__ = item

    def tolist(self) -> Any:
        raise NotBatched(NO_STORAGE)

    # What goes to the rules below

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        level = top(inputs, top(out or ()))
        if method == "__call__" and (ufunc.signature is None or ufunc in (np.matmul, np.vecdot)):
            return matmul(level, *inputs) if ufunc is np.matmul and out is None else elementwise(level, ufunc, inputs, out, kwargs)
        if method in ("reduce", "accumulate") and out is None:
            return along_axis(level, getattr(ufunc, method), inputs, {"axis": 0, **kwargs})
        if method == "outer":
            a, b = [v if isinstance(v, Batched) else np.asarray(v) for v in inputs]
            return ufunc(a.reshape(a.shape + (1,) * b.ndim), b, **kwargs)
        raise NotBatched(f"{ufunc.__name__}.{method} of batched arrays")

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict) -> Any:
        level = top(args, top(kwargs.values()))
        rule = FUNCTIONS.get(function)
        if rule is None:
            return one_by_one(level, function, args, kwargs)
        return rule(level, function, args, kwargs)

    # Methods of arrays

    def held(self, array: Any) -> Batched:
        return Batched(array, self.level, self.mapped)

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> Batched:
        wanted = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        if self.mapped:
            if -1 in wanted:
                known = 1
                for n in wanted:
                    known *= n if n != -1 else 1
                wanted = tuple([(self.size // known if known else 0) if n == -1 else n for n in wanted])
            n = 1
            for k in wanted:
                n *= k
            if n != self.size:
                raise ValueError(f"cannot reshape array of size {self.size} into shape {wanted}")
            wanted = (self.array.shape[0], *wanted)
        return self.held(self.array.reshape(wanted) if copy is None else self.array.reshape(wanted, copy=copy))

    def ravel(self, order: str = "C") -> Batched:
        return self.reshape(self.size)

    flatten = ravel

    def transpose(self, *axes: Any) -> Batched:
        order = tuple(axes[0]) if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
        if not order or order == (None,):
            order = tuple(range(self.ndim))[::-1]
        return self.held(self.array.transpose((0, *[d % self.ndim + 1 for d in order])) if self.mapped else self.array.transpose(order))

    T = property(transpose)
    mT = property(lambda self: self.swapaxes(-1, -2))

    def swapaxes(self, one: int, other: int) -> Batched:
        return self.held(self.array.swapaxes(shifted(one, self), shifted(other, self)))

    def squeeze(self, axis: Any = None) -> Batched:
        if axis is None:
            axis = tuple([d for d, n in enumerate(self.shape) if n == 1])
        return self.held(self.array.squeeze(shifted(axis, self)))

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Batched:
        y = self.array.diagonal(offset, shifted(axis1, self), shifted(axis2, self))
        if isinstance(y, np.ndarray) and self.array.flags.writeable:
            y.flags.writeable = True
        return self.held(y)

    def astype(self, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True) -> Batched:
        return self if not copy and self.dtype == dtype else self.held(self.array.astype(dtype))

    def copy(self, order: str = "C") -> Batched:
        """Memory of its own, for each example too."""
        return Batched(np.array(front(self, self.level)) if not lower(self) else front(self, self.level).copy(), self.level)

    def view(self, *args: Any) -> Batched:
        return self.held(self.array.view(*args))

    def take(self, index: Any, axis: Any = None, **kwargs: Any) -> Any:
        return np.take(self, index, axis)

    def conj(self) -> Batched:
        return self.held(self.array.conj())

    conjugate = conj
    real = property(lambda self: self.held(self.array.real))
    imag = property(lambda self: self.held(self.array.imag))

    def fill(self, value: Any) -> None:
        self[...] = value

    def repeat(self, repeats: Any, axis: Any = None) -> Any:
        return np.repeat(self, repeats, axis)

    def round(self, decimals: int = 0) -> Any:
        return self.held(np.round(self.array, decimals))

    def nonzero(self) -> Any:
        raise NotBatched(DYNAMIC.format("aten::nonzero"))

    def window(self, shape: tuple, strides: tuple, start: int, cut: Callable) -> Batched:
        """`ops.shape.window` for each example; `cut` is that function."""
        if self.mapped:
            shape, strides = (self.array.shape[0], *shape), (self.array.strides[0], *strides)
        return self.held(cut(self.array, shape, strides, start, False))

    def __getitem__(self, key: Any) -> Batched:
        key = key if isinstance(key, tuple) else (key,)
        if all([k is None or k is Ellipsis or isinstance(k, (int, slice, np.integer)) and not isinstance(k, bool) for k in key]):
            if not any([k is Ellipsis for k in key]):
                key = (*key, ...)
            return self.held(self.array[(slice(None), *key) if self.mapped else key])
        return take_at(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        level = top((self, value))
        if level is not self.level or (not self.mapped and is_mapped(value, level)):
            raise NotBatched(WRITES_MORE)
        key = key if isinstance(key, tuple) else (key,)
        if all([k is None or k is Ellipsis or isinstance(k, (int, slice, np.integer)) and not isinstance(k, bool) for k in key]):
            target = self[key]
            if not self.mapped:
                target.array[...] = inner(value, level)
            else:
                target.array[...] = aligned(value, level, target.ndim)
            return
        put_at(self, key, value)


def method(function: Callable, **defaults: Any) -> Callable:
    def call(self: Batched, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **{**defaults, **kwargs})

    return call


def about_all(function: Callable) -> Callable:
    """Without arguments these methods ask about the values of all examples: code checks and branches by that."""

    def call(self: Batched, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs) if args or kwargs else function(memory(self))

    return call


for _name in ("max", "min", "any", "all"):
    setattr(Batched, _name, about_all(getattr(np, _name)))
for _name in ("sum", "prod", "mean", "var", "std", "argmax", "argmin", "argsort", "cumsum", "clip", "dot", "trace"):
    setattr(Batched, _name, method(getattr(np, _name)))


def in_place(ufunc: np.ufunc) -> Callable:
    """`a += b` writes into a where it can: what is the same for all examples becomes another array."""

    def operate(self: Batched, other: Any) -> Batched:
        level = top((self, other))
        if level is self.level and (self.mapped or not is_mapped(other, level)):
            return ufunc(self, other, out=(self,))
        return ufunc(self, other)

    return operate


for _name, _ufunc in (("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("truediv", np.divide)):
    setattr(Batched, f"__i{_name}__", in_place(_ufunc))


# Levels


def top(values: Any, found: Level | None = None) -> Any:
    """The innermost level among values (which may be nested in lists and tuples), None if there is none."""
    for v in values:
        kind = v.__class__
        if kind is Batched:
            if found is None or v.level.rank > found.rank:
                found = v.level
        elif kind is tuple or kind is list:
            found = top(v, found)
    return found


def chain(a: Any) -> list[Level]:
    """The levels of an array, the outermost `vmap` first."""
    levels = []
    while a.__class__ is Batched:
        levels.append(a.level)
        a = a.array
    return levels[::-1]


def lower(a: Batched) -> bool:
    """Whether a is batched at further levels."""
    return a.array.__class__ is Batched


def writeable(a: Any) -> bool:
    while a.__class__ is Batched:
        a = a.array
    return bool(a.flags.writeable)


def is_mapped(a: Any, level: Any) -> bool:
    return a.__class__ is Batched and a.level is level and a.mapped


def inner(a: Any, level: Level) -> Any:
    """What a holds at a level; a itself if it is not of that level."""
    if a.__class__ is Batched:
        return a.array if a.level is level else a
    if a.__class__ is tuple or a.__class__ is list:
        return type(a)([inner(v, level) for v in a])
    return a


def example(a: Any, level: Level, i: int) -> Any:
    """What a is for example i."""
    if a.__class__ is Batched:
        return a if a.level is not level else a.array[i] if a.mapped else a.array
    if a.__class__ is tuple or a.__class__ is list:
        return type(a)([example(v, level, i) for v in a])
    return a


def front(a: Any, level: Level) -> Any:
    """a with the examples in front, repeated (without copying) if it is the same for all."""
    if is_mapped(a, level):
        return a.array
    a = inner(a, level)
    a = a if isinstance(a, (np.ndarray, Batched)) else np.asarray(a)
    return np.broadcast_to(a, (level.size, *a.shape))


def aligned(a: Any, level: Level, rank: int) -> Any:
    """What broadcasts against arrays of `rank` dimensions and one in front for the examples."""
    if not is_mapped(a, level):
        return inner(a, level)
    a = a.array
    missing = rank + 1 - a.ndim
    return a.reshape((a.shape[0], *(1,) * missing, *a.shape[1:])) if missing > 0 else a


def require_room(target: Any, value: Any) -> None:
    """RuntimeError if `value` differs between examples for which `target` is the same memory."""
    while value.__class__ is Batched:
        if value.mapped and value.level not in mapped_levels(target):
            raise NotBatched(WRITES_MORE)
        value = value.array


def mapped_levels(a: Any) -> list[Level]:
    """The levels whose examples have memory of their own."""
    found = []
    while a.__class__ is Batched:
        if a.mapped:
            found.append(a.level)
        a = a.array
    return found


def rank_of(values: Any) -> int:
    return max([v.ndim if isinstance(v, (np.ndarray, Batched, np.generic)) else np.ndim(v) for v in values])


def shifted(axis: Any, a: Any) -> Any:
    """Dimensions of one example as those of all."""
    if axis is None or not a.mapped:
        return axis
    if isinstance(axis, (tuple, list)):
        return tuple([d + 1 if d >= 0 else d for d in axis])
    return axis + 1 if axis >= 0 else axis


def contiguous(shape: tuple, strides: tuple, step: int, order: int) -> bool:
    for n, s in list(zip(shape, strides, strict=True))[::-order]:
        if n == 0:
            return True
        if n != 1:
            if s != step:
                return False
            step *= n
    return True


# Rules


def elementwise(level: Level, function: Callable, inputs: Sequence, out: Any = None, kwargs: Any = None) -> Any:
    """Functions that broadcast: ranks are made equal, so that the examples meet."""
    kwargs = kwargs or {}
    mapped = any([is_mapped(v, level) for v in inputs])
    if out is None:
        rank = rank_of(inputs)
        y = function(*[aligned(v, level, rank) for v in inputs], **kwargs)
        return tuple([Batched(v, level, mapped) for v in y]) if isinstance(y, tuple) else Batched(y, level, mapped)
    (target,) = out if isinstance(out, tuple) else (out,)
    if target.__class__ is not Batched or target.level is not level or (mapped and not target.mapped):
        raise NotBatched(WRITES_MORE)
    rank = target.ndim
    function(*[aligned(v, level, rank) for v in inputs], out=target.array, **kwargs)
    return target


def wrapped(y: Any, level: Level, mapped: bool = True) -> Any:
    if isinstance(y, (tuple, list)):
        parts = [Batched(v, level, mapped) for v in y]
        return type(y)(*parts) if hasattr(y, "_fields") else type(y)(parts)
    return Batched(y, level, mapped)


def along_axis(level: Level, function: Callable, args: tuple, kwargs: dict) -> Any:
    """Functions along `axis`, the second argument; None is all dimensions."""
    a, *rest = args
    kwargs = dict(kwargs)
    axis = kwargs.pop("axis", rest.pop(0) if rest else None)
    if kwargs.get("out") is not None:
        raise NotBatched("out= of a batched array")
    kwargs.pop("out", None)
    if not a.mapped:
        return wrapped(function(a.array, axis, *rest, **kwargs), level, False)
    if axis is None:
        if function in FLATTENING:
            y = function(a.reshape(-1).array, 1, *rest, **kwargs)
            return wrapped(y.reshape(y.shape[0], *(1,) * a.ndim) if kwargs.get("keepdims") else y, level)
        axis = tuple(range(1, a.array.ndim))
    elif a.ndim == 0:  # NumPy lets a number have dimension 0
        return wrapped(function(a.array.reshape(-1, 1), 1, *rest, **kwargs).reshape(-1), level)
    else:
        axis = shifted(axis, a)
    return wrapped(function(a.array, axis, *rest, **kwargs), level)


FLATTENING = (np.argmax, np.argmin, np.cumsum, np.cumprod, np.sort, np.argsort)


def matmul(level: Level, a: Any, b: Any, **kwargs: Any) -> Any:
    """Products; a factor that is the same for all examples makes one large product where it can."""
    mine, theirs = is_mapped(a, level), is_mapped(b, level)
    if not mine and not theirs:
        return Batched(np.matmul(inner(a, level), inner(b, level)), level, False)
    ranks = a.ndim, b.ndim
    if ranks == (1, 1) and mine and theirs:
        y = np.matmul(a.array[:, None, :], b.array[:, :, None])
        return Batched(y.reshape(y.shape[0]), level)
    if not theirs:
        x, y = a.array, inner(b, level)
        if ranks[1] == 2 and ranks[0] > 1 and x.size:
            return Batched(np.matmul(x.reshape(-1, x.shape[-1]), y).reshape(*x.shape[:-1], y.shape[-1]), level)
        if ranks[1] > 2:
            x = aligned(a, level, ranks[1]) if ranks[0] > 1 else x.reshape(x.shape[0], *(1,) * (ranks[1] - 1), x.shape[1])
            y = np.matmul(x, y)
            return Batched(y if ranks[0] > 1 else y.reshape(*y.shape[:-2], y.shape[-1]), level)
        return Batched(np.matmul(x, y), level)
    if not mine and ranks[1] == 1:
        x = inner(a, level)
        y = np.matmul(b.array, x) if x.ndim == 1 else np.matmul(b.array, x.mT) if x.ndim == 2 else None
        if y is not None:
            return Batched(y, level)
    rank = max(*ranks, 2)
    x = a.array if mine else inner(a, level)
    x = x.reshape(*x.shape[:-1], 1, x.shape[-1]) if ranks[0] == 1 else x
    y = b.array if theirs else inner(b, level)
    y = y.reshape(*y.shape, 1) if ranks[1] == 1 else y
    x = aligned(Batched(x, level), level, rank) if mine else x
    y = aligned(Batched(y, level), level, rank) if theirs else y
    z = x * y if x.shape[-1] == 1 and y.ndim > 2 else np.matmul(x, y)  # an outer product each: BLAS gains nothing there
    if ranks[1] == 1:
        z = z.reshape(z.shape[:-1])
    if ranks[0] == 1:
        z = z.reshape(*z.shape[:-2], z.shape[-1]) if ranks[1] != 1 else z.reshape(z.shape[:-1])
    return Batched(z, level)


def memory(a: Any) -> Any:
    """The ndarray inside."""
    while a.__class__ is Batched:
        a = a.array
    return a


def one_by_one(level: Level, function: Callable, args: Sequence, kwargs: Any = None) -> Any:
    """A function without a rule: once for each example."""
    kwargs = kwargs or {}
    names = list(kwargs)
    results = []
    for i in range(level.size):
        values = [example(kwargs[n], level, i) for n in names]
        results.append(function(*[example(a, level, i) for a in args], **dict(zip(names, values, strict=True))))
    return stacked(results, level)


def stacked(results: list, level: Level) -> Any:
    first = results[0]
    if isinstance(first, (tuple, list)):
        parts = [stacked(list(column), level) for column in zip(*results, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    if first is None:
        return None
    if any([np.shape(r) != np.shape(first) for r in results]):
        raise NotBatched(DYNAMIC.format("an operator whose results differ in shape"))
    return Batched(np.stack([r if isinstance(r, Batched) else np.asarray(r) for r in results]), level)


def leading(kernel: Callable) -> Callable:
    """A kernel that looks at the last dimensions of its first argument: those in front may be the examples'."""

    @wraps(kernel)
    def call(x: Any, *rest: Any) -> Any:
        if x.__class__ is Batched:
            return wrapped(call(x.array, *rest), x.level, x.mapped)
        return kernel(x, *rest)

    return call


def along(kernel: Callable) -> Callable:
    """A kernel that works along a dimension, its second argument, counted from the first."""

    @wraps(kernel)
    def call(x: Any, dim: int, *rest: Any) -> Any:
        if x.__class__ is Batched:
            return wrapped(call(x.array, dim + x.mapped, *rest), x.level, x.mapped)
        return kernel(x, dim, *rest)

    return call


# Indexing


def places(a: Any, key: tuple, level: Level) -> tuple[tuple, int, int]:
    """An index with arrays as one of `front(a)`: also how many dimensions those arrays make, and where in the result they are."""
    key = tuple([k if k.__class__ is Batched or not isinstance(k, (list, np.ndarray)) else np.asarray(k) for k in key])
    parts: list = []
    for k in key:
        if isinstance(k, (Batched, np.ndarray)) and k.dtype == bool:
            if is_mapped(k, level):
                raise NotBatched(MASK)
            parts += inner(k, level).nonzero()
        else:
            parts.append(k)
    if Ellipsis in [k for k in parts if not isinstance(k, (Batched, np.ndarray))]:
        at = next(i for i, k in enumerate(parts) if k is Ellipsis)
        used = sum([k is not None and k is not Ellipsis for k in parts])
        parts[at : at + 1] = [slice(None)] * (a.ndim - used)
    arrays = [i for i, k in enumerate(parts) if isinstance(k, (Batched, np.ndarray, int, np.integer))]
    rank = rank_of([parts[i] for i in arrays])
    adjacent = arrays == list(range(arrays[0], arrays[-1] + 1))
    at = sum([not isinstance(k, (int, np.integer)) for k in parts[: arrays[0]]]) if adjacent else 0
    first = np.arange(level.size).reshape(-1, *(1,) * rank)
    return (first, *[aligned(k, level, rank) for k in parts]), rank, at


def take_at(a: Any, key: tuple) -> Any:
    """`a[key]` with arrays, batched or not, in the key."""
    level = top((a, key))
    if not is_mapped(a, level) and not any([is_mapped(k, level) for k in key]):
        return Batched(inner(a, level)[inner(key, level)], level, False)
    where, rank, at = places(a, key, level)
    whole = front(a, level)
    y = whole[where] if whole.__class__ is Batched or top(where) is None else take_at(whole, where)
    return Batched(np.moveaxis(y, range(1, rank + 1), range(at + 1, at + rank + 1)) if at else y, level)


def put_at(a: Batched, key: tuple, value: Any, add: Callable | None = None) -> None:
    """`a[key] = value` with arrays in the key; `add(array, where, value)` may do something else there."""
    level = top((a, key, value))
    if not is_mapped(a, level):
        raise NotBatched(WRITES_MORE)
    where, rank, at = places(a, key, level)
    probe = np.broadcast_to(np.empty((), bool), a.array.shape)[tuple([memory(k) if isinstance(k, Batched) else k for k in where])]
    if probe.ndim - 1 > at + rank or at:
        value = front(np.broadcast_to(value, moved_shape(probe.shape[1:], rank, at)), level) if not is_mapped(value, level) else value.array
        missing = probe.ndim - value.ndim
        value = value.reshape(value.shape[0], *(1,) * missing, *value.shape[1:]) if missing else value
        value = np.moveaxis(value, range(at + 1, at + rank + 1), range(1, rank + 1)) if at else value
    else:
        value = aligned(value, level, probe.ndim - 1)
    if add is None:
        a.array[where] = value
    else:
        add(a.array, where, value)


def moved_shape(shape: tuple, rank: int, at: int) -> tuple:
    """The shape whose first `rank` dimensions are moved to `at`."""
    return (*shape[rank : rank + at], *shape[:rank], *shape[rank + at :])
