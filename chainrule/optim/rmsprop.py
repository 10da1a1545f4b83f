"""RMSprop: gradients over their own root mean square."""

from __future__ import annotations

from typing import Any

from chainrule.ops.pointwise import sqrt
from chainrule.optim.elementwise import Elementwise, Rule
from chainrule.optim.optimizer import ParamsT, check_options
from chainrule.tensor import Tensor

__all__ = ["RMSprop"]


class RMSprop(Elementwise):
    """p -= lr * g / (sqrt(v) + eps), where v is the running mean of g * g; `centered` takes the variance of g instead.

    Example:
        >>> w = tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = RMSprop([w], lr=0.01)
        >>> (w * w).sum().backward(); optimizer.step(); w
        tensor([ 0.9000, -1.9000], requires_grad=True)
    """

    def __init__(
        self, params: ParamsT, lr: float | Tensor = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
        momentum: float = 0, centered: bool = False, capturable: bool = False, foreach: bool | None = None, maximize: bool = False,
        differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_options(lr, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered, "weight_decay": weight_decay,
            "capturable": capturable, "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def buffers(self, group: dict) -> tuple[str, ...]:
        return "square_avg", *(["momentum_buffer"] if group["momentum"] > 0 else []), *(["grad_avg"] if group["centered"] else [])

    def rule(self, group: dict, state: dict, step: float) -> Rule:
        lr, alpha, eps, momentum, centered = group["lr"], group["alpha"], group["eps"], group["momentum"], group["centered"]

        def update(p: Any, g: Any, squares: Any, *more: Any) -> None:
            squares *= alpha
            squares += (1 - alpha) * g * g
            spread = squares
            if centered:
                mean = more[-1]
                mean += (1 - alpha) * (g - mean)
                spread = squares - mean * mean
            root = sqrt(spread) + eps
            if momentum > 0:
                v = more[0]
                v *= momentum
                v += g / root
                p -= lr * v
            else:
                p -= lr * g / root

        return update
