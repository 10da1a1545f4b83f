"""Adagrad: steps that shrink with all the gradients seen so far."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ops.pointwise import sqrt
from chainrule.optim.elementwise import Elementwise, Rule
from chainrule.optim.optimizer import ParamsT, check_fused, check_options, scalar
from chainrule.tensor import Tensor, wrap

__all__ = ["Adagrad"]


class Adagrad(Elementwise):
    """p -= lr / (1 + (step - 1) * lr_decay) * g / (sqrt(total) + eps), where total is the sum of all g * g.

    Example:
        >>> w = tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = Adagrad([w], lr=0.1)
        >>> (w * w).sum().backward(); optimizer.step(); w
        tensor([ 0.9000, -1.9000], requires_grad=True)
    """

    def __init__(
        self, params: ParamsT, lr: float | Tensor = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *, maximize: bool = False,
        differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        check_options(lr, lr_decay=lr_decay, weight_decay=weight_decay, initial_accumulator_value=initial_accumulator_value, eps=eps)
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)
        check_fused(fused, foreach, differentiable)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p].update(self.begin(group, p))

    def buffers(self, group: dict) -> tuple[str, ...]:
        return ("sum",)

    def begin(self, group: dict, p: Tensor) -> dict[str, Any]:
        start = self.defaults["initial_accumulator_value"]
        total = np.full_like(p._data, complex(start, start) if p.dtype.is_complex else start)
        return {"step": scalar(0.0, group.get("fused")), "sum": wrap(total)}

    def share_memory(self) -> None:
        """Nothing to do: tensors are given to other processes by copy."""

    def rule(self, group: dict, state: dict, step: float) -> Rule:
        eps = group["eps"]
        size = group["lr"] / (1 + (step - 1) * group["lr_decay"])

        def update(p: Any, g: Any, total: Any) -> None:
            total += g * g
            p -= size * g / (sqrt(total) + eps)

        return update
