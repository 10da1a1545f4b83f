"""Constraints: sets that parameters and samples may be asked to lie in.

`check(value)` says for each event whether it does; `event_dim` is how many dimensions on the right make one event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import chainrule as torch
from chainrule.tensor import Tensor

__all__ = [
    "Constraint", "MixtureSameFamilyConstraint", "boolean", "cat", "corr_cholesky", "dependent", "dependent_property", "greater_than",
    "greater_than_eq", "half_open_interval", "independent", "integer_interval", "interval", "is_dependent", "less_than", "lower_cholesky",
    "lower_triangular", "multinomial", "nonnegative", "nonnegative_integer", "one_hot", "positive", "positive_definite", "positive_integer",
    "positive_semidefinite", "real", "real_vector", "simplex", "square", "stack", "symmetric", "unit_interval",
]  # fmt: skip


class Constraint:
    """A set of values. Subclasses define `check`, and `is_discrete` and `event_dim` where they differ."""

    is_discrete = False
    event_dim = 0

    def check(self, value: Tensor) -> Tensor:
        """A bool tensor of shape sample_shape + batch_shape: whether each event is in the set."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__.lstrip('_')}()"


class _Static(Constraint):
    """A constraint whose static attributes may be unknown: reading those raises NotImplementedError."""

    def __init__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented) -> None:
        self._is_discrete, self._event_dim = is_discrete, event_dim

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return self._known("is_discrete")

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return self._known("event_dim")

    def _known(self, name: str) -> Any:
        value = getattr(self, f"_{name}")
        if value is NotImplemented:
            raise NotImplementedError(f".{name} cannot be determined statically")
        return value


class _Dependent(_Static):
    """The place of a constraint that depends on other parameters: `dependent`, or `dependent(is_discrete=True, event_dim=1)`."""

    def __call__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented) -> _Dependent:
        return _Dependent(
            is_discrete=self._is_discrete if is_discrete is NotImplemented else is_discrete,
            event_dim=self._event_dim if event_dim is NotImplemented else event_dim,
        )

    def check(self, x: Tensor) -> Tensor:
        raise ValueError("Cannot determine validity of dependent constraint")


def is_dependent(constraint: Any) -> bool:
    """Whether a constraint stands for one that only an instance knows."""
    return isinstance(constraint, _Dependent)


class _DependentProperty(property, _Dependent):
    """A property of an instance that is a dependent constraint on the class; takes the static attributes as a decorator.

    Example:
        >>> class Ball:
        ...     @dependent_property(is_discrete=False, event_dim=0)
        ...     def support(self): return interval(-self.radius, self.radius)
    """

    def __init__(self, fn: Callable | None = None, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented) -> None:
        property.__init__(self, fn)
        self._is_discrete, self._event_dim = is_discrete, event_dim

    def __call__(self, fn: Callable) -> _DependentProperty:  # type: ignore[override]
        return _DependentProperty(fn, is_discrete=self._is_discrete, event_dim=self._event_dim)


def all_of(result: Tensor, keep: int, needed: int, given: int) -> Tensor:
    """Whether all of the events in the dimensions from `keep` on are valid."""
    if keep < 0:
        raise ValueError(f"Expected value.dim() >= {needed} but got {given}")
    return result.reshape(result.shape[:keep] + (-1,)).all(-1)


class _IndependentConstraint(Constraint):
    """Events made of `reinterpreted_batch_ndims` dimensions of events of another constraint, all of which must hold."""

    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int) -> None:
        assert isinstance(base_constraint, Constraint), f"base_constraint must be a Constraint, got {type(base_constraint).__name__}"
        assert isinstance(reinterpreted_batch_ndims, int) and reinterpreted_batch_ndims >= 0
        self.base_constraint, self.reinterpreted_batch_ndims = base_constraint, reinterpreted_batch_ndims

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return self.base_constraint.is_discrete

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return self.base_constraint.event_dim + self.reinterpreted_batch_ndims

    def check(self, value: Tensor) -> Tensor:
        result = self.base_constraint.check(value)
        return all_of(result, result.dim() - self.reinterpreted_batch_ndims, self.event_dim, value.dim())

    def __repr__(self) -> str:
        return f"{type(self).__name__[1:]}({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamilyConstraint(Constraint):
    """The support of a mixture: a value that every component can take."""

    def __init__(self, base_constraint: Constraint) -> None:
        assert isinstance(base_constraint, Constraint), f"base_constraint must be a Constraint, got {type(base_constraint).__name__}"
        self.base_constraint = base_constraint

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return self.base_constraint.is_discrete

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return self.base_constraint.event_dim

    def check(self, value: Tensor) -> Tensor:
        result = self.base_constraint.check(value.unsqueeze(-1 - self.event_dim))
        return all_of(result, value.dim() - self.event_dim, self.event_dim, value.dim())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_constraint!r})"


class _Bounded(Constraint):
    """A constraint that is known by its bounds, which may be tensors."""

    bounds: tuple[str, ...] = ()

    def __repr__(self) -> str:
        shown = ", ".join([f"{name}={getattr(self, name)}" for name in self.bounds])
        return f"{type(self).__name__[1:]}({shown})"


def bounded(name: str, check: Callable, *bounds: str, discrete: bool = False, event_dim: int = 0) -> Any:
    """A class of constraints: `check(value, *bounds)` says what holds."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        given = dict(zip(bounds, args, strict=False)) | kwargs
        if len(args) + len(kwargs) != len(bounds) or given.keys() != set(bounds):
            raise TypeError(f"{name[1:]} takes {' and '.join(bounds)}")
        self.__dict__.update(given)

    members = {"__init__": __init__, "bounds": bounds, "is_discrete": discrete, "event_dim": event_dim, "__module__": __name__}
    members["check"] = lambda self, value: check(value, *[getattr(self, b) for b in bounds])
    return type(name, (_Bounded,), members)


def simple(name: str, check: Callable, discrete: bool = False, event_dim: int = 0, base: type = Constraint) -> Constraint:
    """The one constraint of a class without parameters."""
    members = {"check": lambda self, value: check(value), "is_discrete": discrete, "event_dim": event_dim, "__module__": __name__}
    return type(name, (base,), members)()


def whole(value: Any) -> Any:
    return value % 1 == 0


def binary(value: Any) -> Tensor:
    return (value == 0) | (value == 1)


def is_triangular(value: Tensor) -> Tensor:
    return (value.tril() == value).flatten(-2).all(-1)


def is_cholesky(value: Tensor) -> Tensor:
    return is_triangular(value) & (value.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


def is_corr_cholesky(value: Tensor) -> Tensor:
    tolerance = torch.finfo(value.dtype).eps * value.size(-1) * 10
    return is_cholesky(value) & ((value.detach().norm(dim=-1) - 1).abs() <= tolerance).all(-1)


def is_square(value: Tensor) -> Tensor:
    return torch.full(value.shape[:-2], value.shape[-2] == value.shape[-1], dtype=torch.bool)


def is_symmetric(value: Tensor) -> Tensor:
    squares = is_square(value)
    return torch.isclose(value, value.mT, atol=1e-6).all(-2).all(-1) if squares.all() else squares


def also_symmetric(holds: Callable) -> Callable:
    """A check of symmetric matrices, which is made only if all of them are."""

    def check(value: Tensor) -> Tensor:
        symmetric = is_symmetric(value)
        return holds(value) if symmetric.all() else symmetric

    return check


class _Parts(Constraint):
    """A constraint for each part of a tensor, cut or stacked along `dim`."""

    def __init__(self, cseq: Sequence[Constraint], dim: int = 0) -> None:
        assert all(isinstance(c, Constraint) for c in cseq), "All elements of cseq must be Constraint instances"
        self.cseq, self.dim = list(cseq), dim

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return any(c.is_discrete for c in self.cseq)

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return max(c.event_dim for c in self.cseq)


class _Cat(_Parts):
    """Constraints of slices of the given lengths along `dim`."""

    def __init__(self, cseq: Sequence[Constraint], dim: int = 0, lengths: Sequence[int] | None = None) -> None:
        super().__init__(cseq, dim)
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        assert len(self.lengths) == len(self.cseq), f"lengths ({len(self.lengths)}) must match cseq ({len(self.cseq)})"

    def check(self, value: Tensor) -> Tensor:
        parts = value.split(self.lengths, self.dim)
        return torch.cat([c.check(v) for c, v in zip(self.cseq, parts, strict=True)], self.dim)


class _Stack(_Parts):
    """Constraints of the entries along `dim`."""

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        dim = max(c.event_dim for c in self.cseq)
        return dim + (self.dim + dim < 0)

    def check(self, value: Tensor) -> Tensor:
        return torch.stack([c.check(v) for c, v in zip(self.cseq, value.unbind(self.dim), strict=True)], self.dim)


LOW, HIGH = "lower_bound", "upper_bound"
_Interval = bounded("_Interval", lambda v, low, high: (low <= v) & (v <= high), LOW, HIGH)
_HalfOpenInterval = bounded("_HalfOpenInterval", lambda v, low, high: (low <= v) & (v < high), LOW, HIGH)
_GreaterThan = bounded("_GreaterThan", lambda v, low: low < v, LOW)
_GreaterThanEq = bounded("_GreaterThanEq", lambda v, low: low <= v, LOW)
_LessThan = bounded("_LessThan", lambda v, high: v < high, HIGH)
_IntegerInterval = bounded("_IntegerInterval", lambda v, low, high: whole(v) & (low <= v) & (v <= high), LOW, HIGH, discrete=True)
_IntegerGreaterThan = bounded("_IntegerGreaterThan", lambda v, low: whole(v) & (v >= low), LOW, discrete=True)
_IntegerLessThan = bounded("_IntegerLessThan", lambda v, high: whole(v) & (v <= high), HIGH, discrete=True)
_Multinomial = bounded("_Multinomial", lambda v, n: (v >= 0).all(-1) & (v.sum(-1) <= n), HIGH, discrete=True, event_dim=1)
_Multinomial.__repr__ = Constraint.__repr__

dependent = _Dependent()
dependent_property = _DependentProperty
independent = _IndependentConstraint
cat, stack = _Cat, _Stack
interval, half_open_interval = _Interval, _HalfOpenInterval
greater_than, greater_than_eq, less_than = _GreaterThan, _GreaterThanEq, _LessThan
integer_interval, multinomial = _IntegerInterval, _Multinomial
positive, nonnegative, unit_interval = greater_than(0.0), greater_than_eq(0.0), interval(0.0, 1.0)
nonnegative_integer, positive_integer = _IntegerGreaterThan(0), _IntegerGreaterThan(1)

real = simple("_Real", lambda v: v == v)  # what is not a NaN
real_vector = independent(real, 1)
boolean = simple("_Boolean", binary, discrete=True)
one_hot = simple("_OneHot", lambda v: binary(v).all(-1) & (v.sum(-1) == 1), discrete=True, event_dim=1)
simplex = simple("_Simplex", lambda v: (v >= 0).all(-1) & ((v.sum(-1) - 1).abs() < 1e-6), event_dim=1)
lower_triangular = simple("_LowerTriangular", is_triangular, event_dim=2)
lower_cholesky = simple("_LowerCholesky", is_cholesky, event_dim=2)
corr_cholesky = simple("_CorrCholesky", is_corr_cholesky, event_dim=2)
square = simple("_Square", is_square, event_dim=2)
symmetric = simple("_Symmetric", is_symmetric, event_dim=2, base=type(square))
positive_semidefinite = simple(
    "_PositiveSemidefinite", also_symmetric(lambda v: (torch.linalg.eigvalsh(v) >= 0).all(-1)), event_dim=2, base=type(symmetric)
)
positive_definite = simple(
    "_PositiveDefinite", also_symmetric(lambda v: torch.linalg.cholesky_ex(v).info == 0), event_dim=2, base=type(symmetric)
)
_Real, _Boolean, _OneHot, _Simplex = type(real), type(boolean), type(one_hot), type(simplex)
_LowerTriangular, _LowerCholesky, _CorrCholesky = type(lower_triangular), type(lower_cholesky), type(corr_cholesky)
_Square, _Symmetric = type(square), type(symmetric)
_PositiveSemidefinite, _PositiveDefinite = type(positive_semidefinite), type(positive_definite)
