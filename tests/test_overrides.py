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


def names_seen(torch, program):
    """The names of what a mode is told of while `program` runs."""
    o = overrides(torch)
    seen = []

    class Log(o.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append((o.resolve_name(func) or func.__name__).removeprefix("torch.").removeprefix("Tensor."))
            return func(*args, **(kwargs or {}))

    x = torch.ones(2, 2, requires_grad=True)
    with Log():
        program(torch, x)
    x.size(), x.shape, torch.zeros(2)
    return seen


MADE = (
    "zeros 2|ones 2|empty 0|full 2,3 1|tensor 1|as_tensor 1|arange 3|linspace 0 1 3|logspace 0 1 3|eye 2|rand 2|randn 2|randperm 3|"
    "asarray 1|tril_indices 2 2|hann_window 3|scalar_tensor 1"
)
ASKED = "size dim numel stride storage_offset is_contiguous tolist data_ptr element_size detach __len__ __repr__"
READ = "shape dtype device grad grad_fn requires_grad is_leaf data ndim layout itemsize nbytes output_nr retains_grad _version"
SEEN = {
    "made": lambda t, x: [getattr(t, name)(*[tuple(map(int, a.split(","))) if "," in a else int(a) for a in given]) for name, *given in
                          [call.split() for call in MADE.split("|")]],
    "randint": lambda t, x: t.randint(3, (2,)),
    "asked": lambda t, x: [getattr(x, name)() for name in ASKED.split()],
    "read": lambda t, x: [getattr(x, name) for name in READ.split()],
    "set": lambda t, x: [setattr(x, "grad", None), setattr(x, "requires_grad", False)],
    "init": lambda t, x: [t.nn.init.uniform_(x), t.nn.init.constant_(x, 1)],
}  # fmt: skip


@pytest.mark.parametrize("program", SEEN.values(), ids=SEEN)
def test_modes_see_what_is_made_and_asked(program):
    found, expected = names_seen(chainrule, program), names_seen(torch, program)
    assert found == expected and len(found) > 0


@BOTH
def test_a_mode_may_change_what_is_made(torch):
    """As `torch.device` does where there are several: options are added on the way; the functions stay what they are."""
    from_before, table = torch.zeros, {torch.zeros: "zeros", torch.empty: "empty"}

    class Double(overrides(torch).TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            kwargs = kwargs or {}
            return func(*args, **({"dtype": torch.float64} | kwargs if func in table else kwargs))

    with Double():
        made = [torch.zeros(2), from_before(1), torch.zeros(1, dtype=torch.int32), torch.ones(1)]
        with pytest.raises(TypeError):
            torch.zeros("2")
    assert [str(t.dtype) for t in made] == ["torch.float64", "torch.float64", "torch.int32", "torch.float32"]
    assert torch.zeros is from_before and torch.zeros(1).dtype == torch.float32


@BOTH
def test_a_mode_may_leave_out_initialisation(torch):
    class Skip(overrides(torch).TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if (getattr(func, "__module__", None) or "").endswith("nn.init"):
                return kwargs["tensor"]
            return func(*args, **(kwargs or {}))

    torch.manual_seed(0)
    before = torch.get_rng_state()
    with Skip():
        torch.nn.Linear(3, 2)
    assert torch.equal(before, torch.get_rng_state())


def test_only_threads_with_a_mode_are_watched():
    import threading

    from chainrule.overrides import BaseTorchFunctionMode, exchanged

    code, shapes = chainrule.zeros.__code__, []
    with BaseTorchFunctionMode():
        assert chainrule.zeros.__code__ is not code
        thread = threading.Thread(target=lambda: shapes.append(chainrule.zeros(2).shape))
        thread.start()
        thread.join()
    assert shapes == [(2,)] and chainrule.zeros.__code__ is code and not exchanged
