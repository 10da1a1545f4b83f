"""Convolution of images so small that most taps meet only padding, as a dense layer: every input place to every output place.

x is (N, C, P), y (N, O, Q), w (O, C, taps), and `tap` (P, Q) says by which tap a place of x meets one of y (-1: by none). The dense
weights are made for 16 channels at a time, which lie side by side, and stay in the cache.
"""

from __future__ import annotations

import numpy as np

from chainrule.kernels.compile_numba import claim, finish, inner, kernel, product, wait
from chainrule.kernels.compile_vectors_numba import LANES, fill, load, pick, put, store, turn
from chainrule.kernels.handover_numba import invite

f32 = np.float32


@inner
def room(taps):  # type: ignore[no-untyped-def]
    """For the taps of 16 channels, and a little more."""
    return np.empty((taps + 1) * LANES * LANES, f32)


@kernel("(f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[::1], i8[:, ::1], b1, i8[::1])")
def forward(x, w, y, bias, tap, across, turns):  # type: ignore[no-untyped-def]
    """Fill y; with `across` x is a result's cotangent and y the input's, which change places in w."""
    invite(turns)
    images, channels, places = x.shape
    outputs, results, taps = y.shape[1], y.shape[2], w.shape[2]
    width, tasks = results * LANES, outputs // LANES
    dense, multiplied, values = np.empty(channels * places * width, f32), np.empty(images * width, f32), room(taps)
    none = fill(f32(0))
    task = claim(turns, 0)
    while task < tasks:
        o = task * LANES
        for c in range(channels):
            first = 0 if across else c % LANES * taps
            if across:
                for t in range(0, taps, LANES):
                    turn(w, (c * w.shape[1] + o) * taps + t, taps, taps - t, values, t * LANES, LANES, LANES)
            elif first == 0:
                row, left = (o * channels + c) * taps, (channels - c) * taps
                for t in range(0, min(LANES * taps, left), LANES):
                    turn(w, row + t, channels * taps, left - t, values, t * LANES, LANES, LANES)
            for p in range(places):
                for q in range(results):
                    t = tap[q, p] if across else tap[p, q]
                    store(dense, (c * places + p) * width + q * LANES, load(values, (first + t) * LANES) if t >= 0 else none)
        product(False, images, width, channels * places, x, 0, channels * places, dense, 0, width, False, multiplied, 0, width)
        more = load(bias, o) if bias.size else none
        for n in range(images):
            for q in range(results):
                put(y, (n * outputs + o) * results + q, results, load(multiplied, n * width + q * LANES) + more)
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, tasks)


@kernel("(f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], i8[:, ::1], i8[::1])")
def weight_gradient(g, x, w, tap, turns):  # type: ignore[no-untyped-def]
    """Fill w, the gradient of the taps, from g, the result's."""
    invite(turns)
    images, channels, places = x.shape
    outputs, results, taps = g.shape[1], g.shape[2], w.shape[2]
    width, tasks = results * LANES, outputs // LANES
    dense, beside, sums = np.empty(channels * places * width, f32), np.empty(images * width, f32), room(taps)
    none = fill(f32(0))
    task = claim(turns, 0)
    while task < tasks:
        o = task * LANES
        for n in range(images):
            for q in range(results):
                store(beside, n * width + q * LANES, pick(g, (n * outputs + o) * results + q, results))
        product(True, channels * places, width, images, x, 0, channels * places, beside, 0, width, False, dense, 0, width)
        for c in range(channels):
            first = c % LANES * taps
            for t in range(first, first + taps):
                store(sums, t * LANES, none)
            for p in range(places):
                for q in range(results):
                    if tap[p, q] >= 0:
                        t = (first + tap[p, q]) * LANES
                        store(sums, t, load(sums, t) + load(dense, (c * places + p) * width + q * LANES))
            if c % LANES == LANES - 1 or c == channels - 1:
                row = (o * channels + c) * taps - first
                for t in range(0, first + taps, LANES):
                    turn(sums, t * LANES, LANES, LANES, w, row + t, channels * taps, first + taps - t)
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, tasks)
