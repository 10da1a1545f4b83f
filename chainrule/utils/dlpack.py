"""`torch.utils.dlpack`: tensors exchanged with other libraries without a copy."""

from __future__ import annotations

from typing import Any

from chainrule.functions import from_dlpack
from chainrule.tensor import Tensor

__all__ = ["from_dlpack", "to_dlpack"]


def to_dlpack(tensor: Tensor) -> Any:
    """A DLPack capsule of the tensor's memory, for one reader."""
    return tensor.__dlpack__()  # type: ignore[attr-defined]
