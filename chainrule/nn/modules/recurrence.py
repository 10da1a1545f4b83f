"""The steps of recurrent layers, and how they run along a sequence: layers on layers, both directions, packed batches.

Over a padded batch (steps, batch, features) each layer is one operation, whose kernel goes through all steps. Where that does not
serve (packed batches, projections, half precision, derivatives of derivatives) the steps are taken one by one.
A packed batch is a matrix of rows, step after step, with the number of sequences that are still running at each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule._core.dtypes import float32, float64
from chainrule._core.modes import local
from chainrule.autograd.grad_mode import enable_grad
from chainrule.autograd.gradients import grad
from chainrule.functions import cat, stack, zeros
from chainrule.kernels import recurrent as kernels
from chainrule.nn import functional as F
from chainrule.ops.overrides import public
from chainrule.ops.primitive import alias, general
from chainrule.tensor import Tensor

State = tuple[Tensor, ...]  # (h,), of an LSTM (h, c)

# One step; x holds the input's part of the gates, the weights are w_hh, b_hh and w_hr.


def lstm_step(x: Tensor, state: State, weights: Sequence) -> State:
    """One step of an LSTM."""
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


# All steps at once, over a padded batch


def by_steps(mode: str, backward: bool, g: Sequence, inputs: Sequence[Tensor]) -> tuple:
    """The gradients of a layer's x, states, w (and b), with a history: for derivatives of derivatives.

    Each input is aliased first, so that a gradient stops there and does not go on to what the inputs were made from.
    """
    with enable_grad():
        own = [alias(t) if t.requires_grad else t.detach().requires_grad_() for t in inputs]
        count = 2 if mode == "LSTM" else 1
        rows, state, (w, *b) = own[0].unbind(0), tuple(own[1 : 1 + count]), own[1 + count :]
        states = []
        for row in reversed(rows) if backward else rows:
            state = STEPS[mode](row, state, (w, b[0] if b else None, None))
            states.append(state)
        outputs = [stack(parts[::-1] if backward else parts) for parts in zip(*states)]
        used = [(y, v) for y, v in zip(outputs, g) if v is not None]
        return grad([y for y, _ in used], own, [v for _, v in used], create_graph=True, allow_unused=True)


def is_recorded(g: Sequence) -> bool:
    return any([isinstance(v, Tensor) for v in g])


def lstm_rule(g: Sequence, x: Any, h: Any, c: Any, w: Any, hidden: Any, cells: Any, gates: Any, backward: bool) -> tuple:
    if is_recorded(g):
        return by_steps("LSTM", backward, g[:2], (x, h, c, w))
    return kernels.lstm_back(g[0], g[1], h, c, w, hidden, cells, gates, backward)


@general(
    inputs=("x", "h", "c", "w"),
    outputs=("hidden", "cells", "gates"),
    vjp=lambda g, x, h, c, w, hidden, cells, gates, backward: lstm_rule(g, x, h, c, w, hidden, cells, gates, backward),
)
def lstm(x: Any, h: Any, c: Any, w: Any, backward: bool) -> Any:
    """All hidden and cell states of an LSTM layer, and its gates, which nobody but its rule looks at."""
    return kernels.lstm(x, h, c, w, backward)


lstm.node.optional_cotangents = True


def gru_rule(g: Sequence, x: Any, h: Any, w: Any, b: Any, hidden: Any, gates: Any, backward: bool) -> tuple:
    if is_recorded(g):
        return by_steps("GRU", backward, g[:1], (x, h, w, b))
    return kernels.gru_back(g[0], h, w, hidden, gates, backward)


@general(
    inputs=("x", "h", "w", "b"),
    outputs=("hidden", "gates"),
    vjp=lambda g, x, h, w, b, hidden, gates, backward: gru_rule(g, x, h, w, b, hidden, gates, backward),
)
def gru(x: Any, h: Any, w: Any, b: Any, backward: bool) -> Any:
    """All hidden states of a GRU layer, and its gates, which nobody but its rule looks at."""
    return kernels.gru(x, h, w, b, backward)


gru.node.optional_cotangents = True


def plain_rule(g: Any, x: Any, h: Any, w: Any, y: Any, relu: bool, backward: bool) -> tuple:
    if is_recorded([g]):
        return by_steps("RNN_RELU" if relu else "RNN_TANH", backward, [g], (x, h, w))
    return kernels.plain_back(g, h, w, y, relu, backward)


@general(
    inputs=("x", "h", "w"),
    vjp=lambda g, x, h, w, y, relu, backward: plain_rule(g, x, h, w, y, relu, backward),
)
def rnn(x: Any, h: Any, w: Any, relu: bool, backward: bool) -> Any:
    """All hidden states of a plain recurrent layer."""
    return kernels.plain(x, h, w, relu, backward)


def whole(mode: str, input: Tensor, state: State, weights: Sequence, backward: bool) -> tuple[Tensor, State]:
    """Run one layer in one direction over a padded batch; gives all hidden states and the last state."""
    w_ih, w_hh, b_ih, b_hh, _ = weights
    last = 0 if backward else len(input) - 1
    if mode == "GRU":
        b = zeros(len(w_hh), dtype=w_hh.dtype) if b_hh is None else b_hh
        hidden, _ = gru(F.linear(input, w_ih, b_ih), *state, w_hh, b, backward)
        return hidden, (hidden[last],)
    x = F.linear(input, w_ih, None if b_ih is None else b_ih + b_hh)
    if mode == "LSTM":
        hidden, cells, _ = lstm(x, *state, w_hh, backward)
        return hidden, (hidden[last], cells[last])
    hidden = rnn(x, *state, w_hh, mode == "RNN_RELU", backward)
    return hidden, (hidden[last],)


# Step by step


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


# Layers on layers


def layer_weights(flat: Sequence, bias: bool, projected: bool) -> list[tuple]:
    """The parameters of each layer and direction: w_ih, w_hh, b_ih, b_hh, w_hr (None where there is none)."""
    count = 2 + 2 * bias + projected
    grouped = []
    for i in range(0, len(flat), count):
        w_ih, w_hh, *rest = flat[i : i + count]
        b_ih, b_hh = rest[:2] if bias else (None, None)
        grouped.append((w_ih, w_hh, b_ih, b_hh, rest[-1] if projected else None))
    return grouped


@public
def recurrent(
    mode: str, input: Tensor, state: State, flat: Sequence, bias: bool, layers: int, dropout: float, training: bool, both: bool,
    sizes: list[int] | None,
) -> tuple[Tensor, State]:  # fmt: skip
    """A stack of recurrent layers over (steps, batch, features), or over packed rows with the `sizes` of the steps.

    `state` has (layers * directions, batch, hidden) of each kind; so has the state returned.
    """
    if not len(input):
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    directions = 2 if both else 1
    grouped = layer_weights(flat, bias, len(flat) != layers * directions * (4 if bias else 2))
    at_once = sizes is None and grouped[0][4] is None and input.dtype in (float32, float64) and not local.function_modes
    last = []
    for n in range(layers):
        results = []
        for d in range(directions):
            weights = grouped[n * directions + d]
            start = tuple([s[n * directions + d] for s in state])
            if at_once:
                output, end = whole(mode, input, start, weights, d == 1)
            else:
                w_ih, w_hh, b_ih, b_hh, w_hr = weights
                output, end = along(STEPS[mode], F.linear(input, w_ih, b_ih), start, (w_hh, b_hh, w_hr), sizes, d == 1)
            results.append(output)
            last.append(end)
        input = cat(results, -1) if both else results[0]
        if dropout and training and n < layers - 1:
            input = F.dropout(input, dropout, True)
    return input, tuple([stack(parts) for parts in zip(*last)])
