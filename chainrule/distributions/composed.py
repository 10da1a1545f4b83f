"""Distributions made of others: independent dimensions as one event, transformed samples, mixtures."""

from __future__ import annotations

from typing import Any

import chainrule as torch
from chainrule._core.types import Size
from chainrule.distributions import constraints
from chainrule.distributions.base_transforms import ComposeTransform, Transform, widened
from chainrule.distributions.discrete import Categorical
from chainrule.distributions.distribution import Distribution, Family
from chainrule.distributions.utils import _sum_rightmost
from chainrule.tensor import Tensor

__all__ = ["Independent", "MixtureSameFamily", "TransformedDistribution"]


class Independent(Family):
    """The last `reinterpreted_batch_ndims` batch dimensions of a distribution as part of its event.

    Example:
        >>> Independent(Normal(zeros(3), ones(3)), 1).log_prob(zeros(3)).shape
        torch.Size([])
    """

    arg_constraints: dict = {}
    has_rsample = property(lambda self: self.base_dist.has_rsample)
    has_enumerate_support = property(lambda self: self.reinterpreted_batch_ndims == 0 and self.base_dist.has_enumerate_support)
    mean = property(lambda self: self.base_dist.mean)
    mode = property(lambda self: self.base_dist.mode)
    variance = property(lambda self: self.base_dist.variance)

    def __init__(self, base_distribution: Any, reinterpreted_batch_ndims: int, validate_args: bool | None = None) -> None:
        if reinterpreted_batch_ndims > len(base_distribution.batch_shape):
            raise ValueError(
                "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), "
                f"actual {reinterpreted_batch_ndims} vs {len(base_distribution.batch_shape)}"
            )
        shape = base_distribution.batch_shape + base_distribution.event_shape
        cut = len(base_distribution.batch_shape) - reinterpreted_batch_ndims
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, reinterpreted_batch_ndims
        Distribution.__init__(self, shape[:cut], shape[cut:], validate_args=validate_args)

    def _expand_part(self, name: str, part: Distribution, shape: Size) -> Distribution:
        return part.expand(shape + self.event_shape[: self.reinterpreted_batch_ndims])

    @constraints.dependent_property
    def support(self) -> Any:
        n = self.reinterpreted_batch_ndims
        return constraints.independent(self.base_dist.support, n) if n else self.base_dist.support

    def sample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Any) -> Tensor:
        return _sum_rightmost(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self) -> Tensor:
        return _sum_rightmost(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        if self.reinterpreted_batch_ndims > 0:
            raise NotImplementedError("Enumeration over cartesian product is not implemented")
        return self.base_dist.enumerate_support(expand=expand)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_dist}, {self.reinterpreted_batch_ndims})"


class TransformedDistribution(Family):
    """Samples of a base distribution, sent through one or more transforms.

    Example:
        >>> logistic = TransformedDistribution(Uniform(0, 1), [SigmoidTransform().inv, AffineTransform(loc=0.0, scale=1.0)])
    """

    arg_constraints: dict = {}
    has_rsample: Any = property(lambda self: self.base_dist.has_rsample)

    def __init__(self, base_distribution: Any, transforms: Any, validate_args: bool | None = None) -> None:
        if isinstance(transforms, Transform):
            transforms = [transforms]
        elif not isinstance(transforms, list):
            raise ValueError(f"transforms must be a Transform or list, but was {transforms}")
        elif not all(isinstance(t, Transform) for t in transforms):
            raise ValueError("transforms must be a Transform or a list of Transforms")
        self.transforms = transforms
        transform = ComposeTransform(transforms)
        base_shape = base_distribution.batch_shape + base_distribution.event_shape
        base_event, event_in, event_out = len(base_distribution.event_shape), transform.domain.event_dim, transform.codomain.event_dim
        if len(base_shape) < event_in:
            raise ValueError(f"base_distribution needs to have shape with size at least {event_in}, but got {base_shape}.")
        shape = transform.forward_shape(base_shape)
        wider = transform.inverse_shape(shape)
        if base_shape != wider:
            base_distribution = base_distribution.expand(wider[: len(wider) - base_event])
        if event_in > base_event:
            base_distribution = Independent(base_distribution, event_in - base_event)
        self.base_dist = base_distribution
        cut = len(shape) - max(event_out, base_event + event_out - event_in)
        Distribution.__init__(self, Size(shape[:cut]), Size(shape[cut:]), validate_args=validate_args)

    def _expand_part(self, name: str, part: Distribution, shape: Size) -> Distribution:
        whole = ComposeTransform(self.transforms).inverse_shape(shape + self.event_shape)
        return part.expand(whole[: len(whole) - len(part.event_shape)])

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Any:
        if not self.transforms:
            return self.base_dist.support
        codomain = self.transforms[-1].codomain
        return widened(codomain, max(codomain.event_dim, len(self.event_shape)))

    def _forward(self, x: Tensor) -> Tensor:
        for transform in self.transforms:
            x = transform(x)
        return x

    def sample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        with torch.no_grad():
            return self._forward(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        return self._forward(self.base_dist.rsample(sample_shape))

    def _log_prob(self, value: Tensor) -> Tensor:
        event_dim, y = len(self.event_shape), value
        log_prob: Any = 0.0
        for transform in reversed(self.transforms):
            x = transform.inv(y)
            event_dim += transform.domain.event_dim - transform.codomain.event_dim
            log_prob = log_prob - _sum_rightmost(transform.log_abs_det_jacobian(x, y), event_dim - transform.domain.event_dim)
            y = x
        return log_prob + _sum_rightmost(self.base_dist.log_prob(y), event_dim - len(self.base_dist.event_shape))

    def _monotonize_cdf(self, value: Tensor) -> Tensor:
        """p where the transforms rise, 1 - p where they fall."""
        sign = ComposeTransform(self.transforms).sign
        return value if isinstance(sign, int) and sign == 1 else sign * (value - 0.5) + 0.5

    def cdf(self, value: Any) -> Tensor:
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        if self._validate_args:
            self.base_dist._validate_sample(value)
        return self._monotonize_cdf(self.base_dist.cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        return self._forward(self.base_dist.icdf(self._monotonize_cdf(value)))


class MixtureSameFamily(Family):
    """A Categorical `mixture_distribution` that chooses along the last batch dimension of a `component_distribution`."""

    arg_constraints: dict = {}
    has_rsample = False
    mixture_distribution = property(lambda self: self._mixture_distribution)
    component_distribution = property(lambda self: self._component_distribution)

    def __init__(self, mixture_distribution: Any, component_distribution: Any, validate_args: bool | None = None) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(" The Mixture distribution needs to be an  instance of torch.distributions.Categorical")
        if not isinstance(component_distribution, Distribution):
            raise ValueError("The Component distribution needs to be an instance of torch.distributions.Distribution")
        mixture, components = mixture_distribution.batch_shape, component_distribution.batch_shape
        batch = components[:-1]
        if any(1 not in (a, b) and a != b for a, b in zip(reversed(mixture), reversed(batch), strict=False)):
            raise ValueError(
                f"`mixture_distribution.batch_shape` ({mixture}) is not compatible with `component_distribution.batch_shape`({batch})"
            )
        count = mixture_distribution.logits.shape[-1]
        if count != components[-1]:
            raise ValueError(
                f"`mixture_distribution component` ({count}) does not equal `component_distribution.batch_shape[-1]` ({components[-1]})"
            )
        self._mixture_distribution, self._component_distribution, self._num_component = mixture_distribution, component_distribution, count
        event_shape = component_distribution.event_shape
        self._event_ndims = len(event_shape)
        Distribution.__init__(self, batch, event_shape, validate_args=validate_args)

    def _expand_part(self, name: str, part: Distribution, shape: Size) -> Distribution:
        return part.expand(shape + (self._num_component,) if name == "_component_distribution" else shape)

    @constraints.dependent_property
    def support(self) -> Any:
        return constraints.MixtureSameFamilyConstraint(self._component_distribution.support)

    def _average(self, values: Tensor) -> Tensor:
        """The mean over the components, by their probabilities."""
        probs = self._mixture_distribution.probs
        return (probs.reshape(probs.shape + (1,) * self._event_ndims) * values).sum(-1 - self._event_ndims)

    @property
    def mean(self) -> Tensor:
        return self._average(self._component_distribution.mean)

    @property
    def variance(self) -> Tensor:
        apart = (self._component_distribution.mean - self._pad(self.mean)).pow(2.0)
        return self._average(self._component_distribution.variance) + self._average(apart)

    def cdf(self, x: Any) -> Tensor:
        return (self._component_distribution.cdf(self._pad(x)) * self._mixture_distribution.probs).sum(-1)

    def _log_prob(self, value: Tensor) -> Tensor:
        parts = self._component_distribution.log_prob(self._pad(value))
        return torch.logsumexp(parts + torch.log_softmax(self._mixture_distribution.logits, dim=-1), dim=-1)

    def sample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        with torch.no_grad():
            along = len(sample_shape) + len(self.batch_shape)
            chosen = self._mixture_distribution.sample(sample_shape)
            candidates = self._component_distribution.sample(sample_shape)
            index = chosen.reshape(chosen.shape + (1,) * (self._event_ndims + 1))
            index = index.expand(chosen.shape + (1,) + self.event_shape)
            return candidates.gather(along, index).squeeze(along)

    def _pad(self, x: Tensor) -> Tensor:
        return x.unsqueeze(-1 - self._event_ndims)

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self._mixture_distribution},\n  {self._component_distribution})"
