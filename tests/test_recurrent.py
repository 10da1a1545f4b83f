"""Recurrent layers' compiled kernels against their NumPy twins, and large layers against PyTorch."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

import chainrule
from chainrule.kernels import recurrent

SIZES = {"steps": st.integers(1, 5), "batch": st.integers(1, 40), "width": st.sampled_from([1, 3, 16, 33, 128, 300])}


def both(call):
    """call() by the compiled kernels and by NumPy."""
    kept, found = recurrent.WORTH, []
    try:
        for recurrent.WORTH in (0, 1 << 60):
            found.append(call())
    finally:
        recurrent.WORTH = kept
    return found


def agree(call):
    for got, want in zip(*both(call), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5 * np.abs(want).max())


def drawer(seed):
    rng = np.random.default_rng(seed)
    return lambda *shape: rng.standard_normal(shape).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(**SIZES, backward=st.booleans(), given_h=st.booleans(), given_c=st.booleans())
def test_lstm_kernels_do_what_numpy_does(steps, batch, width, backward, given_h, given_c):
    draw = drawer(steps * batch + width)
    x, h, c, w = draw(steps, batch, 4 * width), draw(batch, width), draw(batch, width), draw(4 * width, width) / np.float32(width**0.5)
    agree(lambda: recurrent.lstm(x, h, c, w, backward))
    states = recurrent.lstm(x, h, c, w, backward)
    gh, gc = (draw(steps, batch, width) if wanted else None for wanted in (given_h, given_c or not given_h))
    agree(lambda: recurrent.lstm_back(gh, gc, h, c, w, *states, backward))


@settings(max_examples=25, deadline=None)
@given(**SIZES, backward=st.booleans())
def test_gru_kernels_do_what_numpy_does(steps, batch, width, backward):
    draw = drawer(steps * batch + width)
    x, h, w, b = draw(steps, batch, 3 * width), draw(batch, width), draw(3 * width, width) / np.float32(width**0.5), draw(3 * width)
    agree(lambda: recurrent.gru(x, h, w, b, backward))
    states = recurrent.gru(x, h, w, b, backward)
    agree(lambda: recurrent.gru_back(draw_like(states[0]), h, w, *states, backward))


@settings(max_examples=25, deadline=None)
@given(**SIZES, backward=st.booleans(), relu=st.booleans())
def test_plain_kernels_do_what_numpy_does(steps, batch, width, backward, relu):
    draw = drawer(steps * batch + width)
    x, h, w = draw(steps, batch, width), draw(batch, width), draw(width, width) / np.float32(width**0.5)
    agree(lambda: [recurrent.plain(x, h, w, relu, backward)])
    hidden = recurrent.plain(x, h, w, relu, backward)
    agree(lambda: recurrent.plain_back(draw_like(hidden), h, w, hidden, relu, backward))


def draw_like(a):
    return np.sin(np.arange(a.size, dtype=np.float32)).reshape(a.shape)


def test_gates_bear_extreme_numbers():
    x = np.array([np.inf, -np.inf, np.nan, 1e30, -1e30, 0.0, 1e-30, 0.7], np.float32)
    x = np.stack([np.roll(x, k) for k in range(4)]).reshape(4, 1, 8).astype(np.float32)
    h, c, w = np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32), np.zeros((8, 2), np.float32)
    with np.errstate(invalid="ignore"):
        for got, want in zip(*both(lambda: recurrent.lstm(x, h, c, w, False)), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("layer", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}], ids=["one", "stacked"])
def test_large_layers_are_pytorchs(layer, options):
    results = []
    for lib in (torch, chainrule):
        lib.manual_seed(1)
        net, x = getattr(lib.nn, layer)(64, 96, **options), lib.randn(20, 12, 64, requires_grad=True)
        assert recurrent.WORTH <= 20 * 12 * 96 * 96
        y, state = net(x)
        last = state if layer != "LSTM" else state[1]
        (y.square().sum() + last.sum()).backward()
        results.append([t.detach().numpy() for t in (y, last, x.grad, *[p.grad for p in net.parameters()])])
    for want, got in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5 * np.abs(want).max())


def test_threads_change_nothing_but_the_order_of_sums():
    threads, found = chainrule.get_num_threads(), []
    run = partial(recurrent.lstm, *(drawer(0)(*shape) / 8 for shape in ((30, 16, 256), (16, 64), (16, 64), (256, 64))), False)
    try:
        for count in (1, 3, 3):
            chainrule.set_num_threads(count)
            found.append(run())
    finally:
        chainrule.set_num_threads(threads)
    for one, three, again in zip(*found, strict=True):
        np.testing.assert_array_equal(three, again)
        np.testing.assert_allclose(one, three, rtol=1e-4, atol=1e-5)
