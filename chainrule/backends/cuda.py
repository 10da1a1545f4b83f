"""`torch.backends.cuda`: not there; the switches of its matrix products and of attention can be set."""

from __future__ import annotations

from types import SimpleNamespace

from chainrule.nn._functional.attention import BACKENDS

matmul = SimpleNamespace(
    allow_tf32=False, allow_fp16_reduced_precision_reduction=True, allow_bf16_reduced_precision_reduction=True,
    allow_fp16_accumulation=False,
)  # fmt: skip


def is_built() -> bool:
    """False."""
    return False


def flash_sdp_enabled() -> bool:
    """What `enable_flash_sdp` was told last."""
    return BACKENDS["flash"]


def mem_efficient_sdp_enabled() -> bool:
    """What `enable_mem_efficient_sdp` was told last."""
    return BACKENDS["mem_efficient"]


def math_sdp_enabled() -> bool:
    """What `enable_math_sdp` was told last."""
    return BACKENDS["math"]


def cudnn_sdp_enabled() -> bool:
    """What `enable_cudnn_sdp` was told last."""
    return BACKENDS["cudnn"]


def enable_flash_sdp(enabled: bool) -> None:
    """One way to compute scaled_dot_product_attention; see `nn.attention.sdpa_kernel`."""
    BACKENDS["flash"] = bool(enabled)


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """See `nn.attention.sdpa_kernel`."""
    BACKENDS["mem_efficient"] = bool(enabled)


def enable_math_sdp(enabled: bool) -> None:
    """See `nn.attention.sdpa_kernel`."""
    BACKENDS["math"] = bool(enabled)


def enable_cudnn_sdp(enabled: bool) -> None:
    """See `nn.attention.sdpa_kernel`."""
    BACKENDS["cudnn"] = bool(enabled)
