"""`LinearCrossEntropyOptions`: how PyTorch cuts the work of `LinearCrossEntropyLoss`; checked here, and without effect on the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chainrule._core import dtypes

__all__ = ["LinearCrossEntropyOptions"]

POLICIES = "auto", "accurate", "balanced", "compact"
ACCUMULATORS = dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.float64


@dataclass(slots=True, frozen=True)
class LinearCrossEntropyOptions:
    """Batches in pieces of `batch_chunk_size`, or of a size found by `chunking_method`; sums in `acc_dtype` by `acc_policy`.

    Raises ValueError for settings that PyTorch does not have.
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: Any = None

    def __post_init__(self) -> None:
        if self.acc_policy not in POLICIES:
            raise ValueError(f"invalid acc_policy: {self.acc_policy!r}")
        if self.chunking_method not in (None, "auto"):
            name, colon, factor = str(self.chunking_method).partition(":")
            if name != "aspect_ratio" or (colon and not (factor.isdigit() and int(factor) > 0)):
                raise ValueError(f"invalid chunking_method: {self.chunking_method!r}")
        size = self.batch_chunk_size
        if size is not None and not (isinstance(size, int) and size > 0):
            raise ValueError(f"batch_chunk_size must be positive int or None, got {size!r}")
        if self.acc_dtype is not None and self.acc_dtype not in ACCUMULATORS:
            listed = ", ".join(map(repr, ACCUMULATORS))
            raise ValueError(
                f"acc_dtype must be one of {{None, {listed}}}, got {self.acc_dtype!r}. Pass acc_dtype=None to let the op "
                "pick automatically."
            )
