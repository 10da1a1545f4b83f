"""Indexing, gather and scatter: each expression under both libraries must give the same values, graph, gradients, warnings and errors."""

import re
import warnings

import hypothesis.strategies as st
import numpy as np
import pytest
import torch as oracle
from hypothesis import given, settings

import chainrule
from chainrule.kernels import scatter as kernels

LIBRARIES = (chainrule, oracle)
VALUES = np.arange(24.0).reshape(2, 3, 4) / 4 + 1


def names(torch):
    """What the expressions speak of: w a leaf, y made from it, x untracked, v a tracked value."""
    w = torch.tensor(VALUES, requires_grad=True)
    v = torch.tensor([5.0, 6.0, 7.0, 8.0], dtype=torch.float64, requires_grad=True)
    i = torch.tensor([0, 1, 1])
    return {
        "torch": torch, "np": np, "T": torch.tensor, "w": w, "y": w * 1, "x": w.detach() * 1, "v": v, "i": i, "m": w.detach() > 3,
        "n": torch.tensor([3, -7, 2, 5]), "u8": torch.uint8, "f64": torch.float64,
    }  # fmt: skip


def summary(torch, value, scope):
    """A result as plain data: what it is, where it comes from, and its first and second derivatives."""
    if isinstance(value, (tuple, list)):
        return [summary(torch, v, scope) for v in value]
    if not isinstance(value, torch.Tensor):
        return value
    node = value.grad_fn
    made = [tuple(value.shape), str(value.dtype), type(node).__name__ if node is not None else None, value._version, value.tolist()]
    if value.requires_grad:
        leaves = [scope["w"], scope["v"]]
        weight = torch.arange(value.numel(), dtype=value.dtype).reshape(value.shape) + 1
        first = torch.autograd.grad((value * value * weight).sum(), leaves, create_graph=True, allow_unused=True)
        made.append([None if g is None else g.tolist() for g in first])
        second = [g.pow(2).sum() for g in first if g is not None and g.requires_grad]
        if second:
            made.append([None if g is None else g.tolist() for g in torch.autograd.grad(sum(second), leaves, allow_unused=True)])
    return made


def outcome(torch, code):
    """What `code` does: the summary of its value (of y, if it is a statement), or its error; and its warnings."""
    scope = names(torch)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            try:
                program = compile(code, "<test>", "eval")
            except SyntaxError:
                exec(code, scope)
                value = scope["y"]
            else:
                value = eval(program, scope)
            result = summary(torch, value, scope)
        except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
            result = type(error).__name__, str(error).split("\n")[0]
    return result, [re.sub(r" \(Triggered.*", "", str(w.message).split("\n")[0]) for w in caught]


def same(code):
    ours, theirs = [outcome(torch, code) for torch in LIBRARIES]
    assert ours == theirs


VIEWS = [
    "w[0]", "w[-1]", "w[1:]", "w[:]", "w[...]", "w[None]", "w[()]", "w[:, 0]", "w[0, :]", "w[0, 1:]", "w[1:, 0]", "w[..., 0]", "w[None, 0]",
    "w[0, None]", "w[:, :, :]", "w[0:2]", "w[0:5]", "w[::1]", "w[0, 0:3]", "w[..., 1:3]", "w[..., :9]", "w[:, None, 1]", "w[0, ..., None]",
    "w[:, ::2]", "w[:, 1:3:2]", "w[5:]", "w[-5:1]", "w[1:0]", "w[0, 0, 0]", "w[0][0]", "w[0:1][:]", "w[..., ...]", "w[0, ..., ...]",
    "w[T(1)]",
    "w[T(0):T(1)]", "w[np.int64(1)]", "w[np.array(1)]", "T(1.)[...]", "T(1.)[None]", "T(1.)[()]", "w[None, None]", "w[np.int64(0):]",
]  # fmt: skip
ADVANCED = [
    "w[i]", "w[[0, 1]]", "w[[]]", "w[T([-1, 0])]", "w[[True, False]]", "w[[0.5]]", "w[(0, 1),]", "w[range(2)]", "w[np.array([0, 1])]",
    "w[np.array([[0, 1], [1, 0]])]", "w[np.array([True, False])]", "w[True]", "w[False]", "w[:, True]", "w[True, 0]", "w[True, True]",
    "w[True, [0, 1]]", "w[T(True)]", "w[T(1, dtype=u8)]", "x[T([1, 0], dtype=u8)]", "w[T([1, 0], dtype=torch.int32)]", "w[i, i]",
    "w[i, :, i]",
    "w[0, :, i]", "w[i, 0]", "w[i, None, i]", "w[:, i, 0]", "w[:, i, 1:]", "w[:, 1:, i]", "w[..., i]", "w[i[:, None], i]", "w[m]",
    "w[m[:, 0]]",
    "w[:, m[0]]", "w[0, m[0]]", "w[m[:, :, 0], 1:]", "w[m[:, :, 0], i[:1]]", "w[i, m[0, :, 0]]", "w[[[0, 1], [1, 0]]]",
    "w[[slice(0, 1), [0, 1]]]",
    "w[[slice(0, 1), 0]]", "w[[0, None]]", "w[[T([0]), T([1])]]", "w[[T(0), T(1)]]", "T(1.)[True]", "T(1.)[T(True)]",
    "torch.zeros(0, 3)[T([], dtype=torch.long)]", "torch.zeros(0, 3)[:, i]",
]  # fmt: skip
REFUSED = [
    "w[5]", "w[-3]", "w[0, 5]", "w[0, 0, 0, 0]", "w[0, 0, 0, 0:1]", "w[..., 0, ..., 0]", "w[::-1]", "w[::0]", "w[1.5]", "w[0, 'a']",
    "w[{}]",
    "w[np.bool_(True)]", "w[np.float32(1)]", "w[T([1, 0], dtype=torch.int8)]", "w[T(1.)]", "w[T([1.])]", "w[w]", "w[T([5])]", "w[T([-3])]",
    "w[:, T([5])]", "w[0, T([5])]", "w[[0, 1], [0, 1, 2]]", "w[m[0]]", "w[:, m[:, 0]]", "w[m[..., None]]", "w[T([True, False, True])]",
    "T(1.)[0]", "T(1.)[0:1]", "T(1.)[i]", "w[i, i, i, i]", "w[1.0:2]", "w['a':]", "torch.zeros(0, 3)[T([0])]", "'a' in w", "None in w",
]  # fmt: skip


@pytest.mark.parametrize("code", VIEWS + ADVANCED + REFUSED + ["1.25 in w", "99 in w", "w[0, 0, 1] in w"])
def test_reading(code):
    same(code)


@pytest.mark.parametrize("code", VIEWS)
def test_basic_indexing_shares_memory(code):
    after = []
    for scope in map(names, LIBRARIES):
        scope["w"] = scope["x"]
        part = eval(code, scope)
        assert part._is_view()
        part.mul_(2)
        after.append((scope["x"].tolist(), scope["x"]._version))
    assert after[0] == after[1]


WRITES = [
    "y[0] = 1", "y[0] = v", "y[0] = v[None, None]", "y[...] = v", "y[:] = v", "y[None] = v", "y[True] = v", "y[False] = v",
    "y[0, 0, 0] = v[0]",
    "y[0, 0, 0] = v[:1]", "y[[0, 1]] = v", "y[[0]] = 1", "y[m] = 1", "y[m] = v[0]", "y[[0, 1], :, [0, 1]] = 1", "y[0][0] = v",
    "y[0, [0, 1]] = v",
    "y[1:, ::2] = v", "y[:, 0] = y[:, 1]", "y[0] = y[1]", "y[0] = y[0]", "y[0:0] = v", "y[0] = np.float64(2)", "y[0] = True", "y[[]] = 1",
    "y[0] = torch.ones(4, dtype=torch.float32)", "y[m] = torch.tensor(2)", "y[:, m[0]] = v[0]", "y[T(True)] = 1", "y[T(0)] = 1",
    "y[i] = v.detach()", "y[np.array([0, 1])] = 1", "y[0, 0, 0] = torch.ones(1, 1)", "y[i[:2]] = torch.ones(1, 1, 1, 4, dtype=f64)",
    "y[..., 1] = v[:3]", "y[0, 1:, None] = 3.", "y[m[:, 0, 0]] = v", "w.detach()[0] = 3.; y = w * 1", "x[0] = v; y = x", "x[i] = v; y = x",
    "x[1, 2] = 7; y = x", "x[:, 1:] = 0.5; y = x", "x[m] = 0.; y = x", "x[i] = torch.zeros(4, dtype=f64); y = x", "x[0][1] = 9; y = x",
    "x[[0, 1], 0] = torch.zeros(4, dtype=f64); y = x", "n[0] = 2.7; y = n", "n[[0]] = 2.7; y = n", "n[n > 2] = 2.7; y = n",
    "n[0] = T(2.7); y = n",
    "n[:2] = True; y = n", "y = T([1, 2], dtype=u8); y[0] = -1", "y = T([True, False]); y[1] = 3", "y = T([1j]); y[0] = 2.5",
    "y = torch.zeros(3); z = y[1:]; z[0] = 4; z[1:] = 5",
]  # fmt: skip
BAD_WRITES = [
    "w[0] = 1", "w[[0]] = 1", "w[...] = 1", "w[0] = v", "y[0] = [1, 2]", "y[0] = np.ones(4)", "y[0] = 'a'", "y[0] = None", "y[0] = 1j",
    "y[0, 0, 0] = v", "y[m] = v", "y[[0]] = torch.ones(4, dtype=torch.float32)", "y[[0]] = T(2)", "y[m] = torch.ones(15)",
    "y[0] = torch.ones(5)",
    "y[[0]] = torch.ones(5, dtype=f64)", "y[9] = 1", "y[[9]] = 1", "y[0, 9] = 1", "y[::-1] = 1", "y[0:0] = torch.ones(7)", "n[0] = 1j",
    "n[0] = float('nan')", "n[[0]] = 1e20", "T([1], dtype=u8)[0] = 300", "T([1], dtype=u8)[0] = -1.5", "x[5] = 1.", "x[i + 9] = 1.",
    "x[0] = torch.ones(9, dtype=f64)", "torch.ones(3).expand(2, 3)[:, 0] = 1.", "y[1.5] = 1",
]  # fmt: skip


@pytest.mark.parametrize("code", WRITES + BAD_WRITES)
def test_writing(code):
    same(code)


SCATTERS = [
    "w.index_select(0, i)", "w.index_select(-1, T(1))", "T(3.).index_select(0, T([0]))", "w.index_select(1, T([], dtype=torch.long))",
    "w.gather(1, T([[[0, 2]], [[1, 1]]]))", "w.gather(0, T([[[0]]], dtype=torch.int32))", "T(3.).gather(0, T([0]))",
    "w.scatter(0, T([[[1, 0]]]), 5)", "w.scatter(0, T([[[1, 0]]]), value=5)", "y.scatter_(1, T([[[1, 0, 2, 1]]]), w[:1, :1] * 2)",
    "w.scatter(2, T([[[0, 3]], [[1, 0]]]), w.exp()[:, :1, :2])", "w.scatter_add(1, T([[[0, 0, 2, 0]]]), w[:1, :1].sin())",
    "y.scatter_add_(1, T([[[0, 0, 2, 0]]]), w[:1, :1].sin())", "x.scatter(0, T([[[0]]]), 2., reduce='multiply')",
    *[
        f"w.scatter_reduce(1, T([[[0, 0, 2, 0], [0, 1, 2, 0]]]).expand(2, 2, 4), w.cos()[:, :2], '{r}', include_self={s})"
        for r in ("sum", "prod", "mean", "amax", "amin") for s in (True, False)
    ],
    "(w - 1).scatter_reduce(0, T([[[0, 1, 1]]]), w[:1, :1, :3] - 1, 'prod')", "y.scatter_reduce_(0, T([[[0, 1]]]), w[:1, :1, :2], 'amax')",
    "w.index_add(1, i, w.sin())", "y.index_add_(1, i, w.sin(), alpha=2)", "T(3.).index_add(0, T([0]), T(2.))",
    "n.index_add(0, i, n[:3], alpha=1.5)",
    "w.index_copy(1, T([2, 0]), w[:, 1:].sin())", "y.index_copy_(2, T([2]), w[:, :, :1].sin())", "w.index_fill(1, i, 2)",
    "w.index_fill(1, i, v[0])", "y.index_fill_(2, T([-1]), 7)", "n.index_fill(0, i, 2.7)", "w.index_put((i,), v)",
    "w.index_put([i, i], v, accumulate=True)", "y.index_put_((m,), v[0])", "y.index_put_((i, i * 2), v[:3, None], accumulate=True)",
    *[f"w.index_reduce(1, i, w.cos(), '{r}', include_self={s})" for r in ("prod", "mean", "amax", "amin") for s in (True, False)],
    "w.masked_select(m)", "w.masked_select(m[0, 0])", "w[0].masked_select(m)", "T(3.).masked_select(T(True))",
    "w.masked_scatter(m, w.sin())",
    "y.masked_scatter_(m[0], w.sin())", "w.take(T([[0, -1], [0, 5]]))", "w.put(T([0, 7]), v[:2])",
    "y.put_(T([0, 0, 7]), v[:3], accumulate=True)", "torch.take_along_dim(w, T([[[0]], [[2]]]), 1)", "torch.take_along_dim(w, T([0, 9]))",
    "torch.take_along_dim(w, T([[[-1]]]), 2)", "torch.zeros(7, 2).fill_diagonal_(1, wrap=True) + 0",
    "torch.zeros(3, 3, 3).fill_diagonal_(2)",
]  # fmt: skip
SEARCHES = [
    "x.nonzero()", "m.nonzero(as_tuple=True)", "T(3.).nonzero()", "T(0.).nonzero()", "T(3.).nonzero(as_tuple=True)", "torch.argwhere(m)",
    "m.nonzero_static(size=3)", "m[0].nonzero_static(size=30, fill_value=-5)", "torch.unravel_index(T([3, 5]), (2, 3))",
    "torch.bincount(T([1, 1, 3]))", "torch.bincount(T([1, 1, 3]), T([.5, .5, 1]))", "torch.bincount(T([1, 3]), T([5, 1]), minlength=6)",
    "torch.isin(n, T([2, 3]))", "torch.isin(n, 3)", "torch.isin(3, n)", "torch.isin(n, T([2., 3.]), invert=True)",
    "torch.unique(T([3, 1, 3, 2]))", "torch.unique(n.view(2, 2), True, True, True)",
    "T([[1, 2, 1], [0, 0, 0]]).unique(dim=1, return_inverse=True)",
    "torch.unique(T([float('nan'), 1., float('nan')]), return_counts=True)[1]", "torch.unique(T([True, False, True]), return_inverse=True)",
    "torch.unique(T([[3, 1], [0, 5], [3, 1]]), dim=0, return_counts=True)", "torch.unique(torch.zeros(0, 2), dim=0)",
    "torch.unique_consecutive(T([1, 1, 2, 1]), True, True)",
    "torch.unique_consecutive(T([[1, 1, 2], [3, 3, 3]]), dim=1, return_counts=True)",
    "torch.searchsorted(T([1, 3, 5]), n)", "torch.searchsorted(T([1, 3, 5]), n, right=True, out_int32=True)",
    "torch.searchsorted(w, w[..., :2])",
    "torch.searchsorted(T([5, 1, 3]), n, sorter=T([1, 2, 0]))", "torch.searchsorted(T([1., 3.]), 3)", "torch.bucketize(w, v, right=True)",
    "torch.bucketize(3, T([1, 3]))", "torch.searchsorted(T([1., 2.]), T([float('nan')]))",
]  # fmt: skip
BAD_CALLS = [
    "w.index_select(0, T([[0]]))", "w.index_select(0, T([2]))", "w.index_select(0, T([-1]))", "w.index_select(0, T([0.]))",
    "w.index_select(3, i)", "T(3.).index_select(0, T([0, 0]))", "torch.index_select(w, 0, [0])", "w.gather(0, T([[[2]]]))",
    "w.gather(0, T([[[-1]]]))",
    "w.gather(0, T([[[0.]]]))", "w.gather(0, T([0]))", "w.gather(1, T([[[0]]]).expand(3, 1, 1))", "w.scatter(0, T([[[5]]]), 5)",
    "w.scatter(0, T([[[0]]]), 1j)", "w.scatter(0, T([[[0]]]), T([[[5]]]))", "w.scatter(0, T([[[0, 1]]]), w[:1, :1, :1])",
    "x.scatter(0, T([[[0]]]), 2., reduce='foo')", "w.scatter_reduce(0, T([[[0]]]), w, reduce='foo')",
    "w.index_add(0, T([5]), w[:1])", "w.index_add(0, i, w)", "w.index_add(0, T([[0]]), w)", "w.index_add(0, T([0]), w[:1].float())",
    "w.index_add(0, T([0]), w[0])", "w.index_copy(0, T([5]), w[:1])", "w.index_copy(0, T([0], dtype=torch.int32), w[:1])",
    "w.index_copy(0, T([0]), w[:1, :, :2])", "w.index_copy(0, i, w)", "w.index_copy(0, T([0]), w[:1].float())",
    "w.index_fill(0, T([5]), 2)",
    "w.index_fill(0, T([[0]]), 2)", "w.index_fill(0, T([0.]), 2)", "w.index_fill(0, i, 1j)", "w.index_fill(0, i, v)",
    "w.index_put((i + 7,), v)",
    "w.index_put((i + 7,), v, accumulate=True)", "w.index_put((T([0.]),), v)", "w.index_put((i, i, i, i), v)", "w.index_put((m,), v)",
    "w.index_put((i,), 1.)", "w.index_put((i,), T(1))", "w.index_put((i,), v[:3], accumulate=True)", "w.index_reduce(0, i, w, 'sum')",
    "w.masked_select(w)", "w.masked_scatter(m, v)", "w.masked_scatter(w, w)", "w.masked_scatter(m, w.float())", "w.take(T([24]))",
    "w.take(T([0.]))", "w.put(T([24]), v[:1])", "w.put(T([0]), v)", "w.put(T([0]), T([9]))", "torch.take_along_dim(w, T([0, 1]), 1)",
    "torch.zeros(3).fill_diagonal_(1)", "torch.zeros(3, 2, 3).fill_diagonal_(1)", "torch.bincount(T([-1]))", "torch.bincount(T([1.]))",
    "torch.bincount(T([1]), T([1., 2.]))", "torch.unique(T([1j]))", "torch.unique(torch.zeros(0, 2), dim=1)",
    "torch.isin(T([True]), T([True]))",
    "torch.searchsorted(v, w, side='foo')", "torch.searchsorted(v, w, side='left', right=True)", "torch.searchsorted(w, v)",
    "torch.searchsorted(w, 2.)", "torch.searchsorted(T(1.), w)", "torch.searchsorted(v, w, sorter=T([[0]]))", "torch.bucketize(w, w)",
    "w.scatter_(0, T([[[0]]]), 5)", "w.index_add_(1, i, w)", "x.nonzero_static(size=-1)",
]  # fmt: skip


@pytest.mark.parametrize("code", SCATTERS + SEARCHES + BAD_CALLS)
def test_functions(code):
    with warnings.catch_warnings():
        (ours, _), (theirs, _) = [outcome(torch, code) for torch in LIBRARIES]  # index_reduce warns once in a program
    if isinstance(ours, list) and isinstance(theirs, list):
        flat = [np.array(numbers(side), dtype=complex) for side in (ours, theirs)]
        assert words(ours) == words(theirs)
        np.testing.assert_allclose(*flat, rtol=1e-12, atol=1e-12)
    else:
        assert ours == theirs


def leaves(x):
    return [leaf for item in x for leaf in leaves(item)] if isinstance(x, (list, tuple)) else [x]


def numbers(x):
    return [v for v in leaves(x) if isinstance(v, (int, float, complex))]


def words(x):
    return [None if isinstance(v, (int, float, complex)) else v for v in leaves(x)]


ONE = st.one_of(
    st.integers(-3, 2), st.sampled_from([None, True, slice(None), slice(1, None), slice(None, -1), slice(0, 3, 2), slice(-2, None)]),
    st.lists(st.integers(-3, 2), min_size=2, max_size=2), st.lists(st.booleans(), min_size=3, max_size=3).filter(lambda m: sum(m) == 2),
    st.just([[0], [1]]).map(np.array), st.just(Ellipsis),
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(ONE, min_size=1, max_size=4).filter(lambda items: [i is Ellipsis for i in items].count(True) < 2))
def test_any_mixture(items):
    """Ints, slices, None, lists, masks and arrays in any order: placement, values and gradients."""
    results = []
    for torch in LIBRARIES:
        w = torch.tensor(np.arange(81.0).reshape(3, 3, 3, 3), requires_grad=True)
        index = tuple([torch.from_numpy(i) if isinstance(i, np.ndarray) else i for i in items])
        try:
            y = w[index]
            (g,) = torch.autograd.grad((y * y).sum(), w)
            z = w * 1
            z[index] = y.detach() * 2 + 1
            results.append((tuple(y.shape), type(y.grad_fn).__name__, y.tolist(), g.tolist(), z.tolist()))
        except (IndexError, RuntimeError) as error:
            results.append((type(error).__name__, str(error)))
    assert results[0] == results[1]


def test_iteration_and_membership():
    for torch in LIBRARIES:
        w = torch.tensor(VALUES, requires_grad=True)
        rows = list(w)
        assert [r.tolist() for r in rows] == VALUES.tolist() and type(rows[0].grad_fn).__name__ == "UnbindBackward0"
        assert 1.0 in w and 0.0 not in w and len(w) == 2
        with pytest.raises(TypeError, match="iteration over a 0-d tensor"):
            iter(torch.tensor(1.0))


def test_an_index_changed_later_does_not_change_gradients():
    w = chainrule.tensor([1.0, 2.0, 3.0], requires_grad=True)
    index = chainrule.tensor([0, 0])
    y = w[index]
    index[0] = 2
    y.sum().backward()
    assert w.grad.tolist() == [2, 0, 0]


def test_a_gathered_index_changed_later_is_refused():
    for torch in LIBRARIES:
        w = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
        index = torch.tensor([0, 0])
        y = w.gather(0, index)
        index.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


def test_no_grad_and_inference():
    for torch in LIBRARIES:
        w = torch.tensor(VALUES, requires_grad=True)
        with torch.no_grad():
            part = w[0]
            w[0, 0] = 9.0
            w[[1]] = 3.0
        assert part._is_view() and w.is_leaf and w._version == 2
        with torch.inference_mode():
            frozen = torch.ones(3)
        assert frozen[0].is_inference()
        with pytest.raises(RuntimeError, match="Inplace update to inference tensor"):
            frozen[0] = 2.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "int8", "int64", "bool", "complex64"])
def test_every_type(dtype):
    results = []
    for torch in LIBRARIES:
        t = torch.tensor([[1, 0, 3], [4, 5, 6]]).to(getattr(torch, dtype))
        index, source = torch.tensor([[0, 1, 1], [1, 1, 0]]), t.flip(0)
        made = [t[[1, 0]], t[:, [True, False, True]], t.gather(0, index), t.scatter_add(0, index, source)]
        made += [t.index_add(0, torch.tensor([1, 1]), source), t.masked_select(t != 0), t.nonzero(), t.take(torch.tensor([4]))]
        made += [t.index_put((torch.tensor([0, 0]),), t[0], accumulate=True)]
        if dtype != "complex64":
            made += [t.scatter_reduce(0, index, source, r) for r in ("sum", "prod", "amax", "amin")]
        results.append([(str(m.dtype), m.tolist()) for m in made])
    assert results[0] == results[1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.int64])
@pytest.mark.parametrize("dim", [0, 1])
def test_sums_of_many_rows(dtype, dim):
    """The sparse product that adds up many rows against NumPy's plain loop."""
    source = (np.random.standard_normal((300, 200)) * 8).astype(dtype)
    index = np.random.randint(0, 50, source.shape[dim])
    got = np.ones((50, 200) if dim == 0 else (300, 50), dtype)
    expected = got.copy()
    assert source.size >= kernels.WORTH
    kernels.rows_into(got, index, source, dim, np.add)
    np.add.at(expected, (slice(None),) * dim + (index,), source)
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-4)


@settings(max_examples=60)
@given(st.integers(0, 2), st.integers(1, 7), st.booleans(), st.sampled_from([None, np.add, np.maximum]))
def test_scatter_kernels(dim, scale, transposed, ufunc):
    """Gather and scatter in flat memory against loops over the elements."""
    shape = (2 + scale, 3, 4)
    a = np.random.standard_normal(shape[::-1] if transposed else shape)
    a = a.transpose(2, 1, 0) if transposed else a
    index = np.random.randint(0, shape[dim], (shape[0] - 1, 2, 3) if dim else (5 * scale, 2, 3))
    source = np.random.standard_normal(index.shape)
    gathered, expected = np.empty(index.shape), a.copy()
    for place in np.ndindex(*index.shape):
        at = (*place[:dim], index[place], *place[dim + 1 :])
        gathered[place] = a[at]
        expected[at] = source[place] if ufunc is None else ufunc(expected[at], source[place])
    assert (kernels.gather(a, index, dim) == gathered).all()
    kernels.scatter_into(a, index, source, dim, ufunc)
    np.testing.assert_allclose(a, expected)
