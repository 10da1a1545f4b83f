"""Models are torchvision's to the parameter, the first random number and the last logit; their weights download and load."""

import copy
import hashlib
import io
import pickle
import subprocess
import sys
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from pictures import plain, same, serve, torchvision

import chainrule
from chainrule import hub
from chainrule.vision import models as ours

theirs = torchvision.models
PAIRS = [(chainrule, ours), (torch, theirs)]
SMALL = {  # how a model of each kind is built, and its pictures' pixels a side
    "alexnet": (lambda m: m.alexnet(num_classes=7), 64),
    "convnext": (
        lambda m: m.ConvNeXt([m.convnext.CNBlockConfig(8, 12, 2), m.convnext.CNBlockConfig(12, None, 2)], 0.3, 0.5, num_classes=7),
        32,
    ),
    "densenet": (lambda m: m.DenseNet(8, (2, 3, 2, 2), 16, num_classes=7, drop_rate=0.2), 64),
    "densenet121": (lambda m: m.densenet121(num_classes=7), 64),
    "efficientnet_b0": (lambda m: m.efficientnet_b0(num_classes=7), 64),
    "efficientnet_v2": (
        lambda m: m.EfficientNet(
            [
                m.efficientnet.FusedMBConvConfig(1, 3, 1, 8, 8, 2),
                m.efficientnet.FusedMBConvConfig(4, 3, 2, 8, 16, 2),
                m.efficientnet.MBConvConfig(6, 5, 2, 16, 24, 2, depth_mult=1.2),
            ],
            dropout=0.3,
            num_classes=7,
            norm_layer=partial((chainrule if m is ours else torch).nn.BatchNorm2d, eps=1e-3),
            last_channel=40,
        ),
        48,
    ),
    "googlenet": (lambda m: m.googlenet(num_classes=7, init_weights=True, transform_input=True), 64),
    "inception_v3": (lambda m: m.inception_v3(num_classes=7, init_weights=False, aux_logits=False, transform_input=True), 80),
    "mnasnet": (lambda m: m.mnasnet0_5(num_classes=7), 64),
    "regnet_x": (lambda m: m.RegNet(m.regnet.BlockParams.from_init_params(6, 16, 8.0, 2.0, 8), 7), 32),
    "regnet_y": (lambda m: m.RegNet(m.regnet.BlockParams([1, 2], [16, 24], [8, 8], [1.0, 0.5], [2, 1], 0.25), 7, 8), 32),
    "swin": (lambda m: m.SwinTransformer([4, 4], 16, [2, 3], [2, 4], [3, 2], 2.0, 0.1, 0.1, 0.3, 7), 44),
    "swin with one window": (lambda m: m.SwinTransformer([2, 2], 8, [2, 2], [1, 2], [4, 4], num_classes=7), 8),
    "swin_v2": (
        lambda m: m.SwinTransformer(
            [4, 4], 16, [2, 2], [2, 4], [4, 4], num_classes=7, block=m.swin_transformer.SwinTransformerBlockV2,
            downsample_layer=m.swin_transformer.PatchMergingV2,
        ),
        36,
    ),
    "mobilenet_v2": (lambda m: m.mobilenet_v2(num_classes=7), 64),
    "mobilenet_v3_large": (lambda m: m.mobilenet_v3_large(num_classes=7, reduced_tail=True), 64),
    "mobilenet_v3_small": (lambda m: m.mobilenet_v3_small(num_classes=7, dilated=True), 64),
    "resnet18": (lambda m: m.resnet18(num_classes=7), 64),
    "resnet dilated": (
        lambda m: m.ResNet(m.resnet.Bottleneck, [1, 1, 2, 2], 7, replace_stride_with_dilation=[False, True, True]),
        64,
    ),
    "resnext": (lambda m: m.ResNet(m.resnet.Bottleneck, [2, 1, 1, 1], 7, True, 32, 4), 64),
    "shufflenet_v2": (lambda m: m.ShuffleNetV2([2, 3, 2], [8, 12, 16, 24, 32], num_classes=7), 96),
    "squeezenet1_0": (lambda m: m.squeezenet1_0(num_classes=7), 64),
    "squeezenet1_1": (lambda m: m.squeezenet1_1(num_classes=7), 64),
    "vgg11": (lambda m: m.vgg11(num_classes=7), 32),
    "vgg11_bn": (lambda m: m.vgg11_bn(num_classes=7, dropout=0.2), 64),
    "vit": (lambda m: m.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=7), 32),
    "vit with dropout": (lambda m: m.VisionTransformer(32, 8, 2, 2, 16, 32, 0.1, 0.1, 7, representation_size=24), 32),
    "vit with a stem": (
        lambda m: m.VisionTransformer(
            32, 8, 2, 2, 16, 32, conv_stem_configs=[m.vision_transformer.ConvStemConfig(c, 3, 2) for c in (4, 6, 8)]
        ),
        32,
    ),
}


def narrow(linear):
    """Linear layers with 64 features for 4096, so that the widest networks are quick."""

    class Linear(linear):
        def __init__(self, *features, **options):
            super().__init__(*(64 if n == 4096 else n for n in features), **options)

    return Linear


@pytest.mark.parametrize("name", SMALL)
def test_is_torchvisions(monkeypatch, name):
    """From one seed the same modules and weights; from the same weights the same logits and gradients, in both modes."""
    build, pixels = SMALL[name]
    results = []
    for lib, models in PAIRS:
        if name.startswith(("alexnet", "vgg")):
            monkeypatch.setattr(lib.nn, "Linear", narrow(lib.nn.Linear))
        lib.manual_seed(0)
        model = build(models)
        results.append((model, lib.rand(2).tolist()))
    (mine, drawn), (reference, expected) = results
    assert repr(mine) == repr(reference) and drawn == expected
    state, wanted = mine.state_dict(), reference.state_dict()
    assert list(state) == list(wanted)
    for key, value in wanted.items():
        np.testing.assert_allclose(state[key].numpy(), value.numpy(), rtol=1e-5, atol=1e-6, err_msg=key)
    if hasattr(reference, "heads"):  # they start from zero
        torch.nn.init.normal_(reference.heads.head.weight)
    start = reference.state_dict()
    for key, value in start.items():
        start[key] = chainrule.tensor(value.numpy())  # the metadata stays, where MNASNet keeps a version
    mine.load_state_dict(start)
    picture = np.random.default_rng(0).random((2, 3, pixels, pixels))
    for mode in ("eval", "train"):
        outcomes = []
        for lib, model in ((chainrule, mine), (torch, reference)):
            lib.manual_seed(1)
            x = lib.tensor(picture, requires_grad=True)
            model = getattr(model.double(), mode)()
            logits = model(x)
            logits = lib.cat(list(logits)) if isinstance(logits, tuple) else logits
            logits.square().sum().backward()
            weights = [p.grad for p in model.parameters()]
            outcomes.append([v.detach().numpy() for v in (logits, x.grad, weights[0], weights[-1])])
            model.zero_grad()
        for a, b in zip(*outcomes):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7 * np.abs(b).max())  # batch norms of two numbers magnify


@pytest.fixture
def undrawn(monkeypatch):
    """Layers whose weights are not drawn, so that their memory is not touched."""
    for lib in (chainrule, torch):
        for name in [n for n in dir(lib.nn.init) if n.endswith("_") and not n.startswith("_")]:
            monkeypatch.setattr(lib.nn.init, name, lambda tensor, *_, **__: tensor)


@pytest.mark.parametrize("name", ours.list_models())
def test_has_the_published_structure(undrawn, name):
    first = next(iter(theirs.get_model_weights(name)))
    kwargs = {"image_size": first.meta["min_size"][0]} if name.startswith("vit") else {}
    kwargs |= {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    kwargs |= {"aux_logits": False} if name == "googlenet" else {}  # which its published file does not count
    mine, reference = (models.get_model(name, **kwargs) for models in (ours, theirs))
    assert repr(mine) == repr(reference)
    state = {key: tuple(value.shape) for key, value in mine.state_dict().items()}
    assert list(state.items()) == [(key, tuple(value.shape)) for key, value in reference.state_dict().items()]
    assert sum(p.numel() for p in mine.parameters()) == first.meta["num_params"]


def test_the_classifier_inside_inception():
    """Its model takes pictures of 299 pixels a side in training, too many for a test."""
    outcomes = []
    for lib, models in PAIRS:
        lib.manual_seed(0)
        network = models.inception_v3(num_classes=7, init_weights=False).double()
        network.__dict__["_modules"] = {name: lib.nn.Identity() for name in network._modules} | {"AuxLogits": network.AuxLogits}
        x = lib.linspace(0, 1, 2 * 768 * 17 * 17, dtype=lib.float64).reshape(2, 768, 17, 17).sin().requires_grad_()
        result = network(x)
        assert type(result).__name__ == "InceptionOutputs" and result._fields == ("logits", "aux_logits")
        result.aux_logits.square().sum().backward()
        outcomes.append([v.detach().numpy() for v in (*result, x.grad)] + [len(network.eval()(x))])
    for a, b in zip(*outcomes):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7 * np.abs(b).max())


def test_the_registry():
    assert set(ours.list_models()) <= set(theirs.list_models(theirs)) and len(ours.list_models()) >= 79
    assert ours.list_models(ours) == ours.list_models() and ours.list_models(torchvision) == []
    for filters in ({"include": "resne*"}, {"include": ["vgg*", "alex*"], "exclude": "*bn"}, {"exclude": ["*_*", "r*"]}):
        assert ours.list_models(**filters) == [n for n in theirs.list_models(theirs, **filters) if n in ours.registry.BUILTIN_MODELS]

    @ours.register_model()
    def tiny(weights: ours.ResNet18_Weights | None = None):
        return "built"

    try:
        assert ours.get_model("Tiny") == "built" and ours.get_model_weights("tiny") is ours.ResNet18_Weights
        with pytest.raises(ValueError, match="already registered under the name 'tiny'"):
            ours.register_model("tiny")(tiny)
    finally:
        del ours.registry.BUILTIN_MODELS["tiny"]


@pytest.mark.parametrize("name", ours.list_models())
def test_weights_are_listed_as_published(name):
    mine, reference = ours.get_model_weights(name), theirs.get_model_weights(name)
    assert mine.__name__ == reference.__name__ and list(mine.__members__) == list(reference.__members__)
    for member, expected in reference.__members__.items():
        found = mine[member]
        assert (repr(found), str(found), found.url) == (repr(expected), str(expected), expected.url)
        meta = {key: value for key, value in expected.meta.items() if key != "_docs"}
        assert repr(dict(sorted(found.meta.items()))) == repr(dict(sorted(meta.items())))
        assert repr(found.transforms()) == repr(expected.transforms())
        assert copy.deepcopy(found) is found and pickle.loads(pickle.dumps(found)) is found
        assert ours.get_weight(f"{mine.__name__}.{member}") is found


def test_weights_prepare_pictures():
    from PIL import Image

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)).resize((400, 300))
    for name in ("ResNet50_Weights.IMAGENET1K_V2", "EfficientNet_B0_Weights.DEFAULT"):
        mine, reference = (models.get_weight(name).transforms() for models in (ours, theirs))
        same(plain(mine(picture)), plain(reference(picture)))
        array = np.array(picture).transpose(2, 0, 1)
        same(plain(mine(chainrule.tensor(array))), plain(reference(torch.tensor(array))), atol=2e-2)  # one 255th, by 0.225


CALLS = {
    "pretrained": lambda m: m.squeezenet1_1(pretrained=False, num_classes=2),
    "positional": lambda m: m.squeezenet1_1(False, num_classes=2),
    "two positional": lambda m: m.squeezenet1_1(None, True, num_classes=2),
    "none pretrained": lambda m: m.vit_h_14(pretrained=True),
    "unknown weights": lambda m: m.resnet18(weights="X"),
    "foreign weights": lambda m: m.resnet18(weights=m.ResNet50_Weights.DEFAULT),
    "other classes": lambda m: m.resnet18(weights="DEFAULT", num_classes=3),
    "other pixels": lambda m: m.vit_b_16(weights="IMAGENET1K_SWAG_E2E_V1", image_size=224),
    "unknown argument": lambda m: m.resnet18(foo=3),
    "unknown model": lambda m: m.get_model("Foo"),
    "no member": lambda m: m.get_weight("ResNet18_Weights.Y"),
    "no enum": lambda m: m.get_weight("Foo.X"),
    "no name": lambda m: m.get_weight("foo"),
    "weights of what": lambda m: m.get_model_weights("foo"),
    "weights of a function": lambda m: m.get_model_weights(len),
    "version": lambda m: m.SqueezeNet("1_2"),
    "patches": lambda m: m.vit_b_16(image_size=20),
    "stages": lambda m: m.MobileNetV2(inverted_residual_setting=[]),
    "short stages": lambda m: m.MobileNetV2(inverted_residual_setting=[[1]]),
    "no blocks": lambda m: m.MobileNetV3([], 3),
    "bad blocks": lambda m: m.MobileNetV3([1], 3),
    "no stages": lambda m: m.EfficientNet([], 0.2),
    "bad stages": lambda m: m.EfficientNet([1], 0.2),
    "no CNBlocks": lambda m: m.ConvNeXt([]),
    "bad CNBlocks": lambda m: m.ConvNeXt([1]),
    "a CNBlock": lambda m: m.convnext.CNBlockConfig(1, None, 3),
    "unshuffled": lambda m: m.ShuffleNetV2([1], []),
    "unshuffled channels": lambda m: m.ShuffleNetV2([1, 1, 1], [1]),
    "uneven": lambda m: m.ShuffleNetV2([2, 2, 2], [8, 13, 16, 24, 32]),
    "dilation": lambda m: m.resnet50(replace_stride_with_dilation=[1]),
    "dilated basic": lambda m: m.resnet18(replace_stride_with_dilation=[False, True, True]),
    "grouped basic": lambda m: m.resnet18(groups=2),
    "narrow": lambda m: m.mobilenet_v2(width_mult=0.35),
    "narrower": lambda m: m.mobilenet_v3_small(width_mult=0.5, reduced_tail=True, dilated=True),
    "stem": lambda m: m.vit_b_32(conv_stem_configs=[m.vision_transformer.ConvStemConfig(8, 3, 2)] * 5),
    "depth": lambda m: m.efficientnet_b0(dropout=0.7, stochastic_depth_prob=0.3),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_calls_as_torchvisions(undrawn, call):
    """What is built, raised and warned of."""
    results = []
    for models in (ours, theirs):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                result = repr(call(models))
            except Exception as error:
                result = type(error).__name__, str(error)
        results.append((result, [str(w.message) for w in caught]))
    assert results[0] == results[1]


# Downloads


def saved(state, legacy=False):
    file = io.BytesIO()
    torch.save(state, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


@pytest.fixture
def published(monkeypatch, tmp_path):
    """Publish bytes as the file of some weights: a server, and the weights' URL there, with the bytes' own hash."""
    hub.set_dir(tmp_path)
    monkeypatch.setattr(hub, "_hub_dir", str(tmp_path))
    started = []

    def publish(weights, data, digits=None):
        stem = weights.url.rpartition("/")[2].rpartition("-")[0]
        name = f"{stem}-{digits or hashlib.sha256(data).hexdigest()[:8]}.pth"
        server = serve({name: data}).__enter__()
        started.append(server)
        monkeypatch.setattr(weights.value, "url", server.url + name)
        return server

    yield publish
    for server in started:
        server.__exit__()


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before 1.6"])
def test_resnet18_loads_published_weights(published, tmp_path, legacy):
    torch.manual_seed(3)
    reference = theirs.resnet18()
    reference.train()(torch.rand(4, 3, 64, 64))  # so that the running statistics are not those of the start
    weights = ours.ResNet18_Weights.IMAGENET1K_V1
    server = published(weights, saved(reference.state_dict(), legacy))
    picture = torch.rand(2, 3, 64, 64)
    expected = reference.eval()(picture).detach().numpy()
    for asked in (weights, "IMAGENET1K_V1", "DEFAULT", "ResNet18_Weights.DEFAULT"):
        model = ours.resnet18(weights=asked, progress=False).eval()
        logits = model(chainrule.tensor(picture.numpy())).detach().numpy()
        np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    with pytest.warns(UserWarning) as caught:
        ours.resnet18(pretrained=True, progress=False)
    assert str(caught[0].message).startswith("The parameter 'pretrained' is deprecated")
    assert "equivalent to passing `weights=ResNet18_Weights.IMAGENET1K_V1`" in str(caught[1].message)
    assert len(server.asked) == 1 and len(list((tmp_path / "checkpoints").iterdir())) == 1  # downloaded once


def test_wrong_bytes_are_not_loaded(published, tmp_path):
    weights = ours.SqueezeNet1_1_Weights.DEFAULT
    published(weights, b"something else", digits="b8a52dc0")
    with pytest.raises(RuntimeError, match='invalid hash value \\(expected "b8a52dc0"'):
        ours.squeezenet1_1(weights=weights, progress=False)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_old_names_in_weight_files(published):
    """DenseNet's files name layers as PyTorch once did, and have no counts of batches."""
    reference = theirs.densenet121()
    state = {}
    for key, value in reference.state_dict().items():
        for layer in ("norm", "conv"):
            for i in "12":
                key = key.replace(f".{layer}{i}.", f".{layer}.{i}.")
        if not key.endswith("num_batches_tracked"):
            state[key] = value
    weights = ours.DenseNet121_Weights.DEFAULT
    published(weights, saved(state))
    model = ours.densenet121(weights=weights, progress=False)
    for key, value in reference.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[key].numpy(), value.numpy())
    assert "features.denseblock1.denselayer1.norm.1.weight" in state


def test_mlps_of_old_transformers():
    build = partial(ours.VisionTransformer, 8, 4, 1, 2, 8, 16, num_classes=3)
    model, state = build(), {}
    for key, value in build().state_dict().items():
        state[key.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2.")] = value
    assert "encoder.layers.encoder_layer_0.mlp.linear_2.bias" in state
    model.load_state_dict(state)
    expected = state["encoder.layers.encoder_layer_0.mlp.linear_2.weight"].numpy()
    np.testing.assert_array_equal(model.encoder.layers[0].mlp[3].weight.detach().numpy(), expected)


@pytest.mark.parametrize("heads", [False, True])
@pytest.mark.parametrize("pixels", [32, 48])
def test_positions_for_other_pixels(pixels, heads):
    state = {"encoder.pos_embedding": np.random.default_rng(0).random((1, 17, 6)), "heads.head.bias": np.ones(2)}
    results = []
    for lib, models in PAIRS:
        own = {key: lib.tensor(value) for key, value in state.items()}
        results.append(models.vision_transformer.interpolate_embeddings(pixels, 8, own, reset_heads=heads))
    assert list(results[0]) == list(results[1])
    same(plain(list(results[0].values())), plain(list(results[1].values())))
    with pytest.raises(ValueError, match="not a perfect square"):
        ours.vision_transformer.interpolate_embeddings(48, 8, {"encoder.pos_embedding": chainrule.ones(1, 13, 6)})


def test_memory_efficient_densenet():
    chainrule.manual_seed(0)
    plain_net = ours.DenseNet(4, (2, 2, 2, 2), 8, num_classes=3).double()
    thrifty = ours.DenseNet(4, (2, 2, 2, 2), 8, num_classes=3, memory_efficient=True).double()
    thrifty.load_state_dict(plain_net.state_dict())
    x = chainrule.rand(2, 3, 32, 32, dtype=chainrule.float64)
    grads = []
    for model in (plain_net, thrifty):
        model.eval()(x).square().sum().backward()
        grads.append([p.grad.numpy() for p in model.parameters()])
    for a, b in zip(*grads):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_imports_little():
    """Pillow and Numba come when they are needed, models when they are named."""
    program = (
        "import sys, chainrule.vision; early = [m for m in sys.modules if m.startswith('chainrule.vision.')];"
        "from chainrule.vision import datasets, models, ops, transforms, utils; print(early, {'PIL', 'numba', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[] set()\n"
