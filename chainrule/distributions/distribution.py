"""`Distribution`, the interface of all families, and `Family`, which keeps its parameters by name.

A family states what its parameters are (`arg_constraints`); making, checking, expanding and printing it follow from that.
"""

from __future__ import annotations

import warnings
from typing import Any

import chainrule as torch
from chainrule._core.types import Size
from chainrule.distributions import constraints
from chainrule.distributions.utils import all_true, broadcast_all, lazy_property, logits_to_probs, probs_to_logits
from chainrule.tensor import Tensor

__all__ = ["Distribution", "ExponentialFamily"]

EITHER = "Either `probs` or `logits` must be specified, but not both."


def unstated(doc: str, message: str = "") -> property:
    """A property that a family has yet to state."""

    def missing(self: Any) -> Any:
        raise NotImplementedError(message.format(type(self)))

    return property(missing, doc=doc)


class Distribution:
    """A batch of probability distributions of events.

    A sample has the shape `sample_shape + batch_shape + event_shape`; `log_prob` of it has `sample_shape + batch_shape`.
    """

    has_rsample = False
    has_enumerate_support = False
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions check their arguments and samples, unless they are told otherwise."""
        if value not in [True, False]:
            raise ValueError
        Distribution._validate_args = value

    def __init__(self, batch_shape: Any = Size(), event_shape: Any = Size(), validate_args: bool | None = None) -> None:  # noqa: B008
        self._batch_shape, self._event_shape = batch_shape, event_shape
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()

    def _check_parameters(self) -> None:
        try:
            stated = self.arg_constraints
        except NotImplementedError:
            stated = {}
            warnings.warn(
                f"{self.__class__} does not define `arg_constraints`. Please set `arg_constraints = {{}}` or initialize the distribution "
                "with `validate_args=False` to turn off validation.",
                stacklevel=4,
            )
        for name, constraint in stated.items():
            if constraints.is_dependent(constraint):
                continue
            if name not in self.__dict__ and isinstance(getattr(type(self), name), lazy_property):
                continue  # not asked for yet
            value = getattr(self, name)
            if not all_true(constraint.check(value)):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution {self!r} "
                    f"to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
                )

    def expand(self, batch_shape: Any, _instance: Any = None) -> Distribution:
        """The same distribution with its batch dimensions expanded to `batch_shape`, without copies."""
        raise NotImplementedError

    @property
    def batch_shape(self) -> Size:
        """The shape over which parameters are batched."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of a single sample."""
        return self._event_shape

    arg_constraints: Any = unstated("What each parameter, by name, must satisfy.")
    support: Any = unstated("The constraint that samples satisfy.")
    mean: Any = unstated("The mean.")
    mode: Any = unstated("The likeliest value.", "{} does not implement mode")
    variance: Any = unstated("The variance.")
    stddev: Any = property(lambda self: self.variance.sqrt(), doc="The standard deviation.")

    def sample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        """Draw, without gradients, a tensor of shape `sample_shape + batch_shape + event_shape`."""
        with torch.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        """As `sample`, but differentiable in the parameters."""
        raise NotImplementedError

    def sample_n(self, n: int) -> Tensor:
        """Deprecated: `sample((n,))`."""
        warnings.warn("`sample_n(n)` will be deprecated. Use `sample((n,))` instead.", FutureWarning, stacklevel=2)
        return self.sample(Size((n,)))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, of `value`."""
        raise NotImplementedError

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of what is at most `value`."""
        raise NotImplementedError

    def icdf(self, value: Tensor) -> Tensor:
        """The inverse of `cdf`."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values of a discrete distribution along a new first dimension; the batch dimensions stay 1 without `expand`."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The entropy, of shape `batch_shape`."""
        raise NotImplementedError

    def perplexity(self) -> Tensor:
        """exp(entropy), of shape `batch_shape`."""
        return torch.exp(self.entropy())

    def _extended_shape(self, sample_shape: Any = Size()) -> Size:  # noqa: B008
        return Size((*sample_shape, *self._batch_shape, *self._event_shape))

    def _validate_sample(self, value: Any) -> None:
        """Raise ValueError if `value` has not the shape of a sample, or is outside the support."""
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        given, expected = value.size(), self._batch_shape + self._event_shape
        if given[len(given) - len(self._event_shape) :] != self._event_shape:
            raise ValueError(f"The right-most size of value must match event_shape: {given} vs {self._event_shape}.")
        if any(i != 1 and j != 1 and i != j for i, j in zip(reversed(given), reversed(expected), strict=False)):
            raise ValueError(f"Value is not broadcastable with batch_shape+event_shape: {given} vs {expected}.")
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{self.__class__} does not define `support` to enable sample validation. Please initialize the distribution with "
                "`validate_args=False` to turn off validation.",
                stacklevel=2,
            )
            return
        assert support is not None, "support is unexpectedly None"
        if not all_true(support.check(value)):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(given)}) to be within the support ({support!r}) "
                f"of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def _get_checked_instance(self, cls: type, _instance: Any = None) -> Any:
        """A bare instance to fill; a subclass that makes itself in its own way must expand itself too."""
        if _instance is None and type(self).__init__ != cls.__init__:  # type: ignore[misc]
            raise NotImplementedError(
                f"Subclass {self.__class__.__name__} of {cls.__name__} that defines a custom __init__ method "
                "must also define a custom .expand() method."
            )
        return self.__new__(type(self)) if _instance is None else _instance

    def __repr__(self) -> str:
        shown = [(name, self.__dict__[name]) for name in self.arg_constraints if name in self.__dict__]
        return f"{type(self).__name__}({', '.join([f'{n}: {v if v.numel() == 1 else v.size()}' for n, v in shown])})"


class Family(Distribution):
    """A distribution that is given by its parameters: the tensors (and distributions) among its attributes.

    A subclass states `_draw(shape)`, `_log_prob(value)` and `_cdf(value)`.
    """

    def _broadcast(self, validate_args: bool | None, **parameters: Any) -> None:
        """Keep the parameters, broadcast together, and take their shape for the batch."""
        self.__dict__.update(zip(parameters, broadcast_all(*parameters.values()), strict=True))
        first = self.__dict__[next(iter(parameters))]
        Distribution.__init__(self, first.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its batch dimensions expanded to `batch_shape`, without copies."""
        new = self._get_checked_instance(own_class(self), _instance)
        shape, stated = Size(batch_shape), self.arg_constraints
        for name, value in self.__dict__.items():
            if isinstance(value, Distribution):
                value = self._expand_part(name, value, shape)
            elif name in stated:
                value = value.expand(shape + value.shape[value.dim() - stated[name].event_dim :])
            new.__dict__[name] = value
        new._batch_shape = shape
        return new

    def _expand_part(self, name: str, part: Distribution, shape: Size) -> Distribution:
        """A distribution that this one is built on, for a new batch shape."""
        return part.expand(shape)

    def sample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        """Draw, without gradients, a tensor of shape `sample_shape + batch_shape + event_shape`."""
        with torch.no_grad():
            return self._draw(self._extended_shape(sample_shape))

    def rsample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        """As `sample`, but differentiable in the parameters; raises NotImplementedError where there is no such way."""
        if not self.has_rsample:
            raise NotImplementedError
        return self._draw(self._extended_shape(sample_shape))

    def log_prob(self, value: Any) -> Tensor:
        """The logarithm of the density, or of the probability, of `value`."""
        if self._validate_args:
            self._validate_sample(value)
        return self._log_prob(value)

    def cdf(self, value: Any) -> Tensor:
        """The probability of what is at most `value`."""
        if self._validate_args:
            self._validate_sample(value)
        return self._cdf(value)

    def _draw(self, shape: Size) -> Tensor:
        raise NotImplementedError

    def _log_prob(self, value: Tensor) -> Tensor:
        raise NotImplementedError

    def _cdf(self, value: Tensor) -> Tensor:
        raise NotImplementedError


def own_class(distribution: Distribution) -> type:
    """The class of this package that a distribution is, or derives from."""
    return next(c for c in type(distribution).__mro__ if c.__module__.startswith("chainrule.distributions"))


class Chances(Family):
    """A family with `probs` or `logits`, the one computed from the other when it is asked for."""

    is_binary = True
    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}

    def _choose(self, probs: Any, logits: Any) -> str:
        """The name of the parameter that was given."""
        if (probs is None) == (logits is None):
            raise ValueError(EITHER)
        return "logits" if probs is None else "probs"

    def _broadcast_chances(self, validate_args: bool | None, probs: Any, logits: Any, **others: Any) -> None:
        name = self._choose(probs, logits)
        self._broadcast(validate_args, **others, **{name: logits if probs is None else probs})

    @lazy_property
    def logits(self) -> Tensor:
        return probs_to_logits(self.probs, is_binary=self.is_binary)

    @lazy_property
    def probs(self) -> Tensor:
        return logits_to_probs(self.logits, is_binary=self.is_binary)

    @property
    def _param(self) -> Tensor:
        return next(value for name, value in self.__dict__.items() if name in ("probs", "logits"))  # the one that was given

    @property
    def param_shape(self) -> Size:
        """The shape of `probs` and of `logits`."""
        return self._param.size()

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._param.new(*args, **kwargs)


class ExponentialFamily(Distribution):
    """A distribution with natural parameters and a log normalizer, of which the entropy (and KL divergences) can be derived."""

    @property
    def _natural_params(self) -> tuple:
        raise NotImplementedError

    def _log_normalizer(self, *natural_params: Tensor) -> Tensor:
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self) -> float:
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The entropy, by the gradient of the log normalizer: a Bregman divergence."""
        natural = [p.detach().requires_grad_() for p in self._natural_params]
        normalizer = self._log_normalizer(*natural)
        slopes = torch.autograd.grad(normalizer.sum(), natural, create_graph=True)
        result: Any = normalizer - self._mean_carrier_measure
        for p, g in zip(natural, slopes, strict=True):
            result = result - (p * g).reshape(self._batch_shape + (-1,)).sum(-1)
        return result
