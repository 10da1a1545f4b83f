"""Indexing: views by integers and slices, advanced indexing, gather and scatter, each beside its transpose.

A `where` is a tuple of full slices, integer arrays and bool masks, as NumPy indexes with; an `index` is an array of integers that
the node saves and guards. What writes into its first input is stated once, as a kernel that writes in place (`writes`): the
primitive gives it a copy, the in-place op (`write_over`) the tensor's own memory, so that `index_add_` costs what it adds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core import dtypes, modes
from chainrule.kernels import reductions as arranging, scatter as kernels
from chainrule.ops.inplace import check_writable, overwrite, snapshot
from chainrule.ops.pointwise import where as choose
from chainrule.ops.primitive import Primitive, argument_names, edge_of, general, linear, observe
from chainrule.ops.reduce import sum, sum_to
from chainrule.ops.shape import cast, reshape
from chainrule.tensor import Tensor, adopt

FULL = kernels.FULL

# Basic indexing: `index` is a tuple of ints, slices with positive steps, None, and an Ellipsis, so that NumPy returns an array


def viewing(name: str) -> Primitive:
    """`a[index]` as a view; the node bears the name of the last of PyTorch's views that it stands for."""

    def view(a: Any, index: tuple) -> Any:
        return a[index]

    return linear(a=lambda g, a_shape, index: embed(g, a_shape, index), view=True, name=name, node=f"{name.capitalize()}Backward0")(view)


select_view, slice_view, unsqueeze_view, alias_view = (viewing(name) for name in ("select", "slice", "unsqueeze", "alias"))


@linear(a=lambda g, index: slice_view(g, index), node="SliceBackward0")
def embed(a: Any, shape: tuple, index: tuple) -> Any:
    """Zeros of `shape` with `a` at `index`: the transpose of a view."""
    y = np.zeros(shape, a.dtype)
    y[index] = a
    return y


def head(shape: tuple) -> tuple:
    """The basic index of the first `shape` elements."""
    return (*[slice(n) for n in shape], ...)


# Ops that write into their first input


class Writing(Primitive):
    """A primitive that gives its first input changed; `into` changes it in place."""

    into: Callable


def writes(*inputs: str, node: str | None = None, jvp: Callable | None = None, **rules: Any) -> Callable[[Callable], Writing]:
    """State a kernel that changes its first argument. No rule may read the first input or the result: they are overwritten."""

    def define(into: Callable) -> Writing:
        def kernel(a: Any, *rest: Any) -> Any:
            y = np.array(a, order="C")
            into(y, *rest)
            return y

        parameters = argument_names(into)
        op = Writing(into.__name__, kernel, inputs, parameters[len(inputs) :], rules, None, node=node, jvp=jvp)
        op.into, op.linear = into, True
        op.__doc__ = into.__doc__
        return op

    return define


def write_over(op: Writing, operands: tuple) -> Tensor:
    """The in-place form: `op` on `operands`, its result in the first one's memory and history."""
    target: Tensor = operands[0]
    busy = modes.state.busy
    recording = not busy or modes.local.grad
    check_writable(target, recording)
    if busy and (modes.local.dual_level >= 0 or modes.state.levels):
        return overwrite(target, op(snapshot(target), *operands[1:]))
    inputs, statics = operands[: op.arity], operands[op.arity :]
    arrays = tuple([t._data if isinstance(t, Tensor) else t for t in inputs])
    after = adopt(Tensor, target._data)
    if recording:
        edges = [edge_of(t) if isinstance(t, Tensor) else None for t in inputs]
        if any([e is not None for e in edges]):
            node = op.make_node(edges, inputs, arrays, statics, [after], False)
            if busy:
                observe(node, op, inputs, [after])
    op.into(*arrays, *statics)
    target._versions[0] += 1
    if after._edge is not None:
        from chainrule.autograd.views import rebase

        rebase(target, after._edge)
    return target


@writes("a", "b", a=lambda g: choose(False, g, 0), b=lambda g, b_shape: sum_to(g, b_shape), node="CopyBackwards")
def copy(a: Any, b: Any) -> None:
    """All of `a` replaced by `b`."""
    a[...] = b


# Advanced indexing


@linear(a=lambda g, a_shape, where: accumulate(g, a_shape, where))
def index(a: Any, where: tuple) -> Any:
    """`a[where]`, a copy."""
    return kernels.take_at(a, where)


@linear(a=lambda g, where: index(g, where), node="IndexPutBackward0")
def accumulate(a: Any, shape: tuple, where: tuple) -> Any:
    """Zeros of `shape` with `a` added at `where`: the transpose of `index`."""
    y = np.zeros(shape, a.dtype)
    kernels.add_at(y, where, a)
    return y


@writes("a", "b", a=lambda g, where: clear(g, where), b=lambda g, where, b_shape: sum_to(index(g, where), b_shape))
def index_put(a: Any, b: Any, where: tuple) -> None:
    a[where] = b


@writes("a", "b", a=lambda g: g, b=lambda g, where, b_shape: sum_to(index(g, where), b_shape), node="IndexPutBackward0")
def index_put_add(a: Any, b: Any, where: tuple) -> None:
    kernels.add_at(a, where, b)


@writes("a", a=lambda g, where: clear(g, where), node="IndexPutBackward0")
def clear(a: Any, where: tuple) -> None:
    a[where] = 0


# Along one dimension, an index for each element


@linear(a=lambda g, index, a_shape, dim: spread(g, index, a_shape, dim), inputs=("a", "index"))
def gather(a: Any, index: Any, dim: int) -> Any:
    """`y[i, j, k] = a[i, j, index[i, j, k]]` (dim 2)."""
    return kernels.gather(a, index, dim)


@linear(a=lambda g, index, dim: gather(g, index, dim), inputs=("a", "index"), node="ScatterAddBackward0")
def spread(a: Any, index: Any, shape: tuple, dim: int) -> Any:
    """Zeros of `shape` with `a` added at the places that `gather` reads."""
    y = np.zeros(shape, a.dtype)
    kernels.scatter_into(y, index, a, dim, np.add)
    return y


def gather_source(g: Any, index: Any, dim: int, shape: tuple) -> Any:
    """The cotangent of a scattered source, which may be larger than the index."""
    g = gather(g, index, dim)
    return g if g.shape == shape else embed(g, shape, head(g.shape))


@writes(
    "a", "index", "b", a=lambda g, index, dim: scatter_value(g, index, dim, 0),
    b=lambda g, index, dim, b_shape: gather_source(g, index, dim, b_shape),
)  # fmt: skip
def scatter(a: Any, index: Any, b: Any, dim: int) -> None:
    kernels.scatter_into(a, index, b, dim, None)


@writes(
    "a", "index", a=lambda g, index, dim: scatter_value(g, index, dim, 0), jvp=lambda t, index, dim: scatter_value(t, index, dim, 0),
    node="ScatterBackward1",
)  # fmt: skip
def scatter_value(a: Any, index: Any, dim: int, value: Any) -> None:
    kernels.scatter_into(a, index, value, dim, None)


@writes("a", "index", "b", a=lambda g: g, b=lambda g, index, dim, b_shape: gather_source(g, index, dim, b_shape))
def scatter_add(a: Any, index: Any, b: Any, dim: int) -> None:
    kernels.scatter_into(a, index, b, dim, np.add)


def undefined(g: Any) -> Any:
    raise RuntimeError("derivative for aten::scatter with a reduce argument is not implemented: use scatter_reduce or scatter_add")


@writes("a", "index", a=undefined, node="NotImplemented")
def scatter_combine(a: Any, index: Any, b: Any, dim: int, ufunc: np.ufunc) -> None:
    """`a` combined with `b`, an array or a number, by a ufunc."""
    kernels.scatter_into(a, index, b, dim, ufunc)


# Along one dimension, an index for each row


@linear(a=lambda g, index, a_shape, dim: rows(g, index, a_shape, dim), inputs=("a", "index"))
def index_select(a: Any, index: Any, dim: int) -> Any:
    """`y[:, k] = a[:, index[k]]` (dim 1)."""
    return kernels.take_rows(a, index, dim)


@linear(a=lambda g, index, dim: index_select(g, index, dim), inputs=("a", "index"), node="IndexAddBackward0")
def rows(a: Any, index: Any, shape: tuple, dim: int) -> Any:
    """Zeros of `shape` with rows of `a` added at `index`."""
    y = np.zeros(shape, a.dtype)
    kernels.rows_into(y, index, a, dim, np.add)
    return y


def scaled(g: Any, alpha: Any) -> Any:
    return g if alpha == 1 else g * alpha.conjugate()


def row(index: Any, dim: int) -> tuple:
    return (*(FULL,) * dim, index)


@writes(
    "a", "index", "b", a=lambda g: g,
    b=lambda g, index, dim, alpha, b_shape: reshape(scaled(index_select(g, index, dim), alpha), b_shape),
)  # fmt: skip
def index_add(a: Any, index: Any, b: Any, dim: int, alpha: Any) -> None:
    kernels.rows_into(a, index, b if alpha == 1 else b * a.dtype.type(alpha), dim, np.add)


@writes(
    "a", "index", "b", a=lambda g, index, dim: index_fill(g, index, dim, 0),
    b=lambda g, index, dim, b_shape: reshape(index_select(g, index, dim), b_shape),
)  # fmt: skip
def index_copy(a: Any, index: Any, b: Any, dim: int) -> None:
    a[row(index, dim)] = b


@writes("a", "index", a=lambda g, index, dim: index_fill(g, index, dim, 0), jvp=lambda t, index, dim: index_fill(t, index, dim, 0))
def index_fill(a: Any, index: Any, dim: int, value: Any) -> None:
    a[row(index, dim)] = value


@writes(
    "a", "index", "b", a=lambda g, index, dim: index_fill(g, index, dim, 0), node="IndexFillBackward1",
    b=lambda g, index, dim: sum(index_select(g, distinct(index), dim), None, False),
)  # fmt: skip
def index_fill_tensor(a: Any, index: Any, b: Any, dim: int) -> None:
    a[row(index, dim)] = b


def array_of(t: Any) -> Any:
    """The values of a carrier that no derivative goes through."""
    return t._data if isinstance(t, Tensor) else t


def distinct(index: Any) -> Any:
    return np.unique(array_of(index))


# Into the flat array, and by masks


@linear(a=lambda g, index, a_shape: reshape(untake(reshape(g, (-1,)), index, a_shape), a_shape), inputs=("a", "index"))
def take(a: Any, index: Any) -> Any:
    """The elements of the flattened `a` at `index`, in index's shape."""
    return a.reshape(-1).take(index)


@linear(a=lambda g, index: reshape(take(g, index), (-1,)), inputs=("a", "index"), node="PutBackward0")
def untake(a: Any, index: Any, shape: tuple) -> Any:
    """Zeros of `shape`, the elements of the vector `a` added at the flat positions `index`."""
    y = np.zeros(shape, a.dtype)
    put_into(y, index, a, True)
    return y


@writes(
    "a", "index", "b", a=lambda g, index, accumulate: g if accumulate else put(g, index, np.zeros(index.shape, bool), False),
    b=lambda g, index, b_shape: reshape(take(g, index), b_shape),
)  # fmt: skip
def put(a: Any, index: Any, b: Any, accumulate: bool) -> None:
    put_into(a, index, b, accumulate)


def put_into(a: np.ndarray, index: np.ndarray, b: np.ndarray, accumulate: bool) -> None:
    flat = a.reshape(-1)
    kernels.write(flat, kernels.row_index(index.reshape(-1), flat.size), b.reshape(-1), np.add if accumulate else None)
    if not a.flags.c_contiguous:
        a[...] = flat.reshape(a.shape)


@linear(a=lambda g, b, a_shape: masked_scatter(np.zeros(a_shape, array_of(g).dtype), b, g), inputs=("a", "b"))
def masked_select(a: Any, b: Any) -> Any:
    """The elements of `a` where the mask `b`, of its shape, is True."""
    return arranging.choose(a, b)


@writes("a", "b", "c", a=lambda g, b: choose(b, 0, g), c=lambda g, b, c_shape: masked_source(masked_select(g, b), c_shape))
def masked_scatter(a: Any, b: Any, c: Any) -> None:
    """`a` with the first elements of `c` where the mask `b` is True."""
    arranging.place(a, b, c)


def masked_source(g: Any, shape: tuple) -> Any:
    """The cotangent of a masked_scatter's source: the elements that were not used get 0."""
    size = int(np.prod(shape))
    return reshape(embed(g, (size,), head(g.shape)), shape)


# Reductions by index: `index` has the shape of (the first elements of) the source `b`

IDENTITY = {
    "sum": lambda dtype: 0, "mean": lambda dtype: 0, "prod": lambda dtype: 1,
    "amax": lambda dtype: -np.inf if dtype.kind not in "iub" else False if dtype.kind == "b" else np.iinfo(dtype).min,
    "amin": lambda dtype: np.inf if dtype.kind not in "iub" else True if dtype.kind == "b" else np.iinfo(dtype).max,
}  # fmt: skip
UFUNCS = {"sum": np.add, "mean": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


def reduced(a: Any, index: Any, b: Any, dim: int, reduce: str, include_self: bool) -> Any:
    """A copy of `a` with elements of `b` reduced into it, or into nothing where there are any if not `include_self`."""
    y = np.array(a, order="C")
    if not include_self:
        kernels.scatter_into(y, index, IDENTITY[reduce](y.dtype), dim, None)
    with np.errstate(all="ignore"):
        kernels.scatter_into(y, index, b, dim, UFUNCS[reduce])
        if reduce == "mean":
            n = tally(index, y.shape, dim, include_self, y.dtype)
            y = np.floor_divide(y, n) if y.dtype.kind in "iu" else y / n
    return y


def tally(index: Any, shape: tuple, dim: int, include_self: bool, dtype: Any) -> np.ndarray:
    """How many elements each mean is over."""
    index = array_of(index)
    n = np.full(shape, int(include_self))
    kernels.scatter_into(n, index, np.ones(index.shape, n.dtype), dim, np.add)
    return np.maximum(n, 1).astype(dtype)


def kept(g: Any, index: Any, dim: int, include_self: bool) -> Any:
    """The cotangent of what was there before."""
    return g if include_self else scatter_value(g, index, dim, 0)


def crop(b: Any, index: Any) -> Any:
    return b if b.shape == index.shape else slice_view(b, head(index.shape))


def uncrop(g: Any, shape: tuple) -> Any:
    return g if g.shape == shape else embed(g, shape, head(g.shape))


def extremum_vjp(g: Any, a: Any, index: Any, b: Any, y: Any, dim: int, include_self: bool) -> tuple:
    """Elements that equal the extremum share its cotangent evenly."""
    dtype = dtypes.BY_NUMPY[array_of(a).dtype]
    source = crop(b, index)
    from_self, from_source = cast(a == y, dtype), cast(source == gather(y, index, dim), dtype)
    g = g / scatter_add(from_self, index, from_source, dim)
    return kept(from_self * g, index, dim, include_self), None, uncrop(from_source * gather(g, index, dim), b.shape)


def product_vjp(g: Any, a: Any, index: Any, b: Any, y: Any, dim: int, include_self: bool) -> tuple:
    """The product of the other factors: by division, and where one factor alone is 0 by leaving that out."""
    source = crop(b, index)
    others = scatter_product(choose(a == 0, 1, a), index, source, dim, "prod", include_self)
    g_a = kept(g * others / choose(a == 0, 1, a), index, dim, include_self)
    zero = array_of(source) == 0
    zeros = spread(zero.astype(np.int64), array_of(index), array_of(a).shape, dim)
    alone = zero & (kernels.gather(zeros, array_of(index), dim) == 1)
    without = scatter_product(a, index, choose(alone, 1, source), dim, "prod", include_self)
    g_b = choose(alone, gather(g * without, index, dim), gather(g * y, index, dim) / choose(zero, 1, source))
    return g_a, None, uncrop(g_b, b.shape)


def share(g: Any, index: Any, dim: int, reduce: str, include_self: bool, shape: tuple) -> Any:
    """The part of the cotangent that each element of a sum or a mean gets."""
    return g if reduce == "sum" else g / tally(index, shape, dim, include_self, array_of(g).dtype)


def self_cotangent(g: Any, index: Any, dim: int, reduce: str, include_self: bool, a_shape: tuple) -> Any:
    return kept(share(g, index, dim, reduce, include_self, a_shape), index, dim, include_self)


def source_cotangent(g: Any, index: Any, dim: int, reduce: str, include_self: bool, a_shape: tuple, b_shape: tuple) -> Any:
    return gather_source(share(g, index, dim, reduce, include_self, a_shape), index, dim, b_shape)


def reductions(node: str) -> tuple[Primitive, Primitive, Primitive]:
    """The reductions by index (sums and means, extrema, products), recorded as `node`."""
    inputs = ("a", "index", "b")
    return (
        linear(a=self_cotangent, b=source_cotangent, inputs=inputs, node=node)(reduced),
        general(vjp=extremum_vjp, inputs=inputs, node=node)(reduced),
        general(vjp=product_vjp, inputs=inputs, node=node)(reduced),
    )


scatter_linear, scatter_extremum, scatter_product = reductions("ScatterReduceBackward0")
index_linear, index_extremum, index_product = reductions("IndexReduceBackward0")
