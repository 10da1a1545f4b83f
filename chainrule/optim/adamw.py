"""Adam with weight decay of its own: it shrinks the parameters, not the gradients' statistics."""

from __future__ import annotations

from typing import Any

from chainrule.optim.adam import Adam
from chainrule.optim.optimizer import ParamsT
from chainrule.tensor import Tensor

__all__ = ["AdamW"]


class AdamW(Adam):
    """p *= 1 - lr * weight_decay, then Adam's step.

    Example:
        >>> w = tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = AdamW([w], lr=0.1, weight_decay=0.1)
        >>> (w * w).sum().backward(); optimizer.step(); w
        tensor([ 0.8900, -1.8800], requires_grad=True)
    """

    def __init__(
        self, params: ParamsT, lr: float | Tensor = 1e-3, betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False, foreach: bool | None = None,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
