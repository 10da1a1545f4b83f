"""Where PyTorch keeps what is here kept elsewhere: the names that a pickle refers to, in both directions.

Most modules here are called as PyTorch's are, `chainrule.` for `torch.`; `PLACES` lists the others.
"""

from __future__ import annotations

from importlib import import_module
from types import FunctionType
from typing import Any

PLACES = {  # module here -> module in PyTorch
    "chainrule.nn.modules.attention": "torch.nn.modules.activation",
    "chainrule.nn.parallel": "torch.nn.parallel.data_parallel",
    "chainrule.optim.adafactor": "torch.optim",
    "chainrule.optim.muon": "torch.optim",
    **{f"chainrule.optim.lr_scheduler.{room}": "torch.optim.lr_scheduler" for room in ("base", "composite", "cyclic", "decay", "plateau")},
}
RENAMED = {
    ("chainrule.nn.modules.hooks", "WrappedHook"): ("torch.nn.modules.module", "_WrappedHook"),
    ("chainrule.utils.data.sampler", "DistributedSampler"): ("torch.utils.data.distributed", "DistributedSampler"),
}
HERE = {there: here for here, there in RENAMED.items()}
# Where PyTorch's users find a function, whatever file it is in.
FUNCTIONS = ("chainrule.nn.functional", "chainrule", "chainrule.nn.utils", "chainrule.utils.data")
BUILT_IN = {"torch._C._nn": "chainrule.nn.functional", "torch._C._special": "chainrule.special", "torch._C._linalg": "chainrule.linalg"}
CLASSES = {"torch._C._VariableFunctionsClass": "", "torch._C.TensorBase": "Tensor", "torch._C.Generator": "Generator"}  # of chainrule


def theirs(obj: Any) -> tuple[str, str] | None:
    """PyTorch's module and name for a class or function of chainrule's; None for what is not of chainrule."""
    module, name = obj.__module__ or "chainrule", obj.__qualname__  # functions made from a table have no module
    if not module.startswith("chainrule"):
        return None
    if isinstance(obj, FunctionType) and not module.startswith("chainrule.nn.init"):
        for public in FUNCTIONS:
            if getattr(import_module(public), name, None) is obj:
                return public.replace("chainrule", "torch"), name
    if obj.__module__ is None:
        return None
    if (module, name) in RENAMED:
        return RENAMED[module, name]
    return PLACES.get(module, module.replace("chainrule", "torch", 1)), name


def ours(module: str, name: str) -> Any:
    """What stands here under one of PyTorch's names; raises AttributeError if nothing does."""
    if (module, name) in HERE:
        here, name = HERE[module, name]
        return getattr(import_module(here), name)
    if f"{module}.{name}" in CLASSES:
        root, inner = import_module("chainrule"), CLASSES[f"{module}.{name}"]
        return getattr(root, inner) if inner else root
    place = BUILT_IN.get(module) or "chainrule" + module.removeprefix("torch")
    for candidate in (place, ".".join(place.split(".")[:2]), "chainrule"):
        try:
            return getattr(import_module(candidate), name)
        except (ImportError, AttributeError):  # our files are cut otherwise than PyTorch's
            continue
    raise AttributeError(f"a pickle refers to {module}.{name}, which chainrule does not have")
