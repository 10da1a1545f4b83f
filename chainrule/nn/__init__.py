"""`nn`: networks. Modules and their parameters, layers, losses, their functions (`functional`), initial values (`init`), `utils`."""

from __future__ import annotations

from typing import Any

from chainrule.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter  # isort: skip
from chainrule.nn import attention, common_types, functional, grad, init, modules, parallel, parameter, utils
from chainrule.nn.modules import *  # noqa: F403
from chainrule.nn.parallel import DataParallel


def factory_kwargs(kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """The arguments device, dtype and memory_format among `kwargs`, or in its `factory_kwargs`, for functions that make tensors.

    Raises TypeError for any other, and for one given twice.
    """
    if kwargs is None:
        return {}
    simple = {"device", "dtype", "memory_format"}
    unexpected = kwargs.keys() - simple - {"factory_kwargs"}
    if unexpected:
        raise TypeError(f"unexpected kwargs {unexpected}")
    result = dict(kwargs.get("factory_kwargs", {}))
    for name in simple & kwargs.keys():
        if name in result:
            raise TypeError(f"{name} specified twice, in **kwargs and in factory_kwargs")
        result[name] = kwargs[name]
    return result
