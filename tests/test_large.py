"""Many elements: blocks, threads and compiled kernels give what PyTorch gives, as the plain ways for few elements do."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

import chainrule
from chainrule.kernels import compiled, elementwise, reductions, threads


def written(y: Any, b: Any) -> Any:
    y[1:-1, 1:] = b
    return y


SHAPES = ((260, 300), (3, 17000), (17000, 3), (40, 50, 60))
SINGLE = {
    "exp": lambda m, x: x.exp(), "sigmoid": lambda m, x: x.sigmoid(), "relu": lambda m, x: x.relu(), "erf": lambda m, x: m.erf(x),
    "gelu": lambda m, x: m.nn.functional.gelu(x), "silu": lambda m, x: m.nn.functional.silu(x),
    "softplus": lambda m, x: m.nn.functional.softplus(x), "clamp": lambda m, x: x.clamp(-0.5, 0.3),
    "rsqrt": lambda m, x: (x * x + 1).rsqrt(),
    "where": lambda m, x: m.where(x > 0, x, 0.5), "masked_fill": lambda m, x: x.masked_fill(x > 0, 0.0), "pow": lambda m, x: (x * x) ** 1.5,
    "broadcast": lambda m, x: x * x[0] + x[..., :1], "transposed": lambda m, x: (x.transpose(0, 1) * 2).exp(),
    "contiguous": lambda m, x: x.transpose(0, 1).contiguous(),
    "sum_0": lambda m, x: x.sum(0), "sum_last": lambda m, x: x.sum(-1, keepdim=True), "mean": lambda m, x: x.mean((0, 1)),
    "var": lambda m, x: x.var(), "std": lambda m, x: x.std(0), "norm": lambda m, x: x.norm(), "amax": lambda m, x: m.amax(x, -1),
    "amin": lambda m, x: m.amin(x, -1, True), "max_0": lambda m, x: m.max(x, 0).values, "min_0": lambda m, x: m.min(x, 0).values,
    "prod": lambda m, x: (x / 4).exp().prod(-1) if x.shape[-1] < 100 else x[..., :9].prod(-1),
    "cumsum_0": lambda m, x: x.cumsum(0), "cumsum_last": lambda m, x: x.cumsum(-1), "cumprod": lambda m, x: (x / 300).exp().cumprod(-1),
    "sort": lambda m, x: m.sort(x, dim=-1, stable=True).values, "topk": lambda m, x: m.topk(x, 3, -1).values,
    "flip": lambda m, x: m.flip(x, (0,)), "roll": lambda m, x: m.roll(x, (3, -1), (0, 1)), "tril": lambda m, x: m.tril(x),
    "flip_last": lambda m, x: m.flip(x, (-1,)), "add": lambda m, x: x + (x + 2), "sub": lambda m, x: (x + 2) - x * x,
    "mul": lambda m, x: x * (x + 2), "div": lambda m, x: (x + 2) / (x * x + 1), "maximum": lambda m, x: m.maximum(x, x * x),
    "minimum": lambda m, x: m.minimum(x, x * x), "sqrt": lambda m, x: (x * x + 1).sqrt(), "tanh": lambda m, x: x.tanh(),
    "abs": lambda m, x: x.abs(), "lerp": lambda m, x: m.lerp(x, x * x, 0.3), "lerp_far": lambda m, x: m.lerp(x, x * x, 0.7),
    "addcmul": lambda m, x: m.addcmul(x, x, x + 1, value=0.5), "mse": lambda m, x: m.nn.functional.mse_loss(x, x * x),
    "logsumexp": lambda m, x: m.logsumexp(x, -1), "logsumexp_high": lambda m, x: m.logsumexp(x + 100, -1, True) - 100,
    "cat_0": lambda m, x: m.cat([x, x * x, x[:2]]), "cat_last": lambda m, x: m.cat([x, x * x, x[..., :1]], -1),
    "stack": lambda m, x: m.stack([x, x * x]), "stack_last": lambda m, x: m.stack([x, x * x], -1),
    "pad": lambda m, x: m.nn.functional.pad(x, (1, -1, 2, 3), value=0.5), "reshape": lambda m, x: x.reshape(-1),
    "masked_select": lambda m, x: m.masked_select(x, x > 0.1), "masked_scatter": lambda m, x: x.masked_scatter(x > 0.1, x * x),
    "slice_assigned": lambda m, x: written(x.clone(), (x * x)[1:-1, 1:]), "assigned_to_itself": lambda m, x: written(x.clone(), x[0, 0]),
}  # fmt: skip
INDICES = {
    "sort": lambda m, x: m.sort(x, dim=-1, stable=True).indices,
    "descending": lambda m, x: m.sort(x, dim=0, descending=True, stable=True).indices,
    "topk": lambda m, x: m.topk(x, 3, -1).indices, "smallest": lambda m, x: m.topk(x, 3, -1, False).indices,
    "max": lambda m, x: m.max(x, 0).indices, "min": lambda m, x: m.min(x, 0).indices,
}  # fmt: skip


def drawn(shape: tuple, dtype: str = "f4") -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def results(m: ModuleType, f: Callable, x: np.ndarray) -> list:
    """f(x) and the gradient of its sum of squares."""
    leaf: Any = m.tensor(x).requires_grad_()
    y = f(m, leaf)
    (y * y).sum().backward()
    return [y.detach().numpy(), leaf.grad.numpy()]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", SINGLE)
def test_values_and_gradients(name: str, shape: tuple) -> None:
    x = drawn(shape)
    for ours, theirs in zip(*[results(m, SINGLE[name], x) for m in (chainrule, torch)], strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5 * max(1.0, float(np.abs(theirs).max())))


@pytest.mark.parametrize("special", [(), (np.nan,), (np.inf, -np.inf, -0.0, 0.0, np.nan)], ids=str)
@pytest.mark.parametrize("name", INDICES)
def test_indices(name: str, special: tuple) -> None:
    x = drawn((300, 200))
    x[7, 3 : 3 + len(special)] = special
    np.testing.assert_array_equal(*[INDICES[name](m, m.tensor(x)).numpy() for m in (chainrule, torch)])


def test_special_values() -> None:
    x = np.resize(np.array([np.nan, np.inf, -np.inf, 0, -0.0, 100, -100, 1e-30, 88.5, -88.5], "f4"), 20000)
    for name in ("sigmoid", "silu", "softplus", "erf", "relu", "clamp"):  # gelu(inf) is NaN in PyTorch if there are many
        ours, theirs = [SINGLE[name](m, m.tensor(x)).numpy() for m in (chainrule, torch)]
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-36, err_msg=name)  # near the smallest numbers of all


@pytest.mark.parametrize("dim", [0, 1])
def test_gather_and_scatter(dim: int) -> None:
    x, b = drawn((200, 220)), drawn((200, 220))
    index, some = np.random.default_rng(1).integers(0, 200, (200, 220)), np.random.default_rng(2).integers(0, 200, 150)
    both = []
    for m in (chainrule, torch):
        leaf: Any = m.tensor(x).requires_grad_()  # type: ignore[attr-defined]
        k, part = m.tensor(index), m.tensor(some)  # type: ignore[attr-defined]
        parts = [leaf.gather(dim, k), m.scatter_add(leaf, dim, k, m.tensor(b)), m.index_select(leaf, dim, part)]  # type: ignore[attr-defined]
        sum([(p * p).sum() for p in parts]).backward()  # type: ignore[union-attr]
        both.append([*[p.detach().numpy() for p in parts], leaf.grad.numpy()])
    for ours, theirs in zip(*both, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_blockwise(data: st.DataObject) -> None:
    """Blocks of any size, of operands that broadcast or lie in other orders, make the whole."""
    shape = tuple(data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=3)))
    last = shape[data.draw(st.integers(0, len(shape) - 1)) :]
    a, b = drawn(shape, "f8"), drawn(tuple([n if data.draw(st.booleans()) else 1 for n in last]), "f8")
    if data.draw(st.booleans()) and a.shape == b.shape:
        a, b = a.T, b.T
    kernel: Callable = data.draw(st.sampled_from([np.add, np.less, lambda a, b: a * b + a]))
    block = data.draw(st.integers(1, 20))
    with pytest.MonkeyPatch.context() as m:  # after the last draw: Hypothesis may end an example at any of them
        m.setattr(elementwise, "MANY", 2)
        m.setattr(threads, "MANY", 2)
        m.setattr(elementwise, "BLOCK", block)
        y = elementwise.blockwise(kernel, a, b)
    wanted = kernel(a, b)
    assert y.dtype == wanted.dtype
    np.testing.assert_array_equal(y, wanted)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_select(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(["f2", "f4", "f8", "c8", "i8", "u1", "?"]))
    n = data.draw(st.sampled_from([5, 3000]))
    mask = drawn((n,)) > 0
    choices = st.sampled_from([drawn((n,)).astype(dtype), drawn((1,)).astype(dtype), 0, 1])
    a = data.draw(choices)
    b = data.draw(choices) if isinstance(a, np.ndarray) else drawn((n,)).astype(dtype)
    y = elementwise.select(mask, a, b)
    assert y.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(y, np.where(mask, a, b))


@pytest.mark.parametrize("name", ["logsumexp", "amax", "amin", "flip_last", "cat_0", "cat_last", "masked_select", "add", "maximum", "sqrt"])
def test_values_that_are_not_finite(name: str) -> None:
    x = drawn((260, 300))
    x[0, :3], x[1, 5], x[2, 7], x[3], x[4] = [np.inf, -np.inf, np.nan], np.inf, -np.inf, -np.inf, np.nan
    for ours, theirs in zip(*[results(m, SINGLE[name], x) for m in (chainrule, torch)], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_concatenate(data: st.DataObject) -> None:
    """Arrays of all shapes and layouts, on two threads, along any dimension."""
    lead, sizes = data.draw(st.sampled_from([(4, 20), (80,), (40, 2)])), data.draw(st.lists(st.integers(0, 60), min_size=1, max_size=4))
    dim = data.draw(st.integers(-1 - len(lead), len(lead)))
    at = dim % (len(lead) + 1)
    shapes = [(*lead[:at], n, *lead[at:]) for n in [300, *sizes]]
    arrays = [drawn(s, data.draw(st.sampled_from(["f4", "f8"])) if data.draw(st.booleans()) else "f4") for s in shapes]
    arrays = [a.T.copy().T if data.draw(st.integers(0, 5)) == 0 else a for a in arrays]
    with pytest.MonkeyPatch.context() as m:
        m.setattr(compiled.pool, "threads", 2)
        y = reductions.concatenate(arrays, dim)
    np.testing.assert_array_equal(y, np.concatenate(arrays, dim))


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8"])
@pytest.mark.parametrize("chance", [0, 0.5, 1])
def test_masks(chance: float, dtype: str) -> None:
    a, mask = drawn((150, 160), dtype), np.random.default_rng(1).random((150, 160)) < chance
    found = reductions.choose(a, mask)
    np.testing.assert_array_equal(found, a[mask])
    b, c = a.copy(), a.copy()
    reductions.place(b, mask, np.arange(a.size).astype(dtype))
    c[mask] = np.arange(mask.sum())
    np.testing.assert_array_equal(b, c)


def test_argsort_of_equal_elements() -> None:
    x = np.random.default_rng(3).integers(-3, 3, (40, 50)).astype("f4") * np.float32(0.5)
    for dim in (0, 1):
        np.testing.assert_array_equal(reductions.argsort(x, dim, False), np.argsort(x, dim, kind="stable"))
        np.testing.assert_array_equal(reductions.argsort(x, dim, True), np.argsort(-x, dim, kind="stable"))
