"""`torch.backends.cpu`: what NumPy found the processor to be capable of."""

from __future__ import annotations


def get_cpu_capability() -> str:
    """ "AVX512", "AVX2" or "DEFAULT", as NumPy dispatches."""
    from numpy._core._multiarray_umath import __cpu_features__ as features

    return next((name for name, feature in (("AVX512", "AVX512_SKX"), ("AVX2", "AVX2")) if features.get(feature)), "DEFAULT")
