"""Running sums, softmax, differences and integrals against PyTorch."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from test_reduce import NAN, agree, array, run

import chainrule

FORMS = (
    "x.cumsum(0)", "x.cumsum(-1)", "x.cumsum(1, dtype=t.float32)", "t.cumsum(x, dim=1)", "x.cumprod(1)", "x.cumprod(0, dtype=t.float32)",
    "x.logcumsumexp(1)", "x.logcumsumexp(0)", "x.cummax(1)", "x.cummin(0)", "x.softmax(0)", "x.softmax(-1, dtype=t.float32)",
    "x.log_softmax(1)", "t.softmax(x, dim=1)", "t.special.log_softmax(x, 0)", "x.diff()", "x.diff(2, 0)",
    "x.diff(n=1, dim=1, prepend=x[:, :1], append=x)", "t.trapezoid(x)", "t.trapezoid(x, dx=0.5, dim=0)",
    "t.trapezoid(x, t.arange(4.).double() ** 2)", "t.trapz(x, x.exp())", "t.cumulative_trapezoid(x, dim=0)", "t.gradient(x)",
    "t.gradient(x, spacing=0.5, dim=1, edge_order=2)", "x.sum().cumsum(0)", "x.sum().softmax(0)",
    "t.gradient(x, spacing=(t.tensor([0., 1., 3.]).double(),), dim=0, edge_order=2)", "x.sum().logcumsumexp(0)", "x.sum().cummax(0)",
    "(x * 1).cumsum_(0)", "(x * 1).cumprod_(1)",
)  # fmt: skip


@pytest.mark.parametrize("expression", FORMS)
def test_forms(expression):
    agree(expression)


@pytest.mark.parametrize("dtype", ("bool", "uint8", "int64", "float16", "bfloat16", "float32", "complex64"))
@pytest.mark.parametrize("expression", (
    "x.cumsum(0)", "x.cumprod(1)", "x.cummax(1)", "x.softmax(0)", "x.logcumsumexp(0)", "x.diff()", "t.trapezoid(x)", "x.log_softmax(1)",
))  # fmt: skip
def test_dtypes(expression, dtype):
    data = [[0, 1, 3], [2, 5, 4]]
    try:
        run(torch, expression, dtype, data)
    except Exception as error:
        with pytest.raises(type(error)):
            run(chainrule, expression, dtype, data)
        return
    agree(expression, dtype, data, 3e-2 if "16" in dtype else 1e-5)


@pytest.mark.parametrize("expression", (
    "x.cummax(1)", "x.cummin(1)", "x.cumsum(1)", "x.logcumsumexp(1)", "x.softmax(1)", "x.log_softmax(1)",
))  # fmt: skip
def test_special_values(expression):
    data = [[1.0, NAN, 2.0], [float("inf"), 1.0, -float("inf")], [-float("inf"), -float("inf"), 1.0], [1.0, 1.0, 0.0]]
    results = [run(t, expression, data=data)[0] for t in (torch, chainrule)]
    for e, g in zip(*[r if isinstance(r, tuple) else (r,) for r in results], strict=True):
        np.testing.assert_allclose(array(g), array(e), 1e-6)


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=8), st.lists(st.floats(-2, 2), min_size=8, max_size=8))
def test_logcumsumexp_over_a_wide_range(values, weights):
    """Neither the values nor the gradient overflow; the gradient is the sum of g_i * exp(x_k - y_i) over i >= k."""
    x = chainrule.tensor(values, dtype=chainrule.float64, requires_grad=True)
    y = x.logcumsumexp(0)
    g = np.array(weights[: len(values)])
    y.backward(chainrule.tensor(g.tolist(), dtype=chainrule.float64))
    exact = [sum(g[i] * np.exp(values[k] - y.tolist()[i]) for i in range(k, len(values))) for k in range(len(values))]
    np.testing.assert_allclose(array(y), np.logaddexp.accumulate(values), 1e-12, 1e-12)
    np.testing.assert_allclose(array(x.grad), exact, 1e-9, 1e-9)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 1), st.integers(0, 4))
def test_cumprod_with_zeros(rows, columns, dim, zeros):
    """First and second derivatives of a product with zeros anywhere, against PyTorch."""
    rng = np.random.default_rng(rows * 100 + columns * 10 + zeros)
    data = rng.standard_normal((rows, columns))
    data.reshape(-1)[rng.permutation(data.size)[:zeros]] = 0
    found = []
    for t in (torch, chainrule):
        y, x = run(t, f"x.cumprod({dim})", data=data.tolist())
        (g,) = t.autograd.grad(y.sum() + (y * y).sum(), x, create_graph=True)
        (h,) = t.autograd.grad((g * g).sum(), x)
        found.append((array(g), array(h)))
    np.testing.assert_allclose(found[1][0], found[0][0], 1e-9, 1e-9)
    np.testing.assert_allclose(found[1][1], found[0][1], 1e-9, 1e-9)


def test_softmax_does_not_overflow():
    x = chainrule.tensor([1e30, -1e30, 1e30], requires_grad=True)
    assert x.softmax(0).tolist() == [0.5, 0.0, 0.5]
    x.log_softmax(0)[0].backward()
    np.testing.assert_allclose(x.grad.numpy(), [0.5, 0, -0.5])
