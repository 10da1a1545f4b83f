"""Hooks on tensors, leaves and nodes: when they are called, with what, and what they may do."""

import pytest
from both import agree, cases, leaf, oracle

import chainrule


def note(log, name, change=None):
    """A hook that logs what it is called with and returns what `change` makes of that."""

    def hook(*args):
        log.append((name, *args))
        return change(*args) if change else None

    return hook


def ways(program):
    """A program that registers hooks, run by `.backward()`, by `grad`, and by `.backward(inputs=)`."""

    def by_backward(torch):
        log, x = [], leaf(torch, 2)
        program(torch, x, log).backward()
        return log, x.grad

    def by_grad(torch):
        log, x = [], leaf(torch, 2)
        return torch.autograd.grad(program(torch, x, log), x), log

    def to_inputs(torch):
        log, x = [], leaf(torch, 2)
        program(torch, x, log).backward(inputs=[x])
        return log, x.grad

    return {f"{program.__name__}-{run.__name__}": run for run in (by_backward, by_grad, to_inputs)}


def on_leaf(torch, x, log):
    x.register_hook(note(log, "first", lambda g: g * 2))
    x.register_hook(note(log, "second", lambda g: g + 1))
    return (x * x + x).sum()


def on_leaf_after(torch, x, log):
    x.register_post_accumulate_grad_hook(note(log, "after"))
    return (x * x + x).sum()


def on_leaf_after_with_result(torch, x, log):
    x.register_post_accumulate_grad_hook(lambda p: 5)
    return (x * x).sum()


def on_non_leaf(torch, x, log):
    y = x * 3
    y.register_hook(note(log, "first", lambda g: g * 2))
    y.retain_grad()
    y.register_hook(note(log, "second", lambda g: g + 1))
    x.y = y
    return (y * y).sum()


def on_accumulator(torch, x, log):
    x.node = (x * 1).grad_fn.next_functions[0][0]
    x.node.register_hook(note(log, "after"))
    x.node.register_prehook(note(log, "before", lambda g: (g[0] * 10,)))
    return (x * x).sum()


def on_node(torch, x, log):
    y = x * 3
    y.grad_fn.register_hook(note(log, "after", lambda inputs, outputs: (inputs[0] * 2, inputs[1])))
    y.grad_fn.register_prehook(note(log, "before", lambda outputs: (outputs[0] + 1,)))
    y.register_hook(note(log, "tensor"))
    return (y * y).sum()


def removed(torch, x, log):
    handle = x.register_hook(note(log, "gone"))
    x.register_hook(note(log, "stays"))
    handle.remove()
    handle.remove()
    with x.register_hook(note(log, "left")):
        pass
    return (x * x).sum()


def order(torch, x, log):
    w = leaf(torch, 2)
    x.register_post_accumulate_grad_hook(lambda p: log.append("x"))
    w.register_post_accumulate_grad_hook(lambda p: log.append("w"))
    a = x * 2
    a.register_hook(lambda g: log.append("a"))
    b = a * w
    b.register_hook(lambda g: log.append("b"))
    return (b * w).sum()


RUNS = {}
for registered in (on_leaf, on_leaf_after, on_leaf_after_with_result, on_non_leaf, on_accumulator, on_node, removed, order):
    RUNS |= ways(registered)


@cases(RUNS)
def test_calls(program):
    agree(program)


def big(g):
    """A hook whose result has another size."""
    return g.new_ones(5)


class Callable:
    def __call__(self, g):
        return g.new_ones(5)


def on(hook):
    def program(torch):
        x = leaf(torch, 2)
        x.register_hook(hook)
        (x * x).sum().backward()

    return program


def after(hook):
    def program(torch):
        x = leaf(torch, 2)
        y = x * 3
        y.grad_fn.register_hook(hook)
        (y * y).sum().backward()
        return x.grad

    return program


def before(hook):
    def program(torch):
        x = leaf(torch, 2)
        y = x * 3
        y.grad_fn.register_prehook(hook)
        (y * y).sum().backward()
        return x.grad

    return program


REFUSED = {
    "size": on(big),
    "size_of_object": on(Callable()),
    "type": on(lambda g: g.double()),
    "int": on(lambda g: 5),
    "tuple": on(lambda g: (g,)),
    "error": on(lambda g: 1 / 0),
    "after_int": after(lambda i, o: 5),
    "after_tensor": after(lambda i, o: i[0]),
    "after_count": after(lambda i, o: (i[0],)),
    "after_type": after(lambda i, o: (i[0], 5)),
    "after_size": after(lambda i, o: (i[0].new_ones(4), None)),
    "after_none": after(lambda i, o: (None, None)),
    "after_too_much": after(lambda i, o: (i[0], i[0])),
    "before_int": before(lambda o: 5),
    "before_tensor": before(lambda o: o[0]),
    "before_count": before(lambda o: (o[0], o[0])),
    "before_size": before(lambda o: (o[0].new_ones(4),)),
    "before_none": before(lambda o: (None,)),
    "untracked": lambda torch: torch.ones(2).register_hook(print),
    "untracked_after": lambda torch: torch.ones(2).register_post_accumulate_grad_hook(print),
    "non_leaf_after": lambda torch: (leaf(torch, 2) * 2).register_post_accumulate_grad_hook(print),
}


@cases(REFUSED)
def test_refusals(program):
    agree(program)


def none_arrives(torch):
    class Second(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            return a + b

        @staticmethod
        def backward(ctx, g):
            return None, g

    log, x = [], leaf(torch, 2)
    y = x * 2
    for name, t in (("y", y), ("x", x)):
        t.register_hook(note(log, name))
    y.retain_grad()
    x.register_post_accumulate_grad_hook(lambda p: log.append("after"))
    Second.apply(y, leaf(torch, 2)).sum().backward()
    return log, x.grad, y.grad


def moved_by_inplace(torch):
    log, x = [], leaf(torch, 2)
    y = x * 2
    y.register_hook(note(log, "before"))
    y.retain_grad()
    y.mul_(3)
    y.register_hook(note(log, "after"))
    (y * y).sum().backward()
    return log, y.grad


def retained(torch):
    x = leaf(torch, 2)
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    z = (y * y).sum()
    z.backward(retain_graph=True)
    first = y.grad
    z.backward()
    return y.grad, first is y.grad, y.retains_grad, x.retains_grad, x.retain_grad()


def retained_by_grad(torch):
    x = leaf(torch, 2)
    y = x * 2
    y.retain_grad()
    return torch.autograd.grad((y * y).sum(), x), y.grad


def what_hooks_see(torch):
    seen, x = [], leaf(torch, 2)
    y = x * 2
    y.register_hook(lambda g: seen.append((g.requires_grad, g.grad_fn is None, torch.is_grad_enabled())))
    y.sum().backward(retain_graph=True)
    torch.autograd.grad((y * y).sum(), x, create_graph=True)
    return seen


def double_backward_through_hook(torch):
    x = torch.tensor([0.5, 2.0], requires_grad=True)
    y = x * x
    y.register_hook(lambda g: g * y)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    return g, torch.autograd.grad(g.sum(), x)


def backward_in_hook(torch):
    x, w = leaf(torch, 2), leaf(torch, 2)
    y = x * 2

    def hook(g):
        with torch.enable_grad():
            (w * w).sum().backward()

    y.register_hook(hook)
    y.sum().backward()
    return x.grad, w.grad


def hook_on_leaf_written_in_no_grad(torch):
    log, x = [], leaf(torch, 2)
    x.register_hook(note(log, "hook"))
    with torch.no_grad():
        x.mul_(2)
    (x * x).sum().backward()
    return log


def freeing_hook(torch):
    """The pattern of an optimizer step in backward: the gradient is used and dropped as soon as it is there."""
    x = leaf(torch, 2)
    x.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None))
    (x * x).sum().backward()
    return x.grad


def hook_after_error(torch):
    x = leaf(torch, 2)
    y = x * 2
    handle = y.register_hook(lambda g: 1 / 0)
    try:
        y.sum().backward()
    except ZeroDivisionError:
        handle.remove()
    y.sum().backward()
    return x.grad, torch.is_grad_enabled()


OTHERS = [
    none_arrives, moved_by_inplace, retained, retained_by_grad, what_hooks_see, double_backward_through_hook, backward_in_hook,
    hook_on_leaf_written_in_no_grad, freeing_hook, hook_after_error,
]  # fmt: skip


@cases(OTHERS)
def test_others(program):
    agree(program)


def multi(mode, run):
    def program(torch):
        log = []
        a, b, c = leaf(torch, 2), leaf(torch, 2), leaf(torch, 2)
        d = a * b
        handle = torch.autograd.graph.register_multi_grad_hook([a, b, c, d], log.append, mode=mode)
        run(torch, a, b, c, d)
        handle.remove()
        run(torch, a, b, c, a * b)
        return log

    return program


MULTI = {
    "all_but_one": multi("all", lambda torch, a, b, c, d: d.sum().backward()),
    "all": multi("all", lambda torch, a, b, c, d: (d * c).sum().backward()),
    "any": multi("any", lambda torch, a, b, c, d: (d * c).sum().backward()),
    "inputs": multi("all", lambda torch, a, b, c, d: (d * c).sum().backward(inputs=[a])),
    "grad": multi("all", lambda torch, a, b, c, d: torch.autograd.grad((d * c).sum(), [a, c])),
    "twice": multi("all", lambda torch, a, b, c, d: [(d * c).sum().backward(retain_graph=True) for _ in range(2)]),
    "mode": multi("foo", lambda torch, a, b, c, d: None),
    "untracked": lambda torch: torch.autograd.graph.register_multi_grad_hook([torch.ones(2)], print),
}


@cases(MULTI)
def test_multi_grad_hooks(program):
    agree(program)


def test_hooks_may_not_change_expanded_gradients_in_place():
    for torch in (chainrule, oracle):
        y = leaf(torch, 2) * 2
        y.register_hook(lambda g: g.mul_(3))
        with pytest.raises(RuntimeError, match="single memory location"):
            y.sum().backward()


def of_one_node(make):
    """What the node of `make(torch, x)` shows, sends when it is called, and gives to its hooks."""

    def program(torch):
        x = leaf(torch, 4, 3)
        seen = []
        y = make(torch, x)
        node = y.grad_fn
        parents = [f and f.name() for f, _ in node.next_functions]
        sent = node(torch.ones_like(y))
        node.register_prehook(lambda grads: seen.append([g.sum() for g in grads]))
        node.register_hook(lambda sent, received: seen.append([[g is not None and g.sum() for g in gs] for gs in (sent, received)]))
        y.sum().backward()
        return node.name(), parents, sent, seen

    return program


FIRST = [[0, 1, 2]]
NODES = {
    "where": of_one_node(lambda torch, x: torch.where(x > 0, x, torch.zeros(4, 3))),
    "nll_loss": of_one_node(lambda torch, x: torch.nn.functional.nll_loss(x, torch.tensor([0, 1, 2, 0]))),
    "gather": of_one_node(lambda torch, x: x.gather(0, torch.tensor(FIRST))),
    "masked_fill": of_one_node(lambda torch, x: x.masked_fill(x > 1, 2.0)),
    "max_pool2d": of_one_node(lambda torch, x: torch.nn.functional.max_pool2d(x[None], 2)),
    "lerp": of_one_node(lambda torch, x: torch.lerp(x, torch.zeros(4, 3), 0.5)),
    "sort": of_one_node(lambda torch, x: x.sort().values),
    "max": of_one_node(lambda torch, x: x.max(1).values),
    "inv": of_one_node(lambda torch, x: torch.linalg.inv(x.T @ x + torch.eye(3))),
    "rsub": of_one_node(lambda torch, x: 1 - x),
    "rpow": of_one_node(lambda torch, x: 2**x),
    "fmod": of_one_node(lambda torch, x: x.fmod(2)),
    "copy": of_one_node(lambda torch, x: torch.zeros(4, 3).copy_(x)),
}


@cases(NODES)
def test_nodes(program):
    agree(program)
