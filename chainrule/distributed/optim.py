"""`torch.distributed.optim`: the name by which programs ask whether an optimizer is shared between processes; none is."""

from __future__ import annotations

from typing import Any

from chainrule.optim.optimizer import Optimizer

__all__ = ["ZeroRedundancyOptimizer"]


class ZeroRedundancyOptimizer(Optimizer):
    """For several processes, which `torch.distributed` does not have here: raises ValueError, as PyTorch does in a single one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")
