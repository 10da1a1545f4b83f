"""ASGD: descent with a decaying step, and the average of where it went."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.optim.elementwise import Elementwise, Rule
from chainrule.optim.optimizer import ParamsT, check_options, number, scalar
from chainrule.tensor import Tensor, wrap

__all__ = ["ASGD"]


class ASGD(Elementwise):
    """p = (1 - lambd * eta) * p - eta * g, eta = lr / (1 + lambd * lr * step) ** alpha; state "ax" is p's average from step t0 on.

    Example:
        >>> w = tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = ASGD([w], lr=0.1)
        >>> (w * w).sum().backward(); optimizer.step(); w
        tensor([ 0.8000, -1.6000], requires_grad=True)
    """

    def __init__(
        self, params: ParamsT, lr: float | Tensor = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6,
        weight_decay: float = 0, foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ) -> None:  # fmt: skip
        check_options(lr, weight_decay=weight_decay)
        defaults = {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def buffers(self, group: dict) -> tuple[str, ...]:
        return ("ax",)

    def begin(self, group: dict, p: Tensor) -> dict[str, Any]:
        return {"step": scalar(0.0), "eta": scalar(number(group["lr"])), "mu": scalar(1.0), "ax": wrap(np.zeros_like(p._data))}

    def rule(self, group: dict, state: dict, step: float) -> Rule:
        lr, lambd = number(group["lr"]), group["lambd"]
        eta, mu = (state[name]._data.item() for name in ("eta", "mu"))
        following = {"eta": lr / (1 + lambd * lr * step) ** group["alpha"], "mu": 1 / max(1, step - group["t0"])}
        for name, value in following.items():
            state[name]._data[...] = scalar(value)._data
            state[name]._versions[0] += 1

        def update(p: Any, g: Any, average: Any) -> None:
            p *= 1 - lambd * eta
            p -= eta * g
            if mu == 1:
                average[...] = p
            else:
                average += (p - average) * mu

        return update
