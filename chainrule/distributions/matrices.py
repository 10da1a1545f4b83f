"""Families of vectors and matrices that are given by matrices: multivariate normal, Wishart, LKJ."""

from __future__ import annotations

import math
import warnings
from math import nan
from typing import Any

import chainrule as torch
from chainrule._core.types import Size
from chainrule.distributions import constraints
from chainrule.distributions.distribution import Distribution, ExponentialFamily, Family
from chainrule.distributions.positive import Beta, Chi2
from chainrule.distributions.utils import NUMBERS, _standard_normal, broadcast_all, lazy_property
from chainrule.tensor import Tensor

__all__ = ["LKJCholesky", "LowRankMultivariateNormal", "MultivariateNormal", "Wishart"]

MATRICES = {
    "covariance_matrix": constraints.positive_definite, "precision_matrix": constraints.positive_definite,
    "scale_tril": constraints.lower_cholesky,
}  # fmt: skip
ONE_OF = "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."


def _batch_mv(bmat: Tensor, bvec: Tensor) -> Tensor:
    """Matrices times vectors, (..., m, n) by (..., n)."""
    return (bmat @ bvec.unsqueeze(-1)).squeeze(-1)


def _batch_mahalanobis(bL: Tensor, bx: Tensor) -> Tensor:
    """x' (L L')^-1 x, for lower-triangular L (..., n, n) and x (..., n) of at least as many batch dimensions."""
    return torch.linalg.solve_triangular(bL, bx.unsqueeze(-1), upper=False).pow(2).sum([-2, -1])


def _precision_to_scale_tril(P: Tensor) -> Tensor:
    """The Cholesky factor of the inverse of P."""
    inverse = torch.linalg.cholesky(P.flip((-2, -1))).flip((-2, -1)).mT
    return torch.linalg.solve_triangular(inverse, torch.eye(P.shape[-1], dtype=P.dtype), upper=False)


def log_diagonal(tril: Tensor) -> Any:
    return tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def identity_plus(a: Tensor) -> Tensor:
    return a + torch.eye(a.shape[-1], dtype=a.dtype)


class Shaped(Family):
    """A family given by one of three matrices, of which the others are computed when they are asked for."""

    _unbroadcasted_scale_tril: Tensor

    def _keep_matrix(self, batch_shape: Size, given: dict[str, Tensor | None]) -> None:
        """Keep the matrix that was given, expanded to the batch."""
        ((name, matrix),) = [(n, m) for n, m in given.items() if m is not None]
        self.__dict__[name] = matrix.expand(batch_shape + (-1, -1))

    def _factor(self, given: dict[str, Tensor | None]) -> None:
        makers = {"scale_tril": lambda m: m, "covariance_matrix": torch.linalg.cholesky, "precision_matrix": _precision_to_scale_tril}
        ((name, matrix),) = [(n, m) for n, m in given.items() if m is not None]
        self._unbroadcasted_scale_tril = makers[name](matrix)

    @property
    def _matrix_shape(self) -> Size:
        return self._batch_shape + self._event_shape[-1:] * 2

    @lazy_property
    def scale_tril(self) -> Tensor:
        return self._unbroadcasted_scale_tril.expand(self._matrix_shape)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        return (self._unbroadcasted_scale_tril @ self._unbroadcasted_scale_tril.mT).expand(self._matrix_shape)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        return torch.cholesky_inverse(self._unbroadcasted_scale_tril).expand(self._matrix_shape)


class MultivariateNormal(Shaped):
    """Vectors (n,) of mean `loc` and the given covariance, precision or Cholesky factor (n, n) of the covariance.

    Example:
        >>> MultivariateNormal(zeros(2), eye(2)).entropy()
        tensor(2.8379)
    """

    arg_constraints = {"loc": constraints.real_vector, **MATRICES}
    support = constraints.real_vector
    has_rsample = True
    mean = mode = property(lambda self: self.loc)

    def __init__(
        self, loc: Tensor, covariance_matrix: Tensor | None = None, precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None, validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        given = {"covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril}
        matrices = [(name, m) for name, m in given.items() if m is not None]
        if len(matrices) != 1:
            raise ValueError(ONE_OF)
        ((name, matrix),) = matrices
        if matrix.dim() < 2:
            title = "scale_tril matrix" if name == "scale_tril" else name
            raise ValueError(f"{title} must be at least two-dimensional, with optional leading batch dimensions")
        batch_shape = torch.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        self._keep_matrix(batch_shape, given)
        self.loc = loc.expand(batch_shape + (-1,))
        Distribution.__init__(self, batch_shape, self.loc.shape[-1:], validate_args=validate_args)
        self._factor(given)

    @property
    def variance(self) -> Tensor:
        return self._unbroadcasted_scale_tril.pow(2).sum(-1).expand(self._batch_shape + self._event_shape)

    def _draw(self, shape: Size) -> Tensor:
        return self.loc + _batch_mv(self._unbroadcasted_scale_tril, _standard_normal(shape, self.loc.dtype))

    def _log_prob(self, value: Tensor) -> Tensor:
        distance = _batch_mahalanobis(self._unbroadcasted_scale_tril, value - self.loc)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + distance) - log_diagonal(self._unbroadcasted_scale_tril)

    def entropy(self) -> Tensor:
        entropy = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + log_diagonal(self._unbroadcasted_scale_tril)
        return entropy.expand(self._batch_shape)


# W W' + diag(D), by the capacitance I + W' D^-1 W


def _batch_capacitance_tril(W: Tensor, D: Tensor) -> Tensor:
    """The Cholesky factor of the capacitance."""
    return torch.linalg.cholesky(identity_plus((W.mT / D.unsqueeze(-2)) @ W))


def _batch_lowrank_logdet(W: Tensor, D: Tensor, capacitance_tril: Tensor) -> Tensor:
    """The log determinant, by the matrix determinant lemma."""
    return 2 * log_diagonal(capacitance_tril) + D.log().sum(-1)


def _batch_lowrank_mahalanobis(W: Tensor, D: Tensor, x: Tensor, capacitance_tril: Tensor) -> Tensor:
    """x' (W W' + diag(D))^-1 x, by the Woodbury identity."""
    return (x.pow(2) / D).sum(-1) - _batch_mahalanobis(capacitance_tril, _batch_mv(W.mT / D.unsqueeze(-2), x))


class LowRankMultivariateNormal(Family):
    """Vectors (n,) of mean `loc` and covariance `cov_factor` (n, r) times its transpose plus `cov_diag` (n,) on the diagonal."""

    arg_constraints = {
        "loc": constraints.real_vector, "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }  # fmt: skip
    support = constraints.real_vector
    has_rsample = True
    mean = mode = property(lambda self: self.loc)

    @property
    def _low_rank(self) -> tuple[Tensor, Tensor]:
        return self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag

    def __init__(self, loc: Tensor, cov_factor: Tensor, cov_diag: Tensor, validate_args: bool | None = None) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event_shape = loc.shape[-1:]
        if cov_factor.dim() < 2:
            raise ValueError("cov_factor must be at least two-dimensional, with optional leading batch dimensions")
        if cov_factor.shape[-2:-1] != event_shape:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {event_shape[0]} x m")
        if cov_diag.shape[-1:] != event_shape:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event_shape}")
        try:
            means, self.cov_factor, diagonals = torch.broadcast_tensors(loc.unsqueeze(-1), cov_factor, cov_diag.unsqueeze(-1))
        except RuntimeError as error:
            shapes = f"loc {loc.shape}, cov_factor {cov_factor.shape}, cov_diag {cov_diag.shape}"
            raise ValueError(f"Incompatible batch shapes: {shapes}") from error
        self.loc, self.cov_diag = means[..., 0], diagonals[..., 0]
        self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag = cov_factor, cov_diag
        self._capacitance_tril = _batch_capacitance_tril(cov_factor, cov_diag)
        Distribution.__init__(self, self.loc.shape[:-1], event_shape, validate_args=validate_args)

    @lazy_property
    def variance(self) -> Tensor:
        factor, diagonal = self._low_rank
        return (factor.pow(2).sum(-1) + diagonal).expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Tensor:
        factor, diagonal = self._low_rank
        root = diagonal.sqrt().unsqueeze(-1)
        scaled = factor / root
        return (root * torch.linalg.cholesky(identity_plus(scaled @ scaled.mT))).expand(self.loc.shape + self._event_shape)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        factor, diagonal = self._low_rank
        return (factor @ factor.mT + torch.diag_embed(diagonal)).expand(self.loc.shape + self._event_shape)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        factor, diagonal = self._low_rank
        a = torch.linalg.solve_triangular(self._capacitance_tril, factor.mT / diagonal.unsqueeze(-2), upper=False)
        return (torch.diag_embed(diagonal.reciprocal()) - a.mT @ a).expand(self.loc.shape + self._event_shape)

    def _draw(self, shape: Size) -> Tensor:
        factor, diagonal = self._low_rank
        along = _standard_normal(shape[:-1] + self.cov_factor.shape[-1:], self.loc.dtype)
        return self.loc + _batch_mv(factor, along) + diagonal.sqrt() * _standard_normal(shape, self.loc.dtype)

    def _log_prob(self, value: Tensor) -> Tensor:
        factor, diagonal = self._low_rank
        distance = _batch_lowrank_mahalanobis(factor, diagonal, value - self.loc, self._capacitance_tril)
        log_det = self._log_det()
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + log_det + distance)

    def entropy(self) -> Tensor:
        return (0.5 * (self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + self._log_det())).expand(self._batch_shape)

    def _log_det(self) -> Tensor:
        factor, diagonal = self._low_rank
        return _batch_lowrank_logdet(factor, diagonal, self._capacitance_tril)


def _mvdigamma(x: Tensor, p: int) -> Tensor:
    assert x.gt((p - 1) / 2).all(), "Wrong domain for multivariate digamma function."
    return torch.digamma(x.unsqueeze(-1) - torch.arange(p, dtype=x.dtype) / 2).sum(-1)


class Wishart(Shaped, ExponentialFamily):
    """Scatter matrices (n, n) of `df` normal vectors of the given covariance, precision or Cholesky factor of the covariance."""

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0
    mean = property(lambda self: self._over_matrix(self.df) * self.covariance_matrix)

    @property
    def arg_constraints(self) -> dict:
        return {**MATRICES, "df": constraints.greater_than(self.event_shape[-1] - 1)}

    def __init__(
        self, df: Any, covariance_matrix: Tensor | None = None, precision_matrix: Tensor | None = None, scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        given = {"covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril}
        matrices = [m for m in given.values() if m is not None]
        assert len(matrices) == 1, ONE_OF
        (matrix,) = matrices
        if matrix.dim() < 2:
            raise ValueError("scale_tril must be at least two-dimensional, with optional leading batch dimensions")
        if isinstance(df, NUMBERS):
            batch_shape = Size(matrix.shape[:-2])
            self.df = torch.tensor(df, dtype=matrix.dtype)
        else:
            batch_shape = torch.broadcast_shapes(matrix.shape[:-2], df.shape)
            self.df = df.expand(batch_shape)
        n = matrix.shape[-1]
        if self.df.le(n - 1).any():
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {n - 1}.")
        self._keep_matrix(batch_shape, given)
        if self.df.lt(n).any():
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for ndim - 1 < df < ndim.", stacklevel=2
            )
        Distribution.__init__(self, batch_shape, matrix.shape[-2:], validate_args=validate_args)
        self._factor(given)
        self._dist_chi2 = Chi2((self.df.unsqueeze(-1) - torch.arange(n, dtype=matrix.dtype)).expand(batch_shape + (n,)))

    def _expand_part(self, name: str, part: Distribution, shape: Size) -> Distribution:
        return part.expand(shape + self._event_shape[-1:])

    def _over_matrix(self, v: Tensor) -> Tensor:
        return v.expand(self._batch_shape)[..., None, None]

    @property
    def mode(self) -> Tensor:
        factor = self.df - self.covariance_matrix.shape[-1] - 1
        return self._over_matrix(factor.masked_fill(factor <= 0, nan)) * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        v = self.covariance_matrix
        diagonal = v.diagonal(dim1=-2, dim2=-1)
        return self._over_matrix(self.df) * (v.pow(2) + diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2))

    def _bartlett_sampling(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        """L A A' L' with a random triangle A, by Bartlett's decomposition."""
        n = self._event_shape[-1]
        diagonal = self._dist_chi2.rsample(sample_shape).sqrt()
        noise = diagonal.clamp(min=torch.finfo(diagonal.dtype).eps).diag_embed()
        below = torch.randn(Size(sample_shape) + self._batch_shape + (n * (n - 1) // 2,), dtype=noise.dtype)
        i, j = torch.tril_indices(n, n, offset=-1)
        noise[..., i, j] = below
        factor = self._unbroadcasted_scale_tril @ noise
        return factor @ factor.mT

    def sample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        with torch.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = Size(), max_try_correction: int | None = None) -> Tensor:  # noqa: B008
        """As `Distribution.rsample`; matrices that are singular by rounding are drawn anew, `max_try_correction` (10) times at most."""
        self._bartlett_sampling(sample_shape)  # PyTorch, testing the wrong way round, keeps its second draw
        sample = self._bartlett_sampling(sample_shape)
        for _ in range(10 if max_try_correction is None else max_try_correction):
            singular = ~self.support.check(sample)
            if not singular.any():
                break
            warnings.warn("Singular sample detected.", stacklevel=2)
            sample = torch.where(singular[..., None, None], self._bartlett_sampling(sample_shape), sample)
        return sample

    def _log_prob(self, value: Tensor) -> Tensor:
        nu, p, tril = self.df, self._event_shape[-1], self._unbroadcasted_scale_tril
        norm = nu * (p * math.log(2) / 2 + log_diagonal(tril)) + torch.mvlgamma(nu / 2, p=p)
        trace = torch.cholesky_solve(value, tril).diagonal(dim1=-2, dim2=-1).sum(dim=-1)
        return (nu - p - 1) / 2 * torch.linalg.slogdet(value).logabsdet - trace / 2 - norm

    def entropy(self) -> Tensor:
        nu, p = self.df, self._event_shape[-1]
        scale = (p + 1) * (p * math.log(2) / 2 + log_diagonal(self._unbroadcasted_scale_tril))
        return scale + torch.mvlgamma(nu / 2, p=p) - (nu - p - 1) / 2 * _mvdigamma(nu / 2, p=p) + nu * p / 2

    @property
    def _natural_params(self) -> tuple:
        return -self.precision_matrix / 2, (self.df - self._event_shape[-1] - 1) / 2

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        p = self._event_shape[-1]
        power = y + (p + 1) / 2
        return power * (-torch.linalg.slogdet(-2 * x).logabsdet + math.log(2) * p) + torch.mvlgamma(power, p=p)


class LKJCholesky(Family):
    """Cholesky factors (dim, dim) of correlation matrices, the closer to the identity the larger the `concentration`."""

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        offset = torch.arange(-1, dim - 1, dtype=self.concentration.dtype).clamp(min=0)
        margin = self.concentration + 0.5 * (dim - 2)
        self._beta = Beta(offset + 0.5, margin.unsqueeze(-1) - 0.5 * offset)
        Distribution.__init__(self, self.concentration.size(), Size((dim, dim)), validate_args)

    def _expand_part(self, name: str, part: Distribution, shape: Size) -> Distribution:
        return part.expand(shape + (self.dim,))

    def _draw(self, shape: Size) -> Tensor:
        """The onion method: rows of random length in random directions."""
        y = self._beta._draw(shape[:-1]).unsqueeze(-1)
        normal = torch.randn(shape, dtype=y.dtype).tril(-1)
        sphere = normal / normal.norm(dim=-1, keepdim=True)
        sphere[..., 0, :] = 0.0
        w = torch.sqrt(y) * sphere
        diagonal = (1 - (w**2).sum(-1)).clamp(min=torch.finfo(w.dtype).tiny).sqrt()
        return w + torch.diag_embed(diagonal)

    def _log_prob(self, value: Tensor) -> Tensor:
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        order = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - torch.arange(2, self.dim + 1)
        less = self.dim - 1
        alpha = self.concentration + 0.5 * less
        norm = 0.5 * less * math.log(math.pi) + torch.mvlgamma(alpha - 0.5, less) - torch.lgamma(alpha) * less
        return (order * diagonal.log()).sum(-1) - norm
