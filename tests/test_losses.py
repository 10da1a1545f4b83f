"""The losses of `nn.functional` against PyTorch: every reduction, first and second derivatives, targets of all kinds, errors."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as T

import chainrule
import chainrule.nn.functional as F

pytestmark = pytest.mark.filterwarnings("ignore:reduction. 'mean' divides", "ignore:Using a target size", "ignore:size_average")
TENSOR = {torch: torch.tensor, chainrule: chainrule.tensor}
rng = np.random.default_rng(1)
A, B, P, Q = rng.standard_normal((4, 5)), rng.standard_normal((4, 5)), rng.random((4, 5)), rng.random((4, 5))
SIGNS = np.where(A * B > 0, 1.0, -1.0)
CLASSES, WEIGHT = np.array([1, 4, 0, 2]), rng.random(5) + 0.5
IMAGES, PLACES = rng.standard_normal((2, 5, 3, 4)), rng.integers(0, 5, (2, 3, 4))


def compare(call, *arrays, second=True, rtol=1e-9):
    """Values, gradients of the floating arrays and, of these, gradients again, in both libraries."""
    found = []
    for lib, f in ((torch, T), (chainrule, F)):
        inputs = [TENSOR[lib](a) for a in arrays]
        leaves = [t.requires_grad_(True) for t in inputs if t.is_floating_point()]
        y = call(f, *inputs)
        first = lib.autograd.grad((y * y).sum(), leaves, create_graph=second, allow_unused=True)
        results = [y, *first]
        if second:
            total = sum((g * g).sum() for g in first if g is not None)
            results += lib.autograd.grad(total, leaves, allow_unused=True)
        found.append([None if r is None else r.detach().numpy() for r in results])
    for want, got in zip(*found, strict=True):
        if want is None or got is None:
            assert want is got or not np.any(want if got is None else got)
            continue
        assert want.shape == got.shape and want.dtype == got.dtype
        np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-10)


PAIRED = {
    "mse_loss": (lambda f, a, b, r: f.mse_loss(a, b, reduction=r), A, B),
    "l1_loss": (lambda f, a, b, r: f.l1_loss(a, b, reduction=r), A, B),
    "smooth_l1_loss": (lambda f, a, b, r: f.smooth_l1_loss(a, b, reduction=r, beta=0.8), A, B),
    "smooth_l1_loss beta 0": (lambda f, a, b, r: f.smooth_l1_loss(a, b, reduction=r, beta=0.0), A, B),
    "huber_loss": (lambda f, a, b, r: f.huber_loss(a, b, reduction=r, delta=0.8), A, B),
    "binary_cross_entropy": (lambda f, a, b, r: f.binary_cross_entropy(a, b, reduction=r), P, Q),
    "binary_cross_entropy weight": (lambda f, a, b, r: f.binary_cross_entropy(a, b, b.detach()[0] + 1, reduction=r), P, Q),
    "with_logits": (lambda f, a, b, r: f.binary_cross_entropy_with_logits(a, b, reduction=r), A, Q),
    "with_logits weights": (
        lambda f, a, b, r: f.binary_cross_entropy_with_logits(a, b, b.detach()[0] + 1, reduction=r, pos_weight=b.detach()[1] * 3), A, Q
    ),
    "kl_div": (lambda f, a, b, r: f.kl_div(a, b, reduction=r), A, P),
    "kl_div log_target": (lambda f, a, b, r: f.kl_div(a, b, reduction=r, log_target=True), A, B),
    "poisson_nll_loss": (lambda f, a, b, r: f.poisson_nll_loss(a, b, reduction=r, full=True), A, P * 3),
    "poisson_nll_loss plain": (lambda f, a, b, r: f.poisson_nll_loss(a, b, log_input=False, reduction=r), P, Q),
    "gaussian_nll_loss": (lambda f, a, b, r: f.gaussian_nll_loss(a, a * b, b + 0.1, True, reduction=r), A, P),
    "soft_margin_loss": (lambda f, a, r: f.soft_margin_loss(a, a.detach().sign() * -1, reduction=r), A),
    "multilabel_soft_margin_loss": (lambda f, a, b, r: f.multilabel_soft_margin_loss(a, b, b.detach()[0], reduction=r), A, Q),
    "hinge_embedding_loss": (lambda f, a, r: f.hinge_embedding_loss(a, a.detach().sign(), 0.4, reduction=r), A),
    "margin_ranking_loss": (lambda f, a, b, r: f.margin_ranking_loss(a, b, a.detach().sign(), 0.3, reduction=r), A, B),
    "cosine_embedding_loss": (lambda f, a, b, r: f.cosine_embedding_loss(a, b, a.detach()[:, 0].sign(), 0.1, reduction=r), A, B),
    "triplet_margin_loss": (lambda f, a, b, r: f.triplet_margin_loss(a, b, a * 2 - b, swap=True, p=3, reduction=r), A, B),
}  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", PAIRED)
def test_element_losses(name, reduction):
    call, *arrays = PAIRED[name]
    compare(lambda f, *inputs: call(f, *inputs, reduction), *arrays)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("ignore", [-100, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_classes(reduction, smoothing, ignore, weighted):
    for a, target in ((A, CLASSES), (IMAGES, PLACES), (A[0], CLASSES[0]), (IMAGES[:, :, 0], PLACES[:, 0])):

        def call(f, x, t):
            weight = (torch if f is T else chainrule).tensor(WEIGHT) if weighted else None
            return f.cross_entropy(x, t, weight, ignore_index=ignore, reduction=reduction, label_smoothing=smoothing)

        compare(call, a, np.asarray(target))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_of_probabilities(reduction):
    compare(lambda f, a, p: f.cross_entropy(a, f.softmax(p, 1), reduction=reduction, label_smoothing=0.1), IMAGES, IMAGES[::-1].copy())
    compare(lambda f, a, p: f.cross_entropy(a, p, p.detach()[0] + 1, reduction=reduction), A, P)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_eager_cross_entropy_is_the_general_one(dtype):
    x = chainrule.tensor(A).to(getattr(chainrule, dtype)).requires_grad_(True)
    target = chainrule.tensor(CLASSES)
    fast = F.cross_entropy(x, target)
    with chainrule.enable_grad():
        slow = F.nll_loss(F.log_softmax(x, 1), target)
    assert [type(n.grad_fn).__name__ for n in (fast, slow)] == ["NllLossBackward0"] * 2
    assert type(fast.grad_fn.next_functions[0][0]).__name__ == "LogSoftmaxBackward0"
    assert fast.dtype == x.dtype and chainrule.allclose(fast, slow)
    grads = []
    for loss in (fast, slow):
        (g,) = chainrule.autograd.grad(loss, x, create_graph=True)
        (h,) = chainrule.autograd.grad((g * g).sum(), x)
        (plain,) = chainrule.autograd.grad(F.cross_entropy(x, target), x)
        assert chainrule.equal(g.detach(), plain) or chainrule.allclose(g.detach(), plain)
        grads.append((g.detach(), h))
    assert all(chainrule.allclose(u, v) for u, v in zip(*grads, strict=True))


def test_cross_entropy_refuses_a_target_changed_in_place():
    x, target = chainrule.tensor(A).requires_grad_(True), chainrule.tensor(CLASSES)
    loss = F.cross_entropy(x, target)
    target.add_(0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_bytes_and_empty_batches():
    compare(lambda f, a, t: f.cross_entropy(a, t), A, CLASSES.astype(np.uint8))
    for reduction, empty in (("mean", "nan"), ("sum", "0.0")):
        assert str(F.cross_entropy(chainrule.zeros(0, 3), chainrule.zeros(0).long(), reduction=reduction).item()) in (empty, f"-{empty}")
    assert np.isnan(F.cross_entropy(chainrule.tensor(A), chainrule.full((4,), -100)).item())


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("p", [1, 2])
def test_class_margins(reduction, p):
    weight = lambda f: (torch if f is T else chainrule).tensor(WEIGHT)
    compare(lambda f, a, t: f.multi_margin_loss(a, t, p, 0.7, weight(f), reduction=reduction), A, CLASSES, second=False)
    listed = np.array([[1, 3, -1, 0, 0], [4, -1, -1, -1, -1], [-1] * 5, [0, 1, 2, 3, 4]])
    compare(lambda f, a, t: f.multilabel_margin_loss(a, t, reduction=reduction), A, listed, second=False)
    compare(lambda f, a, t: f.multi_margin_loss(a, t, p, reduction=reduction), A[0], CLASSES[0], second=False)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("flat", [False, True])
def test_ctc(reduction, flat):
    logits = rng.standard_normal((9, 3, 5))
    targets = np.array([[1, 2, 2, 0], [3, 3, 3, 3], [4, 0, 0, 0]])
    sizes, spans = np.array([3, 4, 1]), np.array([9, 6, 4])  # the second does not fit: 4 equal labels take 7 steps
    given = np.concatenate([t[:k] for t, k in zip(targets, sizes, strict=True)]) if flat else targets
    for zero in (True, False):
        if not zero and reduction != "none":
            continue

        def call(f, x, t, zero=zero):
            lib = torch if f is T else chainrule
            loss = f.ctc_loss(f.log_softmax(x, 2), t, lib.tensor(spans), lib.tensor(sizes), reduction=reduction, zero_infinity=zero)
            return loss if zero else loss[::2]

        compare(call, logits, given, second=False)


def test_triplet_with_a_distance_of_ones_own():
    compare(lambda f, a, b: f.triplet_margin_with_distance_loss(a, b, a * b, distance_function=lambda x, y: (x - y).abs().sum(-1)), A, B)


def test_linear_cross_entropy():
    weight = rng.standard_normal((3, 5))
    compare(lambda f, a, w, t: f.linear_cross_entropy(a, w, t, label_smoothing=0.1), A, weight, CLASSES % 3)


@pytest.mark.parametrize("size_average", [None, True, False])
@pytest.mark.parametrize("reduce", [None, True, False])
def test_the_old_reduction_arguments(size_average, reduce):
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "kl_div"):
        results = []
        for lib, f in ((torch, T), (chainrule, F)):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                y = getattr(f, name)(TENSOR[lib](A), TENSOR[lib](P), size_average=size_average, reduce=reduce)
            results.append((y.numpy(), [str(w.message) for w in caught]))
        np.testing.assert_allclose(results[1][0], results[0][0])
        assert results[1][1] == results[0][1]


ERRORS = {
    "reduction": lambda f, x, t: f.mse_loss(x, x, reduction="foo"),
    "mse shapes": lambda f, x, t: f.mse_loss(x, x[:, :4]),
    "mse type": lambda f, x, t: f.mse_loss(t, t),
    "smooth beta": lambda f, x, t: f.smooth_l1_loss(x, x, beta=-1.0),
    "huber delta": lambda f, x, t: f.huber_loss(x, x, delta=0.0),
    "cross_entropy bounds": lambda f, x, t: f.cross_entropy(x, t + 9),
    "cross_entropy negative": lambda f, x, t: f.cross_entropy(x, t - 9),
    "cross_entropy batch": lambda f, x, t: f.cross_entropy(x, t[:3]),
    "cross_entropy int": lambda f, x, t: f.cross_entropy(x, t.int()),
    "cross_entropy float": lambda f, x, t: f.cross_entropy(x, t.float()),
    "cross_entropy weight": lambda f, x, t: f.cross_entropy(x, t, x[0, :4]),
    "cross_entropy weight type": lambda f, x, t: f.cross_entropy(x, t, x[0].float()),
    "cross_entropy smoothing": lambda f, x, t: f.cross_entropy(x, t, label_smoothing=1.1),
    "cross_entropy reduction": lambda f, x, t: f.cross_entropy(x, t, reduction="foo"),
    "cross_entropy integers": lambda f, x, t: f.cross_entropy(x.long(), t),
    "cross_entropy ignore": lambda f, x, t: f.cross_entropy(x, x, ignore_index=2),
    "cross_entropy list": lambda f, x, t: f.cross_entropy(x, [1, 2]),
    "cross_entropy image": lambda f, x, t: f.cross_entropy(x[:, :, None, None], t),
    "nll scalar": lambda f, x, t: f.nll_loss(x[0, 0], t[0]),
    "nll size": lambda f, x, t: f.nll_loss(x[:, :, None], t[:, None].repeat(1, 2)),
    "bce sizes": lambda f, x, t: f.binary_cross_entropy(x, x[0]),
    "bce range": lambda f, x, t: f.binary_cross_entropy(x * 9, x),
    "logits sizes": lambda f, x, t: f.binary_cross_entropy_with_logits(x, x[0]),
    "gaussian": lambda f, x, t: f.gaussian_nll_loss(x, x, -x * x),
    "gaussian size": lambda f, x, t: f.gaussian_nll_loss(x, x, (x * x)[:2]),
    "margin_ranking": lambda f, x, t: f.margin_ranking_loss(x, x, t),
    "cosine": lambda f, x, t: f.cosine_embedding_loss(x, x, x),
    "multi_margin p": lambda f, x, t: f.multi_margin_loss(x, t, p=3),
    "multi_margin range": lambda f, x, t: f.multi_margin_loss(x, t + 9),
    "triplet margin": lambda f, x, t: f.triplet_margin_loss(x, x, x, margin=0.0),
    "triplet dimensions": lambda f, x, t: f.triplet_margin_loss(x, x, x[0]),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    raised = []
    for lib, f in ((torch, T), (chainrule, F)):
        with pytest.raises(Exception) as info:
            ERRORS[name](f, TENSOR[lib](A), TENSOR[lib](CLASSES))
        raised.append((type(info.value).__name__, str(info.value)))
    assert raised[1][0] == raised[0][0] and raised[1][1].startswith(raised[0][1])


# Linear maps and their cross entropy in parts


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_linear_cross_entropy_in_parts(reduction):
    draw = np.random.default_rng(0).standard_normal
    x, w, b = draw((8, 5)), draw((7, 5)), draw(7)
    classes, weight = chainrule.tensor([0, 1, 2, 3, 4, 5, 6, -100]), chainrule.tensor(np.abs(draw(7)))
    options = chainrule.nn.LinearCrossEntropyOptions(batch_chunk_size=3)

    def loss(x, w, b, options=options):
        return F.linear_cross_entropy(x, w, classes, linear_bias=b, weight=weight, reduction=reduction, options=options)

    inputs = [chainrule.tensor(v, requires_grad=True) for v in (x, w, b)]
    assert chainrule.autograd.gradcheck(loss, inputs) and chainrule.autograd.gradgradcheck(loss, inputs)
    np.testing.assert_allclose(loss(*inputs).detach().numpy(), loss(*inputs, options=None).detach().numpy(), rtol=1e-12)
