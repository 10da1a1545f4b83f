"""What every optimizer has: parameter groups, per-parameter state, hooks, and saving and loading them."""

from __future__ import annotations

import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from functools import wraps
from itertools import chain
from typing import Any

import numpy as np

from chainrule._core import dtypes, modes
from chainrule.autograd.node import RemovableHandle
from chainrule.tensor import Tensor, wrap

__all__ = ["Optimizer", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook"]

ParamsT = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
FUSED_DEVICES = ["mps", "cuda", "xpu", "hpu", "cpu", "mtia", "privateuseone"]  # as PyTorch's message lists them
HOOKS = (
    "_optimizer_step_pre_hooks",
    "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks",
    "_optimizer_load_state_dict_post_hooks",
)
_global_optimizer_pre_hooks: OrderedDict = OrderedDict()
_global_optimizer_post_hooks: OrderedDict = OrderedDict()


class _RequiredParameter:
    def __repr__(self) -> str:
        return "<required parameter>"


required = _RequiredParameter()  # a default that says: every group must give this option itself


class Optimizer:
    """The base of all optimizers; one of your own overrides `step`.

    Args:
        params: tensors, (name, tensor) pairs, or dicts, each a group: its "params" and options of its own
        defaults: the options of groups that do not give them

    Attributes:
        param_groups: list of dicts, "params" and the options of each group; change them freely between steps
        state: what the optimizer remembers, a dict for each parameter

    Example:
        >>> class Descent(Optimizer):
        ...     def __init__(self, params, lr):
        ...         super().__init__(params, {"lr": lr})
        ...     @no_grad()
        ...     def step(self):
        ...         for group in self.param_groups:
        ...             for p in group["params"]:
        ...                 p -= group["lr"] * p.grad
        >>> w = tensor([1.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> Descent([w], lr=0.25).step(); w
        tensor([0.5000], requires_grad=True)
    """

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                f"params argument given to the optimizer should be an iterable of Tensors or dicts, but got {type_name(params)}"
            )
        self.defaults = defaults
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._make_hookable()
        groups: list = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def _make_hookable(self) -> None:
        for name in HOOKS:
            self.__dict__.setdefault(name, OrderedDict())
        cls: Any = type(self)
        if not hasattr(cls.step, "hooked"):
            cls.step = hookable(cls.step)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_hookable()
        self.defaults.setdefault("differentiable", False)

    def __repr__(self) -> str:
        lines = [type(self).__name__ + " ("]
        for i, group in enumerate(self.param_groups):
            lines += [f"Parameter Group {i}", *[f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]]
        return "\n".join(lines) + "\n)"

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient. `closure`, if given, computes the loss anew first; its value is returned."""
        raise NotImplementedError

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop every gradient, or fill it with zeros if not `set_to_none`."""
        profile = modes.local.profile
        if profile is None:
            self._clear(set_to_none)
        else:
            profile.named(f"Optimizer.zero_grad#{type(self).__name__}.zero_grad", self._clear, (set_to_none,), {})

    def _clear(self, set_to_none: bool) -> None:
        for p in self._parameters():
            grad = p._grad
            if grad is None:
                continue
            if set_to_none:
                p._grad = None
                continue
            if grad._edge is not None:
                grad = p._grad = wrap(grad._data)
            grad._tracked = False
            grad._data[...] = 0
            grad._versions[0] += 1

    def _parameters(self) -> Iterator[Tensor]:
        return chain.from_iterable([group["params"] for group in self.param_groups])

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimize more tensors, with options of their own: `{"params": ..., "lr": ...}`."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        given = param_group["params"]
        if isinstance(given, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets will change between "
                "runs. Please use a list instead."
            )
        given = [given] if isinstance(given, Tensor) else list(given)
        names = [item[0] for item in given if isinstance(item, tuple)]
        params = [item[1] if isinstance(item, tuple) else item for item in given]
        param_group["params"] = params
        if names and len(names) != len(params):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        if names:
            param_group["param_names"] = names
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type_name(p)}")
            if not (self.defaults.get("differentiable") or p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            param_group.setdefault(name, default)
        if len(params) != len(set(params)):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; see "
                "github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=3,
            )
        for group in self.param_groups:
            if ("param_names" in param_group) != ("param_names" in group):
                raise ValueError(
                    "all optimizer param groups should be with/without names. "
                    f"cannot add param group {'with' if names else 'without'} names to the optimizer"
                )
        if not set(self._parameters()).isdisjoint(params):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    def state_dict(self) -> dict[str, Any]:
        """The state and the groups, with numbers in place of the parameters; tensors are shared, not copied."""
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        number: dict[int, int] = {}
        groups = []
        count = 0
        for group in self.param_groups:
            for i, p in enumerate(group["params"], count):
                number.setdefault(id(p), i)
            count += len(group["params"])
            numbers = [number[id(p)] for p in group["params"]]
            groups.append({k: v for k, v in group.items() if k != "params"} | {"params": numbers})
        state = {number[id(k)] if isinstance(k, Tensor) else k: v for k, v in self.state.items()}
        packed = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            packed = replaced(packed, hook(self, packed))
        return packed

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave, here or in PyTorch; the groups must have as many parameters as there."""
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            state_dict = replaced(state_dict, hook(self, state_dict))
        saved = deepcopy(state_dict["param_groups"])
        if len(saved) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any([len(s["params"]) != len(g["params"]) for s, g in zip(saved, self.param_groups)]):
            raise ValueError("loaded state dict contains a parameter group that doesn't match the size of optimizer's group")
        owner: dict = dict(zip(chain.from_iterable([s["params"] for s in saved]), self._parameters()))
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in owner:
                state[owner[key]] = self._cast(owner[key], value, key, state_dict["param_groups"])
            else:
                state[key] = value
        for s, group in zip(saved, self.param_groups):
            s["params"] = group["params"]
            if "param_names" in group:
                s.setdefault("param_names", group["param_names"])
        self.__setstate__({"state": state, "param_groups": saved})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    def _cast(self, param: Tensor, value: Any, param_id: Any, groups: list, key: Any = None) -> Any:
        """A copy of loaded state in which tensors have the parameter's type."""
        if isinstance(value, Tensor):
            return self._process_value_according_to_param_policy(param, value, param_id, groups, key)
        if isinstance(value, dict):
            return {k: self._cast(param, v, param_id, groups, k) for k, v in value.items()}
        if isinstance(value, Iterable) and not isinstance(value, str):
            made: Any = type(value)
            return made(self._cast(param, v, param_id, groups) for v in value)
        return value

    @staticmethod
    def _process_value_according_to_param_policy(
        param: Tensor, value: Tensor, param_id: Any, param_groups: list, key: Any = None
    ) -> Tensor:
        group: dict = next((g for g in param_groups if param_id in g["params"]), {})
        if key == "step":  # counts keep their own type
            return value.to(dtype=dtypes.float32) if group.get("capturable") or group.get("fused") else value
        return value.to(dtype=param.dtype) if param.dtype.is_floating_point else value

    def register_step_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step; it may return the (args, kwargs) to go on with."""
        return RemovableHandle(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return RemovableHandle(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` before `state_dict` collects."""
        return registered(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` on what `state_dict` made; it may return another."""
        return registered(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` before loading; it may return another to load."""
        return registered(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` after loading."""
        return registered(self._optimizer_load_state_dict_post_hooks, hook, prepend)


def hookable(step: Callable) -> Callable:
    """A `step` that runs the hooks around itself."""

    @wraps(step)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        self = args[0]
        for hook in (*_global_optimizer_pre_hooks.values(), *self._optimizer_step_pre_hooks.values()):
            changed = hook(self, args, kwargs)
            if changed is not None:
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(f"{step} must return None or a tuple of (new_args, new_kwargs), but got {changed}.")
                args, kwargs = changed
        profile = modes.local.profile
        if profile is None:
            result = step(*args, **kwargs)
        else:
            result = profile.named(f"Optimizer.step#{type(self).__name__}.step", step, args, kwargs)
        for hook in (*self._optimizer_step_post_hooks.values(), *_global_optimizer_post_hooks.values()):
            hook(self, args, kwargs)
        return result

    wrapper.hooked = True  # type: ignore[attr-defined]
    return wrapper


def register_optimizer_step_pre_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` before each step of every optimizer."""
    return RemovableHandle(_global_optimizer_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` after each step of every optimizer."""
    return RemovableHandle(_global_optimizer_post_hooks, hook)


def registered(hooks: OrderedDict, hook: Callable, prepend: bool) -> RemovableHandle:
    handle = RemovableHandle(hooks, hook)
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def replaced(value: Any, other: Any) -> Any:
    return value if other is None else other


def type_name(value: Any) -> str:
    """The name of a value's type as PyTorch's messages write it."""
    kind = type(value)
    if isinstance(value, Tensor):
        return f"torch.{dtypes.LEGACY[value.dtype]}Tensor"
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__.replace('chainrule', 'torch')}.{kind.__qualname__}"


def scalar(value: float, single: Any = False) -> Tensor:
    """A count or factor that an optimizer keeps: a 0-dim tensor, double if that is the default type (and not `single`)."""
    double = dtypes.get_default_dtype() is dtypes.float64 and not single
    return wrap(np.array(value, np.float64 if double else np.float32))


def number(x: Any) -> Any:
    """An option's value: what a tensor of one element holds."""
    return x.item() if isinstance(x, Tensor) else x


def check_lr(lr: Any, message: str = "Invalid learning rate: {}") -> None:
    if isinstance(lr, Tensor) and lr._data.size != 1:
        raise ValueError("Tensor lr must be 1-element")
    if not number(lr) >= 0.0:
        raise ValueError(message.format(lr))


def check_options(lr: Any, betas: tuple = (), **options: Any) -> None:
    """Refuse negative options and betas outside [0, 1), in PyTorch's words."""
    check_lr(lr)
    for name, value in options.items():
        if not number(value) >= 0.0:
            raise ValueError(f"Invalid {'epsilon' if name == 'eps' else name} value: {value}")
    for i, beta in enumerate(betas):
        if not 0.0 <= number(beta) < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


def check_fused(fused: Any, foreach: Any, differentiable: bool) -> None:
    """Refuse `fused` together with what it excludes."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
