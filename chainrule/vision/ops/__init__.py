"""Operations that models for pictures need: boxes, and blocks of layers."""

from chainrule.vision.ops.boxes import *  # noqa: F403
from chainrule.vision.ops.misc import *  # noqa: F403
