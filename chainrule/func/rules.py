"""Batching rules: how a primitive runs on all examples of a `vmap` at once.

Most need none (`func.calls` says why). The others are stated here, mostly in one of few forms: the kernel itself on arrays with the
examples in front, after its statics were told of that dimension.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.autograd import views
from chainrule.func.calls import FAMILIES, RULES, Rule, by_example, varies
from chainrule.kernels.batched import (
    Batched,
    Level,
    NotBatched,
    aligned,
    front,
    inner,
    is_mapped,
    matmul,
    one_by_one,
    put_at,
    require_room,
    take_at,
    top,
    wrapped,
)
from chainrule.ops import (
    conv,
    fft,
    index,
    joining,
    linalg,
    matmul as products,
    order,
    padding,
    placing,
    pool,
    reduce,
    scan,
    shape,
    shuffle,
    softmax as soft,
    special,
)
from chainrule.ops.primitive import Primitive, alias

# Forms of rules


def told(kind: str, value: Any, level: Level) -> Any:
    """A static, told of the dimension in front."""
    if value is None:
        return None
    if kind == "dim":
        return value + 1 if value >= 0 else value
    if kind == "dims":
        return tuple([d + 1 if d >= 0 else d for d in value])
    if kind == "shape":
        return (level.size, *value)
    return ((0, 0), *value)  # "sides"


COUNTED = {"dim", "dims"}


def shape_of(op: Primitive, args: tuple) -> Any:
    """The shape of what the result of a transpose is put into; True for other ops."""
    return args[op.arity + op.statics.index("shape")] if "shape" in op.statics else True


def with_front(**kinds: str) -> Rule:
    """The kernel on arrays with the examples in front; `kinds` says what to tell which static."""

    counts = not COUNTED.isdisjoint(kinds.values())

    def rule(op: Primitive, level: Level, args: tuple) -> Any:
        if counts and not (args[0].ndim and shape_of(op, args)):  # NumPy lets a number have dimension 0
            return one_by_one(level, op.compute, args)
        arrays = [v if v is None else front(v, level) for v in args[: op.arity]]
        statics = [front(v, level) if is_mapped(v, level) else inner(v, level) for v in args[op.arity :]]
        if any([isinstance(v, tuple) and varies(v, level) for v in args[op.arity :]]):
            return by_example(op, level, args)
        statics = [told(kinds[n], v, level) if n in kinds else v for n, v in zip(op.statics, statics, strict=False)]
        return wrapped(op.compute(*arrays, *statics), level)

    return rule


def in_batch(*folding: int, spatial: bool = False) -> Rule:
    """For kernels that take a batch as dimension 0: the examples are folded into it, of the inputs at `folding`."""

    def rule(op: Primitive, level: Level, args: tuple) -> Any:
        arrays = list(args)
        for i in range(op.arity):
            if i in folding:
                a = front(args[i], level)
                arrays[i] = a.reshape(a.shape[0] * a.shape[1], *a.shape[2:])
            else:
                arrays[i] = inner(args[i], level)
        y = op.compute(*arrays)
        return Batched(y.reshape(level.size, y.shape[0] // level.size, *y.shape[1:]), level)

    def guarded(op: Primitive, level: Level, args: tuple) -> Any:
        others = [i for i in range(op.arity) if i not in folding and is_mapped(args[i], level)]
        return by_example(op, level, args) if others else rule(op, level, args)

    return guarded


# Statics that count dimensions

FRONT: dict[str, tuple] = {
    "dim": (
        shape.select, shape.slice_dim, shape.unfold, reduce.products_of_others, scan.cumsum, scan.cumsum_back, scan.cumprod,
        scan.logcumsumexp, scan.exps_back, scan.exps_on, scan.cummax, scan.cummin, order.max_dim, order.min_dim, order.kthvalue,
        order.median_dim, order.nanmedian_dim, order.mode, order.sort, order.topk, index.gather, index.scatter, index.scatter_value,
        index.scatter_add, order.pick, fft.r2c, fft.c2r,
        joining.unbind, joining.split, joining.split_with_sizes, joining.unsafe_split, joining.unsafe_split_with_sizes,
        placing.select_scatter, placing.slice_scatter,
    ),
    "shape dim": (shape.select_backward, shape.slice_backward, shape.unfold_backward, index.spread, order.place),
    "dims": (fft.c2c, fft.r2c_whole, placing.flip),
    "over": (soft.softmax, soft.log_softmax, soft.logsumexp, soft.unsoftmax, soft.unlog_softmax),
    "dim1 dim2": (shape.diagonal, joining.diag_embed, placing.diagonal_scatter),
    "shape dim1 dim2": (shape.diagonal_backward,),
    "dim0 dim1": (shape.transpose,),
    "shape": (shape.view, shape.reshape, shape.squeeze, shape.squeeze_dim, shape.squeeze_dims, shape.unsqueeze),
    "": (
        linalg.inv_ex, linalg.det, linalg.slogdet, linalg.cholesky_ex, linalg.qr, linalg.svd, linalg.eigh, linalg.eig,
        linalg.lu_factor_ex, linalg.matrix_exp, pool.scatter, pool.spread, shuffle.pixel_shuffle, shuffle.pixel_unshuffle,
        shape.view_as_real, shape.view_as_complex,
        special.polygamma,
    ),
    "sides": (padding.constant_pad, padding.crop),
}  # fmt: skip
KINDS = {"dim": "dim", "dim0": "dim", "dim1": "dim", "dim2": "dim", "dims": "dims", "shape": "shape", "sides": "sides"}
for _names, _ops in FRONT.items():
    RULES |= dict.fromkeys(_ops, with_front(**({"dim": "dims"} if _names == "over" else {n: KINDS[n] for n in _names.split()})))

# The last dimensions are all they look at
FAMILIES |= dict.fromkeys(("taken", "unpool", "average", "resampled", "pad", "gather_back"), with_front())
FAMILIES["reduced"] = RULES[index.scatter_add]

RULES |= dict.fromkeys((shuffle.channel_shuffle, conv.unfold, conv.fold), in_batch(0))


def rule_for(*ops: Primitive) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(ops, rule))
        return rule

    return register


def middle(op: Primitive, level: Level, args: tuple) -> Any:
    """The median of all elements, as the one along a dimension of them."""
    if not args[0].size:
        return one_by_one(level, op.compute, args)
    along = order.nanmedian_dim if op.name == "nanmedian" else order.median_dim
    return Batched(along.compute(front(args[0], level).reshape(level.size, args[0].size), 1, False)[0], level)


FAMILIES |= dict.fromkeys(("median", "nanmedian"), middle)

# Products


@rule_for(products.mm, products.mv, products.vecmat, products.dot, products.matmul, products.spread_mm, products.fold_mm, products.bmm)
def product(op: Primitive, level: Level, args: tuple) -> Any:
    return narrow(matmul, level, *args)


def narrow(function: Callable, level: Level, a: Any, b: Any) -> Any:
    """Two-byte floats are multiplied as float32."""
    if a.dtype in products.NARROW:
        return function(level, a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
    return function(level, a, b)


@rule_for(products.fold_mv)
def fold_mv(op: Primitive, level: Level, args: tuple) -> Any:
    return narrow(matmul, level, *args)


@rule_for(products.sum_bmm)
def sum_bmm(op: Primitive, level: Level, args: tuple) -> Any:
    return narrow(matmul, level, *args).sum(0, dtype=args[0].dtype)


ADDENDS: dict[Primitive, Primitive] = {
    products.addmm: products.mm, products.addmv: products.mv, products.addr: products.outer, products.addbmm: products.sum_bmm,
    products.baddbmm: products.bmm,
}  # fmt: skip


@rule_for(*list(ADDENDS))
def added(op: Primitive, level: Level, args: tuple) -> Any:
    c, a, b = args[:3]
    beta, alpha = (args[3], args[4]) if len(args) == 5 else (1, 1)
    y = ADDENDS[op](a, b)
    one = y.dtype.type
    y = y if alpha == 1 else y * one(alpha)
    return y if beta == 0 else y + (c if beta == 1 else c * one(beta))


@rule_for(products.affine, products.fold_affine)
def affine(op: Primitive, level: Level, args: tuple) -> Any:
    c, a, w = args
    return narrow(matmul, level, a, w.T) + c


@rule_for(products.times_transposed, products.fold_times_transposed)
def times_transposed(op: Primitive, level: Level, args: tuple) -> Any:
    a, w = args
    return narrow(matmul, level, a, w.T)


@rule_for(products.einsum)
def einsum(op: Primitive, level: Level, args: tuple) -> Any:
    """The examples have a label of their own."""
    operands, inputs, output = args
    label = "the examples"
    labels = tuple([(label, *own) if is_mapped(a, level) else own for a, own in zip(operands, inputs, strict=True)])
    arrays = [inner(a, level) for a in operands]
    return Batched(op.compute(arrays, labels, (label, *output)), level)


# Shapes


@rule_for(shape.expand)
def expand(op: Primitive, level: Level, args: tuple) -> Any:
    a, wanted = args
    return Batched(op.compute(aligned(a, level, len(wanted)), (level.size, *wanted)), level)


@rule_for(placing.repeat)
def repeat(op: Primitive, level: Level, args: tuple) -> Any:
    a, repeats = args
    return Batched(op.compute(aligned(a, level, len(repeats)), (1, *repeats)), level)


@rule_for(shape.permute)
def permute(op: Primitive, level: Level, args: tuple) -> Any:
    return args[0].transpose(args[1])


@rule_for(shape.t)
def t(op: Primitive, level: Level, args: tuple) -> Any:
    return args[0].T


@rule_for(joining.cat)
def cat(op: Primitive, level: Level, args: tuple) -> Any:
    arrays, dim = args
    if any([a.shape == (0,) for a in arrays]):  # joins with anything
        arrays = [a for a in arrays if a.shape != (0,)] or arrays
    return Batched(op.compute([front(a, level) for a in arrays], dim + 1), level)


@rule_for(joining.stack)
def stack(op: Primitive, level: Level, args: tuple) -> Any:
    arrays, dim = args
    return Batched(op.compute([front(a, level) for a in arrays], dim + 1), level)


@rule_for(joining.block_diag)
def block_diag(op: Primitive, level: Level, args: tuple) -> Any:
    blocks = [front(m.reshape((1, 1, *m.shape)[-2:]) if m.ndim < 2 else m, level) for m in args[0]]
    y = np.zeros((level.size, sum([m.shape[1] for m in blocks]), sum([m.shape[2] for m in blocks])), blocks[0].dtype)
    at = np.zeros(2, int)
    for m in blocks:
        end = at + m.shape[1:]
        y[:, at[0] : end[0], at[1] : end[1]] = m
        at = end
    return Batched(y, level)


@rule_for(placing.roll)
def roll(op: Primitive, level: Level, args: tuple) -> Any:
    a, shifts, dims = args
    if not dims:
        return op.compute(a.reshape(-1), shifts, (0,)).reshape(a.shape)
    return Batched(op.compute(a.array, shifts, tuple([d + 1 for d in dims])), level)


@rule_for(placing.tril, placing.triu)
def triangle(op: Primitive, level: Level, args: tuple) -> Any:
    return Batched(op.compute(args[0].array, *args[1:]), level)


# Indexing


@rule_for(index.select_view, index.slice_view, index.unsqueeze_view, index.alias_view)
def basic(op: Primitive, level: Level, args: tuple) -> Any:
    return args[0][args[1]]


@rule_for(index.embed)
def embed(op: Primitive, level: Level, args: tuple) -> Any:
    a, size, where = args
    return Batched(op.compute(a.array, (level.size, *size), (slice(None), *where)), level)


@rule_for(index.index)
def index_rule(op: Primitive, level: Level, args: tuple) -> Any:
    return take_at(*args)


def zeros(level: Level, size: tuple, dtype: Any) -> Batched:
    return Batched(np.zeros((level.size, *size), dtype), level)


def own(a: Any, level: Level) -> Batched:
    """A copy for each example, to write into."""
    return Batched(np.array(front(a, level)) if not isinstance(front(a, level), Batched) else front(a, level).copy(), level)


def add_at(a: Any, where: tuple, value: Any) -> None:
    if isinstance(a, Batched):
        raise NotBatched("nested levels")
    np.add.at(a, where, value)


@rule_for(index.accumulate)
def accumulate(op: Primitive, level: Level, args: tuple) -> Any:
    a, size, where = args
    if nested(level, args):
        return merged(op, level, args)
    y = zeros(level, size, a.dtype)
    put_at(y, where, a, add_at)
    return y


@rule_for(index.index_put, index.index_put_add)
def index_put(op: Primitive, level: Level, args: tuple) -> Any:
    a, b, where = args
    if nested(level, args):
        return merged(op, level, args)
    y = own(a, level)
    put_at(y, where, b, add_at if op is index.index_put_add else None)
    return y


@rule_for(index.clear)
def clear(op: Primitive, level: Level, args: tuple) -> Any:
    a, where = args
    if nested(level, args):
        return merged(op, level, args)
    y = own(a, level)
    put_at(y, where, 0)
    return y


def nested(level: Level, args: tuple) -> bool:
    """Whether there are further levels below."""
    return top(inner(args, level)) is not None


def merged(op: Primitive, level: Level, args: tuple) -> Any:
    """The rule of `op` at a level and the next one below it as if they were one, of all pairs of examples."""
    below = top(inner(args, level))
    both = Level(below.size * level.size)
    local = modes.local
    before, local.batching = local.batching, (*local.batching, both)
    try:
        y = RULES[op](op, both, paired(args, level, below, both)).array
    finally:
        local.batching = before
    return Batched(Batched(y.reshape(below.size, level.size, *y.shape[1:]), below), level)


def paired(a: Any, level: Level, below: Level, both: Level) -> Any:
    """An argument at the level of all pairs of examples."""
    if a.__class__ is tuple or a.__class__ is list:
        return type(a)([paired(v, level, below, both) for v in a])
    if not (is_mapped(a, level) or is_mapped(inner(a, level), below)):
        return inner(inner(a, level), below)
    pairs = front(front(a, level), below)
    return Batched(pairs.reshape(both.size, *pairs.shape[2:]), both)


def row(i: Any, dim: int) -> tuple:
    return (*(slice(None),) * dim, i)


@rule_for(index.index_select)
def index_select(op: Primitive, level: Level, args: tuple) -> Any:
    a, i, dim = args
    if not is_mapped(i, level):
        return Batched(op.compute(a.array, inner(i, level), dim + 1), level)
    return take_at(a, row(i, dim))


@rule_for(index.rows)
def rows(op: Primitive, level: Level, args: tuple) -> Any:
    a, i, size, dim = args
    if not is_mapped(i, level):
        return Batched(op.compute(a.array, inner(i, level), (level.size, *size), dim + 1), level)
    return index.accumulate.compute(a, size, row(i, dim))


@rule_for(index.index_add)
def index_add(op: Primitive, level: Level, args: tuple) -> Any:
    a, i, b, dim, alpha = args
    if not is_mapped(i, level):
        return Batched(op.compute(front(a, level), inner(i, level), front(b, level), dim + 1, alpha), level)
    return index.index_put_add.compute(a, b if alpha == 1 else b * a.dtype.type(alpha), row(i, dim))


@rule_for(index.index_copy, index.index_fill_tensor)
def index_copy(op: Primitive, level: Level, args: tuple) -> Any:
    a, i, b, dim = args
    return index.index_put.compute(a, b, row(i, dim))


@rule_for(index.index_fill)
def index_fill(op: Primitive, level: Level, args: tuple) -> Any:
    a, i, dim, value = args
    return index.index_put.compute(a, np.asarray(value, a.dtype), row(i, dim))


@rule_for(index.scatter_combine)
def scatter_combine(op: Primitive, level: Level, args: tuple) -> Any:
    a, i, b, dim, ufunc = args
    if not a.ndim:
        return one_by_one(level, op.compute, args)
    b = front(b, level) if np.ndim(b) else b
    return Batched(op.compute(front(a, level), front(i, level), b, dim + 1, ufunc), level)


@rule_for(index.take)
def take(op: Primitive, level: Level, args: tuple) -> Any:
    return take_at(args[0].reshape(-1), (args[1],))


@rule_for(index.untake)
def untake(op: Primitive, level: Level, args: tuple) -> Any:
    a, i, size = args
    n = int(np.prod(size))
    return index.accumulate.compute(a.reshape(-1), (n,), (i.reshape(-1),)).reshape(size)


# Memory: the layouts and geometries of one example are repeated, each in its own stretch


def repeated(layout: shape.Layout, level: Level, span: int) -> shape.Layout:
    return shape.Layout((level.size, *layout.shape), (span, *layout.strides), layout.offset)


@rule_for(shape.as_strided, shape.put_layout)
def strided(op: Primitive, level: Level, args: tuple) -> Any:
    a, source, target = args
    if op is shape.as_strided and a.shape == source.shape and a.strides == tuple([s * a.itemsize for s in source.strides]):
        start = (target.offset - source.offset) * a.itemsize
        return shape.window(a, target.shape, tuple([s * a.itemsize for s in target.strides]), start, inside=False)
    span = max(source.extent(), target.extent())
    return Batched(op.compute(front(a, level), repeated(source, level, span), repeated(target, level, span)), level)


@rule_for(placing.as_strided_scatter)
def strided_scatter(op: Primitive, level: Level, args: tuple) -> Any:
    a, b, source, target = args
    span = max(source.extent(), target.extent())
    return Batched(op.compute(front(a, level), front(b, level), repeated(source, level, span), repeated(target, level, span)), level)


@rule_for(views.take_view, views.put_view, views.without_view)
def seen(op: Primitive, level: Level, args: tuple) -> Any:
    a, where = args
    reach = sum([(n - 1) * abs(s) for n, s in zip(where.base_shape, where.base_strides, strict=True) if n]) + where.base_dtype.itemsize
    everywhere = views.Geometry(
        (level.size, *where.base_shape), (reach, *where.base_strides), where.base_dtype,
        (level.size, *where.shape), (reach, *where.strides), where.dtype, where.offset,
    )  # fmt: skip
    return Batched(op.compute(front(a, level), everywhere), level)


@rule_for(views.laid_as)
def laid_as(op: Primitive, level: Level, args: tuple) -> Any:
    return own(args[0], level)


@rule_for(shape.clone)
def clone(op: Primitive, level: Level, args: tuple) -> Any:
    a, order = (*args, "K")[:2]
    return Batched(op.compute(front(a, level), order if isinstance(order, str) else (0, *[d + 1 for d in order])), level)


@rule_for(shape.cast)
def cast(op: Primitive, level: Level, args: tuple) -> Any:
    return args[0].held(op.compute(args[0].array, args[1]))


@rule_for(shape.alias, alias)
def same(op: Primitive, level: Level, args: tuple) -> Any:
    return args[0].held(op.compute(args[0].array))


@rule_for(index.copy, placing.copy, placing.fill_with, placing.fill_with_in_place)
def copy(op: Primitive, level: Level, args: tuple) -> Any:
    a, b = args
    if op is not placing.fill_with:  # the others write over a
        require_room(a, b)
    y = own(np.zeros(a.shape, a.dtype), level)
    y[...] = b
    return y
