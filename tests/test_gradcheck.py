"""`gradcheck` and `gradgradcheck`: what they accept, what they refuse and how they say it; `autograd.functional`."""

import pytest
from both import agree, cases, leaf, oracle
from torch.autograd.gradcheck import GradcheckError as TheirGradcheckError

import chainrule
from chainrule.autograd import functional as our_functional
from chainrule.autograd.gradcheck import GradcheckError


def numbers(torch, *rows, complex=False):
    return torch.tensor(list(rows), dtype=torch.complex128 if complex else torch.float64, requires_grad=True)


def inputs(torch):
    return numbers(torch, [0.3, 0.7], [1.2, -0.4]), numbers(torch, 0.5, 0.6), numbers(torch, 0.3 + 0.2j, 1 - 0.5j, complex=True)


def first(function, **options):
    """A program: gradcheck of a function of `inputs`."""

    def program(torch):
        a, b, z = inputs(torch)
        wanted = function.__code__.co_varnames[: function.__code__.co_argcount]
        return torch.autograd.gradcheck(function, [{"a": a, "b": b, "z": z}[n] for n in wanted], **options)

    return program


def second(function, **options):
    def program(torch):
        torch.manual_seed(0)
        a, b, z = inputs(torch)
        wanted = function.__code__.co_varnames[: function.__code__.co_argcount]
        return torch.autograd.gradgradcheck(function, tuple([{"a": a, "b": b, "z": z}[n] for n in wanted]), **options)

    return program


def linear(torch, backward, jvp=None, factor=2, forward=None):
    """A Function that multiplies, with a backward and a jvp that may be wrong."""
    methods = {"forward": staticmethod(forward or (lambda ctx, x: x * factor)), "backward": staticmethod(backward)}
    if jvp is not None:
        methods["jvp"] = staticmethod(jvp)
    return type("MyF", (torch.autograd.Function,), methods)


def of(backward, jvp=None, factor=2, forward=None, which=1, **options):
    def program(torch):
        f = linear(torch, backward, jvp, factor, forward)
        return torch.autograd.gradcheck(f.apply, inputs(torch)[which], **options)

    return program


class Drifting:
    """A backward that says something else from call to call."""

    def __init__(self):
        self.calls = 0

    def __call__(self, ctx, g):
        self.calls += 1
        return g * 2 + (self.calls % 3) * 1e-6


def drifting(**options):
    return lambda torch: of(Drifting().__call__, **options)(torch)


def pair_without_none(torch):
    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        return x * 2, x * 3

    return linear(torch, lambda ctx, g, h: g * 2 + h * 3, forward=forward)


def view_and_product(a, b):
    return a @ b, a.exp() * b, a.t().reshape(4)[1:]


RIGHT = {
    "one": first(lambda a: (a.exp() * a).sum(0)),
    "several": first(view_and_product),
    "fast": first(view_and_product, fast_mode=True),
    "forward": first(view_and_product, check_forward_ad=True, check_batched_grad=True),
    "forward_fast": first(view_and_product, check_forward_ad=True, check_batched_grad=True, fast_mode=True),
    "complex": first(lambda z: z * z.exp(), check_forward_ad=True),
    "complex_fast": first(lambda z: z * z.exp(), fast_mode=True),
    "complex_to_real": first(lambda z: z.abs(), check_forward_ad=True),
    "conjugate": first(lambda z: z.conj() * z, check_forward_ad=True),
    "real_to_complex": first(lambda b: b * (1 + 2j), check_forward_ad=True),
    "integer_output": first(lambda b: (b * 2, b.argmax())),
    "no_gradient": first(lambda b: b.detach() * 0),
    "second": second(view_and_product),
    "second_fast": second(view_and_product, fast_mode=True, check_fwd_over_rev=True),
    "second_scattered": second(lambda a: a**3, gen_non_contig_grad_outputs=True),
    "second_complex": second(lambda z: z * z.exp()),
    "second_complex_to_real": second(lambda z: z.abs() ** 2),
    "drifting_little": drifting(nondet_tol=1e-4),
    "forward_only": of(lambda ctx, g: g, lambda ctx, t: t * 2, check_forward_ad=True, check_backward_ad=False),
}


@cases(RIGHT)
def test_right_derivatives(program):
    agree(program)


WRONG = {
    "backward": of(lambda ctx, g: g * 3),
    "backward_not_raised": of(lambda ctx, g: g * 3, raise_exception=False),
    "zero": of(lambda ctx, g: g * 2 + 1e-30),
    "forward": of(lambda ctx, g: g * 2, lambda ctx, t: t * 3, check_forward_ad=True),
    "no_forward": of(lambda ctx, g: g * 2, check_forward_ad=True),
    "complex": of(lambda ctx, g: g * 2j, factor=2j, which=2),
    "size": of(lambda ctx, g: (g * 2).sum()),
    "dtype": of(lambda ctx, g: (g * 2).float(), check_grad_dtypes=True),
    "hidden": first(lambda b: b.detach() * 2),
    "hidden_fast": first(lambda b: b.detach() * 2, fast_mode=True),
    "undefined": lambda torch: torch.autograd.gradcheck(pair_without_none(torch).apply, inputs(torch)[1]),
    "undefined_off": lambda torch: torch.autograd.gradcheck(pair_without_none(torch).apply, inputs(torch)[1], check_undefined_grad=False),
    "untracked": lambda torch: torch.autograd.gradcheck(lambda b: b, torch.ones(2)),
    "single_precision": lambda torch: torch.autograd.gradcheck(lambda b: b * 2, leaf(torch, 2), atol=0.1),
    "expanded": lambda torch: torch.autograd.gradcheck(lambda b: b, leaf(torch, 1, dtype=torch.float64).expand(3)),
    "no_mode": of(lambda ctx, g: g * 2, check_backward_ad=False),
    "batched_alone": of(lambda ctx, g: g * 2, check_backward_ad=False, check_forward_ad=True, check_batched_grad=True),
    "batched_forward_alone": of(lambda ctx, g: g * 2, check_batched_forward_grad=True),
    "second_no_mode": second(lambda a: a, check_rev_over_rev=False),
    "second_undefined_alone": second(lambda a: a, check_rev_over_rev=False, check_fwd_over_rev=True),
}


@cases(WRONG)
def test_wrong_derivatives(program):
    agree(program)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (of(lambda ctx, g: g * 3, fast_mode=True), "Below, we recompute numerical and analytical jacobians in slow mode"),
        (of(lambda ctx, g: g * 2, lambda ctx, t: t * 3, check_forward_ad=True, fast_mode=True), "computed with forward mode mismatch"),
        (drifting(), "Backward is not reentrant"),
    ],
)
def test_long_messages(program, message):
    for torch, error in ((chainrule, GradcheckError), (oracle, TheirGradcheckError)):
        with pytest.raises(error, match=message):
            program(torch)


# autograd.functional


def functional(torch):
    return our_functional if torch is chainrule else oracle.autograd.functional


def points(torch, tracked=False):
    x, y = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([0.5, 0.25])
    return x.requires_grad_(tracked), y.requires_grad_(tracked)


def rows(x):
    return (x**3).sum(1)


def both_ways(x, y):
    return x * y, (x.sin() * y).sum()


def cube(x):
    return (x**3).sum()


def weighed(x, y):
    return (x**2 * y).sum()


def double(x):
    return (x * 2).sum()


def square(x):
    return (x**2).sum()


def half_used(x, y):
    return x * 2


def first_squared(x, y):
    return (x**2).sum()


def constant(x):
    return x.new_ones(2)


def called(name, function, make, **options):
    def program(torch):
        given = make(*points(torch, options.get("create_graph", False)))
        result = getattr(functional(torch), name)(function, *given, **options)
        return result, flags(result)

    return program


def flags(value):
    return [flags(v) for v in value] if isinstance(value, (tuple, list)) else value.requires_grad


CALLS = {
    "vjp": ("vjp", rows, lambda x, y: (x, y)),
    "vjp_tuple": ("vjp", both_ways, lambda x, y: ((x, y), (x, y.sum()))),
    "vjp_scalar": ("vjp", cube, lambda x, y: (x,)),
    "jvp": ("jvp", rows, lambda x, y: (x, x)),
    "jvp_tuple": ("jvp", both_ways, lambda x, y: ((x, y), (x, y))),
    "jacobian": ("jacobian", rows, lambda x, y: (x,)),
    "jacobian_tuple": ("jacobian", both_ways, lambda x, y: ((x, y),)),
    "jacobian_half": ("jacobian", half_used, lambda x, y: ((x, y),)),
    "jacobian_constant": ("jacobian", constant, lambda x, y: (x,)),
    "hessian": ("hessian", cube, lambda x, y: (x,)),
    "hessian_tuple": ("hessian", weighed, lambda x, y: ((x, y),)),
    "hessian_double": ("hessian", double, lambda x, y: (x,)),
    "vhp": ("vhp", cube, lambda x, y: (x, x)),
    "vhp_tuple": ("vhp", weighed, lambda x, y: ((x, y), (x, y))),
    "vhp_half": ("vhp", first_squared, lambda x, y: ((x, y), (x, y))),
    "vhp_double": ("vhp", double, lambda x, y: (x, x)),
    "hvp": ("hvp", cube, lambda x, y: (x, x)),
    "hvp_tuple": ("hvp", weighed, lambda x, y: ((x, y), (x, y))),
    "hvp_square": ("hvp", square, lambda x, y: (x, x)),
    "hvp_double": ("hvp", double, lambda x, y: (x, x)),
}
OPTIONS = {
    "plain": {},
    "create_graph": {"create_graph": True},
    "strict": {"strict": True},
    "strict_create_graph": {"strict": True, "create_graph": True},
}
FUNCTIONAL = {f"{n}-{o}": called(*call, **options) for n, call in CALLS.items() for o, options in OPTIONS.items()}
VECTORIZED = {
    "jacobian_vectorized": called("jacobian", both_ways, lambda x, y: ((x, y),), vectorize=True),
    "jacobian_forward": called("jacobian", rows, lambda x, y: (x,), vectorize=True, strategy="forward-mode"),
    "hessian_vectorized": called("hessian", weighed, lambda x, y: ((x, y),), vectorize=True),
}
REFUSED = {
    "input_type": called("vjp", rows, lambda x, y: (5,)),
    "inputs_type": called("vjp", rows, lambda x, y: ((x, 5), y)),
    "output_type": called("vjp", lambda x: 5, lambda x, y: (x,)),
    "outputs_type": called("vjp", lambda x: (x, 5), lambda x, y: (x,)),
    "no_vector": called("vjp", rows, lambda x, y: (x,)),
    "no_tangent": called("jvp", rows, lambda x, y: (x,)),
    "no_vector_for_hessian": called("vhp", cube, lambda x, y: (x,)),
    "vector_size": called("vjp", rows, lambda x, y: (x, x)),
    "vector_count": called("vjp", both_ways, lambda x, y: ((x, y), (x,))),
    "vectors_size": called("vjp", both_ways, lambda x, y: ((x, y), (x, x))),
    "single_vector": called("vjp", rows, lambda x, y: (x, (y, y))),
    "vector_type": called("vjp", rows, lambda x, y: (x, 5)),
    "hessian_of_vector": called("hessian", rows, lambda x, y: (x,)),
    "hessian_of_tuple": called("hessian", both_ways, lambda x, y: ((x, y),)),
    "vhp_of_vector": called("vhp", rows, lambda x, y: (x, x)),
    "hvp_of_tuple": called("hvp", both_ways, lambda x, y: ((x, y), (x, y))),
    "strategy": called("jacobian", rows, lambda x, y: (x,), strategy="foo"),
    "forward_loop": called("jacobian", rows, lambda x, y: (x,), strategy="forward-mode"),
    "forward_graph": called("jacobian", rows, lambda x, y: (x,), strategy="forward-mode", create_graph=True),
    "forward_strict": called("jacobian", rows, lambda x, y: (x,), strategy="forward-mode", strict=True),
    "vectorized_strict": called("jacobian", rows, lambda x, y: (x,), vectorize=True, strict=True),
    "hessian_strategy": called("hessian", cube, lambda x, y: (x,), outer_jacobian_strategy="foo"),
}


@cases(FUNCTIONAL | VECTORIZED | REFUSED)
def test_functional(program):
    agree(program)


def captured(torch):
    """The function sees the input that it is called with, not the one that it knows by name."""
    x = points(torch, True)[0]
    return functional(torch).jacobian(lambda a: a * x, x)


def in_no_grad(torch):
    with torch.no_grad():
        return functional(torch).hvp(cube, points(torch)[0], points(torch)[0])


@cases([captured, in_no_grad])
def test_contexts(program):
    agree(program)


def test_forward_mode_jacobians_nest_as_tuples():
    """PyTorch gives lists here, against its own documentation."""
    for torch, kind in ((chainrule, tuple), (oracle, list)):
        x, y = points(torch)
        found = functional(torch).jacobian(both_ways, (x, y), vectorize=True, strategy="forward-mode")
        wanted = functional(torch).jacobian(both_ways, (x, y))
        assert type(found[0]) is kind
        assert [[t.tolist() for t in row] for row in found] == [[t.tolist() for t in row] for row in wanted]
