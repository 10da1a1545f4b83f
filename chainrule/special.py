"""`torch.special`: special functions, named as SciPy names them."""

from __future__ import annotations

from typing import Any

from chainrule.functions.pointwise import (
    digamma,
    erf,
    erfc,
    erfinv,
    exp2,
    expm1,
    i0,
    igamma as gammainc,
    igammac as gammaincc,
    lgamma as gammaln,
    log1p,
    logit,
    mvlgamma as multigammaln,
    polygamma,
    round,
    sigmoid as expit,
    sinc,
    xlogy,
)
from chainrule.functions.reduce import logsumexp
from chainrule.functions.scan import log_softmax as _log_softmax, softmax as _softmax
from chainrule.ops import special as _ops
from chainrule.tensor import Tensor

psi = digamma
_STATED = {name: getattr(_ops, name) for name in ("entr", "erfcx", "i0e", "i1", "i1e", "log_ndtr", "ndtr", "ndtri", "xlog1py", "zeta")}
_STATED |= _ops.UNDIFFERENTIATED | _ops.POLYNOMIALS
globals().update({name: op.function for name, op in _STATED.items()})


def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """exp(x) scaled to sum to 1 along `dim`, computed in `dtype` if given."""
    return _softmax(input, dim, dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The logarithm of `softmax` along `dim`, computed in `dtype` if given."""
    return _log_softmax(input, dim, dtype)


__all__ = [
    *_STATED, "digamma", "erf", "erfc", "erfinv", "exp2", "expit", "expm1", "gammainc", "gammaincc", "gammaln", "i0", "log1p",
    "log_softmax",
    "logit", "logsumexp", "multigammaln", "polygamma", "psi", "round", "sinc", "softmax", "xlogy",
]  # fmt: skip


def __getattr__(name: str) -> Any:  # for type checkers, which do not see the table
    raise AttributeError(f"module 'torch.special' has no attribute {name!r}")
