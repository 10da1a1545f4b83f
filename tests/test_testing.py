"""`assert_close` passes, fails and says why as PyTorch's does; `make_tensor` draws the same numbers."""

import numpy as np
import pytest
import torch

import chainrule

PAIRS = {
    "equal": lambda t: (t([1.0, 2.0]), t([1.0, 2.0])),
    "one of three": lambda t: (t([1.0, 2.0, 3.0]), t([1.0, 2.5, 3.0])),
    "matrix": lambda t: (t([[1.0, 2.0], [3.0, 4.0]]), t([[1.0, 2.0], [3.0, 5.0]])),
    "scalars": lambda t: (t(1.0), t(2.0)),
    "floats": lambda t: (1.0, 1.1),
    "ints": lambda t: (1, 2),
    "complex numbers": lambda t: (1j, 2j),
    "shapes": lambda t: (t([1.0, 2.0]), t([1.0, 2.0, 3.0])),
    "dtypes": lambda t: (t([1.0, 2.0]), t([1, 2])),
    "integers": lambda t: (t([1, 2]), t([1, 3])),
    "bools": lambda t: (t([True]), t([False])),
    "nan": lambda t: (t([np.nan]), t([np.nan])),
    "infinite": lambda t: (t([np.inf, 1.0]), t([np.inf, 2.0])),
    "complex": lambda t: (t([1 + 1j]), t([1 + 2j])),
    "nested": lambda t: ([{"k": (t([1.0]), t([2.0]))}], [{"k": (t([1.0]), t([3.0]))}]),
    "lengths": lambda t: ([1, 2], [1]),
    "keys": lambda t: ({"a": t(1.0)}, {"b": t(2.0)}),
    "types": lambda t: (t([1.0]), "a"),
    "None": lambda t: (None, t(1.0)),
    "arrays": lambda t: (np.ones(2), np.ones(2) * 2),
    "tensor and array": lambda t: (t([1.0]), np.ones(1)),
    "booleans": lambda t: (True, False),
    "gradient": lambda t: (t([1.0], requires_grad=True), t([1.0])),
}
EXACT, LOOSE = {"rtol": 0.0, "atol": 0.0}, {"rtol": 0.6, "atol": 1.0}
OPTIONS = [{}, EXACT, LOOSE, {"equal_nan": True, "check_dtype": False}, {"rtol": 1e-3}, {"msg": "own"}]
MADE = [{}, {"low": 0, "high": 1}, {"noncontiguous": True}, {"exclude_zero": True, "low": 0, "high": 2}]


def outcome(library, pair, options):
    try:
        return library.testing.assert_close(*pair(library.tensor), **options)
    except (AssertionError, TypeError, ValueError) as error:
        return type(error), str(error).replace("chainrule.Tensor", "torch.Tensor")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_assert_close(pair, options):
    assert outcome(chainrule, pair, options) == outcome(torch, pair, options)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "complex64", "int64", "uint8", "bool"])
@pytest.mark.parametrize("options", MADE, ids=str)
def test_make_tensor(dtype, options):
    results = []
    for library in (torch, chainrule):
        library.manual_seed(3)
        results.append(library.testing.make_tensor((3, 4), dtype=getattr(library, dtype), device="cpu", **options))
    assert results[0].stride() == results[1].stride() and results[0].tolist() == results[1].tolist()


REFUSED = [{"low": 2, "high": 1}, {"low": float("nan")}, {"low": 1e9, "high": 2e9}, {"requires_grad": True}]


@pytest.mark.parametrize("options", REFUSED, ids=str)
def test_make_tensor_refuses(options):
    for library in (torch, chainrule):
        with pytest.raises(ValueError):
            library.testing.make_tensor(3, dtype=library.int16, device="cpu", **options)
