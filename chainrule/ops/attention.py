"""Attention as one op: softmax(scale * q @ k.mT + bias) @ v. `weights` are the softmax's results, computed beforehand."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.autograd.node import next_sequence
from chainrule.kernels.rows import softmax as softmax_rows
from chainrule.ops.matmul import matmul
from chainrule.ops.pointwise import where
from chainrule.ops.primitive import edge_of, general
from chainrule.ops.reduce import sum_to
from chainrule.ops.softmax import softmax, unsoftmax
from chainrule.tensor import Tensor, adopt

state = modes.state
_new: Any = object.__new__


@lru_cache(maxsize=16)
def future(length: int, source: int) -> np.ndarray:
    """True where a place would look at a later one."""
    return ~np.tri(length, source, dtype=bool)


Maybe = np.ndarray | None


def weigh(q: np.ndarray, k: np.ndarray, bias: Maybe, hidden: Maybe, scale: float, seeing: bool) -> np.ndarray:
    """The weights of arrays; `hidden` is True where attention is not allowed. Queries that see nothing have zeros; there are none
    if all are `seeing`."""
    scores = np.matmul(q * q.dtype.type(scale), k.mT)
    if bias is not None:
        scores = scores + bias
    if hidden is not None:
        np.copyto(scores, -np.inf, where=hidden)
    blind = None
    if not seeing:
        blind = np.isneginf(np.maximum.reduce(scores, -1, keepdims=True))
        blind = blind if blind.any() else None
    y = softmax_rows(scores.reshape(-1, scores.shape[-1])).reshape(scores.shape)
    return y if blind is None else np.where(blind, y.dtype.type(0), y)


def composed(q: Any, k: Any, bias: Any, hidden: Any, scale: float) -> Any:
    """`weigh` of tensors, made of ops that can be differentiated again."""
    scores = matmul(q * scale, k.mT)
    if bias is not None:
        scores = scores + bias
    if hidden is not None:
        scores = where(hidden, -np.inf, scores)
    blind = np.isneginf(scores._data).all(-1, keepdims=True)
    if not blind.any():
        return softmax(scores, (scores.ndim - 1,))
    return where(blind, 0, softmax(where(blind, 0, scores), (scores.ndim - 1,)))


def vjp(g: Any, q: Any, k: Any, v: Any, bias: Any, hidden: Any, scale: float, weights: Any, needs: tuple) -> tuple:
    if isinstance(g, Tensor):
        weights = composed(q, k, bias, hidden, scale)
    to_q = to_k = to_bias = None
    if needs[0] or needs[1] or needs[3]:
        to_scores = unsoftmax(matmul(g, v.mT), weights, (weights.ndim - 1,))
        to_q = matmul(to_scores, k) * scale if needs[0] else None
        to_k = matmul(to_scores.mT, q) * scale if needs[1] else None
        to_bias = sum_to(to_scores, bias.shape) if needs[3] else None
    return to_q, to_k, matmul(weights.mT, g) if needs[2] else None, to_bias


@general(vjp=vjp, inputs=("q", "k", "v", "bias"), node="ScaledDotProductFlashAttentionForCpuBackward0")
def attend(q: Any, k: Any, v: Any, bias: Any, hidden: Any, scale: float, weights: Any) -> Any:
    """The means of the rows of v by `weights`."""
    return np.matmul(weights, v)


def attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, hidden: Maybe, scale: float, seeing: bool) -> Tensor:
    """`attend` of tensors of one floating type and one batch shape, none of them empty, outside of any mode."""
    q, k, v, b = query._data, key._data, value._data, None if bias is None else bias._data
    weights = weigh(q, k, b, hidden, scale, seeing)
    t = adopt(Tensor, np.matmul(weights, v))
    edges = edge_of(query), edge_of(key), edge_of(value), None if bias is None else edge_of(bias)
    if edges[0] is not None or edges[1] is not None or edges[2] is not None or edges[3] is not None:
        node = _new(attend.node)
        node.edges, node.fix, node.extra, node.sequence = edges, None, None, next_sequence()
        node.saved = q, k, v, b, hidden, scale, weights
        guards: tuple = (
            query._versions, query._versions[0], key._versions, key._versions[0], value._versions, value._versions[0],
        )  # fmt: skip
        node.guards = guards if bias is None else (*guards, bias._versions, bias._versions[0])
        t._edge, t._tracked = node, True
    return t


__all__ = ["attention", "future"]
