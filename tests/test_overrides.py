"""Subclasses of Tensor, types with `__torch_function__` and modes: the same program on both libraries."""

import gc

import pytest
import torch

import chainrule
from chainrule._core import modes

BOTH = pytest.mark.parametrize("torch", [torch, chainrule], ids=["torch", "chainrule"])


def overrides(library):
    return __import__(f"{library.__name__}.overrides", fromlist=["overrides"])


@BOTH
def test_results_keep_the_subclass(torch):
    class Sub(torch.Tensor):
        pass

    x = torch.arange(6.0).as_subclass(Sub)
    made = [x.view(2, 3), x + 1, 1 + x, torch.sum(x), x[0], x.clone(), torch.stack([x, x]), x.unbind()[1], x == x, x.detach()]
    for y in made:
        assert type(y) is Sub
    assert [type(v) for v in x.max(0)] == [Sub, Sub] and type(torch.ones(6) + x) is Sub and type(torch.nn.functional.relu(x)) is Sub
    assert repr(x[:2]) == "Sub([0., 1.])" and type(x.tolist()) is list
    w = torch.ones(6, requires_grad=True)
    (w * x).sum().backward()
    assert w.grad.tolist() == x.tolist()


@BOTH
def test_parameters_give_plain_tensors(torch):
    class Own(torch.nn.Parameter):
        pass

    for p in (torch.nn.Parameter(torch.ones(2)), Own(torch.ones(2))):
        assert {type(v) for v in (p + 1, p.view(2), p.detach(), p.data)} == {torch.Tensor}


@BOTH
def test_a_subclass_sees_every_call(torch):
    calls = []

    class Logged(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            calls.append(func.__name__)
            assert types == (cls,)
            return super().__torch_function__(func, types, args, kwargs)

    y = torch.arange(3.0).as_subclass(Logged)
    z = torch.mul(y + 1, 2).exp()
    y[0] = 1
    assert type(z) is Logged and calls == ["add", "mul", "exp", "__setitem__"]
    with pytest.raises(TypeError):
        torch.add(y, "1")


@BOTH
def test_other_types_take_part(torch):
    class Named:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return NotImplemented if func.__name__ == "mean" else func.__name__

    o = overrides(torch)
    n = Named()
    assert [torch.add(n, 1), torch.ones(1) + n, torch.nn.functional.relu(n), torch.cat([torch.ones(1), n])] == ["add", "add", "relu", "cat"]
    with pytest.raises(TypeError, match=r"Multiple dispatch failed for 'torch.mean'(.|\n)*- tensor subclass .*Named"):
        torch.mean(n)
    assert o.has_torch_function((n,)) and not o.has_torch_function((torch.ones(1), torch.nn.Parameter(torch.ones(1))))
    assert o.is_tensor_like(n) and not o.is_tensor_like(3)


@BOTH
def test_modes_nest_and_are_off_within_themselves(torch):
    seen = []

    class Mode(overrides(torch).TorchFunctionMode):
        def __init__(self, name):
            self.name = name

        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append((self.name, func.__name__))
            return func(*args, **(kwargs or {}))

    x = torch.ones(2)
    with Mode("outer"), Mode("inner"):
        x.exp()
    x.exp()
    assert seen == [("inner", "exp"), ("outer", "exp")]


def test_nothing_is_watched_when_no_subclass_lives():
    gc.collect()
    before = modes.state.busy

    class Sub(chainrule.Tensor):
        pass

    x = chainrule.ones(2).as_subclass(Sub)
    y = x + 1
    assert modes.state.busy == before + 2
    del x, y
    assert modes.state.busy == before


def test_operators_name_the_public_function():
    """What a foreign type is told that it was called with: `t @ x` and `torch.matmul(t, x)` alike, and not a function inside of it."""

    def program(t):
        class Foreign:
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                return func.__name__

        x, a = Foreign(), t.ones(2)
        return a + x, a - x, a / x, a @ x, t.matmul(x, a), t.add(x, a), t.sub(a, x), t.div(x, 2), t.inverse(x), t.linalg.inv(x)

    found, expected = [[str(v).replace("linalg_", "") for v in program(t)] for t in (chainrule, torch)]
    assert found == expected
    assert not isinstance(chainrule.ones(2) / type("No", (), {"__rtruediv__": lambda s, o: 3})(), chainrule.Tensor)
