"""`DataParallel`: for several GPUs in PyTorch; on the CPU it runs the module that it wraps, as PyTorch does without GPUs."""

from __future__ import annotations

from typing import Any

from chainrule.nn.modules.module import Module
from chainrule.nn.parallel.scatter_gather import gather, scatter

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel", "gather", "scatter"]


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


def data_parallel(
    module: Module, inputs: Any, device_ids: Any = None, output_device: Any = None, dim: int = 0, module_kwargs: dict | None = None
) -> Any:
    """The module of its input, or of a tuple of them, as `DataParallel` would call it.

    Example: `data_parallel(Linear(2, 3), rand(4, 2)).shape` is `torch.Size([4, 3])`.
    """
    return module(*(inputs if isinstance(inputs, tuple) else (inputs,)), **(module_kwargs or {}))


class DistributedDataParallel(Module):
    """For several processes, which `torch.distributed` does not have here: raises ValueError, as PyTorch does in a single one."""

    def __init__(self, module: Module, *args: Any, **kwargs: Any) -> None:
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")
