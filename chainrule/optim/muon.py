"""Muon: momentum whose matrix is made nearly orthogonal, so that each direction moves alike."""

from __future__ import annotations

import math

import numpy as np

from chainrule._core import dtypes
from chainrule.optim.elementwise import Separate
from chainrule.optim.optimizer import ParamsT, check_lr
from chainrule.tensor import Tensor, wrap

__all__ = ["Muon"]

EPS = 1e-7
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ADJUSTMENTS = {
    "original": lambda rows, columns: math.sqrt(max(1, rows / columns)),
    "match_rms_adamw": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
}


class Muon(Separate):
    """p -= lr * ratio * orthogonal(momentum), for the weight matrices of hidden layers; p shrinks by lr * weight_decay first.

    Example:
        >>> w = tensor([[1.0, -2.0], [0.5, 1.0]], requires_grad=True)
        >>> optimizer = Muon([w], lr=0.1)
        >>> (w * w).sum().backward(); optimizer.step(); w.shape
        torch.Size([2, 2])
    """

    def __init__(
        self, params: ParamsT, lr: float = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95, nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = NEWTON_SCHULZ, eps: float = EPS, ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:  # fmt: skip
        check_lr(lr, "Learning rate should be >= 0 but is: {}")
        if not momentum >= 0.0:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not weight_decay >= 0.0:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn is not None and adjust_lr_fn not in ADJUSTMENTS:
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov, "ns_coefficients": ns_coefficients,
            "eps": eps, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        for p in self._parameters():
            if p.ndim != 2:
                raise ValueError(f"Muon only supports 2D parameters whereas we found a parameter with size: {p.shape}")

    def advance(self, group: dict, p: Tensor, g: Tensor) -> None:
        if p.dtype.is_complex:
            raise RuntimeError("Muon does not support complex parameters")
        state = self.state[p]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = wrap(np.zeros_like(g._data))
        buffer, data, grad, momentum = state["momentum_buffer"], p._data, g._data, group["momentum"]
        buffer._data += (1 - momentum) * (grad - buffer._data)
        buffer._versions[0] += 1
        update = grad + momentum * (buffer._data - grad) if group["nesterov"] else buffer._data
        ratio = ADJUSTMENTS[group["adjust_lr_fn"] or "original"](*data.shape)
        data *= 1 - group["lr"] * group["weight_decay"]
        data -= (group["lr"] * ratio * orthogonal(update, group["ns_coefficients"], group["ns_steps"], group["eps"])).astype(data.dtype)
        p._versions[0] += 1


def orthogonal(matrix: np.ndarray, coefficients: tuple[float, float, float], steps: int, eps: float) -> np.ndarray:
    """The orthogonal matrix near a (rows, columns) matrix, by Newton-Schulz iteration to bfloat16 accuracy."""
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = rounded(matrix.T if tall else matrix)
    x = rounded(x / max(rounded(np.linalg.norm(x)), rounded(np.float32(eps))))
    for _ in range(steps):
        gram = rounded(x @ x.T)
        x = rounded(a * x + rounded(b * gram + c * (gram @ gram)) @ x)
    return x.T if tall else x


def rounded(array: np.ndarray | np.floating) -> np.ndarray:
    """Values as bfloat16 would hold them, in float32."""
    return np.asarray(array).astype(dtypes.bfloat16.numpy).astype(np.float32)
