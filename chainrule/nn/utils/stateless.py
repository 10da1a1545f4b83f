"""A module called with other parameters than its own: `functional_call`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor

__all__ = ["functional_call"]

ABSENT: Any = object()  # stands for the value of an attribute that a module does not have


def named_tensors(module: Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters(remove_duplicate=False)), **dict(module.named_buffers(remove_duplicate=False))}


def with_tied(module: Module, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """`given`, each tensor also under the other names of the parameter that it replaces."""
    by_tensor: dict[Tensor, list[str]] = {}
    for name, t in named_tensors(module).items():
        by_tensor.setdefault(t, []).append(name)
    result = dict(given)
    for names in by_tensor.values():
        values = {given[name] for name in names if name in given}
        if len(values) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(names)}, which are tied. Consider using tie_weights=False"
            )
        if values:
            result.update(dict.fromkeys(names, values.pop()))
    return result


def check_names(module: Module, given: dict[str, Tensor]) -> None:
    own = named_tensors(module)
    kinds = (("Unexpected", [k for k in given if k not in own]), ("Missing", sorted([k for k in own if k not in given])))
    errors = [f"{kind} key(s): {', '.join(map(repr, keys))}." for kind, keys in kinds if keys]
    if errors:
        raise RuntimeError(f"Error(s) in reparametrizing for {module._get_name()}:\n\t" + "\n\t".join(errors))


def swap(module: Module, name: str, value: Any) -> Any:
    """Put a tensor where the module keeps a parameter or buffer of that dotted name; returns what was there."""
    path, _, leaf = name.rpartition(".")
    owner: Any = module.get_submodule(path)
    for store in (owner._parameters, owner._buffers):
        if leaf in store:
            before, store[leaf] = store[leaf], value
            return before
    before = getattr(owner, leaf, ABSENT)
    if value is ABSENT:
        delattr(owner, leaf)
    else:
        setattr(owner, leaf, value)
    return before


@contextmanager
def _reparametrize_module(module: Module, given: dict[str, Tensor], tie_weights: bool = False, strict: bool = False) -> Iterator[None]:
    """Inside, the module has the given tensors for its own; buffers that it replaces meanwhile are put into `given`."""
    values = with_tied(module, given) if tie_weights else given
    if strict:
        check_names(module, values)
    before: dict[str, Any] = {}
    try:
        for name, value in values.items():
            before[name] = swap(module, name, value)
        yield
    finally:
        for name, value in reversed(before.items()):
            after = swap(module, name, value)
            if name in given:
                given[name] = after


def call(
    module: Module, parameters_and_buffers: dict[str, Tensor], args: Any = None, kwargs: dict | None = None, *, tie_weights: bool = True,
    strict: bool = False,
) -> Any:  # fmt: skip
    """Call a module with the given tensors in place of its parameters and buffers of those names.

    `tie_weights` gives a tensor to all names that the module's own tensor has; `strict` demands all names.

    Example:
        >>> call(Linear(2, 1), {"weight": ones(1, 2), "bias": zeros(1)}, ones(2))
        tensor([2.])
    """
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _reparametrize_module(module, parameters_and_buffers, tie_weights, strict):
        return module(*args, **(kwargs or {}))


def functional_call(
    module: Module, parameters_and_buffers: dict[str, Tensor], args: Any = None, kwargs: dict | None = None, *, tie_weights: bool = True,
    strict: bool = False,
) -> Any:  # fmt: skip
    """Deprecated: use `func.functional_call`."""
    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 and will be removed in a future version of PyTorch. "
        "Please use `torch.func.functional_call` instead which is a drop-in replacement.",
        category=FutureWarning,
        stacklevel=2,
    )
    return call(module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict)
