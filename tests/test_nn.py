"""Layers, losses, `nn.init` and `nn.utils` against PyTorch: printed form, first values under a seed, outputs, gradients, state, errors."""

import collections
import copy
import math
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.testing._internal.common_modules import ModuleErrorEnum, module_db

import chainrule
import chainrule.nn

nn = chainrule.nn


def ours(value):
    """A PyTorch value (tensors, modules, whatever holds them) as chainrule's."""
    if isinstance(value, torch.nn.Parameter):
        return nn.Parameter(ours(value.detach()), value.requires_grad)
    if isinstance(value, torch.Tensor):
        return chainrule.from_numpy(value.detach().numpy().copy()).requires_grad_(value.requires_grad)
    if isinstance(value, torch.nn.Module):
        kind = type(value).__name__
        module = object.__new__(getattr(nn, kind, None) or getattr(nn.modules.linear, kind))
        module.__dict__.update({k: ours(v) for k, v in value.__dict__.items()})
        return module
    if isinstance(value, torch.dtype):
        return getattr(chainrule, str(value).removeprefix("torch."))
    if isinstance(value, torch.device):
        return chainrule.device(str(value))
    if isinstance(value, torch.Size):
        return chainrule.Size(value)
    if isinstance(value, torch.nn.utils.rnn.PackedSequence):
        return nn.utils.rnn.PackedSequence(*map(ours, value))
    if isinstance(value, torch.nn.LinearCrossEntropyOptions):
        return nn.LinearCrossEntropyOptions(**{f: ours(getattr(value, f)) for f in value.__slots__})
    if isinstance(value, dict):
        return type(value)((k, ours(v)) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return type(value)(map(ours, value))
    if callable(value) and getattr(value, "__module__", "") in ("torch.nn.functional", "torch._C._nn"):
        return getattr(nn.functional, value.__name__)
    return value


def tensors(value):
    if isinstance(value, (torch.Tensor, chainrule.Tensor)):
        return [value]
    if isinstance(value, (tuple, list)):
        return [t for v in value for t in tensors(v)]
    return [t for v in value.values() for t in tensors(v)] if isinstance(value, dict) else []


def assert_same(mine, theirs, what, tolerance=1e-9):
    assert (mine is None) == (theirs is None), what
    if mine is not None:
        assert repr(mine.dtype) == repr(theirs.dtype) and mine.shape == tuple(theirs.shape), what
        np.testing.assert_allclose(mine.detach().numpy(), theirs.detach().numpy(), tolerance, tolerance, err_msg=what)


def bits(t):
    return np.ascontiguousarray(t.detach().numpy()).tobytes()


def compare(kind, args, kwargs, inputs, keywords, training, tolerance=1e-9, dtype=torch.float64, more=lambda m: None):
    """Build a module in both libraries under a seed, run it both ways, and compare everything that can be seen of it."""
    lazy = kind.startswith("Lazy")
    mine_args, mine_kwargs, mine_inputs, mine_keywords = map(ours, (args, kwargs, inputs, keywords))
    chainrule.manual_seed(1)
    mine = getattr(nn, kind)(*mine_args, **mine_kwargs)
    torch.manual_seed(1)
    theirs = getattr(torch.nn, kind)(*args, **kwargs)
    assert repr(mine) == repr(theirs)
    for (name, a), (other, b) in zip(mine.state_dict().items(), theirs.state_dict().items(), strict=True):
        assert name == other
        assert lazy or bits(a) == bits(b), name
    mine.to(ours(dtype)).train(training)
    theirs.to(dtype).train(training)
    more(mine)
    more(theirs)
    chainrule.manual_seed(2)
    result = mine(*mine_inputs, **mine_keywords)
    torch.manual_seed(2)
    expected = theirs(*inputs, **keywords)
    assert repr(mine) == repr(theirs)
    for a, b in zip(tensors(result), tensors(expected), strict=True):
        assert_same(a, b, "output", tolerance)
        assert a.requires_grad == b.requires_grad
    leaves = [(a, b) for a, b in zip(tensors(result), tensors(expected), strict=True) if b.requires_grad]
    if leaves:
        weights = [torch.randn_like(b) for _, b in leaves]
        torch.autograd.backward([b for _, b in leaves], weights)
        chainrule.autograd.backward([a for a, _ in leaves], ours(weights))
    for a, b in zip(tensors(mine_inputs) + tensors(mine_keywords), tensors(inputs) + tensors(keywords), strict=True):
        if b.is_leaf:
            assert_same(a.grad, b.grad, "input gradient", tolerance)
    for (name, a), b in zip(mine.named_parameters(), theirs.parameters(), strict=True):
        assert_same(a.grad, b.grad, f"gradient of {name}", tolerance)
    for name, b in theirs.state_dict().items():
        assert_same(mine.state_dict()[name], b, f"{name} after the call", tolerance)


# PyTorch's own module database


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("info", module_db, ids=lambda info: info.module_cls.__name__)
@pytest.mark.filterwarnings("ignore")
def test_module_database(info, training):
    torch.manual_seed(0)
    cases = 0
    for case in info.module_inputs_func(info, device="cpu", dtype=torch.float64, requires_grad=True, training=training):
        if case.forward_input is not None:
            made, given = case.constructor_input, case.forward_input
            compare(info.module_cls.__name__, made.args, made.kwargs, given.args, given.kwargs, training)
            cases += 1
    assert cases


@pytest.mark.parametrize("info", [i for i in module_db if i.module_error_inputs_func], ids=lambda info: info.module_cls.__name__)
def test_module_database_errors(info):
    """What a layer refuses, when made or when called, with which exception and words."""
    for case in info.module_error_inputs_func(info, device="cpu", dtype=torch.float32, requires_grad=False, training=True):
        made, given = case.module_error_input.constructor_input, case.module_error_input.forward_input
        called = case.error_on is ModuleErrorEnum.FORWARD_ERROR
        outcomes = []
        for library, own in ((torch, lambda value: value), (chainrule, ours)):
            with pytest.raises(case.error_type) as raised:
                layer = getattr(library.nn, info.module_cls.__name__)(*own(made.args), **own(made.kwargs))
                if called:
                    layer(*own(given.args), **own(given.kwargs))
            outcomes.append((raised.type, str(raised.value)))
        assert outcomes[0] == outcomes[1]


# What the database leaves out


def rand(*shape):
    return torch.randn(*shape, dtype=torch.float64).requires_grad_()


LAYERS = {
    "conv same": ("Conv2d", (4, 6, 3), {"padding": "same", "dilation": 2}, lambda: (rand(2, 4, 7, 8),)),
    "conv same even": ("Conv1d", (4, 6, 4), {"padding": "same", "padding_mode": "circular"}, lambda: (rand(2, 4, 7),)),
    "conv reflect": ("Conv2d", (4, 6, 3), {"padding": (1, 2), "padding_mode": "reflect", "groups": 2}, lambda: (rand(2, 4, 7, 8),)),
    "conv replicate": ("Conv3d", (2, 3, 2), {"padding": 1, "padding_mode": "replicate", "bias": False}, lambda: (rand(1, 2, 3, 4, 5),)),
    "conv depthwise": ("Conv2d", (4, 8, (3, 2)), {"groups": 4, "stride": (2, 1)}, lambda: (rand(4, 9, 7),)),
    "transposed": (
        "ConvTranspose2d",
        (4, 6, 3),
        {"stride": 2, "output_padding": 1, "groups": 2, "dilation": 2},
        lambda: (rand(2, 4, 3, 5),),
    ),
    "transposed size": ("ConvTranspose2d", (4, 6, 3), {"stride": 2}, lambda: (rand(2, 4, 3, 5), [8, 12])),
    "transposed long size": ("ConvTranspose1d", (4, 6, 3), {"stride": 3}, lambda: (rand(2, 4, 3), [2, 6, 10])),
    "maxpool indices": ("MaxPool2d", (2,), {"return_indices": True, "ceil_mode": True}, lambda: (rand(2, 3, 5, 7),)),
    "avgpool divisor": ("AvgPool2d", (3, 2, 1), {"divisor_override": 5, "count_include_pad": False}, lambda: (rand(2, 3, 5, 7),)),
    "batchnorm average": ("BatchNorm2d", (3,), {"momentum": None}, lambda: (rand(4, 3, 2, 2),)),
    "batchnorm untracked": ("BatchNorm1d", (3,), {"track_running_stats": False, "affine": False}, lambda: (rand(4, 3),)),
    "batchnorm no bias": ("BatchNorm1d", (3,), {"bias": False}, lambda: (rand(4, 3, 5),)),
    "sync batchnorm": ("SyncBatchNorm", (3,), {}, lambda: (rand(4, 3, 5),)),
    "instancenorm": ("InstanceNorm2d", (3,), {"affine": True, "track_running_stats": True}, lambda: (rand(3, 4, 5),)),
    "lazy batchnorm": ("LazyBatchNorm1d", (), {}, lambda: (rand(4, 3, 5),)),
    "lazy instancenorm": ("LazyInstanceNorm2d", (), {"affine": True}, lambda: (rand(4, 3, 5, 2),)),
    "lazy linear": ("LazyLinear", (3,), {}, lambda: (rand(4, 5),)),
    "layernorm": ("LayerNorm", ((2, 3),), {"bias": False}, lambda: (rand(4, 2, 3),)),
    "dropout": ("Dropout", (0.3,), {}, lambda: (rand(20, 20),)),
    "dropout inplace": ("Dropout", (0.3, True), {}, lambda: (rand(20, 20).detach(),)),
    "dropout1d": ("Dropout1d", (), {}, lambda: (rand(5, 20, 3),)),
    "dropout2d": ("Dropout2d", (), {}, lambda: (rand(5, 20, 3, 3),)),
    "dropout3d": ("Dropout3d", (), {}, lambda: (rand(5, 20, 3, 3, 2),)),
    "alpha dropout": ("AlphaDropout", (0.2,), {}, lambda: (rand(20, 20),)),
    "feature alpha dropout": ("FeatureAlphaDropout", (0.2,), {}, lambda: (rand(5, 20, 3),)),
    "rrelu": ("RReLU", (), {}, lambda: (rand(20, 20),)),
    "embedding padding": ("Embedding", (10, 3), {"padding_idx": -1, "norm_type": 1.0}, lambda: (torch.tensor([[1, 9], [9, 2]]),)),
    "embedding norm": ("Embedding", (10, 3), {"max_norm": 1.0, "scale_grad_by_freq": True}, lambda: (torch.tensor([[1, 9], [9, 2]]),)),
    "embedding given": ("Embedding", (2, 3), {"_weight": torch.ones(2, 3), "_freeze": True}, lambda: (torch.tensor([1, 0]),)),
    "flatten": ("Flatten", (0, 1), {}, lambda: (rand(2, 3, 4),)),
    "unflatten": ("Unflatten", (1, (2, -1)), {}, lambda: (rand(3, 4),)),
    "unfold": ("Unfold", ((2, 3),), {"padding": 1, "stride": 2}, lambda: (rand(2, 3, 5, 6),)),
    "fold": ("Fold", ((4, 5), (2, 2)), {}, lambda: (rand(2, 12, 12),)),
    "upsample nearest": ("Upsample", (), {"scale_factor": 2}, lambda: (rand(1, 2, 3, 3),)),
    "upsample bilinear": ("Upsample", ((5, 7),), {"mode": "bilinear"}, lambda: (rand(1, 2, 3, 3),)),
    "upsampling nearest": ("UpsamplingNearest2d", (), {"scale_factor": 3}, lambda: (rand(1, 2, 3, 3),)),
    "upsampling bilinear": ("UpsamplingBilinear2d", ((4, 4),), {}, lambda: (rand(1, 2, 3, 3),)),
    "pixel shuffle": ("PixelShuffle", (2,), {}, lambda: (rand(1, 8, 3, 3),)),
    "pixel unshuffle": ("PixelUnshuffle", (2,), {}, lambda: (rand(1, 2, 4, 6),)),
    "channel shuffle": ("ChannelShuffle", (2,), {}, lambda: (rand(1, 4, 2, 2),)),
    "cosine": ("CosineSimilarity", (0,), {}, lambda: (rand(4, 5), rand(4, 5))),
    "pairwise": ("PairwiseDistance", (3,), {"keepdim": True}, lambda: (rand(4, 5), rand(4, 5))),
    "softmax2d": ("Softmax2d", (), {}, lambda: (rand(2, 3, 2, 2),)),
    "adaptive softmax": ("AdaptiveLogSoftmaxWithLoss", (8, 10, [2, 5]), {}, lambda: (rand(6, 8), torch.tensor([0, 1, 4, 9, 7, 3]))),
    "adaptive softmax one": ("AdaptiveLogSoftmaxWithLoss", (8, 10, [2, 5]), {"head_bias": True}, lambda: (rand(8), torch.tensor(6))),
    "rnn relu layers": ("RNN", (3, 4, 2, "relu"), {"bidirectional": True, "dropout": 0.5}, lambda: (rand(5, 2, 3), rand(4, 2, 4))),
    "lstm": ("LSTM", (3, 4), {"num_layers": 3, "bidirectional": True, "batch_first": True, "dropout": 0.4}, lambda: (rand(2, 5, 3),)),
    "lstm projected": (
        "LSTM",
        (3, 4),
        {"proj_size": 2, "num_layers": 2, "bias": False},
        lambda: (rand(5, 2, 3), (rand(2, 2, 2), rand(2, 2, 4))),
    ),
    "lstm projected both": ("LSTM", (3, 4), {"proj_size": 2, "bidirectional": True}, lambda: (rand(5, 3),)),
    "gru": ("GRU", (3, 4), {"num_layers": 2, "bias": False, "bidirectional": True}, lambda: (rand(5, 2, 3), rand(4, 2, 4))),
    "gru one sample": ("GRU", (3, 4), {}, lambda: (rand(5, 3), rand(1, 4))),
    "rnn cell": ("RNNCell", (3, 4), {"nonlinearity": "relu", "bias": False}, lambda: (rand(2, 3),)),
    "lstm cell": ("LSTMCell", (3, 4), {}, lambda: (rand(2, 3), (rand(2, 4), rand(2, 4)))),
    "gru cell": ("GRUCell", (3, 4), {}, lambda: (rand(3), rand(4))),
    "attention": (
        "MultiheadAttention",
        (8, 2),
        {"dropout": 0.3, "add_bias_kv": True, "add_zero_attn": True, "kdim": 5, "vdim": 6},
        lambda: (rand(4, 3, 8), rand(5, 3, 5), rand(5, 3, 6)),
    ),
    "attention batch first": ("MultiheadAttention", (8, 2), {"batch_first": True}, lambda: (rand(3, 4, 8), rand(3, 5, 8), rand(3, 5, 8))),
    "encoder": (
        "TransformerEncoder",
        (torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2),
        {"norm": torch.nn.LayerNorm(8)},
        lambda: (rand(3, 4, 8),),
    ),
    "decoder": (
        "TransformerDecoder",
        (torch.nn.TransformerDecoderLayer(8, 2, 16, norm_first=True), 2),
        {},
        lambda: (rand(4, 3, 8), rand(5, 3, 8)),
    ),
    "transformer": ("Transformer", (8, 2, 1, 1, 16), {"activation": "gelu", "dropout": 0.2}, lambda: (rand(5, 3, 8), rand(4, 3, 8))),
}


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.filterwarnings("ignore")
def test_layer(name, training):
    kind, args, kwargs, inputs = LAYERS[name]
    compare(kind, copy.deepcopy(args), copy.deepcopy(kwargs), inputs(), {}, training)


def padding_mask():
    return torch.tensor([[False, False, False, True], [False, False, True, True], [False] * 4])


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("mask", ["none", "padding", "causal", "causal bool"])
@pytest.mark.filterwarnings("ignore")
def test_encoder_masks(mask, training):
    causal = torch.nn.Transformer.generate_square_subsequent_mask(4, dtype=torch.float64)
    keywords = {
        "none": {},
        "padding": {"src_key_padding_mask": padding_mask()},
        "causal": {"mask": causal},
        "causal bool": {"mask": causal.isinf()},
    }[mask]
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    compare("TransformerEncoder", (layer, 2), {}, (rand(3, 4, 8),), keywords, training)
    with torch.no_grad(), chainrule.no_grad():  # where PyTorch computes on nested tensors
        compare("TransformerEncoder", (layer, 2), {}, (rand(3, 4, 8),), keywords, training)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("given", [False, True], ids=["zeros", "state"])
@pytest.mark.parametrize("sorted", [False, True], ids=["unsorted", "sorted"])
def test_packed(kind, both, given, sorted):
    lengths = [5, 4, 2] if sorted else [2, 5, 4]
    sequences = [torch.randn(n, 3, dtype=torch.float64) for n in lengths]
    packed = torch.nn.utils.rnn.pack_sequence(sequences, enforce_sorted=sorted)
    packed.data.requires_grad_()
    state = rand(4 if both else 2, 3, 4)
    hx = ((state, rand(*state.shape)) if kind == "LSTM" else state,) if given else ()
    compare(kind, (3, 4, 2), {"bidirectional": both, "dropout": 0.5}, (packed, *hx), {}, True)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
def test_second_derivatives_of_recurrent_layers(kind, both):
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(2, 3, 2, bidirectional=both).double()
    mine = ours(theirs)
    x, weights = rand(4, 2, 2), torch.randn(4, 2, 6 if both else 3, dtype=torch.float64)
    found = []
    for lib, m, v, w in ((torch, theirs, x, weights), (chainrule, mine, ours(x), ours(weights))):
        output, state = m(v)
        last = state[1] if kind == "LSTM" else state
        loss = (output * w).sum() + (last**2).sum()
        inputs = [v, *m.parameters()]
        first = lib.autograd.grad(loss, inputs, create_graph=True)
        found.append(lib.autograd.grad(sum((g**2).sum() for g in first), inputs))
    for a, b in zip(found[1], found[0], strict=True):
        assert_same(a, b, "second derivative")


# Errors

ERRORS = {
    "hardtanh": lambda t, nn: nn.Hardtanh(1, 0),
    "hardtanh renamed": lambda t, nn: nn.Hardtanh(min_value=-2, max_value=2),
    "dropout": lambda t, nn: nn.Dropout(2),
    "conv groups": lambda t, nn: nn.Conv2d(3, 4, 3, groups=2),
    "conv out groups": lambda t, nn: nn.Conv2d(4, 3, 3, groups=2),
    "conv zero groups": lambda t, nn: nn.Conv2d(4, 4, 3, groups=0),
    "conv strided same": lambda t, nn: nn.Conv2d(4, 4, 3, stride=2, padding="same"),
    "conv missing": lambda t, nn: nn.Conv2d(4, 4),
    "transposed mode": lambda t, nn: nn.ConvTranspose2d(4, 4, 3, padding_mode="reflect"),
    "transposed size": lambda t, nn: nn.ConvTranspose2d(4, 4, 3, stride=2)(t.ones(1, 4, 3, 3), [20, 20]),
    "transposed sizes": lambda t, nn: nn.ConvTranspose2d(4, 4, 3, stride=2)(t.ones(1, 4, 3, 3), [20]),
    "lazy conv": lambda t, nn: nn.LazyConv2d(4, 3)(t.ones(3)),
    "lazy groups": lambda t, nn: nn.LazyConv2d(4, 3, groups=2)(t.ones(1, 3, 5, 5)),
    "batchnorm 1d": lambda t, nn: nn.BatchNorm1d(2)(t.ones(1)),
    "batchnorm 2d": lambda t, nn: nn.BatchNorm2d(2)(t.ones(1)),
    "instancenorm 2d": lambda t, nn: nn.InstanceNorm2d(2)(t.ones(1)),
    "instancenorm affine": lambda t, nn: nn.InstanceNorm1d(2, affine=True)(t.ones(1, 3, 4)),
    "instancenorm features": lambda t, nn: nn.InstanceNorm1d(2)(t.ones(1, 3, 4)),
    "groupnorm": lambda t, nn: nn.GroupNorm(2, 3),
    "circular": lambda t, nn: nn.CircularPad2d(1)(t.ones(2)),
    "fractional none": lambda t, nn: nn.FractionalMaxPool2d(2),
    "fractional both": lambda t, nn: nn.FractionalMaxPool2d(2, 3, 0.5),
    "fractional ratio": lambda t, nn: nn.FractionalMaxPool2d(2, output_ratio=1.5),
    "fractional kernel": lambda t, nn: nn.FractionalMaxPool3d(0, 2),
    "embedding padding": lambda t, nn: nn.Embedding(3, 2, padding_idx=5),
    "embedding negative": lambda t, nn: nn.EmbeddingBag(3, 2, padding_idx=-4),
    "embedding weight": lambda t, nn: nn.Embedding(3, 2, _weight=t.ones(2, 2)),
    "embedding pretrained": lambda t, nn: nn.Embedding.from_pretrained(t.ones(2)),
    "unflatten": lambda t, nn: nn.Unflatten(1, 5),
    "unflatten text": lambda t, nn: nn.Unflatten(1, (5, "a")),
    "softmax2d": lambda t, nn: nn.Softmax2d()(t.ones(2)),
    "softmax dim": lambda t, nn: nn.Softmax()(t.ones(2)).tolist(),
    "bilinear": lambda t, nn: nn.Bilinear(0, 1, 1),
    "huber": lambda t, nn: nn.HuberLoss(delta="a"),
    "multimargin p": lambda t, nn: nn.MultiMarginLoss(p=3),
    "multimargin weight": lambda t, nn: nn.MultiMarginLoss(weight=t.ones(1, 1)),
    "triplet": lambda t, nn: nn.TripletMarginLoss(margin=0),
    "triplet distance": lambda t, nn: nn.TripletMarginWithDistanceLoss(margin=0),
    "old reduction": lambda t, nn: nn.MSELoss(size_average=False).reduction,
    "old reduce": lambda t, nn: nn.L1Loss(reduce=False).reduction,
    "nll 2d": lambda t, nn: nn.NLLLoss2d(),
    "loss weight": lambda t, nn: list(nn.CrossEntropyLoss(weight=t.ones(3)).state_dict()),
    "gaussian positional": lambda t, nn: nn.GaussianNLLLoss(True),
    "adaptive empty": lambda t, nn: nn.AdaptiveLogSoftmaxWithLoss(8, 10, []),
    "adaptive order": lambda t, nn: nn.AdaptiveLogSoftmaxWithLoss(8, 10, [5, 2]),
    "adaptive target": lambda t, nn: nn.AdaptiveLogSoftmaxWithLoss(8, 10, [2])(t.ones(2, 8), t.tensor([0, 12])),
    "rnn dropout": lambda t, nn: nn.LSTM(2, 3, dropout=2),
    "rnn unused dropout": lambda t, nn: nn.LSTM(2, 3, dropout=0.5),
    "rnn bias": lambda t, nn: nn.GRU(2, 3, 1, 5),
    "rnn size": lambda t, nn: nn.GRU(2.5, 3),
    "rnn zero": lambda t, nn: nn.GRU(2, 0),
    "rnn layers": lambda t, nn: nn.GRU(2, 3, 0),
    "rnn projection": lambda t, nn: nn.GRU(2, 3, proj_size=1),
    "lstm projection": lambda t, nn: nn.LSTM(2, 3, proj_size=3),
    "rnn nonlinearity": lambda t, nn: nn.RNN(2, 3, nonlinearity="sigmoid"),
    "rnn input rank": lambda t, nn: nn.RNN(2, 3)(t.ones(2)),
    "lstm input rank": lambda t, nn: nn.LSTM(2, 3)(t.ones(2)),
    "rnn features": lambda t, nn: nn.LSTM(2, 3)(t.ones(1, 1, 5)),
    "rnn dtype": lambda t, nn: nn.LSTM(2, 3)(t.ones(1, 1, 2, dtype=t.float64)),
    "rnn state rank": lambda t, nn: nn.GRU(2, 3)(t.ones(1, 1, 2), t.ones(1, 3)),
    "rnn state": lambda t, nn: nn.GRU(2, 3)(t.ones(1, 1, 2), t.ones(1, 2, 3)),
    "lstm state": lambda t, nn: nn.LSTM(2, 3)(t.ones(1, 1, 2), (t.ones(1, 1, 3), t.ones(1, 1, 4))),
    "lstm state rank": lambda t, nn: nn.LSTM(2, 3)(t.ones(1, 1, 2), (t.ones(1, 3), t.ones(1, 3))),
    "cell rank": lambda t, nn: nn.LSTMCell(2, 3)(t.ones(1, 1, 2)),
    "cell features": lambda t, nn: nn.GRUCell(2, 3)(t.ones(1, 5)),
    "cell state": lambda t, nn: nn.GRUCell(2, 3)(t.ones(1, 2), t.ones(1, 5)),
    "cell batch": lambda t, nn: nn.RNNCell(2, 3)(t.ones(1, 2), t.ones(2, 3)),
    "attention heads": lambda t, nn: nn.MultiheadAttention(5, 2),
    "attention zero": lambda t, nn: nn.MultiheadAttention(0, 2),
    "encoder warns": lambda t, nn: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2), 1).use_nested_tensor,
    "transformer activation": lambda t, nn: nn.TransformerEncoderLayer(4, 2, activation="tanh"),
    "transformer batch": lambda t, nn: nn.Transformer(4, 2, 1, 1, 4)(t.ones(2, 3, 4), t.ones(2, 2, 4)),
    "transformer features": lambda t, nn: nn.Transformer(4, 2, 1, 1, 4)(t.ones(2, 3, 5), t.ones(2, 3, 5)),
    "pack increasing": lambda t, nn: nn.utils.rnn.pack_padded_sequence(t.ones(3, 2), [1, 3]),
    "pack zero": lambda t, nn: nn.utils.rnn.pack_padded_sequence(t.ones(3, 2), [1, 0]),
    "pack count": lambda t, nn: nn.utils.rnn.pack_padded_sequence(t.ones(3, 2), [3]),
    "pad total": lambda t, nn: nn.utils.rnn.pad_packed_sequence(nn.utils.rnn.pack_sequence([t.ones(3)]), total_length=2),
    "pad nothing": lambda t, nn: nn.utils.rnn.pad_sequence([]),
    "pad side": lambda t, nn: nn.utils.rnn.pad_sequence([t.ones(1)], padding_side="top"),
    "pad number": lambda t, nn: nn.utils.rnn.pad_sequence(5),
    "clip nonfinite": lambda t, nn: clip_infinite(t, nn),
    "clip nothing": lambda t, nn: nn.utils.clip_grad_norm_((p for p in ()), 1.0).item(),
    "clip old": lambda t, nn: nn.utils.clip_grad_norm([], 1.0).item(),
    "vector": lambda t, nn: nn.utils.vector_to_parameters(5, []),
    "weight norm twice": lambda t, nn: nn.utils.weight_norm(nn.utils.weight_norm(nn.Linear(1, 1))),
    "weight norm missing": lambda t, nn: nn.utils.remove_weight_norm(nn.Linear(1, 1)),
    "spectral norm twice": lambda t, nn: nn.utils.spectral_norm(nn.utils.spectral_norm(nn.Linear(1, 1))),
    "spectral norm missing": lambda t, nn: nn.utils.remove_spectral_norm(nn.Linear(1, 1)),
    "spectral power": lambda t, nn: nn.utils.parametrizations.spectral_norm(nn.Linear(1, 1), n_power_iterations=0),
    "spectral dim": lambda t, nn: nn.utils.parametrizations.spectral_norm(nn.Linear(1, 1), dim=5),
    "orthogonal name": lambda t, nn: nn.utils.parametrizations.orthogonal(nn.Linear(1, 1), "w"),
    "orthogonal vector": lambda t, nn: nn.utils.parametrizations.orthogonal(nn.Linear(1, 1), "bias"),
    "orthogonal map": lambda t, nn: nn.utils.parametrizations.orthogonal(nn.Linear(1, 1), orthogonal_map="qr"),
    "parametrize name": lambda t, nn: nn.utils.parametrize.register_parametrization(nn.Linear(1, 1), "w", nn.ReLU()),
    "parametrize shape": lambda t, nn: nn.utils.parametrize.register_parametrization(nn.Linear(2, 2), "weight", nn.Flatten(0)),
    "parametrize pickle": lambda t, nn: nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)).__getstate__(),
    "parametrize remove": lambda t, nn: nn.utils.parametrize.remove_parametrizations(nn.Linear(2, 2), "weight"),
    "parametrize assign": lambda t, nn: setattr(
        nn.utils.parametrize.register_parametrization(nn.Linear(2, 2), "weight", nn.ReLU()), "weight", 1
    ),
    "init gain": lambda t, nn: nn.init.calculate_gain("swish"),
    "init slope": lambda t, nn: nn.init.calculate_gain("leaky_relu", "a"),
    "init fan": lambda t, nn: nn.init.xavier_uniform_(t.ones(3)),
    "init mode": lambda t, nn: nn.init.kaiming_normal_(t.ones(3, 3), mode="fan"),
    "init empty": lambda t, nn: nn.init.kaiming_uniform_(t.ones(0, 3)),
    "init eye": lambda t, nn: nn.init.eye_(t.ones(3)),
    "init dirac": lambda t, nn: nn.init.dirac_(t.ones(3)),
    "init dirac groups": lambda t, nn: nn.init.dirac_(t.ones(3, 1, 1), 2),
    "init orthogonal": lambda t, nn: nn.init.orthogonal_(t.ones(3)),
    "init sparse": lambda t, nn: nn.init.sparse_(t.ones(3), 0.1),
    "init old": lambda t, nn: nn.init.constant(t.ones(2), 3.0).tolist(),
    "init truncated": lambda t, nn: nn.init.trunc_normal_(t.ones(2), 100.0).tolist(),
    "fuse training": lambda t, nn: nn.utils.fuse_conv_bn_eval(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)),
    "functional strict": lambda t, nn: call(t, nn, {"weight": t.ones(1, 1), "more": t.ones(1)}, strict=True),
    "functional unknown": lambda t, nn: call(t, nn, {"more": t.ones(1)}),
}


def clip_infinite(t, nn):
    p = nn.Parameter(t.ones(1))
    p.grad = t.tensor([math.inf])
    return nn.utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)


def call(t, nn, given, **kwargs):
    return t.func.functional_call(nn.Linear(1, 1), given, t.ones(1, 1), **kwargs)


def told(script, lib):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = repr(script(lib, lib.nn))
        except Exception as e:
            result = type(e).__name__, str(e)
    return result, [(w.category.__name__, str(w.message)) for w in caught]


@pytest.mark.parametrize("name", ERRORS)
def test_errors_and_warnings(name):
    results = []
    for lib in (chainrule, torch):
        lib.manual_seed(0)
        results.append(told(ERRORS[name], lib))
    assert results[0] == results[1]


# First values

INITS = {
    "uniform_": [((4, 5), {}), ((4, 5), {"a": -2, "b": 3})],
    "normal_": [((4, 5), {}), ((3,), {"mean": 1, "std": 2})],
    "trunc_normal_": [((40, 5), {}), ((40, 5), {"a": 0.5, "b": 0.6}), ((40,), {"std": 0.02})],
    "constant_": [((3,), {"val": 2.5})],
    "ones_": [((3,), {})],
    "zeros_": [((3,), {})],
    "eye_": [((3, 4), {})],
    "dirac_": [((4, 2, 3), {}), ((4, 2, 3, 3), {"groups": 2}), ((2, 3, 3, 3, 2), {})],
    "xavier_uniform_": [((4, 5), {}), ((4, 5, 2), {"gain": 2})],
    "xavier_normal_": [((4, 5), {}), ((4, 5, 2), {"gain": 2})],
    "kaiming_uniform_": [((4, 5), {}), ((4, 5, 3), {"mode": "fan_out", "nonlinearity": "relu"})],
    "kaiming_normal_": [((4, 5), {}), ((4, 5, 3), {"a": 0.2, "mode": "fan_out"})],
    "orthogonal_": [((4, 4), {}), ((5, 3), {"gain": 2}), ((3, 2, 4), {})],
    "sparse_": [((6, 4), {"sparsity": 0.4})],
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", INITS)
def test_init(name, dtype):
    for shape, kwargs in INITS[name]:
        chainrule.manual_seed(3)
        mine = chainrule.zeros(shape, dtype=ours(dtype))
        assert getattr(nn.init, name)(mine, **kwargs) is mine
        torch.manual_seed(3)
        theirs = getattr(torch.nn.init, name)(torch.zeros(shape, dtype=dtype), **kwargs)
        if name == "orthogonal_":  # a factorisation: equal to rounding
            assert_same(mine, theirs, name, 1e-5 if dtype is torch.float32 else 1e-12)
        else:
            assert bits(mine) == bits(theirs)
        assert chainrule.rand(1).item() == torch.rand(1).item()


@pytest.mark.parametrize("name", ["linear", "conv3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gain(name):
    assert nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)


def test_skip_init_draws_nothing():
    chainrule.manual_seed(0)
    first = chainrule.rand(1)
    chainrule.manual_seed(0)
    m = nn.utils.skip_init(nn.Linear, 3, 2)
    assert m.weight.shape == (2, 3) and chainrule.rand(1).item() == first.item()
    assert nn.Linear(1, 1).weight.item() != 0


# Sequences


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("sorted", [False, True])
def test_sequences(batch_first, sorted):
    lengths = [4, 2, 1] if sorted else [2, 1, 4]
    theirs = [torch.randn(n, 2, dtype=torch.float64).requires_grad_() for n in lengths]
    mine = ours(theirs)
    padded, theirs_padded = [lib.nn.utils.rnn.pad_sequence(s, batch_first, -1.0) for lib, s in ((chainrule, mine), (torch, theirs))]
    assert_same(padded, theirs_padded, "padded")
    left = nn.utils.rnn.pad_sequence(mine, batch_first, padding_side="left")
    assert_same(left, torch.nn.utils.rnn.pad_sequence(theirs, batch_first, padding_side="left"), "padded left")
    packed = nn.utils.rnn.pack_padded_sequence(padded, lengths, batch_first, sorted)
    expected = torch.nn.utils.rnn.pack_padded_sequence(theirs_padded, lengths, batch_first, sorted)
    assert packed._fields == expected._fields
    for a, b in zip(packed, expected, strict=True):
        assert_same(a, b, "packed")
    unpacked, counts = nn.utils.rnn.pad_packed_sequence(packed, batch_first, 7.0, total_length=5)
    theirs_unpacked, theirs_counts = torch.nn.utils.rnn.pad_packed_sequence(expected, batch_first, 7.0, total_length=5)
    assert_same(unpacked, theirs_unpacked, "unpacked")
    assert_same(counts, theirs_counts, "lengths")
    (unpacked**2).sum().backward()
    (theirs_unpacked**2).sum().backward()
    for a, b in zip(mine, theirs, strict=True):
        assert_same(a.grad, b.grad, "gradient")
    for a, b in zip(nn.utils.rnn.unpack_sequence(packed), theirs, strict=True):
        assert_same(a, b, "sequence")
    assert repr(packed.float().data.dtype) == "torch.float32" and packed.to(chainrule.float64) is packed


# Gradients clipped, vectors


def with_grads(lib, dtype="float64"):
    m = lib.nn.Linear(3, 2).to(getattr(lib, dtype))
    lib.manual_seed(5)
    for p in m.parameters():
        p.grad = lib.randn(p.shape, dtype=p.dtype)
    return m


@pytest.mark.parametrize("norm", [1.0, 2.0, 3.5, math.inf])
@pytest.mark.parametrize("bound", [0.5, 100.0])
def test_clip_grad_norm(norm, bound):
    mine, theirs = with_grads(chainrule), with_grads(torch)
    total = nn.utils.clip_grad_norm_(mine.parameters(), bound, norm)
    assert_same(total, torch.nn.utils.clip_grad_norm_(theirs.parameters(), bound, norm), "norm")
    for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert_same(a.grad, b.grad, "clipped")
    assert_same(
        nn.utils.get_total_norm([p.grad for p in mine.parameters()]),
        torch.nn.utils.get_total_norm([p.grad for p in theirs.parameters()]),
        "after",
    )


def test_clip_grad_value():
    mine, theirs = with_grads(chainrule), with_grads(torch)
    nn.utils.clip_grad_value_(mine.parameters(), 0.3)
    torch.nn.utils.clip_grad_value_(theirs.parameters(), 0.3)
    for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert_same(a.grad, b.grad, "clipped")


def test_vectors():
    m = nn.Linear(2, 3)
    v = nn.utils.parameters_to_vector(m.parameters())
    assert v.requires_grad and v.shape == (9,)
    nn.utils.vector_to_parameters(chainrule.arange(9.0), m.parameters())
    assert m.weight.tolist() == [[0, 1], [2, 3], [4, 5]] and m.bias.tolist() == [6, 7, 8] and m.weight.requires_grad


# Weights computed from others

CHANGES = {
    "weight_norm": lambda lib, m: lib.nn.utils.weight_norm(m),
    "weight_norm dim": lambda lib, m: lib.nn.utils.weight_norm(m, dim=1),
    "weight_norm all": lambda lib, m: lib.nn.utils.weight_norm(m, dim=None),
    "spectral_norm": lambda lib, m: lib.nn.utils.spectral_norm(m, n_power_iterations=3),
    "p weight_norm": lambda lib, m: lib.nn.utils.parametrizations.weight_norm(m),
    "p weight_norm dim": lambda lib, m: lib.nn.utils.parametrizations.weight_norm(m, dim=1),
    "p weight_norm all": lambda lib, m: lib.nn.utils.parametrizations.weight_norm(m, dim=None),
    "p spectral_norm": lambda lib, m: lib.nn.utils.parametrizations.spectral_norm(m),
    "p spectral_norm dim": lambda lib, m: lib.nn.utils.parametrizations.spectral_norm(m, dim=1),
    "p orthogonal": lambda lib, m: lib.nn.utils.parametrizations.orthogonal(m),
    "p orthogonal exp": lambda lib, m: lib.nn.utils.parametrizations.orthogonal(m, orthogonal_map="matrix_exp"),
    "p orthogonal cayley": lambda lib, m: lib.nn.utils.parametrizations.orthogonal(m, orthogonal_map="cayley"),
    "p orthogonal free": lambda lib, m: lib.nn.utils.parametrizations.orthogonal(m, use_trivialization=False),
    "several": lambda lib, m: lib.nn.utils.parametrize.register_parametrization(
        lib.nn.utils.parametrizations.weight_norm(m), "weight", lib.nn.Tanh()
    ),
}


LAYERS_CHANGED = [(name, "Linear") for name in CHANGES] + [
    (name, kind) for kind in ("Conv1d", "ConvTranspose1d") for name in CHANGES if "orthogonal" not in name
]


@pytest.mark.parametrize("name, kind", LAYERS_CHANGED)
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`")
def test_computed_weights(name, kind):
    modules = []
    for lib in (chainrule, torch):
        lib.manual_seed(4)
        args = (3, 4) if kind == "Linear" else (3, 4, 2)
        modules.append(CHANGES[name](lib, getattr(lib.nn, kind)(*args).to(lib.float64)))
    mine, theirs = modules
    assert repr(mine) == repr(theirs) and type(mine).__name__ == type(theirs).__name__
    x = rand(2, 3) if kind == "Linear" else rand(2, 3, 5)
    for _ in range(2):
        a, b = mine(ours(x)), theirs(x)
        assert_same(a, b, "output")
    a.sum().backward()
    b.sum().backward()
    for (key, p), (other, q) in zip(mine.named_parameters(), theirs.named_parameters(), strict=True):
        assert key == other
        assert_same(p.grad, q.grad, key)
    for (key, p), (other, q) in zip(mine.state_dict().items(), theirs.state_dict().items(), strict=True):
        assert key == other
        assert_same(p, q, key)
    assert mine.load_state_dict(ours(collections.OrderedDict(theirs.state_dict()))).missing_keys == []
    assert_same(mine.eval().weight if "norm" not in name or "p " in name else mine.weight, theirs.eval().weight, "weight")
    removed = {"weight_norm": "remove_weight_norm", "spectral_norm": "remove_spectral_norm"}.get(name.split(" ")[0])
    for lib, m in ((chainrule, mine), (torch, theirs)):
        if removed:
            getattr(lib.nn.utils, removed)(m)
        else:
            twin = copy.deepcopy(m)
            assert repr(twin) == repr(m)
            lib.nn.utils.parametrize.remove_parametrizations(m, "weight")
    assert repr(mine) == repr(theirs) and list(mine.state_dict()) == list(theirs.state_dict())
    assert_same(mine.weight, theirs.weight, "weight")


def symmetric(lib):
    class Symmetric(lib.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).mT

        def right_inverse(self, x):
            return x.triu()

    return Symmetric()


def test_parametrize():
    results = []
    for lib in (chainrule, torch):
        p = lib.nn.utils.parametrize
        lib.manual_seed(0)
        m = p.register_parametrization(lib.nn.Linear(3, 3), "weight", symmetric(lib))
        said = [repr(m), p.is_parametrized(m), p.is_parametrized(m, "bias"), p.type_before_parametrizations(m).__name__]
        with p.cached():
            said.append(m.weight is m.weight)
        said.append(m.weight is m.weight)
        m.weight = lib.arange(9.0).view(3, 3)
        said += [m.weight.tolist(), m.parametrizations.weight.original.tolist(), [n for n, _ in m.named_parameters()]]
        other = p.transfer_parametrizations_and_params(m, lib.nn.Linear(3, 3))
        said += [other.weight.tolist(), repr(other)]
        p.remove_parametrizations(m, "weight", leave_parametrized=False)
        said += [m.weight.tolist(), type(m).__name__, isinstance(m.weight, lib.nn.Parameter), repr(m)]
        results.append(said)
    assert results[0] == results[1]


# Stateless calls, fusion


@pytest.mark.parametrize("tie", [True, False])
def test_functional_call(tie):
    results = []
    for lib in (chainrule, torch):
        m = lib.nn.Sequential(lib.nn.Linear(2, 2, bias=False), lib.nn.Linear(2, 2, bias=False), lib.nn.BatchNorm1d(2))
        m[1].weight = m[0].weight
        given = {"0.weight": lib.ones(2, 2, requires_grad=True), "2.running_mean": lib.ones(2)}
        x = lib.arange(6.0).view(3, 2)
        with lib.no_grad():
            m[0].weight.copy_(lib.eye(2))
        out = lib.func.functional_call(m, given, x, tie_weights=tie)
        out[0].sum().backward()
        results.append(
            [
                out.tolist(),
                m[0].weight.tolist(),
                m[2].running_mean.tolist(),
                m[2].num_batches_tracked.item(),
                given["0.weight"].grad is None,
            ]
        )
    np.testing.assert_allclose(results[0][0], results[1][0], 1e-5, 1e-5)
    assert results[0][1:] == results[1][1:]


@pytest.mark.parametrize("kind", ["Conv2d", "ConvTranspose2d", "Linear"])
@pytest.mark.parametrize("bias", [True, False])
def test_fusion(kind, bias):
    conv = kind != "Linear"
    layer = (getattr(nn, kind)(3, 4, 2, bias=bias) if conv else nn.Linear(3, 4, bias=bias)).double()
    norm = (nn.BatchNorm2d(4) if conv else nn.BatchNorm1d(4)).double()
    x = chainrule.randn(2, 3, 4, 5, dtype=chainrule.float64) if conv else chainrule.randn(2, 3, dtype=chainrule.float64)
    norm(layer(x))
    layer.eval()
    norm.eval()
    fused = nn.utils.fuse_conv_bn_eval(layer, norm, kind == "ConvTranspose2d") if conv else nn.utils.fuse_linear_bn_eval(layer, norm)
    np.testing.assert_allclose(fused(x).detach().numpy(), norm(layer(x)).detach().numpy(), 1e-9, 1e-9)


def test_nn_has_pytorchs_names():
    public = set(torch.nn.modules.__all__) | {"Parameter", "Buffer", "UninitializedParameter", "UninitializedBuffer"}
    assert public <= set(dir(nn))
    assert set(torch.nn.utils.__all__) <= set(dir(nn.utils))
    assert set(torch.nn.init.__all__) <= set(dir(nn.init))


# Functions beside the layers


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_gradients_of_convolutions_as_functions(dims):
    options = {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}
    x, w = torch.randn(2, 4, *(9,) * dims), torch.randn(6, 2, *(3,) * dims)
    g = torch.randn_like(getattr(F, f"conv{dims}d")(x, w, **options))
    for name, args in ((f"conv{dims}d_input", (x.shape, w, g)), (f"conv{dims}d_weight", (x, w.shape, g))):
        assert_same(getattr(nn.grad, name)(*ours(args), **options), getattr(torch.nn.grad, name)(*args, **options), name, 1e-4)


def test_data_parallel_without_gpus():
    x, layer = rand(3, 2), nn.Bilinear(2, 2, 1).double()
    mine = nn.parallel.data_parallel(layer, (ours(x), ours(x)))
    assert mine.tolist() == layer(ours(x), ours(x)).tolist() == nn.DataParallel(layer)(ours(x), input2=ours(x)).tolist()


def test_truncated_normals_made_with_erfinv():
    """The usual recipe outside `nn.init`; float32 that is less exact than PyTorch's would give other weights from one seed."""
    torch.manual_seed(0)
    chainrule.manual_seed(0)
    mine, theirs = (lib.empty(10_000).uniform_(-0.999, 0.999).erfinv_().numpy() for lib in (chainrule, torch))
    assert np.mean(mine != theirs) < 0.001
