"""Hooks on modules: what may be called before and after a forward or a backward, and the calls themselves.

A module without hooks never comes here: `Module.__call__` runs `forward` at once.
"""

from __future__ import annotations

import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from chainrule._core import modes
from chainrule.autograd.function import Function
from chainrule.autograd.node import RemovableHandle
from chainrule.tensor import Tensor

BOTH_KINDS = "Cannot use both regular backward hooks and full backward hooks {}. Please use only one of them."
DEPRECATED = " is deprecated and will be removed in future versions. This hook will be missing some {}."
FULL_INSTEAD = " Please use register_full_backward_hook to get the documented behavior."
NO_INPUT_GRAD = (
    "Full backward hook is firing when gradients are computed with respect to module outputs since no inputs require gradients. See "
    "https://docs.pytorch.org/docs/main/generated/torch.nn.Module.html#torch.nn.Module.register_full_backward_hook for more details."
)

# Hooks on every module, by number, in the order in which they were registered.
buffer_registration: OrderedDict = OrderedDict()
module_registration: OrderedDict = OrderedDict()
parameter_registration: OrderedDict = OrderedDict()
forward_pre: OrderedDict = OrderedDict()
forward: OrderedDict = OrderedDict()
backward_pre: OrderedDict = OrderedDict()
backward: OrderedDict = OrderedDict()
with_kwargs_ids: dict = {}
always_call_ids: dict = {}
backward_kind: list = [None]  # True: full hooks, False: the old kind, None: none yet


class HookHandle(RemovableHandle):
    """The handle of a module's hook, whose marks (with_kwargs, always_call) go with it."""

    def __init__(self, hooks: dict, hook: Callable, prepend: bool = False, marks: tuple[dict, ...] = ()) -> None:
        super().__init__(hooks, hook)
        self._marks = marks
        for mark in marks:
            mark[self.id] = True
        if prepend:
            hooks.move_to_end(self.id, last=False)  # type: ignore[attr-defined]

    def remove(self) -> None:
        super().remove()
        for mark in self._marks:
            mark.pop(self.id, None)


def marks(chosen: tuple[bool, ...], dicts: tuple[dict, ...]) -> tuple[dict, ...]:
    """The dictionaries whose flag is set."""
    return tuple([d for d, flag in zip(dicts, chosen) if flag])


def register_module_buffer_registration_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, name, buffer)` whenever any module registers a buffer; what it returns, if not None, is registered instead."""
    return HookHandle(buffer_registration, hook)


def register_module_module_registration_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, name, submodule)` whenever any module gets a child; what it returns, if not None, is registered instead."""
    return HookHandle(module_registration, hook)


def register_module_parameter_registration_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, name, param)` whenever any module gets a parameter; what it returns, if not None, is registered instead."""
    return HookHandle(parameter_registration, hook)


def register_module_forward_pre_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, args)` before the forward of every module; what it returns, if not None, replaces args."""
    return HookHandle(forward_pre, hook)


def register_module_forward_hook(hook: Callable, *, with_kwargs: bool = False, always_call: bool = False) -> RemovableHandle:
    """Call `hook(module, args, output)` after the forward of every module; what it returns, if not None, replaces the output.

    `with_kwargs` passes the keyword arguments too, after args; `always_call` calls the hook even if forward raises.
    """
    return HookHandle(forward, hook, False, marks((with_kwargs, always_call), (with_kwargs_ids, always_call_ids)))


def register_module_backward_hook(hook: Callable) -> RemovableHandle:
    """Old kind of backward hook on every module; use `register_module_full_backward_hook`."""
    if backward_kind[0] is True:
        raise RuntimeError(BOTH_KINDS.format("as a global Module hook"))
    backward_kind[0] = False
    return HookHandle(backward, hook)


def register_module_full_backward_pre_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, grad_output)` before the backward of every module; what it returns, if not None, replaces grad_output."""
    return HookHandle(backward_pre, hook)


def register_module_full_backward_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, grad_input, grad_output)` after the backward of every module; a result that is not None replaces grad_input."""
    if backward_kind[0] is False:
        raise RuntimeError(BOTH_KINDS.format("as a global Module hook"))
    backward_kind[0] = True
    return HookHandle(backward, hook)


class WrappedHook:
    """A hook that gets its module as first argument; holds it weakly, and can be pickled with it."""

    def __init__(self, hook: Callable, module: Any = None) -> None:
        self.hook = hook
        update_wrapper(self, hook)
        self.with_module = module is not None
        if module is not None:
            self.module = weakref.ref(module)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.with_module:
            return self.hook(*args, **kwargs)
        module = self.module()
        if module is None:
            raise RuntimeError("You are trying to call the hook of a dead Module!")
        return self.hook(module, *args, **kwargs)

    def __getstate__(self) -> dict:
        return {"hook": self.hook, "with_module": self.with_module} | ({"module": self.module()} if self.with_module else {})

    def __setstate__(self, state: dict) -> None:
        self.hook, self.with_module = state["hook"], state["with_module"]
        if self.with_module:
            if state["module"] is None:
                raise RuntimeError("You are trying to revive the hook of a dead Module!")
            self.module = weakref.ref(state["module"])


def call(module: Any, args: tuple, kwargs: dict) -> Any:
    """Run a module's forward with all hooks that are on it and on every module."""
    state: dict = {"args": args, "kwargs": kwargs, "result": None, "called": set()}
    try:
        return run(module, state)
    except Exception:
        after_error(module, state)
        raise


def run(module: Any, state: dict) -> Any:
    args, kwargs = before_forward(module, state["args"], state["kwargs"])
    full, old = backward_hooks(module)
    pre = [*backward_pre.values(), *module._backward_pre_hooks.values()]
    hooked = BackwardHook(module, full, pre) if full or pre else None
    if hooked is not None:
        args = hooked.watch_inputs(args)
    state["args"], state["kwargs"] = args, kwargs
    result = state["result"] = module.forward(*args, **kwargs)
    for number, hook in (*forward.items(), *module._forward_hooks.items()):
        if number in module._forward_hooks_always_called or number in always_call_ids:
            state["called"].add(number)
        more = (kwargs,) if number in module._forward_hooks_with_kwargs or number in with_kwargs_ids else ()
        replaced = hook(module, args, *more, result)
        if replaced is not None:
            result = state["result"] = replaced
    if hooked is not None:
        if not isinstance(result, (Tensor, tuple)):
            warnings.warn(
                f"For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but received {type(result)}",
                stacklevel=4,
            )
        result = hooked.watch_outputs(result)
    if old:
        node = first_tensor(result).grad_fn
        if node is not None:
            for hook in old:
                node.register_hook(WrappedHook(hook, module))
            warn_of_old_hook(args, result, node)
    return result


def before_forward(module: Any, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    for number, hook in (*forward_pre.items(), *module._forward_pre_hooks.items()):
        if number in module._forward_pre_hooks_with_kwargs:
            replaced = hook(module, args, kwargs)
            if replaced is not None:
                if not (isinstance(replaced, tuple) and len(replaced) == 2):
                    raise RuntimeError(f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {replaced}.")
                args, kwargs = replaced
        else:
            replaced = hook(module, args)
            if replaced is not None:
                args = replaced if isinstance(replaced, tuple) else (replaced,)
    return args, kwargs


def after_error(module: Any, state: dict) -> None:
    """After an error in forward, the hooks that are always called and have not been."""
    for kind, hooks, always in (
        ("global module", forward, always_call_ids),
        ("module", module._forward_hooks, module._forward_hooks_always_called),
    ):
        for number, hook in hooks.items():
            if number not in always or number in state["called"]:
                continue
            more = (state["kwargs"],) if number in module._forward_hooks_with_kwargs or number in with_kwargs_ids else ()
            try:
                replaced = hook(module, state["args"], *more, state["result"])
                if replaced is not None:
                    state["result"] = replaced
            except Exception as e:
                warnings.warn(
                    f"{kind} forward hook with ``always_call=True`` raised an exception that was silenced as another error was raised in "
                    f"forward: {e}",
                    stacklevel=4,
                )


def backward_hooks(module: Any) -> tuple[list, list]:
    """The full and the old backward hooks that concern a module."""
    found: dict = {True: [], False: [], None: []}
    found[backward_kind[0]] += backward.values()
    found[module._is_full_backward_hook] += module._backward_hooks.values()
    return found[True], found[False]


def first_tensor(result: Any) -> Tensor:
    while not isinstance(result, Tensor):
        result = next(v for v in result.values() if isinstance(v, Tensor)) if isinstance(result, dict) else result[0]
    return result


def warn_of_old_hook(args: Any, result: Any, node: Any) -> None:
    """Say what an old backward hook will not see."""

    def warn(what: str, missing: str, instead: str = FULL_INSTEAD) -> None:
        warnings.warn(what + DEPRECATED.format(missing) + instead, FutureWarning, stacklevel=5)

    def all_tensors(values: Any) -> bool:
        return isinstance(values, tuple) and all([isinstance(v, Tensor) for v in values])

    results = (result,) if isinstance(result, Tensor) else result
    if not all_tensors(results):
        return warn(
            "Using non-full backward hooks on a Module that does not return a single Tensor or a tuple of Tensors", "of the grad_output"
        )
    if not all_tensors(args):
        return warn(
            "Using non-full backward hooks on a Module that does not take as input a single Tensor or a tuple of Tensors",
            "of the grad_input",
        )
    nodes = {t.grad_fn for t in results if t.grad_fn is not None}
    if not nodes or (len(nodes) == 1 and node not in nodes):
        warn("Using a non-full backward hook when outputs are nested in python data structure", "grad_output", "")
    elif len(nodes) > 1:
        warn("Using a non-full backward hook when outputs are generated by different autograd Nodes", "grad_output")
    elif {t.grad_fn for t in args if t.grad_fn is not None} != {f for f, _ in node.next_functions}:
        warn("Using a non-full backward hook when the forward contains multiple autograd Nodes", "grad_input")


class BackwardHookFunction(Function):
    """The identity on several tensors at once: one node through which all their gradients pass."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        ctx.mark_non_differentiable(*[a for a in args if not a.requires_grad])
        return args

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads


class BackwardHook:
    """Full backward hooks of one call: identity nodes around the module catch the gradients of its outputs and of its inputs."""

    def __init__(self, module: Any, hooks: list, pre_hooks: list) -> None:
        self.module, self.hooks, self.pre_hooks = module, hooks, pre_hooks
        self.grad_outputs: tuple | None = None
        self.inputs: list | None = None  # which arguments are tensors; None: no gradient passes through them
        self.outputs: list | None = None
        self.n_inputs = self.n_outputs = -1

    def watch_inputs(self, args: tuple) -> tuple:
        result, self.inputs = through_node(args, self.after_inputs)
        self.n_inputs = len(args)
        return result

    def watch_outputs(self, result: Any) -> Any:
        many = result if isinstance(result, tuple) else (result,)
        self.n_outputs = len(many)
        watched, self.outputs = through_node(many, self.after_outputs)
        return watched if isinstance(result, tuple) else watched[0]

    def after_inputs(self, grad_inputs: tuple, _: tuple) -> tuple | None:
        if self.grad_outputs is None:  # no gradient came through the outputs
            return None
        grads: Any = spread(self.inputs, grad_inputs, self.n_inputs)
        for hook in self.hooks:
            replaced = hook(self.module, grads, self.grad_outputs)
            if replaced is None:
                continue
            if len(replaced) != len(grads):
                raise RuntimeError(
                    f"Backward hook returned an invalid number of grad_input, got {len(replaced)}, but expected {len(grads)}"
                )
            grads = replaced
        self.grad_outputs = None
        return tuple([grads[i] for i in self.inputs or ()])

    def after_outputs(self, _: tuple, grad_outputs: tuple) -> tuple:
        grads: Any = spread(self.outputs, grad_outputs, self.n_outputs)
        for hook in self.pre_hooks:
            replaced = hook(self.module, grads)
            if replaced is None:
                continue
            if len(replaced) != len(grads):
                raise RuntimeError(
                    f"Backward pre hook returned an invalid number of grad_output, got {len(replaced)}, but expected {len(grads)}"
                )
            grads = replaced
        self.grad_outputs = grads
        if self.inputs is None:
            warnings.warn(NO_INPUT_GRAD, stacklevel=5)
            nothing = (None,) * self.n_inputs
            for hook in self.hooks:
                replaced = hook(self.module, nothing, grads)
                if replaced is not None and not (isinstance(replaced, tuple) and all([g is None for g in replaced])):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or None for all gradients."
                    )
            self.grad_outputs = None
        return tuple([grads[i] for i in self.outputs or ()])


def spread(places: Any, values: tuple, size: int) -> tuple:
    """`values` at their places among `size`, None elsewhere."""
    result: list = [None] * size
    for place, value in zip(places or (), values):
        result[place] = value
    return tuple(result)


def through_node(args: tuple, hook: Callable) -> tuple[tuple, list | None]:
    """Send the tensors of args through one identity node with a hook; also returns where in args they are."""
    places = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
    if not (modes.grad_enabled() and any([args[i].requires_grad for i in places])):
        return args, None
    watched = BackwardHookFunction.apply(*[args[i] for i in places])
    next(t.grad_fn for t in watched if t.grad_fn is not None).register_hook(hook)
    result = list(args)
    for place, t in zip(places, watched):
        result[place] = t
    return (tuple(result) if type(args) is tuple else type(args)(*result)), places
