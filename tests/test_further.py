"""Functions beside the families: segments, fake quantization, control flow, files, storages, `lobpcg`, `hash_tensor`."""

from functools import partial

import numpy as np
import pytest
import torch as oracle
from both import agree

import chainrule
from chainrule._core import warn

NAN = float("nan")


# Segments


def segments(torch, reduce, shape=(8,), values=None, **options):
    x = torch.tensor(values if values is not None else np.random.RandomState(0).randn(*shape).tolist(), dtype=torch.float64)
    x.requires_grad_()
    given = {k: torch.tensor(v) if k in ("lengths", "offsets") else v for k, v in options.items()}
    y = torch.segment_reduce(x, reduce, **given)
    usable = torch.where(y.isfinite(), y, torch.zeros_like(y))
    return y, torch.autograd.grad((usable * torch.arange(1, y.numel() + 1).reshape(y.shape)).sum(), x)


@pytest.mark.parametrize("initial", [None, 0.25])
@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min", "prod"])
def test_segment_reduce(reduce, initial):
    agree(lambda torch: segments(torch, reduce, lengths=[3, 1, 2, 2], initial=initial))
    agree(lambda torch: segments(torch, reduce, values=[1.0, 3.0, 3.0, 0.0, 2.0], lengths=[3, 2], initial=initial))
    agree(lambda torch: segments(torch, reduce, shape=(2, 4, 3), lengths=[[1, 3], [2, 2]], axis=1, initial=initial))
    agree(lambda torch: segments(torch, reduce, offsets=[0, 3, 4, 8], initial=initial))
    agree(lambda torch: torch.segment_reduce(torch.tensor([1.0, NAN, 2.0]), reduce, lengths=torch.tensor([0, 2, 1]), initial=initial))


@pytest.mark.parametrize("options", [
    {}, {"lengths": [1, 2]}, {"lengths": [-1, 9]}, {"lengths": [4, 4], "axis": 1}, {"lengths": [[8]], "axis": 0},
    {"lengths": [8], "reduce": "median"},
], ids=str)  # fmt: skip
def test_segment_reduce_refuses(options):
    def program(torch):
        given = {k: torch.tensor(v) if k == "lengths" else v for k, v in options.items()}
        return torch.segment_reduce(torch.ones(8, 1)[:, 0] if "axis" not in options else torch.ones(8, 8), **{"reduce": "sum", **given})

    agree(program)


def test_segments_that_leave_elements_out():
    y = chainrule.segment_reduce(chainrule.arange(8.0), "sum", offsets=chainrule.tensor([1, 3, 3, 6]))
    assert y.tolist() == [3.0, 0.0, 12.0]


# Fake quantization


def quantized(torch, name, *args):
    x = torch.linspace(-3, 3, 12).reshape(3, 4).requires_grad_()
    y = getattr(torch, f"fake_quantize_per_{name}_affine")(x, *args)
    return type(y.grad_fn).__name__, y, torch.autograd.grad((y * torch.arange(12.0).reshape(3, 4)).sum(), x)


CALLS = [
    ("tensor", lambda torch: (0.5, 1, -3, 4)),
    ("tensor", lambda torch: (torch.tensor(0.3), torch.tensor(1, dtype=torch.int32), -3, 4)),
    ("tensor", lambda torch: (0.5, 9, -3, 4)),
    ("channel", lambda torch: (torch.tensor([0.3, 0.5, 0.7]), torch.tensor([1, 0, 2], dtype=torch.int32), 0, -3, 4)),
    ("channel", lambda torch: (torch.ones(4) / 3, torch.tensor([1.0, 0, 2, 1]), 1, -3, 4)),
    ("channel", lambda torch: (torch.ones(4) / 3, torch.tensor([1.0, 0, 2, 1]), -1, -3, 4)),
    ("channel", lambda torch: (torch.ones(4) / 3, torch.tensor([1, 0, 2, 1]), -1, -3, 4)),
    ("channel", lambda torch: (torch.ones(2) / 3, torch.tensor([1.0, 0]), -1, -3, 4)),
    ("channel", lambda torch: (torch.ones(2) / 3, torch.tensor([1.0, 0]), 2, -3, 4)),
]


@pytest.mark.parametrize("name, arguments", CALLS)
def test_fake_quantize(name, arguments):
    agree(lambda torch: quantized(torch, name, *arguments(torch)))


def test_fake_quantize_forward_mode():
    from chainrule.autograd import forward_ad

    with forward_ad.dual_level():
        x = forward_ad.make_dual(chainrule.tensor([0.3, 9.0]), chainrule.tensor([2.0, 3.0]))
        y = forward_ad.unpack_dual(chainrule.fake_quantize_per_tensor_affine(x, 0.5, 0, 0, 4))
    assert y.primal.tolist() == [0.5, 2.0] and y.tangent.tolist() == [2.0, 0.0]


# Control flow


def test_cond():
    def program(torch, pred):
        x = torch.tensor([1.0, 2.0], requires_grad=True)
        y = torch.cond(pred, lambda a: a * 3, lambda a: a * 5, (x,))
        return y, torch.autograd.grad(y.sum(), x)

    for pred in (True, 0, "yes"):
        agree(partial(program, pred=pred))
    for value, factor in ((True, 3), (False, 5)):
        assert program(chainrule, chainrule.tensor(value))[1][0].tolist() == [factor] * 2
    one = chainrule.ones(1)
    for wrong in ((chainrule.ones(2), abs, abs, (one,)), (one, 3, abs, (one,)), (one, abs, abs, (3,)), (one, abs, abs, 3)):
        with pytest.raises(RuntimeError, match="Expect"):
            chainrule.cond(*wrong)


def test_while_loop():
    x = chainrule.tensor(1.5, requires_grad=True)
    count, power = chainrule.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * x), (chainrule.tensor(0), chainrule.ones(())))
    power.backward()
    assert count.item() == 3 and power.item() == 1.5**3 and x.grad.item() == 3 * 1.5**2
    with pytest.raises(RuntimeError, match="callable"):
        chainrule.while_loop(3, 4, ())


# Files and storages


def test_from_file(tmp_path):
    path = str(tmp_path / "values")
    np.arange(6, dtype=np.float32).tofile(path)
    for shared in (False, True):
        t = chainrule.from_file(path, shared, 4)
        t[0] = 9
        assert np.fromfile(path, np.float32)[0] == 9 * shared
    assert chainrule.from_file(path, True, 8).tolist()[4:] == [4, 5, 0, 0]
    agree(lambda torch: torch.from_file(path, size=3, dtype=torch.int32, requires_grad=False))
    agree(lambda torch: torch.from_file(path))
    agree(lambda torch: torch.from_file(path, size=9))
    agree(lambda torch: torch.from_file(path, size=-1))
    agree(lambda torch: torch.from_file(path + "missing", size=1))


@pytest.mark.filterwarnings("ignore:TypedStorage")
def test_storages():
    def program(torch):
        x = torch.arange(6.0).reshape(2, 3)
        s = x[1].storage()
        s[0] = 7.0
        other = s.clone().fill_(2)
        return x, len(s), s.size(), s[5], s.tolist(), list(other), s.nbytes(), s.element_size(), s.dtype, repr(s), torch.is_storage(s), \
            s.data_ptr() == x.data_ptr() == s.untyped().data_ptr(), s.copy_(other).tolist(), x  # fmt: skip

    warn.given.clear()
    with pytest.warns(UserWarning, match="TypedStorage is deprecated"):
        chainrule.ones(1).storage()
    oracle.ones(1).storage()  # which warns the first time only, too
    agree(program)


# Others


@pytest.mark.parametrize("options", [{}, {"k": 3}, {"k": 2, "largest": False}], ids=str)
def test_lobpcg(options):
    def program(torch):
        torch.manual_seed(0)
        a = np.random.RandomState(0).randn(2, 9, 9)
        A = torch.tensor((a @ a.swapaxes(-1, -2)).tolist(), dtype=torch.float64).requires_grad_()
        E, X = torch.lobpcg(A, **options)
        drawn = torch.rand(1)
        (g,) = torch.autograd.grad(E.sum() + (X.abs() * torch.arange(9.0)[:, None]).sum(), A)
        return drawn, E, X.abs(), g + g.mT

    agree(program)


def test_lobpcg_of_two_matrices():
    rng = np.random.RandomState(1)
    A, B = [chainrule.tensor((m @ m.T + 3 * np.eye(7)).tolist(), dtype=chainrule.float64) for m in rng.randn(2, 7, 7)]
    E, X = chainrule.lobpcg(A, 2, B)
    np.testing.assert_allclose((A @ X).numpy(), (B @ X * E).numpy(), atol=1e-12)
    np.testing.assert_allclose((X.mT @ B @ X).numpy(), np.eye(2), atol=1e-12)
    agree(lambda torch: torch.lobpcg(torch.eye(5), 2))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int64", "int8", "uint8", "bool", "complex64", "uint16"])
def test_hash_tensor(dtype):
    def program(torch, options):
        values = np.random.RandomState(0).randn(3, 4).tolist()
        return torch.hash_tensor(torch.tensor(values).to(getattr(torch, dtype)), **options)

    for options in ({}, {"dim": 1}, {"dim": (0, 1), "keepdim": True}, {"mode": 1}, {"dim": 2}, {"dim": (0, 0)}):
        agree(partial(program, options=options))


def test_hash_tensor_into_out():
    out = chainrule.empty(4, dtype=chainrule.uint64)
    assert chainrule.ones(3, 4).hash_tensor(0, out=out) is out
    agree(lambda torch: torch.hash_tensor(torch.ones(3), out=torch.empty((), dtype=torch.int64)))


def test_odds_of_tensors():
    agree(lambda torch: torch.ones(2).map2_(torch.tensor([2.0, 3.0]), torch.tensor(4.0), lambda a, b, c: a + b * c))
    agree(lambda torch: [getattr(torch.ones(1), n) for n in ("is_ipu", "is_maia", "is_mtia", "name")])
    agree(lambda torch: torch.ones(1).is_distributed())
    agree(lambda torch: [torch.zeros(2).module_load(torch.ones(2), assign) for assign in (False, True)])
    x = chainrule.ones(2)
    assert x.const_data_ptr() == x.data_ptr()
