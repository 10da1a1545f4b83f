"""Cross entropy of a linear map's results, a part of the batch at a time: neither these nor their cotangents are ever there as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.kernels import rows
from chainrule.ops.loss import arange, chosen, nll_loss, nll_spread, total_weight
from chainrule.ops.matmul import mm
from chainrule.ops.primitive import general
from chainrule.ops.reduce import sum
from chainrule.ops.softmax import log_softmax, unlog_softmax
from chainrule.tensor import Tensor


def logs_of(a: Any, w: Any, b: Any, part: slice) -> np.ndarray:
    """The log-probabilities of the classes for a part of the batch."""
    scores = np.dot(a[part], w.T)
    if b is not None:
        scores += b
    return rows.log_softmax(scores)


def parts(n: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def vjp(
    g: Any, a: Any, w: Any, b: Any, target: Any, weight: Any, ignore_index: int, reduction: str, size: int, needs: tuple
) -> tuple:
    if isinstance(g, Tensor):
        scores = mm(a, w.mT) if b is None else mm(a, w.mT) + b
        spread = nll_spread(g, target, weight, scores.shape, ignore_index, reduction)
        back = unlog_softmax(spread, log_softmax(scores, (1,)), (1,))
        return (
            mm(back, w) if needs[0] else None, mm(back.mT, a) if needs[1] else None, sum(back, (0,), False) if needs[2] else None,
            None, None,
        )  # fmt: skip
    index, valid, share = chosen(target, weight, ignore_index, a.dtype)
    each = np.broadcast_to(g / total_weight(target, valid, share) if reduction == "mean" else g, target.shape)
    each = (each if share is None else each * share).astype(a.dtype, copy=False)
    if valid is not None:
        each = np.where(valid, each, a.dtype.type(0))
    to_a, to_w, to_b = (np.zeros_like(v) if v is not None and needed else None for v, needed in zip((a, w, b), needs, strict=False))
    for part in parts(len(a), size):
        back = np.exp(logs_of(a, w, b, part))
        back *= each[part, None]
        back[arange(len(back)), index[part]] -= each[part]
        if to_a is not None:
            np.dot(back, w, to_a[part])
        if to_w is not None:
            to_w += np.dot(back.T, a[part])
        if to_b is not None:
            to_b += np.add.reduce(back, 0)
    return to_a, to_w, to_b, None, None


@general(vjp=vjp, inputs=("a", "w", "b", "target", "weight"), name="linear_cross_entropy")
def linear_cross_entropy(a: Any, w: Any, b: Any, target: Any, weight: Any, ignore_index: int, reduction: str, size: int) -> Any:
    """`nll_loss(log_softmax(a @ w.T + b))`: a (N, in), w (C, in), b (C) or None, target (N), weight (C) or None."""
    pieces = parts(len(a), size)
    losses = [nll_loss.kernel(logs_of(a, w, b, p), target[p], weight, ignore_index, "none") for p in pieces]
    each = np.concatenate(losses)
    if reduction == "none":
        return each
    total = np.add.reduce(each)
    if reduction == "sum":
        return total
    index, valid, share = chosen(target, weight, ignore_index, a.dtype)
    return np.asarray(total / total_weight(target, valid, share)).astype(a.dtype, copy=False)


__all__ = ["linear_cross_entropy"]
