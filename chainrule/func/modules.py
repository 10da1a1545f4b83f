"""Modules as functions of their parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.nn.modules.module import Module
from chainrule.nn.utils import stateless
from chainrule.ops import joining
from chainrule.tensor import Tensor


def functional_call(
    module: Module, parameter_and_buffer_dicts: dict[str, Tensor] | Sequence[dict[str, Tensor]], args: Any = None,
    kwargs: dict | None = None, *, tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """Call a module with the given tensors (a dict, or several with names of their own) in place of its parameters and buffers.

    `tie_weights` gives a tensor to all names that the module's own tensor has; `strict` demands all names.

    Example:
        >>> functional_call(nn.Linear(2, 1), {"weight": ones(1, 2), "bias": zeros(1)}, ones(2))
        tensor([2.])
    """
    given = parameter_and_buffer_dicts
    if isinstance(given, Sequence):
        if not all([isinstance(d, Mapping) for d in given]):
            raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dictionaries")
        names = [name for d in given for name in d]
        repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if repeated:
            raise ValueError(f"{repeated} appeared in multiple dictionaries; behavior of functional call is ambiguous")
        given = {name: t for d in given for name, t in d.items()}
    elif not isinstance(given, Mapping):
        raise ValueError(
            f"Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got {type(parameter_and_buffer_dicts)}"
        )
    return stateless.call(module, given, args, kwargs, tie_weights=tie_weights, strict=strict)


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and the buffers of models that are built alike, those of one name stacked: for `vmap` over `functional_call`.

    Example:
        >>> params, buffers = stack_module_state([nn.Linear(2, 1), nn.Linear(2, 1)])
        >>> params["weight"].shape
        torch.Size([2, 1, 2])
    """
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if not (all([m.training for m in models]) or all([not m.training for m in models])):
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if any([type(m) is not type(models[0]) for m in models]):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = [dict(m.named_parameters()) for m in models]
    buffers = [dict(m.named_buffers()) for m in models]
    return (
        {name: stacked([p[name] for p in parameters], name) for name in parameters[0]},
        {name: stacked([b[name] for b in buffers], name) for name in buffers[0]},
    )


def stacked(tensors: list[Tensor], name: str) -> Tensor:
    """Tensors stacked; leaves give a leaf."""
    if len({t.requires_grad for t in tensors}) > 1:
        raise RuntimeError(f"Expected {name} from each model to have the same .requires_grad")
    result = joining.stack(tuple(tensors), 0)
    return result.detach().requires_grad_(tensors[0].requires_grad) if all([t.is_leaf for t in tensors]) else result


def replace_all_batch_norm_modules_(root: Module) -> Module:
    """Have every batch norm in `root` use the statistics of its batch and keep none, in place: `vmap` cannot update those.

    Example:
        >>> replace_all_batch_norm_modules_(nn.BatchNorm1d(2)).running_mean is None
        True
    """
    from chainrule.nn.modules.batchnorm import _BatchNorm

    for module in root.modules():
        if isinstance(module, _BatchNorm) and module.track_running_stats:
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
