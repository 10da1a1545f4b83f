"""Reductions and what orders elements, against PyTorch: what the operator database does not ask."""

import gc
import pickle

import numpy as np
import pytest
import torch

import chainrule

INF, NAN = float("inf"), float("nan")
MATRIX = [[0.5, -1.25, 2.0, 2.0], [3.0, 0.25, -2.0, 3.0], [0.0, 1.5, 0.25, -1.0]]


def run(t, expression, dtype="float64", data=MATRIX):
    """The expression's value in library t, x being a matrix that requires grad if it can, and x."""
    x = t.tensor(data, dtype=getattr(t, dtype), requires_grad="float" in dtype or "complex" in dtype)
    return eval(expression, {"t": t, "x": x, "inf": INF, "nan": NAN}), x


def array(v):
    v = v.detach().resolve_conj()
    return (v.float() if "bfloat16" in str(v.dtype) else v).numpy(force=True)


def parts(v):
    return list(v) if isinstance(v, (tuple, list)) else [v]


def agree(expression, dtype="float64", data=MATRIX, tolerance=1e-6, indices=True):
    """Equal values, shapes, dtypes, named fields, and gradients to the second order."""
    expected, x = run(torch, expression, dtype, data)
    got, y = run(chainrule, expression, dtype, data)
    if not isinstance(expected, (torch.Tensor, tuple)):
        assert got == expected
        return
    if hasattr(type(expected), "n_fields"):
        assert type(got).__name__ == type(expected).__name__ and len(got) == type(expected).n_fields
    for g, e in zip(parts(got), parts(expected), strict=True):
        assert str(g.dtype) == str(e.dtype) and tuple(g.shape) == tuple(e.shape), (g, e)
        if indices or e.dtype != torch.int64:
            np.testing.assert_allclose(array(g), array(e), tolerance, tolerance)
        assert g.requires_grad == e.requires_grad
    grads = []
    for t, v, leaf in ((torch, expected, x), (chainrule, got, y)):
        outs = [o for o in parts(v) if o.requires_grad]
        if not outs:
            return
        weights = [t.tensor(np.cos(np.arange(o.numel())).reshape(tuple(o.shape)).tolist(), dtype=o.dtype) for o in outs]
        (g,) = t.autograd.grad(outs, leaf, weights, create_graph="16" not in dtype)
        grads.append([array(g)])
        if "16" not in dtype and g.requires_grad:
            (second,) = t.autograd.grad((g * g).sum().abs() + (leaf * 0).sum().abs(), leaf)
            grads[-1].append(array(second))
    for g, e in zip(grads[1], grads[0]):
        np.testing.assert_allclose(g, e, tolerance, tolerance)


FORMS = (
    "x.sum()", "x.sum(0)", "x.sum(-1, keepdim=True)", "x.sum((0, 1))", "x.sum([])", "x.sum(axis=0, keepdims=True)",
    "t.sum(x, 1, dtype=t.float32)", "x.mean()", "x.mean(1)", "x.mean((0, 1), keepdim=True)", "x.mean(dtype=t.float32)", "x.nansum(0)",
    "x.nanmean(1)", "x.prod()", "x.prod(0)", "x.prod(1, keepdim=True)", "x.amax()", "x.amax(1)", "x.amax((0, 1), True)", "x.amin(0)",
    "x.aminmax(dim=1)", "x.aminmax()", "x.max()", "x.min()", "x.max(1)", "x.min(0, keepdim=True)", "x.max(x * 2)", "t.min(x, other=x * 2)",
    "x.argmax()", "x.argmin(1)", "x.argmax(keepdim=True)", "x.argmax(0, keepdim=True)", "x.all()", "x.any(1)", "x.all((0, 1))",
    "x.any(dim=0, keepdim=True)", "t.count_nonzero(x)", "x.count_nonzero((0, 1))", "x.count_nonzero(dim=0)", "x.var()", "x.std()",
    "x.var(0)", "x.std(1, False)", "x.var(False)", "x.std(dim=(0, 1), correction=2)", "x.var(correction=0.5)",
    "x.std(1, unbiased=False, keepdim=True)", "t.var_mean(x, 1)", "t.std_mean(x, dim=0, correction=0)", "x.norm()", "x.norm(1)",
    "x.norm(3, 1)", "x.norm(inf)", "x.norm(-inf, 0)", "x.detach().norm(0)", "t.sum(x.detach(), 0, out=t.empty(4).int())",
    "x.norm(0.5, 1, True)", "x.norm('fro', dim=(0, 1))", "x.float().norm(dtype=t.float64)", "t.dist(x, x * 2 + 1, 3)",
    "t.dist(x, x[0], 1)", "x.renorm(2, 0, 1.5)", "x.renorm(1, 1, 2)", "x.logsumexp(1)", "x.logsumexp((0, 1), keepdim=True)", "x.median()",
    "x.median(1, keepdim=True)", "x.nanmedian()", "x.quantile(0.3)", "x.quantile(t.tensor([0.1, 0.9], dtype=t.float64), 1)",
    "x.quantile(0.5, 0, keepdim=True)", "x.quantile(0.4, interpolation='midpoint')", "x.nanquantile(0.25, dim=1, interpolation='lower')",
    "x.cov()", "x[0].cov()", "x.corrcoef()", "x.kthvalue(2, 0)", "x.sort(1, descending=True)", "x.sort(dim=0, stable=True)", "x.argsort()",
    "x.msort()", "x.topk(2)", "x.topk(1, 0, largest=False)", "x.histc(4, -2, 2)", "x.mode(0)", "t.histogram(x.detach(), 3)",
    "t.histogram(x.detach(), 4, range=(-1., 2.), density=True)", "x.sum().sum(0)", "x.sum().max(0)", "x.sum().sort()",
    "x.sum().std(correction=0)",
)  # fmt: skip


@pytest.mark.parametrize("expression", FORMS)
def test_forms(expression):
    agree(expression, indices="sort" not in expression and "topk" not in expression and "kth" not in expression)


@pytest.mark.parametrize("dtype", ("bool", "uint8", "int32", "int64", "float16", "bfloat16", "float32", "complex64"))
@pytest.mark.parametrize("expression", (
    "x.sum()", "x.sum(0)", "x.prod(1)", "x.any()", "x.all(0)", "x.nansum()", "x.max()", "x.max(1)", "x.amax(0)", "x.mean()", "x.var(0)",
    "x.argmax()", "x.logsumexp(0)", "x.norm()", "x.median()", "x.aminmax()", "x.sort()", "x.topk(1)", "x.std(1)",
))  # fmt: skip
def test_dtypes(expression, dtype):
    data = [[0, 1, 3], [2, 5, 4]]
    try:
        run(torch, expression, dtype, data)
    except Exception as error:
        with pytest.raises(type(error)):
            run(chainrule, expression, dtype, data)
        return
    agree(expression, dtype, data, 2e-2 if "16" in dtype else 1e-5)


TIED = [[2.0, 1.0, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0], [0.0, -0.0, 0.0, 3.0]]


@pytest.mark.parametrize("expression", (
    "x.max()", "x.min()", "x.amax(1)", "x.amin(0)", "x.aminmax(dim=1)", "x.aminmax()", "x.max(1)", "x.min(0)", "x.median()",
    "x.norm(inf, 1)", "x.nanmedian()", "x.norm(-inf)", "x.argmax(1)", "x.argmin(0)", "x.sort(dim=1, stable=True)",
    "x.sort(dim=1, descending=True, stable=True)", "x.mode(1)", "x.argsort(dim=1, descending=True, stable=True)", "x.cummax(1)",
    "x.cummin(1)",
))  # fmt: skip
def test_ties(expression):
    agree(expression, data=TIED)


SPECIAL = [[NAN, 1.0, 2.0], [INF, -INF, 0.0], [3.0, NAN, NAN]]


@pytest.mark.parametrize("expression", (
    "x.sum(1)", "x.max()", "x.max(1)", "x.min(0)", "x.amax(1)", "x.argmax(1)", "x.argmin(0)", "x.nansum(1)", "x.nanmean(1)", "x.median(1)",
    "x.nanmedian(1)", "x.nanmedian()", "x.sort(1)", "x.sort(0, descending=True)", "x.topk(2, 1)", "x.logsumexp(1)", "x.quantile(0.5, 1)",
    "x.nanquantile(0.5, 1)", "x.any()", "x.all(1)", "x.norm(2, 1)", "x.prod(1)", "x.count_nonzero()",
))  # fmt: skip
def test_special_values(expression):
    results = [run(t, f"t.no_grad()({'lambda: ' + expression})()", "float64", SPECIAL)[0] for t in (torch, chainrule)]
    for e, g in zip(parts(results[0]), parts(results[1]), strict=True):
        np.testing.assert_allclose(array(g), array(e))


ZEROS = ([0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [1.0, 0.0, 3.0])


@pytest.mark.parametrize("expression", (
    "x.prod()", "x.prod(1)", "x.prod(0)", "x.cumprod(1)", "x.cumprod(0)", "x.norm()", "x.norm(3, 1)", "x.norm(1, 0)", "x.norm(0.5)",
    "x.norm(1.5, 1)",
))  # fmt: skip
def test_zeros(expression):
    """Products with zeros, where dividing would not do, and norms, whose gradient at 0 is 0."""
    results = []
    for t in (torch, chainrule):
        value, x = run(t, expression, data=ZEROS)
        (g,) = t.autograd.grad((value * value).sum() / 2 + value.sum(), x, create_graph=True)
        results.append([array(value), array(g)])
        if "norm" not in expression:
            (h,) = t.autograd.grad((g * g).sum(), x)
            results[-1].append(array(h))
    for e, g in zip(*results, strict=True):
        np.testing.assert_allclose(g, e, 1e-6, 1e-9)


@pytest.mark.parametrize(
    "expression",
    ("t.zeros(3, requires_grad=True).norm()", "t.ones(2, 3, requires_grad=True).std(1)", "t.zeros(2, 2, requires_grad=True).norm(2, 1)"),
)
def test_gradients_where_there_is_none(expression):
    grads = []
    for t in (torch, chainrule):
        x = eval(expression.split(").")[0] + ")", {"t": t})
        y = eval("x." + expression.split(").", 1)[1], {"x": x})
        y.sum().backward()
        grads.append(array(x.grad))
    np.testing.assert_array_equal(*grads)


EMPTY = (
    "t.ones(0).sum()", "t.ones(0, 3).sum(0)", "t.ones(0).prod()", "t.ones(0).mean()", "t.ones(0, 3).mean(0)", "t.ones(0).max()",
    "t.ones(0, 3).max(0)", "t.ones(0, 3).max(1)", "t.ones(0).argmax()", "t.ones(0, 3).amax(0)", "t.ones(0, 3).amax(1)", "t.ones(0).any()",
    "t.ones(0).all()", "t.ones(0).norm()", "t.ones(0).norm(float('inf'))", "t.ones(0).var()", "t.ones(0).logsumexp(0)", "t.ones(0).sort()",
    "t.ones(0).median()", "t.ones(0, 3).median(0)", "t.ones(0).cumsum(0)", "t.ones(0, 3).topk(0, 0)", "t.ones(0).softmax(0)",
    "t.ones(0).quantile(0.5)", "t.ones(0).mode()", "t.ones(3, 0).mode(0)", "t.ones(0).histc(3)", "t.ones(1).var()", "t.ones(0).cummax(0)",
    "t.ones(0).kthvalue(1)", "t.ones(0).count_nonzero()", "t.ones(0).aminmax()",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("expression", EMPTY)
def test_empty(expression):
    found = []
    for t in (torch, chainrule):
        try:
            found.append([(str(v.dtype), tuple(v.shape), array(v)) for v in parts(eval(expression, {"t": t}))])
        except Exception as error:
            found.append(error)
    if isinstance(found[0], Exception):
        assert type(found[1]) is type(found[0]), found
        return
    assert not isinstance(found[1], Exception), found
    for e, g in zip(*found, strict=True):
        assert e[:2] == g[:2]
        np.testing.assert_array_equal(e[2], g[2])


ERRORS = (
    "x.sum(2)", "x.sum(-3)", "x.sum((0, 0))", "x.sum((0, -2))", "x.sum('a')", "x.mean(5)", "x.int().mean()", "x.mean(dtype=t.int32)",
    "x.max(3)", "x.amax((1, 1))", "x.argmax(2)", "x.prod((0, 1))", "x.var(2)", "x.int().var()", "x.norm('bad')", "x.int().norm()",
    "x.sum().sum(1)", "x.sum().max(1)", "x.topk(9)", "x.kthvalue(0)", "x.sort(2)", "x.softmax(2)", "x.quantile(2.0)",
    "x.quantile(0.5, interpolation='x')", "x.int().quantile(0.5)", "x.cumsum()", "x.cumsum(2)", "x.renorm(2, 0, -1)", "x.renorm(0, 0, 1)",
    "x.histc(0)", "t.sum(1)", "x.logsumexp()", "x.all(2)", "t.tensor(1j).max()", "t.tensor([1j]).sort()", "t.tensor([1j]).argmax()",
    "x.median(2)", "x.norm(dtype=t.float32)", "t.cov(x.unsqueeze(0))", "t.dist(x, 'a')", "x.diff(-1)", "t.ones(()).diff()", "x.cummax(4)",
    "x.norm(dim=3)", "x.std(dim=(0, 0))",
)  # fmt: skip


@pytest.mark.parametrize("expression", ERRORS)
def test_errors(expression):
    found = []
    for t in (torch, chainrule):
        try:
            found.append(run(t, expression)[0])
        except Exception as error:
            found.append(error)
    assert isinstance(found[0], Exception), f"PyTorch gives {found[0]}"
    assert type(found[1]) is type(found[0]), f"{found[1]!r} instead of {found[0]!r}"
    if isinstance(found[0], IndexError):
        assert str(found[1]) == str(found[0])


NODES = (
    "x.sum()", "x.sum(0)", "x.mean()", "x.mean(0)", "x.prod()", "x.prod(0)", "x.max()", "x.max(0)[0]", "x.min()", "x.amax(0)",
    "x.aminmax()[1]", "x.median()", "x.median(0)[0]", "x.nanmedian()", "x.nanmedian(0)[0]", "x.mode(0)[0]", "x.kthvalue(1)[0]",
    "x.sort()[0]", "x.topk(2)[0]", "x.msort()", "x.std()", "x.var(0)", "t.var_mean(x)[0]", "t.std_mean(x)[1]", "x.norm()", "t.dist(x, x)",
    "x.nansum()", "x.nanmean()", "x.logsumexp(0)", "x.cumsum(0)", "x.cumprod(0)", "x.cummax(0)[0]", "x.logcumsumexp(0)",
    "x.renorm(2, 0, 1)", "x.softmax(0)", "x.log_softmax(0)", "x.diff()",
)  # fmt: skip


@pytest.mark.parametrize("expression", NODES)
def test_node_names(expression):
    names = [type(run(t, expression)[0].grad_fn).__name__ for t in (torch, chainrule)]
    assert names[0] == names[1]


def test_named_results():
    x = chainrule.tensor([[1.0, 3.0], [4.0, 2.0]])
    assert repr(x.max(0)) == repr(torch.tensor([[1.0, 3.0], [4.0, 2.0]]).max(0))
    values, indices = x.sort(descending=True)
    assert pickle.loads(pickle.dumps(x.sort())).indices.tolist() == [[0, 1], [1, 0]] and indices.tolist() == [[1, 0], [0, 1]]


def test_out():
    x = chainrule.tensor([[1.0, 3.0], [4.0, 2.0]])
    values, indices = chainrule.empty(0), chainrule.empty(0, dtype=chainrule.int64)
    result = chainrule.max(x, 0, out=(values, indices))
    assert result.values is values and indices.tolist() == [1, 0]
    total = chainrule.empty(2, dtype=chainrule.float64)
    assert chainrule.sum(x, 0, out=total) is total and total.tolist() == [5.0, 5.0]


def test_too_few_degrees_of_freedom_warn():
    with pytest.warns(UserWarning, match="degrees of freedom is <= 0"):
        assert chainrule.ones(1).std().isnan()


def test_half_precision_is_summed_in_float32():
    ones = chainrule.ones(10000, dtype=chainrule.bfloat16)
    assert ones.sum().item() == 9984 and ones.mean().item() == 1 and ones.cumsum(0)[-1].item() == 9984
    assert chainrule.full((4,), 300.0, dtype=chainrule.float16).norm().item() == 600


def test_large_logsumexp():
    x = chainrule.tensor([1e4, 1e4, -1e4], dtype=chainrule.float64, requires_grad=True)
    x.logsumexp(0).backward()
    np.testing.assert_allclose(x.grad.numpy(), [0.5, 0.5, 0])


def test_modes_and_memory():
    """The written-out eager path keeps what the general one does: no_grad, in-place changes that are seen, no cycles."""
    x = chainrule.ones(3, requires_grad=True)
    with chainrule.no_grad():
        assert not x.std().requires_grad and not x.max(0).values.requires_grad
    y = x * 1
    for make in (lambda v: v.amax(0), lambda v: v.std(), lambda v: v.prod()):
        y = x * 2
        z = make(y)
        y.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            z.backward()
    view = (x * 1)[:2]
    view.mul_(2)
    assert view.sum().item() == 4
    gc.collect()
    gc.disable()
    try:
        before = sum([isinstance(o, chainrule.Tensor) for o in gc.get_objects()])
        x.max(0).values.backward()
        del z
        x.grad = None
        assert sum([isinstance(o, chainrule.Tensor) for o in gc.get_objects()]) <= before
    finally:
        gc.enable()
