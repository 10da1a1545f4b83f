"""Checkpoints of modules: `state_dict`, `load_state_dict` and the hooks around them. `Module` binds these as its methods."""

from __future__ import annotations

import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping
from typing import Any

from chainrule.autograd.grad_mode import no_grad
from chainrule.autograd.node import RemovableHandle
from chainrule.nn.modules.hooks import HookHandle, WrappedHook
from chainrule.nn.parameter import Parameter, is_lazy
from chainrule.tensor import Tensor

EXTRA = "_extra_state"
NEVER_CALLED = (
    "Reached a code path in Module.{}() that should never be called. Please file an issue at "
    "https://github.com/pytorch/pytorch/issues/new?template=bug-report.yml to report this bug."
)


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What `load_state_dict` returns: the keys that were missing and those that nobody expected."""

    __slots__ = ()

    def __repr__(self) -> str:
        return super().__repr__() if self.missing_keys or self.unexpected_keys else "<All keys matched successfully>"

    __str__ = __repr__


def get_extra_state(self: Any) -> Any:
    """Override this to put something besides tensors into the module's `state_dict`."""
    raise RuntimeError(NEVER_CALLED.format("get_extra_state"))


def set_extra_state(self: Any, state: Any) -> None:
    """Override this to take back what `get_extra_state` gave."""
    raise RuntimeError(NEVER_CALLED.format("set_extra_state"))


def register_state_dict_pre_hook(self: Any, hook: Callable) -> RemovableHandle:
    """Call `hook(module, prefix, keep_vars)` before `state_dict` collects."""
    return HookHandle(self._state_dict_pre_hooks, hook)


def register_state_dict_post_hook(self: Any, hook: Callable) -> RemovableHandle:
    """Call `hook(module, state_dict, prefix, local_metadata)` after `state_dict`; it may change the dictionary, and returns None."""
    hook._from_public_api = True
    return HookHandle(self._state_dict_hooks, hook)


def _register_state_dict_hook(self: Any, hook: Callable) -> RemovableHandle:
    """As `register_state_dict_post_hook`, but what the hook returns, if not None, replaces the dictionary."""
    if getattr(hook, "_from_public_api", False):
        raise RuntimeError(
            "Cannot register the same function as the state dict post hook that was previously registered via register_state_dict_post_hook"
        )
    return HookHandle(self._state_dict_hooks, hook)


def _register_load_state_dict_pre_hook(self: Any, hook: Callable, with_module: bool = False) -> RemovableHandle:
    """As `register_load_state_dict_pre_hook`; the hook gets the module only if `with_module`."""
    return HookHandle(self._load_state_dict_pre_hooks, WrappedHook(hook, self if with_module else None))


def register_load_state_dict_pre_hook(self: Any, hook: Callable) -> RemovableHandle:
    """Call `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)` before loading."""
    return _register_load_state_dict_pre_hook(self, hook, with_module=True)


def register_load_state_dict_post_hook(self: Any, hook: Callable) -> RemovableHandle:
    """Call `hook(module, incompatible_keys)` after loading; it may change the keys' lists in place."""
    return HookHandle(self._load_state_dict_post_hooks, hook)


def persistent_buffers(module: Any) -> dict:
    return {k: v for k, v in module._buffers.items() if k not in module._non_persistent_buffers_set}


def _save_to_state_dict(self: Any, destination: Any, prefix: str, keep_vars: bool) -> None:
    """Put this module's own parameters and buffers, not its children's, into `destination`."""
    for name, value in (*self._parameters.items(), *persistent_buffers(self).items()):
        if value is not None:
            destination[prefix + name] = value if keep_vars else value.detach()
    if getattr(type(self), "get_extra_state", get_extra_state) is not get_extra_state:
        destination[prefix + EXTRA] = self.get_extra_state()


def state_dict(self: Any, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
    """All parameters and persistent buffers by name, sharing the module's memory; detached unless `keep_vars`.

    Example:
        >>> list(Linear(1, 2).state_dict())
        ['weight', 'bias']
    """
    if args:
        warnings.warn(
            "Positional args are being deprecated, use kwargs instead. Refer to "
            "https://pytorch.org/docs/main/generated/torch.nn.Module.html#torch.nn.Module.state_dict for details.",
            FutureWarning,
            stacklevel=2,
        )
        given = dict(zip(("destination", "prefix", "keep_vars"), args))
        destination = given["destination"] if destination is None else destination
        prefix = prefix or given.get("prefix", "")
        keep_vars = keep_vars or given.get("keep_vars", False)
    if destination is None:
        destination = OrderedDict()
        destination._metadata = OrderedDict()
    metadata = {"version": self._version}
    if hasattr(destination, "_metadata"):
        destination._metadata[prefix[:-1]] = metadata
    for hook in self._state_dict_pre_hooks.values():
        hook(self, prefix, keep_vars)
    self._save_to_state_dict(destination, prefix, keep_vars)
    for name, child in self._modules.items():
        if child is not None:
            child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    for hook in self._state_dict_hooks.values():
        replaced = hook(self, destination, prefix, metadata)
        if replaced is not None:
            if getattr(hook, "_from_public_api", False):
                raise RuntimeError("state_dict post-hook must return None")
            destination = replaced
    return destination


def _load_from_state_dict(
    self: Any, state_dict: Any, prefix: str, local_metadata: dict, strict: bool, missing_keys: list, unexpected_keys: list, error_msgs: list
) -> None:
    """Load this module's own parameters and buffers, not its children's; what goes wrong is added to the three lists."""
    for hook in self._load_state_dict_pre_hooks.values():
        hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
    own = {k: v for k, v in (*self._parameters.items(), *persistent_buffers(self).items()) if v is not None}
    assign = local_metadata.get("assign_to_params_buffers", False)
    for name, param in own.items():
        key = prefix + name
        if key in state_dict:
            load_one(self, name, key, param, state_dict[key], assign, error_msgs)
        elif strict:
            missing_keys.append(key)
    extra = prefix + EXTRA
    if getattr(type(self), "set_extra_state", set_extra_state) is not set_extra_state:
        if extra in state_dict:
            self.set_extra_state(state_dict[extra])
        elif strict:
            missing_keys.append(extra)
    elif strict and extra in state_dict:
        unexpected_keys.append(extra)
    if strict:
        for key in state_dict:
            if key.startswith(prefix) and key != extra:
                name, dot, _ = key[len(prefix) :].partition(".")
                if name not in (self._modules if dot else own):
                    unexpected_keys.append(key)


def load_one(module: Any, name: str, key: str, param: Any, value: Any, assign: bool, errors: list) -> None:
    """Copy (or assign) one entry of a checkpoint into one parameter or buffer."""
    if not (isinstance(value, Tensor) or hasattr(type(value), "__torch_function__")):
        errors.append(
            f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from checkpoint but received '
            f"{type(value)}"
        )
        return
    if not is_lazy(param):
        if not param.shape and value.shape == (1,):  # scalars were once saved so
            value = value[0]
        if value.shape != param.shape:
            errors.append(
                f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, "
                f"the shape in current model is {param.shape}."
            )
            return
    try:
        with no_grad():
            if not assign:
                param.copy_(value)
                return
            if isinstance(param, Parameter):
                if isinstance(value, Parameter):
                    value.requires_grad_(param.requires_grad)
                else:
                    value = Parameter(value, requires_grad=param.requires_grad)
            setattr(module, name, value)
    except Exception as e:
        errors.append(
            f'While copying the parameter named "{key}", whose dimensions in the model are {param.size()} and whose dimensions in the '
            f"checkpoint are {value.size()}, an exception occurred : {e.args}."
        )


def load_state_dict(self: Any, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
    """Copy the values of a `state_dict` into this module and its children; returns the missing and unexpected keys.

    `strict` demands that the keys match exactly; `assign` makes the checkpoint's tensors the module's instead of copying.
    Raises RuntimeError that lists every missing and unexpected key and every shape that does not fit.

    Example:
        >>> m = Linear(1, 2)
        >>> m.load_state_dict(Linear(1, 2).state_dict())
        <All keys matched successfully>
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    missing: list[str] = []
    unexpected: list[str] = []
    errors: list[str] = []
    metadata = getattr(state_dict, "_metadata", None)
    state: Any = OrderedDict(state_dict)
    if metadata is not None:
        state._metadata = metadata

    def load(module: Any, entries: dict, prefix: str = "") -> None:
        local = {} if metadata is None else metadata.get(prefix[:-1], {})
        if assign:
            local["assign_to_params_buffers"] = assign
        module._load_from_state_dict(entries, prefix, local, True, missing, unexpected, errors)
        for name, child in module._modules.items():
            if child is not None:
                deeper = f"{prefix}{name}."
                load(child, {k: v for k, v in entries.items() if k.startswith(deeper)}, deeper)
        keys = _IncompatibleKeys(missing, unexpected)
        for hook in module._load_state_dict_post_hooks.values():
            if hook(module, keys) is not None:
                raise AssertionError(
                    "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new values, if "
                    "incompatible_keys need to be modified, it should be done inplace."
                )

    load(self, state)
    if strict:
        for keys, kind in ((unexpected, "Unexpected"), (missing, "Missing")):
            if keys:
                listed = ", ".join([f'"{k}"' for k in keys])
                errors.insert(0, f"{kind} key(s) in state_dict: {listed}. ")
    if errors:
        raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t" + "\n\t".join(errors))
    return _IncompatibleKeys(missing, unexpected)
