"""The two tiers of `kernels.small`: compiled twins give what NumPy gives, and take over without anybody noticing."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from opdb import CHECKS, ENTRIES, label, run
from opdb_exceptions import EXCEPTIONS
from opdb_vmap import compared, run as run_batched

import chainrule
from chainrule.kernels import small, small_numba

CALLERS = [  # entries of PyTorch's operator database that come to a kernel with two tiers
    "cross_entropy", "layer_norm", "group_norm", "rms_norm", "embedding", "linear_cross_entropy", "nll_loss",
    "scaled_dot_product_attention", "softmin", "softmax", "log_softmax", "gather", "scatter", "scatter_add", "index_add",
    "index_select", "take_along_dim", "topk", "masked.softmax", "masked.log_softmax",
]


@pytest.fixture(scope="module")
def twins():
    return {name: small_numba.ready(name) for name in small.PLAIN}


def both(twins, name, *args):
    """What the two tiers answer and write, on copies of the arguments."""
    found = []
    for kernel in (small.PLAIN[name], twins[name]):
        given = [v.copy() if isinstance(v, np.ndarray) else v for v in args]
        with np.errstate(all="ignore"):
            found.append((kernel(*given), [v for v in given if isinstance(v, np.ndarray)]))
    return found


def same(twins, name, *args):
    (want, arrays), (got, others) = both(twins, name, *args)
    assert got == want or (got != got and want != want)
    if want is not False:  # what is refused is spoiled
        for a, b in zip(arrays, others, strict=True):
            np.testing.assert_array_equal(a, b)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 30), d=st.integers(1, 30), scale=st.sampled_from([0.01, 1.0, 100.0]), seed=st.integers(0, 999))
def test_twins_give_the_same_numbers(twins, n, d, scale, seed):
    rng = np.random.default_rng(seed)
    x, g = [(rng.standard_normal((n, d)) * scale).astype("f4") for _ in range(2)]
    w, b = rng.standard_normal((2, d)).astype("f4")
    y, column = np.zeros_like(x), np.zeros((n, 1), "f4")
    same(twins, "normalize", x, w, b, 1e-5, y, column, column.copy())
    with np.errstate(all="ignore"):
        e = np.exp(x)
    same(twins, "scale_exponentials", e)
    same(twins, "subtract_logs", x, e)
    same(twins, "unsoftmax", g, x, y)
    same(twins, "unlog_softmax", g, x)
    same(twins, "mean_loss", x, rng.integers(0, d, n))
    places, others = rng.integers(0, d, (n, d)), np.arange(0, n * d, d).repeat(d).reshape(n, d)
    same(twins, "inside", places, d)
    same(twins, "inside", places, d - 1)
    same(twins, "inside", -places, d)
    same(twins, "take_at", x, places, others, 1, y)
    same(twins, "add_at", places, others, 1, g, x)
    same(twins, "add_rows", rng.integers(0, n, n), g, x)
    tied = np.round(x / scale).astype("f4")
    tied[rng.random((n, d)) < 0.1] = np.nan
    k = rng.integers(1, d + 1)
    same(twins, "largest", tied, np.zeros((n, k), "f4"), np.zeros((n, k), "i8"))


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 30), d=st.integers(3, 30), seed=st.integers(0, 999))
def test_the_cotangents_of_a_normalisation(twins, n, d, seed):
    """Differences cancel in them, so that the last bits of float64 show where the result is nearly 0."""
    rng = np.random.default_rng(seed)
    g, x = rng.standard_normal((2, n, d)).astype("f4")
    mean, rstd = x.mean(1, keepdims=True), 1 / x.std(1, keepdims=True)
    args = g, x, rng.standard_normal(d).astype("f4"), mean, rstd, np.zeros_like(x), np.zeros((2, d), "f4")
    (_, arrays), (_, others) = both(twins, "unnormalize", *args)
    for a, b in zip(arrays, others, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-12)


def test_a_twin_takes_over(monkeypatch):
    monkeypatch.setattr(small, "LOADED", 3)
    monkeypatch.setattr(small, "UNLOADED", 3)
    monkeypatch.setattr(small, "scale_exponentials", small.tiered(small.PLAIN["scale_exponentials"]))
    x = chainrule.randn(4, 5)
    first = chainrule.softmax(x, 1)
    for _ in range(4):
        assert chainrule.equal(chainrule.softmax(x, 1), first)
    assert small.scale_exponentials is small_numba.scale_exponentials


def test_a_twin_refuses_what_it_is_not_for(twins):
    with pytest.raises(TypeError):
        twins["scale_exponentials"](np.ones((3, 4)))


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.name.removeprefix("nn.functional.") in CALLERS], ids=label)
def test_operators_after_many_calls(monkeypatch, twins, entry):
    """What reaches a compiled twin is what it takes, whatever the operator was given."""
    for name, twin in twins.items():
        monkeypatch.setattr(small, name, twin)
    excused = EXCEPTIONS.get(label(entry), {})
    assert not [f for check in CHECKS if check not in excused for f in run(entry, check, 5)[1]]
    assert not (compared(entry) and run_batched(entry, 2))
