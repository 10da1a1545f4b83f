"""Softmax, normalisation, attention and cross entropy on their quick ways: extreme numbers, large arrays in blocks, threads."""

import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as T
from hypothesis import given, settings, strategies as st
from test_functional import agree, draw

import chainrule
import chainrule.nn.functional as F
from chainrule.kernels import norm, rows, threads

LIBRARIES = ((torch, T), (chainrule, F))


def results(call, *arrays):
    """call(functions, *tensors), and the gradients of the tensors for one cotangent, in each library."""
    found = []
    for lib, functions in LIBRARIES:
        inputs = [lib.from_numpy(a.copy()) for a in arrays]
        leaves = [t.requires_grad_() for t, a in zip(inputs, arrays) if a.dtype.kind == "f"]
        y = call(functions, *inputs)
        weight = lib.from_numpy(np.sin(np.arange(y.numel(), dtype=arrays[0].dtype)).reshape(tuple(y.shape)))
        found.append([y.detach().numpy(), *[g.numpy() for g in lib.autograd.grad(y, leaves, weight)]])
    return found


def close(call, *arrays, rtol=1e-5, atol=1e-5):
    for want, got in zip(*results(call, *arrays), strict=True):
        assert got.dtype == want.dtype and got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


# Softmax: no maximum is subtracted where nothing is lost by that


def plain(a):
    wide = a.astype(np.float64)
    y = np.exp(wide - wide.max(1, keepdims=True))
    return y / y.sum(1, keepdims=True)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 40), d=st.integers(1, 80), center=st.sampled_from([0.0, 60.0, -60.0, 1e4, -1e4]),
    width=st.sampled_from([0.0, 1.0, 30.0]), dtype=st.sampled_from([np.float32, np.float64]), seed=st.integers(0, 99),
)  # fmt: skip
def test_softmax_keeps_its_precision_whatever_the_numbers(n, d, center, width, dtype, seed):
    a = (center + width * draw(n, d, seed=seed)).astype(dtype)
    few = {"rtol": 1e-5, "atol": 1e-12} if dtype == np.float32 else {"rtol": 1e-13, "atol": 1e-16}
    y, logs = rows.softmax(a), rows.log_softmax(a)
    np.testing.assert_allclose(y, plain(a), **few)
    np.testing.assert_allclose(np.exp(logs.astype(np.float64)), plain(a), **few)
    g = draw(n, d, seed=seed + 1).astype(dtype)
    np.testing.assert_allclose(rows.unsoftmax(g, y), y * (g - (g * y).sum(1, keepdims=True)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(rows.unlog_softmax(g, logs), g - np.exp(logs) * g.sum(1, keepdims=True), rtol=1e-4, atol=1e-4)


ROWS = {
    "minus infinity": [0.0, -np.inf, 1.0],
    "only minus infinity": [-np.inf, -np.inf, -np.inf],
    "infinity": [0.0, np.inf, 1.0],
    "nan": [0.0, np.nan, 1.0],
    "huge": [1e38, -1e38, 1e38],
    "one high": [0.0, 0.0, 200.0],
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("count", [1, 200], ids=["small", "compiled"])
def test_softmax_of_rows_with_infinities(name, row, count):
    a = np.array([[0.5, -0.5, 2.0] * count, row * count, [1.0, 2.0, 3.0] * count] * count, np.float32)
    want, got = [getattr(f, name)(lib.from_numpy(a), 1).numpy() for lib, f in LIBRARIES]
    np.testing.assert_allclose(got, want, rtol=3e-6, atol=1e-35)


@pytest.mark.parametrize("shape", [(200, 300), (8000, 10), (2, 3, 20, 1000)])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("center", [0, 100, -100])
def test_softmax_of_large_arrays(name, shape, dtype, center):
    close(lambda f, x: getattr(f, name)(x, -1), (center + 3 * draw(*shape)).astype(dtype))


def test_softmax_of_transposed_and_expanded_arrays():
    agree(lambda f, x: f.softmax(x.mT, -1), draw(5, 7))
    agree(lambda f, x: f.log_softmax(x[:, None].expand(-1, 3, -1), -1), draw(5, 7))
    agree(lambda f, x: f.softmax(x, -1).sum(-1), draw(5, 7))


# Cross entropy of rows


@pytest.mark.parametrize("shift", [0.0, 50.0, -3000.0])
@pytest.mark.parametrize("shape", [(6, 5), (500, 600)])
def test_cross_entropy_of_rows(shape, shift):
    a = (shift + draw(*shape)).astype(np.float32)
    classes = np.arange(shape[0]) % shape[1]
    close(lambda f, x, t: f.cross_entropy(x, t), a, classes)
    close(lambda f, x, t: f.nll_loss(x, t), a, classes)
    with chainrule.no_grad():
        got = F.cross_entropy(chainrule.from_numpy(a), chainrule.from_numpy(classes))
    np.testing.assert_allclose(got.item(), T.cross_entropy(torch.from_numpy(a), torch.from_numpy(classes)).item(), rtol=1e-5)


def test_cross_entropy_refuses_classes_that_do_not_exist():
    for wrong in (-1, 5):
        with pytest.raises(IndexError, match=f"Target {wrong} is out of bounds"):
            F.cross_entropy(chainrule.zeros(3, 5), chainrule.tensor([0, wrong, 1]))


# Normalisation

NORMS = {
    "rows": lambda f, x, w, b: f.layer_norm(x, x.shape[-1:], w, b),
    "columns": lambda f, x, w, b: f.batch_norm(x.flatten(0, -2), None, None, w, b, True),
    "channels": lambda f, x, w, b: f.batch_norm(x.movedim(-1, 1).contiguous(), None, None, w, b, True),
    "groups": lambda f, x, w, b: f.group_norm(x.movedim(-1, 1).contiguous(), 4, w, b),
    "samples": lambda f, x, w, b: f.instance_norm(x.movedim(-1, 1).contiguous(), None, None, w, b),
    "evaluation": lambda f, x, w, b: f.batch_norm(x.movedim(-1, 1), b.detach(), w.detach().abs() + 1, w, b),
}


@pytest.mark.parametrize("shape", [(2, 3, 4, 8), (4, 90, 100, 8)], ids=["small", "large"])
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
@pytest.mark.parametrize("name", NORMS)
def test_norms(name, affine, shape):
    call = NORMS[name]
    x, w, b = (5 + 2 * draw(*shape)).astype(np.float32), draw(8, seed=1).astype(np.float32), draw(8, seed=2).astype(np.float32)
    if affine or name == "evaluation":
        close(call, x, w, b, rtol=1e-3, atol=2e-3)  # sums of 36000 numbers in float32
    else:
        close(lambda f, x: call(f, x, None, None), x, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("name", NORMS)
def test_second_derivatives_of_norms(name):
    agree(NORMS[name], draw(2, 3, 4, 8), draw(8, seed=1), draw(8, seed=2), rtol=1e-6)


def test_large_norms_are_the_small_ones_in_blocks(monkeypatch):
    x, w = draw(6, 8, 30), draw(8, seed=1)
    plans = norm.by_row(x.shape, (30,)), norm.by_channel(x.shape), norm.by_group(x.shape, 2)
    weights = draw(30, seed=1), w, w
    for plan, weight in zip(plans, weights, strict=True):
        small = norm.forward(x, weight, weight, plan, 1e-5)
        grads = norm.backward(x * x, x, weight, small[1], small[3], plan, (True, True, True))
        with monkeypatch.context() as m:
            m.setattr(norm, "WORTH", 10)
            m.setattr(norm, "block", lambda d: 3 * d)
            large = norm.forward(x, weight, weight, plan, 1e-5)
            others = norm.backward(x * x, x, weight, large[1], large[3], plan, (True, True, True))
        for a, b in zip((*small, *grads), (*large, *others), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 9, 7), (5, 17, 49), (2, 8, 5000), (40, 8, 16), (1, 16, 100)])
@pytest.mark.parametrize("needs", [(True, True, True), (False, True, True), (True, False, False)])
def test_batch_norm_channel_by_channel(shape, needs, monkeypatch):
    monkeypatch.setattr(rows, "WORTH", 0)
    monkeypatch.setattr(norm, "FEW", 0)
    x, g, w = 3 + 2 * draw(*shape), draw(*shape, seed=1), draw(shape[1], seed=2)
    plan = norm.by_channel(shape)
    found = []
    for dtype in (np.float32, np.float64):
        a, b, c = (v.astype(dtype) for v in (x, g, w))
        assert norm.by_whole_channels(a, plan) == (dtype is np.float32)
        y, *moments = norm.forward(a, c, c, plan, 1e-5)
        found.append([y, *moments, *norm.backward(b, a, c, moments[0], moments[2], plan, needs)])
    for quick, exact in zip(*found, strict=True):
        assert (quick is None) == (exact is None)
        if exact is not None:
            assert quick.dtype == np.float32 and quick.shape == exact.shape
            np.testing.assert_allclose(quick, exact, rtol=1e-4, atol=1e-5 * np.abs(exact).max())


def test_running_variance_is_not_lost_beside_eps():
    x = 1e-4 * draw(64, 3, 5)
    found = []
    for lib, f in LIBRARIES:
        mean, var = lib.zeros(3).double(), lib.zeros(3).double()
        f.batch_norm(lib.from_numpy(x), mean, var, training=True, momentum=1.0, eps=1.0)
        found.append((mean.numpy(), var.numpy()))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


# Attention

MASKS = {
    "none": None,
    "added": draw(5, 7, seed=9),
    "added to each head": draw(2, 1, 5, 7, seed=9),
    "bool": draw(5, 7, seed=9) > -0.5,
    "a blind query": np.arange(5)[:, None] * np.ones(7) > 1,
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_attention(mask):
    arrays = [draw(2, 3, 5, 4), draw(2, 3, 7, 4, seed=1), draw(2, 3, 7, 6, seed=2)]
    agree(lambda f, q, k, v, *m: f.scaled_dot_product_attention(q, k, v, *m), *arrays, *([] if mask is None else [mask]))


@pytest.mark.parametrize("options", [{"is_causal": True}, {"scale": 0.3}, {"scale": -2.0}, {"is_causal": True, "scale": 1.0}], ids=str)
def test_attention_options(options):
    arrays = [draw(3, 5, 4), draw(3, 5, 4, seed=1), draw(3, 5, 4, seed=2)]
    agree(lambda f, q, k, v: f.scaled_dot_product_attention(q, k, v, **options), *arrays)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": -1.5}], ids=str)
@pytest.mark.parametrize("spread", [1, 40])
def test_attention_of_many(options, spread):
    arrays = [a.astype(np.float32) for a in (spread * draw(2, 3, 100, 16), draw(2, 3, 70, 16, seed=1), draw(2, 3, 70, 20, seed=2))]
    close(lambda f, q, k, v: f.scaled_dot_product_attention(q, k, v, **options), *arrays, rtol=1e-3, atol=1e-4 * spread)
    with chainrule.no_grad():
        y = F.scaled_dot_product_attention(*map(chainrule.from_numpy, arrays), **options)
    want = T.scaled_dot_product_attention(*map(torch.from_numpy, arrays), **options)
    np.testing.assert_allclose(y.numpy(), want.numpy(), rtol=1e-4, atol=1e-5 * spread)


# Losses


@pytest.mark.parametrize("name", ["mse_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy_with_logits", "soft_margin_loss"])
def test_losses_of_many(name):
    x, y = draw(600, 500).astype(np.float32), (draw(600, 500, seed=1) > 0).astype(np.float32)
    want: list = []
    got: list = []
    for (lib, f), found in zip(LIBRARIES, (want, got), strict=True):
        a = lib.from_numpy(x).requires_grad_()
        loss = getattr(f, name)(a, lib.from_numpy(y))
        loss.backward()
        found += [loss.item(), a.grad.numpy()]
    np.testing.assert_allclose(got[0], want[0], rtol=1e-5)
    np.testing.assert_allclose(got[1], want[1], rtol=1e-5, atol=1e-11)


# Blocks


def test_blocks_come_in_order_and_cover_everything():
    seen = threads.in_blocks(lambda s: (s.start, s.stop, threading.get_ident()), 1000, threads.MANY, 1 << 10)
    assert [low for low, _, _ in seen] == list(range(1000)) and all(high == low + 1 for low, high, _ in seen)
    assert threads.in_blocks(lambda s: s, 0, 5) == []


def test_an_error_in_a_block_is_the_caller_s():
    def work(s):
        if s.start > 500:
            raise ValueError("a block failed")

    with pytest.raises(ValueError, match="a block failed"):
        threads.in_blocks(work, 1000, threads.MANY, 1 << 10)


def test_blocks_of_several_callers_at_once():
    a = draw(600, 500).astype(np.float32)
    want, found = rows.softmax(a), []
    callers = [threading.Thread(target=lambda: found.append(np.array_equal(rows.softmax(a), want))) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [True] * 4


# Attention in blocks: heads may lie side by side, keys may be fewer or more than queries


@settings(max_examples=20, deadline=None)
@given(
    batch=st.integers(1, 3), heads=st.integers(1, 3), length=st.sampled_from([1, 63, 64, 130, 200]), source=st.sampled_from([40, 128, 333]),
    size=st.sampled_from([1, 8, 32]), width=st.sampled_from([1, 16, 32]), causal=st.booleans(), beside=st.booleans(),
    far=st.sampled_from([1.0, 20.0]),
)  # fmt: skip
def test_blocked_attention_is_that_of_numpy(batch, heads, length, source, size, width, causal, beside, far):
    from chainrule.kernels import attention

    def make(n, d, seed):
        return draw(batch, n, heads, d, seed=seed).swapaxes(1, 2) if beside else draw(batch, heads, n, d, seed=seed)

    q, k, v = make(length, size, 1) * np.float32(far), make(source, size, 2), make(source, width, 3)
    q, k, v = q.astype(np.float32), k.astype(np.float32), v.astype(np.float32)
    g = draw(batch, heads, length, width, seed=4).astype(np.float32)
    found, kept = [], attention.WORTH
    try:
        for attention.WORTH in (0, 1 << 60):
            y, saved = attention.forward(q, k, v, None, None, 0.3, causal)
            assert saved.ndim == (3 if attention.WORTH == 0 else 4)
            found.append((y, *attention.backward(g, q, k, v, 0.3, causal, saved)))
    finally:
        attention.WORTH = kept
    for got, want in zip(*found, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=2e-5 * max(1, np.abs(want).max()))


def test_large_attention_keeps_no_weights_and_lies_as_pytorchs():
    for shape, turn in (((2, 4, 300, 16), False), ((2, 300, 4, 16), True)):
        arrays = [draw(*shape, seed=i).astype(np.float32) for i in range(3)]
        strides = []
        for lib, functions in LIBRARIES:
            q, k, v = [lib.from_numpy(a).transpose(1, 2) if turn else lib.from_numpy(a) for a in arrays]
            y = functions.scaled_dot_product_attention(q.requires_grad_(), k, v, is_causal=True)
            strides.append(tuple(y.stride()))
        assert strides[0] == strides[1]
        assert y.grad_fn.saved[-1].size == 2 * 4 * 300
