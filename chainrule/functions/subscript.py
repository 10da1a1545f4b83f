"""`t[...]` and `t[...] = value` with everything that PyTorch accepts between the brackets.

An index becomes two: a basic one (ints, slices, None), which gives a view, and an advanced one (arrays and masks, `where` of
`ops.index`) on that view. An int or a slice alone, the forms that loops are made of, skip all that.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule._core import dtypes, modes
from chainrule.autograd.node import next_sequence
from chainrule.kernels.batched import Batched, require_room
from chainrule.kernels.elementwise import MANY
from chainrule.ops import index as ops, overrides
from chainrule.ops.inplace import check_writable, overwrite, put
from chainrule.ops.pointwise_form import cast_array
from chainrule.ops.shape import cast, expand, reshape
from chainrule.tensor import Tensor, sync, wrap

FULL = ops.FULL
INDEX_TYPES = "tensors used as indices must be long, int, byte or bool tensors"
VALID = "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got {})"
SCALAR = "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a 0-dim tensor to a number"
NOT_A_TUPLE = (
    "Using a non-tuple sequence for multidimensional indexing is deprecated and will be changed in pytorch 2.9; use x[tuple(seq)] instead "
    "of x[seq]. In pytorch 2.9 this will be interpreted as tensor index, x[torch.tensor(seq)], which will result either in an error or a "
    "different result"
)
BYTE_MASK = "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead."

_new = object.__new__
_state, _local = modes.state, modes.local
SELECT, SLICE, UNSQUEEZE, INDEX = (op.node for op in (ops.select_view, ops.slice_view, ops.unsqueeze_view, ops.index))


def getitem(self: Tensor, index: Any) -> Tensor:
    """`t[index]`: a view for ints, slices, None and `...`; a copy as soon as a tensor, list or mask is among them."""
    a = self._data
    kind = index.__class__
    if kind is int:
        key, node_class = (index, ...), SELECT
    else:
        key, node_class = keyed(index, kind, a.shape)
    if node_class is None or _state.busy:
        return getitem_any(self, index)
    try:
        y = a[key]
    except (IndexError, TypeError):
        return getitem_any(self, index)  # which says what is wrong
    base = self._base
    if base is not None:
        sync(self)
    t = _new(Tensor)
    t._data = y
    t._grad = None
    if node_class is INDEX:
        t._versions, t._base = [0, 0], None
        if self._tracked:
            key = own(key)
    else:
        t._versions = versions = self._versions
        t._epoch = versions[1]
        if base is None:
            t._base = self
        else:
            t._base = base
            if self._restriction is not None:
                t._restriction = self._restriction
        if self._inference:
            t._inference = True
    if self._tracked:
        node = _new(node_class)
        node.edges = (self._edge or self,)
        node.saved = (key, a.shape)
        node.guards = ()
        node.fix = node.extra = None
        node.made = t._data.shape
        node.sequence = next_sequence()
        t._tracked = True
        t._edge = node
    else:
        t._tracked = False
        t._edge = None
    return t


getitem.__name__ = getitem.__qualname__ = "__getitem__"


def keyed(index: Any, kind: type, shape: tuple) -> tuple[Any, Any]:
    """For indices that NumPy reads as PyTorch does: NumPy's key, and the class of the node; (None, None) for any other.

    Those are an int or a slice without step, tuples of them, None and one Ellipsis, and a tensor or list alone. A basic index gets
    the name of its last item that changes anything.
    """
    if kind is tuple:
        last: Any = None
        dots = False
        d = 0
        for k, item in enumerate(index):
            of = item.__class__
            if of is int:
                last = SELECT
                d += 1
            elif of is slice and ((step := item.step) is None or (step.__class__ is int and step > 0)):
                stop = item.stop
                if step or item.start or (stop is not None and (stop.__class__ is not int or d >= len(shape) or stop < shape[d])):
                    last = SLICE
                d += 1
            elif item is None:
                last = UNSQUEEZE
            elif item is Ellipsis and not dots:
                dots = True
                d = len(shape) - len([i for i in index[k + 1 :] if i is not None])
            else:
                return None, None
        return index if dots else (*index, ...), last
    if kind is slice:
        return ((index, ...), SLICE) if index.step is None and shape else (None, None)
    if kind is Tensor:
        array = index._data
        fits = array.ndim and (array.dtype == np.int64 or (array.dtype.kind == "b" and array.shape == shape[: array.ndim]))
        return ((array,), INDEX) if fits else (None, None)
    if index is None:
        return (None, ...), UNSQUEEZE
    if kind is list and index and all([i.__class__ is int for i in index]):
        return (np.array(index),), INDEX
    return None, None


def getitem_any(self: Tensor, index: Any) -> Tensor:
    """`t[index]` in general."""
    if _state.busy:
        done, value = overrides.dispatch(getitem, (self, index), {})
        if done:
            return value
    basic, view, where = parse(self._data, index)
    if where is None:
        return view(self, basic)
    if basic is not None:
        self = view(self, basic)
    return indexed(self, where)


def indexed(t: Tensor, where: tuple) -> Tensor:
    """`t[where]` for an advanced index."""
    check_masks(t._data.shape, where)
    try:
        return ops.index(t, own(where) if t.requires_grad else where)
    except IndexError:
        raise index_error(t._data.shape, where) from None


def own(where: tuple) -> tuple:
    """A copy of the indices for a node to keep, so that whoever writes to theirs later does not change gradients."""
    return tuple([w if w is FULL else w.copy() for w in where])


# Parsing


class Parsed(NamedTuple):
    """`basic` for the view op `view` (None: no view is needed), and `where` for what comes after (None: nothing does)."""

    basic: tuple | None
    view: Any
    where: tuple | None


def parse(a: np.ndarray, index: Any) -> Parsed:
    """Split an index of `a` into a basic and an advanced one; raises what PyTorch raises for bad ones."""
    lone = index.__class__ is slice
    items = index if index.__class__ is tuple else as_items(index)
    shape, rank = a.shape, a.ndim
    taken = 0
    for i in items:
        taken += dims_taken(i)
    if taken > rank:
        if rank == 0 and items[0].__class__ is int and len(items) == 1:
            raise IndexError(SCALAR)
        if rank == 0 and isinstance(items[0], slice):
            raise IndexError("slice() cannot be applied to a 0-dim tensor.")
        raise IndexError(f"too many indices for tensor of dimension {rank}")
    basic: list = []
    where: list = []
    view = ops.alias_view
    advanced = False
    d = 0  # the dimension of `a` that the next item is about
    for item in items:
        kind = item.__class__
        if kind is slice:
            item = checked_slice(item)
            if lone or item.indices(dim_size(shape, d, 0)) != (0, shape[d], 1):
                view = ops.slice_view
            basic.append(item)
            where.append(FULL)
            d += 1
            continue
        if item is None:
            view = ops.unsqueeze_view
            basic.append(None)
            where.append(FULL)
            continue
        if item is Ellipsis:
            left = min(rank - taken, rank - d)  # a second Ellipsis can ask for more than there is
            basic += [FULL] * left
            where += [FULL] * left
            d += rank - taken
            continue
        if kind is not int:
            item = as_index(item)
        if item.__class__ is int:
            n = dim_size(shape, d, item)
            if not -n <= item < n:
                raise IndexError(f"index {item} is out of bounds for dimension {d} with size {n}")
            view = ops.select_view
            basic.append(item)
            d += 1
            continue
        advanced = True
        where.append(item)
        if item.ndim == 1 and kind is bool or (item.ndim == 0 and item.dtype.kind == "b"):
            view = ops.unsqueeze_view
            basic.append(None)
            where[-1] = item.reshape(1)
            continue
        used = item.ndim if item.dtype.kind == "b" else 1
        basic += [FULL] * used
        d += used
        if d > rank:  # two Ellipses
            raise IndexError(f"too many indices for tensor of dimension {rank} (got {d})")
    if not advanced:
        basic.append(Ellipsis)
        return Parsed(tuple(basic), view, None)
    while where[-1] is FULL:
        where.pop()
    plain = all([b is FULL for b in basic])
    basic.append(Ellipsis)
    return Parsed(None if plain else tuple(basic), view, tuple(where))


def dim_size(shape: tuple, d: int, item: int) -> int:
    """The size of dimension d, which two Ellipses may have moved past the end."""
    if d >= len(shape):
        raise IndexError(f"index {item} is out of bounds for dimension {d} with size 0")
    return shape[d]


def as_items(index: Any) -> Sequence:
    """The items of an index that is not a tuple: itself, or those of a list that PyTorch reads as a tuple."""
    if isinstance(index, (Tensor, np.ndarray, int, slice)) or index is None or index is Ellipsis or not hasattr(index, "__getitem__"):
        return (index,)
    if isinstance(index, tuple):
        return index
    if not isinstance(index, Sequence) or len(index) >= 32:
        return (index,)
    for i in index:
        if i is None or i is Ellipsis or isinstance(i, (Tensor, np.ndarray, Sequence, slice)):
            warnings.warn(NOT_A_TUPLE, UserWarning, stacklevel=5)
            return tuple(index)
    return (index,)


def dims_taken(item: Any) -> int:
    """How many dimensions an item of an index is about."""
    if item is None or item is Ellipsis or item is True or item is False:
        return 0
    if isinstance(item, (Tensor, np.ndarray)):
        data = item._data if isinstance(item, Tensor) else item
        return data.ndim if data.dtype.kind == "b" or data.dtype == np.uint8 else 1
    return 1


def checked_slice(item: slice) -> slice:
    """A slice of plain ints whose step is positive; FULL for `:`."""
    if item.start is None and item.stop is None and item.step is None:
        return FULL
    start, stop, step = [v if v is None or v.__class__ is int else as_bound(v) for v in (item.start, item.stop, item.step)]
    if step is not None and step <= 0:
        raise ValueError("slice step cannot be zero" if step == 0 else "step must be greater than zero")
    return slice(start, stop, step)


def as_bound(value: Any) -> int:
    if not hasattr(value, "__index__"):
        raise TypeError("slice indices must be integers or None or have an __index__ method")
    return value.__index__()


def as_index(item: Any) -> Any:
    """An item of an index as an int or as an array of integers or bools."""
    if isinstance(item, bool):
        return np.array([item])
    if isinstance(item, (int, np.integer)):
        return int(item)
    if isinstance(item, Tensor):
        array = item._data
    elif isinstance(item, np.ndarray):
        array = item
    elif isinstance(item, (Sequence, np.ndarray)):
        array = sequence_index(item)
    else:
        raise IndexError(VALID.format(f"numpy.{type(item).__name__}" if isinstance(item, np.generic) else type(item).__name__))
    return index_array(array)


def index_array(array: np.ndarray) -> Any:
    """An array as one that NumPy indexes with (a 0-dim one of integers as an int), refused if PyTorch does."""
    kind = array.dtype.kind
    if kind == "b":
        return array
    if array.dtype == np.uint8:
        if array.ndim:
            warnings.warn(BYTE_MASK, UserWarning, stacklevel=6)
        return array.astype(np.bool_)
    if not array.ndim and kind in "iu" and array.__class__ is not Batched:
        return int(array)
    if array.dtype != np.int64 and array.dtype != np.int32:
        raise IndexError(INDEX_TYPES)
    return array


def sequence_index(sequence: Any) -> np.ndarray:
    """A list of numbers (floats are truncated), however nested, as an array of integers or bools."""
    array = np.array(plain(sequence))
    if array.dtype.kind in "US":
        raise TypeError("new(): invalid data type 'str'")
    return array if array.dtype.kind == "b" and array.size else array.astype(np.int64)


def plain(value: Any) -> Any:
    """A nested sequence with its tensors as numbers."""
    if isinstance(value, (Tensor, np.ndarray)):
        return value.tolist()
    return [plain(v) for v in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


# What can be wrong with advanced indices


def check_masks(shape: tuple, where: tuple) -> None:
    """IndexError unless masks have the shapes of the dimensions that they index."""
    d = 0
    for w in where:
        if w is FULL or w.dtype.kind != "b":
            d += 1
            continue
        for j, n in enumerate(w.shape):
            if n != shape[d + j]:
                raise IndexError(
                    f"The shape of the mask {list(w.shape)} at index {j} does not match the shape of the indexed tensor {list(shape)} "
                    f"at index {d + j}"
                )
        d += w.ndim


def index_error(shape: tuple, where: tuple) -> IndexError:
    """The error for indices that NumPy refused."""
    entries = ops.kernels.expand_masks(where)
    arrays = [w for w in entries if w is not FULL]
    try:
        np.broadcast_shapes(*[w.shape for w in arrays])
    except ValueError:
        listed = ", ".join([str(list(w.shape)) for w in arrays])
        return IndexError(f"shape mismatch: indexing tensors could not be broadcast together with shapes {listed}")
    return out_of_bounds(shape, where) or IndexError(f"invalid index for a tensor of shape {list(shape)}")


def out_of_bounds(shape: tuple, where: tuple) -> IndexError | None:
    """The error for the first integer index that is out of bounds."""
    entries = ops.kernels.expand_masks(where)
    for order, d in enumerate([d for d, w in enumerate(entries) if w is not FULL]):
        n, index = shape[d], entries[d]
        if index.size and not (index.min() >= -n and index.max() < n):
            if n == 0:
                return IndexError("index is out of bounds for dimension with size 0")
            return IndexError(f"index {index[(index < -n) | (index >= n)][0]} is out of bounds for dimension {order} with size {n}")
    return None


# Assignment

FLOATS = frozenset((dtypes.float32.numpy, dtypes.float64.numpy))


def setitem(self: Tensor, index: Any, value: Any) -> None:
    """`t[index] = value`, a number or a tensor that broadcasts; recorded if either is tracked."""
    if not _state.busy and not self._inference:
        if self._base is not None:
            sync(self)
        a = self._data
        kind = value.__class__
        if kind is Tensor:
            if value._base is not None:
                sync(value)
            plain, element = not value._tracked and value._data.dtype is a.dtype, value._data
        else:
            plain, element = (kind is float or kind is int) and a.dtype in FLOATS and -3e38 < value < 3e38, value
        if plain and not self._tracked and 0 not in a.strides and (self._base is None or not self._base._tracked):
            key = (index, ...) if index.__class__ is int else keyed(index, index.__class__, a.shape)[0]
            if key is not None:
                try:
                    if kind is Tensor and element.size >= MANY:
                        put(a[key], element)
                    else:
                        a[key] = element
                    self._versions[0] += 1
                    return
                except (IndexError, TypeError, ValueError):
                    pass  # the general way says what is wrong
    setitem_any(self, index, value)


setitem.__name__ = setitem.__qualname__ = "__setitem__"


def setitem_any(self: Tensor, index: Any, value: Any) -> None:
    """`t[index] = value` in general."""
    if _state.busy:
        done, _ = overrides.dispatch(setitem, (self, index, value), {})
        if done:
            return
    data = self._data
    node_class = SELECT if index.__class__ is int else keyed(index, index.__class__, data.shape)[1]
    if node_class is SELECT or node_class is SLICE and index.__class__ is not slice:
        assign(getitem(self, index), fitting(value) if isinstance(value, Tensor) else element_of(self, value))
        return
    basic, view, where = parse(data, index)
    value = fitting(value) if isinstance(value, Tensor) else element_of(self, value)
    if index is False:
        return
    whole = basic is None or all([b is FULL or b is Ellipsis for b in basic])
    target = self if whole else view(self, basic)
    if where is None:
        assign(target, value)
        return
    value = value_for(target, where, value)
    put_at(ops.write_over, target, where, value, False)


def element_of(t: Tensor, value: Any) -> Tensor:
    """A number as a 0-dim tensor of t's type."""
    if not isinstance(value, (bool, int, float, complex, np.number, np.bool_)):
        name = "numpy.ndarray" if isinstance(value, np.ndarray) else type(value).__name__
        raise TypeError(f"can't assign a {name} to a torch.{dtypes.LEGACY[t.dtype]}Tensor")
    return wrap(number_array(value, t._data.dtype))


def put_at(call: Any, target: Tensor, where: tuple, value: Tensor, accumulate: bool) -> Tensor:
    """`target[where] = value` (or `+=`) for an advanced index and a value that has target's dtype.

    `call(op, operands)` does it, in place or on a copy.
    """
    check_masks(target._data.shape, where)
    if accumulate:  # positions in flat memory are computed from indices, so none may be out of bounds
        error = out_of_bounds(target._data.shape, where)
        if error is not None:
            raise error
    if target.requires_grad or value.requires_grad:
        where = own(where)
    try:
        if accumulate:
            return call(ops.index_put_add, (target, value, where))
        return call(ops.index_put, (target, value, where))
    except (IndexError, ValueError):
        raise put_error(target, where, value) from None


def put_error(target: Tensor, where: tuple, value: Tensor) -> Exception:
    try:
        shape = ops.kernels.take_at(target._data, where).shape
    except IndexError:
        return index_error(target._data.shape, where)
    shapes = f"value tensor of shape {list(value.shape)} cannot be broadcast to indexing result of shape {list(shape)}"
    return RuntimeError(f"shape mismatch: {shapes}")


def value_for(target: Tensor, where: tuple, value: Tensor) -> Tensor:
    """The value in target's dtype: PyTorch casts it only when there is one value for a mask."""
    if value._data.dtype == target._data.dtype:
        return value
    if value._data.size == 1 and ops.kernels.is_mask(where):
        return cast(value, target.dtype)
    kinds = [dtypes.LEGACY[t.dtype] for t in (target, value)]
    raise RuntimeError(
        f"Index put requires the source and destination dtypes match, got {kinds[0]} for the destination and {kinds[1]} for the source."
    )


def fitting(value: Tensor) -> Tensor:
    """A value without its leading dimensions of size 1, which do not count in assignments."""
    shape = value._data.shape
    if not shape or shape[0] != 1:
        return value
    k = 0
    while k < len(shape) and shape[k] == 1:
        k += 1
    return reshape(value, shape[k:])


def assign(target: Tensor, value: Tensor) -> None:
    """All of `target` replaced by `value`, cast and broadcast."""
    shape = target._data.shape
    check_writable(target, not _state.busy or _local.grad)
    if _state.levels:
        require_room(target._data, value._data)
    if value._data.shape != shape and (value._tracked or value._data.ndim):
        value = broadcast(value, shape)
    if value._data.dtype != target._data.dtype:
        if value._data.dtype.kind == "c":
            warnings.warn("Casting complex values to real discards the imaginary part", UserWarning, stacklevel=4)
        value = cast(value, target.dtype)
    if target._base is None and (target._tracked or value._tracked):
        ops.write_over(ops.copy, (target, value))
    else:
        overwrite(target, value)


def broadcast(value: Tensor, shape: tuple) -> Tensor:
    """`value` expanded to `shape`; RuntimeError in PyTorch's words if it does not fit."""
    have = value._data.shape
    if len(have) > len(shape):
        raise RuntimeError(
            f"expand(torch.{dtypes.LEGACY[value.dtype]}Tensor{{{list(have)}}}, size={list(shape)}): the number of sizes provided "
            f"({len(shape)}) must be greater or equal to the number of dimensions in the tensor ({len(have)})"
        )
    for k in range(1, len(have) + 1):
        if have[-k] not in (1, shape[-k]):
            raise RuntimeError(
                f"The expanded size of the tensor ({shape[-k]}) must match the existing size ({have[-k]}) at non-singleton dimension "
                f"{len(shape) - k}.  Target sizes: {list(shape)}.  Tensor sizes: {list(have)}"
            )
    return expand(value, shape)


# Numbers as elements

C_NAMES = {
    **dtypes.CPP, dtypes.uint8: "uint8_t", dtypes.int8: "int8_t", dtypes.int16: "int16_t", dtypes.int64: "int64_t",
    dtypes.uint16: "uint16_t", dtypes.uint32: "uint32_t", dtypes.uint64: "uint64_t",
}  # fmt: skip


def number_array(value: Any, dtype: np.dtype) -> np.ndarray:
    """A Python number as a 0-dim array of `dtype`; RuntimeError if it does not fit."""
    kind = dtype.kind
    if kind == "b":
        return np.asarray(bool(value))
    if isinstance(value, (complex, np.complexfloating)) and kind != "c":
        if value.imag:
            raise overflow(dtype)
        value = value.real
    if kind in "iu":
        limits = np.iinfo(dtype)
        low = limits.min if kind == "i" else -limits.max if isinstance(value, (int, np.integer)) else 0
        if not low <= value <= limits.max:
            raise overflow(dtype)
        value = int(value)
        return np.asarray(value % (limits.max + 1) if kind == "u" else value, dtype)
    made = cast_array(np.asarray(value), dtype)
    if not np.isfinite(made) and np.isfinite(value):
        raise overflow(dtype)
    return made


def overflow(dtype: np.dtype) -> RuntimeError:
    return RuntimeError(f"value cannot be converted to type {C_NAMES[dtypes.BY_NUMPY[dtype]]} without overflow")


def contains(self: Tensor, element: Any) -> bool:
    """Whether any element equals `element`, a number or a tensor."""
    if not isinstance(element, (Tensor, int, float, complex, np.number)):
        raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")
    return bool((element == self)._data.any())
