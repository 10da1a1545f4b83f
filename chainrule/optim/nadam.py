"""NAdam: Adam with Nesterov's look ahead."""

from __future__ import annotations

from typing import Any

from chainrule.ops.pointwise import sqrt
from chainrule.optim.elementwise import Elementwise, Rule
from chainrule.optim.optimizer import ParamsT, check_options, scalar
from chainrule.tensor import Tensor

__all__ = ["NAdam"]


class NAdam(Elementwise):
    """Adam whose step mixes the gradient with the mean that the next step would see; momentum grows with `momentum_decay`.

    Example:
        >>> w = tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = NAdam([w], lr=0.1)
        >>> (w * w).sum().backward(); optimizer.step(); w
        tensor([ 0.8944, -1.8944], requires_grad=True)
    """

    def __init__(
        self, params: ParamsT, lr: float | Tensor = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_options(lr, betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def buffers(self, group: dict) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def begin(self, group: dict, p: Tensor) -> dict[str, Any]:
        return {"step": scalar(0.0), "mu_product": scalar(1.0)}

    def rule(self, group: dict, state: dict, step: float) -> Rule:
        beta1, beta2 = group["betas"]
        lr, eps, decay = group["lr"], group["eps"], group["momentum_decay"]
        now, following = (beta1 * (1 - 0.5 * 0.96 ** (t * decay)) for t in (step, step + 1))
        product = state["mu_product"]
        product._data *= now
        product._versions[0] += 1
        so_far = product._data.item()
        of_gradient, of_mean = lr * (1 - now) / (1 - so_far), lr * following / (1 - so_far * following)
        correction = 1 - beta2**step

        def update(p: Any, g: Any, m: Any, v: Any) -> None:
            m += (1 - beta1) * (g - m)
            v *= beta2
            v += (1 - beta2) * g * g
            root = sqrt(v / correction) + eps
            p -= of_gradient * g / root
            p -= of_mean * m / root

        return update
