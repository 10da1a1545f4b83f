"""`torch._foreach_*`: the same lists as PyTorch gives, out of place and in place."""

import pytest
import torch
from both import agree, cases

import chainrule
from chainrule.functions import foreach


def lists(t):
    return [t.tensor([0.25, 0.5]), t.tensor([[0.75]])], [t.tensor([4.0, 5.0]), t.tensor([[6.0]])]


def form(name, *rest, **options):
    """Out of place and in place; `rest` may ask for the second list by "b"."""

    def program(t):
        a, b = lists(t)
        given = [b if v == "b" else t.tensor(v[0]) if isinstance(v, tuple) else v for v in rest]
        made = getattr(t, f"_foreach_{name}")(a, *given, **options)
        changed = getattr(t, f"_foreach_{name}_")(a, *given, **options)
        return type(made).__name__, made, changed is a, a

    return program


ONCE = {
    "norm": lambda t: [t._foreach_norm(lists(t)[1], *rest) for rest in ((), (1,), (float("inf"),), (2, t.float64))],
    "max": lambda t: t._foreach_max(lists(t)[1]),
    "powsum": lambda t: t._foreach_powsum(lists(t)[1], 3),
    "mm": lambda t: t._foreach_mm([t.ones(2, 2)], [t.ones(2, 3)]),
    "clone": lambda t: t._foreach_clone(lists(t)[0]),
    "zero": lambda t: t._foreach_zero_(lists(t)[0]),
    "copy": lambda t: t._foreach_copy_(*lists(t)),
    "rpow": lambda t: t._foreach_pow(2, lists(t)[1]),
    "gradient": lambda t: t.autograd.grad(t._foreach_norm([w := t.ones(2, requires_grad=True)])[0], w),
}
REFUSED = {
    "empty": lambda t: t._foreach_sqrt([]),
    "lengths": lambda t: t._foreach_add(lists(t)[0], lists(t)[1][:1]),
    "three lengths": lambda t: t._foreach_addcmul(*lists(t), lists(t)[1][:1]),
    "numbers": lambda t: t._foreach_mul(lists(t)[0], [1.0]),
    "large": lambda t: t._foreach_mul(lists(t)[0], t.ones(2)),
    "numbers for tensors": lambda t: t._foreach_add((1, 2), 1),
    "no maximum": lambda t: t._foreach_max([t.ones(0)]),
    "leaf": lambda t: t._foreach_mul_([t.ones(2, requires_grad=True)], 2),
}
TERNARY = {"list": ("b", "b", [1.0, 2.0]), "number": ("b", "b", 3.0), "tensor": ("b", "b", ([1.0, 2.0],)), "none": ("b", "b")}
SECOND = {"number": 2, "numbers": [2.0, 3.0], "list": "b"}
FORMS = {
    **{name: form(name) for name in foreach.UNARY.split()},
    **{f"{name} {of}": form(name, other) for name in foreach.BINARY for of, other in SECOND.items()},
    **{f"{name} tensor": form(name, (2.0,)) for name in ("add", "mul", "div")},
    **{f"{name} alpha": form(name, "b", alpha=2) for name in ("add", "sub")},
    **{f"lerp {of}": form("lerp", "b", weight) for of, weight in (("number", 0.5), ("list", "b"), ("numbers", [0.1, 0.2]))},
    **{f"{name} {of}": form(name, *rest) for name in ("addcdiv", "addcmul") for of, rest in TERNARY.items()},
    "addcdiv value": form("addcdiv", "b", "b", value=-1),
}  # fmt: skip


@cases(FORMS | ONCE | REFUSED)
def test_foreach(program):
    agree(program)


@pytest.mark.parametrize("library", [torch, chainrule])
def test_types_of_arguments(library):
    for arguments in ((1, 1), (lists(library)[0], "x")):
        with pytest.raises(TypeError):
            library._foreach_add(*arguments)
