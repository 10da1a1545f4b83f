"""What models ask of `torch.onnx`: whether they are being exported. There is no export here."""

from __future__ import annotations

__all__ = ["is_in_onnx_export"]


def is_in_onnx_export() -> bool:
    """False: nothing is being exported."""
    return False
