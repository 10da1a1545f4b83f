"""Preparing pictures: `Compose([RandomCrop(32, 4), ToTensor(), Normalize(mean, std)])`. Pillow's pictures need the extra "vision"."""

from chainrule.vision.transforms import functional
from chainrule.vision.transforms.augment import *  # noqa: F403
from chainrule.vision.transforms.drawn import *  # noqa: F403
from chainrule.vision.transforms.fixed import *  # noqa: F403
from chainrule.vision.transforms.maybe import *  # noqa: F403
from chainrule.vision.transforms.modes import InterpolationMode
