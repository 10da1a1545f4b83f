"""`ChannelShuffle`: channels of different groups interleaved."""

from __future__ import annotations

from chainrule.nn import functional as F
from chainrule.nn.modules.layer import layer
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor

__all__ = ["ChannelShuffle"]


@layer("groups")
class ChannelShuffle(Module):
    """Takes the channels of (N, C, *size) in turn from each of `groups` groups."""

    groups: int

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)
