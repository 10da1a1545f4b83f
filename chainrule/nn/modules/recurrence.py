"""The steps of recurrent layers, and how they run along a sequence: layers on layers, both directions, packed batches.

A packed batch is a matrix of rows, step after step, with the number of sequences that are still running at each step; a padded
one is (steps, batch, features). Both give their rows to the same loops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chainrule.functions import cat, stack
from chainrule.nn import functional as F
from chainrule.tensor import Tensor

State = tuple[Tensor, ...]  # (h,), of an LSTM (h, c)


def lstm_step(x: Tensor, state: State, weights: Sequence) -> State:
    """One step of an LSTM; x holds the input's part of the gates."""
    h, c = state
    w_hh, b_hh, w_hr = weights
    i, f, g, o = (x + F.linear(h, w_hh, b_hh)).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    h = o.sigmoid() * c.tanh()
    return (h if w_hr is None else F.linear(h, w_hr)), c


def gru_step(x: Tensor, state: State, weights: Sequence) -> State:
    """One step of a GRU."""
    (h,) = state
    w_hh, b_hh, _ = weights
    xr, xz, xn = x.chunk(3, 1)
    hr, hz, hn = F.linear(h, w_hh, b_hh).chunk(3, 1)
    z = (xz + hz).sigmoid()
    n = (xn + (xr + hr).sigmoid() * hn).tanh()
    return ((h - n) * z + n,)


def tanh_step(x: Tensor, state: State, weights: Sequence) -> State:
    """One step of a plain recurrent layer."""
    return ((x + F.linear(state[0], weights[0], weights[1])).tanh(),)


def relu_step(x: Tensor, state: State, weights: Sequence) -> State:
    """One step of a plain recurrent layer with relu."""
    return ((x + F.linear(state[0], weights[0], weights[1])).relu(),)


STEPS: dict[str, Callable] = {"LSTM": lstm_step, "GRU": gru_step, "RNN_TANH": tanh_step, "RNN_RELU": relu_step}


def along(step: Callable, x: Tensor, state: State, weights: Sequence, sizes: list[int] | None, backward: bool) -> tuple[Tensor, State]:
    """Run one layer in one direction; `sizes` tells the packed rows of each step. Gives all hidden states and the last state."""
    if sizes is None:
        rows = x.unbind(0)
        outputs = []
        for row in reversed(rows) if backward else rows:
            state = step(row, state, weights)
            outputs.append(state[0])
        return stack(outputs[::-1] if backward else outputs), state
    rows = x.split(sizes, 0)
    if backward:
        return grow(step, rows, state, weights, sizes)
    outputs, finished = [], []
    for row, size in zip(rows, sizes):
        if size < len(state[0]):
            finished.append(tuple([s[size:] for s in state]))
            state = tuple([s[:size] for s in state])
        state = step(row, state, weights)
        outputs.append(state[0])
    finished.append(state)
    return cat(outputs), tuple([cat(parts[::-1]) for parts in zip(*finished)])


def grow(step: Callable, rows: Sequence, start: State, weights: Sequence, sizes: list[int]) -> tuple[Tensor, State]:
    """A packed batch from its end: each sequence joins at its own last step."""
    state = tuple([s[:0] for s in start])
    outputs = []
    for row, size in zip(reversed(rows), reversed(sizes)):
        running = len(state[0])
        if size > running:
            state = tuple([cat([s, first[running:size]]) for s, first in zip(state, start)])
        state = step(row, state, weights)
        outputs.append(state[0])
    return cat(outputs[::-1]), state


def layer_weights(flat: Sequence, bias: bool, projected: bool) -> list[tuple]:
    """The parameters of each layer and direction: w_ih, w_hh, b_ih, b_hh, w_hr (None where there is none)."""
    count = 2 + 2 * bias + projected
    grouped = []
    for i in range(0, len(flat), count):
        w_ih, w_hh, *rest = flat[i : i + count]
        b_ih, b_hh = rest[:2] if bias else (None, None)
        grouped.append((w_ih, w_hh, b_ih, b_hh, rest[-1] if projected else None))
    return grouped


def recurrent(
    mode: str, input: Tensor, state: State, flat: Sequence, bias: bool, layers: int, dropout: float, training: bool, both: bool,
    sizes: list[int] | None,
) -> tuple[Tensor, State]:  # fmt: skip
    """A stack of recurrent layers over (steps, batch, features), or over packed rows with the `sizes` of the steps.

    `state` has (layers * directions, batch, hidden) of each kind; so has the state returned.
    """
    directions = 2 if both else 1
    grouped = layer_weights(flat, bias, len(flat) != layers * directions * (4 if bias else 2))
    step, last = STEPS[mode], []
    for n in range(layers):
        results = []
        for d in range(directions):
            w_ih, w_hh, b_ih, b_hh, w_hr = grouped[n * directions + d]
            start = tuple([s[n * directions + d] for s in state])
            output, end = along(step, F.linear(input, w_ih, b_ih), start, (w_hh, b_hh, w_hr), sizes, d == 1)
            results.append(output)
            last.append(end)
        input = cat(results, -1) if both else results[0]
        if dropout and training and n < layers - 1:
            input = F.dropout(input, dropout, True)
    return input, tuple([stack(parts) for parts in zip(*last)])
