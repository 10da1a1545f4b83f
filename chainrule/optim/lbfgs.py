"""L-BFGS: a quasi-Newton method; each direction is the gradient through an inverse Hessian made of the last steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.optim.elementwise import as_real, with_grad
from chainrule.optim.line_search import strong_wolfe
from chainrule.optim.optimizer import Optimizer, ParamsT, check_lr, number
from chainrule.tensor import Tensor, wrap

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """Minimise a deterministic loss; `step(closure)` needs a closure that zeroes the gradients, computes the loss and runs backward.

    One group of parameters only. Memory: `history_size` times twice the size of all parameters. `line_search_fn` may be "strong_wolfe".

    Example:
        >>> w = tensor([3.0, -2.0], requires_grad=True)
        >>> optimizer = LBFGS([w], line_search_fn="strong_wolfe")
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = ((w - 1) ** 4).sum()
        ...     loss.backward()
        ...     return loss
        >>> loss = optimizer.step(closure)
        >>> bool(closure() < 1e-6)
        True
    """

    def __init__(
        self, params: ParamsT, lr: float | Tensor = 1, max_iter: int = 20, max_eval: int | None = None, tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9, history_size: int = 100, line_search_fn: str | None = None,
    ) -> None:  # fmt: skip
        check_lr(lr)
        defaults = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "history_size": history_size,
            "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Up to `max_iter` iterations; returns the loss at the start."""
        if len(self.param_groups) != 1:
            raise AssertionError(f"Expected exactly one param_group, but got {len(self.param_groups)}")
        before = modes.set_grad(False)
        try:
            return self._iterate(lambda: with_grad(closure))
        finally:
            modes.set_grad(before)

    def _iterate(self, closure: Callable[[], Any]) -> Any:
        group = self.param_groups[0]
        lr, flatness, smallest = number(group["lr"]), group["tolerance_grad"], group["tolerance_change"]
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = closure()
        loss, grad = float(first_loss), self._gradient()
        evaluations = 1
        state["func_evals"] += 1
        if np.abs(grad).max() <= flatness:
            return first_loss
        d, t, last_grad = (arrays(state.get(name)) for name in ("d", "t", "prev_flat_grad"))
        steps, changes, inverse = (arrays(state.get(name, [])) for name in ("old_stps", "old_dirs", "ro"))
        scale = arrays(state.get("H_diag", 1))
        last_loss = state.get("prev_loss")
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                d = -grad
                steps, changes, inverse, scale = [], [], [], 1
            else:
                change, s = grad - last_grad, d * t
                curvature = change.dot(s)
                if curvature > 1e-10:  # else the step tells nothing about the Hessian
                    if len(steps) == group["history_size"]:
                        for history in (steps, changes, inverse):
                            history.pop(0)
                    steps.append(s)
                    changes.append(change)
                    inverse.append(1.0 / curvature)
                    scale = curvature / change.dot(change)
                d = newton_direction(grad, steps, changes, inverse, scale)
            last_grad, last_loss = grad, loss
            t = min(1.0, 1.0 / np.abs(grad).sum()) * lr if state["n_iter"] == 1 else lr
            slope = grad.dot(d)
            if slope > -smallest:
                break
            tried = 0
            if group["line_search_fn"] is None:
                self._move(t, d)
                if iteration != group["max_iter"]:  # the loss after the last step is nobody's concern
                    loss, grad, tried = float(closure()), self._gradient(), 1
            elif group["line_search_fn"] == "strong_wolfe":
                start = [p._data.copy() for p in self._params]

                def evaluate(length: Any, start: list = start, d: np.ndarray = d) -> tuple[float, np.ndarray]:
                    self._move(length, d)
                    value, slope = float(closure()), self._gradient()
                    for p, data in zip(self._params, start):
                        p._data[...] = data
                    return value, slope

                loss, grad, t, tried = strong_wolfe(evaluate, t, d, loss, grad, slope, limit=group["max_eval"] - evaluations)
                self._move(t, d)
            else:
                raise RuntimeError("only 'strong_wolfe' is supported")
            evaluations += tried
            state["func_evals"] += tried
            if (
                evaluations >= group["max_eval"]
                or np.abs(grad).max() <= flatness
                or np.abs(d * t).max() <= smallest
                or abs(loss - last_loss) < smallest
            ):
                break
        kept = {"d": d, "t": t, "old_dirs": changes, "old_stps": steps, "ro": inverse, "H_diag": scale, "prev_flat_grad": last_grad}
        state.update({name: tensors(value) for name, value in kept.items()}, prev_loss=last_loss)
        return first_loss

    def _gradient(self) -> np.ndarray:
        """All gradients as one vector, complex ones as pairs."""
        grads = [np.zeros_like(p._data) if p._grad is None else p._grad._data for p in self._params]
        return np.concatenate([as_real(g)[0].reshape(-1) for g in grads])

    def _move(self, length: Any, direction: np.ndarray) -> None:
        """Add length * direction to the parameters."""
        offset = 0
        for p in self._params:
            (data,) = as_real(p._data)
            data += (length * direction[offset : offset + data.size]).reshape(data.shape)
            offset += data.size
            p._versions[0] += 1


def newton_direction(grad: np.ndarray, steps: list, changes: list, inverse: list, scale: Any) -> np.ndarray:
    """-H @ grad, where the inverse Hessian H is known by the steps made and the changes of gradient that they brought."""
    q = -grad
    weights = []
    for s, y, r in zip(reversed(steps), reversed(changes), reversed(inverse)):
        weights.append(s.dot(q) * r)
        q -= weights[-1] * y
    q *= scale
    for s, y, r, weight in zip(steps, changes, inverse, reversed(weights)):
        q += (weight - y.dot(q) * r) * s
    return q


def arrays(value: Any) -> Any:
    """Kept state as arrays to compute with."""
    if isinstance(value, list):
        return [arrays(v) for v in value]
    return value._data[()] if isinstance(value, Tensor) else value


def tensors(value: Any) -> Any:
    """What is computed as state to keep."""
    if isinstance(value, list):
        return [tensors(v) for v in value]
    return wrap(np.asarray(value)) if isinstance(value, (np.ndarray, np.generic)) else value
