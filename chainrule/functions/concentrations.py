"""Draws that are differentiable in a concentration: gamma and Dirichlet numbers, under the names that `distributions` uses in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.functions.arguments import require_tensor
from chainrule.functions.random import checked
from chainrule.ops.overrides import public
from chainrule.ops.primitive import general
from chainrule.tensor import Tensor

__all__ = ["_dirichlet_grad", "_sample_dirichlet", "_standard_gamma", "_standard_gamma_grad"]


@general(inputs=("alpha", "x"), name="_standard_gamma_grad")
def gamma_slope(alpha: Any, x: Any) -> Any:
    """How gamma numbers move with their concentration."""
    from chainrule.kernels.implicit import gamma_slope as kernel

    return kernel(alpha, x)


@general(inputs=("x", "alpha", "total"), name="_dirichlet_grad")
def dirichlet_slope(x: Any, alpha: Any, total: Any) -> Any:
    """How Dirichlet numbers move with their concentration, up to a projection."""
    from chainrule.kernels.implicit import dirichlet_slope as kernel

    return kernel(x, alpha, total)


@general(a=lambda g, a, y: g * gamma_slope(a, y), node="StandardGammaBackward0", name="_standard_gamma")
def gamma(a: Any, values: Any) -> Any:
    """The record of a draw of gamma numbers."""
    return values


def pull_dirichlet(g: Any, a: Any, y: Any) -> Any:
    from chainrule.ops.reduce import sum as total

    sums = total(a, (-1,), True) + 0 * a
    return dirichlet_slope(y, a, sums) * (g - total(y * g, (-1,), True))


@general(a=pull_dirichlet, node="SampleDirichletBackward0", name="_sample_dirichlet")
def dirichlet(a: Any, values: Any) -> Any:
    """The record of a draw of Dirichlet numbers."""
    return values


@public
def _standard_gamma(input: Tensor, generator: Any = None) -> Tensor:
    """Gamma numbers of rate 1 and concentrations `input`, in which they are differentiable.

    Example: `_standard_gamma(ones(3)).shape` is `torch.Size([3])`.
    """
    from chainrule.kernels.random_rejection import standard_gamma

    require_tensor("_standard_gamma", input)
    return gamma(input, standard_gamma(input._data, checked("_standard_gamma", generator)))


@public
def _sample_dirichlet(input: Tensor, generator: Any = None) -> Tensor:
    """Points of the simplex drawn with concentrations `input` (..., k), in which they are differentiable.

    Example: `_sample_dirichlet(ones(2, 3)).sum(-1)` is `tensor([1., 1.])`.
    """
    from chainrule.kernels.random_rejection import dirichlet as sample

    require_tensor("_sample_dirichlet", input)
    return dirichlet(input, np.asarray(sample(input._data, checked("_sample_dirichlet", generator))))


@public
def _standard_gamma_grad(input: Tensor, output: Tensor) -> Tensor:
    """d output / d input of `output = _standard_gamma(input)`, element by element."""
    return gamma_slope(input, output)


@public
def _dirichlet_grad(x: Tensor, alpha: Tensor, total: Tensor) -> Tensor:
    """d x / d alpha / (1 - x) of beta numbers x with concentrations alpha and total - alpha, element by element."""
    return dirichlet_slope(x, alpha, total)
