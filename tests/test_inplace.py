"""In-place ops, views and histories: the same script under both libraries must end the same."""

import pytest
import torch as oracle

import chainrule

WEIGHT = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def view_write(torch, w):
    y = w * 2
    y[0] = w[1] * w[1]
    return (y * y).sum()


def view_mul(torch, w):
    y = w.clone()
    v = y[:, 1]
    v.mul_(w[:, 0])
    return (y * w).sum() + (v * v).sum()


def view_before_base_changes(torch, w):
    y = w.exp()
    y = y * 1.5
    v = y.t()
    y.mul_(w)
    return (v * v).sum()


def untracked_base(torch, w):
    base = torch.zeros(2, 3)
    base[1] = w[0]
    base.add_(1)
    return (base * base).sum()


def chain_of_views(torch, w):
    y = w + 0
    y.view(6)[1:5].view(2, 2)[1].mul_(3)
    return (y * y * w).sum()


def self_reference(torch, w):
    y = w * 1
    y.mul_(y.detach().clone())
    y.add_(y)
    y.sin_()
    return y.sum()


def zeroed(torch, w):
    y = w * 3
    y.zero_()
    y += w
    return (y * y).sum()


def fill_column(torch, w):
    y = w * 3
    y[:, 0] = 7.0
    return (y * y).sum()


def diagonal(torch, w):
    y = w @ w.t()
    y.diagonal().add_(w[:, 0])
    return (y * y).sum()


def expanded_view_read(torch, w):
    y = w[0] * 1
    v = y.expand(4, 3)
    y.mul_(2)
    return (v * v).sum()


def complex_parts(torch, w):
    z = torch.view_as_complex(torch.stack([w, w * 2], -1))
    z = z * (1 + 2j)
    torch.view_as_real(z)[..., 0].mul_(w)
    return (z * z.conj()).real.sum()


def masked(torch, w):
    y = w * 1
    y[w > 2] *= 3
    return (y * w).sum()


PROGRAMS = [
    view_write, view_mul, view_before_base_changes, untracked_base, chain_of_views, self_reference, zeroed, fill_column, diagonal,
    expanded_view_read, complex_parts, masked,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_gradients_follow_writes(program):
    """First and second derivatives agree with PyTorch's."""
    results = []
    for torch in (chainrule, oracle):
        w = torch.tensor(WEIGHT, dtype=torch.float64, requires_grad=True)
        value = program(torch, w)
        (g,) = torch.autograd.grad(value, w, create_graph=True)
        (h,) = torch.autograd.grad((g * g).sum(), w, allow_unused=True)
        results.append([value.tolist(), g.tolist(), None if h is None else h.tolist()])
    ours, theirs = results
    assert ours[0] == pytest.approx(theirs[0])
    for mine, other in zip(ours[1:], theirs[1:], strict=True):
        assert mine == other if mine is None or other is None else [pytest.approx(r) for r in other] == mine


def leaf(torch, w):
    w.add_(1)


def leaf_view(torch, w):
    w[0].add_(1)


def saved_changed(torch, w):
    y = w.exp()
    y.add_(1)
    y.sum().backward()


def saved_input_changed(torch, w):
    y = w * 1
    z = y * y
    y.add_(1)
    z.sum().backward()


def changed_through_view(torch, w):
    y = w * 1
    z = y.sin()
    y[0].zero_()
    z.sum().backward()


def changed_through_detached(torch, w):
    y = w * 1
    z = y.sin()
    y.detach().zero_()
    z.sum().backward()


def unbound(torch, w):
    y = w * 1
    y.unbind(0)[0].mul_(2)


def no_grad_view(torch, w):
    y = w * 1
    with torch.no_grad():
        v = y[0]
    v.mul_(2)


def bad_shape(torch, w):
    torch.ones(3).add_(torch.ones(2, 3))


def bad_type(torch, w):
    torch.ones(3, dtype=torch.int64).add_(torch.ones(3))


def expanded(torch, w):
    torch.ones(1).expand(3).add_(1)


def second_backward(torch, w):
    y = (w * w).sum()
    y.backward()
    y.backward()


def out_tracked(torch, w):
    torch.add(w, w, out=torch.empty(2, 3))


REFUSED = [
    leaf, leaf_view, saved_changed, saved_input_changed, changed_through_view, changed_through_detached, unbound, no_grad_view, bad_shape,
    bad_type, expanded, second_backward, out_tracked,
]  # fmt: skip


@pytest.mark.parametrize("program", REFUSED, ids=lambda p: p.__name__)
def test_refusals(program):
    """The same exception type, and the sentence that tells the cause begins the same."""
    errors = []
    for torch in (chainrule, oracle):
        with pytest.raises(RuntimeError) as caught:
            program(torch, torch.tensor(WEIGHT, requires_grad=True))
        errors.append(str(caught.value))
    assert errors[0][:30] == errors[1][:30]


def test_failed_write_changes_nothing():
    t = chainrule.ones(3)
    before = t._version
    for bad in (chainrule.ones(2, 3), chainrule.ones(3, dtype=chainrule.complex64)):
        with pytest.raises(RuntimeError):
            t.add_(bad)
    assert t.tolist() == [1, 1, 1] and t._version == before


def test_versions_and_sharing():
    for torch in (chainrule, oracle):
        x = torch.zeros(4)
        v = x[1:3]
        v.add_(1)
        x.mul_(2)
        d = x.detach()
        d += 1
        assert x.tolist() == [1, 3, 3, 1]
        assert x._version == v._version == d._version == 3
        assert x.data._version == 0


def test_no_grad_writes_to_leaves():
    for torch in (chainrule, oracle):
        w = torch.ones(3, requires_grad=True)
        with torch.no_grad():
            w -= 0.5
            w[0] = 9
        assert w.is_leaf and w.requires_grad and w.tolist() == [9, 0.5, 0.5]


LARGE = {
    "of what is saved by it": lambda torch, x: torch.nn.functional.hardtanh_(x * 2, 0, 1.5).add_(x),
    "whose result is saved by it": lambda torch, x: torch.relu_(x * 2),
    "of nothing saved": lambda torch, x: (x * 2).add_(x).mul_(3),
    "of a view": lambda torch, x: (x * 2).view(-1).relu_().reshape(x.shape),
    "with a view": lambda torch, x: [y := x * 2, v := y[0], y.relu_(), y + v][-1],
    "of what cannot be written": lambda torch, x: [y := x * 2, y.mul_(torch.ones(128)), y.relu_()][-1],
}


@pytest.mark.parametrize("name", LARGE)
def test_large_tensors(name):
    """Their memory is exchanged, not written over, where nobody can see that."""
    found = []
    for torch in (chainrule, oracle):
        x = torch.linspace(-2, 2, 1 << 14).reshape(128, 128).requires_grad_()
        y = LARGE[name](torch, x)
        (y * y).sum().backward()
        found.append((y.detach().numpy(), x.grad.numpy(), y._version))
    assert (found[0][0] == found[1][0]).all() and (found[0][1] == found[1][1]).all() and found[0][2] == found[1][2]


def test_large_tensors_that_somebody_sees_are_written_over():
    for torch in (chainrule, oracle):
        y = torch.linspace(-2, 2, 1 << 14, requires_grad=True) * 2
        seen, detached = y.detach().numpy(), y.detach()
        y.relu_()
        assert (seen >= 0).all() and (detached >= 0).all() and y._version == detached._version == 1


def test_changing_what_an_in_place_op_saved():
    for torch in (chainrule, oracle):
        y = torch.linspace(-2, 2, 1 << 14, requires_grad=True) * 2
        y.relu_()
        y.add_(1)
        with pytest.raises(RuntimeError, match="is at version 2; expected version 1"):
            y.sum().backward()
