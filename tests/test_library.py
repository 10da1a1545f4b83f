"""`library.custom_op`: an op of one's own with its derivative, in vmap, and its errors."""

import itertools

import pytest
from both import agree, cases

numbers = itertools.count()


def cube(torch, derivative=True, **options):
    name = f"ours::cube{next(numbers)}"

    def forward(x, scale=1.0):
        return torch.from_numpy(x.numpy(force=True) ** 3) * scale

    forward.__annotations__ = {"x": torch.Tensor, "scale": float, "return": torch.Tensor}
    op = torch.library.custom_op(name, mutates_args=(), **options)(forward)
    op.register_fake(lambda x, scale=1.0: torch.empty_like(x))

    def setup_context(ctx, inputs, output):
        x, ctx.scale = inputs
        ctx.save_for_backward(x)

    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * g * ctx.scale, None

    if derivative:
        op.register_autograd(backward, setup_context=setup_context)
    return op


def leaf(torch):
    return torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)


def gradients(torch):
    x, op = leaf(torch), cube(torch)
    y = op(x, scale=2.0)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    return y, y.requires_grad, g, torch.autograd.grad(g.sum(), x), op(x.detach()).requires_grad


def without_derivative(torch):
    y = cube(torch, derivative=False)(leaf(torch))
    return y, y.requires_grad


def by_namespace(torch):
    op = cube(torch)
    return getattr(torch.ops.ours, op._qualname.partition("::")[2])(torch.ones(2))


def by_name(torch):
    op = cube(torch, derivative=False)
    torch.library.register_autograd(op._qualname, lambda ctx, g: (g * 10, None))
    x = leaf(torch)
    op(x).sum().backward()
    return x.grad


def batched(torch):
    op = cube(torch)
    op.register_vmap(lambda info, in_dims, x, scale=1.0: (op(x, scale) + info.batch_size, in_dims[0]))
    return torch.vmap(lambda x: op(x))(torch.ones(3, 2, dtype=torch.float64))


def returns_its_input(torch):
    def same(x):
        return x

    same.__annotations__ = {"x": torch.Tensor, "return": torch.Tensor}
    return torch.library.custom_op(f"ours::same{next(numbers)}", same, mutates_args=())(torch.ones(2))


@cases([gradients, without_derivative, by_namespace, by_name, batched])
def test_custom_ops(program):
    agree(program)


def test_errors():
    import chainrule

    with pytest.raises(RuntimeError, match=r"Trying to backward through ours\.cube.* but no autograd formula was registered"):
        cube(chainrule, derivative=False)(leaf(chainrule)).sum().backward()
    with pytest.raises(RuntimeError, match="must not also be an input"):
        returns_its_input(chainrule)
    with pytest.raises(ValueError, match="namespace::name"):
        chainrule.library.custom_op("name", lambda x: x, mutates_args=())
    with pytest.raises(AttributeError):
        chainrule.ops.nobodys.op  # noqa: B018


# What else an op can be: of lists, of keywords, written to, by schema, without a rule for vmap


def of_list(torch):
    def forward(xs, factor):
        return xs[0] * factor, xs[1].clone()

    forward.__annotations__ = {"xs": list[torch.Tensor], "factor": float, "return": tuple[torch.Tensor, torch.Tensor]}
    op = torch.library.custom_op(f"ours::of_list{next(numbers)}", forward, mutates_args=())

    def setup_context(ctx, inputs, output):
        ctx.factor = inputs[1]

    op.register_autograd(lambda ctx, a, b: ([a * ctx.factor, b], None), setup_context=setup_context)
    x, y = leaf(torch), leaf(torch)
    a, b = op([x, y], 3.0)
    return a, b, torch.autograd.grad(a.sum() + 2 * b.sum(), (x, y))


def of_keyword(torch):
    def forward(x, *, factor=2.0):
        return x * factor

    forward.__annotations__ = {"x": torch.Tensor, "factor": float, "return": torch.Tensor}
    op = torch.library.custom_op(f"ours::of_keyword{next(numbers)}", forward, mutates_args=())

    def setup_context(ctx, inputs, keyword_only_inputs, output):
        ctx.factor = keyword_only_inputs["factor"]

    op.register_autograd(lambda ctx, g: g * ctx.factor, setup_context=setup_context)
    x = leaf(torch)
    return torch.autograd.grad(op(x, factor=5.0).sum(), x)


def doubling(torch, mutates_args="x"):
    def forward(x):
        x.mul_(2)

    forward.__annotations__ = {"x": torch.Tensor, "return": None}
    return torch.library.custom_op(f"ours::doubling{next(numbers)}", forward, mutates_args=(mutates_args,))


def written_to(torch):
    x = torch.ones(2)
    doubling(torch)(x)
    return x, x._version


def without_rule(torch):
    return torch.vmap(cube(torch))(torch.ones(3, 2))


def by_schema(torch):
    name = f"ours::defined{next(numbers)}"
    torch.library.define(name, "(Tensor x, float k=2.0) -> Tensor")
    torch.library.impl(name, "cpu", lambda x, k=2.0: x * k)
    op = getattr(torch.ops.ours, name.partition("::")[2])
    return op(torch.ones(2)), op(torch.ones(2), 3.0)


def by_library(torch):
    library = torch.library.Library(f"ours{next(numbers)}", "DEF")
    library.define("thrice(Tensor x) -> Tensor")
    library.impl("thrice", lambda x: x * 3, "CPU")
    return getattr(torch.ops, library.ns).thrice(torch.ones(2))


def schema_of(torch):
    def forward(x, y, k=2.0, n=None, *, s="a"):
        return x

    forward.__annotations__ = {"x": torch.Tensor, "y": list[torch.Tensor], "k": float, "n": int | None, "s": str, "return": torch.Tensor}
    return [torch.library.infer_schema(forward, mutates_args=m, op_name=n) for m, n in (((), None), (("x",), "f"), ("unknown", None))]


def passed(torch):
    op = cube(torch)
    return torch.library.opcheck(op, (leaf(torch).float().detach(),), {"scale": 2.0}, test_utils=("test_schema", "test_faketensor"))


@cases([of_list, of_keyword, written_to, by_schema, by_library, schema_of, passed])
def test_further_custom_ops(program):
    agree(program)


def test_op_without_a_rule_goes_example_by_example():
    import chainrule

    with pytest.warns(UserWarning, match="performance drop"):
        assert without_rule(chainrule).tolist() == [[1.0, 1.0]] * 3


def refused(torch, **annotations):
    def forward(x):
        return x

    forward.__annotations__ = annotations
    return torch.library.custom_op(f"ours::refused{next(numbers)}", forward, mutates_args=())


REFUSED = {
    "without annotation": lambda torch: refused(torch, **{"return": torch.Tensor}),
    "without result": lambda torch: refused(torch, x=torch.Tensor),
    "written argument that is not there": lambda torch: doubling(torch, "y"),
    "derivative of a write": lambda torch: doubling(torch).register_autograd(lambda ctx, g: g),
    "kind of library": lambda torch: torch.library.Library("ours", "ALL"),
    "schema": lambda torch: torch.library.define("ours::f", "Tensor x"),
}


@pytest.mark.parametrize("program", REFUSED.values(), ids=REFUSED)
def test_refusals(program):
    import torch as oracle

    import chainrule

    kinds = []
    for torch in (oracle, chainrule):
        with pytest.raises((ValueError, RuntimeError)) as error:
            program(torch)
        kinds.append(error.type)
    assert kinds[0] is kinds[1]


def test_a_wrong_fake_is_found():
    import chainrule

    op = cube(chainrule)
    op.register_fake(lambda x, scale=1.0: chainrule.empty(7))
    with pytest.raises(chainrule.library.OpCheckError, match="test_faketensor"):
        chainrule.library.opcheck(op, (chainrule.ones(2),))
