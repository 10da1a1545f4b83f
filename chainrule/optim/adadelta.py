"""Adadelta: steps in the parameters' own unit, the root mean square of the steps before."""

from __future__ import annotations

from typing import Any

from chainrule.ops.pointwise import sqrt
from chainrule.optim.elementwise import Elementwise, Rule
from chainrule.optim.optimizer import ParamsT, check_options, number
from chainrule.tensor import Tensor

__all__ = ["Adadelta"]


class Adadelta(Elementwise):
    """p -= lr * d, where d = g * rms(d before) / rms(g), running over about 1 / (1 - rho) steps.

    Example:
        >>> w = tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = Adadelta([w])
        >>> (w * w).sum().backward(); optimizer.step(); w
        tensor([ 0.9968, -1.9968], requires_grad=True)
    """

    def __init__(
        self, params: ParamsT, lr: float | Tensor = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
        foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_options(lr)
        if not 0.0 <= number(rho) <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_options(lr, eps=eps, weight_decay=weight_decay)
        defaults = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize, "capturable": capturable,
            "foreach": foreach, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def buffers(self, group: dict) -> tuple[str, ...]:
        return ("square_avg", "acc_delta")

    def rule(self, group: dict, state: dict, step: float) -> Rule:
        lr, rho, eps = group["lr"], group["rho"], group["eps"]

        def update(p: Any, g: Any, of_g: Any, of_d: Any) -> None:
            of_g *= rho
            of_g += (1 - rho) * g * g
            d = sqrt(of_d + eps) / sqrt(of_g + eps) * g
            of_d *= rho
            of_d += (1 - rho) * d * d
            p -= lr * d

        return update
