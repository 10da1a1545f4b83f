"""Adamax: Adam with the largest gradient, slowly forgotten, in place of the root mean square."""

from __future__ import annotations

from typing import Any

from chainrule.ops.pointwise import abs, maximum
from chainrule.optim.elementwise import Elementwise, Rule
from chainrule.optim.optimizer import ParamsT, check_options
from chainrule.tensor import Tensor

__all__ = ["Adamax"]


class Adamax(Elementwise):
    """p -= lr * m / u, where m is the running mean of g, corrected for its start, and u = max(beta2 * u, |g| + eps).

    Example:
        >>> w = tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = Adamax([w], lr=0.1)
        >>> (w * w).sum().backward(); optimizer.step(); w
        tensor([ 0.9000, -1.9000], requires_grad=True)
    """

    def __init__(
        self, params: ParamsT, lr: float | Tensor = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ) -> None:  # fmt: skip
        check_options(lr, betas, eps=eps, weight_decay=weight_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def buffers(self, group: dict) -> tuple[str, ...]:
        return ("exp_avg", "exp_inf")

    def rule(self, group: dict, state: dict, step: float) -> Rule:
        beta1, beta2 = group["betas"]
        eps = group["eps"]
        size = group["lr"] / (1 - beta1**step)

        def update(p: Any, g: Any, m: Any, u: Any) -> None:
            m += (1 - beta1) * (g - m)
            u[...] = maximum(u * beta2, abs(g) + eps)
            p -= size * m / u

        return update
