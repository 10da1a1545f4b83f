"""Custom Functions: every mark, form and error, under both libraries."""

import gc
import weakref

import pytest
from both import agree, cases, leaf, oracle

import chainrule


def make(torch, forward, backward=None, **more):
    """A Function class from plain functions."""
    namespace = {"forward": staticmethod(forward), **{k: staticmethod(v) if callable(v) else v for k, v in more.items()}}
    if backward is not None:
        namespace["backward"] = staticmethod(backward)
    return type("MyF", (torch.autograd.Function,), namespace)


def save_input(ctx, x):
    ctx.save_for_backward(x)
    return x * x


def by_input(ctx, g):
    (x,) = ctx.saved_tensors
    return 2 * x * g


def save_output(ctx, x):
    y = x.exp()
    ctx.save_for_backward(y)
    return y


def by_output(ctx, g):
    (y,) = ctx.saved_tensors
    return y * g


def save_between(ctx, x):
    y = x * 2
    ctx.save_for_backward(y)
    return y * y


def by_between(ctx, g):
    return 4 * ctx.saved_tensors[0] * g


def back(forward, backward=None, *more, inputs=1, **methods):
    """A program: apply to fresh leaves and other arguments, sum, go back."""

    def program(torch):
        xs = [leaf(torch, 2) for _ in range(inputs)]
        y = make(torch, forward, backward, **methods).apply(*xs, *more)
        y.sum().backward()
        return y, [x.grad for x in xs]

    return program


def apply(forward, backward=None, *more):
    return lambda torch: make(torch, forward, backward).apply(leaf(torch, 2), *more)


def twice(ctx, x):
    return x * 2


GRADIENTS = {
    "input_saved": back(save_input, by_input),
    "output_saved": back(save_output, by_output),
    "other_arguments": back(lambda ctx, x, n, s: x * n, lambda ctx, g: (g * 3, None, None), 3, "text"),
    "gradient_for_int": back(lambda ctx, x, n: x * n, lambda ctx, g: (g * 3, g), 3),
    "too_few": back(lambda ctx, x, y: x * y, lambda ctx, g: g, inputs=2),
    "too_many": back(twice, lambda ctx, g: (g, g)),
    "too_many_none": back(twice, lambda ctx, g: (g, None, None)),
    "list": back(twice, lambda ctx, g: [g]),
    "int": back(twice, lambda ctx, g: 5),
    "none": back(twice, lambda ctx, g: None),
    "shape": back(twice, lambda ctx, g: g.new_ones(3)),
    "broadcast_shape": back(twice, lambda ctx, g: g.new_ones(3, 2)),
    "scalar_shape": back(twice, lambda ctx, g: g.new_ones(())),
    "dtype": back(twice, lambda ctx, g: g.double()),
    "complex_for_real": back(twice, lambda ctx, g: g * 1j),
    "no_backward": back(twice),
    "error_in_forward": back(lambda ctx, x: 1 / 0),
    "error_in_backward": back(twice, lambda ctx, g: 1 / 0),
    "no_forward": lambda torch: type("MyF", (torch.autograd.Function,), {}).apply(leaf(torch, 2)),
    "called": lambda torch: make(torch, twice)()(leaf(torch, 2)),
    "vjp": back(twice, vjp=lambda ctx, g: g * 2),
    "vjp_and_backward": back(twice, lambda ctx, g: g, vjp=lambda ctx, g: g * 2),
    "once_differentiable": lambda torch: back(save_input, torch.autograd.function.once_differentiable(by_input))(torch),
    "save_int": apply(lambda ctx, x: ctx.save_for_backward(5)),
    "save_list": apply(lambda ctx, x: (ctx.save_for_backward([x]), x * 2)[1]),
    "save_none": back(lambda ctx, x: (ctx.save_for_backward(None, x), x * 2)[1], lambda ctx, g: g * ctx.saved_tensors[1]),
    "old_saved_variables": back(save_input, lambda ctx, g: g * ctx.saved_variables[0]),
    "list_out": apply(lambda ctx, x: [x * 2]),
    "none_out": apply(lambda ctx, x: None),
    "no_attribute": apply(lambda ctx, x: ctx.foo),
    "static_vmap": lambda torch: make(torch, twice).vmap(None, None),
}


@cases(GRADIENTS)
def test_gradients(program):
    agree(program)


def shown(torch):
    y = make(torch, save_input, by_input).apply(leaf(torch, 2))
    node = y.grad_fn
    return str(node), node.name(), node.saved_tensors, node.needs_input_grad, node.metadata, str(y)


def without_grad(torch):
    f = make(torch, save_input, by_input)
    with torch.no_grad():
        y = f.apply(leaf(torch, 2))
    return y.requires_grad, y.grad_fn, f.apply(torch.ones(2)).requires_grad


def keyword_argument(torch):
    x, w = leaf(torch, 2), leaf(torch, 2)
    f = make(torch, lambda ctx, a, b=None: a * b * 3, lambda ctx, g: (g * 2, g * 5))
    f.apply(x, b=w).sum().backward()
    return x.grad, w.grad


def several_outputs(torch):
    seen = []
    f = make(torch, lambda ctx, x: (x * 2, 5, x * 3, "a"), lambda ctx, g, n, h, s: (seen.append((n, s)), g * 2 + h * 3)[1])
    x = leaf(torch, 2)
    a, n, b, s = f.apply(x)
    (a * 2 + b).sum().backward()
    return x.grad, n, s, a.grad_fn is b.grad_fn, b.output_nr, seen


def unused_output(materialize):
    def program(torch):
        seen = []

        def forward(ctx, x):
            ctx.set_materialize_grads(materialize)
            return x * 2, x * 3

        f = make(torch, forward, lambda ctx, g, h: (seen.append((g, h)), g * 2)[1])
        f.apply(leaf(torch, 2))[0].sum().backward()
        return seen

    return program


def no_output_used(torch):
    seen = []
    x = leaf(torch, 2)
    a, b = make(torch, lambda ctx, x: (x * 2, x * 3), lambda ctx, g, h: (seen.append((g, h)), g)[1]).apply(x)
    make(torch, lambda ctx, a, b: a + b, lambda ctx, g: (None, None)).apply(a, b).sum().backward()
    return seen, x.grad


def non_differentiable(torch):
    seen = []

    def forward(ctx, x):
        a, b = x * 2, x > 0
        ctx.mark_non_differentiable(a, b)
        return a, b, x * 3

    outputs = make(torch, forward, lambda ctx, *g: (seen.append(g), g[2])[1]).apply(leaf(torch, 2))
    outputs[2].sum().backward()
    return [t.requires_grad for t in outputs], seen


def integer_output(torch):
    seen = []
    y, i = make(torch, lambda ctx, x: (x * 2, x.argmax()), lambda ctx, g, h: (seen.append(h), g)[1]).apply(leaf(torch, 2))
    y.sum().backward()
    return i.requires_grad, seen


def same_output_twice(torch):
    def forward(ctx, x):
        z = x * 2
        return z, z

    x = leaf(torch, 2)
    a, b = make(torch, forward, lambda ctx, g, h: (g + h) * 2).apply(x)
    (a + b * 3).sum().backward()
    return a is b, x.grad


def needs_input_grad(torch):
    seen = []
    f = make(
        torch,
        lambda ctx, x, y, n: (seen.append(ctx.needs_input_grad), x * y)[1],
        lambda ctx, g: (seen.append(ctx.needs_input_grad), g, g, None)[1:],
    )
    a, b = leaf(torch, 2), leaf(torch, 2)
    f.apply(a, torch.ones(2), 3)
    torch.autograd.grad(f.apply(a, b, 3).sum(), a)
    return seen


def modes_inside(torch):
    seen = []
    f = make(
        torch,
        lambda ctx, x: (seen.append(torch.is_grad_enabled()), x * 2)[1],
        lambda ctx, g: (seen.append((torch.is_grad_enabled(), g.requires_grad)), g)[1],
    )
    x = leaf(torch, 2)
    f.apply(x).sum().backward()
    torch.autograd.grad(f.apply(x).sum(), x, create_graph=True)
    return seen


def saved_identity(torch):
    x = leaf(torch, 2)
    y = make(torch, save_output, by_output).apply(x)
    kept = y.grad_fn.saved_tensors[0]
    return make(torch, save_input, by_input).apply(x).grad_fn.saved_tensors[0] is x, kept is y, kept.grad_fn is y.grad_fn


def second(forward, backward):
    def program(torch):
        y = make(torch, forward, backward).apply(leaf(torch, 2)).sum()
        y.backward()
        y.backward()

    return program


def saved_after_backward(torch):
    y = make(torch, save_input, by_input).apply(leaf(torch, 2))
    y.sum().backward()
    return y.grad_fn.saved_tensors


def changed(forward, backward, of_output):
    def program(torch):
        y = leaf(torch, 2) * 1
        z = make(torch, forward, backward).apply(y)
        (z if of_output else y).mul_(2)
        z.sum().backward()

    return program


def read_once(torch):
    f = make(torch, save_input, lambda ctx, g: (ctx.saved_tensors, ctx.saved_tensors, g)[2], clear_saved_tensors_on_access=True)
    f.apply(leaf(torch, 2)).sum().backward()


def complex_input(torch):
    x = leaf(torch, 2, dtype=torch.complex64)
    make(torch, lambda ctx, x: x * 2j, lambda ctx, g: g * -2j).apply(x).abs().sum().backward()
    return x.grad


def node_hooks(torch):
    seen = []
    y = make(torch, save_input, by_input).apply(leaf(torch, 2))
    y.grad_fn.register_hook(lambda inputs, outputs: seen.append((inputs, outputs)))
    y.grad_fn.register_prehook(lambda outputs: seen.append(outputs))
    y.sum().backward()
    return seen


def reentrant(torch):
    def forward(ctx, x):
        with torch.enable_grad():
            ctx.x = x.detach().requires_grad_()
            ctx.y = ctx.x**2
        return ctx.y.detach()

    def backward(ctx, g):
        with torch.enable_grad():
            ctx.y.backward(g)
        return ctx.x.grad

    x = leaf(torch, 2)
    make(torch, forward, backward).apply(x).sum().backward()
    return x.grad


def deeply_reentrant(torch):
    """As deep as Python's recursion in one thread would not go."""

    def backward(ctx, g):
        if ctx.depth:
            with torch.enable_grad():
                z = leaf(torch, 1)
                f.apply(z, ctx.depth - 1).sum().backward()
            return z.grad.sum() * g, None
        return g, None

    f = make(torch, lambda ctx, x, n: (setattr(ctx, "depth", n), x * 1)[1], backward)
    x = leaf(torch, 1)
    f.apply(x, 400).sum().backward()
    return x.grad


OTHERS = {
    "shown": shown,
    "without_grad": without_grad,
    "keyword_argument": keyword_argument,
    "several_outputs": several_outputs,
    "unused_output": unused_output(True),
    "unused_output_none": unused_output(False),
    "no_output_used": no_output_used,
    "non_differentiable": non_differentiable,
    "integer_output": integer_output,
    "same_output_twice": same_output_twice,
    "needs_input_grad": needs_input_grad,
    "modes_inside": modes_inside,
    "saved_identity": saved_identity,
    "second": second(save_input, by_input),
    "second_without_saved": second(twice, lambda ctx, g: g * 2),
    "saved_after_backward": saved_after_backward,
    "changed_input": changed(save_input, by_input, False),
    "changed_output": changed(save_output, by_output, True),
    "read_once": read_once,
    "complex_input": complex_input,
    "node_hooks": node_hooks,
    "reentrant": reentrant,
    "deeply_reentrant": deeply_reentrant,
}


@cases(OTHERS)
def test_others(program):
    agree(program)


def three_derivatives(forward, backward, once=False):
    def program(torch):
        rule = torch.autograd.function.once_differentiable(backward) if once else backward
        x = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
        (g,) = torch.autograd.grad(make(torch, forward, rule).apply(x).sum(), x, create_graph=True)
        (h,) = torch.autograd.grad(g.sum(), x, create_graph=True)
        return g, h, torch.autograd.grad(h.sum(), x)

    return program


HIGHER = {
    "input_saved": three_derivatives(save_input, lambda ctx, g: (ctx.saved_tensors[0] ** 3) * g),
    "output_saved": three_derivatives(save_output, by_output),
    "between_saved": three_derivatives(save_between, by_between),
    "once": three_derivatives(save_input, by_input, once=True),
}


@cases(HIGHER)
def test_higher_derivatives(program):
    agree(program)


# In place, views


def write(ctx, x):
    x.mul_(2)
    ctx.mark_dirty(x)
    return x


def double(ctx, g):
    return g * 2


def written(torch):
    x = leaf(torch, 2)
    y = x * 1
    z = make(torch, write, double).apply(y)
    z.sum().backward()
    return z is y, y.grad_fn.name(), x.grad, y._version


def written_view(torch):
    x = leaf(torch, 4)
    y = x * 1
    v = y[:2]
    z = make(torch, write, double).apply(v)
    y.sum().backward()
    return z is v, x.grad, y.grad_fn.name(), v.grad_fn.name()


def written_untracked_input(torch):
    x, w = torch.ones(2), leaf(torch, 2)
    make(torch, lambda ctx, x, w: (x.mul_(w), ctx.mark_dirty(x), x)[2], lambda ctx, g: (None, g)).apply(x, w)
    x.sum().backward()
    return x.requires_grad, w.grad


def view_written_among_others(torch):
    v = (leaf(torch, 4) * 1)[:2]
    make(torch, lambda ctx, x: (x.mul_(2), ctx.mark_dirty(x), (x, x * 2))[2], lambda ctx, g, h: g).apply(v)


def input_returned(torch):
    x = leaf(torch, 2)
    y = make(torch, lambda ctx, x: x, lambda ctx, g: g * 5).apply(x)
    y.sum().backward()
    return y is x, y._is_view(), y._base is x, x.grad


def view_returned(torch):
    x = leaf(torch, 2, 2)
    y = make(torch, lambda ctx, x: x.view(4), lambda ctx, g: g.view(2, 2) * 5).apply(x)
    y.sum().backward()
    return y._is_view(), x.grad


def then_written(forward):
    def program(torch):
        y = make(torch, forward, lambda ctx, *g: g[0].view(2, 2)).apply(leaf(torch, 2, 2) * 1)
        (y[0] if isinstance(y, tuple) else y).mul_(2)

    return program


INPLACE = {
    "written": written,
    "written_view": written_view,
    "written_untracked_input": written_untracked_input,
    "written_leaf": lambda torch: make(torch, write, double).apply(leaf(torch, 2)),
    "written_leaf_view": lambda torch: make(torch, write, double).apply(leaf(torch, 4)[:2]),
    "not_returned": lambda torch: make(torch, lambda ctx, x: (x.mul_(2), ctx.mark_dirty(x), x * 2)[2], double).apply(leaf(torch, 2) * 1),
    "not_an_input": lambda torch: make(torch, lambda ctx, x: write(ctx, x * 2), double).apply(leaf(torch, 2) * 1),
    "view_written_among_others": view_written_among_others,
    "input_returned": input_returned,
    "view_returned": view_returned,
    "view_written": then_written(lambda ctx, x: x.view(4)),
    "views_written": then_written(lambda ctx, x: (x.view(4), x[0])),
    "input_written": then_written(lambda ctx, x: x),
}


@cases(INPLACE)
def test_inplace(program):
    agree(program)


# The form with setup_context


def powers(torch, **replaced):
    def setup_context(ctx, inputs, output):
        ctx.n = inputs[1]
        ctx.save_for_backward(inputs[0])

    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return ctx.n * x ** (ctx.n - 1) * g, None

    def forward(x, n=3):
        return x**n

    return make(torch, **({"forward": forward, "backward": backward, "setup_context": setup_context} | replaced))


def set_up(torch):
    x = torch.tensor([0.5, 2.0], requires_grad=True)
    f = powers(torch)
    (g,) = torch.autograd.grad(f.apply(x).sum(), x, create_graph=True)
    return g, torch.autograd.grad(g.sum(), x), f.apply(x, 2), f.apply(x, n=4).grad_fn.n


def save_what_is_returned(ctx, inputs, output):
    ctx.save_for_backward(inputs[0])


SETUP = {
    "set_up": set_up,
    "as_is": lambda torch: powers(torch, forward=lambda x: x, setup_context=save_what_is_returned).apply(leaf(torch, 2)),
    "ctx_given": lambda torch: powers(torch, forward=lambda ctx, x, n: x).apply(leaf(torch, 2)),
}


@cases(SETUP)
def test_setup_context(program):
    program_runs = program is SETUP["ctx_given"]
    if not program_runs:
        agree(program)
        return
    for torch in (chainrule, oracle):
        with pytest.raises(TypeError):
            program(torch)


# Memory


@pytest.mark.parametrize(("forward", "backward"), [(save_input, by_input), (save_output, by_output), (save_between, by_between)])
@pytest.mark.parametrize("run", [True, False])
def test_no_cycles(forward, backward, run):
    gc.collect()
    gc.disable()
    try:
        f = make(chainrule, forward, backward)
        x = leaf(chainrule, 2)
        y = f.apply(x * 1)
        node, tensor = weakref.ref(y.grad_fn), weakref.ref(y)
        if run:
            y.sum().backward()
        del y
        assert tensor() is None and node() is None
    finally:
        gc.enable()


def test_deep_chain_of_functions():
    f = make(chainrule, twice, lambda ctx, g: g)
    y = x = leaf(chainrule, 1)
    for _ in range(20000):
        y = f.apply(y)
    y.backward(chainrule.ones(1))
    node = weakref.ref(y.grad_fn)
    del y
    assert x.grad.item() == 1 and node() is None
