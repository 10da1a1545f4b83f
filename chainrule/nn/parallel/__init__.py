"""`DataParallel`: for several GPUs in PyTorch; on the CPU it runs the module that it wraps, as PyTorch does without GPUs."""

from __future__ import annotations

from typing import Any

from chainrule.nn.modules.module import Module
from chainrule.nn.parallel.scatter_gather import gather, scatter

__all__ = ["DataParallel", "gather", "scatter"]


class DataParallel(Module):
    """Wraps a module, whose parameters then have names that start with `module.`.

    Example:
        >>> list(DataParallel(Linear(1, 2)).state_dict())
        ['module.weight', 'module.bias']
    """

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        self.module, self.device_ids = module, []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)
