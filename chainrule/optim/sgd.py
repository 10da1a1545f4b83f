"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from typing import Any

from chainrule.optim.elementwise import Elementwise, Rule, sign_and_decay
from chainrule.optim.optimizer import ParamsT, check_fused, check_lr, number
from chainrule.tensor import Tensor

__all__ = ["SGD"]


class SGD(Elementwise):
    """p -= lr * v, where v = momentum * v + (1 - dampening) * g; with `nesterov`, p -= lr * (g + momentum * v).

    The first step takes v = g; without momentum v is g always.

    Example:
        >>> w = tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = SGD([w], lr=0.1, momentum=0.9)
        >>> (w * w).sum().backward(); optimizer.step(); w
        tensor([ 0.8000, -1.6000], requires_grad=True)
    """

    counts = False

    def __init__(
        self, params: ParamsT, lr: float | Tensor = 1e-3, momentum: float = 0, dampening: float = 0, weight_decay: float | Tensor = 0,
        nesterov: bool = False, *, maximize: bool = False, foreach: bool | None = None, differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:  # fmt: skip
        check_lr(lr)
        for name, value in (("momentum", momentum), ("weight_decay", weight_decay)):
            if number(value) < 0.0:
                raise ValueError(f"Invalid {name} value: {value}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
            "maximize": maximize, "foreach": foreach, "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)
        check_fused(fused, foreach, differentiable)

    def buffers(self, group: dict) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] != 0 else ()

    def rule(self, group: dict, state: dict, step: float) -> Rule:
        lr, momentum, kept, nesterov = group["lr"], group["momentum"], 1 - group["dampening"], group["nesterov"]
        if momentum == 0:

            def descend(p: Any, g: Any) -> None:
                p -= lr * g

            return descend
        first = state.get("momentum_buffer") is None

        def update(p: Any, g: Any, v: Any) -> None:
            if first:
                v[...] = g
            else:
                v *= momentum
                v += g if kept == 1 else kept * g
            p -= lr * (g + momentum * v if nesterov else v)

        return update

    def compiled(self, group: dict, step: float, fresh: bool) -> tuple[str, tuple[float, ...]] | None:
        lr, momentum = group["lr"], group["momentum"]
        if momentum == 0:
            return "descend", (*sign_and_decay(group), lr)
        return "momentum", (*sign_and_decay(group), lr, momentum, 1 - group["dampening"], fresh, group["nesterov"])
