"""How a random number moves with the parameter that it was drawn with: the implicit derivative -(dF/da) / (dF/dx) of its distribution F.

dF/da has no closed form for gamma and beta numbers. It comes from central differences of fourth order of SciPy's F, taken in the smaller
of the two tails, so that it is right to about nine digits everywhere that F itself is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core.silence import restore, silence

STENCIL = ((1, 8 / 12), (-1, -8 / 12), (2, -1 / 12), (-2, 1 / 12))


def parameter_slope(lower: Callable, upper: Callable, a: np.ndarray) -> np.ndarray:
    """dF/da, for F = lower(a) = 1 - upper(a)."""
    step = 1e-3 * np.minimum(a, np.sqrt(a))
    down, up = [sum(weight * tail(a + k * step) for k, weight in STENCIL) / step for tail in (lower, upper)]
    return np.where(lower(a) < 0.5, down, -up)


def gamma_slope(alpha: np.ndarray, x: np.ndarray) -> np.ndarray:
    """dx/d(alpha) of gamma numbers x of shape parameter alpha and rate 1: `torch._standard_gamma_grad`.

    Example: `gamma_slope(np.ones(1), np.ones(1))` is about `[0.8178]`.
    """
    from scipy.special import gammainc, gammaincc, gammaln, xlogy

    def slope(a: Any, x: Any) -> Any:
        density = np.exp(xlogy(a - 1, x) - x - gammaln(a))
        return -parameter_slope(lambda a: gammainc(a, x), lambda a: gammaincc(a, x), a) / density

    return in_doubles(slope, alpha, x)


def dirichlet_slope(x: np.ndarray, alpha: np.ndarray, total: np.ndarray) -> np.ndarray:
    """dx/d(alpha) / (1 - x) of beta numbers x with parameters alpha and total - alpha: `torch._dirichlet_grad`.

    Example: `dirichlet_slope(np.array([0.5]), np.ones(1), np.full(1, 2.0))` is `[0.6931]`.
    """
    from scipy.special import betainc, betaincc, betaln, xlog1py, xlogy

    def slope(x: Any, a: Any, total: Any) -> Any:
        b = total - a
        density = np.exp(xlogy(a - 1, x) + xlog1py(b, -x) - betaln(a, b))
        return -parameter_slope(lambda a: betainc(a, b, x), lambda a: betaincc(a, b, x), a) / density

    return in_doubles(slope, x, alpha, total)


def in_doubles(slope: Callable, *arrays: np.ndarray) -> np.ndarray:
    token = silence()
    try:
        return np.asarray(slope(*[a.astype(np.float64) for a in arrays])).astype(arrays[0].dtype)
    finally:
        restore(token)
