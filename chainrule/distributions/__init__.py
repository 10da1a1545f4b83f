"""Probability distributions with PyTorch's names: sampling, densities, entropies, divergences, transforms and constraints.

The families live by kind (`real`, `positive`, `discrete`, `matrices`, `composed`, `transformed`); each is also found where PyTorch has it,
`torch.distributions.normal.Normal`.
"""

from __future__ import annotations

import sys as _sys

from chainrule.distributions import (
    composed,
    constraint_registry,
    constraints,
    discrete,
    distribution,
    kl,
    matrices,
    positive,
    real,
    transformed,
    transforms,
    utils,
)
from chainrule.distributions.composed import Independent, MixtureSameFamily, TransformedDistribution
from chainrule.distributions.constraint_registry import biject_to, transform_to
from chainrule.distributions.discrete import (
    Bernoulli,
    Binomial,
    Categorical,
    Geometric,
    Multinomial,
    NegativeBinomial,
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
    Poisson,
)
from chainrule.distributions.distribution import Distribution, ExponentialFamily
from chainrule.distributions.kl import kl_divergence, register_kl
from chainrule.distributions.matrices import LKJCholesky, LowRankMultivariateNormal, MultivariateNormal, Wishart
from chainrule.distributions.positive import Beta, Chi2, ContinuousBernoulli, Dirichlet, Exponential, FisherSnedecor, Gamma
from chainrule.distributions.real import Cauchy, GeneralizedPareto, Laplace, Normal, StudentT, Uniform, VonMises
from chainrule.distributions.transformed import (
    Gumbel,
    HalfCauchy,
    HalfNormal,
    InverseGamma,
    Kumaraswamy,
    LogisticNormal,
    LogNormal,
    Pareto,
    RelaxedBernoulli,
    RelaxedOneHotCategorical,
    Weibull,
)
from chainrule.distributions.transforms import *  # noqa: F403

__all__ = [
    "Bernoulli", "Beta", "Binomial", "Categorical", "Cauchy", "Chi2", "ContinuousBernoulli", "Dirichlet", "Distribution", "Exponential",
    "ExponentialFamily", "FisherSnedecor", "Gamma", "GeneralizedPareto", "Geometric", "Gumbel", "HalfCauchy", "HalfNormal", "Independent",
    "InverseGamma", "Kumaraswamy", "LKJCholesky", "Laplace", "LogNormal", "LogisticNormal", "LowRankMultivariateNormal",
    "MixtureSameFamily", "Multinomial", "MultivariateNormal", "NegativeBinomial", "Normal", "OneHotCategorical",
    "OneHotCategoricalStraightThrough", "Pareto", "Poisson", "RelaxedBernoulli", "RelaxedOneHotCategorical", "StudentT",
    "TransformedDistribution", "Uniform", "VonMises", "Weibull", "Wishart", "biject_to", "kl_divergence", "register_kl", "transform_to",
]  # fmt: skip
__all__ += transforms.__all__

_PYTORCH_MODULES = {
    real: "normal laplace cauchy studentT uniform generalized_pareto von_mises",
    positive: "exponential gamma chi2 fishersnedecor dirichlet beta continuous_bernoulli",
    discrete: "bernoulli binomial geometric negative_binomial poisson categorical one_hot_categorical multinomial",
    matrices: "multivariate_normal lowrank_multivariate_normal wishart lkj_cholesky",
    composed: "independent transformed_distribution mixture_same_family",
    transformed: "log_normal logistic_normal half_normal half_cauchy inverse_gamma gumbel kumaraswamy pareto weibull relaxed_bernoulli "
    "relaxed_categorical",
    distribution: "exp_family",
}
for _room, _names in _PYTORCH_MODULES.items():
    for _name in _names.split():
        globals()[_name] = _sys.modules[f"{__name__}.{_name}"] = _room
