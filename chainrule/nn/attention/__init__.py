"""`nn.attention`: which of PyTorch's ways to compute scaled_dot_product_attention may be taken. Here there is one way.

It stands for both that PyTorch has on a CPU, MATH and FLASH_ATTENTION: where neither is allowed, attention raises as PyTorch's does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from chainrule.nn._functional.attention import BACKENDS

__all__ = ["SDPBackend", "WARN_FOR_UNFUSED_KERNELS", "sdpa_kernel"]

WARN_FOR_UNFUSED_KERNELS = False


class SDPBackend(IntEnum):
    """PyTorch's ways to compute attention."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4

    def __str__(self) -> str:
        return f"SDPBackend.{self.name}"


NAMES = {
    "cudnn": SDPBackend.CUDNN_ATTENTION, "flash": SDPBackend.FLASH_ATTENTION, "mem_efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH, "overrideable": SDPBackend.OVERRIDEABLE,
}  # fmt: skip


@contextmanager
def sdpa_kernel(backends: list[SDPBackend] | SDPBackend, set_priority: bool = False) -> Iterator[dict]:
    """Within, attention is computed in one of these ways only; their order does not matter here.

    Example:
        >>> q = k = v = ones(1, 2, 4, 8)
        >>> with sdpa_kernel(SDPBackend.MATH):
        ...     y = scaled_dot_product_attention(q, k, v)
        >>> y.shape
        torch.Size([1, 2, 4, 8])
    """
    if not isinstance(backends, (list, SDPBackend)):
        raise AssertionError(
            f"Backend must be an instance of SDPBackend or a list of SDPBackend instances, got {type(backends).__name__}"
        )
    allowed = backends if isinstance(backends, list) else [backends]
    before = dict(BACKENDS)
    BACKENDS.update({name: backend in allowed for name, backend in NAMES.items()})
    try:
        yield {}
    finally:
        BACKENDS.update(before)
