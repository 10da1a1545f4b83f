"""Convolution of images so small that most taps meet only padding, as a dense layer: every input place to every output place.

x is (N, C, P), y (N, O, Q), w (O, C, taps), and `tap` (P, Q) says by which tap a place of x meets one of y (-1: by none). The dense
weights are made for 16 channels at a time, which lie side by side, and stay in the cache.
"""

from __future__ import annotations

import numpy as np

from chainrule.kernels.compile_numba import claim, finish, kernel, product, wait
from chainrule.kernels.compile_vectors_numba import LANES, fill, load, pick, put, store

f32 = np.float32


@kernel("(f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[::1], i8[:, ::1], b1, i8[::1])")
def forward(x, w, y, bias, tap, across, turns):  # type: ignore[no-untyped-def]
    """Fill y; with `across` x is a result's cotangent and y the input's, which change places in w."""
    images, channels, places = x.shape
    outputs, results, taps = y.shape[1], y.shape[2], w.shape[2]
    jump = taps if across else w.shape[1] * taps
    width, tasks = results * LANES, outputs // LANES
    dense, multiplied, values = np.empty(channels * places * width, f32), np.empty(images * width, f32), np.empty(taps * LANES, f32)
    none = fill(f32(0))
    task = claim(turns, 0)
    while task < tasks:
        o = task * LANES
        for c in range(channels):
            source = (c * w.shape[1] + o) * taps if across else (o * w.shape[1] + c) * taps
            for t in range(taps):
                store(values, t * LANES, pick(w, source + t, jump))
            for p in range(places):
                for q in range(results):
                    t = tap[q, p] if across else tap[p, q]
                    store(dense, (c * places + p) * width + q * LANES, load(values, t * LANES) if t >= 0 else none)
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
    images, channels, places = x.shape
    outputs, results, taps = g.shape[1], g.shape[2], w.shape[2]
    width, tasks = results * LANES, outputs // LANES
    dense, beside, sums = np.empty(channels * places * width, f32), np.empty(images * width, f32), np.empty(taps * LANES, f32)
    none = fill(f32(0))
    task = claim(turns, 0)
    while task < tasks:
        o = task * LANES
        for n in range(images):
            for q in range(results):
                store(beside, n * width + q * LANES, pick(g, (n * outputs + o) * results + q, results))
        product(True, channels * places, width, images, x, 0, channels * places, beside, 0, width, False, dense, 0, width)
        for c in range(channels):
            for t in range(taps):
                store(sums, t * LANES, none)
            for p in range(places):
                for q in range(results):
                    t = tap[p, q]
                    if t >= 0:
                        store(sums, t * LANES, load(sums, t * LANES) + load(dense, (c * places + p) * width + q * LANES))
            for t in range(taps):
                put(w, (o * channels + c) * taps + t, channels * taps, load(sums, t * LANES))
        finish(turns, 0)
        task = claim(turns, 0)
    wait(turns, 0, tasks)
