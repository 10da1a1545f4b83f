"""Preparing pictures: `Compose([RandomCrop(32), ToTensor(), Normalize(mean, std)])`. Pillow's pictures need the extra "vision"."""

from chainrule.vision.transforms import functional
from chainrule.vision.transforms.modes import InterpolationMode
