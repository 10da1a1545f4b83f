"""Views: ops whose result looks into the memory of its input, and their transposes.

The rule of a view takes all of its statics and then, if it needs it, `a_shape`: `look` relies on that to record at little cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule._core import dtypes, modes
from chainrule.autograd.node import Output, next_sequence
from chainrule.kernels.batched import Batched, memory
from chainrule.kernels.elementwise import copy
from chainrule.kernels.reductions import WORTH
from chainrule.ops.pointwise_form import cast_array
from chainrule.ops.primitive import Primitive, edge_of, linear, mark_view
from chainrule.tensor import Tensor, adopt, root_memory, sync

state = modes.state
_new = object.__new__


def look(view: Primitive, t: Tensor, array: np.ndarray, *statics: Any) -> Tensor:
    """The Tensor that `view(t, *statics)` is, when `array`, what its kernel gives, is already at hand: the eager path of views."""
    if state.busy:
        return view.record((t,), (t._data,), statics, array)
    base = t._base
    if base is not None:
        sync(t)
    y = _new(Tensor)
    y._data, y._grad, y._versions = array, None, t._versions
    y._epoch = t._versions[1]
    if base is None:
        y._base = t
        if t._inference:
            y._inference = True
    else:
        y._base = base
        if t._restriction is not None:
            y._restriction = t._restriction
    if t._tracked:
        node = _new(view.node)
        node.edges, node.fix, node.extra, node.guards = (t._edge or t,), None, None, ()
        node.saved = (*statics, t._data.shape) if "a_shape" in view.saves else statics
        node.sequence = next_sequence()
        y._tracked, y._edge, node.made = True, node, array.shape
    else:
        y._tracked, y._edge = False, None
    return y


def derive(op: Primitive, t: Tensor, array: np.ndarray, *statics: Any) -> Tensor:
    """As `look`, for an op that is no view: its result in memory of its own."""
    if state.busy:
        return op.record((t,), (t._data,), statics, array)
    if t._base is not None:
        sync(t)
    y = _new(Tensor)
    y._data, y._grad, y._base, y._versions = array, None, None, [0, 0]
    if t._tracked:
        node = _new(op.node)
        node.edges, node.fix, node.extra, node.guards = (t._edge or t,), None, None, ()
        node.saved = (*statics, t._data.shape) if "a_shape" in op.saves else statics if op.saves else ()
        node.sequence = next_sequence()
        y._tracked, y._edge, node.made = True, node, array.shape
    else:
        y._tracked, y._edge = False, None
    return y


def look_at_parts(view: Primitive, t: Tensor, arrays: list, *statics: Any) -> tuple[Tensor, ...]:
    """As `look`, for a view that has many results, which may not be changed in place."""
    if state.busy:
        return view.record((t,), (t._data,), statics, arrays)
    parts = []
    for array in arrays:
        y = _new(Tensor)
        y._data, y._grad, y._tracked, y._edge = array, None, False, None
        mark_view(y, t, True, True)
        parts.append(y)
    edge = edge_of(t)
    if edge is not None:
        node = _new(view.node)
        node.edges, node.fix, node.extra, node.guards, node.saved = (edge,), None, None, (), statics[-1:]
        node.width, node.outputs = len(arrays), [(a.shape, a.dtype) for a in arrays]
        node.sequence = next_sequence()
        for i, y in enumerate(parts):
            y._tracked, y._edge = True, Output(node, i)
    return tuple(parts)


def join(op: Primitive, tensors: Sequence[Tensor], array: np.ndarray, dim: int) -> Tensor:
    """The Tensor that `op(tensors, dim)` is, when `array` is what its kernel gives: the eager path of `cat` and `stack`."""
    if state.busy:
        return op.record(tensors, tuple([t._data for t in tensors]), (dim,), array)
    y = _new(Tensor)
    y._data, y._grad, y._base, y._versions = array, None, None, [0, 0]
    edges: Any = None
    for t in tensors:
        if t._tracked or t._base is not None:
            edges = tuple([edge_of(t) for t in tensors])
            break
    if edges is not None and any([e is not None for e in edges]):
        node = _new(op.node)
        node.edges, node.fix, node.extra, node.guards = edges, None, None, ()
        node.saved = (dim, tuple([t._data.shape for t in tensors])) if "a_shape" in op.saves else (dim,)
        node.sequence = next_sequence()
        y._tracked, y._edge, node.made = True, node, array.shape
    else:
        y._tracked, y._edge = False, None
    return y


def share(t: Tensor, array: np.ndarray) -> Tensor:
    """Another tensor on t's memory and version counter, without history: what `detach` and `view(dtype)` give."""
    y = adopt(Tensor, array)
    y._versions = t._versions
    return y


# Where arrays lie


def window(a: Any, shape: tuple, strides: tuple, start: int = 0, inside: bool = True) -> np.ndarray:
    """An array that looks into a's memory, from `start` bytes after a's first element; strides in bytes.

    Unlike NumPy's `as_strided` it is quick, may be written to if `a` may, and cannot leave the memory. `inside`: it looks at
    nothing but what `a` spans.
    """
    if not isinstance(a, np.ndarray):
        if isinstance(a, Batched):
            return a.window(shape, strides, start, window)  # type: ignore[return-value]
        a = np.asarray(a)
    memory = a
    if 0 in shape:
        return np.empty(shape, a.dtype)
    if not (inside and a.flags.c_contiguous):
        memory = root_memory(a)
        start += address(a) - address(memory)
        if not memory.flags.c_contiguous:
            memory = memory.transpose(sorted(range(memory.ndim), key=lambda d: -memory.strides[d]))
    return np.ndarray(shape, a.dtype, memory, start, strides)


def address(a: np.ndarray) -> int:
    return memory(a).__array_interface__["data"][0]


def overlaps(shape: tuple, strides: tuple) -> bool:
    """Whether an array so laid out may hold an element twice (never False if it does)."""
    reach = 0
    for stride, n in sorted((abs(s), n) for n, s in zip(shape, strides) if n > 1):
        if stride <= reach:
            return True
        reach += stride * (n - 1)
    return False


# Other shapes


@linear(a=lambda g, shape, a_shape: unexpand(g, a_shape), view=True)
def expand(a: Any, shape: tuple) -> Any:
    """Broadcast to `shape` without copying."""
    if a.shape == shape:
        return a[...]
    if not a.ndim:
        return window(a, shape, (0,) * len(shape))
    strides: list = []
    lead = len(shape) - a.ndim
    for d in range(len(shape) - 1, -1, -1):
        held = a.shape[d - lead] if d >= lead else 1
        if held != shape[d]:
            strides.append(0)
        elif d >= lead:
            strides.append(a.strides[d - lead])
        else:
            strides.append(strides[-1] * shape[d + 1] if strides else a.itemsize)
    return window(a, shape, tuple(strides[::-1]))


def unexpand(g: Any, shape: tuple) -> Any:
    from chainrule.ops.reduce import sum_to

    return sum_to(g, shape)


def spread(g: Any, shape: tuple, dim: Any, keepdim: bool) -> Any:
    """The transpose of a reduction: g, which lacks `dim` (or has it as 1), broadcast to `shape`."""
    if dim is not None and not keepdim:
        g = reshape(g, tuple([1 if i in dim else n for i, n in enumerate(shape)]))
    elif dim is None and g.ndim:
        g = reshape(g, ())
    return expand(g, shape)


@linear(a=lambda g, shape, a_shape: reshape(g, a_shape), node="ViewBackward0", view=True)
def view(a: Any, shape: tuple) -> Any:
    """The same elements in another shape, without a copy (the caller knows that it can)."""
    return a.reshape(shape)


@linear(a=lambda g, a_shape: reshape(g, a_shape), node="UnsafeViewBackward0")
def reshape(a: Any, shape: tuple) -> Any:
    """The same elements in another shape; a view or a copy, whichever NumPy makes."""
    return a.reshape(shape)


def _squeezing(node: str) -> Primitive:
    @linear(a=lambda g, shape, a_shape: reshape(g, a_shape), node=node, view=True, name="squeeze")
    def squeeze(a: Any, shape: tuple) -> Any:
        """`a` without some of its dimensions of size 1."""
        return a.reshape(shape)

    return squeeze


squeeze, squeeze_dim, squeeze_dims = [_squeezing(f"SqueezeBackward{i}") for i in range(3)]


@linear(a=lambda g, shape, a_shape: reshape(g, a_shape), view=True)
def unsqueeze(a: Any, shape: tuple) -> Any:
    """`a` with a further dimension of size 1; `shape` is the new shape."""
    return a.reshape(shape)


# Other orders of the dimensions


@linear(a=lambda g, dim0, dim1: transpose(g, dim0, dim1), view=True)
def transpose(a: Any, dim0: int, dim1: int) -> Any:
    """Two dimensions exchanged."""
    return a.swapaxes(dim0, dim1) if a.ndim else a


@linear(a=lambda g: t(g), node="TBackward0", view=True)
def t(a: Any) -> Any:
    """A matrix transposed; a vector as it is."""
    return a.T


@linear(a=lambda g, dims: permute(g, inverse(dims)), view=True)
def permute(a: Any, dims: tuple) -> Any:
    """The dimensions in the order `dims`."""
    return a.transpose(dims)


def inverse(dims: tuple) -> tuple:
    """The order that undoes the order `dims`."""
    return tuple(sorted(range(len(dims)), key=dims.__getitem__))


# Parts


@linear(a=lambda g, dim, index, a_shape: select_backward(g, a_shape, dim, index), view=True)
def select(a: Any, dim: int, index: int) -> Any:
    """The elements at `index` of one dimension, which goes."""
    return a[(slice(None),) * dim + (index, ...)]


@linear(a=lambda g, dim, index: select(g, dim, index), node="SelectBackwardBackward0")
def select_backward(a: Any, shape: tuple, dim: int, index: int) -> Any:
    """Zeros of `shape` with `a` where `select` looks."""
    y = np.zeros(shape, a.dtype)
    y[(slice(None),) * dim + (index,)] = a
    return y


@linear(a=lambda g, dim, start, stop, step, a_shape: slice_backward(g, a_shape, dim, start, stop, step), view=True, node="SliceBackward0")
def slice_dim(a: Any, dim: int, start: int, stop: int, step: int) -> Any:
    """`start:stop:step` of one dimension."""
    return a[(slice(None),) * dim + (slice(start, stop, step),)]


@linear(a=lambda g, dim, start, stop, step: slice_dim(g, dim, start, stop, step), node="SliceBackwardBackward0")
def slice_backward(a: Any, shape: tuple, dim: int, start: int, stop: int, step: int) -> Any:
    """Zeros of `shape` with `a` where `slice_dim` looks."""
    y = np.zeros(shape, a.dtype)
    y[(slice(None),) * dim + (slice(start, stop, step),)] = a
    return y


@linear(a=lambda g, offset, dim1, dim2, a_shape: diagonal_backward(g, a_shape, offset, dim1, dim2), view=True)
def diagonal(a: Any, offset: int, dim1: int, dim2: int) -> Any:
    """The diagonal of two dimensions, which go; its own dimension is the last."""
    y = a.diagonal(offset, dim1, dim2)
    if a.flags.writeable:
        y.flags.writeable = True
    return y


@linear(a=lambda g, offset, dim1, dim2: diagonal(g, offset, dim1, dim2), node="DiagonalBackwardBackward0")
def diagonal_backward(a: Any, shape: tuple, offset: int, dim1: int, dim2: int) -> Any:
    """Zeros of `shape` with `a` on the diagonal."""
    y = np.zeros(shape, a.dtype)
    diagonal.kernel(y, offset, dim1, dim2)[...] = a
    return y


@linear(a=lambda g, dim, size, step, a_shape: unfold_backward(g, a_shape, dim, size, step), view=True)
def unfold(a: Any, dim: int, size: int, step: int) -> Any:
    """Windows of `size` elements, `step` apart, along one dimension; what is inside a window is the last dimension."""
    if not a.ndim:
        return window(a, (size,), (a.itemsize,))
    shape, strides = list(a.shape), list(a.strides)
    shape[dim] = (shape[dim] - size) // step + 1
    strides[dim] *= step
    return window(a, (*shape, size), (*strides, a.strides[dim]))


@linear(a=lambda g, dim, size, step: unfold(g, dim, size, step), node="UnfoldBackwardBackward0")
def unfold_backward(a: Any, shape: tuple, dim: int, size: int, step: int) -> Any:
    """Zeros of `shape` with the windows `a` added in place."""
    y = np.zeros(shape, a.dtype)
    windows = unfold.kernel(y, dim, size, step)
    if step >= size:
        windows[...] = a
    elif size <= windows.shape[dim]:
        for k in range(size):
            windows[..., k] += a[..., k]
    else:
        for place in [(slice(None),) * dim + (i,) for i in range(windows.shape[dim])]:
            windows[place] += a[place]
    return y


class Layout(NamedTuple):
    """Where a tensor looks in its storage, counted in elements."""

    shape: tuple
    strides: tuple
    offset: int

    def into(self, memory: np.ndarray) -> np.ndarray:
        size = memory.itemsize
        return np.ndarray(self.shape, memory.dtype, memory, self.offset * size, tuple([s * size for s in self.strides]))

    def places(self) -> np.ndarray:
        """The place in the storage of each element."""
        places = np.full(self.shape, self.offset, np.intp)
        for d, (n, s) in enumerate(zip(self.shape, self.strides)):
            places += (np.arange(n) * s).reshape((n,) + (1,) * (len(self.shape) - d - 1))
        return places

    def extent(self) -> int:
        """How many elements the storage must have."""
        return 0 if 0 in self.shape else self.offset + 1 + sum([(n - 1) * s for n, s in zip(self.shape, self.strides)])


def layout_of(a: np.ndarray) -> Layout:
    """Where an array looks in the memory that it is a part of."""
    offset = (address(a) - address(root_memory(a))) // a.itemsize
    return Layout(a.shape, tuple([s // a.itemsize for s in a.strides]), offset)


@linear(a=lambda g, source, target: put_layout(g, source, target), view=True, node="AsStridedBackward0")
def as_strided(a: Any, source: Layout, target: Layout) -> Any:
    """What is seen through `target` of the storage that `a` fills through `source`."""
    if a.shape == source.shape and layout_of(a) == source:
        strides = tuple([s * a.itemsize for s in target.strides])
        return window(a, target.shape, strides, (target.offset - source.offset) * a.itemsize, inside=False)
    memory = np.zeros(max(source.extent(), target.extent()), a.dtype)
    source.into(memory)[...] = a
    return target.into(memory)


@linear(a=lambda g, source, target: as_strided(g, source, target), node="AsStridedBackwardBackward0")
def put_layout(a: Any, source: Layout, target: Layout) -> Any:
    """Zeros with `a` added through `target`, read through `source`: the transpose of `as_strided`."""
    memory = np.zeros(max(source.extent(), target.extent()), a.dtype)
    if overlaps(target.shape, target.strides):
        np.add.at(memory, target.places(), a)
    else:
        target.into(memory)[...] = a
    if overlaps(source.shape, source.strides):  # an element seen n times takes an nth of its gradient each time
        counts = np.bincount(source.places().ravel(), minlength=memory.size)
        memory /= np.maximum(counts, 1).astype(memory.real.dtype)
    return source.into(memory)


# Other types


@linear(a=lambda g: view_as_complex(g), view=True)
def view_as_real(a: Any) -> Any:
    """Complex numbers as pairs of real ones, in a further dimension of size 2."""
    a = np.asarray(a)
    return a[..., None].view(a.real.dtype)


@linear(a=lambda g: view_as_real(g), view=True)
def view_as_complex(a: Any) -> Any:
    """Pairs of real numbers, in the last dimension, as complex ones."""
    if a.strides[-1] != a.itemsize:
        a = np.ascontiguousarray(a)
    return a.view(np.result_type(a.dtype, np.complex64)).squeeze(-1)


@linear(a=lambda g, a_dtype: cast(g, dtypes.BY_NUMPY[a_dtype]), node="ToCopyBackward0")
def cast(a: Any, dtype: dtypes.dtype) -> Any:
    """A copy in another type; complex to real takes the real part."""
    return cast_array(np.asarray(a), dtype.numpy)


@linear(a=lambda g: g)
def clone(a: Any, order: Any = "K") -> Any:
    """A copy, its dimensions ordered in memory as NumPy's `order` says or, outermost first, as a tuple does."""
    if not isinstance(order, str):
        return clone.kernel(a.transpose(order), "C").transpose(inverse(order))
    return np.array(a, order=order) if a.size < WORTH else copy(a, np.empty_like(a, order=order))


@linear(a=lambda g: g, view=True)
def alias(a: Any) -> Any:
    """The same elements seen again."""
    return a[...]
