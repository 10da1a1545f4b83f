"""Rprop: only the gradient's sign counts; steps grow while it stays and shrink when it turns."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ops.pointwise import maximum, minimum, sign, where
from chainrule.optim.elementwise import Elementwise, Rule
from chainrule.optim.optimizer import ParamsT, check_lr, number, scalar
from chainrule.tensor import Tensor, wrap

__all__ = ["Rprop"]


class Rprop(Elementwise):
    """p -= size * sign(g); size grows by etas[1] where g keeps its sign, shrinks by etas[0] where it turns, where no step is made.

    Example:
        >>> w = tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = Rprop([w], lr=0.1)
        >>> (w * w).sum().backward(); optimizer.step(); w
        tensor([ 0.9000, -1.9000], requires_grad=True)
    """

    def __init__(
        self, params: ParamsT, lr: float | Tensor = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False, foreach: bool | None = None, maximize: bool = False,
        differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            "capturable": capturable
        }  # fmt: skip
        super().__init__(params, defaults)

    def buffers(self, group: dict) -> tuple[str, ...]:
        return ("prev", "step_size")

    def begin(self, group: dict, p: Tensor) -> dict[str, Any]:
        lr = number(group["lr"])
        sizes = np.full_like(p._data, complex(lr, lr) if p.dtype.is_complex else lr)
        return {"step": scalar(0.0), "prev": wrap(np.zeros_like(p._data)), "step_size": wrap(sizes)}

    def rule(self, group: dict, state: dict, step: float) -> Rule:
        shrink, grow = group["etas"]
        smallest, largest = group["step_sizes"]

        def update(p: Any, g: Any, before: Any, size: Any) -> None:
            agreement = g * before
            turned = agreement < 0
            scaled = where(turned, size * shrink, where(agreement > 0, size * grow, size))
            size[...] = minimum(maximum(scaled, smallest), largest)
            g = where(turned, 0.0, g)
            p -= sign(g) * size
            before[...] = g

        return update
