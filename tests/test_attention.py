"""`nn.attention`: which ways are allowed, and flex_attention with functions for scores and masks, as in PyTorch."""

import importlib
import warnings

import pytest
from both import agree, cases

import chainrule


def flex_of(torch):
    return importlib.import_module(f"{torch.__name__}.nn.attention.flex_attention")


def inputs(torch, heads=2):
    """Queries (2, 2, 5, 4), keys and values (2, heads, 6, 4)."""
    wave = lambda *shape: torch.sin(torch.arange(float(torch.empty(shape).numel())) * 1.7).view(shape)
    return wave(2, 2, 5, 4), wave(2, heads, 6, 4) + 0.1, wave(2, heads, 6, 4).cos()


def attended(torch, heads=2, mask=None, **options):
    """The result and the logarithms of the sums; here their gradients are checked as well, which PyTorch does not have on a CPU."""
    warnings.simplefilter("ignore")  # PyTorch says that it was not compiled
    flex = flex_of(torch)
    q, k, v = inputs(torch, heads)
    block = None if mask is None else flex.create_block_mask(mask, None, None, 5, 6, device="cpu")
    attend = lambda q, k, v: flex.flex_attention(q, k, v, block_mask=block, return_lse=True, **options)
    if torch is chainrule:
        pick = (lambda y: y) if mask is None else (lambda y: y[0])  # the logarithm of no sum at all has no derivative
        torch.autograd.gradcheck(lambda *v: pick(attend(*v)), [t.double().requires_grad_() for t in (q, k, v)], fast_mode=True)
    return attend(q, k, v)


def causal(b, h, q, k):
    return q >= k


MODS = {
    "plain": lambda t: attended(t),
    "scale": lambda t: attended(t, scale=0.3),
    "alibi": lambda t: attended(t, score_mod=lambda s, b, h, q, k: s - (q - k) * 0.2 * (h + 1)),
    "captured": lambda t: (lambda bias: attended(t, score_mod=lambda s, b, h, q, k: s + bias[q, k] * (b + 1)))(t.eye(6)),
    "softcap": lambda t: attended(t, score_mod=lambda s, b, h, q, k: 2 * t.tanh(s / 2)),
    "masked score": lambda t: attended(t, score_mod=lambda s, b, h, q, k: t.where(q >= k, s, -float("inf"))),
    "causal": lambda t: attended(t, mask=causal),
    "nothing seen": lambda t: attended(t, mask=lambda b, h, q, k: q > k),
    "documents": lambda t: (lambda ids: attended(t, mask=lambda b, h, q, k: ids[q] == ids[k]))(t.tensor([0, 0, 1, 1, 2, 2])),
    "both": lambda t: attended(t, mask=flex_of(t).and_masks(causal, lambda b, h, q, k: q - k < 3)),
    "either": lambda t: attended(t, mask=flex_of(t).or_masks(causal, lambda b, h, q, k: k == 5)),
    "grouped": lambda t: attended(t, heads=1, enable_gqa=True),
}


@cases(MODS)
def test_flex_attention(program):
    agree(program)


def masks(torch):
    flex = flex_of(torch)
    block = flex.create_block_mask(causal, 2, None, 384, 256, device="cpu")
    return flex.create_mask(causal, None, 2, 3, 4, device="cpu"), block.to_dense(), block.sparsity(), tuple(block.shape), block.seq_lengths


def of_two_types(torch):
    warnings.simplefilter("ignore")
    q, k, v = inputs(torch)
    return flex_of(torch).flex_attention(q, k.double(), v.double())


WRONG = {
    "heads": lambda t: attended(t, heads=1),
    "dimensions": lambda t: flex_of(t).flex_attention(*[x[0] for x in inputs(t)]),
}


@cases([masks, of_two_types])
def test_masks(program):
    agree(program)


def test_what_flex_attention_gives_beside_its_result():
    flex, (q, k, v) = flex_of(chainrule), inputs(chainrule)
    scores = q @ k.mT / 2
    y, aux = flex.flex_attention(q, k, v, return_aux=flex.AuxRequest(lse=True, max_scores=True))
    assert (aux.lse == scores.logsumexp(-1)).all() and (aux.max_scores == scores.amax(-1)).all() and y.shape == q.shape
    assert flex.flex_attention(q, k, v, return_aux=flex.AuxRequest())[1] == (None, None)


@cases(WRONG)
def test_flex_attention_refuses(program):
    agree(program)


# Which ways are allowed


def attention(torch, allowed):
    kernels = importlib.import_module(f"{torch.__name__}.nn.attention")
    x = torch.arange(24.0).view(1, 2, 3, 4) / 10
    backend = lambda name: getattr(kernels.SDPBackend, name, 7)
    chosen = [backend(name) for name in allowed] if isinstance(allowed, list) else backend(allowed)
    with kernels.sdpa_kernel(chosen):
        inside = [getattr(torch.backends.cuda, f"{way}_sdp_enabled")() for way in ("math", "flash", "cudnn", "mem_efficient")]
        y = torch.nn.functional.scaled_dot_product_attention(x, x, x)
    return inside, y, torch.backends.cuda.math_sdp_enabled(), str(kernels.SDPBackend.MATH), int(kernels.SDPBackend.OVERRIDEABLE)


ALLOWED = ["MATH", "FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION", "ERROR", [], ["MATH", "CUDNN_ATTENTION"], "nothing"]


@pytest.mark.parametrize("allowed", ALLOWED, ids=str)
def test_attention_is_computed_where_a_way_is_allowed(allowed):
    agree(lambda torch: attention(torch, allowed))


def test_ways_of_attention_can_be_switched_off():
    def program(torch):
        before = torch.backends.cuda.math_sdp_enabled()
        torch.backends.cuda.enable_math_sdp(False)
        inside = torch.backends.cuda.math_sdp_enabled()
        torch.backends.cuda.enable_math_sdp(True)
        return before, inside, torch.backends.cuda.mem_efficient_sdp_enabled()

    agree(program)
