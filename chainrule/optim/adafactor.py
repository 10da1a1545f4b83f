"""Adafactor: Adam's scaling at a fraction of its memory; a matrix's mean squares are kept as one row and one column."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.optim.elementwise import Separate, counted
from chainrule.optim.optimizer import ParamsT, check_lr, number, scalar
from chainrule.tensor import Tensor, wrap

__all__ = ["Adafactor"]


class Adafactor(Separate):
    """p -= alpha * u, where u is g over its root mean square, clipped to a root mean square of `d`; alpha grows with p's own size.

    Example:
        >>> w = tensor([[1.0, -2.0]], requires_grad=True)
        >>> optimizer = Adafactor([w], lr=0.1)
        >>> (w * w).sum().backward(); optimizer.step(); w
        tensor([[ 0.8419, -1.8419]], requires_grad=True)
    """

    def __init__(
        self, params: ParamsT, lr: float | Tensor = 1e-2, beta2_decay: float = -0.8, eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0, weight_decay: float = 0.0, *, foreach: bool | None = None, maximize: bool = False,
    ) -> None:  # fmt: skip
        check_lr(lr, "Learning rate should be >= 0 but is: {}")
        for fine, message in (
            (beta2_decay <= 0.0, f"beta2_decay should be <= 0 but is: {beta2_decay}"),
            (eps[0] is None or eps[0] >= 0.0, f"epsilon1 should be >= 0 but is: {eps[0]}"),
            (eps[1] >= 0.0, f"epsilon2 should be >= 0 but is: {eps[1]}"),
            (d >= 1.0, f"Clipping threshold d should be >= 1 but is: {d}"),
            (weight_decay >= 0.0, f"weight_decay should be >= 0 but is: {weight_decay}"),
        ):
            if not fine:
                raise ValueError(message)
        defaults = {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize
        }  # fmt: skip
        super().__init__(params, defaults)

    def begin(self, p: Tensor) -> dict[str, Any]:
        shape, dtype = p._data.shape, p._data.dtype
        if len(shape) < 2:
            return {"step": scalar(0.0), "variance": wrap(np.zeros(shape, dtype))}
        row, column = (*shape[:-1], 1), (*shape[:-2], 1, shape[-1])
        return {"step": scalar(0.0), "row_var": wrap(np.zeros(row, dtype)), "col_var": wrap(np.zeros(column, dtype))}

    def advance(self, group: dict, p: Tensor, g: Tensor) -> None:
        if p.dtype.is_complex:
            raise RuntimeError("Adafactor does not support complex parameters")
        state = self.state[p]
        if not state:
            state.update(self.begin(p))
        data, grad = p._data, -g._data if group["maximize"] else g._data
        lr, (eps1, eps2) = group["lr"], group["eps"]
        eps1 = float(np.finfo(data.dtype).eps) if eps1 is None else eps1
        step = counted(state["step"])
        alpha = max(eps2, float(root_mean_square(data))) * min(lr, 1 / step**0.5)
        if group["weight_decay"] != 0:
            data *= 1 - lr * group["weight_decay"]
        squares, new = grad * grad, step ** group["beta2_decay"]
        if grad.ndim > 1:
            row = approach(state["row_var"], squares.mean(-1, keepdims=True), new)
            column = approach(state["col_var"], squares.mean(-2, keepdims=True), new)
            estimate = row @ column / np.maximum(row.mean(-2, keepdims=True), eps1)
        else:
            estimate = approach(state["variance"], squares, new)
        update = grad / np.sqrt(np.maximum(estimate, eps1 * eps1))
        data -= alpha / max(1.0, float(root_mean_square(update)) / number(group["d"])) * update
        p._versions[0] += 1


def approach(mean: Tensor, values: np.ndarray, weight: float) -> np.ndarray:
    """Move a running mean towards new values."""
    mean._data += weight * (values - mean._data)
    mean._versions[0] += 1
    return mean._data


def root_mean_square(array: np.ndarray) -> np.floating:
    return np.sqrt(np.mean(array * array))
