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

    with pytest.raises(RuntimeError, match="Trying to backward through ours::cube.* but no autograd formula was registered"):
        cube(chainrule, derivative=False)(leaf(chainrule)).sum().backward()
    with pytest.raises(RuntimeError, match="must not also be an input"):
        returns_its_input(chainrule)
    with pytest.raises(ValueError, match="namespace::name"):
        chainrule.library.custom_op("name", lambda x: x, mutates_args=())
    with pytest.raises(AttributeError):
        chainrule.ops.nobodys.op  # noqa: B018
