"""Attention as one op: softmax(scale * q @ k.mT + bias) @ v. `weights` are the softmax's results, or what else the kernels keep."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.autograd.node import next_sequence
from chainrule.kernels import attention as kernels
from chainrule.ops.matmul import matmul
from chainrule.ops.pointwise import where
from chainrule.ops.primitive import edge_of, general
from chainrule.ops.reduce import sum_to
from chainrule.ops.softmax import softmax, unsoftmax
from chainrule.tensor import Tensor, adopt

_new: Any = object.__new__


def composed(q: Any, k: Any, bias: Any, hidden: Any, scale: float, causal: bool) -> Any:
    """The weights of tensors, made of ops that can be differentiated again."""
    scores = matmul(q * scale, k.mT)
    if bias is not None:
        scores = scores + bias
    if causal:
        scores = where(kernels.future(*scores.shape[-2:]), -np.inf, scores)
    if hidden is not None:
        scores = where(hidden, -np.inf, scores)
    blind = np.isneginf(scores._data).all(-1, keepdims=True)
    if not blind.any():
        return softmax(scores, (scores.ndim - 1,))
    return where(blind, 0, softmax(where(blind, 0, scores), (scores.ndim - 1,)))


def vjp(
    g: Any, q: Any, k: Any, v: Any, bias: Any, hidden: Any, scale: float, causal: bool, weights: Any, needs: tuple
) -> tuple:
    if not isinstance(g, Tensor) and bias is None:
        grads = kernels.backward(g, q, k, v, scale, causal, weights)
        return tuple([a if needed else None for a, needed in zip(grads, needs, strict=False)]) + (None,)
    if isinstance(g, Tensor):
        weights = composed(q, k, bias, hidden, scale, causal)
    to_scores = unsoftmax(matmul(g, v.mT), weights, (weights.ndim - 1,))
    return (
        matmul(to_scores, k) * scale if needs[0] else None, matmul(to_scores.mT, q) * scale if needs[1] else None,
        matmul(weights.mT, g) if needs[2] else None, sum_to(to_scores, bias.shape) if needs[3] else None,
    )  # fmt: skip


@general(vjp=vjp, inputs=("q", "k", "v", "bias"), node="ScaledDotProductFlashAttentionForCpuBackward0")
def attend(q: Any, k: Any, v: Any, bias: Any, hidden: Any, scale: float, causal: bool, weights: Any) -> Any:
    """The means of the rows of v by `weights`."""
    return np.matmul(weights, v)


def attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, hidden: Any, scale: float, causal: bool) -> Tensor:
    """`attend` of tensors of one floating type and one batch shape, none of them empty, in no mode but no_grad."""
    q, k, v, b = query._data, key._data, value._data, None if bias is None else bias._data
    y, weights = kernels.forward(q, k, v, b, hidden, scale, causal)
    t = adopt(Tensor, y)
    if modes.state.busy:
        return t
    edges = edge_of(query), edge_of(key), edge_of(value), None if bias is None else edge_of(bias)
    if edges[0] is not None or edges[1] is not None or edges[2] is not None or edges[3] is not None:
        node = _new(attend.node)
        node.edges, node.fix, node.extra, node.sequence = edges, None, None, next_sequence()
        node.saved = q, k, v, b, hidden, scale, causal, weights
        guards: tuple = (
            query._versions, query._versions[0], key._versions, key._versions[0], value._versions, value._versions[0],
        )  # fmt: skip
        node.guards = guards if bias is None else (*guards, bias._versions, bias._versions[0])
        t._edge, t._tracked, node.made = node, True, y.shape
    return t


__all__ = ["attention"]
