"""`func`: each transform against torch.func, alone and in each other; vmap by rule, its errors; identities on drawn inputs."""

import numpy as np
import opdb
import opdb_vmap
import pytest
from both import agree, cases, oracle
from hypothesis import given, settings, strategies as st

import chainrule
from chainrule._core import modes
from chainrule.func import calls

DOUBLE = "float64"


def matrix(torch, rows=3, columns=4, shift=0.0):
    return (torch.arange(rows * columns, dtype=torch.float64).reshape(rows, columns) * 0.37 + shift).sin()


def vector(torch, n=3, shift=0.2):
    return (torch.arange(n, dtype=torch.float64) + shift).cos()


def wave(torch, x):
    return (x.sin() * x.cumsum(0)).exp()


def energy(torch, x):
    return (wave(torch, x) ** 2).sum()


def several(torch, x, y):
    return {"product": x * y.sum(), "parts": (x.sin(), [y.exp()])}


TRANSFORMS = {
    "grad": lambda torch: torch.func.grad(lambda x: energy(torch, x))(vector(torch)),
    "grad argnums": lambda torch: torch.func.grad(lambda x, y: (x * y.exp()).sum(), argnums=(1, 0))(vector(torch), vector(torch, shift=1)),
    "grad negative argnum": lambda torch: torch.func.grad(lambda x, y: (x * y.exp()).sum(), argnums=-1)(vector(torch), vector(torch)),
    "grad of tree": lambda torch: torch.func.grad(lambda d: (d["a"] * d["b"][0]).sum())({"a": vector(torch), "b": [vector(torch)]}),
    "grad aux": lambda torch: torch.func.grad(lambda x: (x.sum(), {"half": x / 2}), has_aux=True)(vector(torch)),
    "grad_and_value": lambda torch: torch.func.grad_and_value(lambda x: energy(torch, x))(vector(torch)),
    "grad of grad": lambda torch: torch.func.grad(torch.func.grad(torch.sin))(torch.tensor(0.5)),
    "grad unused": lambda torch: torch.func.grad(lambda x, y: y.sum())(vector(torch), vector(torch)),
    "grad of a closed-over tensor": lambda torch: torch.func.grad(
        lambda x: torch.func.grad(lambda y: (x * y * y).sum())(vector(torch)).sum()
    )(vector(torch)),
    "grad not scalar": lambda torch: torch.func.grad(lambda x: x)(vector(torch)),
    "grad not tensor": lambda torch: torch.func.grad(lambda x: 1.0)(vector(torch)),
    "grad argnum out of range": lambda torch: torch.func.grad(lambda x: x.sum(), argnums=2)(vector(torch)),
    "vjp": lambda torch: torch.func.vjp(lambda x: wave(torch, x), vector(torch))[1](vector(torch)),
    "vjp of tree": lambda torch: torch.func.vjp(lambda x, y: several(torch, x, y), vector(torch), vector(torch))[1](
        {"product": vector(torch), "parts": (vector(torch), [vector(torch)])}
    ),
    "vjp aux": lambda torch: torch.func.vjp(lambda x: (x.sin(), x.cos()), vector(torch), has_aux=True)[::2],
    "vjp twice": lambda torch: [torch.func.vjp(torch.sin, vector(torch))[1](v) for v in (vector(torch), vector(torch, shift=2))],
    "vjp wrong structure": lambda torch: torch.func.vjp(lambda x: (x, x), vector(torch))[1](vector(torch)),
    "jvp": lambda torch: torch.func.jvp(lambda x: wave(torch, x), (vector(torch),), (vector(torch, shift=1),)),
    "jvp two": lambda torch: torch.func.jvp(lambda x, y: several(torch, x, y), (vector(torch),) * 2, (vector(torch, shift=1),) * 2),
    "jvp aux": lambda torch: torch.func.jvp(lambda x: (x.sin(), x.cos()), (vector(torch),), (vector(torch),), has_aux=True),
    "jvp of jvp": lambda torch: torch.func.jvp(
        lambda x: torch.func.jvp(torch.sin, (x,), (torch.ones_like(x),))[1], (vector(torch),), (vector(torch),)
    ),
    "jvp not a tuple": lambda torch: torch.func.jvp(torch.sin, vector(torch), vector(torch)),
    "jvp structures differ": lambda torch: torch.func.jvp(torch.sin, (vector(torch),), (vector(torch), vector(torch))),
    "jvp independent": lambda torch: torch.func.jvp(lambda x: torch.ones(2), (vector(torch),), (vector(torch),)),
    "jvp strict": lambda torch: torch.func.jvp(lambda x: torch.ones(2), (vector(torch),), (vector(torch),), strict=True),
    "linearize": lambda torch: torch.func.linearize(torch.sin, vector(torch))[1](vector(torch, shift=1)),
    "jacrev": lambda torch: torch.func.jacrev(lambda x: wave(torch, x))(vector(torch)),
    "jacrev chunks": lambda torch: torch.func.jacrev(lambda x: wave(torch, x), chunk_size=2)(vector(torch, 5)),
    "jacrev of trees": lambda torch: torch.func.jacrev(lambda x, y: several(torch, x, y), argnums=(0, 1))(vector(torch), vector(torch, 2)),
    "jacrev aux": lambda torch: torch.func.jacrev(lambda x: (x.sin(), x.sum()), has_aux=True)(vector(torch)),
    "jacrev chunk_size": lambda torch: torch.func.jacrev(torch.sin, chunk_size=0),
    "jacrev matrix": lambda torch: torch.func.jacrev(lambda x: (x @ x.T).tanh())(matrix(torch, 2, 3)),
    "jacrev nothing": lambda torch: torch.func.jacrev(lambda x: x.sum())(vector(torch)),
    "jacrev complex": lambda torch: torch.func.jacrev(lambda x: x)(torch.ones(2, dtype=torch.complex64)),
    "jacfwd": lambda torch: torch.func.jacfwd(lambda x: wave(torch, x))(vector(torch)),
    "jacfwd of trees": lambda torch: torch.func.jacfwd(lambda x, y: several(torch, x, y), argnums=(0, 1))(vector(torch), vector(torch, 2)),
    "jacfwd aux": lambda torch: torch.func.jacfwd(lambda x: (x.sin(), x.sum()), has_aux=True)(vector(torch)),
    "jacfwd matrix": lambda torch: torch.func.jacfwd(lambda x: (x @ x.T).tanh())(matrix(torch, 2, 3)),
    "hessian": lambda torch: torch.func.hessian(lambda x: energy(torch, x))(vector(torch)),
    "hessian argnums": lambda torch: torch.func.hessian(lambda x, y: (x.sin() * y).sum(), argnums=(0, 1))(vector(torch), vector(torch)),
    "jacrev of jacrev": lambda torch: torch.func.jacrev(torch.func.jacrev(lambda x: energy(torch, x)))(vector(torch)),
    "jacrev of jacfwd": lambda torch: torch.func.jacrev(torch.func.jacfwd(lambda x: energy(torch, x)))(vector(torch)),
    "jacfwd of jacfwd": lambda torch: torch.func.jacfwd(torch.func.jacfwd(lambda x: energy(torch, x)))(vector(torch)),
    "third derivative": lambda torch: torch.func.jacfwd(torch.func.hessian(lambda x: energy(torch, x)))(vector(torch, 2)),
}


@cases(TRANSFORMS)
def test_transforms(program):
    agree(program)


def batched(function, *shapes, **options):
    """A program: vmap of a function over matrices."""
    return lambda torch: torch.vmap(lambda *rows: function(torch, *rows), **options)(*[matrix(torch, *s) for s in shapes or [(3, 4)]])


def per_sample(torch):
    w = matrix(torch, 2, 4)
    return torch.vmap(torch.func.grad(lambda w, x: (w @ x).tanh().sum()), in_dims=(None, 0))(w, matrix(torch, 3, 4))


def outer_gradient(torch):
    w = matrix(torch, 2, 4).requires_grad_()
    y = torch.vmap(lambda x: (w @ x).tanh() * w.sum())(matrix(torch, 3, 4))
    return torch.autograd.grad(y.sum(), w)


def outer_second_gradient(torch):
    w = matrix(torch, 2, 4).requires_grad_()
    x = matrix(torch, 3, 4).requires_grad_()
    y = torch.vmap(lambda x: (w @ x).tanh() * w.sum())(x)
    (g,) = torch.autograd.grad(y.sin().sum(), w, create_graph=True)
    return torch.autograd.grad(g.cos().sum(), (w, x))


def entered_within(torch):
    """What is entered in an inner vmap counts once for each example of the outer one."""
    z, x = matrix(torch, 2, 3).requires_grad_(), matrix(torch, 4, 3)
    y = torch.vmap(lambda row: torch.vmap(lambda part: (part * row).sin())(z))(x)
    return torch.autograd.grad(y.sum(), z)


VMAP = {
    "pointwise": batched(lambda torch, x: x.sin() * 2 + x[0]),
    "two": batched(lambda torch, x, y: x * y, (3, 4), (3, 4)),
    "unequal ranks": batched(lambda torch, x, y: x[0] * y + y.sum(), (3, 4), (3, 4)),
    "in_dims": batched(lambda torch, x, y: x @ y, (3, 4), (4, 3), in_dims=(1, 0)),
    "negative in_dim": batched(lambda torch, x: x.cumsum(0), in_dims=-1),
    "in_dims none": batched(lambda torch, x, y: x @ y.T, (3, 4), (5, 4), in_dims=(0, None)),
    "out_dims": batched(lambda torch, x: x.outer(x), out_dims=2),
    "out_dims negative": batched(lambda torch, x: (x.outer(x), x), out_dims=(-1, 0)),
    "tree": batched(lambda torch, x: {"a": x.sum(), "b": [x, (x * 2,)]}),
    "constant": batched(lambda torch, x: torch.ones(2)),
    "chunks": batched(lambda torch, x: x.softmax(0), (7, 4), chunk_size=3),
    "nested": lambda torch: torch.vmap(torch.vmap(torch.dot, in_dims=(None, 0)), in_dims=(0, None))(matrix(torch), matrix(torch, 5, 4)),
    "nested thrice": lambda torch: torch.vmap(torch.vmap(torch.vmap(lambda x, y: x * y + 1)))(*[matrix(torch, 4, 6).reshape(2, 2, 6)] * 2),
    "matmul": batched(lambda torch, x: matrix(torch, 2, 4) @ x),
    "vecmat": batched(lambda torch, x: x @ matrix(torch, 4, 2)),
    "linear": batched(lambda torch, x: torch.nn.functional.linear(x, matrix(torch, 2, 4), vector(torch, 2))),
    "einsum": batched(lambda torch, x: torch.einsum("i,ij->j", x, matrix(torch, 4, 2))),
    "reductions": batched(lambda torch, x: (x.sum(), x.mean(0), x.max(), x.max(0).indices, x.argmax(), x.logsumexp(0), x.norm(), x.var())),
    "shapes": batched(lambda torch, x: x.reshape(2, 2).t().flatten().unsqueeze(0).expand(3, 4).permute(1, 0)),
    "parts": batched(lambda torch, x: (x[1:3], x[..., None], x[[2, 0]], x.flip(0), x.roll(1), x.split(2), x.unbind())),
    "joining": batched(lambda torch, x: (torch.cat([x, torch.ones(2, dtype=x.dtype)]), torch.stack([x, x * 2]))),
    "index by example": lambda torch: torch.vmap(lambda x, i: (x[i], x.gather(0, i), x.index_select(0, i)))(
        matrix(torch), torch.tensor([[0, 1], [3, 3], [2, 0]])
    ),
    "scatter": lambda torch: torch.vmap(lambda x, i: x.scatter_add(0, i, x[:2]).index_add(0, i, x[2:]))(
        matrix(torch), torch.tensor([[0, 1], [3, 3], [2, 0]])
    ),
    "sort": batched(lambda torch, x: (x.sort(), x.topk(2), x.cumprod(0))),
    "where": batched(lambda torch, x: torch.where(x > 0, x, 0.0)),
    "in place": batched(lambda torch, x: x.clone().add_(1).mul_(x)),
    "in place on a part": batched(lambda torch, x: set_part(x.clone())),
    "in place on the input": lambda torch: written_input(torch),
    "convolution": lambda torch: torch.vmap(lambda x: torch.nn.functional.conv1d(x[None, None], torch.ones(2, 1, 3, dtype=x.dtype)))(
        matrix(torch, 3, 6)
    ),
    "convolution by example": lambda torch: torch.vmap(lambda x, w: torch.nn.functional.conv1d(x[None, None], w[None, None]))(
        matrix(torch, 3, 6), matrix(torch, 3, 3)
    ),
    "linear algebra": lambda torch: torch.vmap(lambda x: (torch.linalg.det(x), torch.linalg.inv(x), torch.linalg.solve(x, x[0])))(
        torch.eye(3, dtype=torch.float64) * 2 + matrix(torch, 6, 3).reshape(2, 3, 3)
    ),
    "cross entropy": lambda torch: torch.vmap(torch.nn.functional.cross_entropy)(
        matrix(torch, 6, 3).reshape(2, 3, 3), torch.tensor([[0, 1, 2]] * 2)
    ),
    "per-sample gradients": per_sample,
    "gradient through": outer_gradient,
    "second gradient through": outer_second_gradient,
    "gradient of nested": entered_within,
    "vmap of jacrev": lambda torch: torch.vmap(torch.func.jacrev(lambda x: wave(torch, x)))(matrix(torch)),
    "vmap of jacfwd": lambda torch: torch.vmap(torch.func.jacfwd(lambda x: wave(torch, x)))(matrix(torch)),
    "vmap of hessian": lambda torch: torch.vmap(torch.func.hessian(lambda x: energy(torch, x)))(matrix(torch, 2, 3)),
    "jacrev of vmap": lambda torch: torch.func.jacrev(torch.vmap(lambda x: wave(torch, x)))(matrix(torch, 2, 3)),
    "jvp of vmap": lambda torch: torch.func.jvp(torch.vmap(lambda x: wave(torch, x)), (matrix(torch),), (matrix(torch, shift=1),)),
    "vmap of jvp": lambda torch: torch.vmap(lambda x, t: torch.func.jvp(torch.tanh, (x,), (t,)))(matrix(torch), matrix(torch)),
    "vmap of vjp": lambda torch: torch.vmap(lambda x, t: torch.func.vjp(lambda v: wave(torch, v), x)[1](t))(matrix(torch), matrix(torch)),
    "randomness same": lambda torch: same_random(torch),
    "batched cotangents": lambda torch: batched_cotangents(torch),
}  # fmt: skip


def set_part(y):
    y[2:] = y[:2]
    y[0] += 1
    return y


def written_input(torch):
    x = matrix(torch)
    torch.vmap(lambda row: row.add_(1))(x)
    return x


def same_random(torch):
    torch.manual_seed(3)
    return torch.vmap(lambda x: x + torch.rand(4), randomness="same")(matrix(torch))


def batched_cotangents(torch):
    x = vector(torch).requires_grad_()
    return torch.autograd.grad(wave(torch, x), x, torch.eye(3, dtype=torch.float64), is_grads_batched=True)


@cases(VMAP)
def test_vmap(program):
    agree(program)


def nothing(torch, x):
    return x


ERRORS = {
    "in_dims type": lambda torch: torch.vmap(torch.sin, in_dims="a")(vector(torch)),
    "in_dims structure": lambda torch: torch.vmap(torch.mul, in_dims=(0, 0, 0))(vector(torch), vector(torch)),
    "in_dims range": lambda torch: torch.vmap(torch.sin, in_dims=3)(vector(torch)),
    "no inputs": lambda torch: torch.vmap(torch.ones)(),
    "nothing mapped": lambda torch: torch.vmap(torch.sin, in_dims=(None,))(vector(torch)),
    "sizes": lambda torch: torch.vmap(torch.mul)(vector(torch), vector(torch, 2)),
    "no tensor": lambda torch: torch.vmap(torch.mul)(vector(torch), 2.0),
    "result no tensor": lambda torch: torch.vmap(lambda x: 1)(vector(torch)),
    "out_dims type": lambda torch: torch.vmap(torch.sin, out_dims="a")(vector(torch)),
    "out_dims none": lambda torch: torch.vmap(torch.sin, out_dims=None)(vector(torch)),
    "out_dims range": lambda torch: torch.vmap(torch.sin, out_dims=3)(vector(torch)),
    "chunk_size": lambda torch: torch.vmap(torch.sin, chunk_size=-1)(vector(torch)),
    "randomness": lambda torch: torch.vmap(torch.sin, randomness="some"),
    "random": lambda torch: torch.vmap(lambda x: x + torch.rand(1))(vector(torch)),
    "item": lambda torch: torch.vmap(lambda x: x.item())(vector(torch)),
    "branch": lambda torch: torch.vmap(lambda x: x if x > 0 else -x)(vector(torch)),
    "written to from inside": lambda torch: written_outside(torch),
    "backward inside": lambda torch: torch.func.grad(lambda x: backward_inside(x))(vector(torch)),
}


def written_outside(torch):
    total = torch.zeros(2)
    torch.vmap(lambda x: total.add_(x))(torch.ones(3, 2))


def backward_inside(x):
    y = x.sum()
    y.backward()
    return y


@cases(ERRORS)
def test_errors(program):
    agree(program)


def test_dynamic_shape():
    with pytest.raises(RuntimeError, match="vmap: We do not support batching operators that can output dynamic shape"):
        chainrule.vmap(lambda x: x.nonzero())(vector(chainrule))


def test_randomness_different():
    x = chainrule.vmap(lambda x: x + chainrule.rand(5), randomness="different")(chainrule.zeros(4, 5))
    assert len({tuple(row.tolist()) for row in x}) == 4


def test_functional_call_and_ensembles():
    def program(torch):
        torch.manual_seed(0)
        models = [torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)) for _ in range(3)]
        parameters, buffers = torch.func.stack_module_state(models)
        x = torch.linspace(-1, 1, 6).reshape(2, 3)

        def call(p, b):
            return torch.func.functional_call(models[0], (p, b), (x,))

        together = torch.vmap(call)(parameters, buffers)
        alone = torch.stack([m(x) for m in models])
        gradient = torch.func.grad(lambda p: torch.func.functional_call(models[0], p, (x,)).sum())(dict(models[0].named_parameters()))
        return together, (together - alone).abs().max() < 1e-6, gradient

    agree(program)


def test_nothing_is_left_behind():
    state = modes.state
    before = state.busy, state.levels
    w = matrix(chainrule, 2, 4).requires_grad_()
    y = chainrule.vmap(chainrule.func.grad(lambda x: (w @ x).tanh().sum()))(matrix(chainrule)).sum()
    assert state.levels > before[1]  # the graph holds batched arrays
    y.backward()
    del y
    assert (state.busy, state.levels) == before


def test_shown():
    def program(torch):
        seen = []

        def inner(x):
            seen.append(repr(x))
            return x

        def outer(x):
            seen.append(repr(x))
            return torch.vmap(inner)(x)

        torch.vmap(outer)(torch.arange(6.0).reshape(2, 3))
        return seen

    agree(program)


def test_batch_norm_in_vmap():
    def program(torch):
        net = torch.nn.Sequential(torch.nn.BatchNorm1d(2))
        torch.vmap(net, randomness="same")(torch.arange(12.0).reshape(2, 3, 2))

    agree(program)
    net = chainrule.func.replace_all_batch_norm_modules_(chainrule.nn.Sequential(chainrule.nn.BatchNorm1d(2)))
    assert chainrule.vmap(net)(chainrule.arange(12.0).reshape(2, 3, 2)).shape == (2, 3, 2)


# Custom functions in vmap


def own_rule(torch):
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0])

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

        @staticmethod
        def vmap(info, in_dims, x):
            assert in_dims == (0,) and info.batch_size == 3
            return Square.apply(x) + 1000, 0

    return torch.vmap(Square.apply)(matrix(torch))


def generated(flag):
    def program(torch):
        class Cube(torch.autograd.Function):
            generate_vmap_rule = flag

            @staticmethod
            def forward(x):
                return x**3

            @staticmethod
            def setup_context(ctx, inputs, output):
                ctx.save_for_backward(inputs[0])

            @staticmethod
            def backward(ctx, g):
                return 3 * g * ctx.saved_tensors[0] ** 2

        return torch.vmap(torch.func.grad(lambda x: Cube.apply(x).sum()))(matrix(torch))

    return program


@cases({"own rule": own_rule, "generated": generated(True), "none": generated(False)})
def test_custom_functions(program):
    agree(program)


# Identities on drawn inputs

FUNCTIONS = (
    lambda x: x.sin() * x.sum(),
    lambda x: (x.softmax(0) * x).cumsum(0),
    lambda x: chainrule.stack([x.norm(), (x * x).mean(), x.prod()]),
    lambda x: (x.outer(x).tanh() @ x),
    lambda x: chainrule.cat([x[1:], x[:1].exp()]) * x.logsumexp(0),
)
inputs = st.lists(st.floats(-2, 2).filter(lambda v: abs(v) > 1e-3), min_size=2, max_size=5).map(
    lambda v: chainrule.tensor(v, dtype=chainrule.float64)
)
functions = st.sampled_from(FUNCTIONS)
quick = settings(max_examples=25, deadline=None)


def near(a, b):
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-9)


@quick
@given(functions, inputs)
def test_both_jacobians(f, x):
    near(chainrule.func.jacfwd(f)(x), chainrule.func.jacrev(f)(x))


@quick
@given(functions, inputs)
def test_products_are_adjoint(f, x):
    v = x.cos()
    y, slope = chainrule.func.jvp(f, (x,), (v,))
    u = y.sin()
    near((slope * u).sum(), (chainrule.func.vjp(f, x)[1](u)[0] * v).sum())


@quick
@given(functions, inputs)
def test_hvp_is_gradient_of_gradient(f, x):
    def energy(x):
        return (f(x) ** 2).sum()

    v = x.cos()
    forward_over_reverse = chainrule.func.jvp(chainrule.func.grad(energy), (x,), (v,))[1]
    reverse_over_reverse = chainrule.func.grad(lambda x: (chainrule.func.grad(energy)(x) * v).sum())(x)
    near(forward_over_reverse, reverse_over_reverse)
    near(chainrule.autograd.functional.hvp(energy, x, v)[1], reverse_over_reverse)


@quick
@given(functions, inputs, st.integers(1, 4))
def test_vmap_is_a_loop(f, x, n):
    xs = chainrule.stack([x * (1 + 0.1 * i) for i in range(n)])
    near(chainrule.vmap(f)(xs), chainrule.stack([f(row) for row in xs]))


# Batching rules

# PyTorch has no rules for most of them, either
LOOPED = {"block_diag", "ctc_loss", "ctc_spread", "masked_scatter", "bag_sum", "linear_cross_entropy"}


@pytest.mark.parametrize("start", range(8))
def test_batching_rules(start):
    oracle.set_num_threads(1)
    before = set(calls.looped)
    problems = {}
    for entry in opdb.ENTRIES[start * 7 :: 56]:
        if opdb_vmap.compared(entry) and entry.variant_test_name != "without_cudnn":  # which has no samples here
            found = opdb_vmap.run(entry, 2)
            if found:
                problems[entry.name] = found
    assert not problems
    without = {name for name in set(calls.looped) - before if not name.endswith("()")}
    assert without <= LOOPED | {n for n in without if n.endswith("Backward0") or n.endswith("Backward1")}, without
