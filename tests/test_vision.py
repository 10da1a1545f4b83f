"""Boxes, blocks of layers, and pictures put side by side are torchvision's; names come when they are asked for."""

import io

import numpy as np
import pytest
import torch
from pictures import plain, same, torchvision
from PIL import Image

import chainrule
from chainrule import vision

SIDES = [(chainrule, vision), (torch, torchvision)]
RNG = np.random.default_rng(0)


def boxes(n, seed=0):
    corners = np.random.default_rng(seed).uniform(0, 50, (n, 4)).astype(np.float32)
    corners[:, 2:] += corners[:, :2]
    return corners


FIRST, SECOND = boxes(7), boxes(5, 1)
MASKS = RNG.random((4, 6, 7)) > 0.9
MASKS[2] = False
PICTURES, GREY = RNG.random((7, 3, 5, 6)).astype(np.float32), RNG.random((3, 1, 4, 4)).astype(np.float32)


def agree(program):
    results = []
    for lib, tv in SIDES:
        lib.manual_seed(0)
        try:
            results.append(plain(program(lib, tv)))
        except Exception as error:
            results.append([type(error).__name__, plain(str(error)).partition(" Supported rotated")[0]])
    same(*results)
    return results[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("name", ["box_iou", "generalized_box_iou", "distance_box_iou", "complete_box_iou"])
def test_shares_of_boxes(name, dtype):
    agree(lambda lib, tv: getattr(tv.ops, name)(lib.tensor(FIRST.astype(dtype)), lib.tensor(SECOND.astype(dtype))))
    agree(lambda lib, tv: getattr(tv.ops, name)(lib.tensor(FIRST[None].astype(dtype)), lib.tensor(SECOND[None].astype(dtype))))


@pytest.mark.parametrize("name", ["box_iou", "generalized_box_iou", "distance_box_iou", "complete_box_iou"])
def test_gradients_of_shares(name):
    def program(lib, tv):
        leaves = [lib.tensor(b.astype(np.float64), requires_grad=True) for b in (FIRST, SECOND)]
        getattr(tv.ops, name)(*leaves).square().sum().backward()
        return [leaf.grad for leaf in leaves]

    agree(program)


@pytest.mark.parametrize("fmt", ["xyxy", "xywh", "cxcywh", "other"])
def test_formats_of_boxes(fmt):
    agree(lambda lib, tv: tv.ops.box_area(lib.tensor(FIRST), fmt))
    agree(lambda lib, tv: tv.ops.box_iou(lib.tensor(FIRST), lib.tensor(SECOND), fmt))
    for other in ("xyxy", "xywh", "cxcywh"):
        agree(lambda lib, tv: tv.ops.box_convert(lib.tensor(FIRST), fmt, other))  # noqa: B023


def test_other_boxes():
    agree(lambda lib, tv: tv.ops.clip_boxes_to_image(lib.tensor(FIRST), (40, 30)))
    agree(lambda lib, tv: tv.ops.remove_small_boxes(lib.tensor(FIRST), 20.0))
    agree(lambda lib, tv: tv.ops.masks_to_boxes(lib.tensor(MASKS)))
    agree(lambda lib, tv: tv.ops.masks_to_boxes(lib.zeros(0, 3, 3)))


def one_by_one(corners, scores, threshold):
    """What to keep, by the definition."""
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        shares = torchvision.ops.box_iou(torch.tensor(corners[[i]]), torch.tensor(corners[kept].reshape(-1, 4)))
        if not (shares > threshold).any():
            kept.append(int(i))
    return kept


@pytest.mark.parametrize("seed", range(10))
def test_nms(seed):
    rng, corners = np.random.default_rng(seed), boxes(40, seed)
    scores, classes = rng.random(40).astype(np.float32).round(1), rng.integers(0, 3, 40)
    given = chainrule.tensor(corners), chainrule.tensor(scores)
    kept = vision.ops.nms(*given, 0.3)
    assert kept.tolist() == one_by_one(corners, scores, 0.3) and kept.dtype == chainrule.int64 and 5 < len(kept) < 40
    groups = [np.flatnonzero(classes == c) for c in range(3)]
    expected = sorted(int(g[i]) for g in groups for i in one_by_one(corners[g], scores[g], 0.3))
    assert sorted(vision.ops.batched_nms(*given, chainrule.tensor(classes), 0.3).tolist()) == expected
    assert vision.ops.batched_nms(chainrule.zeros(0, 4), chainrule.zeros(0), chainrule.zeros(0), 0.3).tolist() == []
    for wrong in ((given[1], given[1]), (given[0], given[0]), (given[0], given[1][:3])):
        with pytest.raises(RuntimeError, match="should be a"):
            vision.ops.nms(*wrong, 0.3)


BLOCKS = [
    lambda lib, o: o.Conv2dNormActivation(3, 4),
    lambda lib, o: o.Conv2dNormActivation(3, 4, (3, 5), dilation=2, norm_layer=None, inplace=None),
    lambda lib, o: o.Conv2dNormActivation(3, 4, 3, padding="same", activation_layer=None, bias=True),
    lambda lib, o: o.Conv3dNormActivation(3, 4, norm_layer=lib.nn.BatchNorm3d),
    lambda lib, o: o.MLP(3, [4, 5, 6], lib.nn.BatchNorm1d, inplace=True, dropout=0.1),
    lambda lib, o: o.MLP(3, [4], bias=False),
    lambda lib, o: o.SqueezeExcitation(8, 2),
    lambda lib, o: o.StochasticDepth(0.1, "row"),
    lambda lib, o: o.Permute([0, 2, 1]),
]


@pytest.mark.parametrize("make", BLOCKS)
def test_blocks(make):
    agree(lambda lib, tv: [repr(make(lib, tv.ops)), *make(lib, tv.ops).parameters()])


@pytest.mark.parametrize("mode", ["row", "batch", "other"])
@pytest.mark.parametrize("p", [0.0, 0.4, 1.0, 2])
def test_stochastic_depth(p, mode):
    agree(lambda lib, tv: tv.ops.stochastic_depth(lib.tensor(PICTURES), p, mode))
    agree(lambda lib, tv: tv.ops.StochasticDepth(p, mode).eval()(lib.tensor(PICTURES)))


GRIDS = [
    {},
    {"nrow": 3, "padding": 1},
    {"normalize": True},
    {"normalize": True, "scale_each": True, "pad_value": 0.5},
    {"normalize": True, "value_range": (0.2, 0.7)},
    {"normalize": True, "value_range": [0.2, 0.7]},
]


@pytest.mark.parametrize("options", GRIDS, ids=str)
def test_grids(options):
    for given in (PICTURES, GREY, PICTURES[0], PICTURES[0, 0], PICTURES[:1], GREY[0]):
        agree(lambda lib, tv: tv.utils.make_grid(lib.tensor(given), **options))  # noqa: B023
    agree(lambda lib, tv: tv.utils.make_grid([lib.tensor(p) for p in PICTURES], **options))


def test_grids_leave_what_they_show_alone():
    given = chainrule.tensor(PICTURES, requires_grad=True)
    assert not vision.utils.make_grid(given, normalize=True, scale_each=True).requires_grad
    np.testing.assert_array_equal(given.detach().numpy(), PICTURES)


def test_grids_of_something_else():
    agree(lambda lib, tv: tv.utils.make_grid(lib.tensor((PICTURES * 255).astype(np.uint8))))
    agree(lambda lib, tv: tv.utils.make_grid(3))
    agree(lambda lib, tv: tv.utils.make_grid([3]))


def test_pictures_are_saved(tmp_path):
    def program(lib, tv):
        file = io.BytesIO()
        tv.utils.save_image(lib.tensor(PICTURES), file, "png", nrow=2)
        return np.asarray(Image.open(file))

    saved = agree(program)
    vision.utils.save_image(chainrule.tensor(PICTURES), tmp_path / "grid.png", nrow=2)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "grid.png")), saved)


def test_names():
    with pytest.raises(AttributeError, match="has no attribute 'video'"):
        vision.video  # noqa: B018
    assert {"datasets", "models", "ops", "transforms", "utils"} <= set(dir(vision))
    missing = [name for name in dir(torchvision.transforms) if name[0].isupper() and not hasattr(vision.transforms, name)]
    assert missing == []
