"""Recurrent layers along a padded sequence: every step forward, and every step back (through time).

x (steps, batch, gates * hidden) holds the input's part of the gates, w (gates * hidden, hidden) the state's weights. Only the product
with the state and what hangs on it is left inside the loops over steps; weight gradients are one product over all steps. Much
float32 goes to the compiled twins in `recurrent_numba`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.kernels.compiled import get_num_threads, one_blas_thread, share
from chainrule.kernels.memory import keep_freed
from chainrule.kernels.products import product

ndarray = np.ndarray
WORTH = 1 << 21  # multiplications from which Numba is worth its import
TALL = 32  # sequences to a thread at a time


def compiled(x: ndarray, w: ndarray) -> bool:
    """Whether to take the compiled twins."""
    return x.dtype == np.float32 and w.dtype == np.float32 and x.size * w.shape[1] >= WORTH


def run(name: str, backward: bool, *args: Any) -> None:
    """A compiled twin; arrays that it reads are laid out as it needs them."""
    from chainrule.kernels import recurrent_numba

    keep_freed()
    count, batch, _ = next(a.shape for a in args if isinstance(a, np.ndarray) and a.ndim == 3 and len(a))
    order = np.array(steps(count, backward), np.int64)
    arrays = [np.ascontiguousarray(a) if isinstance(a, np.ndarray) else a for a in args]
    with one_blas_thread():
        share(getattr(recurrent_numba, name), *arrays, order, max(1, min(TALL, -(-batch // get_num_threads()))))


def whole(g: ndarray | None) -> ndarray:
    """A gradient that may be missing, which a kernel takes as an empty array."""
    return np.empty((0, 0, 0), np.float32) if g is None else g


def steps(count: int, backward: bool) -> range:
    return range(count - 1, -1, -1) if backward else range(count)


def before(states: ndarray, start: ndarray, backward: bool) -> ndarray:
    """The state that each step began with."""
    return np.concatenate([states[1:], start[None]] if backward else [start[None], states[:-1]])


def weight_gradient(gates: ndarray, states: ndarray) -> ndarray:
    """The sum over steps and batch of outer products."""
    return product(gates.reshape(-1, gates.shape[-1]).T, states.reshape(-1, states.shape[-1]))


def lstm(x: ndarray, h: ndarray, c: ndarray, w: ndarray, backward: bool) -> tuple[ndarray, ndarray, ndarray]:
    """All hidden states, all cell states, and the activated gates i, f, g, o, which the way back needs.

    sigmoid(x) is tanh(x / 2) / 2 + 1 / 2, so one tanh serves all gates.
    """
    n = w.shape[1]
    if compiled(x, w):
        gates = np.empty_like(x, order="C")
        hidden, cells = np.empty((2, *x.shape[:2], n), x.dtype)
        run("lstm", backward, x, h, c, w, hidden, cells, gates)
        return hidden, cells, gates
    half, shift = np.full(4 * n, 0.5, x.dtype), np.full(4 * n, 0.5, x.dtype)
    half[2 * n : 3 * n], shift[2 * n : 3 * n] = 1, 0
    gates, states = np.multiply(x, half, np.empty(x.shape, x.dtype)), np.ascontiguousarray((w * half[:, None]).T)
    hidden, cells = np.empty((*x.shape[:2], n), x.dtype), np.empty((*x.shape[:2], n), x.dtype)
    product, new = np.empty_like(gates[0]), np.empty_like(hidden[0])
    for t in steps(len(x), backward):
        a = gates[t]
        a += np.dot(h, states, product)
        np.tanh(a, a)
        a *= half
        a += shift
        c = np.multiply(a[:, n : 2 * n], c, cells[t])
        c += np.multiply(a[:, :n], a[:, 2 * n : 3 * n], new)
        h = np.tanh(c, hidden[t])
        h *= a[:, 3 * n :]
    return hidden, cells, gates


def lstm_back(
    gh: ndarray | None,
    gc: ndarray | None,
    h: ndarray,
    c: ndarray,
    w: ndarray,
    hidden: ndarray,
    cells: ndarray,
    gates: ndarray,
    backward: bool,
) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """The gradients of x, h, c and w, given those of the hidden and cell states (None: zero)."""
    n = w.shape[1]
    if compiled(gates, w):
        dx, dh, dc = np.empty_like(gates), np.zeros(h.shape, h.dtype), np.zeros(c.shape, c.dtype)
        run("lstm_back", backward, whole(gh), whole(gc), c, w, cells, gates, dx, dh, dc)
        return dx, dh, dc, weight_gradient(dx, before(hidden, h, backward))
    i, f, g, o = [gates[..., k * n : (k + 1) * n] for k in range(4)]
    through = gates * (1 - gates)
    through[..., 2 * n : 3 * n] = 1 - g * g
    bent = np.tanh(cells)
    to_cell = o * (1 - bent * bent)
    earlier = before(cells, c, backward)
    dx = np.empty_like(gates)
    dh, dc = np.zeros_like(h), np.zeros_like(c)
    for t in steps(len(gates), not backward):
        if gh is not None:
            dh += gh[t]
        if gc is not None:
            dc += gc[t]
        dc += dh * to_cell[t]
        d = dx[t]
        np.multiply(dc, g[t], d[:, :n])
        np.multiply(dc, earlier[t], d[:, n : 2 * n])
        np.multiply(dc, i[t], d[:, 2 * n : 3 * n])
        np.multiply(dh, bent[t], d[:, 3 * n :])
        d *= through[t]
        np.dot(d, w, dh)
        dc *= f[t]
    return dx, dh, dc, weight_gradient(dx, before(hidden, h, backward))


def gru(x: ndarray, h: ndarray, w: ndarray, b: ndarray, backward: bool) -> tuple[ndarray, ndarray]:
    """All hidden states, and for the way back the activated gates r, z, n with the state's part of n behind them."""
    k = w.shape[1]
    if compiled(x, w):
        hidden, gates = np.empty((*x.shape[:2], k), x.dtype), np.empty((*x.shape[:2], 4 * k), x.dtype)
        run("gru", backward, x, h, w, b, hidden, gates)
        return hidden, gates
    half = np.full(3 * k, 0.5, x.dtype)
    half[2 * k :] = 1
    scaled, states, bias = x * half, np.ascontiguousarray((w * half[:, None]).T), b * half
    gates = np.empty((*x.shape[:2], 4 * k), x.dtype)
    hidden = np.empty((*x.shape[:2], k), x.dtype)
    product, inner = np.empty_like(scaled[0]), np.empty_like(hidden[0])
    for t in steps(len(x), backward):
        a = gates[t]
        rz, n = a[:, : 2 * k], a[:, 2 * k : 3 * k]
        np.dot(h, states, product)
        product += bias
        np.add(scaled[t, :, : 2 * k], product[:, : 2 * k], rz)
        np.tanh(rz, rz)
        rz *= 0.5
        rz += 0.5
        a[:, 3 * k :] = product[:, 2 * k :]
        np.multiply(a[:, :k], product[:, 2 * k :], n)
        n += scaled[t, :, 2 * k :]
        np.tanh(n, n)
        h = np.subtract(h, n, inner)
        h = np.multiply(h, a[:, k : 2 * k], hidden[t])
        h += n
    return hidden, gates


def gru_back(
    gh: ndarray, h: ndarray, w: ndarray, hidden: ndarray, gates: ndarray, backward: bool
) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """The gradients of x, h, w and b, given those of the hidden states."""
    k = w.shape[1]
    if compiled(gates, w):
        dx, dstate = np.empty((2, *gates.shape[:2], 3 * k), gates.dtype)
        dh = np.zeros(h.shape, h.dtype)
        run("gru_back", backward, gh, h, w, hidden, gates, dx, dstate, dh)
        return dx, dh, weight_gradient(dstate, before(hidden, h, backward)), dstate.sum((0, 1))
    r, z, n, inner = [gates[..., j * k : (j + 1) * k] for j in range(4)]
    earlier = before(hidden, h, backward)
    to_z, to_n, to_r = (earlier - n) * z * (1 - z), (1 - z) * (1 - n * n), inner * r * (1 - r)
    dx, dstate = np.empty((*gates.shape[:2], 3 * k), gates.dtype), np.empty((*gates.shape[:2], 3 * k), gates.dtype)
    dh = np.zeros_like(h)
    for t in steps(len(gates), not backward):
        dh += gh[t]
        d = dx[t]
        dn = np.multiply(dh, to_n[t], d[:, 2 * k :])
        np.multiply(dh, to_z[t], d[:, k : 2 * k])
        np.multiply(dn, to_r[t], d[:, :k])
        s = dstate[t]
        s[:, : 2 * k] = d[:, : 2 * k]
        np.multiply(dn, r[t], s[:, 2 * k :])
        dh *= z[t]
        dh += s @ w
    return dx, dh, weight_gradient(dstate, earlier), dstate.sum((0, 1))


def plain(x: ndarray, h: ndarray, w: ndarray, relu: bool, backward: bool) -> ndarray:
    """All hidden states tanh(x + h w) or relu(x + h w)."""
    if compiled(x, w):
        hidden = np.empty_like(x, order="C")
        run("plain", backward, x, h, w, relu, hidden)
        return hidden
    hidden, states = np.array(x, order="C"), np.ascontiguousarray(w.T)
    product = np.empty_like(hidden[0])
    for t in steps(len(x), backward):
        a = hidden[t]
        a += np.dot(h, states, product)
        h = np.maximum(a, 0, out=a) if relu else np.tanh(a, out=a)
    return hidden


def plain_back(gh: ndarray, h: ndarray, w: ndarray, hidden: ndarray, relu: bool, backward: bool) -> tuple[ndarray, ndarray, ndarray]:
    """The gradients of x, h and w, given those of the hidden states."""
    if compiled(hidden, w):
        dx, dh = np.empty_like(hidden), np.zeros(h.shape, h.dtype)
        run("plain_back", backward, gh, w, hidden, relu, dx, dh)
        return dx, dh, weight_gradient(dx, before(hidden, h, backward))
    dx = (hidden > 0).astype(hidden.dtype) if relu else 1 - hidden * hidden
    dh = np.zeros_like(h)
    for t in steps(len(hidden), not backward):
        dh += gh[t]
        d = dx[t]
        d *= dh
        np.dot(d, w, dh)
    return dx, dh, weight_gradient(dx, before(hidden, h, backward))
