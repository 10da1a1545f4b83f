"""Checkpointing beyond what test_graph has: selective policies, early stop, checks of determinism, and saved tensors elsewhere."""

from functools import partial

import pytest
from both import agree, cases, leaf, oracle

import chainrule
from chainrule.utils import checkpoint as our_checkpoint


def of(torch):
    return our_checkpoint if torch is chainrule else oracle.utils.checkpoint


def matrix(torch):
    return (torch.arange(4, dtype=torch.float64).reshape(2, 2) * 0.3).requires_grad_()


def function(x):
    return (x @ x).sin().exp() @ x


def run(torch, chosen, f=function, **options):
    contexts = partial(of(torch).create_selective_checkpoint_contexts, chosen, **options)
    return of(torch).checkpoint(f, matrix(torch), use_reentrant=False, context_fn=contexts)


def by_list(torch):
    x = matrix(torch)
    contexts = partial(of(torch).create_selective_checkpoint_contexts, [torch.ops.aten.mm.default])
    of(torch).checkpoint(function, x, use_reentrant=False, context_fn=contexts).sum().backward()
    return x.grad


def by_policy(torch):
    policies, seen = of(torch).CheckpointPolicy, []

    def policy(context, op, *args, **kwargs):
        seen.append((op is torch.ops.aten.mm.default, context.is_recompute, context.op_output.shape[0], len(args)))
        return policies.MUST_SAVE if op is torch.ops.aten.mm.default else policies.PREFER_RECOMPUTE

    x = matrix(torch)
    contexts = partial(of(torch).create_selective_checkpoint_contexts, policy)
    of(torch).checkpoint(function, x, use_reentrant=False, context_fn=contexts).sum().backward()
    return x.grad, seen


def by_bool(torch):
    x = matrix(torch)
    contexts = partial(of(torch).create_selective_checkpoint_contexts, lambda *args, **kwargs: True)
    of(torch).checkpoint(function, x, use_reentrant=False, context_fn=contexts).sum().backward()
    return x.grad


def backward_twice(torch):
    y = run(torch, [torch.ops.aten.mm.default]).sum()
    y.backward(retain_graph=True)
    y.backward()


def changed(torch, **options):
    kept = []

    def f(x):
        y = x @ x
        kept.append(y)
        return y.sin().exp() * 2

    y = run(torch, [torch.ops.aten.mm.default], f, **options)
    with torch.no_grad():
        kept[0].add_(1)
    y.sum().backward()


def other_ops(torch):
    calls = []

    def f(x):
        calls.append(0)
        y = x.sin() if len(calls) == 1 else x.cos().tanh()
        return y.exp() * y

    run(torch, [torch.ops.aten.mm.default], f).sum().backward()


SELECTIVE = {
    "list": by_list,
    "policy": by_policy,
    "bool": by_bool,
    "backward twice": backward_twice,
    "changed in place": changed,
    "changed in place, allowed": lambda torch: changed(torch, allow_cache_entry_mutation=True),
    "no policy": lambda torch: of(torch).create_selective_checkpoint_contexts(3),
}


@cases(SELECTIVE)
def test_selective(program):
    agree(program)


def test_selective_other_ops():
    with pytest.raises(RuntimeError, match="encountered during backward but not found in storage"):
        other_ops(chainrule)


def test_kept_results_are_not_computed_again():
    kernel, calls = chainrule.ops.matmul.mm.kernel, []

    def counting(a, b):
        calls.append(0)
        return kernel(a, b)

    from chainrule.ops.matmul import mm

    mm.kernel = counting
    try:
        y = run(chainrule, [chainrule.ops.aten.mm.default]).sum()
        in_forward = len(calls)
        y.backward()
    finally:
        mm.kernel = kernel
    assert in_forward == 2
    assert len(calls) == 2 + 4  # the products of backward, none of forward


def counted(torch, **options):
    calls = []
    x = leaf(torch, 2)

    def f(x):
        y = x.exp().sin()
        calls.append("middle")
        y = y * 2
        calls.append("end")
        return y

    of(torch).checkpoint(f, x, use_reentrant=False, **options).sum().backward()
    return calls


def stopped_by_context(torch, enable):
    with of(torch).set_checkpoint_early_stop(enable):
        calls = []
        x = leaf(torch, 2)
        y = of(torch).checkpoint(lambda x: (x.exp(), calls.append(0))[0], x, use_reentrant=False)
    y.sum().backward()
    return calls


def different(torch, determinism_check):
    shapes = iter((2, 1))

    def f(x):
        return (x * torch.ones(next(shapes), 2)).sin().sum()

    of(torch).checkpoint(f, leaf(torch, 2), use_reentrant=False, determinism_check=determinism_check).backward()


def fewer(torch):
    calls = []

    def f(x):
        calls.append(0)
        return x.sin().exp() if len(calls) == 1 else x.sin()

    of(torch).checkpoint(f, leaf(torch, 2), use_reentrant=False).sum().backward()


def nested_second_derivative(torch):
    x = torch.full((2,), 0.5, dtype=torch.float64, requires_grad=True)

    def inner(x):
        return x.sin() * x

    def outer(x):
        return of(torch).checkpoint(inner, x.exp(), use_reentrant=False).tanh()

    y = of(torch).checkpoint(outer, x, use_reentrant=False).sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    return g, torch.autograd.grad(g.sum(), x)


def module(torch):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Dropout(0.5), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    x = torch.ones(2, 3, requires_grad=True)
    of(torch).checkpoint_sequential(net, 2, x, use_reentrant=False).sum().backward()
    return x.grad, [p.grad for p in net.parameters()]


def under_autocast(torch, use_reentrant):
    seen = []

    def f(x):
        y = x @ x
        seen.append(str(y.dtype))
        return y

    x = leaf(torch, 2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = of(torch).checkpoint(f, x, use_reentrant=use_reentrant)
    y.sum().backward()
    return seen, x.grad.dtype


def once_for_two(torch):
    """Two backward passes through parts of one checkpoint, in a group."""
    calls = []
    x = leaf(torch, 2)

    def f(x):
        calls.append(0)
        return x.exp(), x.sin().exp()

    a, b = of(torch).checkpoint(f, x, use_reentrant=False, early_stop=False)
    with of(torch).GraphExecGroup():
        a.sum().backward(retain_graph=True)
        b.sum().backward()
    return len(calls), x.grad


def more_the_second_time(torch):
    calls = []

    def f(x):
        calls.append(0)
        return x.exp().sin() if len(calls) == 1 else x.exp().sin().cos()

    of(torch).checkpoint(f, leaf(torch, 2), use_reentrant=False, early_stop=False).sum().backward()


def packing_fails(torch):
    def pack(t):
        raise ValueError("no room")

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        return leaf(torch, 2) * leaf(torch, 2)


OTHERS = {
    "autocast": lambda torch: under_autocast(torch, False),
    "autocast, reentrant": lambda torch: under_autocast(torch, True),
    "group": once_for_two,
    "packing fails": packing_fails,
    "names": lambda torch: [name for name in oracle.utils.checkpoint.__all__ if not hasattr(of(torch), name)],
    "early stop": counted,
    "no early stop": lambda torch: counted(torch, early_stop=False),
    "early stop on": lambda torch: stopped_by_context(torch, True),
    "early stop off": lambda torch: stopped_by_context(torch, False),
    "nested, second derivative": nested_second_derivative,
    "module": module,
    "wrong check": lambda torch: of(torch).checkpoint(torch.sin, leaf(torch, 2), use_reentrant=False, determinism_check="x"),
    "unknown keyword": lambda torch: of(torch).checkpoint(torch.sin, leaf(torch, 2), use_reentrant=True, other=1),
}


@cases(OTHERS)
def test_others(program):
    agree(program)


def test_other_metadata():
    with pytest.raises(our_checkpoint.CheckpointError, match="have different metadata than during the forward pass"):
        different(chainrule, "default")


@pytest.mark.parametrize("torch", [chainrule, oracle])
def test_more_saved(torch):
    with pytest.raises(of(torch).CheckpointError, match="trying to save more tensors during recomputation"):
        more_the_second_time(torch)


def test_debug():
    seen = iter((2, 1))

    def f(x):
        return (x * chainrule.ones(next(seen), 2)).sin().sum()

    with pytest.raises(our_checkpoint.CheckpointError) as error:
        our_checkpoint.checkpoint(f, leaf(chainrule, 2), use_reentrant=False, debug=True).backward()
    said = str(error.value)
    assert "You are seeing this error because you passed `debug=True`" in said
    assert "sin" in said
    assert "test_checkpoint.py" in said


@pytest.mark.parametrize("torch", [chainrule, oracle])
def test_fewer_saved(torch):
    with pytest.raises(of(torch).CheckpointError, match="(?s)A different number of tensors was saved.*forward: 2\n.*recomputation: 1."):
        fewer(torch)


def saved_elsewhere(torch):
    x = leaf(torch, 3)
    with torch.autograd.graph.save_on_cpu(pin_memory=False):
        y = (x * 2).exp() * x
    y.sum().backward()
    return x.grad


def disabled(torch):
    graph = torch.autograd.graph
    with graph.disable_saved_tensors_hooks("not here"), graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        pass


def mutated(torch):
    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        x = leaf(torch, 3)
        y = x.clone() * 3
        z = (y**2).sum() + y.exp().sum()
        y.sin_()
        z.backward()
        return x.grad


@cases([saved_elsewhere, disabled, mutated])
def test_saved_tensors(program):
    agree(program)
