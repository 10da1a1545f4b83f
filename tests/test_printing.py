"""Printing, to the character, beside PyTorch's."""

from __future__ import annotations

import doctest
import inspect
import sys
import warnings

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from chainrule._core import printing

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
INTEGERS = [np.dtype(t) for t in ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8")]
FLOATS = [np.dtype(t) for t in ("f2", "f4", "f8")] + [BFLOAT16]
COMPLEX = [np.dtype("c8"), np.dtype("c16")]
DTYPES = [np.dtype(bool), *INTEGERS, *FLOATS, *COMPLEX]
OPTIONS = [
    {},
    {"precision": 2},
    {"precision": 0},
    {"precision": 9, "linewidth": 120},
    {"sci_mode": True},
    {"sci_mode": False},
    {"sci_mode": True, "precision": 0},
    {"linewidth": 30},
    {"linewidth": 1},
    {"threshold": 0},
    {"threshold": 5, "edgeitems": 1},
    {"threshold": 10, "edgeitems": 2, "linewidth": 40},
    {"threshold": 4, "edgeitems": 0},
    {"edgeitems": 0},
    {"threshold": 1, "edgeitems": 5},
    {"profile": "short"},
    {"profile": "full"},
    {"profile": "short", "precision": 7, "sci_mode": True},
]
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-4, 9.9e-5, 1e3, 1001.0, 1e8, 1.1e8, np.nan, np.inf, -np.inf, 1e-30, 2.5, 3e4]


@pytest.fixture(autouse=True)
def restored_options():
    before = torch._tensor_str.get_printoptions(), printing.get_printoptions()
    default_dtype = torch.get_default_dtype()
    yield
    torch.set_printoptions(**before[0])
    printing.set_printoptions(**before[1])
    torch.set_default_dtype(default_dtype)


def to_torch(data: np.ndarray) -> torch.Tensor:
    data = np.array(data, order="C")  # a copy: torch wants it writable
    if data.dtype == BFLOAT16:
        return torch.from_numpy(data.reshape(-1).view(np.uint16)).view(torch.bfloat16).reshape(data.shape)
    return torch.from_numpy(data)


def ours(data: np.ndarray, **kwargs) -> str:
    default = str(torch.get_default_dtype()).removeprefix("torch.")
    return printing.tensor_str(data, dtype_name=data.dtype.name, default_dtypes=printing.implied_dtypes(default), **kwargs)


def check(data: np.ndarray, **options) -> None:
    with torch._tensor_str.printoptions(**options), printing.printoptions(**options), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ours(data) == repr(to_torch(data))


def floats_of(dtype: np.dtype) -> st.SearchStrategy:
    """Lists that share a magnitude, so that every notation is drawn: whole, fixed, scientific."""
    drawn = st.one_of(
        st.sampled_from(SPECIAL),
        st.floats(width=16 if dtype in (np.float16, BFLOAT16) else 32 if dtype in (np.float32, np.complex64) else 64),
        st.integers(-2000, 2000).map(float),
        st.floats(-1, 1, width=16),
        st.floats(-100, 100, width=32),
    )
    one_kind = st.sampled_from([st.integers(-2000, 2000).map(float), st.floats(-1, 1, width=16), st.floats(-500, 500, width=32)])
    return st.one_of(st.just(drawn), one_kind)


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=8).filter(lambda s: np.prod(s) <= 400))
    if dtype.kind in "biu":
        return draw(hnp.arrays(dtype, shape))
    pool = draw(st.lists(draw(floats_of(dtype)), min_size=1, max_size=12))
    order = np.random.default_rng(draw(st.integers(0, 2**20)))
    with np.errstate(all="ignore"):
        real = order.choice(pool, shape)
        if dtype.kind != "c":
            return np.asarray(real).astype(dtype)
        return np.asarray(real + 0j).astype(dtype) if draw(st.booleans()) else as_complex(real, order.choice(pool, shape), dtype)


def as_complex(real: np.ndarray, imag: np.ndarray, dtype: np.dtype) -> np.ndarray:
    out = np.empty(np.shape(real), dtype)
    out.real, out.imag = real, imag  # not real + 1j * imag, which makes NaN of infinities and loses negative zeros
    return out


@settings(max_examples=600, deadline=None)
@given(arrays(), st.sampled_from(OPTIONS))
def test_drawn_arrays(data, options):
    check(data, **options)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(DTYPES),
    hnp.array_shapes(min_dims=1, max_dims=5, min_side=1, max_side=24).filter(lambda s: 200 < np.prod(s) < 5000),
    st.integers(0, 2**20),
    st.floats(-6, 9),
    st.sampled_from([{}, {"edgeitems": 1, "threshold": 100}, {"edgeitems": 4, "threshold": 200, "linewidth": 50}, {"edgeitems": 0}]),
)
def test_summaries(dtype, shape, seed, magnitude, options):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape) * 10**magnitude
    with np.errstate(all="ignore"):
        data = values.astype(dtype) if dtype.kind != "c" else as_complex(values, rng.standard_normal(shape), dtype)
    check(data, **options)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", FLOATS + COMPLEX, ids=str)
def test_special_values(dtype, options):
    with np.errstate(all="ignore"):
        everything = np.array(SPECIAL).astype(dtype)
    for value in everything:
        check(np.array(value), **options)
        check(np.array([value]), **options)
        check(np.array([value, 1]).astype(dtype), **options)
        check(np.array([[value, 0.25], [-0.0, 7]]).astype(dtype), **options)
    check(everything, **options)
    check(np.tile(everything, (3, 1, 2)), **options)


@pytest.mark.parametrize(
    "data",
    [
        np.array(True),
        np.array([True, False]),
        np.array([[True], [False]]),
        np.array([np.iinfo(np.int64).min, np.iinfo(np.int64).max, 0]),
        np.array([np.iinfo(np.uint64).max, 1], np.uint64),
        np.arange(1000),
        np.arange(1001),
        np.arange(1001.0, dtype=np.float32),
        np.arange(2000).reshape(2, 1000),
        np.arange(2000).reshape(1000, 2),
        np.arange(7200, dtype=np.float32).reshape(8, 9, 10, 10) / 8,
        np.full(40, np.nan, np.float32),
        np.full((2, 40), np.inf, np.float32),
        np.zeros(50, np.float32),
        np.zeros((3, 30), np.complex64),
        np.array([1, -2.5, np.nan, 3e7], np.float32),
        np.array([5e-324, 1.7e308]),
        np.array([1e-40, 1.0], np.float32),
        np.array([65504.0, 6e-8], np.float16),
        np.array([3.38e38, 1e-38], BFLOAT16),
        np.array([0.1, 0.3], np.float16),
        np.array([0.1, 0.3], BFLOAT16),
        np.array([-0.0, 0.0], np.float32),
        np.array([-0.00001, 1.0], np.float32),
        np.array([1 + 2j, -3 - 4.5j, complex(0.0, -0.0), complex(np.nan, np.inf), complex(-np.inf, -np.nan)]),
        np.array(complex(-0.0, -0.0), np.complex64),
        np.array([1e9 + 1j, 2 + 0.5j], np.complex64),
        np.ones((1,) * 64),
        np.ones((1,) * 40 + (2000,)),
        np.arange(12.0).reshape(3, 4).T,
        np.broadcast_to(np.float32(1.5), (4, 2000)),
        np.arange(30.0, dtype=np.float32)[::-3],
    ],
    ids=lambda a: f"{a.dtype}-{a.shape}"[:50],
)
def test_chosen_arrays(data):
    check(data)


@pytest.mark.parametrize(
    "bits", [np.array([0x7FA00000, 0x3F800000], np.uint32).view(np.float32), np.array([0x7D01, 0x3C00], np.uint16).view(np.float16)]
)
def test_signalling_nan_prints_without_a_warning(bits):
    check(bits)


@pytest.mark.parametrize("options", [{}, {"edgeitems": 0}, {"threshold": 0}, {"linewidth": 20}], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0, 4), (0, 0)])
def test_empty(shape, dtype, options):
    check(np.zeros(shape, dtype), **options)


@pytest.mark.parametrize("default", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtype_is_told_when_it_is_not_the_default(dtype, default):
    torch.set_default_dtype(default)
    check(np.ones(2, dtype))
    check(np.ones((), dtype))
    check(np.ones((2, 0), dtype))


def test_default_dtypes_need_not_be_given():
    assert printing.tensor_str(np.ones(2, np.float32), dtype_name="float32") == repr(torch.ones(2))


@pytest.mark.parametrize("shape", [(), (3,), (16,), (2, 3), (5, 6), (0, 2), (40, 40)])
@pytest.mark.parametrize("linewidth", [20, 60, 80])
def test_gradient_remarks(shape, linewidth):
    torch.set_printoptions(linewidth=linewidth)
    printing.set_printoptions(linewidth=linewidth)
    for dtype in (np.float32, np.float64):
        data = np.arange(np.prod(shape), dtype=dtype).reshape(shape) / 4
        leaf = to_torch(data).requires_grad_()
        assert ours(data, requires_grad=True) == repr(leaf)
        for y in (leaf + 0, leaf.clone(), leaf.view(shape).clone().add_(0)):
            assert ours(data, requires_grad=True, grad_fn_name=type(y.grad_fn).__name__) == repr(y)


@pytest.mark.parametrize("length", range(1, 20))
def test_the_line_of_a_remark(length):
    """The remark moves to a line of its own at the very column where PyTorch's does."""
    data = np.arange(length, dtype=np.float32) + 0.5
    assert ours(data, requires_grad=True) == repr(to_torch(data).requires_grad_())
    narrow = np.arange(length, dtype=np.int8)
    for linewidth in range(20, 60):
        check(narrow, linewidth=linewidth)


@pytest.mark.parametrize("linewidth", range(1, 100))
def test_several_remarks_at_every_line_width(linewidth):
    for data in (np.zeros((0, 2)), *(np.arange(length) / 2 for length in range(1, 12))):
        leaf = to_torch(data).requires_grad_()
        with torch._tensor_str.printoptions(linewidth=linewidth), printing.printoptions(linewidth=linewidth):
            assert ours(data, requires_grad=True) == repr(leaf)
            assert ours(data, requires_grad=True, grad_fn_name="MulBackward0") == repr(leaf * 1)


def test_parameter_and_subclass_prefix():
    data = np.arange(24, dtype=np.float32).reshape(2, 12) / 3
    parameter = torch.nn.Parameter(to_torch(data))
    assert ours(data, requires_grad=True, prefix="Parameter containing:\ntensor(") == repr(parameter)
    assert "Parameter containing:\n" + ours(data, requires_grad=True) == repr(parameter)

    class Coordinates(torch.Tensor):
        pass

    assert ours(data, prefix="Coordinates(") == repr(to_torch(data).as_subclass(Coordinates))


def test_tangent():
    from torch.autograd import forward_ad

    data = np.arange(3, dtype=np.float32)
    with forward_ad.dual_level():
        for shape in ((3,), ()):
            primal = to_torch(data) if shape else torch.tensor(2.0)
            tangent = torch.full(shape, 0.5)
            assert ours(primal.numpy(), tangent=tangent) == repr(forward_ad.make_dual(primal, tangent))


def test_device_comes_first():
    meta = torch.empty((2, 300), device="meta", dtype=torch.float64)
    as_ours = ours(np.ones((2, 300)), device_suffix="device='meta'", contents="...")
    assert as_ours == repr(meta).replace(", size=(2, 300)", "")  # only a meta tensor tells the size of what is not empty


def test_contents_replace_the_elements():
    for tensor in (torch.ones(3, dtype=torch.float64), torch.ones(0, 2)):
        assert ours(tensor.numpy(), contents="<elements>") == tensor.__repr__(tensor_contents="<elements>")


def test_body_and_indent():
    for data in (np.arange(60.0), np.arange(60).reshape(2, 30), np.arange(3000.0).reshape(10, 3, 100), np.array(4), np.ones((0, 2))):
        for indent in (0, 7, 40, 100):
            assert printing.array_str(data, indent) == torch._tensor_str._tensor_str(to_torch(data), indent)


def test_options_follow_pytorch():
    theirs, mine = torch._tensor_str, printing
    assert inspect.signature(mine.set_printoptions).parameters.keys() == inspect.signature(theirs.set_printoptions).parameters.keys()
    steps = [*OPTIONS, {"profile": "default"}, {"profile": "unknown"}, {"sci_mode": True}, {"precision": 3}, {"profile": "short"}, {}]
    for step in steps:
        assert theirs.set_printoptions(**step) is mine.set_printoptions(**step) is None
        assert mine.get_printoptions() == theirs.get_printoptions()
        assert list(mine.get_printoptions()) == list(theirs.get_printoptions())


def test_options_are_a_copy_and_come_back():
    before = printing.get_printoptions()
    printing.get_printoptions()["precision"] = 11
    with pytest.raises(ZeroDivisionError), printing.printoptions(precision=1, sci_mode=True):
        assert printing.get_printoptions() == {**before, "precision": 1, "sci_mode": True}
        raise ZeroDivisionError
    assert printing.get_printoptions() == before
    with pytest.raises(TypeError), printing.printoptions(digits=3):
        pass
    assert printing.get_printoptions() == before


@pytest.mark.parametrize("shape", [(10**12,), (10**6, 10**6), (10, 10**11), (10**11, 10)])
def test_a_summary_looks_at_the_shown_elements_alone(shape):
    """Tensors of terabytes, which only a stride of zero can hold here: looking at more than the corners would not end."""
    huge = np.broadcast_to(np.float32(2.5), shape)
    assert ours(huge) == repr(torch.tensor(2.5).expand(shape))


def test_examples_in_docstrings():
    assert doctest.testmod(sys.modules[printing.__name__]).failed == 0
