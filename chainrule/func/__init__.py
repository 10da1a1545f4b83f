"""Functions of functions, as `torch.func` names them: gradients, products with Jacobians, whole Jacobians, batches."""

from __future__ import annotations

from typing import Any

from chainrule.func.batching import vmap
from chainrule.func.transforms import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "stack_module_state", "vjp", "vmap",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in ("functional_call", "stack_module_state"):  # they need modules
        from chainrule.func import modules

        return getattr(modules, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
