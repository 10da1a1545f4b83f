"""The digits: what ships is what was published, and the two sides never share an image."""

import numpy as np
import pytest

from chainrule.vision.datasets import Digits


def arrays(train):
    digits = Digits(train=train)
    return digits.data.numpy(), digits.targets.numpy()


def test_is_the_published_set():
    (x, y), (xt, yt) = arrays(True), arrays(False)
    assert x.shape == (1437, 8, 8) and xt.shape == (360, 8, 8)
    assert x.dtype == xt.dtype == np.uint8 and y.dtype == yt.dtype == np.int64
    both, labels = np.concatenate([x, xt]), np.concatenate([y, yt])
    assert both.max() == 16 and both.sum() == 561718  # the published totals
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert x[0].tolist() == [
        [0, 0, 5, 13, 9, 1, 0, 0],
        [0, 0, 13, 15, 10, 15, 5, 0],
        [0, 3, 15, 2, 0, 11, 8, 0],
        [0, 4, 12, 0, 0, 8, 8, 0],
        [0, 5, 8, 0, 0, 9, 8, 0],
        [0, 4, 11, 0, 1, 12, 7, 0],
        [0, 2, 14, 5, 10, 12, 0, 0],
        [0, 0, 6, 13, 10, 0, 0, 0],
    ]


def test_split_is_balanced_and_apart():
    (x, _), (xt, yt) = arrays(True), arrays(False)
    assert np.bincount(yt).tolist() == [36] * 10
    assert not {image.tobytes() for image in x} & {image.tobytes() for image in xt}


def test_labels_belong_to_images():
    (x, y), (xt, yt) = arrays(True), arrays(False)
    x, xt = x.reshape(-1, 64).astype(float), xt.reshape(-1, 64).astype(float)
    distance = (xt**2).sum(1)[:, None] - 2 * xt @ x.T + (x**2).sum(1)
    assert np.mean(y[distance.argmin(1)] == yt) > 0.95  # the nearest neighbour knows


def test_indexing_transforms():
    digits = Digits(train=False, transform=lambda image: image.float() / 16, target_transform=lambda label: label + 100)
    image, label = digits[0]
    plain, plain_label = Digits(train=False)[0]
    assert type(plain_label) is int and label == plain_label + 100
    assert np.array_equal(image.numpy(), plain.numpy() / np.float32(16))
    assert len(digits) == 360 and digits.classes[3] == "3"
    with pytest.raises(IndexError):
        digits[360]
