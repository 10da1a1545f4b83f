"""Families on the real line and on intervals of it."""

from __future__ import annotations

import math
from math import inf, nan, pi
from typing import Any

import chainrule as torch
from chainrule._core.types import Size
from chainrule.distributions import constraints
from chainrule.distributions.distribution import Distribution, ExponentialFamily, Family
from chainrule.distributions.positive import Chi2
from chainrule.distributions.utils import _standard_normal, lazy_property
from chainrule.tensor import Tensor

__all__ = ["Cauchy", "GeneralizedPareto", "Laplace", "Normal", "StudentT", "Uniform", "VonMises"]

SCALED = {"loc": constraints.real, "scale": constraints.positive}


class Normal(Family, ExponentialFamily):
    """The normal distribution of mean `loc` and standard deviation `scale`.

    Example:
        >>> Normal(0.0, 1.0).log_prob(tensor(0.0))
        tensor(-0.9189)
    """

    arg_constraints = SCALED
    support = constraints.real
    has_rsample = True
    _mean_carrier_measure = 0
    mean = mode = property(lambda self: self.loc)
    stddev = property(lambda self: self.scale)
    variance = property(lambda self: self.scale.pow(2))

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self._broadcast(validate_args, loc=loc, scale=scale)

    def _draw(self, shape: Size) -> Tensor:
        return self.loc + _standard_normal(shape, self.loc.dtype) * self.scale

    def _log_prob(self, value: Tensor) -> Tensor:
        return -((value - self.loc) ** 2) / (2 * self.scale**2) - self.scale.log() - math.log(math.sqrt(2 * pi))

    def _cdf(self, value: Tensor) -> Tensor:
        return 0.5 * (1 + torch.erf((value - self.loc) * self.scale.reciprocal() / math.sqrt(2)))

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc + self.scale * torch.erfinv(2 * value - 1) * math.sqrt(2)

    def entropy(self) -> Tensor:
        return 0.5 + 0.5 * math.log(2 * pi) + torch.log(self.scale)

    @property
    def _natural_params(self) -> tuple:
        return self.loc / self.scale.pow(2), -0.5 * self.scale.pow(2).reciprocal()

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        return -0.25 * x.pow(2) / y + 0.5 * torch.log(-pi / y)


class Laplace(Family):
    """Two exponential distributions back to back at `loc`, of mean distance `scale`."""

    arg_constraints = SCALED
    support = constraints.real
    has_rsample = True
    mean = mode = property(lambda self: self.loc)
    stddev = property(lambda self: 2**0.5 * self.scale)
    variance = property(lambda self: 2 * self.scale.pow(2))

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self._broadcast(validate_args, loc=loc, scale=scale)

    def _draw(self, shape: Size) -> Tensor:
        u = self.loc.new(shape).uniform_(torch.finfo(self.loc.dtype).eps - 1, 1)
        return self.loc - self.scale * u.sign() * torch.log1p(-u.abs())

    def _log_prob(self, value: Tensor) -> Tensor:
        return -torch.log(2 * self.scale) - torch.abs(value - self.loc) / self.scale

    def _cdf(self, value: Tensor) -> Tensor:
        shift = value - self.loc
        return 0.5 - 0.5 * shift.sign() * torch.expm1(-shift.abs() / self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        term = value - 0.5
        return self.loc - self.scale * term.sign() * torch.log1p(-2 * term.abs())

    def entropy(self) -> Tensor:
        return 1 + torch.log(2 * self.scale)


class Cauchy(Family):
    """The ratio of two normal numbers, around `loc` and of half width `scale`; it has no mean."""

    arg_constraints = SCALED
    support = constraints.real
    has_rsample = True
    mode = property(lambda self: self.loc)
    mean = property(lambda self: torch.full(self._extended_shape(), nan, dtype=self.loc.dtype))
    variance = property(lambda self: torch.full(self._extended_shape(), inf, dtype=self.loc.dtype))

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self._broadcast(validate_args, loc=loc, scale=scale)

    def _draw(self, shape: Size) -> Tensor:
        return self.loc + self.loc.new(shape).cauchy_() * self.scale

    def _log_prob(self, value: Tensor) -> Tensor:
        return -math.log(pi) - self.scale.log() - (((value - self.loc) / self.scale) ** 2).log1p()

    def _cdf(self, value: Tensor) -> Tensor:
        return torch.atan((value - self.loc) / self.scale) / pi + 0.5

    def icdf(self, value: Tensor) -> Tensor:
        return torch.tan(pi * (value - 0.5)) * self.scale + self.loc

    def entropy(self) -> Tensor:
        return math.log(4 * pi) + self.scale.log()


class StudentT(Family):
    """Student's distribution of `df` degrees of freedom, moved by `loc` and stretched by `scale`."""

    arg_constraints = {"df": constraints.positive, **SCALED}
    support = constraints.real
    has_rsample = True
    mode = property(lambda self: self.loc)

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None) -> None:
        self._broadcast(validate_args, df=df, loc=loc, scale=scale)
        self._chi2 = Chi2(self.df)

    @property
    def mean(self) -> Tensor:
        return self.loc.masked_fill(self.df <= 1, nan)

    @property
    def variance(self) -> Tensor:
        proper = self.df > 2
        df = torch.where(proper, self.df, 3)
        finite = torch.where(proper, self.scale.pow(2) * df / (df - 2), inf)
        return finite.masked_fill(self.df <= 1, nan)

    def _draw(self, shape: Size) -> Tensor:
        x = _standard_normal(shape, self.df.dtype)
        z = self._chi2._draw(shape)
        return self.loc + self.scale * (x * torch.rsqrt(z / self.df))

    def _log_prob(self, value: Tensor) -> Tensor:
        y = (value - self.loc) / self.scale
        half, more = 0.5 * self.df, 0.5 * (self.df + 1.0)
        z = self.scale.log() + 0.5 * self.df.log() + 0.5 * math.log(pi) + torch.lgamma(half) - torch.lgamma(more)
        return -more * torch.log1p(y**2.0 / self.df) - z

    def entropy(self) -> Tensor:
        half, more = 0.5 * self.df, 0.5 * (self.df + 1)
        lbeta = torch.lgamma(half) + math.lgamma(0.5) - torch.lgamma(more)
        return self.scale.log() + more * (torch.digamma(more) - torch.digamma(half)) + 0.5 * self.df.log() + lbeta


class Uniform(Family):
    """Every number of [low, high) alike."""

    has_rsample = True
    mean = property(lambda self: (self.high + self.low) / 2)
    mode = property(lambda self: nan * self.high)
    stddev = property(lambda self: (self.high - self.low) / 12**0.5)
    variance = property(lambda self: (self.high - self.low).pow(2) / 12)

    @property
    def arg_constraints(self) -> dict:
        return {"low": constraints.less_than(self.high), "high": constraints.greater_than(self.low)}

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        self._broadcast(validate_args, low=low, high=high)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        return constraints.interval(self.low, self.high)

    def _draw(self, shape: Size) -> Tensor:
        return self.low + torch.rand(shape, dtype=self.low.dtype) * (self.high - self.low)

    def _log_prob(self, value: Tensor) -> Tensor:
        inside = self.low.le(value).type_as(self.low) * self.high.gt(value).type_as(self.low)
        return torch.log(inside) - torch.log(self.high - self.low)

    def _cdf(self, value: Tensor) -> Tensor:
        return ((value - self.low) / (self.high - self.low)).clamp(min=0, max=1)

    def icdf(self, value: Tensor) -> Tensor:
        return value * (self.high - self.low) + self.low

    def entropy(self) -> Tensor:
        return torch.log(self.high - self.low)


class GeneralizedPareto(Family):
    """The tail beyond `loc` of scale `scale`; `concentration` > 0 makes it heavy, < 0 ends it, 0 is the exponential tail."""

    arg_constraints = {**SCALED, "concentration": constraints.real}
    has_rsample = True
    mode = property(lambda self: self.loc)

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self._broadcast(validate_args, loc=loc, scale=scale, concentration=concentration)

    def _cases(self) -> tuple[Tensor, Tensor]:
        """Where the concentration is zero, and the concentration with 1 in those places."""
        zero = torch.isclose(self.concentration, torch.zeros_like(self.concentration))
        return zero, torch.where(zero, 1, self.concentration)

    def _z(self, value: Tensor) -> Tensor:
        return (value - self.loc) / self.scale

    def _draw(self, shape: Size) -> Tensor:
        return self.icdf(torch.rand(shape, dtype=self.loc.dtype))

    def _log_prob(self, value: Tensor) -> Tensor:
        z, (zero, c) = self._z(value), self._cases()
        y = 1 / c + torch.ones_like(z)
        return -self.scale.log() - torch.where(zero, z, torch.where(y == 0, y, y * torch.log1p(c * z)))

    def log_survival_function(self, value: Tensor) -> Tensor:
        """log(1 - cdf)."""
        if self._validate_args:
            self._validate_sample(value)
        z, (zero, c) = self._z(value), self._cases()
        return torch.where(zero, -z, -torch.log1p(c * z) / c)

    def log_cdf(self, value: Tensor) -> Tensor:
        """log(cdf)."""
        return torch.log1p(-torch.exp(self.log_survival_function(value)))

    def _cdf(self, value: Tensor) -> Tensor:
        return torch.exp(self.log_cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        log_rest, (zero, c) = torch.log1p(-value), self._cases()
        return torch.where(zero, self.loc - self.scale * log_rest, self.loc + self.scale / c * torch.expm1(-c * log_rest))

    @property
    def mean(self) -> Tensor:
        valid = self.concentration < 1
        return torch.where(valid, self.loc + self.scale / (1 - torch.where(valid, self.concentration, 0.5)), nan)

    @property
    def variance(self) -> Tensor:
        valid = self.concentration < 0.5
        c = torch.where(valid, self.concentration, 0.25)
        return torch.where(valid, self.scale**2 / ((1 - c) ** 2 * (1 - 2 * c)), nan)

    def entropy(self) -> Tensor:
        return torch.broadcast_to(torch.log(self.scale) + self.concentration + 1, self._batch_shape)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        upper = torch.where(self.concentration < 0, self.loc - self.scale / self.concentration, inf)
        return constraints.interval(self.loc, upper)


class VonMises(Family):
    """Angles around `loc`, the closer the larger the `concentration`."""

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real
    mean = mode = property(lambda self: self.loc)

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self._broadcast(validate_args, loc=loc, concentration=concentration)

    @lazy_property
    def variance(self) -> Tensor:
        """The circular variance."""
        return 1 - torch.special.i1e(self.concentration) / torch.special.i0e(self.concentration)

    def _log_prob(self, value: Tensor) -> Tensor:
        k = self.concentration
        return k * torch.cos(value - self.loc) - math.log(2 * pi) - (torch.special.i0e(k).log() + k)

    def _draw(self, shape: Size) -> Tensor:
        """Best and Fisher's rejection from a wrapped Cauchy distribution, in doubles."""
        loc, kappa = self.loc.double(), self.concentration.double()
        tau = 1 + (1 + 4 * kappa**2).sqrt()
        rho = (tau - (2 * tau).sqrt()) / (2 * kappa)
        r = torch.where(kappa < 1e-5, 1 / kappa + kappa, (1 + rho**2) / (2 * rho))
        x = torch.empty(shape, dtype=torch.float64)
        done = torch.zeros(shape, dtype=torch.bool)
        while not done.all():
            u1, u2, u3 = torch.rand((3, *shape), dtype=torch.float64).unbind()
            z = torch.cos(pi * u1)
            f = (1 + r * z) / (r + z)
            c = kappa * (r - f)
            accept = (c * (2 - c) - u2 > 0) | ((c / u2).log() + 1 - c >= 0)
            x = torch.where(accept, (u3 - 0.5).sign() * f.acos(), x)
            done = done | accept
        return ((x + pi + loc) % (2 * pi) - pi).to(self.loc.dtype)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Distribution:
        loc, concentration = self.loc.expand(batch_shape), self.concentration.expand(batch_shape)
        return type(self)(loc, concentration, validate_args=self.__dict__.get("_validate_args"))
