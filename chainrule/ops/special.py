"""Special functions: SciPy's kernels, imported when first called, and their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from chainrule.ops.pointwise import exp, log, where
from chainrule.ops.pointwise_form import pointwise
from chainrule.ops.primitive import general

SQRT_PI = 1.7724538509055159
NATIVE = frozenset(map(np.dtype, ("f4", "f8", "c8", "c16")))


def scipy_kernel(name: str) -> Callable:
    """scipy.special's function of that name; other types than its own are computed in float32."""
    found: Any = None

    def kernel(a: Any) -> Any:
        nonlocal found
        if found is None:
            found = getattr(import_module("scipy.special"), name)
        return found(a) if a.dtype in NATIVE else found(a.astype(np.float32)).astype(a.dtype)

    return kernel


def sigmoid_kernel(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


sigmoid = pointwise("sigmoid", sigmoid_kernel, "1 / (1 + exp(-`input`))", result="float", a=lambda y: (1 - y) * y)
erf = pointwise("erf", scipy_kernel("erf"), "the error function", result="float", kinds="buif", a=lambda a: (2 / SQRT_PI) * exp(-(a * a)))
erfc = pointwise("erfc", scipy_kernel("erfc"), "1 - erf(`input`)", result="float", kinds="buif", a=lambda a: (-2 / SQRT_PI) * exp(-(a * a)))
erfinv = pointwise(
    "erfinv", scipy_kernel("erfinv"), "the inverse of `erf`", result="float", kinds="buif", a=lambda y: (SQRT_PI / 2) * exp(y * y)
)
lgamma = pointwise("lgamma", scipy_kernel("gammaln"), "log |gamma(`input`)|", result="float", kinds="buif", a=lambda a: digamma(a))


def _digamma(a: Any) -> Any:
    y = _psi(a)
    if not np.all(a):  # SciPy's signs at the poles differ from PyTorch's only at zero
        y = np.where(a == 0, np.copysign(a.dtype.type(np.inf), -a), y)
    poles = (a < 0) & (a == np.trunc(a))
    return np.where(poles, a.dtype.type(np.nan), y) if np.any(poles) else y


_psi = scipy_kernel("psi")
digamma = pointwise("digamma", _digamma, "the derivative of `lgamma`", result="float", kinds="buif", a=lambda a: polygamma(a, 1))
i0 = pointwise("i0", scipy_kernel("i0"), "the modified Bessel function of order 0", result="float", kinds="buif", a=lambda a: i1(a))
i1 = pointwise("special_i1", scipy_kernel("i1"), "the modified Bessel function of order 1", result="float", kinds="buif", a=lambda a, y: where(a == 0, 0.5, i0(a) - y / where(a == 0, 1, a)))


@general(a=lambda g, a, n: g * polygamma(a, n + 1))
def polygamma(a: Any, n: int) -> Any:
    """The n-th derivative of digamma."""
    if n == 0:
        return digamma.kernel(a)
    return import_module("scipy.special").polygamma(n, a).astype(a.dtype)


@general(a=lambda g, a, eps: g * logit_slope(a, eps))
def logit(a: Any, eps: float | None) -> Any:
    """log(a / (1 - a)), a first moved into [eps, 1 - eps]."""
    if eps is not None:
        a = np.clip(a, a.dtype.type(eps), a.dtype.type(1 - eps))
    return _log_odds(a)


_log_odds = pointwise("odds", lambda a: np.log(a / (1 - a)), noisy=True).kernel


def logit_slope(a: Any, eps: float | None) -> Any:
    low, high, outside = (0.0, 1.0, float("nan")) if eps is None else (eps, 1 - eps, 0)
    return where((a < low) | (a > high), outside, 1 / (a * (1 - a)))


@general(a=lambda g, a, p: g * mvlgamma_slope(a, p))
def mvlgamma(a: Any, p: int) -> Any:
    """The log of the multivariate gamma function."""
    steps = np.arange(p).astype(a.dtype) / a.dtype.type(2)
    constant = a.dtype.type(p * (p - 1) / 4 * 1.1447298858494002)
    return lgamma.kernel(a[..., None] - steps).sum(-1, dtype=a.dtype) + constant


def mvlgamma_slope(a: Any, p: int) -> Any:
    total = digamma(a)
    for k in range(1, p):
        total = total + digamma(a - k / 2)
    return total


__all__ = ["digamma", "erf", "erfc", "erfinv", "i0", "i1", "lgamma", "log", "logit", "mvlgamma", "polygamma", "sigmoid"]
