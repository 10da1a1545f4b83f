"""`nn.functional` against PyTorch: values, first and second derivatives, node names, random streams, in-place forms and errors.

`test_opdb.py` feeds PyTorch's own samples to the same functions; here is what those leave out.
"""

import warnings
from itertools import zip_longest

import numpy as np
import pytest
import torch
import torch.nn.functional as T

import chainrule
import chainrule.nn.functional as F

TENSOR = {torch: torch.tensor, chainrule: chainrule.tensor}


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def both(call, *arrays, dtype="float64", grad=True):
    """call(functions, *tensors) in each library: values, gradients, and gradients of a function of the gradients."""
    found = []
    for lib, functions in ((torch, T), (chainrule, F)):
        inputs = [TENSOR[lib](a) for a in arrays]
        tracked = [i for i, a in enumerate(arrays) if a.dtype.kind in "fc"] if grad else []
        for i in tracked:
            inputs[i] = inputs[i].to(getattr(lib, dtype)).requires_grad_(True)
        y = call(functions, *inputs)
        results = [y]
        leaves = [inputs[i] for i in tracked]
        if leaves:
            weight = TENSOR[lib](np.cos(np.arange(int(np.prod(y.shape)))).reshape(tuple(y.shape))).to(y.dtype)
            first = lib.autograd.grad((y * weight).sum(), leaves, create_graph=True)
            results += first
            total = sum((g * g).sum() for g in first)
            if total.requires_grad:
                results += [g for g in lib.autograd.grad(total, leaves, allow_unused=True) if g is not None]
        found.append([r.detach().numpy() if dtype != "bfloat16" else r.detach().float().numpy() for r in results])
    return found


def agree(call, *arrays, rtol=1e-7, atol=1e-9, **options):
    want, got = both(call, *arrays, **options)
    for w, g in zip_longest(want, got):  # PyTorch gives zeros where a second derivative is none
        assert g is None or (w.shape == g.shape and w.dtype == g.dtype)
        np.testing.assert_allclose(np.zeros_like(w) if g is None else g, w, rtol=rtol, atol=atol)


SMOOTH = {
    "linear": (lambda f, x, w, b: f.linear(x, w, b), [(4, 5), (3, 5), (3,)]),
    "linear 3-D": (lambda f, x, w, b: f.linear(x, w, b), [(2, 4, 5), (3, 5), (3,)]),
    "linear vector": (lambda f, x, w: f.linear(x, w), [(5,), (3, 5)]),
    "bilinear": (lambda f, x, y, w, b: f.bilinear(x, y, w, b), [(2, 3, 4), (2, 3, 5), (6, 4, 5), (6,)]),
    "conv1d": (lambda f, x, w, b: f.conv1d(x, w, b, stride=2, padding=1), [(2, 4, 9), (6, 4, 3), (6,)]),
    "conv2d groups": (lambda f, x, w, b: f.conv2d(x, w, b, 2, 1, groups=2), [(3, 4, 7, 6), (6, 2, 3, 2), (6,)]),
    "conv2d dilated": (lambda f, x, w: f.conv2d(x, w, None, 1, (2, 0), (2, 1)), [(2, 3, 7, 6), (4, 3, 3, 2)]),
    "conv2d same": (lambda f, x, w: f.conv2d(x, w, padding="same"), [(2, 3, 5, 6), (4, 3, 2, 3)]),
    "conv2d unbatched": (lambda f, x, w: f.conv2d(x, w), [(3, 5, 6), (4, 3, 2, 3)]),
    "conv3d": (lambda f, x, w, b: f.conv3d(x, w, b, padding=1), [(2, 2, 3, 4, 3), (3, 2, 2, 2, 2), (3,)]),
    "conv_transpose1d": (lambda f, x, w: f.conv_transpose1d(x, w, stride=3, output_padding=2, padding=1), [(2, 4, 5), (4, 3, 3)]),
    "conv_transpose2d": (lambda f, x, w, b: f.conv_transpose2d(x, w, b, 2, 1, 1, 2), [(2, 4, 4, 3), (4, 3, 3, 3), (6,)]),
    "conv_tbc": (lambda f, x, w, b: f.conv_tbc(x, w, b, 1), [(5, 2, 3), (2, 3, 4), (4,)]),
    "unfold": (lambda f, x: f.unfold(x, (2, 3), 1, (1, 0), 2), [(2, 3, 6, 5)]),
    "fold": (lambda f, x: f.fold(x, (4, 5), (2, 3), padding=(1, 0)), [(2, 12, 15)]),
    "batch_norm": (lambda f, x, w, b: f.batch_norm(x, None, None, w, b, True), [(4, 3, 5), (3,), (3,)]),
    "layer_norm": (lambda f, x, w, b: f.layer_norm(x, (3, 5), w, b), [(4, 3, 5), (3, 5), (3, 5)]),
    "group_norm": (lambda f, x, w, b: f.group_norm(x, 2, w, b), [(3, 4, 5), (4,), (4,)]),
    "instance_norm": (lambda f, x, w, b: f.instance_norm(x, weight=w, bias=b), [(3, 4, 5), (4,), (4,)]),
    "rms_norm": (lambda f, x, w: f.rms_norm(x, (5,), w), [(3, 5), (5,)]),
    "local_response_norm": (lambda f, x: f.local_response_norm(x, 3), [(2, 5, 4, 3)]),
    "normalize": (lambda f, x: f.normalize(x, 3.0, 0), [(4, 3)]),
    "softmax": (lambda f, x: f.softmax(x, 1), [(3, 4, 2)]),
    "log_softmax": (lambda f, x: f.log_softmax(x, -1), [(3, 4)]),
    "gelu": (lambda f, x: f.gelu(x), [(7,)]),
    "gelu tanh": (lambda f, x: f.gelu(x, approximate="tanh"), [(7,)]),
    "silu": (lambda f, x: f.silu(x), [(7,)]),
    "mish": (lambda f, x: f.mish(x), [(7,)]),
    "elu": (lambda f, x: f.elu(x, 0.7), [(7,)]),
    "celu": (lambda f, x: f.celu(x, 0.7), [(7,)]),
    "selu": (lambda f, x: f.selu(x), [(7,)]),
    "softplus": (lambda f, x: f.softplus(x, 2.0, 1.0), [(7,)]),
    "glu": (lambda f, x: f.glu(x, 0), [(4, 3)]),
    "prelu": (lambda f, x, w: f.prelu(x, w), [(2, 3, 4), (3,)]),
    "hardswish": (lambda f, x: f.hardswish(x * 3), [(7,)]),
    "tanhshrink": (lambda f, x: f.tanhshrink(x), [(7,)]),
    "avg_pool2d": (lambda f, x: f.avg_pool2d(x, (3, 2), 2, 1, True, False), [(2, 3, 6, 5)]),
    "max_pool2d": (lambda f, x: f.max_pool2d(x, 3, 2, 1, 1, True), [(2, 3, 6, 7)]),
    "max_pool1d": (lambda f, x: f.max_pool1d(x, 3, 1, dilation=2), [(2, 3, 9)]),
    "lp_pool1d": (lambda f, x: f.lp_pool1d(x * x + 1, 3, 2), [(2, 3, 9)]),
    "lp_pool2d": (lambda f, x: f.lp_pool2d(x, 2, (2, 3)), [(2, 3, 6, 6)]),
    "lp_pool3d": (lambda f, x: f.lp_pool3d(x, float("inf"), 2), [(2, 3, 4, 4, 4)]),
    "adaptive_avg_pool2d": (lambda f, x: f.adaptive_avg_pool2d(x, (4, None)), [(2, 3, 6, 5)]),
    "adaptive_max_pool2d": (lambda f, x: f.adaptive_max_pool2d(x, (4, 3)), [(2, 3, 6, 5)]),
    "pad": (lambda f, x: f.pad(x, (1, -1, 2, 0), value=2.5), [(2, 3, 4)]),
    "pad reflect": (lambda f, x: f.pad(x, (2, 1, 1, 2), "reflect"), [(2, 3, 4, 5)]),
    "pad replicate": (lambda f, x: f.pad(x, (2, 5), "replicate"), [(2, 3, 4)]),
    "pad circular": (lambda f, x: f.pad(x, (2, 1, 1, 2), "circular"), [(2, 3, 4, 5)]),
    "interpolate bicubic": (lambda f, x: f.interpolate(x, scale_factor=1.7, mode="bicubic"), [(1, 2, 4, 5)]),
    "interpolate antialias": (lambda f, x: f.interpolate(x, (3, 4), mode="bilinear", antialias=True), [(1, 2, 7, 9)]),
    "interpolate lanczos": (lambda f, x: f.interpolate(x, (3, 4), mode="lanczos", antialias=True), [(1, 2, 9, 9)]),
    "interpolate nearest": (lambda f, x: f.interpolate(x, (3, 7)), [(1, 2, 4, 5)]),
    "pixel_shuffle": (lambda f, x: f.pixel_shuffle(x, 2), [(2, 8, 2, 3)]),
    "cosine_similarity": (lambda f, x, y: f.cosine_similarity(x, y, -1), [(3, 4), (4,)]),
    "pairwise_distance": (lambda f, x, y: f.pairwise_distance(x, y, 3.0), [(3, 4), (3, 4)]),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_values_and_derivatives(name):
    call, shapes = SMOOTH[name]
    agree(call, *[draw(*s, seed=i) for i, s in enumerate(shapes)])


@pytest.mark.parametrize("p", [0, 1, 1.5, 2, float("inf")])
def test_pdist(p):
    x = draw(4, 3)
    grads = []
    for lib, f in ((torch, T), (chainrule, F)):
        t = TENSOR[lib](x).requires_grad_(True)
        f.pdist(t, p).sum().backward()
        grads.append(t.grad.numpy())
    np.testing.assert_allclose(grads[1], grads[0], rtol=1e-9, atol=1e-12)
    chainrule.autograd.gradgradcheck(lambda t: F.pdist(t, 3.0), [chainrule.tensor(x).requires_grad_(True)])


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align", [False, True])
def test_grid_sample(mode, padding, align):
    image, grid = draw(2, 3, 5, 4), draw(2, 3, 4, 2, seed=1)
    grads = []
    for lib, f in ((torch, T), (chainrule, F)):
        a, g = (TENSOR[lib](v).requires_grad_(True) for v in (image, grid))
        y = f.grid_sample(a, g, mode, padding, align)
        (y * y).sum().backward()
        grads.append([y.detach().numpy(), a.grad.numpy(), np.zeros_like(grid) if g.grad is None else g.grad.numpy()])
    for got, want in zip(grads[1], grads[0], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-10)


def test_affine_grid():
    for size in ((2, 3, 4, 5), (2, 3, 4, 5, 2)):
        d = len(size) - 2
        for align in (False, True):
            agree(lambda f, t, size=size, align=align: f.affine_grid(t, size, align), draw(2, d, d + 1))


NODES = {
    "linear": ("AddmmBackward0", lambda f, x: f.linear(x, x, x[:, 0])),
    "relu": ("ReluBackward0", lambda f, x: f.relu(x)),
    "cross_entropy": ("NllLossBackward0", lambda f, x: f.cross_entropy(x, x.detach().argmax(1))),
    "conv2d": ("ConvolutionBackward0", lambda f, x: f.conv2d(x[None, None], x[None, None])),
    "max_pool2d": ("MaxPool2DWithIndicesBackward0", lambda f, x: f.max_pool2d(x[None], 2)),
    "batch_norm": ("NativeBatchNormBackward0", lambda f, x: f.batch_norm(x, None, None, training=True)),
    "layer_norm": ("NativeLayerNormBackward0", lambda f, x: f.layer_norm(x, (4,))),
    "group_norm": ("NativeGroupNormBackward0", lambda f, x: f.group_norm(x, 2)),
    "dropout": ("MulBackward0", lambda f, x: f.dropout(x)),
    "embedding": ("EmbeddingBackward0", lambda f, x: f.embedding(x.detach().argmax(1), x)),
    "softmax": ("SoftmaxBackward0", lambda f, x: f.softmax(x, 1)),
    "mse_loss": ("MseLossBackward0", lambda f, x: f.mse_loss(x, x.detach())),
    "gelu": ("GeluBackward0", lambda f, x: f.gelu(x)),
    "hardtanh": ("HardtanhBackward0", lambda f, x: f.relu6(x)),
    "pad": ("ConstantPadNdBackward0", lambda f, x: f.pad(x, (1, 1))),
    "reflect": ("ReflectionPad1DBackward0", lambda f, x: f.pad(x, (1, 1), "reflect")),
    "unfold": ("Im2ColBackward0", lambda f, x: f.unfold(x[None, None], 2)),
    "interpolate": ("UpsampleBilinear2DBackward0", lambda f, x: f.interpolate(x[None, None], 2, mode="bilinear")),
}


@pytest.mark.parametrize("name", NODES)
def test_node_names(name):
    node, call = NODES[name]
    for lib, f in ((torch, T), (chainrule, F)):
        y = call(f, TENSOR[lib](draw(4, 4)).requires_grad_(True))
        assert type(y.grad_fn).__name__ == node


RANDOM = {
    "dropout": lambda f, x: f.dropout(x, 0.3),
    "dropout1d": lambda f, x: f.dropout1d(x, 0.3),
    "dropout2d": lambda f, x: f.dropout2d(x[None], 0.3),
    "dropout3d": lambda f, x: f.dropout3d(x[None], 0.3),
    "alpha_dropout": lambda f, x: f.alpha_dropout(x, 0.3, True),
    "feature_alpha_dropout": lambda f, x: f.feature_alpha_dropout(x, 0.3, True),
    "rrelu": lambda f, x: f.rrelu(x, training=True),
    "gumbel_softmax": lambda f, x: f.gumbel_softmax(x),
    "gumbel_softmax hard": lambda f, x: f.gumbel_softmax(x, hard=True),
    "fractional_max_pool2d": lambda f, x: f.fractional_max_pool2d(x, 2, output_ratio=(0.6, 0.5)),
    "fractional_max_pool3d": lambda f, x: f.fractional_max_pool3d(x[None], (2, 1, 2), output_size=(3, 4, 3)),
    "attention": lambda f, x: f.scaled_dot_product_attention(x, x, x, dropout_p=0.4),
}


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_random_streams(name, dtype):
    x = draw(6, 7, 8)
    found = []
    for lib, f in ((torch, T), (chainrule, F)):
        lib.manual_seed(7)
        t = TENSOR[lib](x).to(getattr(lib, dtype))
        found.append([RANDOM[name](f, t).numpy(), lib.rand(3).numpy()])
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=2e-6, atol=1e-6)
    np.testing.assert_array_equal(found[1][1], found[0][1])  # as many numbers were drawn


def test_batch_norm_moves_running_statistics():
    x = draw(4, 3, 5).astype(np.float32)
    states = []
    for lib, f in ((torch, T), (chainrule, F)):
        mean, var = lib.zeros(3), lib.ones(3)
        t = TENSOR[lib](x)
        y = f.batch_norm(t, mean, var, training=True, momentum=0.3)
        z = f.batch_norm(t, mean, var)
        w = f.instance_norm(t, mean, var, momentum=0.5)
        states.append([v.numpy() for v in (mean, var, y, z, w)])
    for got, want in zip(states[1], states[0], strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    "name", ["relu", "elu", "hardtanh", "leaky_relu", "selu", "celu", "relu6", "silu", "mish", "hardswish", "hardsigmoid"]
)
def test_inplace(name):
    x = chainrule.tensor(draw(5)).requires_grad_(True)
    y = x * 2
    plain = getattr(F, name)(x * 2)
    assert getattr(F, name)(y, inplace=True) is y
    assert chainrule.equal(y, plain)
    y.sum().backward()
    first, x.grad = x.grad, None
    plain.sum().backward()
    assert chainrule.allclose(first, x.grad)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    "name", ["linear", "conv2d groups", "batch_norm", "layer_norm", "softmax", "gelu", "elu", "max_pool2d", "avg_pool2d"]
)
def test_half_precision(name, dtype):
    call, shapes = SMOOTH[name]
    found = []
    for lib, f in ((torch, T), (chainrule, F)):
        inputs = [TENSOR[lib](draw(*s, seed=i)).to(getattr(lib, dtype)).requires_grad_(True) for i, s in enumerate(shapes)]
        y = call(f, *inputs)
        y.sum().backward()
        assert str(y.dtype) == str(inputs[0].grad.dtype) == f"torch.{dtype}"
        found.append([y.detach().float().numpy(), inputs[0].grad.float().numpy()])
    for got, want in zip(found[1], found[0], strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-2, atol=4e-2)


def test_embedding_renormalises_in_place_and_skips_padding():
    table, index = draw(5, 3), np.array([[1, 2, 1], [4, 0, 1]])
    found = []
    for lib, f in ((torch, T), (chainrule, F)):
        w, i = TENSOR[lib](table).requires_grad_(True), TENSOR[lib](index)
        y = f.embedding(i, w, 1, 0.5, scale_grad_by_freq=True)
        (y * y).sum().backward()
        found.append([y.detach().numpy(), w.detach().numpy(), w.grad.numpy()])
    for got, want in zip(found[1], found[0], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_embedding_bag(mode):
    table, index, offsets = draw(6, 3), np.array([1, 2, 1, 5, 0, 3]), np.array([0, 2, 2, 6])
    for last in (False, True):
        found = []
        for lib, f in ((torch, T), (chainrule, F)):
            w = TENSOR[lib](table).requires_grad_(True)
            y = f.embedding_bag(TENSOR[lib](index), w, TENSOR[lib](offsets), mode=mode, padding_idx=5, include_last_offset=last)
            (y * y).sum().backward()
            found.append([y.detach().numpy(), w.grad.numpy()])
        for got, want in zip(found[1], found[0], strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9)


def attention_arguments(lib, batched, seed=3):
    def made(*shape):
        nonlocal seed
        seed += 1
        return TENSOR[lib](draw(*shape, seed=seed)).requires_grad_(True)

    n = (2,) if batched else ()
    query, memory = made(4, *n, 6), made(5, *n, 6)
    return query, memory, [made(18, 6), made(18), made(1, 1, 6), made(1, 1, 6)], [made(6, 6), made(6)]


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("need", [True, False])
def test_multi_head_attention(batched, need):
    found = []
    for lib, f in ((torch, T), (chainrule, F)):
        q, m, (w, b, bk, bv), (ow, ob) = attention_arguments(lib, batched)
        mask = TENSOR[lib](np.triu(np.ones((4, 5), bool), 2))
        padding = TENSOR[lib](np.array([[False, False, True, False, False]] * 2)[: 2 if batched else 1])
        padding = padding if batched else padding[0]
        y, weights = f.multi_head_attention_forward(
            q, m, m, 6, 2, w, b, bk, bv, True, 0.0, ow, ob, key_padding_mask=padding, need_weights=need, attn_mask=mask
        )
        (y * y).sum().backward()
        found.append([v.detach().numpy() for v in (y, q.grad, m.grad, w.grad, bk.grad, *([weights] if need else []))])
    for got, want in zip(found[1], found[0], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-12)


def test_attention_of_a_blind_query_is_zero():
    x = chainrule.ones(1, 2, 3)
    y = F.scaled_dot_product_attention(x, x, x, chainrule.tensor([[True, False], [False, False]]))
    assert y.tolist() == [[[1.0] * 3, [0.0] * 3]]


X = draw(4, 5).astype(np.float32)
IMAGE = draw(2, 3, 8, 8).astype(np.float32)
ERRORS = {
    "linear shapes": lambda f, x, im: f.linear(x, x[:, :4]),
    "linear types": lambda f, x, im: f.linear(x, x.double(), x[:, 0]),
    "linear scalars": lambda f, x, im: f.linear(x[0, 0], x),
    "dropout": lambda f, x, im: f.dropout(x, 1.5),
    "dropout1d": lambda f, x, im: f.dropout1d(x[0]),
    "softmax dim": lambda f, x, im: f.softmax(x, 3),
    "softmax type": lambda f, x, im: f.softmax(x.long(), 1),
    "gelu": lambda f, x, im: f.gelu(x, approximate="foo"),
    "gelu type": lambda f, x, im: f.gelu(x.long()),
    "glu": lambda f, x, im: f.glu(x),
    "hardtanh": lambda f, x, im: f.hardtanh(x, 2.0, 1.0),
    "prelu": lambda f, x, im: f.prelu(x, x[:, 0]),
    "rrelu": lambda f, x, im: f.rrelu(x, 0.3, 0.1),
    "softshrink": lambda f, x, im: f.softshrink(x, -1.0),
    "conv channels": lambda f, x, im: f.conv2d(im[:, :2], im),
    "conv dimensions": lambda f, x, im: f.conv2d(x, im),
    "conv kernel": lambda f, x, im: f.conv2d(im[..., :2], im),
    "conv bias": lambda f, x, im: f.conv2d(im, im, x[0]),
    "conv stride": lambda f, x, im: f.conv2d(im, im, stride=0),
    "conv stride count": lambda f, x, im: f.conv2d(im, im, stride=(1, 1, 1)),
    "conv same": lambda f, x, im: f.conv2d(im, im, padding="same", stride=2),
    "conv types": lambda f, x, im: f.conv2d(im.double(), im),
    "conv_transpose": lambda f, x, im: f.conv_transpose2d(im, im),
    "conv_transpose output_padding": lambda f, x, im: f.conv_transpose2d(im[:, :2], im, output_padding=1),
    "max_pool padding": lambda f, x, im: f.max_pool2d(im, 2, padding=2),
    "max_pool size": lambda f, x, im: f.max_pool2d(im, 20),
    "max_pool kernel": lambda f, x, im: f.max_pool2d(im, (2, 2, 2)),
    "max_pool dimensions": lambda f, x, im: f.max_pool2d(x, 2),
    "max_pool1d": lambda f, x, im: f.max_pool1d(x, 9),
    "avg_pool divisor": lambda f, x, im: f.avg_pool2d(im, 2, divisor_override=0),
    "adaptive": lambda f, x, im: f.adaptive_avg_pool2d(im, (1, 2, 3)),
    "unpool": lambda f, x, im: f.max_unpool2d(im, im.long() * 0 + 999, 2),
    "unpool size": lambda f, x, im: f.max_unpool2d(im, im.long() * 0, 2, output_size=(30, 30)),
    "batch_norm one value": lambda f, x, im: f.batch_norm(x[:1], None, None, training=True),
    "batch_norm evaluation": lambda f, x, im: f.batch_norm(x, None, None),
    "batch_norm statistics": lambda f, x, im: f.batch_norm(x, x[:, 0], x[:, 0]),
    "layer_norm": lambda f, x, im: f.layer_norm(x, (4,)),
    "layer_norm int": lambda f, x, im: f.layer_norm(x, 5),
    "group_norm": lambda f, x, im: f.group_norm(im, 2),
    "instance_norm": lambda f, x, im: f.instance_norm(im[:, :, :1, :1]),
    "embedding index": lambda f, x, im: f.embedding(x.long() * 0 + 9, x),
    "embedding type": lambda f, x, im: f.embedding(x, x),
    "embedding padding": lambda f, x, im: f.embedding(x.long() * 0, x, padding_idx=9),
    "embedding_bag": lambda f, x, im: f.embedding_bag(x.long()[0] * 0, x),
    "one_hot": lambda f, x, im: f.one_hot(x),
    "one_hot classes": lambda f, x, im: f.one_hot(x.long() * 0 + 3, 2),
    "interpolate nothing": lambda f, x, im: f.interpolate(im),
    "interpolate mode": lambda f, x, im: f.interpolate(im, 2, mode="linear"),
    "interpolate sizes": lambda f, x, im: f.interpolate(im, (2, 2, 2)),
    "interpolate align": lambda f, x, im: f.interpolate(im, 2, align_corners=True),
    "grid_sample": lambda f, x, im: f.grid_sample(im, im[..., :3], align_corners=False),
    "grid_sample mode": lambda f, x, im: f.grid_sample(im, im, mode="foo"),
    "pixel_shuffle": lambda f, x, im: f.pixel_shuffle(im, 2),
    "channel_shuffle": lambda f, x, im: f.channel_shuffle(im, 2),
    "pad": lambda f, x, im: f.pad(im, (9, 9), "reflect"),
    "pad odd": lambda f, x, im: f.pad(im, (1, 2, 3)),
    "unfold": lambda f, x, im: f.unfold(im, 30),
    "fold": lambda f, x, im: f.fold(im[:, :, 0], (8, 8), 3),
    "pdist": lambda f, x, im: f.pdist(im),
    "attention": lambda f, x, im: f.scaled_dot_product_attention(im, im, im.double()),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    raised = []
    for lib, f in ((torch, T), (chainrule, F)):
        with pytest.raises(Exception) as info:
            ERRORS[name](f, TENSOR[lib](X), TENSOR[lib](IMAGE))
        raised.append((type(info.value).__name__, str(info.value)))
    assert raised[1] == raised[0]


WARNINGS = {
    "softmax": lambda f, x, im: f.softmax(x),
    "dropout2d": lambda f, x, im: f.dropout2d(im[0]),
    "grid_sample": lambda f, x, im: f.grid_sample(im, im[..., :2]),
    "upsample": lambda f, x, im: f.upsample(im, 2),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_warnings(name):
    seen = []
    for lib, f in ((torch, T), (chainrule, F)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            WARNINGS[name](f, TENSOR[lib](X), TENSOR[lib](IMAGE))
        seen.append([(w.category, str(w.message), w.filename) for w in caught])
    assert seen[1] == seen[0] and seen[0]


def test_every_name_of_pytorch_is_there():
    ours, skipped = (
        set(dir(F)),
        {"assert_int_or_pair", "boolean_dispatch", "grouped_mm", "scaled_grouped_mm", "scaled_mm", "handle_torch_function"},
    )
    skipped |= {n for n in dir(T) if n.startswith(("_", "has_torch_function"))}  # PyTorch's own plumbing, and products in 8 bits
    assert {n for n in dir(T) if callable(getattr(T, n)) and n.islower()} - ours <= skipped
