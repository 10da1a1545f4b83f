"""Shapes, views, joining, splitting and placing: each expression under both libraries gives the same."""

import warnings

import numpy as np
import pytest
import torch as oracle

import chainrule

VALUES = {
    "s": np.array(2.5),
    "v": np.array([1.0, -2.0, 3.0, 0.5, 4.0, -1.0]),
    "m": np.arange(9.0).reshape(3, 3) / 4 - 1,
    "x": np.sin(np.arange(24.0)).reshape(2, 3, 4),
    "o": np.cos(np.arange(10.0)).reshape(1, 5, 1, 2),
    "e": np.zeros((2, 0, 3)),
    "z": np.arange(6.0).reshape(2, 3) * (1 - 2j) + 1j,
}

# Differentiable expressions: value, dtype, strides, view or not, node, first and second derivatives
EXPRESSIONS = """
x.view(6, 4); x.view((4, -1)); x.view(-1); s.view(1, 1); e.view(0, 5); x.transpose(0, 1).view(3, 2, 2, 2); x.view_as(x.flatten())
x.reshape(6, 4); x.transpose(0, 2).reshape(-1); x.reshape(2, 12); torch.reshape(x, (4, 6)); m.t().reshape_as(v.repeat(2)[:9]); x.flatten()
x.flatten(1); x.flatten(0, 1); s.flatten(); x.transpose(0, 2).flatten(); x.ravel(); x.mT.ravel(); x.unflatten(2, (2, -1))
torch.unflatten(v, 0, (2, 3)); o.squeeze(); o.squeeze(0); o.squeeze(-2); o.squeeze(1); o.squeeze((0, 2)); s.squeeze(0); x.unsqueeze(0)
x.unsqueeze(-1); x.transpose(0, 1).unsqueeze(1); s.unsqueeze(0); e.unsqueeze(1); x.transpose(0, 1); x.swapaxes(-1, 0); x.swapdims(1, 2)
m.t(); v.t(); m.T; x.mT; z.H; z.mH; x.adjoint(); z.adjoint(); x.permute(2, 0, 1); x.permute((0, -1, 1)); s.permute(()); x.movedim(0, -1)
x.movedim((0, 2), (1, 0)); torch.moveaxis(x, 2, 0); s.expand(2, 3); v.expand(4, 6); o.expand(3, -1, 2, 2); v.expand(1, 6); x.expand_as(x)
v.broadcast_to((2, 6)); m[:, :1].expand(3, 2); torch.broadcast_tensors(m, v[:3])[1]; torch.broadcast_tensors(x, s)[0]; v.repeat(2)
v.repeat(3, 2); x.repeat(1, 2, 3); s.repeat(2, 2); v.repeat(0); v.tile(2); x.tile((2, 1)); torch.tile(v, (2, 2)); v.repeat_interleave(3)
x.repeat_interleave(2, 1); s.repeat_interleave(2); m.repeat_interleave(torch.tensor([0, 2, 1]), 0)
m.repeat_interleave(torch.tensor([2]), 1); torch.cat([m, m * 2]); torch.cat((x, x), -1); torch.cat([v, v[:0], v])
torch.cat([x, v[:0]], 1); torch.concat([v, v]); torch.concatenate([v, v], axis=0); torch.cat([m, m.to(torch.float32)])
torch.stack([v, v * v]); torch.stack([m, m], -1); torch.stack([s, s]); torch.hstack([v, v]); torch.hstack([m, m]); torch.hstack((s, s))
torch.vstack([v, v]); torch.vstack([m, v[:3]]); torch.row_stack([v, v]); torch.dstack([v, v]); torch.dstack([m, m])
torch.column_stack([v, v]); torch.column_stack([v[:3], m]); torch.block_diag(m, v, s); torch.block_diag(v); x.split(2, 1)
x.split([1, 2], 1)[1]; torch.split(v, 4)[1]; v.split_with_sizes((2, 4))[0]; torch.unsafe_split(v, 4); v.unsafe_split_with_sizes((1, 5))[1]
v.chunk(4); x.chunk(2, -1)[1]; torch.unsafe_chunk(v, 2)[1]; v.tensor_split(4); v.tensor_split((1, -2))[1]; x.tensor_split(3, dim=1)[2]
v.tensor_split(torch.tensor([2, 3]))[1]; v.hsplit(3); x.hsplit((1,))[1]; x.vsplit(2)[1]; x.dsplit(2)[0]; x.unbind(); x.unbind(-1)[3]
m.unbind(1); x.select(1, -1); v.select(0, 2); x.narrow(2, 1, 2); v.narrow(0, -2, 2); v.narrow(0, torch.tensor(1), 3)
v.narrow_copy(0, 1, 2); m.diagonal(); x.diagonal(1, 0, 2); x.diagonal(-1, dim1=-1, dim2=1); m.diag(); m.diag(-1); v.diag(); v.diag(2)
v.diag(-1); v.diag_embed(); m.diag_embed(1, 0, 2); m.diag_embed(-2, 2, 0); m.diagflat(1); s.diagflat(); m.as_strided((2, 2), (1, 2), 1)
v.as_strided((3, 3), (1, 1)); torch.as_strided(v[2:], (2,), (2,)); torch.as_strided(v[2:], (2,), (2,), 0); v.unfold(0, 2, 1)
v.unfold(0, 4, 1); v.unfold(0, 2, 3); x.unfold(1, 2, 1); x.unfold(-1, 4, 2); s.unfold(0, 1, 1); torch.unfold_copy(v, 0, 3, 2); v.flip(0)
x.flip(0, 2); x.flip((-1,)); m.fliplr(); m.flipud(); v.roll(2); x.roll(-1, 1); x.roll((1, 2), (0, 2)); m.roll(4); m.rot90(); m.rot90(2)
m.rot90(-1); x.rot90(1, (0, 2)); m.rot90(4); m.tril(); m.triu(1); x.tril(-1); x.triu(); z.tril(1)
torch.meshgrid(v, m[0], indexing="ij")[1]; torch.meshgrid(v, m[0], indexing="xy")[0]; torch.cartesian_prod(v, m[0])
torch.cartesian_prod(v); torch.combinations(v); torch.combinations(v, 3, True); torch.atleast_1d(s); torch.atleast_2d(v)
torch.atleast_3d(s); torch.atleast_3d(v); torch.atleast_3d(m); torch.atleast_2d(s, v, x)[1]; z.real; z.imag; torch.view_as_real(z)
torch.view_as_complex(torch.view_as_real(z)); torch.view_as_complex(m[:, :2].clone()); x.contiguous(); x.mT.contiguous()
o.contiguous(memory_format=torch.channels_last); x.clone(); x.mT.clone(); v.expand(2, 6).clone()
o.clone(memory_format=torch.channels_last); x.mT.clone(memory_format=torch.contiguous_format); torch.constant_pad_nd(m, (1, 2))
torch.constant_pad_nd(x, (1, -1, 0, 2), 7.5); torch.constant_pad_nd(m, (-1, -1, -1, 0)); torch.constant_pad_nd(v, ())
torch.select_scatter(m, v[:3], 1, -1); torch.slice_scatter(m, m[:2] * 2, 0, 0, None, 2); torch.diagonal_scatter(m, v[:2], 1)
m.slice_scatter(v[:3].unsqueeze(0), 0, -1); m.sum_to_size(1, 3); m.sum_to_size(3, 1); m.sum_to_size(()); m.sum_to_size(3, 3)
m.sum_to_size(3); torch.fill(m, 3); torch.fill(m, s); torch.view_copy(x, (6, 4)); torch.transpose_copy(x, 0, 1)
torch.permute_copy(x, (0, 2, 1)); torch.expand_copy(v, (2, 6)); torch.squeeze_copy(o); torch.unsqueeze_copy(x, 0)
torch.select_copy(x, 0, 0); torch.slice_copy(v, 0, 1, None, 2); torch.diagonal_copy(m); torch.t_copy(m)
torch.as_strided_copy(v, (2, 2), (1, 2)); torch.alias_copy(v); torch.unbind_copy(m)[1]; torch.split_copy(v, 4)[1]
torch.view_as_real_copy(z); torch.split_with_sizes_copy(v, (2, 4))[0]
"""

# What has no derivative
PLAIN = """
x.size(); x.size(-1); x.stride(); x.mT.stride(); x.stride(1); x.dim(); x.ndimension(); x.numel(); e.nelement()
x.select(0, 1).storage_offset(); x.is_contiguous(); x.mT.is_contiguous(); o.is_contiguous(memory_format=torch.channels_last)
torch.numel(x); x.is_same_size(v); v.is_set_to(v.view(6)); torch.broadcast_shapes((2, 1), (3,), 1); torch.broadcast_shapes()
torch.broadcast_shapes(4); torch.tril_indices(3, 4, 1); torch.triu_indices(4, 3, -1); torch.tril_indices(2, 2, dtype=torch.int32)
torch.triu_indices(0, 3); torch.arange(4).view(2, 2).tril(); torch.tensor([True, False]).repeat(2)
torch.repeat_interleave(torch.tensor([1, 0, 2])); torch.combinations(torch.arange(3), 0); torch.vander(torch.tensor([1, 2, 3]))
torch.vander(v.detach(), 4); torch.vander(v[:3].detach(), increasing=True); torch.block_diag(); x.detach().view(torch.int64).shape
x.detach().view(torch.float32).shape; torch.ones(4, dtype=torch.uint8).view(torch.int32)
torch.ones(2, 4, dtype=torch.int16).view(torch.int64).shape; torch.constant_pad_nd(torch.ones(2, dtype=torch.int32), (1, 1), 2.5)
torch.cat([torch.ones(1), torch.ones(1, dtype=torch.int64), torch.ones(1, dtype=torch.complex64)])
torch.cat([torch.tensor([True]), torch.tensor([2])]); torch.fill(torch.arange(3), 2.5); torch.arange(3).fill_(torch.tensor(2.7))
torch.zeros(2, 3).copy_(torch.arange(3)); torch.ones(3).copy_(2); torch.zeros(3, dtype=torch.int32).copy_(torch.tensor([1.9, -1.9, 3]))
torch.ones(3).expand(2, 3).zero_(); torch.ones(2, 2).T.contiguous().stride(); torch.arange(6).resize_(2, 2)
torch.arange(6).view(2, 3).t().resize_(5); torch.arange(4).resize_(1, 2).stride(); torch.ones(2).resize_as_(x).shape
torch.ones(2, 3).t_().stride(); torch.ones(1, 3).squeeze_().shape; torch.ones(3).unsqueeze_(0).shape
torch.ones(2, 3, 4).transpose_(0, 2).shape; torch.ones(2, 3).swapaxes_(0, 1).shape; torch.ones(3).set_(torch.zeros(2, 2))
torch.ones(3).set_(); o.dim_order(); x.mT.dim_order(); torch.arange(6).as_strided_((2, 2), (1, 3))
torch.ones(2, 3, 4).swapdims_(0, 2).stride()
"""

ERRORS = """
x.view(5); x.view(-1, -1); x.view(-2, 3); e.view(0, -1); x.mT.view(24); s.view(torch.float32); x.mT.view(torch.int32)
v[:5].view(torch.complex128); x.reshape(7); torch.reshape([1], (1,)); x.flatten(1, 0); x.flatten(3); x.unflatten(1, (2, 2))
x.unflatten(1, ()); x.unflatten(1, 3); x.squeeze((0, 0)); x.squeeze(3); x.unsqueeze(5); x.expand(3, 3, 4); x.expand(3); v.expand(-1, 6)
v.broadcast_to((4,)); torch.broadcast_shapes((2,), (3,)); torch.broadcast_shapes((-1,)); torch.broadcast_tensors(m, v); x.transpose(0, 3)
torch.transpose(x, 0, 1.0); x.t(); x.permute(0, 1); x.permute(0, 0, 1); x.permute(0, 1, 3); x.movedim((0, 0), (0, 1))
x.movedim((0, 1), (1, 1)); v.mT; x.H; v.H; v.mH; v.adjoint(); v.repeat(); x.repeat(2); v.repeat(-1); v.repeat_interleave(-1)
v.repeat_interleave(torch.tensor([1, 2]), 0); v.repeat_interleave(2, 1); torch.cat([]); torch.cat([s, s]); torch.cat([m, v])
torch.cat([m, x[0]]); torch.cat([m, 1]); torch.cat(m); torch.cat([m, m], 2); torch.stack([]); torch.stack([m, v]); torch.stack([m], 3)
torch.hstack([]); torch.vstack([v, s]); torch.column_stack([v, m]); torch.block_diag(x); x.split(-1); x.split(0); s.split(1)
x.split([1, 2]); x.split([3, -1]); x.split(2.0); v.chunk(0); s.chunk(1); v.chunk(2, 1); v.tensor_split(0); s.tensor_split(1)
v.tensor_split(torch.tensor(2.0)); s.hsplit(1); v.hsplit(4); v.vsplit(1); x.vsplit(3); m.dsplit(1); s.unbind(); x.unbind(3)
x.select(3, 0); x.select(0, 2); s.select(0, 0); x.narrow(0, 0, 3); x.narrow(0, 3, 1); x.narrow(0, 0, -1); s.narrow(0, 0, 1)
v.narrow(0, s, 1); m.diagonal(0, 0, 0); m.diagonal(0, 0, 2); v.diagonal(); x.diag(); s.diag(); v.diag_embed(1, 0, 0); s.diag_embed()
v.unfold(0, 7, 1); v.unfold(0, 2, 0); v.unfold(0, -1, 1); s.unfold(0, 2, 1); v.as_strided((2, 2), (1,)); v.as_strided((2,), (-1,))
v.as_strided((7,), (1,)); v.as_strided((1,), (1,), -1); x.flip(0, 0); x.flip(3); v.fliplr(); s.flipud(); x.roll((1, 2), 0)
x.roll(1, (0, 1)); x.roll((), ()); x.roll(1, 3); m.rot90(1, (0,)); m.rot90(1, (0, 0)); v.rot90(); v.tril(); torch.tril_indices(-1, 2)
torch.tril_indices(2, 2, dtype=torch.float32); torch.meshgrid(v, v, indexing="ji"); torch.meshgrid(indexing="ij")
torch.cartesian_prod(v, m); torch.combinations(m); torch.combinations(v, -1); torch.vander(m); torch.vander(v, -1); torch.view_as_real(x)
torch.view_as_complex(x); torch.view_as_complex(s); torch.view_as_complex(x[..., :2][..., 1:])
torch.view_as_complex(torch.ones(2, 3)[:, :2]); torch.view_as_complex(torch.ones(2, 2).t()); torch.constant_pad_nd(m, (1,))
torch.constant_pad_nd(v, (1,) * 4); torch.constant_pad_nd(v, (-4, -4)); torch.select_scatter(m, v, 0, 0)
torch.slice_scatter(m, v, 0, 0, 1); torch.slice_scatter(m, m, 0, 0, 1, 0); torch.diagonal_scatter(m, v); x.size(3); s.stride(0)
x.resize_(3); x.sum_to_size(5, 4); x.as_subclass(int); x.set_(x); x.detach().copy_(v); v.detach().copy_(m[:2])
v.detach().fill_(v.detach()); v.t_(); torch.ones(3).expand(2, 3).copy_(m[:2]); torch.ones(3).expand(2, 3).add_(1); (x * 1)[0].detach_()
x.contiguous(memory_format=torch.channels_last); torch.arange(2).fill_(1e20); torch.ones(2).fill_(1j)
"""


def items(text: str) -> list[str]:
    return [part.strip() for line in text.strip().splitlines() for part in line.split("; ")]


def scope(torch, tracked: bool) -> dict:
    """The named values as tensors of one library."""
    return {"torch": torch} | {name: torch.tensor(value).requires_grad_(tracked) for name, value in VALUES.items()}


def evaluate(torch, expression: str, tracked: bool):
    names = scope(torch, tracked)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval(expression, names), [names[name] for name in VALUES]


def differentiate(torch, result, inputs) -> list:
    """First and second derivatives of a function of the result that is not linear."""
    parts = [r for r in as_tuple(result) if r.requires_grad]
    total = sum([(r.abs() ** 3 * torch.arange(1.0, r.numel() + 1, dtype=torch.float64).reshape(r.shape)).sum() for r in parts])
    first = torch.autograd.grad(total, inputs, create_graph=True, allow_unused=True)
    used = [g.abs() ** 2 for g in first if g is not None and g.requires_grad]
    second = torch.autograd.grad(sum([g.sum() for g in used]), inputs, allow_unused=True) if used else [None] * len(inputs)
    return [0 if g is None else g.detach().resolve_conj().numpy() for g in (*first, *second)]


def as_tuple(result) -> tuple:
    return result if isinstance(result, tuple) else (result,)


def described(result) -> list:
    """All of a result that can be compared at once."""
    parts = as_tuple(result)
    return [(str(r.dtype), tuple(r.shape), type(r.grad_fn).__name__, r.numel() and tuple(r.stride()), r._is_view()) for r in parts]


# A conjugate is a lazy view in PyTorch and a copy here
LAZY = {"z.H", "z.mH", "z.adjoint()"}


@pytest.mark.parametrize("expression", items(EXPRESSIONS))
def test_expression(expression: str):
    expected, inputs = evaluate(oracle, expression, True)
    got, our_inputs = evaluate(chainrule, expression, True)
    if expression in LAZY:
        assert type(got.grad_fn).__name__ == type(expected.grad_fn).__name__
    else:
        assert described(got) == described(expected)
    for g, e in zip(as_tuple(got), as_tuple(expected), strict=True):
        np.testing.assert_array_equal(g.detach().numpy(), e.detach().resolve_conj().numpy())
    if as_tuple(expected)[0].requires_grad:
        for g, e in zip(differentiate(chainrule, got, our_inputs), differentiate(oracle, expected, inputs), strict=True):
            np.testing.assert_allclose(g, e, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("expression", items(PLAIN))
def test_plain(expression: str):
    expected, got = evaluate(oracle, expression, False)[0], evaluate(chainrule, expression, False)[0]
    assert repr(got) == repr(expected)


@pytest.mark.parametrize("expression", items(ERRORS))
def test_error(expression: str):
    caught = []
    for torch in (oracle, chainrule):
        with pytest.raises((RuntimeError, TypeError, IndexError, ValueError)) as error:
            evaluate(torch, expression, True)
        caught.append((type(error.value).__name__, str(error.value)))
    if "invalid combination" in caught[0][1]:
        assert caught[1][0] == caught[0][0]
    else:
        assert caught[1] == caught[0]


# Writing through views and bases: w is a (2, 3) tensor that requires grad; the last expression is what is compared
SCRIPTS = """
y = w.reshape(6) * 1; u = y.unfold(0, 3, 1); y.mul_(2); u
y = w.reshape(6) * 1; u = y.unfold(0, 2, 2); u.mul_(3); y, u
y = w * 1; u = y.select(0, 0); y.t_(); u.mul_(2); y, u
y = w * 1; u = y.select(0, 1); u.unsqueeze_(0); u.mul_(2); y, u
y = w * 1; y.transpose_(0, 1); y.mul_(w.t()); y
y = (w * 1).unsqueeze(1); y.squeeze_(1); y.mul_(2); y
y = w * 1; u = y.as_strided((2, 2), (1, 2), 1); u.mul_(2); y, u
y = w * 1; u = y.as_strided((2, 3), (1, 1), 1); y.mul_(w); u
y = w * 1; y.as_strided_((2, 2), (1, 2), 1); y.mul_(2); y
y = w.mm(w.t()); y.diagonal().copy_(w.select(1, 0)); y
y = w * 1; a, b = y.split(1); a.mul_(2); y
y = w * 1; a, b = y.chunk(2); y.mul_(2); a, b
y = w * 1; a, b = y.tensor_split(2); a.mul_(2); y
y = w * 1; a, b = y.unsafe_chunk(2); a.mul_(2); a, b, y
y = w * 1; y.narrow(1, 0, 2).zero_(); y
y = w * 1; y.fill_(2.0); y = y + w; y
y = w * 1; y.fill_(w[0, 1]); y
y = torch.zeros(3, 2, 3, dtype=torch.float32); y.copy_(w); y
y = torch.zeros(2, 3); y[0].copy_(w[1]); y
y = torch.stack([w, w * 2], -1); u = torch.view_as_complex(y); u.mul_(2j); y
y = w * 1; u = torch.view_as_real(torch.complex(y, y * 2)); u.select(-1, 0).mul_(y); u * 1
y = w * 1; y.t().reshape(6).mul_(3); y
y = w * 1; y.view(torch.int64).add_(0); y
y = w * 1; u = y.permute(1, 0).unsqueeze(0); u.exp_(); y, u
y = w[0] * 1; u = y.expand(4, 3); y.mul_(2); u
y = w[0] * 1; u = y.expand(1, 3); u.mul_(2); y
y = w[0] * 1; y.expand(4, 3).mul_(2); y
y = w * w; y.detach().mul_(2); y
y = w * w; y.detach_(); y = y * w; y
y = w * 1; u = y.view(6).view(3, 2).select(1, 0); u.add_(1); y.flatten(), u
y = w * 1; y.tril_().triu_(); y
w.t().mul_(2); w
w.t_(); w
"""


@pytest.mark.parametrize("script", SCRIPTS.strip().splitlines())
def test_writes(script: str):
    *steps, last = script.split("; ")
    outcomes = []
    for torch in (oracle, chainrule):
        w = torch.arange(1.0, 7.0, dtype=torch.float64).reshape(2, 3).requires_grad_()
        names = {"torch": torch, "w": w}
        try:
            exec("; ".join(steps), names)
            results = as_tuple(eval(last, names))
            sum([(r * r).sum() for r in results]).backward()
            outcomes.append(([r.tolist() for r in results], w.grad.tolist(), [type(r.grad_fn).__name__ for r in results]))
        except RuntimeError as error:
            outcomes.append(str(error).partition("Hint")[0])
    assert outcomes[1] == outcomes[0]


def test_memory_is_shared():
    base = chainrule.arange(24.0).reshape(2, 3, 4)
    views = [base.view(6, 4), base.mT, base.permute(2, 0, 1), base[0], base.expand(2, 2, 3, 4), base.unfold(2, 2, 1), base.detach()]
    views += [*base.split(1), *base.unbind(1), base.diagonal(), base.narrow(2, 1, 2), base.as_strided((2,), (5,), 3), base.flatten()]
    assert all([np.shares_memory(v.numpy(), base.numpy()) for v in views])
    version = base._version
    views[1].add_(1)
    assert {v._version for v in views} == {version + 1}


def test_a_view_keeps_no_cycle():
    import gc
    import weakref

    gc.disable()
    try:
        x = chainrule.ones(3, requires_grad=True)
        y = (x * 2).view(3, 1).expand(3, 4)
        gone = weakref.ref(y._base)
        del y
        assert gone() is None
    finally:
        gc.enable()


def test_windows_of_any_memory():
    a = np.arange(24.0).reshape(2, 3, 4)
    for array in (a, a.transpose(2, 0, 1), np.asfortranarray(a), a[:, 1:, ::2], np.frombuffer(a.tobytes()).reshape(4, 6)[1:]):
        t, o = chainrule.from_numpy(array.copy(order="K"))[1:], oracle.from_numpy(array.copy(order="K"))[1:]
        assert t.storage_offset() == o.storage_offset() and t.stride() == o.stride()
        np.testing.assert_array_equal(t.expand(2, *t.shape).numpy(), o.expand(2, *o.shape).numpy())
        np.testing.assert_array_equal(t.unfold(-1, 2, 1).numpy(), o.unfold(-1, 2, 1).numpy())
        np.testing.assert_array_equal(t.as_strided((2, 2), (1, 2), 1).numpy(), o.as_strided((2, 2), (1, 2), 1).numpy())
