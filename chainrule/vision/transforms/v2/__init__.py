"""The transforms of `transforms` for whole samples, such as `(picture, label)`, of which they change the picture, and newer ones.

    augment = Compose([ToImage(), RandomResizedCrop(224), ToDtype(float32, scale=True)])
    picture, label = augment(picture, label)

A sample's picture is every picture of Pillow's, or else its first tensor. Boxes, masks and videos are not known.
Tensors of bytes are resized as `transforms` does, in floats; torchvision's v2 does it in integers, and one in ten differs by 1.
"""

from chainrule.vision.transforms import AutoAugmentPolicy, InterpolationMode, augment, drawn, fixed, maybe
from chainrule.vision.transforms.v2 import functional
from chainrule.vision.transforms.v2.later import *  # noqa: F403
from chainrule.vision.transforms.v2.samples import *  # noqa: F403
from chainrule.vision.transforms.v2.samples import of_samples as _of_samples

for _room in (augment, drawn, fixed, maybe):
    for _name in _room.__all__:
        if _name not in globals():
            globals()[_name] = _of_samples(getattr(_room, _name), __name__)
