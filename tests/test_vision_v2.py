"""`transforms.v2` changes whole samples as torchvision's does: which parts, with which draws, to which numbers."""

import pickle

import numpy as np
import pytest
import torch
from pictures import plain, same, torchvision
from PIL import Image

import chainrule
from chainrule.vision.transforms import v2 as ours

assert torchvision.transforms
from torchvision.transforms import v2 as theirs  # noqa: E402

SIDES = [(chainrule, ours), (torch, theirs)]
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 20, 26), dtype=np.uint8)
MADE = {
    "resize": lambda t, lib: t.Compose([t.ToImage(), t.ToDtype(lib.float32, scale=True), t.Resize((9, 12)), t.Resize(7, antialias=False)]),
    "resize by nearest": lambda t, lib: t.Resize(9, interpolation=t.InterpolationMode.NEAREST),
    "center crop": lambda t, lib: t.CenterCrop(8),
    "crop": lambda t, lib: t.RandomCrop(12, padding=2),
    "resized crop": lambda t, lib: t.RandomResizedCrop((8, 10), interpolation=t.InterpolationMode.NEAREST),
    "flips": lambda t, lib: t.Compose([t.RandomHorizontalFlip(0.5), t.RandomVerticalFlip(0.5)]),
    "pad": lambda t, lib: t.Pad((1, 2), fill=3),
    "grey": lambda t, lib: t.Grayscale(3),
    "maybe grey": lambda t, lib: t.RandomGrayscale(0.5),
    "rotation": lambda t, lib: t.RandomRotation(30),
    "affine": lambda t, lib: t.RandomAffine(20, (0.1, 0.1), (0.8, 1.2)),
    "perspective": lambda t, lib: t.RandomPerspective(0.3, 0.7),
    "invert": lambda t, lib: t.RandomInvert(),
    "posterize": lambda t, lib: t.RandomPosterize(3),
    "solarize": lambda t, lib: t.RandomSolarize(100),
    "equalize": lambda t, lib: t.RandomEqualize(),
    "contrast": lambda t, lib: t.RandomAutocontrast(),
    "five": lambda t, lib: t.FiveCrop(8),
    "lambda": lambda t, lib: t.Lambda(lambda part: part + 1, int, lib.Tensor),
    "identity": lambda t, lib: t.Identity(),
    "pure": lambda t, lib: t.ToPureTensor(),
    "order": lambda t, lib: t.RandomOrder([t.RandomCrop(15), t.CenterCrop(17), t.Pad(2)]),
    "choice": lambda t, lib: t.RandomChoice([t.Pad(1), t.Pad(2), t.Pad(3)], p=[1, 2, 3]),
    "apply": lambda t, lib: t.RandomApply([t.Pad(1), t.RandomInvert()], p=0.5),
    "image": lambda t, lib: t.ToImage(),
    "training": lambda t, lib: t.Compose([
        t.ToImage(), t.ToDtype(lib.float32, scale=True), t.RandomResizedCrop(8), t.RandomHorizontalFlip(),
        t.Normalize([0.5, 0.4, 0.3], [0.2, 0.2, 0.3]),
    ]),
    "unscaled": lambda t, lib: t.Compose([t.ToImage(), t.ToDtype(lib.float32)]),
    "noise": lambda t, lib: t.Compose([t.ToImage(), t.ToDtype(lib.float32, True), t.GaussianNoise(0.1, 0.2)]),
    "noise of bytes": lambda t, lib: t.Compose([t.ToImage(), t.GaussianNoise()]),
    "channels": lambda t, lib: t.RandomChannelPermutation(),
}  # fmt: skip


def sample(lib, kind):
    """A picture, its label, and another tensor that is none."""
    image = Image.fromarray(PIXELS.transpose(1, 2, 0)) if kind == "picture" else lib.tensor(PIXELS)
    return {"image": image, "more": [3, lib.tensor([1.0, 2.0])]}


@pytest.mark.parametrize("kind", ["picture", "tensor"])
@pytest.mark.parametrize("name", MADE)
def test_samples_are_torchvisions(name, kind):
    results = []
    for lib, t in SIDES:
        transform = MADE[name](t, lib)
        lib.manual_seed(3)
        nested = [list(transform(sample(lib, kind)).values()) for _ in range(4)]
        image, label = transform(sample(lib, kind)["image"], 7)
        results.append(plain([nested, image, label, transform(sample(lib, kind)["image"]), lib.rand(2)]))
    same(*results)


def test_pictures_of_one_sample_are_changed_alike():
    image = Image.fromarray(PIXELS.transpose(1, 2, 0))
    chainrule.manual_seed(0)
    for _ in range(5):
        first, second, label = ours.RandomResizedCrop(8)(image, image, 5)
        assert label == 5 and np.array_equal(np.array(first), np.array(second))


@pytest.mark.parametrize("name", ["MixUp", "CutMix"])
@pytest.mark.parametrize("labels", [[0, 2, 1], [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.0, 0.2, 0.8]]], ids=["numbers", "shares"])
def test_mixtures_are_torchvisions(name, labels):
    results = []
    for lib, t in SIDES:
        mix = getattr(t, name)(alpha=0.7, num_classes=3)
        lib.manual_seed(1)
        images = lib.arange(3 * 2 * 8 * 9.0).reshape(3, 2, 8, 9)
        batches = [mix(images, lib.tensor(labels)) for _ in range(3)] + [list(mix({"x": images, "Labels": lib.tensor(labels)}).values())]
        results.append((plain(batches), repr(mix)))
    same(results[0][0], results[1][0], atol=1e-4)
    assert results[0][1] == results[1][1]


BAD = {
    "pictures": lambda t, lib: t.MixUp(num_classes=3)(Image.new("RGB", (4, 4)), lib.tensor([1])),
    "no classes": lambda t, lib: t.MixUp()(lib.rand(2, 3, 4, 4), lib.tensor([1, 0])),
    "other classes": lambda t, lib: t.CutMix(num_classes=4)(lib.rand(2, 3, 4, 4), lib.rand(2, 3)),
    "labels of a list": lambda t, lib: t.CutMix(num_classes=4)(lib.rand(2, 3, 4, 4), [1, 2]),
    "three dims of labels": lambda t, lib: t.CutMix(num_classes=4)(lib.rand(2, 3, 4, 4), lib.rand(2, 3, 4)),
    "no batch": lambda t, lib: t.CutMix(num_classes=4)(lib.rand(3, 4, 4), lib.tensor([1, 2])),
    "another batch": lambda t, lib: t.CutMix(num_classes=4)(lib.rand(3, 3, 4, 4), lib.tensor([1, 2])),
    "unknown getter": lambda t, lib: t.CutMix(labels_getter=3),
    "no labels": lambda t, lib: t.CutMix(num_classes=3)({"x": lib.rand(2, 3, 4, 4)}),
    "empty": lambda t, lib: t.Compose([]),
    "no sequence": lambda t, lib: t.Compose(t.Pad(1)),
    "shares": lambda t, lib: t.RandomChoice([t.Pad(1)], p=[0.5, 0.5]),
    "probability": lambda t, lib: t.RandomApply([t.Pad(1)], p=2),
    "dtype": lambda t, lib: t.ToDtype("float32"),
    "noise of a picture": lambda t, lib: t.GaussianNoise()(Image.new("RGB", (4, 4))),
    "negative noise": lambda t, lib: t.GaussianNoise(sigma=-1)(lib.rand(3, 2, 2)),
    "noise of integers": lambda t, lib: t.GaussianNoise()(lib.ones(3, 2, 2, dtype=lib.int32)),
    "image of a list": lambda t, lib: t.functional.to_image([1]),
}


@pytest.mark.parametrize("name", BAD)
def test_refuses_what_torchvision_refuses(name):
    errors = []
    for lib, t in SIDES:
        with pytest.raises((ValueError, TypeError)) as raised:
            BAD[name](t, lib)
        errors.append((raised.type, str(raised.value).replace("chainrule.tensor", "torch")))
    assert errors[0] == errors[1]


def test_transforms_travel_to_workers():
    transform = ours.Compose([ours.ToImage(), ours.Resize(5), ours.RandomChoice([ours.Pad(1)])])
    again = pickle.loads(pickle.dumps(transform))
    assert again(chainrule.tensor(PIXELS), 1)[0].shape == (3, 7, 8)
