"""`kl_divergence(p, q)`: a table by the two families, and how to enter new ones (`register_kl`).

Two families of one kind have their own formula. For two different continuous ones the divergence is the cross-entropy E_p[-log q] less the
entropy of p, so that a few expectations of each p and the cross-entropy of each q stand for all pairs; where p has values that q has not
it is infinite.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import reduce
from math import inf, pi
from operator import add
from typing import Any

import chainrule as torch
from chainrule.distributions.composed import Independent, TransformedDistribution
from chainrule.distributions.discrete import Bernoulli, Binomial, Categorical, Geometric, OneHotCategorical, Poisson
from chainrule.distributions.distribution import Distribution, ExponentialFamily
from chainrule.distributions.matrices import (
    LowRankMultivariateNormal,
    MultivariateNormal,
    _batch_lowrank_mahalanobis,
    _batch_mahalanobis,
    log_diagonal,
)
from chainrule.distributions.positive import Beta, ContinuousBernoulli, Dirichlet, Exponential, Gamma
from chainrule.distributions.real import Cauchy, Laplace, Normal, Uniform
from chainrule.distributions.transformed import Gumbel, HalfNormal, Pareto
from chainrule.distributions.utils import _sum_rightmost, euler_constant
from chainrule.nn import functional as F
from chainrule.tensor import Tensor

__all__ = ["kl_divergence", "register_kl"]

_KL_REGISTRY: dict[tuple[type, type], Callable] = {}
_KL_MEMOIZE: dict[tuple[type, type], Any] = {}


def register_kl(type_p: type, type_q: type) -> Callable:
    """Enter a formula `f(p, q)` for two classes and what derives from them. Raises TypeError for what is no class.

    Example:
        >>> class Scaled(Normal): ...
        >>> @register_kl(Scaled, Scaled)
        ... def kl_scaled_scaled(p, q): ...
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(kind, type):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def decorator(fun: Callable) -> Callable:
        _KL_REGISTRY[type_p, type_q] = fun
        _KL_MEMOIZE.clear()  # which may hold a formula of more general classes
        return fun

    return decorator


def _dispatch_kl(type_p: type, type_q: type) -> Any:
    """The formula for the nearest classes, those of p before those of q; NotImplemented if there is none."""
    pairs = [(a, b) for a, b in _KL_REGISTRY if issubclass(type_p, a) and issubclass(type_q, b)]
    if not pairs:
        return NotImplemented
    near_p, near_q = type_p.__mro__.index, type_q.__mro__.index
    left = min(pairs, key=lambda pair: (near_p(pair[0]), near_q(pair[1])))
    right = min(pairs, key=lambda pair: (near_q(pair[1]), near_p(pair[0])))
    if _KL_REGISTRY[left] is not _KL_REGISTRY[right]:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). "
            f"Please register_kl({left[0].__name__}, {right[1].__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return _KL_REGISTRY[left]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """The Kullback-Leibler divergence E_p[log p - log q], of the batch shape. Raises NotImplementedError for pairs without a formula.

    Example:
        >>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
        tensor(0.5000)
    """
    kinds = type(p), type(q)
    if kinds not in _KL_MEMOIZE:
        _KL_MEMOIZE[kinds] = _dispatch_kl(*kinds)
    formula = _KL_MEMOIZE[kinds]
    if formula is NotImplemented:
        raise missing(p, q)
    return formula(p, q)


def missing(p: Distribution, q: Distribution) -> NotImplementedError:
    names = f"for p type {p.__class__.__name__} and q type {q.__class__.__name__}"
    return NotImplementedError(f"No KL(p || q) is implemented {names}")


# Two of one family


@register_kl(Bernoulli, Bernoulli)
def _kl_bernoulli_bernoulli(p: Any, q: Any) -> Tensor:
    def side(chance_p: Tensor, chance_q: Tensor, logits_p: Tensor, logits_q: Tensor) -> Tensor:
        t = chance_p * (F.softplus(-logits_q) - F.softplus(-logits_p))
        return t.masked_fill(chance_q == 0, inf).masked_fill(chance_p == 0, 0)

    return side(p.probs, q.probs, p.logits, q.logits) + side(1 - p.probs, 1 - q.probs, -p.logits, -q.logits)


@register_kl(Binomial, Binomial)
def _kl_binomial_binomial(p: Any, q: Any) -> Tensor:
    if (p.total_count < q.total_count).any():
        raise NotImplementedError("KL between Binomials where q.total_count > p.total_count is not implemented")
    kl = p.total_count * (p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    return kl.masked_fill(p.total_count > q.total_count, inf)


@register_kl(Categorical, Categorical)
def _kl_categorical_categorical(p: Any, q: Any) -> Tensor:
    t = p.probs * (p.logits - q.logits)
    return t.masked_fill(q.probs == 0, inf).masked_fill(p.probs == 0, 0).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _kl_onehotcategorical_onehotcategorical(p: Any, q: Any) -> Tensor:
    return _kl_categorical_categorical(p._categorical, q._categorical)


@register_kl(Geometric, Geometric)
def _kl_geometric_geometric(p: Any, q: Any) -> Tensor:
    return -p.entropy() - torch.log1p(-q.probs) / p.probs - q.logits


@register_kl(Poisson, Poisson)
def _kl_poisson_poisson(p: Any, q: Any) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Bernoulli, Poisson)
def _kl_bernoulli_poisson(p: Any, q: Any) -> Tensor:
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


@register_kl(Poisson, Bernoulli)
@register_kl(Poisson, Binomial)
def _kl_poisson_infinity(p: Any, q: Any) -> Tensor:
    return torch.full_like(p.rate, inf)


@register_kl(Beta, Beta)
def _kl_beta_beta(p: Any, q: Any) -> Tensor:
    return _kl_dirichlet_dirichlet(p._dirichlet, q._dirichlet)


@register_kl(Dirichlet, Dirichlet)
def _kl_dirichlet_dirichlet(p: Any, q: Any) -> Tensor:
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    norm = total.lgamma() - b.sum(-1).lgamma() - (a.lgamma() - b.lgamma()).sum(-1)
    return norm + ((a - b) * (a.digamma() - total.digamma().unsqueeze(-1))).sum(-1)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _kl_continuous_bernoulli_continuous_bernoulli(p: Any, q: Any) -> Tensor:
    norm_p, norm_q = [d._cont_bern_log_norm() + torch.log1p(-d.probs) for d in (p, q)]
    return p.mean * (p.logits - q.logits) + norm_p - norm_q


@register_kl(Exponential, Exponential)
def _kl_exponential_exponential(p: Any, q: Any) -> Tensor:
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(Gamma, Gamma)
def _kl_gamma_gamma(p: Any, q: Any) -> Tensor:
    a, b = p.concentration, q.concentration
    norm = b * (p.rate / q.rate).log() + torch.lgamma(b) - torch.lgamma(a)
    return norm + (a - b) * torch.digamma(a) + (q.rate - p.rate) * (a / p.rate)


@register_kl(Gumbel, Gumbel)
def _kl_gumbel_gumbel(p: Any, q: Any) -> Tensor:
    ratio, shift = p.scale / q.scale, (p.loc - q.loc) / q.scale
    return shift - ratio.log() + ratio * euler_constant + torch.exp((1 + ratio).lgamma() - shift) - (1 + euler_constant)


@register_kl(Laplace, Laplace)
def _kl_laplace_laplace(p: Any, q: Any) -> Tensor:
    ratio, apart = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + apart / q.scale + ratio * torch.exp(-apart / p.scale) - 1


@register_kl(Normal, Normal)
def _kl_normal_normal(p: Any, q: Any) -> Tensor:
    ratio = (p.scale / q.scale).pow(2)
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).pow(2) - 1 - ratio.log())


@register_kl(HalfNormal, HalfNormal)
def _kl_halfnormal_halfnormal(p: Any, q: Any) -> Tensor:
    return _kl_normal_normal(p.base_dist, q.base_dist)


@register_kl(Cauchy, Cauchy)
def _kl_cauchy_cauchy(p: Any, q: Any) -> Tensor:
    return ((p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)).log() - (4 * p.scale * q.scale).log()


@register_kl(Pareto, Pareto)
def _kl_pareto_pareto(p: Any, q: Any) -> Tensor:
    ratio = q.alpha / p.alpha
    result = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return result.masked_fill(p.scale < q.scale, inf)


@register_kl(Uniform, Uniform)
def _kl_uniform_uniform(p: Any, q: Any) -> Tensor:
    return ((q.high - q.low) / (p.high - p.low)).log().masked_fill((q.low > p.low) | (q.high < p.high), inf)


@register_kl(ExponentialFamily, ExponentialFamily)
def _kl_expfamily_expfamily(p: Any, q: Any) -> Tensor:
    """The Bregman divergence of the log normalizer."""
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot be computed using Bregman divergences"
        )
    natural_p, natural_q = [v.detach().requires_grad_() for v in p._natural_params], q._natural_params
    normalizer = p._log_normalizer(*natural_p)
    slopes = torch.autograd.grad(normalizer.sum(), natural_p, create_graph=True)
    result = q._log_normalizer(*natural_q) - normalizer
    for a, b, g in zip(natural_p, natural_q, slopes, strict=True):
        result = result - _sum_rightmost((b - a) * g, len(q.event_shape))
    return result


@register_kl(TransformedDistribution, TransformedDistribution)
def _kl_transformed_transformed(p: Any, q: Any) -> Tensor:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Independent, Independent)
def _kl_independent_independent(p: Any, q: Any) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError
    return _sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


# Multivariate normal distributions: (log det q - log det p + tr(q^-1 p) + distance - n) / 2


def squares(a: Tensor) -> Tensor:
    return a.pow(2).sum((-2, -1))


def add_up(terms: list[Tensor]) -> Tensor:
    return reduce(add, terms)


def solved(tril: Tensor, a: Tensor) -> Tensor:
    return torch.linalg.solve_triangular(tril, a, upper=False)


def log_det(d: Any) -> Tensor:
    if isinstance(d, MultivariateNormal):
        return 2 * log_diagonal(d._unbroadcasted_scale_tril)
    return d._log_det()


def roots(d: Any) -> list[Tensor]:
    """Matrices whose squares sum to the covariance."""
    if isinstance(d, MultivariateNormal):
        return [d._unbroadcasted_scale_tril]
    factor, diagonal = d._low_rank
    return [factor, torch.diag_embed(diagonal.sqrt())]


def trace_and_distance(p: Any, q: Any) -> tuple[Tensor, Tensor]:
    """tr(q^-1 p) and the squared distance of the means as q measures it."""
    apart = q.loc - p.loc
    if isinstance(q, MultivariateNormal):
        tril = q._unbroadcasted_scale_tril
        return add_up([squares(solved(tril, r)) for r in roots(p)]), _batch_mahalanobis(tril, apart)
    factor, diagonal = q._low_rank
    a = solved(q._capacitance_tril, factor.mT / diagonal.unsqueeze(-2))
    trace = add_up([squares(r * diagonal.rsqrt().unsqueeze(-1)) - squares(a @ r) for r in roots(p)])
    return trace, _batch_lowrank_mahalanobis(factor, diagonal, apart, q._capacitance_tril)


def _kl_gaussians(p: Any, q: Any) -> Tensor:
    if p.event_shape != q.event_shape:
        raise ValueError("KL-divergence between two (Low Rank) Multivariate Normals with different event shapes cannot be computed")
    trace, distance = trace_and_distance(p, q)
    return 0.5 * (log_det(q) - log_det(p) + trace + distance - p.event_shape[0])


for _p in (MultivariateNormal, LowRankMultivariateNormal):
    for _q in (MultivariateNormal, LowRankMultivariateNormal):
        register_kl(_p, _q)(_kl_gaussians)


# Two continuous families


def mean_x_log_x(low: Tensor, high: Tensor) -> Tensor:
    """The integral of log(x) from low to high, over its length."""
    return (torch.xlogy(high, high) - torch.xlogy(low, low)) / (high - low) - 1


# E log x, E log(1 - x), E exp((loc - x) / scale) and E |x - loc|, where a pair needs them
LOG: dict[type, Callable] = {
    Beta: lambda p: p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma(),
    Exponential: lambda p: -p.rate.log() - euler_constant,
    Gamma: lambda p: p.concentration.digamma() - p.rate.log(),
    Pareto: lambda p: p.scale.log() + p.alpha.reciprocal(),
    Uniform: lambda p: mean_x_log_x(p.low, p.high),
}
LOG_REST: dict[type, Callable] = {
    Beta: lambda p: p.concentration0.digamma() - (p.concentration1 + p.concentration0).digamma(),
    Uniform: lambda p: mean_x_log_x(1 - p.high, 1 - p.low),
}
FALL: dict[type, Callable] = {
    Exponential: lambda p, loc, scale: torch.exp(loc / scale) * p.rate * scale / (p.rate * scale + 1),
    Gamma: lambda p, loc, scale: torch.exp(loc / scale) * (1 + (p.rate * scale).reciprocal()).pow(-p.concentration),
    Normal: lambda p, loc, scale: torch.exp((loc - p.loc) / scale + 0.5 * (p.scale / scale).pow(2)),
    Uniform: lambda p, loc, scale: scale / (p.high - p.low) * (((loc - p.low) / scale).exp() - ((loc - p.high) / scale).exp()),
}
APART: dict[type, Callable] = {
    Normal: lambda p, loc: math.sqrt(2 / pi) * p.scale * torch.exp(-0.5 * ((p.loc - loc) / p.scale).pow(2))
    + (p.loc - loc) * torch.erf(math.sqrt(0.5) * (p.loc - loc) / p.scale),
}  # fmt: skip
CROSS_ENTROPY: dict[type, Callable] = {
    Beta: lambda E, q: (1 - q.concentration1) * E(LOG) + (1 - q.concentration0) * E(LOG_REST)
    + q.concentration1.lgamma() + q.concentration0.lgamma() - (q.concentration1 + q.concentration0).lgamma(),
    ContinuousBernoulli: lambda E, q: -E.p.mean * q.logits - torch.log1p(-q.probs) - q._cont_bern_log_norm(),
    Exponential: lambda E, q: q.rate * E.p.mean - q.rate.log(),
    Gamma: lambda E, q: q.concentration.lgamma() - q.concentration * q.rate.log() + (1 - q.concentration) * E(LOG) + q.rate * E.p.mean,
    Gumbel: lambda E, q: q.scale.log() + (E.p.mean - q.loc) / q.scale + E(FALL, q.loc, q.scale),
    Laplace: lambda E, q: torch.log(2 * q.scale) + E(APART, q.loc) / q.scale,
    Normal: lambda E, q: 0.5 * math.log(2 * pi) + q.scale.log() + 0.5 * (E.p.variance + (E.p.mean - q.loc).pow(2)) / q.scale.pow(2),
    Pareto: lambda E, q: (q.alpha + 1) * E(LOG) - (q.alpha * q.scale.pow(q.alpha)).log(),
    Uniform: lambda E, q: (q.high - q.low).log(),
}  # fmt: skip


class Expectations:
    """`E(TABLE, ...)`: an expectation under p; NotImplementedError if the table has none."""

    def __init__(self, p: Any, q: Any) -> None:
        self.p, self.q = p, q

    def __call__(self, table: dict[type, Callable], *args: Any) -> Tensor:
        for kind, formula in table.items():
            if isinstance(self.p, kind):
                return formula(self.p, *args)
        raise missing(self.p, self.q)


def bounds(d: Any) -> tuple[Any, Any]:
    """Between which numbers the values lie."""
    support = d.support
    return getattr(support, "lower_bound", -inf), getattr(support, "upper_bound", inf)


def less(a: Any, b: Any) -> Any:
    """a < b, a tensor unless both are numbers."""
    return torch.as_tensor(a < b) if isinstance(a, Tensor) or isinstance(b, Tensor) else a < b


def _kl_continuous(p: Any, q: Any) -> Tensor:
    """Infinite where p has values that q has not, else the cross-entropy less the entropy."""
    (low_p, high_p), (low_q, high_q) = bounds(p), bounds(q)
    outside = [less(low_p, low_q), less(high_q, high_p)]
    if any(o is True or (o is not False and bool(o.all())) for o in outside):
        return torch.full_like(p.mean, inf)
    formula = next(f for kind, f in CROSS_ENTROPY.items() if isinstance(q, kind))
    result = formula(Expectations(p, q), q) - p.entropy()
    for o in outside:
        result = result if o is False else result.masked_fill(o, inf)
    return result


for _one in CROSS_ENTROPY:
    for _other in CROSS_ENTROPY:
        if _one is not _other:
            register_kl(_one, _other)(_kl_continuous)
