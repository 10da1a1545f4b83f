"""`torch.utils.data.distributed`: where PyTorch keeps `DistributedSampler`."""

from __future__ import annotations

from chainrule.utils.data.sampler import DistributedSampler

__all__ = ["DistributedSampler"]
