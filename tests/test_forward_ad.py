"""Forward mode: dual tensors through ops of each form, views and in-place ops, custom Functions, levels; `func`'s transforms."""

import pytest
from both import agree, cases, oracle

import chainrule
from chainrule import func as our_func
from chainrule.autograd import forward_ad as our_forward_ad


def forward_ad(torch):
    return our_forward_ad if torch is chainrule else oracle.autograd.forward_ad


def values(torch, *rows, **options):
    return torch.tensor(rows[0] if len(rows) == 1 else list(rows), dtype=torch.float64, **options)


def pushed(function):
    """A program: the value and the tangent of function(dual)."""

    def program(torch):
        fw = forward_ad(torch)
        x = values(torch, [0.5, 1.0, 2.0], [3.0, 0.25, 0.75])
        t = values(torch, [1.0, -1.0, 0.5], [2.0, 0.0, 3.0])
        with fw.dual_level():
            primal, tangent = fw.unpack_dual(function(torch, fw.make_dual(x, t)))
            return primal, tangent

    return program


def complex_of(torch, x):
    return torch.complex(x, x.flip(0))


OPS = {
    "mul": lambda torch, x: x * x,
    "sub_from": lambda torch, x: 3 - x,
    "div": lambda torch, x: 1 / (x + 2),
    "pow": lambda torch, x: x**2.5,
    "atan2": lambda torch, x: torch.atan2(x, x + 1),
    "where": lambda torch, x: torch.where(x > 1, x, x * 3),
    "clamp": lambda torch, x: x.clamp(0.5, 1.5),
    "broadcast": lambda torch, x: x * x[0] + x[:, :1],
    "sum": lambda torch, x: x.sum(1),
    "prod": lambda torch, x: x.prod(0),
    "amax": lambda torch, x: x.amax(1),
    "sort": lambda torch, x: x.sort(1)[0],
    "norm": lambda torch, x: x.norm(),
    "std": lambda torch, x: x.std(1),
    "logsumexp": lambda torch, x: x.logsumexp(1),
    "softmax": lambda torch, x: x.softmax(1),
    "cumprod": lambda torch, x: x.cumprod(1),
    "matmul": lambda torch, x: x @ x.t(),
    "view": lambda torch, x: x.view(3, 2).t().reshape(-1),
    "index": lambda torch, x: x[[0, 1, 0], [2, 1, 2]],
    "stack": lambda torch, x: torch.stack([x, x * 2, torch.ones_like(x)]),
    "cast": lambda torch, x: x.to(torch.float32),
    "promoted": lambda torch, x: x + torch.ones(3, dtype=torch.complex64),
    "complex": lambda torch, x: complex_of(torch, x) * (1 + 2j),
    "complex_abs": lambda torch, x: complex_of(torch, x).abs(),
    "complex_angle": lambda torch, x: complex_of(torch, x).angle(),
    "complex_conj": lambda torch, x: complex_of(torch, x).conj() * complex_of(torch, x) ** 2,
    "complex_div": lambda torch, x: 1 / complex_of(torch, x),
    "complex_sgn": lambda torch, x: complex_of(torch, x).sgn(),
    "view_as_real": lambda torch, x: torch.view_as_real(complex_of(torch, x)),
    "detach": lambda torch, x: x.detach() * x,
    "detached": lambda torch, x: x.detach(),
    "integer": lambda torch, x: x.argmax(),
    "compared": lambda torch, x: x > 1,
    "no_grad": lambda torch, x: torch.no_grad()(lambda: x * 2)(),
}


@cases({name: pushed(function) for name, function in OPS.items()})
def test_ops(program):
    agree(program)


def base_write(torch, x):
    y = torch.zeros(2, 3, dtype=torch.float64)
    v = y[0]
    y.add_(x)
    return v


def view_write(torch, x):
    y = torch.zeros(2, 3, dtype=torch.float64)
    y[0].copy_(x[1])
    return y


def part_set(torch, x):
    y = x * 2
    y[0] = x[1] * 3
    y[:, 1] = 5.0
    return y


def written_through_view(torch, x):
    y = x * 2
    v = y.t()
    v.mul_(x.t()).sin_()
    return y


def zeroed(torch, x):
    return (x * 2).zero_()


def primal_is_no_dual(torch, x):
    return forward_ad(torch).unpack_dual(x * 2).primal[0]


INPLACE = {f.__name__: pushed(f) for f in (base_write, view_write, part_set, written_through_view, zeroed, primal_is_no_dual)}


@cases(INPLACE)
def test_views_and_inplace(program):
    agree(program)


def within(body):
    """A program with a level, a tensor and a tangent."""

    def program(torch):
        fw = forward_ad(torch)
        with fw.dual_level():
            return body(torch, fw, torch.ones(2, 3), torch.ones(2, 3))

    return program


def after_the_level(torch):
    fw = forward_ad(torch)
    with fw.dual_level():
        y = fw.make_dual(torch.ones(2), torch.ones(2)) * 2
    with fw.dual_level():
        return fw.unpack_dual(y)


def identity(torch, fw, x, t):
    dual = fw.make_dual(x, t)
    u = fw.unpack_dual(dual)
    flipped = t.reshape(3, 2).t()
    return type(u).__name__, u._fields, u.tangent is t, fw.unpack_dual(fw.make_dual(x, flipped)).tangent is flipped, dual._is_view()


def tracked(torch, fw, x, t):
    x.requires_grad_()
    t.requires_grad_()
    y = fw.unpack_dual((fw.make_dual(x, t) ** 3).sum()).tangent
    return torch.autograd.grad(y, [x, t])


def forward_over_reverse(torch, fw, x, t):
    dual = fw.make_dual(x * 0.5, t).requires_grad_()
    (g,) = torch.autograd.grad((dual.exp() * dual).sum(), dual, create_graph=True)
    return fw.unpack_dual(g)


def shown(torch, fw, x, t):
    scalar = fw.make_dual(torch.tensor(3.0), torch.tensor(1.0))
    return repr(fw.make_dual(x, t) * 2), repr(scalar), repr(fw.make_dual(x.clone().requires_grad_(), t))


def switched_off(torch, fw, x, t):
    dual = fw.make_dual(x, t)
    with fw._set_fwd_grad_enabled(False):
        y = dual.exp()
    with torch.inference_mode():
        z = dual.exp()
    return fw.unpack_dual(y), fw.unpack_dual(z), fw.unpack_dual(dual.exp())


LEVELS = {
    "shown": within(shown),
    "switched_off": within(switched_off),
    "out": within(lambda torch, fw, x, t: torch.mul(fw.make_dual(x, t), 2, out=torch.empty(2, 3))),
    "into a dual": within(lambda torch, fw, x, t: torch.mul(x, 2, out=fw.make_dual(x, t))),
    "identity": within(identity),
    "tracked": within(tracked),
    "forward_over_reverse": within(forward_over_reverse),
    "after_the_level": after_the_level,
    "shape": within(lambda torch, fw, x, t: fw.make_dual(x, torch.ones(2))),
    "integer": within(lambda torch, fw, x, t: fw.make_dual(x.long(), t)),
    "integer_tangent": within(lambda torch, fw, x, t: fw.make_dual(x, t.long())),
    "dual_twice": within(lambda torch, fw, x, t: fw.make_dual(fw.make_dual(x, t), t)),
    "dual_tangent": within(lambda torch, fw, x, t: fw.make_dual(x, fw.make_dual(x, t))),
    "nested": within(lambda torch, fw, x, t: fw.enter_dual_level()),
    "other_level": within(lambda torch, fw, x, t: fw.exit_dual_level(level=3)),
    "no_dual": within(lambda torch, fw, x, t: fw.unpack_dual(x)),
    "no_tensor": within(lambda torch, fw, x, t: fw.unpack_dual(5)),
    "no_level": lambda torch: forward_ad(torch).make_dual(torch.ones(2), torch.ones(2)),
    "no_level_unpacked": lambda torch: forward_ad(torch).unpack_dual(torch.ones(2)),
    "no_level_to_leave": lambda torch: forward_ad(torch).exit_dual_level(),
}


@cases(LEVELS)
def test_levels(program):
    agree(program)


def square(torch, jvp, forward=None):
    def save(ctx, x):
        ctx.save_for_forward(x)
        return x * x

    methods = {"forward": staticmethod(forward or save)}
    if jvp is not None:
        methods["jvp"] = staticmethod(jvp)
    return type("MyF", (torch.autograd.Function,), methods)


def by(jvp, forward=None):
    return within(lambda torch, fw, x, t: fw.unpack_dual(square(torch, jvp, forward).apply(fw.make_dual(x, t))))


def write(ctx, x):
    ctx.mark_dirty(x)
    return x.mul_(2)


def arguments(materialize):
    def body(torch, fw, x, t):
        seen = []

        def forward(ctx, x, y, n):
            ctx.set_materialize_grads(materialize)
            ctx.save_for_forward(x, y)
            return x * y, x.detach().argmax()

        f = square(torch, lambda ctx, *ts: (seen.append((ts, len(ctx.saved_tensors))), (ts[0], None))[1], forward)
        f.apply(fw.make_dual(x, t), x, 3)
        return seen

    return within(body)


FUNCTIONS = {
    "right": by(lambda ctx, t: 2 * ctx.saved_tensors[0] * t),
    "missing": by(None),
    "two": by(lambda ctx, t: (t, t)),
    "int": by(lambda ctx, t: 5),
    "shape": by(lambda ctx, t: t[0]),
    "in_place": by(lambda ctx, t: t.mul_(2), write),
    "not_in_place": by(lambda ctx, t: t * 2, write),
    "view": by(lambda ctx, t: t.view_as(t), lambda ctx, x: x.view_as(x)),
    "no_view": by(lambda ctx, t: t.clone(), lambda ctx, x: x.view_as(x)),
    "input": by(lambda ctx, t: t.clone(), lambda ctx, x: x),
    "not_differentiable": by(lambda ctx, t: t, lambda ctx, x: x > 0),
    "arguments": arguments(True),
    "arguments_none": arguments(False),
}


@cases(FUNCTIONS)
def test_functions(program):
    agree(program)


# func


def func(torch):
    return our_func if torch is chainrule else oracle.func


def transform(body):
    """A program of func, two vectors and a matrix."""

    def program(torch):
        return body(torch, func(torch), values(torch, [1.0, 2.0]), values(torch, [3.0, 0.5]), values(torch, [1.0, 2.0], [3.0, 4.0]))

    return program


def cubes(x):
    return (x**3).sum()


def inside_no_grad(torch, F, x, y, m):
    def f(x):
        with torch.no_grad():
            c = x**2
        return (x**2 - c).sum()

    return F.grad(f)(x)


def outside_no_grad(torch, F, x, y, m):
    with torch.no_grad():
        g = F.grad(cubes)(x.requires_grad_())
    return g, g.requires_grad


def pulled(torch, F, x, y, m):
    out, pull = F.vjp(lambda x, y: (x * y, {"k": x + y}), x, y)
    return out, pull((x, {"k": y})), pull((y, {"k": y}))


def perturbation(torch, F, x, y, m):
    """The levels of nested derivatives must not be confused."""
    one = values(torch, 1.0)
    return F.jvp(lambda x: x * F.jvp(lambda y: x + y, (one,), (one,))[1], (one * 3,), (one,))


def closed_over(torch, F, x, y, m):
    x.requires_grad_()
    g = F.grad(lambda y: (y**2 * x).sum())(y)
    return g.requires_grad, torch.autograd.grad(g.sum(), x)


FUNC = {
    "grad": lambda torch, F, x, y, m: F.grad(cubes)(x),
    "grad_grad": lambda torch, F, x, y, m: F.grad(F.grad(F.grad(torch.sin)))(x[0]),
    "grad_and_value": lambda torch, F, x, y, m: F.grad_and_value(cubes)(x),
    "grad_aux": lambda torch, F, x, y, m: F.grad(lambda x: (cubes(x), {"a": x * 2}), has_aux=True)(x),
    "grad_argnums": lambda torch, F, x, y, m: F.grad(lambda x, y: (x * y).sum(), argnums=(0, -1))(x, y),
    "grad_tree": lambda torch, F, x, y, m: F.grad(lambda d: (d["a"] * d["b"][0]).sum())({"a": x, "b": [y]}),
    "grad_unused": lambda torch, F, x, y, m: F.grad(lambda x, y: x.sum(), argnums=(0, 1))(x, y),
    "grad_untracked": lambda torch, F, x, y, m: F.grad(cubes)(x).requires_grad,
    "grad_tracked": lambda torch, F, x, y, m: torch.autograd.grad(F.grad(cubes)(x.requires_grad_()).sum(), x),
    "grad_closed_over": closed_over,
    "grad_inside_no_grad": inside_no_grad,
    "grad_outside_no_grad": outside_no_grad,
    "grad_vector": lambda torch, F, x, y, m: F.grad(lambda x: x * 2)(x),
    "grad_int": lambda torch, F, x, y, m: F.grad(lambda x: 5)(x),
    "grad_no_argument": lambda torch, F, x, y, m: F.grad(cubes, argnums=3)(x),
    "grad_argnums_text": lambda torch, F, x, y, m: F.grad(cubes, argnums="a")(x),
    "grad_argnums_empty": lambda torch, F, x, y, m: F.grad(cubes, argnums=())(x),
    "grad_argnums_twice": lambda torch, F, x, y, m: F.grad(cubes, argnums=(0, 0))(x),
    "grad_no_aux": lambda torch, F, x, y, m: F.grad(cubes, has_aux=True)(x),
    "grad_no_tensor": lambda torch, F, x, y, m: F.grad(cubes)(5),
    "vjp": pulled,
    "vjp_other_tree": lambda torch, F, x, y, m: F.vjp(torch.sin, x)[1]((x,)),
    "vjp_int": lambda torch, F, x, y, m: F.vjp(lambda x: 5, x),
    "vjp_integer": lambda torch, F, x, y, m: F.vjp(lambda x: x.argmax(), x),
    "jvp": lambda torch, F, x, y, m: F.jvp(lambda x, y: (x * y, x.sum()), (x, y), (y, x)),
    "jvp_aux": lambda torch, F, x, y, m: F.jvp(lambda x: (x**2, x), (x,), (y,), has_aux=True),
    "jvp_zero": lambda torch, F, x, y, m: F.jvp(lambda x: torch.ones(2), (x,), (y,)),
    "jvp_strict": lambda torch, F, x, y, m: F.jvp(lambda x: torch.ones(2), (x,), (y,), strict=True),
    "jvp_no_tuple": lambda torch, F, x, y, m: F.jvp(torch.sin, x, y),
    "jvp_int": lambda torch, F, x, y, m: F.jvp(lambda x: 5, (x,), (y,)),
    "jvp_empty": lambda torch, F, x, y, m: F.jvp(torch.sin, (), ()),
    "jvp_jvp": lambda torch, F, x, y, m: F.jvp(lambda x: F.jvp(lambda x: x**3, (x,), (y,))[1], (x,), (y,)),
    "jvp_grad": lambda torch, F, x, y, m: F.jvp(F.grad(cubes), (x,), (y,)),
    "grad_jvp": lambda torch, F, x, y, m: F.grad(lambda x: F.jvp(lambda x: x**3, (x,), (y,))[1].sum())(x),
    "perturbation": perturbation,
    "linearize": lambda torch, F, x, y, m: F.linearize(lambda x: x**2, x)[1](y),
    "jacrev": lambda torch, F, x, y, m: F.jacrev(lambda x, y: (x * y * m, x.sum()), argnums=(0, 1))(x, y),
    "jacfwd": lambda torch, F, x, y, m: F.jacfwd(lambda x, y: (x * y * m, x.sum()), argnums=(0, 1))(x, y),
    "jacrev_tree": lambda torch, F, x, y, m: F.jacrev(lambda d: {"o": d["a"] * 2})({"a": x}),
    "jacrev_aux": lambda torch, F, x, y, m: F.jacrev(lambda x: (x**2, x), has_aux=True)(x),
    "jacfwd_aux": lambda torch, F, x, y, m: F.jacfwd(lambda x: (x**2, x), has_aux=True)(x),
    "hessian": lambda torch, F, x, y, m: F.hessian(lambda x, y: (x**2 * y).sum(), argnums=(0, 1))(x, y),
    "hessian_matmul": lambda torch, F, x, y, m: F.hessian(lambda x: (m @ x).tanh().sum().exp())(x * 0.1),
    "reverse_reverse": lambda torch, F, x, y, m: F.jacrev(F.jacrev(cubes))(x),
    "forward_forward": lambda torch, F, x, y, m: F.jacfwd(F.jacfwd(cubes))(x),
    "reverse_forward": lambda torch, F, x, y, m: F.jacrev(F.jacfwd(cubes))(x),
    "vmap": lambda torch, F, x, y, m: F.vmap(torch.dot)(m, m),
    "vmap_in": lambda torch, F, x, y, m: F.vmap(lambda a, b, n: a * b + n, in_dims=(1, None, None))(m, x, 3),
    "vmap_out": lambda torch, F, x, y, m: F.vmap(lambda a: (a * 2, a.sum()), out_dims=(1, 0))(m),
    "vmap_tree": lambda torch, F, x, y, m: F.vmap(lambda d: {"o": d["a"] * 2}, in_dims=({"a": 1},))({"a": m}),
    "vmap_vmap": lambda torch, F, x, y, m: F.vmap(F.vmap(torch.sin))(m),
    "vmap_grad": lambda torch, F, x, y, m: F.vmap(F.grad(cubes))(m),
    "grad_vmap": lambda torch, F, x, y, m: F.grad(lambda m: F.vmap(torch.dot)(m, m).sum())(m),
    "vmap_nothing": lambda torch, F, x, y, m: F.vmap(torch.sin)(),
    "vmap_dims": lambda torch, F, x, y, m: F.vmap(torch.sin, in_dims="a")(m),
    "vmap_no_dim": lambda torch, F, x, y, m: F.vmap(torch.sin, in_dims=3)(m),
    "vmap_int": lambda torch, F, x, y, m: F.vmap(torch.sin)(5),
    "vmap_sizes": lambda torch, F, x, y, m: F.vmap(torch.dot)(m, values(torch, [1.0, 2.0, 3.0])),
    "vmap_none": lambda torch, F, x, y, m: F.vmap(torch.dot, in_dims=(None, None))(x, x),
    "vmap_result": lambda torch, F, x, y, m: F.vmap(lambda x: 5)(m),
    "vmap_randomness": lambda torch, F, x, y, m: F.vmap(torch.sin, randomness="foo")(m),
}


@cases({name: transform(body) for name, body in FUNC.items()})
def test_func(program):
    agree(program)


def test_transforms_leave_no_history():
    """What a transform gives of plain tensors is plain, also in the auxiliary output."""
    x = chainrule.ones(2)
    gradient, (value, aux) = our_func.grad_and_value(lambda x: (cubes(x), [x * 2]), has_aux=True)(x)
    assert not any([t.requires_grad for t in (gradient, value, aux[0])]) and not x.requires_grad


@pytest.mark.parametrize("size", [1, 2])
def test_functional_call_and_stacked_modules(size):
    def program(torch):
        F = func(torch)
        torch.manual_seed(0)
        models = [torch.nn.Linear(2, 1) for _ in range(size)]
        parameters, buffers = F.stack_module_state(models)
        x = torch.ones(3, 2)
        called = F.functional_call(models[0], {"weight": torch.ones(1, 2)}, (x,))
        many = F.vmap(lambda p, b: F.functional_call(models[0], (p, b), (x,)))(parameters, buffers)
        return called, many, list(parameters), parameters["weight"].requires_grad, parameters["weight"].is_leaf

    agree(program)
