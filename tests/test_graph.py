"""Saved-tensor hooks, anomaly mode, checkpointing, and what the graph keeps alive."""

import contextlib
import gc
import weakref

import pytest
from both import agree, cases, leaf, oracle, plain

import chainrule
from chainrule.utils import checkpoint as our_checkpoint


def under(pack, unpack, make=lambda x: x * x):
    """A program that makes a value under hooks and goes back."""

    def program(torch):
        x = leaf(torch, 2)
        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            y = make(x)
        y.sum().backward()
        return x.grad

    return program


def what_is_packed(make):
    def program(torch):
        seen = []

        def pack(t):
            seen.append(("pack", t, t.requires_grad, t.grad_fn is None, torch.is_grad_enabled()))
            return t.detach()

        def unpack(t):
            seen.append(("unpack", t))
            return t

        return under(pack, unpack, make)(torch), seen

    return program


def same(t):
    return t


def nested_hooks(torch):
    hooks = torch.autograd.graph.saved_tensors_hooks
    x = leaf(torch, 2)
    with hooks(lambda t: t.detach() * 2, same):
        with hooks(lambda t: t.detach() * 3, same):
            y = x * x
        z = x * x
    torch.autograd.backward([y.sum(), z.sum()])
    return x.grad


def disabled_hooks(torch):
    with torch.autograd.graph.disable_saved_tensors_hooks("no hooks here"), torch.autograd.graph.saved_tensors_hooks(same, same):
        pass


def disabled_inside(torch):
    with torch.autograd.graph.saved_tensors_hooks(same, same), torch.autograd.graph.disable_saved_tensors_hooks("no hooks here"):
        pass


def seen_in_node(torch):
    x = leaf(torch, 2)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach() * 2, same):
        y = x.exp()
    return y.grad_fn._saved_result


def double_backward(torch):
    x = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.tolist(), lambda v: torch.tensor(v, dtype=torch.float64)):
        y = x**3
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    return g, torch.autograd.grad(g.sum(), x)


def in_function(torch):
    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x, x * 2)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    return under(lambda t: t.detach() * 5, same, Scaled.apply)(torch)


def joined(torch):
    """A node that saves a sequence."""
    return under(lambda t: t.detach() * 2, same, lambda x: torch.cat([x, x * 3]).prod())(torch)


def on_cpu(torch):
    x = leaf(torch, 2)
    with torch.autograd.graph.save_on_cpu():
        y = x * x
    with torch.autograd.graph.save_on_cpu(pin_memory=False):
        y = x * y
    y.sum().backward()
    return x.grad


def raw_hooks(torch):
    x = leaf(torch, 2)
    y = x.exp()
    y.grad_fn._raw_saved_result.register_hooks(lambda t: t * 2, same)
    y.sum().backward()
    return x.grad


def raw_hooks_twice(torch):
    y = leaf(torch, 2).exp()
    for _ in range(2):
        y.grad_fn._raw_saved_result.register_hooks(same, same)


def mutation(torch):
    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        x = leaf(torch, 2)
        y = x.clone()
        z = (y**2).sum()
        y.sin_()
        z.backward()
    return x.grad


def mutation_outside(torch):
    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        z = (leaf(torch, 2).clone() ** 2).sum()
    z.backward()


def mutation_nested(torch):
    with torch.autograd.graph.allow_mutation_on_saved_tensors(), torch.autograd.graph.allow_mutation_on_saved_tensors():
        pass


def versions(torch):
    x = torch.ones(2)
    torch.autograd.graph.increment_version(x)
    once = x._version
    torch.autograd.graph.increment_version([x, x])
    return once, x._version


SAVED = {
    "inputs": what_is_packed(lambda x: x * x),
    "number": what_is_packed(lambda x: x * 2),
    "result": what_is_packed(lambda x: x.tanh()),
    "nothing": what_is_packed(lambda x: x + 1),
    "scaled": under(lambda t: t.detach() * 2, lambda t: t * 3),
    "error_in_pack": under(lambda t: 1 / 0, same),
    "error_in_unpack": under(same, lambda t: 1 / 0),
    "unpack_int": under(lambda t: 5, same),
    "pack_in_place": under(lambda t: t.mul_(2), same),
    "pack_in_place_non_leaf": under(lambda t: t.mul_(2), same, lambda x: (x * 1).sin()),
    "nested": nested_hooks,
    "disabled": disabled_hooks,
    "disabled_inside": disabled_inside,
    "seen_in_node": seen_in_node,
    "double_backward": double_backward,
    "in_function": in_function,
    "joined": joined,
    "on_cpu": on_cpu,
    "raw": raw_hooks,
    "raw_twice": raw_hooks_twice,
    "mutation": mutation,
    "mutation_outside": mutation_outside,
    "mutation_nested": mutation_nested,
    "versions": versions,
}


@cases(SAVED)
def test_saved_tensors(program):
    agree(program)


def test_hooks_must_be_callable():
    for torch in (chainrule, oracle):
        with pytest.raises(TypeError):
            torch.autograd.graph.saved_tensors_hooks(5, 6).__enter__()


# Anomaly mode


def failing(torch):
    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise RuntimeError("this backward fails")

    return Bad.apply(leaf(torch, 2)).sum()


def nan_found(torch):
    x = torch.tensor(0.0, requires_grad=True)
    with torch.autograd.detect_anomaly():
        (x.sqrt() * 0).backward()


def nan_ignored(torch):
    x = torch.tensor(0.0, requires_grad=True)
    with torch.autograd.detect_anomaly(check_nan=False):
        (x.sqrt() * 0).backward()
    return x.grad


def error_found(torch):
    with torch.autograd.detect_anomaly():
        failing(torch).backward()


def forward_unknown(torch):
    y = failing(torch)
    with torch.autograd.detect_anomaly():
        y.backward()


def induced(torch):
    class Calls(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return Fails.apply(g) * 2

    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise RuntimeError("this backward fails")

    with torch.autograd.detect_anomaly():
        x = leaf(torch, 2)
        (g,) = torch.autograd.grad(Calls.apply(x).sum(), x, create_graph=True)
        g.sum().backward()


def changed_saved(torch):
    with torch.autograd.detect_anomaly():
        x = leaf(torch, 2) * 1
        y = x * x
        x.mul_(2)
        y.sum().backward()


def noted(torch):
    with torch.autograd.detect_anomaly():
        trace = (leaf(torch, 2) * 2).grad_fn.metadata["traceback_"]
    return trace[-1]


def switched(torch):
    modes = torch.autograd.anomaly_mode
    with modes.set_detect_anomaly(True):
        seen = [(leaf(torch, 2) * 2).grad_fn.metadata.keys() == {"traceback_"}]
    modes.set_detect_anomaly(True, check_nan=False)
    modes.set_detect_anomaly(False)
    return seen, (leaf(torch, 2) * 2).grad_fn.metadata


ANOMALY = [nan_found, nan_ignored, error_found, forward_unknown, induced, changed_saved, noted, switched]


@cases(ANOMALY)
def test_anomaly_mode(program):
    agree(program)


# Checkpointing


def checkpoints(torch):
    return our_checkpoint if torch is chainrule else oracle.utils.checkpoint


def body(x, w=None):
    z = x.exp().sin() * x
    return z if w is None else z * w


def with_way(program, way):
    return lambda torch: program(torch, lambda f, *a, **k: checkpoints(torch).checkpoint(f, *a, use_reentrant=way, **k))


def checkpointed(torch, run):
    x, w = leaf(torch, 2), leaf(torch, 2)
    run(body, x, w).sum().backward()
    return x.grad, w.grad


def counted(torch, run):
    calls = []
    x = leaf(torch, 2)
    run(lambda x: (calls.append(torch.is_grad_enabled()), body(x))[1], x).sum().backward()
    return calls


def by_grad(torch, run):
    x = leaf(torch, 2)
    return torch.autograd.grad(run(body, x).sum(), x)


def closed_over(torch, run):
    x, w = leaf(torch, 2), leaf(torch, 2)
    run(lambda x: (x * w).exp(), x).sum().backward()
    return x.grad, w.grad


def nested_checkpoints(torch, run):
    x = leaf(torch, 2)
    run(lambda x: run(body, x * 2).exp(), x).sum().backward()
    return x.grad


def random_numbers(torch, run):
    torch.manual_seed(0)
    x = leaf(torch, 4)
    run(lambda x: x * torch.rand(4) * x, x).sum().backward()
    return x.grad, torch.rand(1)


def untracked_input(torch, run):
    return run(body, torch.ones(2)).requires_grad


def retained_graph(torch, run):
    x = leaf(torch, 2)
    y = run(body, x).sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad


def second_time(torch, run):
    y = run(body, leaf(torch, 2)).sum()
    y.backward()
    y.backward()


def keyword(torch, run):
    w = leaf(torch, 2)
    run(body, leaf(torch, 2), w=w).sum().backward()
    return w.grad


def contexts(torch, run):
    seen = []

    @contextlib.contextmanager
    def noting(name):
        seen.append(name)
        yield

    run(body, leaf(torch, 2), context_fn=lambda: (noting("first"), noting("second"))).sum().backward()
    return seen


def sequential(torch, run):
    results = []
    for reentrant in (True, False, None):
        x = leaf(torch, 2)
        steps = [torch.exp, torch.sin, torch.cos, torch.tanh]
        y = checkpoints(torch).checkpoint_sequential(steps, 2, x, use_reentrant=reentrant)
        y.sum().backward()
        results.append((y, x.grad))
    return results


WAYS = [
    checkpointed, counted, by_grad, closed_over, nested_checkpoints, random_numbers, untracked_input, retained_graph, second_time, keyword,
    contexts,
]  # fmt: skip
CHECKPOINTS = {f"{p.__name__}-{way}": with_way(p, way) for p in WAYS for way in (True, False, None)}
CHECKPOINTS["sequential"] = with_way(sequential, None)


@cases(CHECKPOINTS)
def test_checkpoints(program):
    agree(program)


def double_derivative(torch):
    x = leaf(torch, 2)
    (g,) = torch.autograd.grad(checkpoints(torch).checkpoint(body, x, use_reentrant=False).sum(), x, create_graph=True)
    return torch.autograd.grad(g.sum(), x)


def input_changed(torch):
    x = leaf(torch, 2) * 1
    y = checkpoints(torch).checkpoint(body, x, use_reentrant=False)
    x.mul_(2)
    y.sum().backward()


@cases([double_derivative, input_changed])
def test_checkpoints_without_reentrance(program):
    agree(program)


@pytest.mark.parametrize(
    ("first", "again", "message"),
    [
        (lambda x: x.exp(), lambda x: x * 2, "A different number of tensors was saved"),
        (lambda x: x.exp().sum(), lambda x: x[:1].exp().sum(), "have different metadata"),
    ],
)
def test_function_that_changes(first, again, message):
    for torch in (chainrule, oracle):
        functions = iter([first, again])
        y = checkpoints(torch).checkpoint(lambda x, f=functions: next(f)(x), leaf(torch, 2), use_reentrant=False)
        with pytest.raises(checkpoints(torch).CheckpointError, match=message):
            y.sum().backward()


def test_checkpoint_forgets_what_is_between():
    x = leaf(chainrule, 1000)
    kept = []

    def function(x):
        h = x.exp()
        kept.append(weakref.ref(h._data))
        return h.sin()

    y = our_checkpoint.checkpoint(function, x, use_reentrant=False).sum()
    assert kept[0]() is None
    y.backward()
    assert plain(x.grad[:1]) == plain(oracle.ones(1).exp().cos() * oracle.ones(1).exp())


# What the graph keeps alive


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def dies(torch, program):
    """Whether the nodes that a program makes go with its result."""
    result, nodes = program(torch)
    references = [weakref.ref(n) for n in nodes]
    del result, nodes
    return all(r() is None for r in references)


def views(torch):
    x = leaf(torch, 4)
    y = x * 1
    v = y[:2]
    v.mul_(2)
    z = (y * y).sum()
    return z, [y.grad_fn, v.grad_fn, z.grad_fn]


def retained_and_hooked(torch):
    x = leaf(torch, 4)
    y = x * 1
    y.retain_grad()
    y.register_hook(lambda g: g * 2)
    z = (y * y).sum()
    z.backward()
    return z, [y.grad_fn, z.grad_fn]


def under_hooks(torch):
    x = leaf(torch, 4)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach(), same):
        y = x.exp() * x
    return y, [y.grad_fn]


def second_order(torch):
    x = leaf(torch, 4)
    y = (x.exp() * x).sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    return g, [y.grad_fn, g.grad_fn]


def splits(torch):
    x = leaf(torch, 4)
    a, b = (x * 1).unbind(0)[:2]
    z = a * b
    return z, [a.grad_fn, z.grad_fn]


@pytest.mark.parametrize("program", [views, retained_and_hooked, under_hooks, second_order, splits], ids=lambda p: p.__name__)
def test_graph_goes_with_its_result(program, no_collector):
    assert dies(chainrule, program)


def test_deep_graphs_run_and_go():
    n = 100_000
    x = leaf(chainrule, 2)
    y = x
    for _ in range(n // 4):
        y = (y * 1).view(2, 1).view(2) + 0
    y.sum().backward()
    node = weakref.ref(y.grad_fn)
    del y
    assert x.grad.tolist() == [1, 1] and node() is None
