"""`torch.ops.aten`: functions by the names of PyTorch's dispatcher, each its own overload `default`."""

from __future__ import annotations

from functools import partial
from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    import chainrule
    from chainrule.nn._functional import native

    function = getattr(native, name, None) or getattr(chainrule, name, None)
    if function is None:
        raise AttributeError(f"'_OpNamespace' 'aten' object has no attribute '{name}'")
    packet: Any = partial(function)
    packet.default = function
    return packet
