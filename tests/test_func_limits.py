"""`func` at its limits: what transforms refuse, and programs that write, index and draw inside them; each under both libraries."""

import gc

import pytest
from both import agree, cases

import chainrule
from chainrule._core import modes
from chainrule.autograd.graph import Node


def vector(torch, n=3):
    return torch.arange(n, dtype=torch.float64) * 0.3 + 0.2


def matrix(torch, rows=3, columns=4):
    return vector(torch, rows * columns).reshape(rows, columns)


def batched(function, *shapes, **options):
    """A program that maps a function of (torch, *examples)."""

    def program(torch):
        return torch.vmap(lambda *x: function(torch, *x), **options)(*[matrix(torch, *shape) for shape in shapes or ((3, 4),)])

    return program


# Writing, indexing, random numbers


def filled(torch, x):
    y = x.new_zeros(3)
    y[0] = x.sum()
    y[1:] += x[:2]
    return y


def overwritten(torch, x, v):
    return x.clone().fill_(v[0])


def picked(torch):
    i = torch.tensor([0, 2, 3])
    x = matrix(torch)
    first = torch.vmap(lambda a, b: a[b])(x, i), torch.vmap(lambda b: x[:, b])(i), torch.vmap(lambda b: x[1, b])(i)
    return *first, torch.vmap(lambda a, b: a[b, None])(x, i)


def put(torch):
    def write(a, b):
        a = a.clone()
        a[b] = 7.0
        return a

    return torch.vmap(write)(matrix(torch), torch.tensor([0, 2, 3]))


def nested_losses(torch):
    w, x, y = matrix(torch, 8, 4).reshape(2, 4, 4), matrix(torch), torch.tensor([0, 2, 1])

    def loss(w, x, y):
        return torch.nn.functional.cross_entropy((x @ w)[None], y[None])

    return torch.vmap(torch.vmap(torch.func.grad(loss), (None, 0, 0)), (0, None, None))(w, x, y)


def nested_writes(torch):
    x, i, v = matrix(torch, 6, 5).reshape(2, 3, 5), torch.tensor([[0, 1], [4, 4], [2, 0]]), matrix(torch, 3, 2)

    def add(a, b, c):
        return a.index_put((b,), c, accumulate=True)

    return torch.vmap(torch.vmap(add), (0, None, None))(x, i, v)


def drawn(torch):
    torch.manual_seed(0)
    x = matrix(torch).abs() / 9

    def different(function):
        return torch.vmap(function, randomness="different")(x)

    return [
        different(torch.bernoulli), different(lambda x: x.clone().uniform_()), different(lambda x: torch.randperm(4)),
        different(lambda x: torch.multinomial(x, 2)), different(lambda x: torch.normal(x, 1.0)),
    ]  # fmt: skip


def own_dims(torch):
    """A Function's rule is told where the examples are."""
    told = []

    class Rule(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def vmap(info, in_dims, x):
            told.append((in_dims, list(x.shape)))
            return x * 2, in_dims[0]

    return torch.vmap(Rule.apply, in_dims=1)(matrix(torch)), told


def printed(torch):
    shown = []
    torch.vmap(lambda x: (shown.append(repr(x)), x)[1], in_dims=1)(torch.ones(2, 3))
    return shown


USES = {
    "new_zeros": batched(filled), "fill_": batched(overwritten, (3, 4), (3, 2)),
    "block_diag": batched(lambda torch, x: torch.block_diag(x, x)),
    "argsort of many": lambda torch: torch.vmap(torch.argsort)(torch.sin(vector(torch, 1800)).reshape(3, 600)),
    "outer products": lambda torch: torch.vmap(torch.func.grad(lambda w, x: (w @ x).sin().sum()), (None, 0))(matrix(torch), matrix(torch)),
    "jacobians of nothing": lambda torch: [f(lambda x: x * 2)(torch.ones(0)) for f in (torch.func.jacrev, torch.func.jacfwd)],
    **{f.__name__: f for f in (picked, put, nested_losses, nested_writes, drawn, own_dims, printed)},
}  # fmt: skip


@cases(USES)
def test_uses(program):
    agree(program)


def test_gradient_of_a_picked_element():
    x, i = matrix(chainrule), chainrule.tensor([0, 2, 3])
    slope = chainrule.func.grad(lambda a, b: a[b] ** 2)
    rows = [slope(x[k], i[k].item()) for k in range(3)]
    assert chainrule.equal(chainrule.vmap(slope)(x, i), chainrule.stack(rows))


# Refusals


def escaped(torch):
    kept = []
    torch.vmap(lambda x: (kept.append(x), x)[1])(matrix(torch))
    return kept[0].exp()


def written_between(torch):
    total = torch.zeros(4, dtype=torch.float64)
    torch.vmap(lambda x: total.copy_(x))(matrix(torch))


def part_written_between(torch):
    total = torch.zeros(4, dtype=torch.float64)

    def write(x):
        total[0] = x[0]
        return x

    torch.vmap(write)(matrix(torch))


def hooked(torch):
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        return torch.func.grad(lambda x: x.sin().sum())(vector(torch))


def hooked_inside(torch):
    def f(x):
        with torch.autograd.graph.save_on_cpu():
            return x.sin().sum()

    return torch.func.vjp(f, vector(torch))


def push(torch, *tangents):
    return torch.func.linearize(torch.sin, vector(torch))[1](*tangents)


def gradient(function):
    return lambda torch: torch.func.grad(lambda x: function(torch, x))(vector(torch))


REFUSED = {
    **{name: batched(lambda torch, x, name=name: getattr(torch, name)(x)) for name in ("nonzero", "where", "unique", "unique_consecutive")},
    "mask": batched(lambda torch, x: x[x > 0.5]), "masked_select": batched(lambda torch, x: torch.masked_select(x, x > 0.5)),
    "equal": batched(lambda torch, x: torch.equal(x, x)), "allclose": batched(lambda torch, x: torch.allclose(x, x)),
    "is_nonzero": batched(lambda torch, x: torch.is_nonzero(x.sum())), "data": batched(lambda torch, x: x.data),
    "numpy": batched(lambda torch, x: x.numpy()), "tolist": batched(lambda torch, x: x.tolist()), "nothing": batched(lambda torch, x: None),
    "one random number for all": batched(lambda torch, x: torch.zeros(2).normal_(), randomness="different"),
    "escaped": escaped, "written between": written_between, "part written between": part_written_between,
    "hooked": hooked, "hooked inside": hooked_inside,
    "functional inside": gradient(lambda torch, x: torch.autograd.functional.jacobian(torch.sin, x).sum()),
    "requires_grad_ inside": gradient(lambda torch, x: x.requires_grad_().sum()),
    "written input": gradient(lambda torch, x: x.mul_(2).sum()),
    "integers": lambda torch: torch.func.grad(lambda x: x.sum())(torch.ones(2, dtype=torch.int64)),
    "no tensor": lambda torch: torch.func.grad(lambda x: x)(2.0), "None": lambda torch: torch.func.grad(lambda x: x)(None),
    "aux": lambda torch: torch.func.grad(lambda x: (x.sum(), 1), has_aux=True)(vector(torch)),
    "aux of vjp": lambda torch: torch.func.vjp(lambda x: (x, {"a": None}), vector(torch), has_aux=True),
    "vjp of nothing": lambda torch: torch.func.vjp(lambda x: None, vector(torch)),
    "jvp of nothing": lambda torch: torch.func.jvp(lambda x: (), (vector(torch),), (vector(torch),)),
    "tangent's shape": lambda torch: push(torch, vector(torch, 4)), "tangent's type": lambda torch: push(torch, vector(torch).float()),
    "tangent's structure": lambda torch: push(torch, [vector(torch)]),
    "functionalize": lambda torch: torch.func.functionalize(torch.sin, remove="all"),
}  # fmt: skip


@cases(REFUSED)
def test_refusals(program):
    agree(program)


# rearrange

PATTERNS = [
    ("a b c -> a (b c)", {}), ("a b ... -> ... b a", {}), ("... -> (...)", {}), ("a b (c d) -> d c a b", {"c": 2}),
    ("a b c -> a 1 c b", {}), ("a b c -> a b", {}), ("a b -> b a", {}), ("a a c -> a c", {}), ("a b c", {}), ("a (b c -> a", {}),
    ("a b c -> c b a", {"z": 2}), ("a (b 2) c -> c b a", {}), ("a b c -> a ... c b", {}), ("_a b c -> b _a c", {}),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "sizes"), PATTERNS)
def test_rearrange(pattern, sizes):
    agree(lambda torch: torch.func.rearrange(torch.arange(24.0).reshape(2, 3, 4), pattern, **sizes))


# Nothing outlives a transform, with the garbage collector off

SMOOTH = {
    "exp": lambda x: x.exp().sum(), "softmax": lambda x: (x.softmax(0) * x).sum(), "tanh": lambda x: (x.tanh() ** 3).sum(),
    "log_softmax": lambda x: x.log_softmax(0)[0], "prod": lambda x: x.prod(), "norm": lambda x: (x * x).sum().sqrt(),
    "cross_entropy": lambda x: chainrule.nn.functional.cross_entropy(x[None], chainrule.tensor([1])),
    "sort": lambda x: (x.sort().values * x).sum(), "cumprod": lambda x: x.cumprod(0).sum(), "written": lambda x: written_to(x),
}  # fmt: skip
FUNC = chainrule.func
NESTS = {
    "hessian": FUNC.hessian, "reverse twice": lambda f: FUNC.jacrev(FUNC.jacrev(f)), "forward twice": lambda f: FUNC.jacfwd(FUNC.jacfwd(f)),
    "batched hessian": lambda f: lambda x: chainrule.vmap(FUNC.hessian(f))(chainrule.stack([x, x + 1])),
    "product": lambda f: lambda x: FUNC.jvp(FUNC.grad(f), (x,), (x,)), "linearized": lambda f: lambda x: FUNC.linearize(f, x)[1](x),
}  # fmt: skip


def written_to(x):
    y = x.clone()
    y[0] = x[1].exp()
    return (y * y).sum()


@pytest.mark.parametrize("function", SMOOTH.values(), ids=SMOOTH)
def test_nothing_outlives_a_transform(function):
    x = vector(chainrule)
    for nest in NESTS.values():
        nest(function)(x)  # what is made once
    gc.collect()
    gc.disable()
    try:
        for name, nest in NESTS.items():
            before = modes.state.busy, modes.state.levels
            nest(function)(x)
            assert (modes.state.busy, modes.state.levels) == before, name
            assert not [o for o in gc.get_objects() if isinstance(o, Node)], name
    finally:
        gc.enable()
