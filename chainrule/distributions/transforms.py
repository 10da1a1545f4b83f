"""Invertible maps with log |det Jacobian|, for `TransformedDistribution`.

`t(x)` maps, `t.inv(y)` maps back, `t.log_abs_det_jacobian(x, y)` has one number for each event of the domain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import chainrule as torch
from chainrule.distributions import constraints
from chainrule.distributions.base_transforms import (
    ComposeTransform,
    Fixed,
    IndependentTransform,
    ReshapeTransform,
    Transform,
    _InverseTransform,  # noqa: F401
    identity_transform,
    need,
    widened,
)
from chainrule.distributions.utils import NUMBERS, _sum_rightmost, broadcast_all, lazy_property, tril_matrix_to_vec, vec_to_tril_matrix
from chainrule.nn import functional as F
from chainrule.tensor import Tensor

__all__ = [
    "AbsTransform", "AffineTransform", "CatTransform", "ComposeTransform", "CorrCholeskyTransform", "CumulativeDistributionTransform",
    "ExpTransform", "IndependentTransform", "LowerCholeskyTransform", "PositiveDefiniteTransform", "PowerTransform", "ReshapeTransform",
    "SigmoidTransform", "SoftmaxTransform", "SoftplusTransform", "StackTransform", "StickBreakingTransform", "TanhTransform", "Transform",
    "identity_transform",
]  # fmt: skip


def scalar(name: str, doc: str, codomain: Any, call: Callable, inverse: Callable, log_slope: Callable) -> type[Transform]:
    """A rising map of the real numbers: `log_slope(x, y)` is the logarithm of its derivative."""
    members: dict[str, Any] = {
        "__doc__": doc, "__module__": __name__, "domain": constraints.real, "codomain": codomain, "bijective": True, "sign": +1,
        "_call": lambda self, x: call(x), "_inverse": lambda self, y: inverse(y),
        "log_abs_det_jacobian": lambda self, x, y: log_slope(x, y),
    }  # fmt: skip
    return type(name, (Fixed,), members)


def _clipped_sigmoid(x: Tensor) -> Tensor:
    finfo = torch.finfo(x.dtype)
    return torch.sigmoid(x).clamp(min=finfo.tiny, max=1.0 - finfo.eps)


def clipped_logit(y: Tensor) -> Tensor:
    finfo = torch.finfo(y.dtype)
    y = y.clamp(min=finfo.tiny, max=1.0 - finfo.eps)
    return y.log() - (-y).log1p()


ExpTransform = scalar("ExpTransform", "y = exp(x).", constraints.positive, lambda x: x.exp(), lambda y: y.log(), lambda x, y: x)
SigmoidTransform = scalar(
    "SigmoidTransform", "y = 1 / (1 + exp(-x)), kept inside of (0, 1).", constraints.unit_interval, _clipped_sigmoid, clipped_logit,
    lambda x, y: -F.softplus(-x) - F.softplus(x),
)  # fmt: skip
SoftplusTransform = scalar(
    "SoftplusTransform", "y = log(1 + exp(x)).", constraints.positive, lambda x: F.softplus(x), lambda y: (-y).expm1().neg().log() + y,
    lambda x, y: -F.softplus(-x),
)  # fmt: skip
TanhTransform = scalar(
    "TanhTransform", "y = tanh(x).", constraints.interval(-1.0, 1.0), lambda x: x.tanh(), lambda y: torch.atanh(y),
    lambda x, y: 2.0 * (math.log(2.0) - x - F.softplus(-2.0 * x)),
)  # fmt: skip


class AbsTransform(Fixed):
    """y = |x|, which has no inverse: `inv` gives back what it is given."""

    domain, codomain = constraints.real, constraints.positive

    def _call(self, x: Any) -> Any:
        return x.abs()

    def _inverse(self, y: Any) -> Any:
        return y


class Broadcasting(Transform):
    """A transform whose parameters broadcast with what it maps."""

    bijective = True

    def forward_shape(self, shape: Any) -> Any:
        shapes = [getattr(getattr(self, name), "shape", ()) for name in self._arguments]
        return torch.broadcast_shapes(shape, *shapes)

    inverse_shape = forward_shape


class PowerTransform(Broadcasting):
    """y = x^exponent, for positive x."""

    domain = codomain = constraints.positive
    _arguments = ("exponent",)

    def __init__(self, exponent: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        (self.exponent,) = broadcast_all(exponent)

    @lazy_property
    def sign(self) -> Any:
        return self.exponent.sign()

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, PowerTransform) and self.exponent.eq(other.exponent).all().item()

    __hash__ = object.__hash__

    def _call(self, x: Any) -> Any:
        return x.pow(self.exponent)

    def _inverse(self, y: Any) -> Any:
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return (self.exponent * y / x).abs().log()


class AffineTransform(Broadcasting):
    """y = loc + scale x, for events of `event_dim` dimensions."""

    _arguments = ("loc", "scale")

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        self.loc, self.scale, self._event_dim = loc, scale, event_dim

    event_dim = property(lambda self: self._event_dim)

    @constraints.dependent_property(is_discrete=False)
    def domain(self) -> Any:
        return widened(constraints.real, self._event_dim)

    codomain = domain

    def with_cache(self, cache_size: int = 1) -> Any:
        return self if self._cache_size == cache_size else AffineTransform(self.loc, self.scale, self._event_dim, cache_size)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, AffineTransform) and same(self.loc, other.loc) and same(self.scale, other.scale)

    __hash__ = object.__hash__

    @property
    def sign(self) -> Any:
        if isinstance(self.scale, NUMBERS):
            return (self.scale > 0) - (self.scale < 0)
        return self.scale.sign()

    def _call(self, x: Any) -> Any:
        return self.loc + self.scale * x

    def _inverse(self, y: Any) -> Any:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        scale, event_dim = self.scale, self._event_dim
        result = torch.full_like(x, math.log(abs(scale))) if isinstance(scale, NUMBERS) else scale.abs().log()
        return _sum_rightmost(result, event_dim).expand(x.shape[: x.dim() - event_dim])


def same(a: Any, b: Any) -> bool:
    return bool(torch.as_tensor(a == b).all())


class CorrCholeskyTransform(Transform):
    """Vectors of n (n - 1) / 2 to Cholesky factors (n, n) of correlation matrices: partial correlations, by tanh, row by row."""

    domain, codomain = constraints.real_vector, constraints.corr_cholesky
    bijective = True

    def _call(self, x: Any) -> Any:
        eps = torch.finfo(x.dtype).eps
        r = vec_to_tril_matrix(torch.tanh(x).clamp(min=-1 + eps, max=1 - eps), diag=-1)
        rest = (1 - r**2).sqrt().cumprod(-1)
        r = r + torch.eye(r.shape[-1], dtype=r.dtype)
        return r * F.pad(rest[..., :-1], [1, 0], value=1)

    def _inverse(self, y: Any) -> Any:
        rest = 1 - torch.cumsum(y * y, dim=-1)
        before = tril_matrix_to_vec(F.pad(rest[..., :-1], [1, 0], value=1), diag=-1)
        t = tril_matrix_to_vec(y, diag=-1) / before.sqrt()
        return (t.log1p() - t.neg().log1p()) / 2

    def log_abs_det_jacobian(self, x: Any, y: Any, intermediates: Any = None) -> Any:
        rest = tril_matrix_to_vec(1 - (y * y).cumsum(dim=-1), diag=-2)
        by_tanh = -2 * (x + F.softplus(-2 * x) - math.log(2.0)).sum(dim=-1)
        return 0.5 * rest.log().sum(-1) + by_tanh

    def forward_shape(self, shape: Any) -> Any:
        need(shape, 1)
        count = shape[-1]
        n = round((0.25 + 2 * count) ** 0.5 + 0.5)
        if n * (n - 1) // 2 != count:
            raise ValueError("Input is not a flattened lower-diagonal number")
        return shape[:-1] + (n, n)

    def inverse_shape(self, shape: Any) -> Any:
        need(shape, 2)
        if shape[-2] != shape[-1]:
            raise ValueError("Input is not square")
        n = shape[-1]
        return shape[:-2] + (n * (n - 1) // 2,)


class SoftmaxTransform(Fixed):
    """Vectors to the simplex by softmax: not bijective, but it treats all coordinates alike."""

    domain, codomain = constraints.real_vector, constraints.simplex

    def _call(self, x: Any) -> Any:
        return F.softmax(x, -1)

    def _inverse(self, y: Any) -> Any:
        return y.log()

    def forward_shape(self, shape: Any) -> Any:
        need(shape, 1)
        return shape

    inverse_shape = forward_shape


class StickBreakingTransform(Fixed):
    """Vectors of k to the simplex of k + 1: each coordinate breaks off its share of the rest of a stick."""

    domain, codomain = constraints.real_vector, constraints.simplex
    bijective = True

    def _offsets(self, x: Any) -> Any:
        """log k, ..., log 1, so that 0 is mapped to the middle."""
        return torch.arange(x.shape[-1], 0, -1, dtype=x.dtype).log()

    def _call(self, x: Any) -> Any:
        z = _clipped_sigmoid(x - self._offsets(x))
        return F.pad(z, [0, 1], value=1) * F.pad((1 - z).cumprod(-1), [1, 0], value=1)

    def _inverse(self, y: Any) -> Any:
        y = y[..., :-1]
        rest = (1 - y.cumsum(-1)).clamp(min=torch.finfo(y.dtype).tiny)
        return y.log() - rest.log() + self._offsets(y)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        x = x - self._offsets(x)
        return (-x + F.logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        need(shape, 1)
        return shape[:-1] + (shape[-1] + 1,)

    def inverse_shape(self, shape: Any) -> Any:
        need(shape, 1)
        return shape[:-1] + (shape[-1] - 1,)


class LowerCholeskyTransform(Fixed):
    """Matrices to lower triangles with a positive diagonal."""

    domain, codomain = constraints.independent(constraints.real, 2), constraints.lower_cholesky

    def _call(self, x: Any) -> Any:
        return x.tril(-1) + x.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def _inverse(self, y: Any) -> Any:
        return y.tril(-1) + y.diagonal(dim1=-2, dim2=-1).log().diag_embed()


class PositiveDefiniteTransform(Fixed):
    """Matrices to positive-definite ones, by their Cholesky factors."""

    domain, codomain = constraints.independent(constraints.real, 2), constraints.positive_definite

    def _call(self, x: Any) -> Any:
        factor = LowerCholeskyTransform()(x)
        return factor @ factor.mT

    def _inverse(self, y: Any) -> Any:
        return LowerCholeskyTransform().inv(torch.linalg.cholesky(y))


class Parts(Transform):
    """A transform for each part of a tensor along `dim`."""

    transforms: list[Any]

    def _keep(self, tseq: Sequence[Any], dim: int, cache_size: int) -> None:
        assert all(isinstance(t, Transform) for t in tseq), "All elements of tseq must be Transform instances"
        Transform.__init__(self, cache_size=cache_size)
        self.transforms, self.dim = [t.with_cache(cache_size) if cache_size else t for t in tseq], dim

    bijective = property(lambda self: all(t.bijective for t in self.transforms))

    def _slice(self, z: Any) -> Sequence[Any]:
        raise NotImplementedError

    def _join(self, parts: list) -> Any:
        raise NotImplementedError

    def _call(self, x: Any) -> Any:
        return self._join([t(part) for t, part in zip(self.transforms, self._slice(x), strict=True)])

    def _inverse(self, y: Any) -> Any:
        return self._join([t.inv(part) for t, part in zip(self.transforms, self._slice(y), strict=True)])

    def _log_parts(self, x: Any, y: Any) -> list:
        triples = zip(self.transforms, self._slice(x), self._slice(y), strict=True)
        return [t.log_abs_det_jacobian(a, b) for t, a, b in triples]


class CatTransform(Parts):
    """Transforms of slices of the given lengths along `dim`."""

    _arguments = ("transforms", "dim", "lengths")

    def __init__(self, tseq: Sequence[Any], dim: int = 0, lengths: Sequence[int] | None = None, cache_size: int = 0) -> None:
        self._keep(tseq, dim, cache_size)
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        assert len(self.lengths) == len(self.transforms), f"lengths ({len(self.lengths)}) must match transforms ({len(self.transforms)})"

    event_dim = property(lambda self: max(t.event_dim for t in self.transforms))
    length = property(lambda self: sum(self.lengths))

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths)

    def _slice(self, z: Any) -> Sequence[Any]:
        return z.split(self.lengths, self.dim)

    def _join(self, parts: list) -> Any:
        return torch.cat(parts, dim=self.dim)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        event_dim = self.event_dim
        terms = zip(self.transforms, self._log_parts(x, y), strict=True)
        summed = [_sum_rightmost(term, event_dim - t.event_dim) for t, term in terms]
        dim = (self.dim - x.dim() if self.dim >= 0 else self.dim) + event_dim
        return torch.cat(summed, dim=dim) if dim < 0 else sum(summed)


class StackTransform(Parts):
    """Transforms of the entries along `dim`."""

    _arguments = ("transforms", "dim")

    def __init__(self, tseq: Sequence[Any], dim: int = 0, cache_size: int = 0) -> None:
        self._keep(tseq, dim, cache_size)

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.stack([t.domain for t in self.transforms], self.dim)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.stack([t.codomain for t in self.transforms], self.dim)

    def _slice(self, z: Any) -> Sequence[Any]:
        return z.unbind(self.dim)

    def _join(self, parts: list) -> Any:
        return torch.stack(parts, dim=self.dim)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return self._join(self._log_parts(x, y))


class CumulativeDistributionTransform(Transform):
    """x to the probability, under `distribution`, of what is at most x."""

    bijective = True
    codomain = constraints.unit_interval
    sign = +1
    domain = property(lambda self: self.distribution.support)
    _arguments = ("distribution",)

    def __init__(self, distribution: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        self.distribution = distribution

    def _call(self, x: Any) -> Any:
        return self.distribution.cdf(x)

    def _inverse(self, y: Any) -> Any:
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return self.distribution.log_prob(x)
