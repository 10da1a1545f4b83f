"""How to reach a constrained set from all real numbers: `biject_to(constraint)` one to one, `transform_to(constraint)` simply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.distributions import constraints, transforms
from chainrule.distributions.utils import NUMBERS

__all__ = ["ConstraintRegistry", "biject_to", "transform_to"]


class ConstraintRegistry:
    """A table from classes of constraints to makers of transforms.

    Example:
        >>> biject_to(constraints.positive)(zeros(1))
        tensor([1.])
    """

    def __init__(self) -> None:
        self._registry: dict[type, Callable] = {}

    def register(self, constraint: Any, factory: Callable | None = None) -> Any:
        """Enter `factory(constraint)`; also as a decorator. Raises TypeError for what is no constraint."""
        if factory is None:
            return lambda factory: self.register(constraint, factory)
        kind = type(constraint) if isinstance(constraint, constraints.Constraint) else constraint
        if not isinstance(kind, type) or not issubclass(kind, constraints.Constraint):
            raise TypeError(f"Expected constraint to be either a Constraint subclass or instance, but got {kind}")
        self._registry[kind] = factory
        return factory

    def __call__(self, constraint: Any) -> Any:
        try:
            factory = self._registry[type(constraint)]
        except KeyError:
            raise NotImplementedError(f"Cannot transform {type(constraint).__name__} constraints") from None
        return factory(constraint)


biject_to = ConstraintRegistry()
transform_to = ConstraintRegistry()


def above(c: Any) -> Any:
    return transforms.ComposeTransform([transforms.ExpTransform(), transforms.AffineTransform(c.lower_bound, 1)])


def below(c: Any) -> Any:
    return transforms.ComposeTransform([transforms.ExpTransform(), transforms.AffineTransform(c.upper_bound, -1)])


def between(c: Any) -> Any:
    low, high = c.lower_bound, c.upper_bound
    if isinstance(low, NUMBERS) and isinstance(high, NUMBERS) and (low, high) == (0, 1):
        return transforms.SigmoidTransform()
    return transforms.ComposeTransform([transforms.SigmoidTransform(), transforms.AffineTransform(low, high - low)])


FOR_BOTH: list[tuple[Any, Callable]] = [
    (constraints.real, lambda c: transforms.identity_transform),
    (constraints.greater_than, above),
    (constraints.greater_than_eq, above),
    (constraints.less_than, below),
    (constraints.interval, between),
    (constraints.half_open_interval, between),
    (constraints.corr_cholesky, lambda c: transforms.CorrCholeskyTransform()),
]
ONE_TO_ONE: list[tuple[Any, Callable]] = [(constraints.simplex, lambda c: transforms.StickBreakingTransform())]
SIMPLE: list[tuple[Any, Callable]] = [
    (constraints.simplex, lambda c: transforms.SoftmaxTransform()),
    (constraints.lower_cholesky, lambda c: transforms.LowerCholeskyTransform()),
    (constraints.positive_definite, lambda c: transforms.PositiveDefiniteTransform()),
    (constraints.positive_semidefinite, lambda c: transforms.PositiveDefiniteTransform()),
]


def of_parts(to: ConstraintRegistry) -> list[tuple[Any, Callable]]:
    """The constraints that are made of others."""
    return [
        (constraints.independent, lambda c: transforms.IndependentTransform(to(c.base_constraint), c.reinterpreted_batch_ndims)),
        (constraints.cat, lambda c: transforms.CatTransform([to(part) for part in c.cseq], c.dim, c.lengths)),
        (constraints.stack, lambda c: transforms.StackTransform([to(part) for part in c.cseq], c.dim)),
    ]


for _registry, _own in ((biject_to, ONE_TO_ONE), (transform_to, SIMPLE)):
    for _constraint, _factory in [*FOR_BOTH, *_own, *of_parts(_registry)]:
        _registry.register(_constraint, _factory)
