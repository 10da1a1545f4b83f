"""`torch.distributed.tensor`: the name by which programs ask whether a tensor lies in several processes; none does."""

from __future__ import annotations

from typing import Any

from chainrule.tensor import Tensor

__all__ = ["DTensor"]


class DTensor(Tensor):
    """A tensor shared between processes, which `torch.distributed` does not have here: raises ValueError."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")
