"""Mixed precision: the types that autocast gives, the steps that GradScaler takes, and their warnings, as in PyTorch."""

import warnings

import pytest
from both import agree, cases


def matrices(torch):
    a, b = torch.arange(12.0).view(3, 4) / 7, torch.arange(20.0).view(4, 5) / 9
    return a.requires_grad_(), b.requires_grad_()


PRODUCTS = {
    "@": lambda t, a, b: a @ b, "mm": lambda t, a, b: t.mm(a, b), "method": lambda t, a, b: a.matmul(b),
    "linear": lambda t, a, b: t.nn.functional.linear(a, b.t()), "bmm": lambda t, a, b: t.bmm(a[None], b[None]),
    "addmm": lambda t, a, b: t.addmm(t.zeros(3, 5), a, b), "einsum": lambda t, a, b: t.einsum("ij,jk->ik", a, b),
    "conv": lambda t, a, b: t.nn.functional.conv1d(a[None], t.ones(2, 3, 2)),
    "baddbmm": lambda t, a, b: t.baddbmm(t.zeros(5), a[None], b[None]),
    "attention": lambda t, a, b: t.nn.functional.scaled_dot_product_attention(a, a, a),
    "add": lambda t, a, b: a + 1, "softmax": lambda t, a, b: (a @ b).softmax(-1), "mixed": lambda t, a, b: (a @ b) + t.ones(5),
    "cross entropy": lambda t, a, b: t.nn.functional.cross_entropy(a @ b, t.tensor([1, 2, 0])), "prod": lambda t, a, b: (a @ b).prod(),
    "mse": lambda t, a, b: t.nn.functional.mse_loss(a @ b, t.zeros(3, 5)), "norm": lambda t, a, b: t.linalg.norm(a @ b),
    "cat": lambda t, a, b: t.cat([a @ b, t.zeros(1, 5)]), "float64": lambda t, a, b: a.double() @ b.double(),
    "mha": lambda t, a, b: t.nn.MultiheadAttention(4, 2)(a, a, a)[0] * 0, "lstm": lambda t, a, b: t.nn.LSTM(4, 3)(a)[0] * 0,
    "gru": lambda t, a, b: t.nn.GRU(4, 3, 2, bidirectional=True)(a)[0] * 0, "rnn": lambda t, a, b: t.nn.RNN(4, 3)(a)[0] * 0,
    "encoder": lambda t, a, b: t.nn.TransformerEncoderLayer(4, 2, 8)(a) * 0, "cell": lambda t, a, b: t.nn.GRUCell(4, 3)(a) * 0,
    "off inside": lambda t, a, b: off_inside(t, a, b), "decorated": lambda t, a, b: t.autocast("cpu", enabled=False)(lambda: a @ b)(),
}  # fmt: skip


def off_inside(torch, a, b):
    with torch.autocast("cpu", enabled=False):
        inside = a @ b
    return inside, a @ b, torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(("name", "dtype"), [(n, d) for n in PRODUCTS for d in ("bfloat16", "float16") if (n, d) != ("lstm", "float16")])
def test_types_under_autocast(name, dtype):
    def program(torch):
        a, b = matrices(torch)
        with torch.autocast("cpu", dtype=getattr(torch, dtype)):
            y = PRODUCTS[name](torch, a, b)
        return [v.dtype if isinstance(v, torch.Tensor) else v for v in (y if isinstance(y, tuple) else (y,))], (a @ b).dtype

    agree(program)


def test_gradients_keep_the_type_of_parameters():
    def program(torch):
        a, b = matrices(torch)
        with torch.autocast("cpu"):
            y = a @ b
        y.float().sum().backward()
        return y, a.grad, b.grad

    agree(program)


def scaled_training(torch):
    """A network learns; one gradient overflows on the way."""
    torch.manual_seed(0)
    net = torch.nn.Linear(4, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=2)
    seen = [scaler.state_dict(), scaler.get_scale()]
    warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, of infinity times zero, which is silenced outside of tests
    for step in range(6):
        x = torch.full((3, 4), float("inf") if step == 3 else 0.1 * step)
        loss = net(x).pow(2).mean()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        if step % 2:
            scaler.unscale_(optimizer)
        seen.append((net.weight.grad.clone(), scaler.step(optimizer)))
        scaler.update()
        seen.append((scaler.get_scale(), scaler._get_growth_tracker()))
    scaler.update(8.0)
    seen += [scaler.get_scale(), net.weight.isnan().any(), scaler.is_enabled()]
    other = torch.amp.GradScaler("cpu")
    other.load_state_dict(scaler.state_dict())
    scaled = other.scale([torch.ones(1), (torch.ones(1),)])
    return seen, other.state_dict(), scaled, other.get_growth_factor(), other.get_backoff_factor(), other.get_growth_interval()


def disabled(torch):
    net = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler(enabled=False)
    loss = net(torch.ones(1)).sum()
    same = scaler.scale(loss) is loss
    loss.backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    return same, scaler.state_dict(), scaler.get_scale(), scaler.is_enabled()


def unscaled_twice(torch):
    scaler, optimizer = started(torch)
    scaler.unscale_(optimizer)
    scaler.unscale_(optimizer)


def stepped_twice(torch):
    scaler, optimizer = started(torch)
    scaler.step(optimizer)
    scaler.step(optimizer)


def started(torch):
    p = torch.ones(1, requires_grad=True)
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(p.sum()).backward()
    return scaler, torch.optim.SGD([p], 0.1)


def never_scaled(torch):
    torch.amp.GradScaler("cpu").step(torch.optim.SGD([torch.ones(1, requires_grad=True)], 0.1))


def half_gradients(torch):
    scaler, optimizer = started(torch)
    optimizer.param_groups[0]["params"] = [p := torch.ones(1, dtype=torch.float16, requires_grad=True)]
    p.grad = torch.ones(1, dtype=torch.float16)
    scaler.step(optimizer)


def empty_state(torch):
    torch.amp.GradScaler("cpu").load_state_dict({})


@cases([scaled_training, disabled, unscaled_twice, stepped_twice, never_scaled, half_gradients, empty_state])
def test_scaler(program):
    agree(program)


WARNED = {
    "cuda": lambda t: t.autocast("cuda")._enabled, "cuda off": lambda t: t.autocast("cuda", enabled=False)._enabled,
    "float32": lambda t: t.autocast("cpu", dtype=t.float32)._enabled, "device": lambda t: t.autocast("nothing"),
    "type": lambda t: t.autocast(3), "not callable": lambda t: t.autocast("cpu")(3), "old": lambda t: t.cuda.amp.autocast()._enabled,
    "scaler": lambda t: t.amp.GradScaler().is_enabled(), "old scaler": lambda t: t.cuda.amp.GradScaler(enabled=False).is_enabled(),
    "growth": lambda t: t.amp.GradScaler("cpu", growth_factor=1.0), "backoff": lambda t: t.amp.GradScaler("cpu", backoff_factor=1.0),
    "asked": lambda t: (t.is_autocast_enabled("cpu"), t.get_autocast_dtype("cpu"), t.is_autocast_cache_enabled()),
    "asked of cuda": lambda t: (t.is_autocast_enabled(), t.get_autocast_dtype("cuda")),
    "available": lambda t: [t.amp.is_autocast_available(d) for d in ("cpu", "cuda")],
}  # fmt: skip


@cases(WARNED)
def test_warnings_and_errors(program):
    agree(program)


def custom_function(torch):
    class Product(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
        def forward(ctx, a):
            ctx.save_for_backward(a)
            return a @ a.t()

        @staticmethod
        @torch.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            (a,) = ctx.saved_tensors
            return (g + g.t()) @ a

    a, _ = matrices(torch)
    with torch.autocast("cpu"):
        y = Product.apply(a.bfloat16().float())
        y.sum().backward()
    return y.dtype, a.grad


def test_custom_function():
    agree(custom_function)


def test_state_is_restored_after_an_error():
    import chainrule

    with warnings.catch_warnings(), pytest.raises(RuntimeError, match="inside"), chainrule.autocast("cpu"):
        raise RuntimeError("inside")
    assert not chainrule.is_autocast_enabled("cpu") and (chainrule.ones(2, 2) @ chainrule.ones(2, 2)).dtype is chainrule.float32
