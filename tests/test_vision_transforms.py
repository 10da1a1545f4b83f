"""Transforms do to tensors and Pillow's pictures what torchvision's do, draw what they draw, print and refuse as they do."""

import random
import warnings

import numpy as np
import pytest
import torch
from pictures import plain, same, torchvision
from PIL import Image

import chainrule
from chainrule import vision

SIDES = [(chainrule, vision.transforms), (torch, torchvision.transforms)]


def pictures():
    rng = np.random.default_rng(0)
    coloured = Image.fromarray(rng.integers(0, 256, (23, 31, 3), dtype=np.uint8))
    modes = {mode: coloured.convert(mode) for mode in ("RGB", "L", "RGBA", "P", "1", "I", "F", "CMYK", "HSV")}
    arrays = {
        "bytes": rng.integers(0, 256, (3, 23, 31), dtype=np.uint8),
        "floats": rng.random((3, 23, 31), dtype=np.float32),
        "doubles": rng.random((3, 21, 21)),
        "grey": rng.integers(0, 256, (1, 24, 20), dtype=np.uint8),
        "flat": np.full((3, 20, 24), 7, np.uint8),
        "shorts": rng.integers(0, 32767, (3, 20, 24), dtype=np.int16),
        "batch": rng.random((2, 3, 20, 24), dtype=np.float32),
        "batch of bytes": rng.integers(0, 256, (2, 3, 20, 24), dtype=np.uint8),
    }
    return modes | arrays


PICTURES = pictures()


def outcome(lib, transforms, change, picture):
    """What a change makes of a picture, or raises; its warnings; and what the generators give after it."""
    lib.manual_seed(0)
    random.seed(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            given = lib.tensor(picture) if isinstance(picture, np.ndarray) else picture
            result = [plain(change(lib, transforms, given)), lib.rand(2).tolist(), random.random()]
        except Exception as error:
            result = [type(error).__name__, plain(str(error))]
    return [*result, [str(w.message) for w in caught if not issubclass(w.category, DeprecationWarning)]]


def agree(change, kinds=PICTURES):
    for kind in kinds:
        ours, theirs = (outcome(*side, change, PICTURES[kind]) for side in SIDES)
        try:
            same(ours, theirs, atol=5e-4 if kind == "F" else 2e-5)
        except AssertionError as error:
            error.add_note(f"for {kind}")
            raise


def functional(name, *args, **kwargs):
    return lambda lib, m, x: getattr(m.functional, name)(x, *args, **kwargs)


def by_mode(name, mode, *args, **kwargs):
    return lambda lib, m, x: getattr(m.functional, name)(x, *args, m.InterpolationMode[mode], **kwargs)


CORNERS = [[0, 0], [19, 0], [19, 19], [0, 19]], [[2, 3], [17, 1], [18, 18], [1, 15]]
FUNCTIONS = {
    "dimensions": lambda lib, m, x: [getattr(m.functional, f"get_{n}")(x) for n in ("dimensions", "image_size", "image_num_channels")],
    **{name: functional(name) for name in ("hflip", "vflip", "to_tensor", "pil_to_tensor", "to_pil_image", "invert", "autocontrast")},
    **{name: functional(name) for name in ("equalize", "rgb_to_grayscale")},
    "pictures as bytes": lambda lib, m, x: m.functional.to_pil_image(x, "L"),
    "grey in 3": functional("rgb_to_grayscale", 3),
    "grey in 2": functional("rgb_to_grayscale", 2),
    "to grey": functional("to_grayscale", 3),
    **{f"to {name}": (lambda lib, m, x, name=name: m.functional.convert_image_dtype(x, getattr(lib, name))) for name in (
        "float32", "float64", "float16", "uint8", "int8", "int16", "int32", "int64")},
    "normalize": functional("normalize", [0.1, 0.2, 0.3], (0.5, 0.6, 0.7)),
    "normalize one": functional("normalize", [0.1], [0.5]),
    "normalize by zero": functional("normalize", [0.1], [0.0]),
    "erase": lambda lib, m, x: m.functional.erase(x, 2, 3, 4, 5, lib.tensor(0.5)),
    "crop": functional("crop", 3, 4, 10, 12),
    "crop before": functional("crop", -3, -4, 10, 12),
    "crop around": functional("crop", -3, -4, 40, 42),
    "crop behind": functional("crop", 18, 20, 10, 12),
    "middle": functional("center_crop", 11),
    "high middle": functional("center_crop", [30, 10]),
    "large middle": functional("center_crop", (33, 40)),
    "five": functional("five_crop", 9),
    "five large": functional("five_crop", 90),
    "ten": functional("ten_crop", (9, 8), True),
    **{f"{name} {v}": functional(f"adjust_{name}", v)
       for name in ("brightness", "contrast", "saturation", "sharpness") for v in (0.0, 1.7, -1.0)},
    **{f"hue {v}": functional("adjust_hue", v) for v in (0.3, -0.31, 0.7)},
    "gamma": functional("adjust_gamma", 0.7, 1.1),
    "negative gamma": functional("adjust_gamma", -0.7),
    **{f"posterize {bits}": functional("posterize", bits) for bits in (0, 3, 8, 9)},
    **{f"solarize {v}": functional("solarize", v) for v in (0.5, 100, 300)},
    "blur": functional("gaussian_blur", 5),
    "blur sides": functional("gaussian_blur", [3, 7], [0.7, 1.9]),
    "blur evenly": functional("gaussian_blur", 4),
    "blur by less than nothing": functional("gaussian_blur", 3, -1.0),
    **{f"pad {mode} {p}": functional("pad", p, 0, mode) for mode in ("constant", "edge", "reflect", "symmetric", "other") for p in (
        3, [1, 2, 3, 4], [-1, 2, -3, 0])},
    **{f"pad {p}": functional("pad", p) for p in ([2], (1, 4), (1, 2, 3), "x")},
    **{f"pad with {fill}": functional("pad", 2, fill) for fill in (7, 0.5, (1, 2, 3), [9], None, "x")},
    **{f"resize {mode} {size} {smooth}": by_mode("resize", mode, size, antialias=smooth)
       for mode in ("NEAREST", "NEAREST_EXACT", "BILINEAR", "BICUBIC", "LANCZOS") for size, smooth in ((10, True), ((40, 17), False))},
    "resize box": by_mode("resize", "BOX", 10),
    "resize to a limit": functional("resize", 20, max_size=25),
    "resize over a limit": functional("resize", 20, max_size=20),
    "resize both to a limit": functional("resize", (20, 20), max_size=20),
    "resize to three": functional("resize", (1, 2, 3)),
    "resize by number": functional("resize", 9, 3),
    "resize by name": functional("resize", 9, "bilinear"),
    "resized crop": functional("resized_crop", 2, 3, 10, 12, 8),
    **{f"rotate {mode} {fill} {expand}": by_mode("rotate", mode, 33.3, expand=expand, fill=fill)
       for mode in ("NEAREST", "BILINEAR", "BICUBIC") for fill, expand in ((None, True), (0.5, False), ([5], True), ([1, 2, 3], False))},
    "rotate about": functional("rotate", -50, center=[3, 4]),
    "rotate by what": functional("rotate", "a"),
    "rotate about what": functional("rotate", 3, center=4),
    **{f"affine {mode} {fill}": by_mode("affine", mode, 20, (3, -2), 1.2, (10, 5.0), fill=fill)
       for mode in ("NEAREST", "BILINEAR", "BICUBIC") for fill in (None, 0.5, [1, 2, 3])},
    "affine about": functional("affine", 20.0, [1, 1], 0.7, 12, center=(4, 5)),
    **{f"affine with {wrong}": functional("affine", **({"angle": 3, "translate": (1, 2), "scale": 1.0, "shear": 0} | wrong)) for wrong in (
        {"angle": "a"}, {"translate": 3}, {"translate": (1, 2, 3)}, {"scale": 0.0}, {"shear": "x"}, {"shear": (1, 2, 3)}, {"center": 3})},
    "perspective": functional("perspective", *CORNERS),
    "perspective with a colour": functional("perspective", *CORNERS, fill=[1, 2, 3]),
    "perspective of a corner": functional("perspective", [[0, 0]], [[0, 0]]),
    "elastic of another shape": lambda lib, m, x: m.functional.elastic_transform(x, lib.zeros(1, 2, 2, 2)),
    "elastic by what": functional("elastic_transform", 3),
}  # fmt: skip


@pytest.mark.parametrize("change", FUNCTIONS.values(), ids=FUNCTIONS)
def test_functions(change):
    agree(change)


def eye(lib, m):
    return m.LinearTransformation(lib.eye(1200), lib.ones(1200))


MADE = {
    "Compose": lambda lib, m: m.Compose([m.Resize(12), m.CenterCrop((9, 10)), m.Lambda(lambda x: x)]),
    "ToTensor": lambda lib, m: m.ToTensor(),
    "PILToTensor": lambda lib, m: m.PILToTensor(),
    "ToPILImage": lambda lib, m: m.ToPILImage(),
    "ToPILImage mode": lambda lib, m: m.ToPILImage("HSV"),
    "ConvertImageDtype": lambda lib, m: m.ConvertImageDtype(lib.float32),
    "Normalize": lambda lib, m: m.Normalize([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]),
    "Resize": lambda lib, m: m.Resize((9, 11), m.InterpolationMode.NEAREST),
    "Resize number": lambda lib, m: m.Resize(9, 2, 30),
    "CenterCrop": lambda lib, m: m.CenterCrop([12]),
    "FiveCrop": lambda lib, m: m.FiveCrop(10),
    "TenCrop": lambda lib, m: m.TenCrop((10, 9), True),
    "Pad": lambda lib, m: m.Pad((1, 2), 3, "edge"),
    "Grayscale": lambda lib, m: m.Grayscale(3),
    "RandomGrayscale": lambda lib, m: m.RandomGrayscale(0.6),
    "RandomHorizontalFlip": lambda lib, m: m.RandomHorizontalFlip(),
    "RandomVerticalFlip": lambda lib, m: m.RandomVerticalFlip(0.3),
    "RandomCrop": lambda lib, m: m.RandomCrop((20, 30), 4, fill=2),
    "RandomCrop padded": lambda lib, m: m.RandomCrop((40, 50), pad_if_needed=True, padding_mode="edge"),
    "RandomCrop large": lambda lib, m: m.RandomCrop(100),
    "RandomResizedCrop": lambda lib, m: m.RandomResizedCrop(8),
    "RandomResizedCrop unlikely": lambda lib, m: m.RandomResizedCrop((9, 7), (0.9, 1.0), (3.0, 4.0), m.InterpolationMode.NEAREST, False),
    "RandomResizedCrop reversed": lambda lib, m: m.RandomResizedCrop(4, (1.0, 0.5)),
    "RandomRotation": lambda lib, m: m.RandomRotation((10, 90), m.InterpolationMode.BILINEAR, True, fill=3),
    "RandomRotation about": lambda lib, m: m.RandomRotation(30, center=(3, 4), fill=None),
    "RandomAffine": lambda lib, m: m.RandomAffine((5, 20), (0.1, 0.3), (0.5, 1.5), 10, m.InterpolationMode.BILINEAR, 4, (3, 4)),
    "RandomAffine sheared": lambda lib, m: m.RandomAffine(20, shear=(1, 2, 3, 4)),
    "RandomPerspective": lambda lib, m: m.RandomPerspective(0.6, 0.9, fill=7),
    "ElasticTransform": lambda lib, m: m.ElasticTransform(30.0, 2.0),
    "ElasticTransform sides": lambda lib, m: m.ElasticTransform([30.0, 10.0], [1.0, 0.0], m.InterpolationMode.NEAREST, 3),
    "ColorJitter": lambda lib, m: m.ColorJitter(0.5, 0.5, 0.5, 0.3),
    "ColorJitter ranges": lambda lib, m: m.ColorJitter((0.5, 1.4), hue=(-0.1, 0.1)),
    "GaussianBlur": lambda lib, m: m.GaussianBlur((3, 5), (0.2, 1.3)),
    "RandomErasing": lambda lib, m: m.RandomErasing(0.9, value="random"),
    "RandomErasing colours": lambda lib, m: m.RandomErasing(1, (0.1, 0.2), (0.5, 2), (1, 2, 3), True),
    "RandomErasing unlikely": lambda lib, m: m.RandomErasing(1, (0.9, 1.0), (9.0, 10.0)),
    "RandomErasing of two": lambda lib, m: m.RandomErasing(1, value=(1, 2)),
    "RandomInvert": lambda lib, m: m.RandomInvert(),
    "RandomPosterize": lambda lib, m: m.RandomPosterize(3, 0.8),
    "RandomSolarize": lambda lib, m: m.RandomSolarize(0.5),
    "RandomAdjustSharpness": lambda lib, m: m.RandomAdjustSharpness(1.7, 0.8),
    "RandomAutocontrast": lambda lib, m: m.RandomAutocontrast(),
    "RandomEqualize": lambda lib, m: m.RandomEqualize(0.9),
    **{f"AutoAugment {name}": (lambda lib, m, name=name: m.AutoAugment(m.AutoAugmentPolicy[name], fill=3)) for name in (
        "IMAGENET", "CIFAR10", "SVHN")},
    "RandAugment": lambda lib, m: m.RandAugment(3, 7),
    "RandAugment in colour": lambda lib, m: m.RandAugment(fill=[1, 2, 3], interpolation=m.InterpolationMode.BILINEAR),
    "TrivialAugmentWide": lambda lib, m: m.TrivialAugmentWide(),
    "AugMix": lambda lib, m: m.AugMix(5, 2, alpha=0.7),
    "AugMix of shades": lambda lib, m: m.AugMix(chain_depth=1, all_ops=False, fill=4),
    "RandomApply": lambda lib, m: m.RandomApply([m.RandomHorizontalFlip(), m.ColorJitter(0.3)], 0.6),
    "RandomChoice": lambda lib, m: m.RandomChoice([m.RandomHorizontalFlip(1), m.RandomVerticalFlip(1)], [0.1, 0.9]),
    "RandomOrder": lambda lib, m: m.RandomOrder([m.RandomHorizontalFlip(1), m.RandomCrop(9)]),
}  # fmt: skip


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_transforms(make):
    """Several in a row, so that each draws on from the one before; and how the transform prints."""

    def in_a_row(lib, m, x):
        transform = make(lib, m)
        return [repr(transform), *(transform(x) for _ in range(4))]

    agree(in_a_row, ("bytes", "floats", "grey", "batch", "RGB", "L", "P"))


def test_linear_transformation():
    for lib, m in SIDES:
        x = lib.rand(2, 3, 20, 20)
        assert (eye(lib, m)(x) - (x - 1)).abs().max() < 1e-6
    agree(lambda lib, m, x: repr(m.LinearTransformation(lib.eye(2), lib.ones(2))), ["bytes"])


REFUSED = [
    lambda lib, m: m.Resize({}),
    lambda lib, m: m.Resize((1, 2, 3)),
    lambda lib, m: m.Resize(3.5),
    lambda lib, m: m.CenterCrop((1, 2, 3)),
    lambda lib, m: m.Pad("x"),
    lambda lib, m: m.Pad((1, 2, 3)),
    lambda lib, m: m.Pad(1, "x"),
    lambda lib, m: m.Pad(1, 0, "y"),
    lambda lib, m: m.Lambda(3),
    lambda lib, m: m.RandomResizedCrop(4, scale=3),
    lambda lib, m: m.RandomResizedCrop(4, ratio=3),
    lambda lib, m: m.RandomRotation(-1),
    lambda lib, m: m.RandomRotation((1, 2, 3)),
    lambda lib, m: m.RandomRotation({}),
    lambda lib, m: m.RandomRotation(3, center=4),
    lambda lib, m: m.RandomRotation(3, fill={}),
    lambda lib, m: m.RandomAffine(3, (1, 2)),
    lambda lib, m: m.RandomAffine(3, None, (0, 1)),
    lambda lib, m: m.RandomAffine(3, shear=(1, 2, 3)),
    lambda lib, m: m.ElasticTransform(3),
    lambda lib, m: m.ElasticTransform([3.0]),
    lambda lib, m: m.ElasticTransform([3, 4]),
    lambda lib, m: m.ColorJitter(-1),
    lambda lib, m: m.ColorJitter(hue=0.8),
    lambda lib, m: m.ColorJitter("x"),
    lambda lib, m: m.ColorJitter((2, 1)),
    lambda lib, m: m.GaussianBlur(4),
    lambda lib, m: m.GaussianBlur(3, -1),
    lambda lib, m: m.GaussianBlur(3, (2, 1)),
    lambda lib, m: m.GaussianBlur(3, (2, 1, 1)),
    lambda lib, m: m.GaussianBlur((3, 3, 3)),
    lambda lib, m: m.RandomErasing(2),
    lambda lib, m: m.RandomErasing(scale=(0.5, 2)),
    lambda lib, m: m.RandomErasing(value="x"),
    lambda lib, m: m.RandomErasing(value={}),
    lambda lib, m: m.AugMix(11),
    lambda lib, m: m.AutoAugment("imagenet"),
    lambda lib, m: m.RandomChoice(3),
    lambda lib, m: m.RandomChoice([len], 3),
    lambda lib, m: m.LinearTransformation(lib.ones(3, 4), lib.ones(3)),
    lambda lib, m: m.LinearTransformation(lib.ones(3, 3), lib.ones(4)),
    lambda lib, m: m.LinearTransformation(lib.ones(3, 3), lib.ones(3).double()),
    lambda lib, m: m.functional.to_tensor(3),
    lambda lib, m: m.functional.to_tensor(np.ones(3)),
    lambda lib, m: m.functional.to_pil_image(3),
    lambda lib, m: m.functional.to_pil_image(np.ones((2, 2, 5))),
    lambda lib, m: m.functional.to_pil_image(np.ones((2, 2, 2, 2))),
    lambda lib, m: m.functional.to_pil_image(np.ones((2, 2), np.uint16)),
    lambda lib, m: m.functional.to_pil_image(np.ones((2, 2, 3), np.uint8), "L"),
    lambda lib, m: m.functional.to_pil_image(np.ones((2, 2, 2), np.uint8), "L"),
    lambda lib, m: m.functional.to_pil_image(np.ones((2, 2, 4), np.uint8), "L"),
    lambda lib, m: m.functional.to_pil_image(np.ones((2, 2, 1), np.uint8), "F"),
    lambda lib, m: m.functional.hflip(3),
    lambda lib, m: m.functional.get_dimensions(3),
    lambda lib, m: m.functional.gaussian_blur(3, 3),
]


@pytest.mark.parametrize("make", REFUSED)
def test_refuses_what_torchvision_refuses(make):
    ours, theirs = (outcome(*side, lambda lib, m, x: make(lib, m), None) for side in SIDES)
    assert ours == theirs and ours[0] in ("TypeError", "ValueError")


def test_arrays_as_pictures():
    rng = np.random.default_rng(0)
    for shape in ((4, 5), (4, 5, 1), (4, 5, 2), (4, 5, 3), (4, 5, 4)):
        for dtype in (np.uint8, np.int16, np.int32, np.float32, np.float64):
            array = (rng.random(shape) * (1 if np.dtype(dtype).kind == "f" else 200)).astype(dtype)
            agree(lambda lib, m, x, a=array: [m.functional.to_tensor(a), m.functional.to_pil_image(a)], ["bytes"])
            for mode in ("RGBX", "YCbCr", "LA", "F", "I", "I;16"):
                agree(lambda lib, m, x, a=array, mode=mode: m.functional.to_pil_image(a, mode), ["bytes"])


def test_gradients_flow_through():
    results = []
    for lib, m in SIDES:
        lib.manual_seed(0)
        x = lib.tensor(PICTURES["doubles"], requires_grad=True)
        chain = [m.Pad(2, padding_mode="symmetric"), m.RandomRotation(20, m.InterpolationMode.BILINEAR), m.RandomCrop(18)]
        chain += [m.GaussianBlur(3), m.ColorJitter(0.3, 0.3, 0.3), m.Resize(12), m.Normalize([0.5], [0.2])]
        m.Compose(chain)(x).square().sum().backward()
        results.append(x.grad.numpy())
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-5)


def test_pillow_is_asked_for_by_name(monkeypatch):
    """Without Pillow tensors work, and pictures say what to install."""
    import sys

    for name in [n for n in sys.modules if n == "PIL" or n.startswith(("PIL.", "chainrule.vision.transforms.pictures"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(vision.transforms, "pictures", raising=False)
    monkeypatch.setitem(sys.modules, "PIL", None)
    picture = chainrule.rand(3, 8, 8)
    assert vision.transforms.Resize(4)(picture).shape == (3, 4, 4)
    with pytest.raises(ImportError, match=r'pip install "chainrule\[vision\]"'):
        vision.transforms.ToPILImage()(picture)
    with pytest.raises(TypeError, match="img should be PIL Image"):
        vision.transforms.functional.hflip(np.ones((2, 2)))
