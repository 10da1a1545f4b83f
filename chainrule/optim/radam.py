"""RAdam: Adam that waits, as plain momentum, until its root mean square can be trusted."""

from __future__ import annotations

from typing import Any

from chainrule.ops.pointwise import sqrt
from chainrule.optim.elementwise import Elementwise, Rule
from chainrule.optim.optimizer import ParamsT, check_options
from chainrule.tensor import Tensor

__all__ = ["RAdam"]


class RAdam(Elementwise):
    """Adam with each step scaled by how certain v is after `step` gradients; for the first few, p -= lr * m.

    Example:
        >>> w = tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = RAdam([w], lr=0.1)
        >>> (w * w).sum().backward(); optimizer.step(); w
        tensor([ 0.8000, -1.6000], requires_grad=True)
    """

    def __init__(
        self, params: ParamsT, lr: float | Tensor = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, decoupled_weight_decay: bool = False, *, foreach: bool | None = None, maximize: bool = False,
        capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_options(lr, betas, eps=eps, weight_decay=weight_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def buffers(self, group: dict) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def rule(self, group: dict, state: dict, step: float) -> Rule:
        beta1, beta2 = group["betas"]
        lr, eps = group["lr"], group["eps"]
        correction1, correction2 = 1 - beta1**step, 1 - beta2**step
        limit = 2 / (1 - beta2) - 1  # the length of the mean that v is, in the end and by now
        length = limit - 2 * step * beta2**step / correction2
        certain = length > 5.0
        if certain:
            rectify = ((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)) ** 0.5

        def update(p: Any, g: Any, m: Any, v: Any) -> None:
            m += (1 - beta1) * (g - m)
            v *= beta2
            v += (1 - beta2) * g * g
            move = m / correction1 * lr
            if certain:
                move = move * (correction2**0.5 / (sqrt(v) + eps)) * rectify
            p -= move

        return update
