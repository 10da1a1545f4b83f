"""Batching rules of what networks are made of: losses, convolutions, systems of equations, tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.func.calls import by_example
from chainrule.func.rules import in_batch, merged, nested, rule_for
from chainrule.kernels.batched import Batched, Level, aligned, front, inner, is_mapped, take_at, wrapped
from chainrule.ops import conv, embedding, linalg, loss
from chainrule.ops.primitive import Primitive

# Losses: the examples join the batch; what is summed, and what a mean divides by, is each example's own


def joined(a: Any, level: Level, several: bool) -> Any:
    """(examples, batch, ...) as (examples * batch, ...); without a batch there is one element an example."""
    a = front(a, level)
    return a.reshape(a.shape[0] * a.shape[1], *a.shape[2:]) if several else a


def weights_of(scores: tuple, target: Any, weight: Any, ignore_index: int, dtype: Any, level: Level) -> Any:
    """What the means of the examples divide by."""
    if weight is None:
        return (target != ignore_index).reshape(level.size, -1).sum(1).astype(dtype)
    ones = np.broadcast_to(np.asarray(-1, dtype), scores)
    return loss.nll_loss.compute(ones, target, weight, ignore_index, "none").reshape(level.size, -1).sum(1)


@rule_for(loss.nll_loss, loss.nll_loss2d)
def nll(op: Primitive, level: Level, args: tuple) -> Any:
    a, target, weight, ignore_index, reduction = args
    if is_mapped(weight, level):
        return by_example(op, level, args)
    if nested(level, args):
        return merged(op, level, args)
    several = a.ndim > 1
    scores, classes = joined(a, level, several), joined(target if several else target.reshape(()), level, several)
    weight = inner(weight, level)
    losses = op.compute(scores, classes, weight, ignore_index, "none")
    if reduction == "none":
        return Batched(losses.reshape(level.size, *target.shape), level)
    total = losses.reshape(level.size, -1).sum(1, dtype=losses.dtype)
    return Batched(total if reduction == "sum" else total / weights_of(scores.shape, classes, weight, ignore_index, a.dtype, level), level)


@rule_for(loss.nll_spread)
def nll_spread(op: Primitive, level: Level, args: tuple) -> Any:
    a, target, weight, size, ignore_index, reduction = args
    if is_mapped(weight, level):
        return by_example(op, level, args)
    if nested(level, args):
        return merged(op, level, args)
    several = len(size) > 1
    whole = (level.size * size[0], *size[1:]) if several else (level.size, *size)
    classes, weight = joined(target if several else target.reshape(()), level, several), inner(weight, level)
    g = front(a, level)
    if reduction == "mean":
        g = g / weights_of(whole, classes, weight, ignore_index, a.dtype, level)
    if reduction != "none":
        g = g.reshape(level.size, *(1,) * target.ndim)
    g = np.broadcast_to(g, (level.size, *target.shape)).reshape(classes.shape)
    return Batched(op.compute(g, classes, weight, whole, ignore_index, "none").reshape(level.size, *size), level)


# Convolution: what is the same for all examples meets a larger batch; weights of each example are groups


@rule_for(conv.conv)
def conv_rule(op: Primitive, level: Level, args: tuple) -> Any:
    a, weight, bias, *statics = args
    if is_mapped(bias, level):
        y = op.compute(a, weight, None, *statics)
        return y + bias.reshape(-1, *[1] * (y.ndim - 2))
    if not is_mapped(weight, level):
        return in_batch(0)(op, level, args)
    stride, pads, dilation, groups, *out = statics
    x, w = front(a, level), weight.array
    b, n, channels = x.shape[:3]
    x = np.moveaxis(x, 0, 1).reshape(n, b * channels, *x.shape[3:])
    y = op.compute(x, w.reshape(b * w.shape[1], *w.shape[2:]), None, stride, pads, dilation, groups * b, *out)
    y = np.moveaxis(y.reshape(n, b, w.shape[1], *y.shape[2:]), 1, 0)
    return Batched(y if bias is None else y + inner(bias, level).reshape(-1, *[1] * (y.ndim - 3)), level)


@rule_for(conv.conv_input)
def conv_input_rule(op: Primitive, level: Level, args: tuple) -> Any:
    a, weight, bias, *statics = args
    if is_mapped(bias, level):
        y = op.compute(a, weight, None, *statics)
        return y + bias.reshape(-1, *[1] * (y.ndim - 2))
    if not is_mapped(weight, level):
        return in_batch(0)(op, level, args)
    spatial, stride, pads, dilation, groups = statics
    x, w = front(a, level), weight.array
    b, n = x.shape[:2]
    x = np.moveaxis(x, 0, 1).reshape(n, b * x.shape[2], *x.shape[3:])
    y = op.compute(x, w.reshape(b * w.shape[1], *w.shape[2:]), None, spatial, stride, pads, dilation, groups * b)
    y = np.moveaxis(y.reshape(n, b, y.shape[1] // b, *y.shape[2:]), 1, 0)
    return Batched(y if bias is None else y + inner(bias, level).reshape(-1, *[1] * (y.ndim - 3)), level)


@rule_for(conv.conv_weight)
def conv_weight_rule(op: Primitive, level: Level, args: tuple) -> Any:
    g, x, kernel, stride, pads, dilation, groups = args
    g, x = front(g, level), front(x, level)
    b, n, made = g.shape[:3]
    g, x = [np.moveaxis(v, 0, 1).reshape(n, b * v.shape[2], *v.shape[3:]) for v in (g, x)]
    y = op.compute(g, x, kernel, stride, pads, dilation, groups * b)
    return Batched(y.reshape(b, made, *y.shape[1:]), level)


# Linear algebra


@rule_for(linalg.solve_ex, linalg.solve_triangular)
def two_matrices(op: Primitive, level: Level, args: tuple) -> Any:
    a, b, *statics = args
    rank = max(a.ndim, b.ndim)
    return wrapped(op.compute(aligned(a, level, rank), aligned(b, level, rank), *statics), level)


@rule_for(embedding.embedding)
def embedding_rule(op: Primitive, level: Level, args: tuple) -> Any:
    a, i, *_ = args
    return take_at(a, (i,))
