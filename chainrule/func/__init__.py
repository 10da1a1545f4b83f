"""Functions of functions, as `torch.func` names them: gradients, products with Jacobians, whole Jacobians, batches."""

from __future__ import annotations

from typing import Any

from chainrule.func.batching import debug_unwrap, functionalize, vmap
from chainrule.func.transforms import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp

__all__ = [
    "debug_unwrap", "functional_call", "functionalize", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize",
    "rearrange", "replace_all_batch_norm_modules_", "stack_module_state", "vjp", "vmap",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in ("functional_call", "replace_all_batch_norm_modules_", "stack_module_state"):  # they need modules
        from chainrule.func import modules

        return getattr(modules, name)
    if name == "rearrange":
        from chainrule.func.rearranging import rearrange

        return rearrange
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
