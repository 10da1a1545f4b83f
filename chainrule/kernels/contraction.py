"""Sums of products over labelled dimensions, done as matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod

import numpy as np

from chainrule._core.dtypes import bfloat16

NARROW = {np.dtype(np.float16), bfloat16.numpy}


def einsum(operands: Sequence[np.ndarray], inputs: Sequence[tuple], output: tuple) -> np.ndarray:
    """The contraction of arrays whose dimensions bear the labels `inputs`; labels not in `output` are summed over.

    A dimension of length 1 broadcasts. Example: `einsum([a, b], [(0, 1), (1, 2)], (0, 2))` is `a @ b`.
    """
    dtype = operands[0].dtype
    if dtype in NARROW:
        return einsum([a.astype(np.float32) for a in operands], inputs, output).astype(dtype)
    if len(operands) == 2:
        a, b = operands
        way = product_of(inputs[0], inputs[1], output, a.shape, b.shape)
        if way is not None:
            turn_a, shape_a, turn_b, shape_b, shape, turn = way
            return np.matmul(a.transpose(turn_a).reshape(shape_a), b.transpose(turn_b).reshape(shape_b)).reshape(shape).transpose(turn)
    pairs = [diagonals(a, labels) for a, labels in zip(operands, inputs, strict=True)]
    for i, j in order(tuple([labels for _, labels in pairs]), output, tuple([a.shape for a, _ in pairs])):
        second, first = pairs.pop(j), pairs.pop(i)
        pairs.append(contract(first, second, {*output, *(s for _, labels in pairs for s in labels)}))
    array, labels = summed(*pairs[0], set(output))
    array = array.transpose([labels.index(s) for s in output])
    return array.copy() if len(operands) == 1 else array


@lru_cache(256)
def product_of(one: tuple, two: tuple, output: tuple, shape_one: tuple, shape_two: tuple) -> tuple | None:
    """How two operands are turned and shaped into matrices whose product, shaped and turned, is the result; None if it is not one."""
    size = {**dict(zip(one, shape_one, strict=True)), **dict(zip(two, shape_two, strict=True))}
    batch, inner = ([s for s in one if s in two and (s in output) == kept] for kept in (True, False))
    left, right = [s for s in one if s not in two], [s for s in two if s not in one]
    fits = all([size[s] == n for labels, shape in ((one, shape_one), (two, shape_two)) for s, n in zip(labels, shape, strict=True)])
    if not (fits and inner and len({*one}) == len(one) and len({*two}) == len(two) and {*left, *right} <= {*output}):
        return None

    def lengths(*parts: list) -> tuple:
        shared = [size[s] for s in batch]
        return (*shared, *[prod([size[s] for s in part]) for part in parts])

    found = [*batch, *left, *right]
    return (
        [one.index(s) for s in (*batch, *left, *inner)], lengths(left, inner), [two.index(s) for s in (*batch, *inner, *right)],
        lengths(inner, right), [size[s] for s in found], [found.index(s) for s in output],
    )  # fmt: skip


@lru_cache(256)
def order(inputs: tuple, output: tuple, shapes: tuple) -> tuple[tuple[int, int], ...]:
    """Which two operands to contract next, as places i < j in the list that is left, the result going to its end."""
    if len(inputs) < 3:
        return ((0, 1),) * (len(inputs) - 1)
    sizes: dict = {}
    for labels, shape in zip(inputs, shapes, strict=True):
        for s, n in zip(labels, shape, strict=True):
            sizes[s] = max(n, sizes.get(s, 1))
    number = {s: i for i, s in enumerate(sizes)}
    # A cheap stand-in for each operand: einsum_path looks at shapes alone.
    operands = [np.broadcast_to(np.float32(0), [sizes[s] for s in labels]) for labels in inputs]
    mixed = [x for a, labels in zip(operands, inputs, strict=True) for x in (a, [number[s] for s in labels])]
    path = np.einsum_path(*mixed, [number[s] for s in output], optimize="greedy")[0][1:]
    steps = []
    for step in path:
        places = sorted(step)
        while len(places) > 1:
            steps.append((places[0], places[1]))
            rest = [p - 2 for p in places[2:]]
            places = rest and [*rest, len(inputs) - len(steps) - 1]
    return tuple(steps)


def diagonals(a: np.ndarray, labels: tuple) -> tuple[np.ndarray, tuple]:
    """Repeated labels of one operand become one dimension, its diagonal."""
    while len(set(labels)) < len(labels):
        s = next(s for s in labels if labels.count(s) > 1)
        i, j = [k for k, t in enumerate(labels) if t == s][:2]
        a = np.diagonal(a, 0, i, j)
        labels = (*labels[:i], *labels[i + 1 : j], *labels[j + 1 :], s)
    return a, labels


def summed(a: np.ndarray, labels: tuple, kept: set) -> tuple[np.ndarray, tuple]:
    """Sum over the labels that nobody wants."""
    away = tuple([i for i, s in enumerate(labels) if s not in kept])
    return (a.sum(away, dtype=a.dtype), tuple([s for s in labels if s in kept])) if away else (a, labels)


def contract(first: tuple, second: tuple, kept: set) -> tuple[np.ndarray, tuple]:
    """Two operands as one batched matrix product, summed over the labels not in `kept`."""
    a, ia = summed(first[0], first[1], kept | set(second[1]))
    b, ib = summed(second[0], second[1], kept | set(ia))
    a, ia = squeezed(a, ia, b, ib)
    b, ib = squeezed(b, ib, a, ia)
    shared = [s for s in ia if s in ib]
    batch = [s for s in shared if s in kept]
    inner = [s for s in shared if s not in kept]
    left, right = [s for s in ia if s not in ib], [s for s in ib if s not in ia]
    size = {**dict(zip(ib, b.shape, strict=True)), **dict(zip(ia, a.shape, strict=True))}
    labels = (*batch, *left, *right)
    if not inner:
        a = a.transpose([ia.index(s) for s in (*batch, *left)]).reshape([size[s] for s in batch + left] + [1] * len(right))
        b = b.transpose([ib.index(s) for s in (*batch, *right)]).reshape(
            [size[s] for s in batch] + [1] * len(left) + [size[s] for s in right]
        )
        return summed(np.multiply(a, b), labels, kept)

    def matrices(x: np.ndarray, have: tuple, parts: tuple) -> np.ndarray:
        return x.transpose([have.index(s) for part in parts for s in part]).reshape([prod([size[s] for s in part]) for part in parts])

    y = np.matmul(matrices(a, ia, (batch, left, inner)), matrices(b, ib, (batch, inner, right)))
    return summed(y.reshape([size[s] for s in labels]), labels, kept)


def squeezed(a: np.ndarray, labels: tuple, b: np.ndarray, others: tuple) -> tuple[np.ndarray, tuple]:
    """Drop dimensions of length 1 that the other operand has longer: there they broadcast."""
    for s in labels:
        if s in others and a.shape[labels.index(s)] == 1 != b.shape[others.index(s)]:
            a, labels = a.take(0, labels.index(s)), tuple([t for t in labels if t != s])
    return a, labels
