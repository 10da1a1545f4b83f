"""PyTorch's databases of custom Functions and custom ops: the same sources under both libraries, in every transform."""

from __future__ import annotations

import builtins
import importlib
import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import opdb
import pytest
import torch as oracle
from torch.testing._internal import autograd_function_db, custom_op_db

import chainrule

oracle.set_num_threads(1)


class Entry:
    """What stands for PyTorch's OpInfo: a name and an op."""

    def __init__(self, name: str, op: Any, **others: Any) -> None:
        self.name, self.op = name, op


TOOLS = SimpleNamespace(OpInfo=Entry, SampleInput=None, all_types_and=lambda *dtypes: (), make_tensor=None)


def load(name: str, scope: Any = None, local: Any = None, wanted: Any = (), level: int = 0) -> Any:
    """`__import__` for these sources: `torch` is chainrule, but for PyTorch's own tools for tests."""
    if name.split(".")[0] == "torch" and not name.startswith("torch.testing"):
        return importlib.import_module("chainrule" + name[len("torch") :])
    if name.startswith("torch.testing") and not name.endswith("_function_db"):
        return TOOLS
    return builtins.__import__(name, scope, local, wanted, level)


def under_chainrule(module: Any) -> dict[str, Any]:
    """What a module of PyTorch's defines, when `torch` is chainrule."""
    scope = {"__builtins__": {**vars(builtins), "__import__": load}, "__name__": module.__name__}
    exec(compile(Path(module.__file__).read_text(), module.__file__, "exec", dont_inherit=True), scope)
    return scope


def entries() -> list:
    pairs = []
    for module, name in ((autograd_function_db, "autograd_function_db"), (custom_op_db, "custom_op_db")):
        mine = under_chainrule(module)[name]
        pairs += [pytest.param(ours, theirs, id=theirs.name) for ours, theirs in zip(mine, getattr(module, name), strict=True)]
    return pairs


def floats(result: Any) -> list:
    found = result if isinstance(result, (tuple, list)) else (result,)
    return [t for t in found if hasattr(t, "dtype") and t.dtype.is_floating_point]


def outcome(torch: Any, entry: Any, what: str, sample: Any) -> list:
    """The values of a transform of an op on a sample, or the type of the error."""
    convert = opdb.ours if torch is chainrule else lambda value: value
    args, kwargs = [convert(v) for v in (sample.input, *sample.args)], convert(sample.kwargs)
    places = [i for i, a in enumerate(args) if isinstance(a, torch.Tensor) and a.dtype.is_floating_point]
    points = tuple([args[i].detach() for i in places])

    def function(*given: Any) -> tuple:
        full = list(args)
        for i, value in zip(places, given, strict=True):
            full[i] = value
        result = entry.op(*full, **kwargs)
        return tuple(floats(result))

    def total(*given: Any) -> Any:
        return sum([(t * t).sum() for t in function(*given)])

    F, every = torch.func, tuple(range(len(points)))
    batches = tuple([torch.stack([p, p * 0.5, p + 1]) for p in points])
    try:
        found = {
            "values": lambda: function(*points),
            "grad": lambda: F.grad(total, every)(*points),
            "vmap": lambda: F.vmap(function)(*batches),
            "vmap of grad": lambda: F.vmap(F.grad(total, every))(*batches),
            "grad of vmap": lambda: F.grad(lambda *b: sum([(t * t).sum() for t in F.vmap(function)(*b)]), every)(*batches),
            "jacrev": lambda: F.jacrev(function, every)(*points),
            "jvp": lambda: F.jvp(function, points, points),
            "jacfwd": lambda: F.jacfwd(function, every)(*points),
            "second derivative": lambda: F.grad(lambda *p: sum([(g * g).sum() for g in F.grad(total, every)(*p)]), every)(*points),
        }[what]()
    except Exception as error:
        return [type(error).__name__]
    return [t.detach().numpy() for t in opdb.leaves(found)]


ENTRIES = entries()
TRANSFORMS = ("values", "grad", "vmap", "vmap of grad", "grad of vmap", "jacrev", "jvp", "jacfwd", "second derivative")


@pytest.mark.parametrize(("ours", "theirs"), ENTRIES)
@pytest.mark.filterwarnings("ignore")
def test_transforms(ours, theirs):
    """What PyTorch refuses (reverse mode of `func` through custom ops, mostly) may work here."""
    for sample in itertools.islice(theirs.sample_inputs("cpu", oracle.float64), 2):
        for what in TRANSFORMS:
            expected, found = outcome(oracle, theirs, what, sample), outcome(chainrule, ours, what, sample)
            if not expected or isinstance(expected[0], str):
                continue
            if theirs.name.endswith("CustomOp") and what in ("jvp", "jacfwd"):
                assert found == ["NotImplementedError"]  # PyTorch says that the tangent is zero
                continue
            assert len(found) == len(expected), (what, found, expected)
            for a, b in zip(found, expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=what)
