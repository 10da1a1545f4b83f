"""Adam: steps as long as the mean gradient is against its root mean square."""

from __future__ import annotations

from typing import Any

from chainrule.ops.pointwise import sqrt, where
from chainrule.optim.elementwise import Elementwise, Rule, sign_and_decay
from chainrule.optim.optimizer import ParamsT, check_fused, check_options
from chainrule.tensor import Tensor

__all__ = ["Adam"]


class Adam(Elementwise):
    """p -= lr * m / (sqrt(v) + eps), where m and v are running means of g and g * g, corrected for their start at zero.

    `amsgrad` takes the largest v so far. `decoupled_weight_decay` shrinks p itself by lr * weight_decay instead of adding to g.

    Example:
        >>> w = tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = Adam([w], lr=0.1)
        >>> (w * w).sum().backward(); optimizer.step(); w
        tensor([ 0.9000, -1.9000], requires_grad=True)
    """

    def __init__(
        self, params: ParamsT, lr: float | Tensor = 1e-3, betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
        differentiable: bool = False, fused: bool | None = None, decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        if isinstance(lr, Tensor) and foreach and not capturable:
            raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        check_options(lr, betas, eps=eps, weight_decay=weight_decay)
        if not any([all([isinstance(b, kind) for b in betas]) for kind in (float, Tensor)]):
            raise ValueError("betas must be either both floats or both Tensors")
        for i, beta in enumerate(betas):
            if isinstance(beta, Tensor) and foreach and not capturable:
                raise ValueError(f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True")
        defaults = {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad, "maximize": maximize,
            "foreach": foreach, "capturable": capturable, "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)
        check_fused(fused, foreach, differentiable)

    def buffers(self, group: dict) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")

    def rule(self, group: dict, state: dict, step: float) -> Rule:
        beta1, beta2 = group["betas"]
        eps = group["eps"]
        size = group["lr"] / (1 - beta1**step)
        scale = (1 - beta2**step) ** 0.5

        def update(p: Any, g: Any, m: Any, v: Any, top: Any = None) -> None:
            m += (1 - beta1) * (g - m)
            v *= beta2
            v += (1 - beta2) * g * g
            if top is not None:
                v = where(top >= v, top, v)
                top[...] = v
            p -= size * m / (sqrt(v) / scale + eps)

        return update

    def compiled(self, group: dict, step: float, fresh: bool) -> tuple[str, tuple[float, ...]] | None:
        if group["amsgrad"]:
            return None
        (beta1, beta2), lr = group["betas"], group["lr"]
        shrink = 1 - lr * group["weight_decay"] if group["decoupled_weight_decay"] else 1.0
        size, scale = lr / (1 - beta1**step), (1 - beta2**step) ** -0.5
        return "adam", (*sign_and_decay(group), shrink, 1 - beta1, beta2, 1 - beta2, size, scale, group["eps"])
