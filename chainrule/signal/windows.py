"""Windows for spectral analysis, as `torch.signal.windows`; the formulas are `scipy.signal.windows`'.

`M` is the length; `sym=False` gives the periodic window, for spectra. Types are float32 and float64. Raises ValueError otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chainrule._core import dtypes
from chainrule._core.types import strided
from chainrule.tensor import Tensor, wrap


def window(function: str, M: int, parameters: tuple, sym: bool, dtype: Any, layout: Any, requires_grad: bool, check_as: str = "") -> Tensor:
    """SciPy's window of that name, its arguments checked."""
    dtype = dtype or dtypes.get_default_dtype()
    name = check_as or function
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if layout is not strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    if dtype not in (dtypes.float32, dtypes.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
    from scipy.signal import windows

    return wrap(getattr(windows, function)(M, *parameters, sym=sym).astype(dtype.numpy)).requires_grad_(requires_grad)


def exponential(
    M: int,
    *,
    center: float | None = None,
    tau: float = 1.0,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """exp(-|n - center| / tau), shape (M,)."""
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    return window("exponential", M, (center, tau), sym, dtype, layout, requires_grad)


def cosine(
    M: int, *, sym: bool = True, dtype: Any = None, layout: Any = strided, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """sin(pi (n + 0.5) / M), shape (M,)."""
    return window("cosine", M, (), sym, dtype, layout, requires_grad)


def gaussian(
    M: int, *, std: float = 1.0, sym: bool = True, dtype: Any = None, layout: Any = strided, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """exp(-((n - middle) / std)^2 / 2), shape (M,)."""
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    return window("gaussian", M, (std,), sym, dtype, layout, requires_grad)


def kaiser(
    M: int,
    *,
    beta: float = 12.0,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The Kaiser window of shape parameter `beta`, shape (M,)."""
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    return window("kaiser", M, (beta,), sym, dtype, layout, requires_grad)


def general_cosine(
    M: int, *, a: Iterable, sym: bool = True, dtype: Any = None, layout: Any = strided, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A sum of cosines with alternating signs and weights `a`, shape (M,)."""
    if not isinstance(a, Iterable):
        raise TypeError("Coefficients must be a list/tuple")
    a = list(a)
    if not a:
        raise ValueError("Coefficients cannot be empty")
    return window("general_cosine", M, (a,), sym, dtype, layout, requires_grad)


def general_hamming(
    M: int,
    *,
    alpha: float = 0.54,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """alpha - (1 - alpha) cos(2 pi n / (M - 1)), shape (M,)."""
    return window("general_hamming", M, (alpha,), sym, dtype, layout, requires_grad, "general_cosine")


def hamming(
    M: int, *, sym: bool = True, dtype: Any = None, layout: Any = strided, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """The Hamming window: `general_hamming` of 0.54, shape (M,)."""
    return window("hamming", M, (), sym, dtype, layout, requires_grad, "general_cosine")


def hann(M: int, *, sym: bool = True, dtype: Any = None, layout: Any = strided, device: Any = None, requires_grad: bool = False) -> Tensor:
    """The Hann window: `general_hamming` of 0.5, shape (M,)."""
    return window("hann", M, (), sym, dtype, layout, requires_grad, "general_cosine")


def blackman(
    M: int, *, sym: bool = True, dtype: Any = None, layout: Any = strided, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """The Blackman window: `general_cosine` of 0.42, 0.5, 0.08, shape (M,)."""
    return window("blackman", M, (), sym, dtype, layout, requires_grad, "general_cosine")


def bartlett(
    M: int, *, sym: bool = True, dtype: Any = None, layout: Any = strided, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A triangle with zeros at its ends, shape (M,)."""
    return window("bartlett", M, (), sym, dtype, layout, requires_grad)


def nuttall(
    M: int, *, sym: bool = True, dtype: Any = None, layout: Any = strided, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """The minimum 4-term Blackman-Harris window after Nuttall, shape (M,)."""
    return window("nuttall", M, (), sym, dtype, layout, requires_grad, "general_cosine")


__all__ = [
    "bartlett",
    "blackman",
    "cosine",
    "exponential",
    "gaussian",
    "general_cosine",
    "general_hamming",
    "hamming",
    "hann",
    "kaiser",
    "nuttall",
]
