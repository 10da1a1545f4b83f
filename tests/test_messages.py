"""What errors say, where PyTorch's say more than one would guess: who wrote into saved memory, kernels by name, lengths, devices."""

from both import agree, cases


def backward(make):
    """A program that goes back through what an in-place operation changed."""

    def program(torch):
        x = torch.ones(2, 2, requires_grad=True)
        make(torch, x).sum().backward()

    return program


def chained(torch, x, change):
    y = x * 2
    z = y * y
    change(y)
    return z


def of_a_view(torch, x, change):
    y = x * 2
    v = y[0]
    z = v * v
    change(y, v)
    return z


def of_a_result(torch, x):
    y = x.exp()
    y += 1
    return y


def of_a_constant(torch, x, change):
    y = torch.ones(2, 2)
    z = x * y
    change(y)
    return z


def of_a_leaf(torch, x):
    z = x * x
    with torch.no_grad():
        x += 1
    return z


WRITTEN = {
    "operator": backward(lambda torch, x: chained(torch, x, lambda y: y.add_(1))),
    "element": backward(lambda torch, x: chained(torch, x, lambda y: y.__setitem__(0, 1))),
    "untracked": backward(lambda torch, x: chained(torch, x, lambda y: y.detach().zero_())),
    "view by base": backward(lambda torch, x: of_a_view(torch, x, lambda y, v: y.mul_(2))),
    "view": backward(lambda torch, x: of_a_view(torch, x, lambda y, v: v.mul_(2))),
    "result": backward(of_a_result),
    "constant": backward(lambda torch, x: of_a_constant(torch, x, lambda y: y.add_(1))),
    "constant made tracked": backward(lambda torch, x: of_a_constant(torch, x, lambda y: y.add_(x))),
    "leaf": backward(of_a_leaf),
}


def grads(torch, outputs, inputs):
    x, y = torch.ones(1, requires_grad=True), torch.ones(1)
    return torch.autograd.grad({"x": x, "y": y}[outputs], {"x": x, "y": y}[inputs])


def mixed(torch, a, w, b):
    return torch.nn.functional.linear(torch.ones(2, 2, dtype=a), torch.ones(2, 2, dtype=w), torch.ones(2, dtype=b))


def ctc(targets, *lengths):
    def program(torch):
        scores = torch.zeros(5, 1, 3).log_softmax(2)
        return torch.nn.functional.ctc_loss(scores, torch.tensor(targets), *lengths)

    return program


def matrices(name, dtype):
    def program(torch):
        a = torch.ones(2, 2, dtype=getattr(torch, dtype))
        return getattr(torch, name)(a, a)

    return program


def whole(name, *rest):
    """A function that wants fractions, on whole numbers."""
    return lambda torch: getattr(torch, name)(torch.arange(4), *rest)


REFUSED = {
    "grad of an untracked output": lambda torch: grads(torch, "y", "x"),
    "grad by an untracked input": lambda torch: grads(torch, "x", "y"),
    "grad of nothing tracked": lambda torch: grads(torch, "y", "y"),
    "linear input": lambda torch: mixed(torch, torch.int64, torch.float32, torch.float32),
    "linear weight": lambda torch: mixed(torch, torch.float32, torch.float64, torch.float32),
    "linear bias": lambda torch: mixed(torch, torch.float32, torch.float32, torch.float64),
    "parameter": lambda torch: torch.nn.Parameter(torch.ones(1, dtype=torch.int64)),
    "ctc narrow": ctc([[1]], (5,), (3,)),
    "ctc short": ctc([1], (5,), (3,)),
    "ctc long": ctc([1, 2], (5,), (1,)),
    "ctc steps": ctc([[1]], (9,), (1,)),
    "ctc negative steps": ctc([[1]], (-1,), (1,)),
    "ctc negative length": ctc([[1]], (5,), (-1,)),
    **{f"device {name!r}": (lambda torch, name=name: torch.device(name)) for name in ("meta1", "cuda0", "meta1:0", "", "foo", "cpu:x", 0)},
    **{f"{name} {dtype}": matrices(name, dtype) for name in ("cholesky_solve",) for dtype in ("int64", "float16")},
    **{f"bool {name}": (lambda torch, name=name: getattr(torch, name)(torch.ones(2) > 0)) for name in ("floor", "ceil", "trunc", "round")},
    **{f"complex {name}": (lambda torch, name=name: getattr(torch, name)(torch.ones(2) + 0j)) for name in ("erf", "lgamma", "i0", "celu")},
    "shift": lambda torch: torch.bitwise_left_shift(torch.ones(2), torch.ones(2)),
    "bool pow": lambda torch: torch.pow(torch.ones(2) > 0, torch.ones(2) > 0),
    "bool linspace": lambda torch: torch.linspace(0, 1, 2, dtype=torch.bool),
    **{f"index_select {dim}": (lambda torch, dim=dim: torch.ones(2, 3, 4).index_select(dim, torch.tensor([9]))) for dim in range(3)},
    **{f"whole {name}": whole(name, *rest) for name, *rest in (("std",), ("var", 0), ("var_mean",), ("std_mean", 0), ("histc", 3))},
    "whole dist": lambda torch: torch.dist(torch.arange(3), torch.arange(3)),
    "whole renorm": lambda torch: torch.renorm(torch.ones(2, 2, dtype=torch.int64), 2, 0, 1),
    "whole max_pool1d": lambda torch: torch.nn.functional.max_pool1d(torch.ones(1, 4, dtype=torch.int64), 2),
    "hook that returns": lambda torch: returning_hook(torch),
    "functional_call": lambda torch: torch.func.functional_call(torch.nn.Linear(2, 2), {"zz": torch.ones(1)}, torch.ones(2), strict=True),
}


def returning_hook(torch):
    x = torch.ones(1, requires_grad=True)
    x.register_post_accumulate_grad_hook(lambda p: p.grad)
    x.backward()


@cases(WRITTEN)
def test_who_wrote(program):
    agree(program)


@cases(REFUSED)
def test_refusals(program):
    agree(program)
