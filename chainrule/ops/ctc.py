"""Connectionist temporal classification: the sum over all alignments of a sequence, by dynamic programming over time.

A target of length S becomes 2 S + 1 states, blanks between its labels. `states` (N, L) holds each state's class, `skips` whether a
state can be reached from the one before the last, `last` the number of states of each sample, `spans` their lengths in time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ops.primitive import general


def layout(targets: np.ndarray, spans: np.ndarray, sizes: np.ndarray, blank: int) -> tuple[np.ndarray, ...]:
    """(states, skips, last, spans, blank) of targets (N, S), or of targets one after another."""
    n, longest = len(sizes), int(sizes.max(initial=0))
    labels = np.full((n, longest), blank)
    inside = np.arange(longest) < sizes[:, None]
    labels[inside] = targets[:, :longest][inside] if targets.ndim == 2 else targets
    states = np.full((n, 2 * longest + 1), blank)
    states[:, 1::2] = labels
    skips = np.zeros(states.shape, bool)
    skips[:, 3::2] = labels[:, 1:] != labels[:, :-1]
    return states, skips, 2 * sizes + 1, spans


def log_sum(*terms: np.ndarray) -> np.ndarray:
    """log(sum(exp)), of which -inf throughout is -inf."""
    with np.errstate(divide="ignore", invalid="ignore"):
        y = terms[0]
        for t in terms[1:]:
            y = np.logaddexp(y, t)
    return y


def shifted(a: np.ndarray, by: int) -> np.ndarray:
    """a moved by that many states, -inf coming in."""
    y = np.full_like(a, -np.inf)
    if by > 0:
        y[:, by:] = a[:, :-by]
    else:
        y[:, :by] = a[:, -by:]
    return y


def forward(a: np.ndarray, states: np.ndarray, skips: np.ndarray, last: np.ndarray, spans: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The log-probabilities (T, N, L) of being in a state at a time, all the past summed, and the loss of each sample."""
    steps, n, _ = a.shape
    emitted = np.take_along_axis(a, np.broadcast_to(states, (steps, *states.shape)), 2)
    none = a.dtype.type(-np.inf)
    alpha = np.full(emitted.shape, none)
    loss = np.empty(n, a.dtype)
    empty = spans == 0
    loss[empty] = np.where(last[empty] == 1, 0, np.inf)
    for t in range(steps):
        if t == 0:
            row = np.full(states.shape, none)
            row[:, :2] = 0
        else:
            before = alpha[t - 1]
            row = log_sum(before, shifted(before, 1), np.where(skips, shifted(before, 2), none))
        alpha[t] = row + emitted[t]
    rows = np.flatnonzero(~empty)
    if len(rows):
        final = alpha[spans[rows] - 1, rows]
        ends = np.take_along_axis(final, np.stack([last[rows] - 1, np.maximum(last[rows] - 2, 0)], 1), 1)
        loss[rows] = -np.where(last[rows] == 1, ends[:, 0], log_sum(ends[:, 0], ends[:, 1]))
    return alpha, loss


@general(a=lambda g, a, states, skips, last, spans, forgiving: ctc_spread(g, a, states, skips, last, spans, forgiving), inputs=("a",))
def ctc_loss(a: Any, states: Any, skips: Any, last: Any, spans: Any, forgiving: bool) -> Any:
    """The loss of each sample (N), given the log-probabilities a (T, N, C); `forgiving`: infinite ones have no gradient, not NaN."""
    return forward(a, states, skips, last, spans)[1]


def refuse(g: Any) -> Any:
    raise RuntimeError("derivative for aten::_ctc_loss_backward is not implemented")


@general(a=refuse, b=refuse, inputs=("a", "b"))
def ctc_spread(a: Any, b: Any, states: Any, skips: Any, last: Any, spans: Any, forgiving: bool) -> Any:
    """The cotangent of the log-probabilities b, given the losses' a: that of the numbers whose log_softmax they are, as in PyTorch."""
    steps, n, classes = b.shape
    alpha, loss = forward(b, states, skips, last, spans)
    emitted = np.take_along_axis(b, np.broadcast_to(states, alpha.shape), 2)
    inside = np.arange(states.shape[1]) < last[:, None]
    ends = inside & (np.arange(states.shape[1]) >= last[:, None] - 2)
    none = b.dtype.type(-np.inf)
    y = np.zeros_like(b)
    beta = np.full(states.shape, none)
    onward = np.zeros(states.shape, bool)
    onward[:, :-2] = skips[:, 2:]
    one = (np.arange(n)[:, None], states)
    for t in range(steps - 1, -1, -1):
        after = log_sum(beta, shifted(beta, -1), np.where(onward, shifted(beta, -2), none))
        beta = np.where((t == spans - 1)[:, None], np.where(ends, 0, none), after)
        beta = np.where(inside & (t < spans)[:, None], beta + emitted[t], none)
        with np.errstate(invalid="ignore", over="ignore"):
            # alpha and beta both count the emission once.
            share = np.exp(alpha[t] + beta - emitted[t] + loss[:, None])
        share = np.where(np.isneginf(beta) | np.isneginf(alpha[t]), 0, share)
        taken = np.zeros((n, classes), b.dtype)
        np.add.at(taken, one, share.astype(b.dtype))
        y[t] = np.where((t < spans)[:, None], np.exp(b[t]) - taken, 0)
    y[:, np.isinf(loss)] = 0 if forgiving else np.nan
    y[np.arange(steps)[:, None] >= spans] = 0
    return y * np.broadcast_to(a, n)[:, None]


__all__ = ["ctc_loss", "ctc_spread", "layout"]
