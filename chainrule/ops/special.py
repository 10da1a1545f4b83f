"""Special functions: SciPy's kernels, imported when first called, and their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from chainrule.kernels.elementwise import COMPILED, ONES, compiled, one_pass, whole
from chainrule.ops.pointwise import exp, log, missing, sgn, where
from chainrule.ops.pointwise_form import Pointwise, pointwise
from chainrule.ops.primitive import general

SQRT_PI, SQRT_2PI, SQRT_HALF = 1.7724538509055159, 2.5066282746310002, 0.7071067811865476
NATIVE = frozenset(map(np.dtype, ("f4", "f8", "c8", "c16")))


def scipy_kernel(name: str, count: int = 1) -> Callable:
    """scipy.special's function of that name, of one or two arguments; half precision is computed in float32."""
    found: Any = None

    def compute(*arrays: Any) -> Any:
        nonlocal found
        if found is None:
            found = getattr(import_module("scipy.special"), name)
        if arrays[0].dtype in NATIVE:
            return found(*arrays)
        return found(*[v.astype(np.float32) for v in arrays]).astype(arrays[0].dtype)

    return (lambda a: compute(a)) if count == 1 else (lambda a, b: compute(a, b))


def in_double(name: str) -> Callable:
    """scipy.special's function of that name, computed in float64, for those whose float32 is less exact than PyTorch's."""
    kernel = scipy_kernel(name)

    def compute(a: Any) -> Any:
        return kernel(a.astype(np.float64, copy=False)).astype(a.dtype, copy=False)

    return compute


@whole
def sigmoid_kernel(a: Any) -> Any:
    if a.size >= COMPILED:
        y = compiled("sigmoid", a)
        if y is not None:
            return y
    y = np.negative(a)
    if y.__class__ is not np.ndarray:
        return np.reciprocal(np.exp(y) + ONES.get(a.dtype, 1))
    np.exp(y, y)
    np.add(y, ONES.get(a.dtype, 1), y)
    return np.reciprocal(y, y)


sigmoid = pointwise("sigmoid", sigmoid_kernel, "1 / (1 + exp(-`input`))", result="float", a=one_pass("sigmoid rule", lambda y: (1 - y) * y))
_erf = scipy_kernel("erf")


@whole
def erf_kernel(a: Any) -> Any:
    y = compiled("erf", a)
    return _erf(a) if y is None else y


erf = pointwise("erf", erf_kernel, "the error function", result="float", kinds="buif", a=lambda a: (2 / SQRT_PI) * exp(-(a * a)))
erfc = pointwise("erfc", scipy_kernel("erfc"), "1 - erf(`input`)", result="float", kinds="buif", a=lambda a: (-2 / SQRT_PI) * exp(-(a * a)))
erfinv = pointwise(
    "erfinv", in_double("erfinv"), "the inverse of `erf`", result="float", kinds="buif", a=lambda y: (SQRT_PI / 2) * exp(y * y)
)
_gammaln = scipy_kernel("gammaln")
lgamma = pointwise(
    "lgamma", lambda a: np.where(np.isinf(a), np.abs(a), _gammaln(a)), "log |gamma(`input`)|", result="float", kinds="buif",
    a=lambda a: digamma(a),
)  # fmt: skip


def _digamma(a: Any) -> Any:
    y = _psi(a)
    if not np.all(a):  # SciPy's signs at the poles differ from PyTorch's only at zero
        y = np.where(a == 0, np.copysign(a.dtype.type(np.inf), -a), y)
    poles = (a < 0) & (a == np.trunc(a))
    return np.where(poles, a.dtype.type(np.nan), y) if np.any(poles) else y


_psi = scipy_kernel("psi")
digamma = pointwise("digamma", _digamma, "the derivative of `lgamma`", result="float", kinds="buif", a=lambda a: polygamma(a, 1))
i0 = pointwise("i0", scipy_kernel("i0"), "the modified Bessel function of order 0", result="float", kinds="buif", a=lambda a: i1(a))
i1 = pointwise(
    "special_i1", scipy_kernel("i1"), "the modified Bessel function of order 1", result="float", kinds="buif",
    a=lambda a, y: where(a == 0, 0.5, i0(a) - y / where(a == 0, 1, a)),
)  # fmt: skip


def stated(name: str, kernel: str | Callable, doc: str, node: str | None = None, **rules: Any) -> Pointwise:
    """A function of `torch.special`; one without rules is not differentiable."""
    kernel = scipy_kernel(kernel) if isinstance(kernel, str) else kernel
    return pointwise(f"special_{name}", kernel, doc, result="float", kinds="buif", node=node and f"Special{node}Backward0", **rules)


i0e = stated("i0e", "i0e", "exp(-|`input`|) * i0(`input`)", "I0E", a=lambda g, a, y: g * (i1e(a) - sgn(a) * y))
i1e = stated("i1e", "i1e", "exp(-|`input`|) * i1(`input`)", "I1E", a=lambda g, a, y: g * i1e_slope(a, y))
erfcx = stated("erfcx", "erfcx", "exp(`input`²) * erfc(`input`)", "Erfcx", a=lambda g, a, y: g * (2 * (a * y) - 2 / SQRT_PI))
ndtr = stated("ndtr", "ndtr", "the area under the normal density left of `input`", a=lambda a: exp(-0.5 * (a * a)) * (1 / SQRT_2PI))
log_ndtr = stated("log_ndtr", "log_ndtr", "log(ndtr(`input`))", "LogNdtr", a=lambda g, a: g / erfcx(a * -SQRT_HALF) * (2 / SQRT_2PI))
ndtri = stated("ndtri", "ndtri", "the inverse of `ndtr`", "Ndtri", a=lambda y: exp(0.5 * (y * y)) * SQRT_2PI)
entr = stated("entr", "entr", "-`input` * log(`input`)", "Entr", a=lambda a: -1 - log(a))


def i1e_slope(a: Any, y: Any) -> Any:
    return where(a == 0, 0.5, i0e(a) - y * (sgn(a) + 1 / where(a == 0, 1, a)))


def _airy(a: Any) -> Any:
    return import_module("scipy.special").airy(a.astype(np.float32) if a.dtype not in NATIVE else a)[0].astype(a.dtype)


def _spherical_j0(a: Any) -> Any:
    zero, one = a.dtype.type(0), a.dtype.type(1)
    return np.where(np.isinf(a), zero, np.where(a == 0, one, np.sin(a) / np.where(a == 0, one, a)))


# PyTorch has no derivatives of these
BESSEL = {
    "bessel_j0": "j0", "bessel_j1": "j1", "bessel_y0": "y0", "bessel_y1": "y1", "modified_bessel_i0": "i0", "modified_bessel_i1": "i1",
    "modified_bessel_k0": "k0", "modified_bessel_k1": "k1", "scaled_modified_bessel_k0": "k0e", "scaled_modified_bessel_k1": "k1e",
}  # fmt: skip
# name -> its kernel, what it is, and how PyTorch calls its argument
FUNCTIONS: dict[str, tuple] = {
    **{name: (kernel, f"the Bessel function {name[-2:].upper()}", "x" if name[0] == "s" else "input") for name, kernel in BESSEL.items()},
    "airy_ai": (_airy, "the Airy function Ai", "x"),
    "spherical_bessel_j0": (_spherical_j0, "the spherical Bessel function j0, sin(`x`) / `x`", "x"),
}
UNDIFFERENTIATED = {name: stated(name, kernel, doc, names=(argument,)) for name, (kernel, doc, argument) in FUNCTIONS.items()}


def polynomial(name: str, evaluate: Callable, doc: str) -> Pointwise:
    """The polynomial of degree `n`, which is truncated, at `x`; 0 for negative degrees. In double precision on the way."""

    def kernel(a: Any, b: Any) -> Any:
        degree = np.trunc(np.asarray(b, np.float64)).astype(np.int64)
        y = evaluate(import_module("scipy.special"), degree, np.asarray(a, np.float64))
        return np.where(degree < 0, 0, y).astype(a.dtype)

    return pointwise(f"special_{name}", kernel, doc, result="float", kinds="buif", noisy=True, names=("x", "n"))


def _third(s: Any, n: Any, x: Any) -> Any:
    return s.eval_chebyu(n, x) - np.where(n > 0, s.eval_chebyu(np.maximum(n - 1, 0), x), 0)


def _fourth(s: Any, n: Any, x: Any) -> Any:
    return s.eval_chebyu(n, x) + np.where(n > 0, s.eval_chebyu(np.maximum(n - 1, 0), x), 0)


FAMILIES = {
    "chebyshev_polynomial_t": (lambda s, n, x: s.eval_chebyt(n, x), "Chebyshev polynomials of the first kind"),
    "chebyshev_polynomial_u": (lambda s, n, x: s.eval_chebyu(n, x), "Chebyshev polynomials of the second kind"),
    "chebyshev_polynomial_v": (_third, "Chebyshev polynomials of the third kind"),
    "chebyshev_polynomial_w": (_fourth, "Chebyshev polynomials of the fourth kind"),
    "shifted_chebyshev_polynomial_t": (lambda s, n, x: s.eval_chebyt(n, 2 * x - 1), "Chebyshev polynomials of the first kind at 2x - 1"),
    "shifted_chebyshev_polynomial_u": (lambda s, n, x: s.eval_chebyu(n, 2 * x - 1), "Chebyshev polynomials of the second kind at 2x - 1"),
    "shifted_chebyshev_polynomial_v": (lambda s, n, x: _third(s, n, 2 * x - 1), "Chebyshev polynomials of the third kind at 2x - 1"),
    "shifted_chebyshev_polynomial_w": (lambda s, n, x: _fourth(s, n, 2 * x - 1), "Chebyshev polynomials of the fourth kind at 2x - 1"),
    "hermite_polynomial_h": (lambda s, n, x: s.eval_hermite(n, x), "the physicists' Hermite polynomials"),
    "hermite_polynomial_he": (lambda s, n, x: s.eval_hermitenorm(n, x), "the probabilists' Hermite polynomials"),
    "laguerre_polynomial_l": (lambda s, n, x: s.eval_laguerre(n, x), "Laguerre polynomials"),
    "legendre_polynomial_p": (lambda s, n, x: s.eval_legendre(n, x), "Legendre polynomials"),
}
POLYNOMIALS = {name: polynomial(name, evaluate, doc) for name, (evaluate, doc) in FAMILIES.items()}

# Two arguments

xlog1py = pointwise(
    "special_xlog1py", scipy_kernel("xlog1py", 2), "`input` * log1p(`other`), and 0 where `input` is 0", result="float", kinds="buif",
    node="SpecialXlog1PyBackward0", scalar_a="SpecialXlog1PyBackward1", scalar_b="SpecialXlog1PyBackward2",
    a=lambda g, a, b: where((a == 0) & (b <= -1), 0, xlog1py(g, b)), b=lambda g, a, b: g * a / (b + 1),
)  # fmt: skip
zeta = pointwise(
    "special_zeta", scipy_kernel("zeta", 2), "the Hurwitz zeta function", result="float", kinds="buif", scalar_a="SpecialZetaBackward1",
    scalar_b="SpecialZetaBackward2", a=missing("zeta"), b=lambda a, b: -a * zeta(a + 1, b),
)  # fmt: skip
igamma = pointwise(
    "igamma", scipy_kernel("gammainc", 2), "the regularised lower incomplete gamma function", kinds="f", scalars="no",
    a=missing("igamma: input"), b=lambda a, b: gamma_density(a, b),
)  # fmt: skip
igammac = pointwise(
    "igammac", scipy_kernel("gammaincc", 2), "the regularised upper incomplete gamma function", kinds="f", scalars="no",
    a=missing("igammac: input"), b=lambda a, b: -gamma_density(a, b),
)  # fmt: skip


def gamma_density(a: Any, b: Any) -> Any:
    return exp((a - 1) * log(b) - b - lgamma(a))


# With a setting


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
