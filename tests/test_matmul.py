"""Products: shapes, types, errors and both orders of derivatives, as PyTorch's."""

import numpy as np
import pytest
import torch as oracle
from both import agree

import chainrule

SHAPES = [
    ((3,), (3,)), ((3,), (3, 4)), ((3,), (5, 3, 4)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (3,)),
    ((5, 2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4)), ((5, 2, 3), (1, 3, 4)), ((6, 1, 2, 3), (5, 3, 4)), ((0, 3), (3, 4)), ((2, 0), (0, 4)),
    ((0, 2, 3), (3, 4)),
]  # fmt: skip
EQUATIONS = {
    "ij,jk->ik": [(2, 3), (3, 4)], "ij,jk": [(2, 3), (3, 4)], "bij,bjk->bik": [(5, 2, 3), (5, 3, 4)], "ii->i": [(3, 3)], "ii": [(3, 3)],
    "ij->ji": [(2, 3)], "ij->": [(2, 3)], "i,j->ij": [(2,), (3,)], "ij,ij->i": [(2, 3), (2, 3)], "...ij,...jk->...ik": [(5, 2, 3), (3, 4)],
    "i,ij,j->": [(2,), (2, 3), (3,)], "ab,bc,cd->ad": [(2, 3), (3, 4), (4, 5)], "bn,anm,bm->ba": [(2, 5), (3, 5, 4), (2, 4)],
    "i...,i...->...": [(2, 3, 4), (2, 3, 4)], "...,...": [(), (3,)], "ij,jk->ki": [(1, 3), (3, 4)], "ijk,jk->k": [(2, 3, 4), (1, 4)],
    "iij,jk->ik": [(3, 3, 2), (2, 4)],
}  # fmt: skip
LINES = """
t.ones(2, 3) @ t.ones(3, 4).double()
t.ones(2, 3) @ 3
3 @ t.ones(2, 3)
t.ones(2, 3) @ t.ones(())
t.ones(2, 3).bool() @ t.ones(3, 2).bool()
t.ones(2, 3).long() @ t.ones(3, 2).long()
t.ones(2).bool() @ t.ones(2).bool()
t.ones(2, 3) @ t.ones(4, 2)
t.ones(3) @ t.ones(4, 2)
t.ones(2, 3) @ t.ones(4)
t.ones(5, 2, 3) @ t.ones(5, 4, 2)
t.ones(5, 2, 3) @ t.ones(4, 2)
t.ones(2, 3) @ t.ones(5, 4, 2)
t.ones(2, 3).half() @ t.ones(3, 4).half()
t.ones(2, 3).bfloat16() @ t.ones(3, 4).bfloat16()
t.matmul(3, t.ones(2))
t.matmul(t.ones(2), 3)
t.mm(t.ones(2), t.ones(2))
t.mm(t.ones(2, 3), t.ones(3, 4), out=t.ones(1, 1))
t.mm(t.ones(2, 3), t.ones(3, 4), out=t.ones(2, 4, dtype=t.double))
t.mv(t.ones(2, 3), t.ones(2, 3))
t.mv(t.ones(2, 3), t.ones(2))
t.bmm(t.ones(2, 3), t.ones(4, 3))
t.bmm(t.ones(2, 3, 4), t.ones(2, 4, 5, dtype=t.double))
t.ger(t.ones(2, 2), t.ones(2))
t.inner(t.ones(2, 3), t.ones(2, 4))
t.dot(t.ones(2), t.ones(2).long())
t.addmm(t.ones(2, 2), t.ones(2, 3), t.ones(3, 3))
t.addmm(t.ones(2, 2), t.ones(2, 3), t.ones(4, 2))
t.addmm(t.ones(2, 2), t.ones(2, 3), t.ones(3, 2, dtype=t.double))
t.addmm(t.ones(2, 2).long(), t.ones(2, 3).long(), t.ones(3, 2).long(), alpha=1.5)
t.addmm(t.ones(2, 2), t.ones(2, 3), t.ones(3, 2), alpha=1j)
t.addmv(t.ones(2), t.ones(2, 3), t.ones(4))
t.addmv(t.ones(2), t.ones(2, 3), t.ones(3, dtype=t.double))
t.addr(t.ones(2, 2), t.ones(2), t.ones(3))
t.addr(t.ones(2, 3).bool(), t.ones(2), t.ones(3).long(), alpha=2)
t.baddbmm(t.ones(2, 2), t.ones(2, 3, 4), t.ones(2, 4, 5))
t.addbmm(t.ones(3, 4), t.ones(2, 3, 4), t.ones(2, 4, 5))
t.einsum('ij,jk->ik', t.ones(2, 3), t.ones(3, 4).double())
t.einsum('ij,jk->il', t.ones(2, 3), t.ones(3, 4))
t.einsum('ij,jk->ik', t.ones(2, 3))
t.einsum('ij->ik', t.ones(2, 3), t.ones(2, 3))
t.einsum('ij,jk->iik', t.ones(2, 3), t.ones(3, 4))
t.einsum('ij,jk->ik', t.ones(2, 3), t.ones(4, 4))
t.einsum('ijk,jk->ik', t.ones(2, 3), t.ones(4, 4))
t.einsum('ij.,jk->ik', t.ones(2, 3), t.ones(4, 4))
t.einsum('i1', t.ones(2, 3))
t.einsum('ii', t.ones(2, 3))
t.einsum(3, t.ones(2))
t.einsum('ij->i')
t.einsum(t.ones(2, 3), [0, 1], t.ones(3, 4), [1, 2], [2, 0])
t.einsum(t.ones(2, 3), [0, 99])
t.tensordot(t.ones(2, 3), t.ones(3, 4), 3)
t.tensordot(t.ones(2, 3), t.ones(3, 4), dims=([1], [1]))
t.tensordot(t.ones(2, 3), t.ones(3, 4), dims=t.tensor([[1], [0]]))
t.tensordot(t.ones(2, 3), t.ones(3, 4), 0).shape
t.kron(t.ones(2, 3), t.ones(3, 4).long()).shape
t.cross(t.ones(2, 3), t.ones(2, 3))
t.cross(t.ones(2, 2), t.ones(2, 2))
t.cross(t.ones(2, 3), t.ones(2, 3), dim=0)
t.cdist(t.ones(2, 3), t.ones(4, 2))
t.cdist(t.ones(2, 3), t.ones(4, 3), p=-1)
t.cdist(t.ones(2, 3), t.ones(4, 3), compute_mode='foo')
t.chain_matmul(t.ones(2, 3), t.ones(3, 4), t.ones(4, 5))
t.chain_matmul()
t.trace(t.ones(2))
t.trace(t.ones(2, 2).int())
"""


@pytest.mark.parametrize("line", LINES.strip().splitlines())
def test_lines_agree(line):
    agree(lambda t: repr(eval(line, {"t": t})))


def drawn(t, shape, kind, seed):
    values = np.random.default_rng(seed).standard_normal((2, *shape))
    array = values[0] + 1j * values[1] if kind.startswith("complex") else values[0]
    return t.from_numpy(np.asarray(array)).to(getattr(t, kind)).requires_grad_()


def derivatives(t, function, tensors):
    """The value, the gradients, and the gradients of a sum of the gradients' squares."""
    y = function(*tensors)
    cotangent = t.ones_like(y) * 0.5
    grads = t.autograd.grad(y, tensors, cotangent, create_graph=True)
    total = sum([(g * g.conj()).real.sum() for g in grads])
    second = t.autograd.grad(total, tensors, allow_unused=True) if total.requires_grad else ()
    return [y, *grads, *[g for g in second if g is not None]]


def check(function, shapes, kind="float64"):
    ours, theirs = (derivatives(t, function(t), [drawn(t, s, kind, i) for i, s in enumerate(shapes)]) for t in (chainrule, oracle))
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert tuple(a.shape) == tuple(b.shape) and str(a.dtype) == str(b.dtype)
        np.testing.assert_allclose(a.detach().numpy(), b.detach().resolve_conj().numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["float64", "complex128"])
@pytest.mark.parametrize("shapes", SHAPES)
def test_matmul(shapes, kind):
    check(lambda t: t.matmul, shapes, kind)


@pytest.mark.parametrize("kind", ["float64", "complex128"])
@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum(equation, kind):
    check(lambda t: lambda *operands: t.einsum(equation, *operands), EQUATIONS[equation], kind)


@pytest.mark.parametrize("kind", ["float64", "complex128"])
@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("addmm", [(4,), (2, 3), (3, 4)]), ("addmm", [(2, 4), (2, 3), (3, 4)]), ("addmv", [(2,), (2, 3), (3,)]),
        ("addr", [(2, 1), (2,), (3,)]),
        ("addbmm", [(2, 4), (5, 2, 3), (5, 3, 4)]), ("baddbmm", [(1, 4), (5, 2, 3), (5, 3, 4)]),
    ],
)  # fmt: skip
def test_added_products(name, shapes, kind):
    factors = {"beta": 0.5, "alpha": 2 - 1j if kind == "complex128" else 3}
    check(lambda t: getattr(t, name), shapes, kind)
    check(lambda t: lambda *given: getattr(t, name)(*given, **factors), shapes, kind)


@pytest.mark.parametrize("p", [0, 0.5, 1, 1.5, 2, 3, float("inf")])
def test_cdist(p):
    def first_order(t):
        x, y = drawn(t, (5, 3), "float64", 0), drawn(t, (2, 4, 3), "float64", 1)
        d = t.cdist(x, y, p)
        return [d, *t.autograd.grad(d, (x, y), t.ones_like(d))]

    agree(first_order)


def test_cdist_of_many_points_by_a_product():
    agree(lambda t: t.cdist(drawn(t, (30, 3), "float64", 0), drawn(t, (40, 3), "float64", 1)))


def test_beta_zero_does_not_read_the_input():
    bias = chainrule.full((2, 2), float("nan"))
    assert chainrule.addmm(bias, chainrule.ones(2, 3), chainrule.ones(3, 2), beta=0).tolist() == [[3, 3], [3, 3]]


def test_in_place_forms():
    agree(lambda t: t.ones(2, 2).addmm_(t.ones(2, 3), t.ones(3, 2), beta=2))
    agree(lambda t: t.ones(2, 3).addr_(t.ones(2), t.ones(3)))
    agree(lambda t: t.ones(2).addmv_(t.ones(2, 3), t.ones(3), alpha=2))
    agree(lambda t: t.ones(2, 4).addbmm_(t.ones(5, 2, 3), t.ones(5, 3, 4)))
    with pytest.raises(RuntimeError):
        chainrule.ones(2, 2).addmm_(chainrule.ones(2, 3), chainrule.ones(3, 4))


def test_the_eager_path_saves_what_it_needs():
    a, b = chainrule.ones(2, 3, requires_grad=True), chainrule.ones(3, 4)
    y = a @ b
    b.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    y = a @ b
    with chainrule.no_grad():
        a.mul_(2)  # only b was saved
    y.sum().backward()
    assert a.grad.tolist() == [[8] * 3] * 2
